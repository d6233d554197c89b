package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sessionSettings make every session print values in the one form that the decoders read.
func sessionSettings() map[string]string {
	return map[string]string{
		"client_encoding":               "UTF8",
		"TimeZone":                      "UTC",
		"DateStyle":                     "ISO, YMD",
		"IntervalStyle":                 "postgres",
		"extra_float_digits":            "3",
		"bytea_output":                  "hex",
		"standard_conforming_strings":   "on",
		"default_transaction_isolation": "read committed",
		"lc_monetary":                   "C",
		"application_name":              "sluice",
		"statement_timeout":             "0",
		"lock_timeout":                  "0",
		"xmloption":                     "content",
		"default_transaction_read_only": "off",
		// Rows that the role may not see are an error, not left out of a snapshot in silence: the log has all of them.
		"row_security": "off",
		// A snapshot waits while what was committed before it is caught up with.
		"idle_in_transaction_session_timeout": "0",
	}
}

// errNoUser is said instead of trying as the user whose process this happens to be, as libpq would.
var errNoUser = errors.New("database.user is not set, and PGUSER is not in the environment of sluice")

// connectTimeout is how long a server may take to answer, unless PGCONNECT_TIMEOUT says otherwise: a host that is down
// shall be known within seconds.
const connectTimeout = 4 * time.Second

// config returns how to connect. What the settings leave out comes from libpq's environment and password file.
func (s *settings) config() (*pgx.ConnConfig, error) {
	if s.v.String("database.user") == "" && os.Getenv("PGUSER") == "" {
		return nil, wrong("connect to PostgreSQL", "set one of them", "%w", errNoUser)
	}
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("host", s.v.String("database.hostname"))
	set("port", strconv.Itoa(s.v.Int("database.port")))
	set("user", s.v.String("database.user"))
	set("password", s.v.Password("database.password").Reveal())
	set("dbname", s.v.String("database.dbname"))
	for _, name := range []string{"sslmode", "sslcert", "sslkey", "sslrootcert"} {
		set(name, s.v.String("database."+name))
	}
	set("sslpassword", s.v.Password("database.sslpassword").Reveal())
	c, err := pgx.ParseConfig("postgres://?" + q.Encode())
	if err != nil {
		// The error of the parser repeats the connection string.
		var parse *pgconn.ParseConfigError
		if errors.As(err, &parse) && parse.Unwrap() != nil {
			err = parse.Unwrap()
		}
		return nil, fmt.Errorf("connection settings: %w", err)
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	for name, value := range sessionSettings() {
		c.RuntimeParams[name] = value
	}
	c.AfterConnect = lasting
	c.DialFunc = dialer(silence).DialContext
	return c, nil
}

// lasting lets a session wait, and a snapshot be read, for as long as it takes, whatever role and database say. Servers
// that do not know one of these settings would refuse it as a parameter of the connection.
func lasting(ctx context.Context, c *pgconn.PgConn) error {
	_, err := c.Exec(ctx, "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')").ReadAll()
	return err
}

// connect opens an ordinary session.
func (s *settings) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, statement := range initialStatements(s.v.String("database.initial.statements")) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			conn.Close(ctx)
			return nil, fmt.Errorf("database.initial.statements: %w", err)
		}
	}
	return conn, nil
}

// connectReplication opens a session that takes replication commands.
func (s *settings) connectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["replication"] = "database"
	return pgconn.ConnectConfig(ctx, &c.Config)
}

// initialStatements splits at semicolons; two of them are one in a statement.
func initialStatements(text string) []string {
	const mark = "\x00"
	var out []string
	for _, st := range strings.Split(strings.ReplaceAll(text, ";;", mark), ";") {
		if st = strings.TrimSpace(strings.ReplaceAll(st, mark, ";")); st != "" {
			out = append(out, st)
		}
	}
	return out
}

// quote quotes an identifier.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteText quotes a literal.
func quoteText(text string) string {
	if strings.ContainsRune(text, '\\') {
		return " E'" + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "'", "''") + "'"
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
