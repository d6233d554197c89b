package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// debianMirror is used when this machine's package sources name none.
const debianMirror = "http://deb.debian.org/debian"

// The user that tests connect as: it may do everything, from everywhere.
const (
	mysqlUser     = "sluice"
	mysqlPassword = "sluice"
	mysqlUserSQL  = "CREATE USER " + mysqlUser + "@'%' IDENTIFIED BY '" + mysqlPassword + "';\n" +
		"GRANT ALL ON *.* TO " + mysqlUser + "@'%' WITH GRANT OPTION;\n"
)

// MySQLOptions choose how a MySQL or MariaDB is started. The zero value is good
// for tests that do not end the server.
type MySQLOptions struct {
	// Args are added to the server's command line, after those set here.
	Args []string
	// Durable keeps the log and the data on disk in step, as they must be when
	// the server is to be killed and its data still believed.
	Durable bool
}

// MySQL is a MySQL or MariaDB server with a binary log of rows.
type MySQL struct {
	*Server
	// Host and Port are where it listens.
	Host string
	Port int
	// User may do everything.
	User, Password string
	// MariaDB tells which of the two it is.
	MariaDB bool
}

// FetchMySQL unpacks Debian's MySQL unless the cache has it, with all libraries
// that it needs and an empty data folder to start from. It returns the folder.
// It must be run as root, because debootstrap must.
func FetchMySQL(ctx context.Context) (string, error) {
	return fetched(ctx, "mysql-sid", func(ctx context.Context, dir string) error {
		root := filepath.Join(dir, "root")
		err := tool(ctx, nil, "apt-get update && apt-get install -y debootstrap", "debootstrap",
			"--variant=minbase", "--include=mysql-server-core,mysql-client-core", "sid", root, mirror())
		if err != nil {
			return err
		}
		init := filepath.Join(dir, "init.sql")
		if err := os.WriteFile(init, []byte(mysqlUserSQL), 0o644); err != nil {
			return err
		}
		args := append(mysqlProgram(dir, "mysqld"), "--initialize-insecure", "--user="+serverUser(),
			"--innodb-redo-log-capacity=16M", "--datadir="+filepath.Join(dir, "data"), "--init-file="+init)
		if err := tool(ctx, nil, "", args[0], args[1:]...); err != nil {
			return err
		}
		// Each copy is a server of its own.
		return os.Remove(filepath.Join(dir, "data", "auto.cnf"))
	})
}

// MySQLProgram is how a program of the fetched MySQL is run: mysqlbinlog, say.
func MySQLProgram(ctx context.Context, name string) ([]string, error) {
	dir, err := FetchMySQL(ctx)
	if err != nil {
		return nil, err
	}
	args := mysqlProgram(dir, name)
	if name != "mysqld" {
		args = args[:4]
	}
	return args, nil
}

// mysqlProgram runs a program with the libraries it was made for, which are
// newer than this machine's.
func mysqlProgram(dir, name string) []string {
	root := filepath.Join(dir, "root")
	place := "bin"
	if name == "mysqld" {
		place = "sbin"
	}
	return []string{
		filepath.Join(root, "lib64/ld-linux-x86-64.so.2"),
		"--library-path", filepath.Join(root, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "usr/lib/mysql/private"),
		filepath.Join(root, "usr", place, name),
		"--no-defaults", "--basedir=" + filepath.Join(root, "usr"), "--lc-messages-dir=" + filepath.Join(root, "usr/share/mysql"),
		"--plugin-dir=" + filepath.Join(root, "usr/lib/mysql/plugin"), "--character-sets-dir=" + filepath.Join(root, "usr/share/mysql/charsets"),
	}
}

// StartMySQL starts an empty MySQL with GTIDs. It takes about three seconds.
func StartMySQL(ctx context.Context, o MySQLOptions) (*MySQL, error) {
	dist, err := FetchMySQL(ctx)
	if err != nil {
		return nil, err
	}
	dir, ports, err := newMySQLDir("mysql")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(dist, "data"))); err != nil {
		return nil, errors.Join(fmt.Errorf("services: copy the empty data folder: %w", err), discard(dir, ports))
	}
	args := append(mysqlProgram(dist, "mysqld"), "--user="+serverUser(), "--mysqlx=OFF", "--secure-file-priv=", "--innodb-redo-log-capacity=64M",
		"--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--server-id=1", "--event-scheduler=OFF")
	return startMySQL(ctx, "MySQL", dir, ports, args, o)
}

