package jdbcsource

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors/sqldb"
	sqlite "modernc.org/sqlite"
)

// sqliteDialect is the dialect of SQLite. A value has the type that was written, not its column's, so the column's
// declaration says what is made of it. Timestamps are compared in milliseconds since 1970, whether they are text, such a
// number, or a Julian day.
type sqliteDialect struct {
	path        string
	uncommitted bool
}

// sqliteBusy is how long a query waits for a transaction of another process, in milliseconds.
const sqliteBusy = "5000"

func (d *sqliteDialect) connect(ctx context.Context) (conn, error) {
	q := url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(" + sqliteBusy + ")", "query_only(1)"}}
	if d.uncommitted {
		q.Add("_pragma", "read_uncommitted(1)")
	}
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: d.path}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &sqliteConn{&driverConn{conn: c}}
	if _, err := s.ask(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil { // it opens the file only now
		s.close()
		return nil, err
	}
	return s, nil
}

func (*sqliteDialect) quote(name string) string { return sqldb.Quoted(`"`, name) }

func (*sqliteDialect) moment(at instant, _ sqlType) string {
	return strconv.FormatInt(at.milliseconds(), 10)
}

func (*sqliteDialect) comparable(stamp string) string {
	return "CASE typeof(" + stamp + ") WHEN 'integer' THEN " + stamp + " ELSE CAST(round(unixepoch(" + stamp + ", 'subsec') * 1000) AS INTEGER) END"
}

func (*sqliteDialect) exact(at instant) instant { return at.rounded() }

type sqliteConn struct{ *driverConn }

func (c *sqliteConn) now(ctx context.Context) (instant, error) {
	rows, err := c.ask(ctx, "SELECT CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)")
	if err != nil {
		return instant{}, err
	}
	ms, err := strconv.ParseInt(rows[0][0], 10, 64)
	return ofMilliseconds(ms), err
}

func (c *sqliteConn) tables(ctx context.Context) ([]table, error) {
	rows, err := c.ask(ctx, `SELECT name, upper(type) FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	var out []table
	for _, r := range rows {
		out = append(out, table{name: r[0], kind: r[1]})
	}
	return out, err
}

// describe asks for the declarations of a table. The rows of a query have them too.
func (c *sqliteConn) describe(ctx context.Context, q question) ([]column, error) {
	if q.table == nil {
		if !q.where {
			return nil, nil
		}
		cursor, err := c.query(ctx, q.sql+nothing, nil)
		if err != nil {
			return nil, err
		}
		return cursor.columns(), cursor.close()
	}
	rows, err := c.ask(ctx, `SELECT name, type, "notnull", pk, (SELECT count(*) FROM pragma_table_xinfo(t.n) WHERE pk > 0) FROM (SELECT `+
		sqldb.Quoted("'", q.table.name)+` AS n) t, pragma_table_xinfo(t.n) WHERE hidden <> 1`)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNoTable
	}
	var out []column
	for _, r := range rows {
		of := declared(r[1])
		of.name, of.nullable = r[0], r[2] != "1"
		if strings.EqualFold(r[1], "INTEGER") && r[3] == "1" && r[4] == "1" { // it is the number of the row
			of.nullable, of.numbered = false, true
		}
		out = append(out, of)
	}
	return out, nil
}

func (c *sqliteConn) query(ctx context.Context, sql string, described []column) (cursor, error) {
	rows, err := c.open(ctx, sql, func(rows driver.Rows, i int) column {
		name := rows.Columns()[i]
		if known := find(described, name); known != nil {
			return *known
		}
		of := column{}
		if r, ok := rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
			of = declared(r.ColumnTypeDatabaseTypeName(i))
		}
		of.name, of.nullable = name, true
		return of
	})
	if err != nil {
		return nil, err
	}
	s := &sqliteCursor{driverCursor: rows}
	if err := s.first(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// sqliteCursor looks at the first row before it tells its columns: an expression has no declaration, but a value.
type sqliteCursor struct {
	*driverCursor
	ahead []cell // the first row, until it is asked for
	err   error
}

func (c *sqliteCursor) first() error {
	c.ahead, c.err = c.driverCursor.next()
	if c.err != nil && c.err != io.EOF {
		return c.err
	}
	for i := range c.described {
		of := &c.described[i]
		if of.typ != unsupported {
			continue
		}
		of.typ = sqlText
		if c.ahead == nil {
			continue
		}
		switch c.ahead[i].kind {
		case cellInt:
			of.typ, of.bits = sqlInt, 64
		case cellFloat:
			of.typ = sqlFloat64
		case cellBytes:
			of.typ = sqlBytes
		}
	}
	return nil
}

func (c *sqliteCursor) next() ([]cell, error) {
	if row := c.ahead; row != nil || c.err != nil {
		err := c.err
		c.ahead, c.err = nil, nil
		return row, err
	}
	return c.driverCursor.next()
}

// declaration is a type with precision and scale: "DECIMAL(12, 2)".
var declaration = regexp.MustCompile(`^([^(]*)(?:\(\s*(\d{1,4})\s*(?:,\s*(\d{1,4})\s*)?\))?`)

// declared returns what the declaration of a column says of its values. Without one the type is unsupported.
func declared(text string) column {
	part := declaration.FindStringSubmatch(strings.ToUpper(text))
	name := strings.TrimSpace(part[1])
	c := column{native: name}
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(name, w) {
				return true
			}
		}
		return false
	}
	switch {
	case name == "":
	case has("BOOL"):
		c.typ = sqlBool
	case has("INT"):
		c.typ, c.bits = sqlInt, 64
	case has("CHAR", "CLOB", "TEXT"):
		c.typ = sqlText
	case has("BLOB", "BINARY"):
		c.typ = sqlBytes
	case has("REAL", "FLOA", "DOUB"):
		c.typ = sqlFloat64
	case has("DATETIME", "TIMESTAMP"):
		c.typ = sqlTimestamp
	case name == "DATE":
		c.typ = sqlDate
	case has("DEC", "NUM"):
		c.typ = sqlFloat64
		if part[2] != "" {
			c.typ = sqlDecimal
			c.precision, _ = strconv.Atoi(part[2])
			c.scale, _ = strconv.Atoi(part[3])
		}
	default:
		c.typ = sqlText
	}
	return c
}
