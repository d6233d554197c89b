package jdbc

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/sluicehub/sluice/connectors/sqldb"
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

const (
	// sqliteCache is the page cache in KiB, with a minus. The pages that a batch touches fit, so that they are written once.
	sqliteCache = "-32768"
	// sqliteCheckpoint is after how many pages of 4 KiB the write-ahead log goes back into the file. Pages that many
	// batches touch are written there once, and the file is synced less often.
	sqliteCheckpoint = "8192"
)

func (d *sqliteDialect) connect(ctx context.Context) (conn, error) {
	synchronous := "synchronous(NORMAL)"
	if d.synced {
		synchronous = "synchronous(FULL)"
	}
	q := url.Values{"_pragma": {"busy_timeout(" + sqliteBusy + ")", "journal_mode(WAL)", synchronous, "foreign_keys(1)",
		"cache_size(" + sqliteCache + ")", "wal_autocheckpoint(" + sqliteCheckpoint + ")"}}
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
func (*sqliteDialect) stored(name string) string  { return name }
func (*sqliteDialect) quote(name string) string   { return sqldb.Quoted(`"`, name) }
func (*sqliteDialect) literal(text string) string { return sqldb.Quoted("'", text) }
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
		if math.IsNaN(v.f) {
			break // as a number it would become null
		}
		return binary.BigEndian.AppendUint64(append(dst, 'f'), math.Float64bits(v.f)), nil
	case meansBytes, meansWKB:
		return append(append(dst, 'b'), v.b...), nil
	}
	return t.appendText(append(dst, 't'), v, 9)
}

// constant implements dialect.
func (d *sqliteDialect) constant(t *typed, v scalar) (string, error) {
	cell, err := d.appendCell(nil, t, v)
	if err != nil {
		return "", err
	}
	switch v := sqliteValue(string(cell)).(type) {
	case string:
		return d.literal(v), nil
	case []byte:
		return "x'" + hex.EncodeToString(v) + "'", nil
	default:
		return fmt.Sprint(v), nil
	}
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
