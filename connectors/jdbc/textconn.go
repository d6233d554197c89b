package jdbc

import (
	"context"
	"database/sql"
)

// textConn is what the connections of database/sql have in common: questions whose answers are text.
type textConn struct {
	db   *sql.DB
	conn *sql.Conn
}

func (c *textConn) close() {
	_ = c.conn.Close() // the connection is gone either way
	_ = c.db.Close()
}

func (c *textConn) exec(ctx context.Context, statements ...string) (n int64, err error) {
	for _, s := range statements {
		result, err := c.conn.ExecContext(ctx, s)
		if err != nil {
			return n, err
		}
		touched, err := result.RowsAffected()
		if err != nil {
			return n, err
		}
		n += touched
	}
	return n, nil
}

func (c *textConn) query(ctx context.Context, statement string) (out [][]string, err error) {
	rows, err := c.conn.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := rows.Close(); err == nil {
			err = closed
		}
	}()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, places := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		places[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for i := range values {
			row[i] = values[i].String
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
