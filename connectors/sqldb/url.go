// Package sqldb says where a relational database is and how it is spoken to, for the connectors that take it as a JDBC
// driver does: from a URL, a user and a password.
package sqldb

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// Kind is one of the databases that are spoken to.
type Kind string

// The kinds, named as in a JDBC URL.
const (
	PostgreSQL Kind = "postgresql"
	MySQL      Kind = "mysql"
	MariaDB    Kind = "mariadb"
	SQLite     Kind = "sqlite"
)

// Address is where a database is and how it is spoken to, as connection.url says it. It is immutable.
type Address struct {
	Kind     Kind
	Hosts    []string // HOST:PORT in the order to try them, the port always there; none for SQLite
	Database string   // of SQLite the path of the file
	User     string
	Password string
	TLS      string            // PostgreSQL's sslmode in its own words; "" is the driver's own choice
	Params   map[string]string // of PostgreSQL: what libpq calls them
	Ignored  []string          // parameters of the URL that have no meaning here, in order
}

// Warnings returns what a user should know about the address that key holds.
func (a Address) Warnings(key string) []configs.Problem {
	var out []configs.Problem
	if len(a.Ignored) > 0 {
		out = append(out, configs.KeyWarning(key, "Parameters of a JDBC driver that have no effect here: "+strings.Join(a.Ignored, ", ")+"."))
	}
	if a.Password != "" {
		out = append(out, configs.KeyWarning(key, "There is a password in the address, which is shown wherever the configuration is. Put it into connection.password."))
	}
	return out
}

// Quoted puts a name or literal into quotes of one kind, which are doubled inside.
func Quoted(q, text string) string { return q + strings.ReplaceAll(text, q, q+q) + q }

var errURL = errors.New("must be jdbc:postgresql://HOST:PORT/DATABASE, jdbc:mysql://HOST:PORT/DATABASE, " +
	"jdbc:mariadb://HOST:PORT/DATABASE or jdbc:sqlite:PATH (jdbc: may be left out)")

// ParseURL reads an address in JDBC's spelling, or the driver's own: with a scheme and user, or as go-sql-driver/mysql
// spells it (USER:PASSWORD@tcp(HOST:PORT)/DATABASE). The errors never repeat the text: it may hold a password.
func ParseURL(text string) (Address, error) {
	text = strings.TrimSpace(text)
	if rest, ok := cutPrefixFold(text, "jdbc:"); ok {
		text = rest
	} else if a, ok, err := parseDSN(text); ok {
		return a, err
	}
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Address{}, errURL
	}
	a := Address{Params: map[string]string{}}
	switch strings.ToLower(scheme) {
	case "postgresql", "postgres":
		a.Kind = PostgreSQL
	case "mysql":
		a.Kind = MySQL
	case "mariadb":
		a.Kind = MariaDB
	case "sqlite", "file":
		return parseSQLite(rest)
	default:
		return Address{}, errURL
	}
	return a, a.parseServer(rest)
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// parseDSN reads go-sql-driver's spelling, which is known by its protocol in front of parentheses.
func parseDSN(text string) (a Address, ok bool, err error) {
	at := strings.Index(text, "@tcp(")
	if at < 0 {
		return a, false, nil
	}
	host, rest, closed := strings.Cut(text[at+len("@tcp("):], ")")
	if !closed {
		return a, true, errURL
	}
	a = Address{Kind: MySQL, Params: map[string]string{}}
	a.User, a.Password, _ = strings.Cut(text[:at], ":")
	return a, true, a.parseServer("//" + host + rest)
}

// parseSQLite reads what follows "sqlite:": a path, with or without "//" and "file:".
func parseSQLite(rest string) (Address, error) {
	rest, _ = strings.CutPrefix(rest, "file:")
	path, query, _ := strings.Cut(rest, "?")
	if trimmed, ok := strings.CutPrefix(path, "//"); ok && !strings.HasPrefix(trimmed, "/") {
		path = trimmed
	} else if strings.HasPrefix(path, "///") {
		path = path[2:]
	}
	a := Address{Kind: SQLite, Database: path, Params: map[string]string{}}
	if path == "" || strings.HasPrefix(path, ":") {
		return a, errors.New("must name a file: jdbc:sqlite:PATH; a database in memory would be gone with the task")
	}
	if strings.ContainsAny(path, "\x00") {
		return a, errors.New("must not have a NUL in the path")
	}
	if query != "" {
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			a.Ignored = append(a.Ignored, name)
		}
	}
	return a, nil
}