func newMySQLDir(kind string) (string, []*Port, error) {
	dir, err := newDir(kind, nil)
	if err != nil {
		return "", nil, err
	}
	ports, err := reservePorts(1)
	if err != nil {
		return "", nil, errors.Join(err, discard(dir, nil))
	}
	return dir, ports, nil
}

// startMySQL starts a server of either kind on the data folder in dir.
func startMySQL(ctx context.Context, name, dir string, ports []*Port, args []string, o MySQLOptions) (*MySQL, error) {
	// A MariaDB that starts removes the temporary tables of all that share its tmpdir, and these crash.
	args = append(args, "--datadir="+filepath.Join(dir, "data"), "--tmpdir="+dir, "--port="+strconv.Itoa(ports[0].Number), "--bind-address=127.0.0.1",
		"--socket="+filepath.Join(dir, "s"), "--pid-file="+filepath.Join(dir, "pid"), "--log-bin=binlog", "--binlog-format=ROW",
		"--max-connections=300", "--local-infile=ON")
	if !o.Durable {
		args = append(args, "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0")
	}
	m := &MySQL{Host: "127.0.0.1", Port: ports[0].Number, User: mysqlUser, Password: mysqlPassword, MariaDB: name == "MariaDB"}
	var err error
	m.Server, err = launch(ctx, spec{name: name, dir: dir, ports: ports, args: append(args, o.Args...), env: []string{"TZ=UTC"},
		stopSignal: syscall.SIGTERM, ready: m.answers})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// serverUser is the user that the server runs as: this one.
func serverUser() string {
	if u := os.Getenv("USER"); u != "" && os.Geteuid() != 0 {
		return u
	}
	return "root"
}

// mirror is the first mirror in this machine's package sources.
func mirror() string {
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			if uri, ok := strings.CutPrefix(s.Text(), "URIs: "); ok && strings.Contains(uri, "debian") && !strings.Contains(uri, "security") {
				f.Close()
				return strings.Fields(uri)[0]
			}
		}
		f.Close()
	}
	return debianMirror
}

// UseMySQL gives the test the server that EnvMySQL names, else one of its own
// with the default options.
func UseMySQL(tb testing.TB) *MySQL {
	tb.Helper()
	return use(tb, func(ctx context.Context) (*MySQL, error) {
		if text, ok := named(EnvMySQL); ok {
			return mysqlAt(ctx, EnvMySQL, text)
		}
		return StartMySQL(ctx, MySQLOptions{})
	})
}

// mysqlAt is the server that a variable names.
func mysqlAt(ctx context.Context, variable, text string) (*MySQL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Port() == "" {
		return nil, fmt.Errorf("services: %s must be mysql://USER:PASSWORD@HOST:PORT", variable)
	}
	port, _ := strconv.Atoi(u.Port())
	password, _ := u.User.Password()
	m := &MySQL{Server: &Server{}, Host: u.Hostname(), Port: port, User: u.User.Username(), Password: password, MariaDB: variable == EnvMariaDB}
	if err := m.answers(ctx); err != nil {
		return nil, fmt.Errorf("services: the server that %s names does not answer: %w", variable, err)
	}
	return m, nil
}

// Env is the environment that names this server to other processes.
func (m *MySQL) Env() []string {
	name := EnvMySQL
	if m.MariaDB {
		name = EnvMariaDB
	}
	u := url.URL{Scheme: "mysql", User: url.UserPassword(m.User, m.Password), Host: m.addr()}
	return []string{name + "=" + u.String()}
}

func (m *MySQL) addr() string { return fmt.Sprintf("%s:%d", m.Host, m.Port) }

// Connect opens a session in a database, "" for none.
func (m *MySQL) Connect(ctx context.Context, database string) (*client.Conn, error) {
	return client.ConnectWithContext(ctx, m.addr(), m.User, m.Password, database, 10*time.Second)
}

func (m *MySQL) answers(ctx context.Context) error {
	c, err := m.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Ping()
}

// NewDatabase makes an empty database for the test and returns its name. It is
// dropped when the test ends.
func (m *MySQL) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := uniqueName("t", "_")
	m.Exec(tb, "", "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	tb.Cleanup(func() {
		if m.watch == nil || m.PID() != 0 { // else the test ended the server and did not start it again
			m.Exec(tb, "", "DROP DATABASE IF EXISTS "+name)
		}
	})
	return name
}

// Exec runs one statement in a database and returns its result.
func (m *MySQL) Exec(tb testing.TB, database, sql string) *mysql.Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := m.Connect(ctx, database)
	if err != nil {
		tb.Fatalf("connect to %s: %v", m.addr(), err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r, err := c.Execute(sql)
	if err != nil {
		tb.Fatalf("%.300s: %v", sql, err)
	}
	return r
}
