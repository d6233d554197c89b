package jdbc

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteDialect is the dialect of SQLite. A cell is a byte that says what is behind it:
//
//	'i' int64 big endian | 'f' float64 big endian | 't' text | 'b' bytes
type sqliteDialect struct {
	path string
	// synced makes every commit wait for the disk. Without it a loss of power takes the last transactions back, with the
	// positions in them, so that they are made again; it is needed where there are no positions.
	synced bool
}

// sqliteBusy is how long a transaction waits for one of another process.
const sqliteBusy = "5000"

func (d *sqliteDialect) connect(ctx context.Context) (conn, error) {
	synchronous := "synchronous(NORMAL)"
	if d.synced {
		synchronous = "synchronous(FULL)"
	}
	q := url.Values{"_pragma": {"busy_timeout(" + sqliteBusy + ")", "journal_mode(WAL)", synchronous, "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: d.path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &sqliteConn{textConn: textConn{db: db, conn: c}, statements: map[statementKey]*sqliteStatement{}}, nil
}

func (*sqliteDialect) fold(name string) string    { return name }
func (*sqliteDialect) quote(name string) string   { return quotedIn(`"`, name) }
func (*sqliteDialect) literal(text string) string { return quotedIn("'", text) }
func (*sqliteDialect) tableOptions() string       { return "" }
func (*sqliteDialect) checkNow() string           { return "" }
func (*sqliteDialect) claim(values string) string { return claimOnConflict(values) }

// exactDigits is how many digits of a decimal a column of numbers keeps: it holds doubles.
const exactDigits = 15

func (*sqliteDialect) columnType(t *typed, _ bool) string {
	switch t.meaning {
	case meansBool, meansInt, meansYear, meansDuration:
		return "integer"
	case meansFloat32, meansFloat64:
		return "real"
	case meansBytes, meansWKB:
		return "blob"
	case meansDecimal:
		if t.scale >= 0 && t.precision > 0 && t.precision <= exactDigits {
			return "numeric"
		}
	}
	return "text"
}

func (*sqliteDialect) appendCell(dst []byte, t *typed, v scalar) ([]byte, error) {
	switch t.meaning {
	case meansBool, meansInt, meansYear, meansDuration:
		return binary.BigEndian.AppendUint64(append(dst, 'i'), uint64(v.i)), nil
	case meansFloat32, meansFloat64:
		return binary.BigEndian.AppendUint64(append(dst, 'f'), math.Float64bits(v.f)), nil
	case meansBytes, meansWKB:
		return append(append(dst, 'b'), v.b...), nil
	}
	return t.appendText(append(dst, 't'), v, 9)
}

// verdict implements dialect, by SQLite's primary result codes.
func (*sqliteDialect) verdict(err error) verdict {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return passing
		}
		return unknownError
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM:
		return passing
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return refusedRow
	case sqlite3.SQLITE_SCHEMA:
		return staleTable
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN:
		return refusedUser
	case sqlite3.SQLITE_ERROR:
		if text := err.Error(); strings.Contains(text, "no such table") || strings.Contains(text, "no such column") || strings.Contains(text, "no column named") {
			return staleTable
		}
	}
	return unknownError
}

func (d *sqliteDialect) describe(ctx context.Context, c conn, name tableName) (described, error) {
	of := d.literal(name.name)
	if name.schema != "" {
		of += ", " + d.literal(name.schema)
	}
	rows, err := c.query(ctx, `SELECT name, type, "notnull" = 1 AND dflt_value IS NULL, hidden IN (2, 3) FROM pragma_table_xinfo(`+of+`) WHERE hidden <> 1`)
	if err != nil {
		return described{}, err
	}
	var out described
	for _, row := range rows {
		out.columns = append(out.columns, target{name: row[0], sqlType: row[1], required: row[2] == "1", computed: row[3] == "1"})
	}
	return out, nil
}

// sqliteConn is a connection to a SQLite file. Rows are written by a prepared statement each: there is no round trip to
// save.
type sqliteConn struct {
	textConn
	statements map[statementKey]*sqliteStatement
	args       []driver.NamedValue
}

type statementKey struct {
	shape int
	verb  verb
	step  int
}

type sqliteStatement struct {
	version int
	stmt    driver.Stmt
}

