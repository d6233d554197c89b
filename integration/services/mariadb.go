package services

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const mendMariaDB = "apt-get update && apt-get install -y --no-install-recommends mariadb-server-core mariadb-client-core"

// FetchMariaDB makes an empty data folder to start from unless the cache has
// it, and returns its parent. The programs are those that are installed.
func FetchMariaDB(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("mariadbd"); err != nil {
		return "", missing("mariadbd", mendMariaDB)
	}
	return fetched(ctx, "mariadb-data", func(ctx context.Context, dir string) error {
		init := filepath.Join(dir, "init.sql")
		if err := os.WriteFile(init, []byte("FLUSH PRIVILEGES;\n"+mysqlUserSQL), 0o644); err != nil {
			return err
		}
		return tool(ctx, nil, mendMariaDB, "mariadb-install-db", "--no-defaults", "--user="+serverUser(), "--datadir="+filepath.Join(dir, "data"),
			"--skip-test-db", "--auth-root-authentication-method=normal", "--extra-file="+init)
	})
}

// StartMariaDB starts an empty MariaDB. It takes about three seconds.
func StartMariaDB(ctx context.Context, o MySQLOptions) (*MySQL, error) {
	dist, err := FetchMariaDB(ctx)
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		return nil, missing("mariadbd", mendMariaDB)
	}
	dir, ports, err := newMySQLDir("mariadb")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(dist, "data"))); err != nil {
		return nil, errors.Join(err, discard(dir, ports))
	}
	args := []string{program, "--no-defaults", "--user=" + serverUser(), "--binlog-row-image=FULL", "--server-id=2", "--character-set-server=utf8mb4"}
	return startMySQL(ctx, "MariaDB", dir, ports, args, o)
}

// UseMariaDB gives the test the server that EnvMariaDB names, else one of its
// own with the default options.
func UseMariaDB(tb testing.TB) *MySQL {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*MySQL, error) {
		if text, ok := named(EnvMariaDB); ok {
			return mysqlAt(ctx, EnvMariaDB, text)
		}
		return StartMariaDB(ctx, MySQLOptions{})
	})
}
