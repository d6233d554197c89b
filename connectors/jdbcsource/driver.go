package jdbcsource

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// driverConn is a connection of a driver made for database/sql. That package's pool has no place here, and boxes each
// value once more.
type driverConn struct{ conn driver.Conn }

func (c *driverConn) close() { _ = c.conn.Close() } // the connection is gone either way

func (c *driverConn) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := c.conn.(driver.ExecerContext).ExecContext(ctx, s, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask returns the answer to a question as text; null is empty.
func (c *driverConn) ask(ctx context.Context, question string) ([][]string, error) {
	cursor, err := c.open(ctx, question, func(rows driver.Rows, i int) column { return column{name: rows.Columns()[i]} })
	if err != nil {
		return nil, err
	}
	var out [][]string
	for {
		row, err := cursor.next()
		if err == io.EOF {
			return out, cursor.close()
		}
		if err != nil {
			return nil, errors.Join(err, cursor.close())
		}
		texts := make([]string, len(row))
		for i := range row {
			texts[i] = string(row[i].appendTo(nil))
		}
		out = append(out, texts)
	}
}

// open asks by a prepared statement, and describes the columns of the answer.
func (c *driverConn) open(ctx context.Context, sql string, describe func(rows driver.Rows, i int) column) (*driverCursor, error) {
	stmt, err := c.conn.(driver.ConnPrepareContext).PrepareContext(ctx, sql)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, stmt.Close())
	}
	n := len(rows.Columns())
	cursor := &driverCursor{stmt: stmt, rows: rows, described: make([]column, n), values: make([]driver.Value, n), row: make([]cell, n)}
	for i := range cursor.described {
		cursor.described[i] = describe(rows, i)
	}
	return cursor, nil
}

// driverCursor is the answer of a driver made for database/sql, which both drivers here read row by row.
type driverCursor struct {
	stmt      driver.Stmt
	rows      driver.Rows
	described []column
	values    []driver.Value
	row       []cell
}

func (c *driverCursor) columns() []column { return c.described }

func (c *driverCursor) next() ([]cell, error) {
	if err := c.rows.Next(c.values); err != nil {
		return nil, err
	}
	for i, v := range c.values {
		if err := c.row[i].set(v); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.described[i].name, err)
		}
		c.described[i].settle(&c.row[i])
	}
	return c.row, nil
}

func (c *driverCursor) close() error { return errors.Join(c.rows.Close(), c.stmt.Close()) }

// settle makes text of what is not bytes, and null of MySQL's zero dates, which are no dates, where that is allowed.
func (c *column) settle(v *cell) {
	if v.kind != cellBytes || c.typ == sqlBytes || c.typ == sqlBits {
		return
	}
	v.kind = cellText
	if c.nullable && (c.typ == sqlDate || c.typ == sqlTimestamp || c.typ == sqlZonedTimestamp) && bytes.HasPrefix(v.b, []byte("0000-00-00")) {
		v.kind = cellNull
	}
}

// set takes over a driver's value.
func (v *cell) set(value driver.Value) error {
	*v = cell{}
	switch x := value.(type) {
	case nil:
	case int64:
		v.kind, v.i = cellInt, x
	case float64:
		v.kind, v.f = cellFloat, x
	case float32:
		v.kind, v.f = cellFloat, float64(x)
	case []byte:
		v.kind, v.b = cellBytes, x
	case string:
		v.kind, v.b = cellText, []byte(x)
	case bool:
		v.kind = cellInt
		if x {
			v.i = 1
		}
	case time.Time:
		v.kind, v.i, v.nanos = cellMoment, x.Unix(), int32(x.Nanosecond())
	default:
		return fmt.Errorf("a %T from the driver", value)
	}
	return nil
}