func (c *sqliteConn) close() {
	for _, s := range c.statements {
		_ = s.stmt.Close() // the connection is closed with it
	}
	c.textConn.close()
}

func (c *sqliteConn) write(ctx context.Context, g *group) error {
	if g.verb == truncateTable {
		_, err := c.exec(ctx, "DELETE FROM "+g.shape.table.quoted)
		return err
	}
	steps := sqliteSteps(g)
	uncancelled := context.WithoutCancel(ctx) // the driver would start a goroutine for each statement to watch over ctx
	return c.conn.Raw(func(raw any) error {
		for _, r := range g.rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			for i, step := range steps {
				n, err := c.step(uncancelled, raw, g, r, i, step)
				if err != nil {
					return err
				}
				if n > 0 {
					break // the second step is for rows that the first did not find
				}
			}
		}
		return nil
	})
}

// sqliteStep is a statement for one row, with the columns that are its parameters in order.
type sqliteStep struct {
	sql     string
	columns []int
}

// step runs a statement for a row and returns how many rows it touched.
func (c *sqliteConn) step(ctx context.Context, raw any, g *group, r *row, i int, step sqliteStep) (int64, error) {
	key := statementKey{g.shape.id, g.verb, i}
	s := c.statements[key]
	if s == nil || s.version != g.shape.version {
		stmt, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, step.sql)
		if err != nil {
			return 0, err
		}
		if s != nil {
			_ = s.stmt.Close() // the table it was made for has changed
		}
		s = &sqliteStatement{g.shape.version, stmt}
		c.statements[key] = s
	}
	for len(c.args) < len(step.columns) {
		c.args = append(c.args, driver.NamedValue{})
	}
	args := c.args[:len(step.columns)]
	cells := g.arena[r.start:r.end]
	for column := 0; len(cells) > 0; column++ {
		var cell []byte
		cell, cells = nextCell(cells)
		for j, wanted := range step.columns {
			if wanted == column {
				args[j] = driver.NamedValue{Ordinal: j + 1, Value: sqliteValue(cell)}
			}
		}
	}
	result, err := s.stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func sqliteValue(cell []byte) driver.Value {
	if cell == nil {
		return nil
	}
	switch cell[0] {
	case 'i':
		return int64(binary.BigEndian.Uint64(cell[1:]))
	case 'f':
		return math.Float64frombits(binary.BigEndian.Uint64(cell[1:]))
	case 't':
		return string(cell[1:])
	}
	return cell[1:]
}

// sqliteSteps returns the statements for each row of a group: the second for rows that the first does not touch.
func sqliteSteps(g *group) []sqliteStep {
	of, quote := g.shape, (&sqliteDialect{}).quote
	name := func(_ int, c *column) string { return quote(c.target.name) }
	equals := func(_ int, c *column) string { return quote(c.target.name) + " = ?" }
	all, keys, rest := make([]int, len(of.columns)), make([]int, of.keys), make([]int, len(of.columns)-of.keys)
	for i := range all {
		all[i] = i
	}
	copy(keys, all)
	copy(rest, all[of.keys:])
	insert := sqliteStep{fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", of.table.quoted, list(of.columns, ", ", name),
		list(of.columns, ", ", func(int, *column) string { return "?" })), all}
	where := " WHERE " + list(of.columns[:of.keys], " AND ", equals)
	update := sqliteStep{"UPDATE " + of.table.quoted + " SET " + list(of.columns[of.keys:], ", ", equals) + where, append(rest, keys...)}
	if len(of.columns) == of.keys {
		update.sql = "UPDATE " + of.table.quoted + " SET " + quote(of.columns[0].target.name) + " = " + quote(of.columns[0].target.name) + where
	}
	switch g.verb {
	case deleteRows:
		return []sqliteStep{{"DELETE FROM " + of.table.quoted + where, keys}}
	case updateRows:
		return []sqliteStep{update}
	case patchRows:
		return []sqliteStep{update, insert}
	case upsertRows:
		action := "NOTHING"
		if len(of.columns) > of.keys {
			action = "UPDATE SET " + list(of.columns[of.keys:], ", ", func(_ int, c *column) string {
				return quote(c.target.name) + " = excluded." + quote(c.target.name)
			})
		}
		insert.sql += " ON CONFLICT (" + list(of.columns[:of.keys], ", ", name) + ") DO " + action
	}
	return []sqliteStep{insert}
}
