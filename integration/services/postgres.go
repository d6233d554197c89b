package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// oldestPostgres is the major version from which on every test here can pass.
const oldestPostgres = 15

const mendPostgres = "apt-get update && apt-get install -y postgresql"

// PostgresOptions choose how a PostgreSQL is started. The zero value is good
// for tests that do not end the server.
type PostgresOptions struct {
	// Fsync keeps fsync on, as it must be when the server is to be killed and
	// its data still believed.
	Fsync bool
	// Settings are added to the configuration file, above those set here.
	Settings map[string]string
	// HBA replaces the lines of pg_hba.conf. Without it every connection from
	// this machine is trusted.
	HBA []string
	// BinDir holds the programs of another version than the newest one
	// installed.
	BinDir string
}

// Postgres is a PostgreSQL server with wal_level=logical.
type Postgres struct {
	*Server
	// Host and Port are where it listens.
	Host string
	Port int
	// User is a superuser, Password is empty when none is needed.
	User, Password string
	url            url.URL
}

// StartPostgres makes a new cluster in a folder of its own and starts it. The
// superuser is postgres and needs no password.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	bin := o.BinDir
	if bin == "" {
		var err error
		if bin, err = postgresBinDir(); err != nil {
			return nil, err
		}
	}
	cred, err := account("postgres", mendPostgres)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("postgres", cred)
	if err != nil {
		return nil, err
	}
	ports, err := reservePorts(1)
	if err == nil {
		err = initPostgres(ctx, bin, dir, cred, o)
	}
	if err != nil {
		return nil, errors.Join(err, discard(dir, ports))
	}
	p := postgresAt(url.URL{Scheme: "postgres", User: url.User("postgres"), Host: ports[0].Addr(), Path: "/postgres"})
	p.Server, err = launch(ctx, spec{
		name: "PostgreSQL", dir: dir, cred: cred, ports: ports,
		args: []string{
			filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"),
			"-p", strconv.Itoa(ports[0].Number), "-k", dir, "-c", "listen_addresses=127.0.0.1",
		},
		env:        []string{"LC_ALL=C.UTF-8", "TZ=UTC"},
		stopSignal: syscall.SIGINT, // fast shutdown: open sessions are ended
		ready:      p.answers,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// UsePostgres gives the test the server that EnvPostgres names, else one of its
// own with the default options.
func UsePostgres(tb testing.TB) *Postgres {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*Postgres, error) {
		text, ok := named(EnvPostgres)
		if !ok {
			return StartPostgres(ctx, PostgresOptions{})
		}
		u, err := url.Parse(text)
		if err != nil || u.Port() == "" {
			return nil, fmt.Errorf("services: %s must be postgres://USER[:PASSWORD]@HOST:PORT/DATABASE", EnvPostgres)
		}
		p := postgresAt(*u)
		p.Server = &Server{}
		if err := p.answers(ctx); err != nil {
			return nil, fmt.Errorf("services: the server that %s names does not answer: %w", EnvPostgres, err)
		}
		return p, nil
	})
}

func postgresAt(u url.URL) *Postgres {
	port, _ := strconv.Atoi(u.Port())
	password, _ := u.User.Password()
	return &Postgres{Host: u.Hostname(), Port: port, User: u.User.Username(), Password: password, url: u}
}

// Env is the environment that names this server to other processes.
func (p *Postgres) Env() []string { return []string{EnvPostgres + "=" + p.url.String()} }

// DSN is the connection URL of a database of this server.
func (p *Postgres) DSN(database string) string {
	u := p.url
	u.Path = "/" + database
	return u.String()
}

func (p *Postgres) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}

// NewDatabase makes an empty database for the test and returns its name. When
// the test ends, it is dropped together with its replication slots.
func (p *Postgres) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := uniqueName("t", "_")
	p.Exec(tb, "postgres", "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		if p.watch != nil && p.PID() == 0 {
			return // the test ended the server and did not start it again
		}
		p.dropSlots(tb, name)
		p.Exec(tb, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return name
}

// Exec runs one statement in a database, as the superuser.
func (p *Postgres) Exec(tb testing.TB, database, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.DSN(database))
	if err != nil {
		tb.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// dropSlots drops the replication slots of a database. One that is in use
// loses its user first, who is gone only a moment later.
func (p *Postgres) dropSlots(tb testing.TB, database string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url.String())
	if err != nil {
		tb.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	const end = `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active`
	const drop = `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1`
	err = poll(ctx, "the replication slots of "+database+" to be dropped", 20*time.Millisecond, func(ctx context.Context) error {
		if _, err := conn.Exec(ctx, end, database); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, drop, database)
		return err
	})
	if err != nil {
		tb.Error(err)
	}
}

// initPostgres makes the cluster and its configuration. The settings go to the
// file and not to the command line, so that a test can change and reload them.
func initPostgres(ctx context.Context, bin, dir string, cred *syscall.Credential, o PostgresOptions) error {
	data := filepath.Join(dir, "data")
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("services: initdb: %w\n%s", err, lastLines(string(out), 20))
	}
	settings := map[string]string{
		"wal_level":             "logical",
		"max_wal_senders":       "100",
		"max_replication_slots": "100",
		"max_connections":       "200",
		"fsync":                 "off",
		// In the data folder, which goes with the server; in /dev/shm it stays when the server is killed.
		"dynamic_shared_memory_type": "mmap",
		"timezone":                   "UTC",
		"log_timezone":               "UTC",
	}
	if o.Fsync {
		settings["fsync"] = "on"
	}
	maps.Copy(settings, o.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	if _, err := f.WriteString(conf.String()); err != nil {
		f.Close()
		return fmt.Errorf("services: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	if o.HBA != nil {
		lines := []byte(strings.Join(o.HBA, "\n") + "\n")
		if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), lines, 0o600); err != nil {
			return fmt.Errorf("services: %w", err)
		}
	}
	return nil
}

// postgresBinDir finds the server programs of the newest PostgreSQL that is
// installed: where Debian puts them, else beside initdb on the path.
func postgresBinDir() (string, error) {
	newest, dir := 0, ""
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, initdb := range found {
		bin := filepath.Dir(initdb)
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err == nil && version > newest {
			newest, dir = version, bin
		}
	}
	if newest >= oldestPostgres {
		return dir, nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil && newest == 0 {
		if real, err := filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(real), nil
		}
	}
	return "", missing(fmt.Sprintf("a PostgreSQL server of version %d or newer", oldestPostgres), mendPostgres)
}