// parseServer reads //USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?NAME=VALUE&…; PostgreSQL's driver also takes a
// database alone.
func (a *Address) parseServer(rest string) error {
	rest, query, _ := strings.Cut(rest, "?")
	hosts, database := "", rest
	if server, ok := strings.CutPrefix(rest, "//"); ok {
		hosts, database, _ = strings.Cut(server, "/")
	} else if a.Kind != PostgreSQL || rest == "" {
		return errURL
	}
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		user, password, _ := strings.Cut(hosts[:at], ":")
		var err, err2 error
		a.User, err = url.PathUnescape(user)
		a.Password, err2 = url.PathUnescape(password)
		if err != nil || err2 != nil {
			return errors.New("has a user or password that is not percent-encoded")
		}
		hosts = hosts[at+1:]
	}
	var err error
	if a.Database, err = url.PathUnescape(database); err != nil || strings.Contains(a.Database, "\x00") {
		return errors.New("has a database name that is not percent-encoded")
	}
	if err := a.parseHosts(hosts); err != nil {
		return err
	}
	return a.parseParams(query)
}

func (a *Address) parseHosts(list string) error {
	port := "5432"
	if a.Kind != PostgreSQL {
		port = "3306"
	}
	for host := range strings.SplitSeq(list, ",") {
		h, p := host, port
		if i := strings.LastIndex(host, ":"); i >= 0 && !strings.HasSuffix(host, "]") {
			h, p = host[:i], host[i+1:]
		}
		if h == "" {
			h = "localhost"
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("has a port that is not a number from 1 to 65535")
		}
		if strings.Contains(strings.Trim(h, "[]"), ":") != strings.HasPrefix(h, "[") || strings.ContainsAny(h, " \t\r\n\x00()@'\\") {
			return errors.New("has a host that is neither a name nor an IP address; an IPv6 address stands in brackets")
		}
		a.Hosts = append(a.Hosts, h+":"+p)
	}
	return nil
}

// parseParams reads NAME=VALUE&…. Those of the JDBC drivers that say where and as whom to connect are obeyed; the others
// tune a driver that is not here.
func (a *Address) parseParams(query string) error {
	if query == "" {
		return nil
	}
	given := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		value, err := url.PathUnescape(value) // a plus is a plus, as in Java's drivers
		if err != nil {
			return errors.New("has a parameter that is not percent-encoded")
		}
		given[name] = value
		if a.param(strings.ToLower(name), value) {
			continue
		}
		a.Ignored = append(a.Ignored, name)
	}
	if a.Kind != PostgreSQL {
		a.TLS = mysqlTLS(given)
	} else if a.TLS == "" && slices.Contains([]string{"true", "", "1"}, given["ssl"]) {
		if _, ok := given["ssl"]; ok {
			a.TLS = "verify-full" // as pgjdbc since version 42
		}
	}
	return nil
}

// param obeys a parameter, or reports that it has no meaning here.
func (a *Address) param(name, value string) bool {
	switch name {
	case "user":
		a.User = value
		return true
	case "password":
		a.Password = value
		return true
	}
	if a.Kind != PostgreSQL {
		switch name {
		case "usessl", "requiressl", "verifyservercertificate", "sslmode", "trustservercertificate", "tls":
			return true // see mysqlTLS
		}
		return false
	}
	libpq := map[string]string{"currentschema": "search_path", "applicationname": "application_name", "connecttimeout": "connect_timeout",
		"logintimeout": "connect_timeout", "options": "options", "sslrootcert": "sslrootcert", "sslcert": "sslcert", "sslkey": "sslkey",
		"sslpassword": "sslpassword", "targetservertype": "target_session_attrs", "application_name": "application_name",
		"connect_timeout": "connect_timeout", "search_path": "search_path", "target_session_attrs": "target_session_attrs"}
	switch name {
	case "ssl":
	case "sslmode":
		a.TLS = value
	default:
		known := libpq[name]
		if known == "" {
			return false
		}
		if known == "target_session_attrs" {
			switch value {
			case "master":
				value = "primary"
			case "secondary", "slave":
				value = "standby"
			case "preferSecondary", "preferPrimary":
				value = "any"
			}
		}
		a.Params[known] = value
	}
	return true
}

// mysqlTLS says what the parameters of MySQL's and MariaDB's drivers come to, in the words of go-sql-driver.
func mysqlTLS(given map[string]string) string {
	p := map[string]string{}
	for name, value := range given {
		p[strings.ToLower(name)] = strings.ToLower(value)
	}
	if own := p["tls"]; own == "true" || own == "false" || own == "skip-verify" || own == "preferred" {
		return own
	}
	switch strings.ReplaceAll(p["sslmode"], "-", "_") {
	case "disabled", "disable":
		return "false"
	case "required", "require", "trust":
		return "skip-verify"
	case "verify_ca", "verify_identity", "verify_full":
		return "true"
	case "preferred":
		return "preferred"
	}
	switch {
	case p["usessl"] == "false":
		return "false"
	case p["verifyservercertificate"] == "true", p["usessl"] == "true" && p["trustservercertificate"] == "false":
		return "true"
	case p["usessl"] == "true" && (p["requiressl"] == "true" || p["trustservercertificate"] == "true"):
		return "skip-verify"
	}
	return "preferred"
}

// String names the database without user and password.
func (a Address) String() string {
	if a.Kind == SQLite {
		return "sqlite:" + a.Database
	}
	return fmt.Sprintf("%s://%s/%s", a.Kind, strings.Join(a.Hosts, ","), a.Database)
}
