package jdbc

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"strings"
)

// sqliteConn is a connection to a SQLite file. Rows are written by prepared statements, inserts by one for many rows: there
// is no round trip to save, but much that the driver and SQLite do once for each statement.
type sqliteConn struct {
	textConn
	statements map[statementKey]*sqliteStatement
	args       []driver.NamedValue
}

const (
	// sqliteRows is how many rows an insert of many has. Measured: 16 gain two thirds of what 64 do.
	sqliteRows = 64
	// sqliteParameters bounds the parameters of a statement. SQLite takes 32,766.
	sqliteParameters = 8192
)

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
	steps, rows := sqliteSteps(g), g.rows
	uncancelled := context.WithoutCancel(ctx) // the driver would start a goroutine for each statement to watch over ctx
	return c.conn.Raw(func(raw any) error {
		if n := manyRows(g); n > 1 && len(rows) >= n {
			many := sqliteInsert(g, n)
			if err := c.prepare(uncancelled, raw, g, len(steps), &many); err != nil {
				return err
			}
			for ; len(rows) >= many.rows; rows = rows[many.rows:] {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := c.step(uncancelled, g, &many, rows[:many.rows]); err != nil {
					return err
				}
			}
		}
		return c.each(ctx, raw, g, steps, rows)
	})
}

// each writes rows one by one.
func (c *sqliteConn) each(ctx context.Context, raw any, g *group, steps []sqliteStep, rows []*row) error {
	uncancelled := context.WithoutCancel(ctx)
	for i := range steps {
		if err := c.prepare(uncancelled, raw, g, i, &steps[i]); err != nil {
			return err
		}
	}
	for r := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range steps {
			n, err := c.step(uncancelled, g, &steps[i], rows[r:r+1])
			if err != nil {
				return err
			}
			if n > 0 {
				break // the second step is for rows that the first did not find
			}
		}
	}
	return nil
}

// sqliteStep is a statement for so many rows, with the columns that are the parameters of each in order.
type sqliteStep struct {
	sql     string
	rows    int
	columns []int
	places  []int // of each column of a row: which of its parameters it is, or -1
	stmt    driver.StmtExecContext
}

// manyRows is how many rows of a group its first statement may have at once.
func manyRows(g *group) int {
	if g.verb != upsertRows && g.verb != insertRows {
		return 1
	}
	return max(1, min(sqliteRows, sqliteParameters/len(g.shape.columns)))
}

// prepare gives step i of a group its statement.
func (c *sqliteConn) prepare(ctx context.Context, raw any, g *group, i int, step *sqliteStep) error {
	key := statementKey{g.shape.id, g.verb, i}
	s := c.statements[key]
	if s == nil || s.version != g.shape.version {
		stmt, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, step.sql)
		if err != nil {
			return err
		}
		if s != nil {
			_ = s.stmt.Close() // the table it was made for has changed
		}
		s = &sqliteStatement{g.shape.version, stmt}
		c.statements[key] = s
	}
	step.stmt = s.stmt.(driver.StmtExecContext)
	step.places = make([]int, len(g.shape.columns))
	for column := range step.places {
		step.places[column] = slices.Index(step.columns, column)
	}
	for len(c.args) < len(step.columns)*step.rows {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	return nil
}

// step runs a statement for rows and returns how many it touched.
func (c *sqliteConn) step(ctx context.Context, g *group, step *sqliteStep, rows []*row) (int64, error) {
	first := 0
	for _, r := range rows {
		cells := string(g.arena[r.start:r.end]) // all texts of the row at once
		for column := 0; len(cells) > 0; column++ {
			end := 4
			if n := uint32(cells[0])<<24 | uint32(cells[1])<<16 | uint32(cells[2])<<8 | uint32(cells[3]); n != null {
				end += int(n)
			}
			if at := step.places[column]; at >= 0 {
				c.args[first+at].Value = sqliteValue(cells[4:end])
			}
			cells = cells[end:]
		}
		first += len(step.columns)
	}
	result, err := step.stmt.ExecContext(ctx, c.args[:first])
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// sqliteValue returns the value of a cell without its length. A null is empty: others begin with their type.
func sqliteValue(cell string) driver.Value {
	if cell == "" {
		return nil
	}
	switch rest := cell[1:]; cell[0] {
	case 'i':
		return int64(bits8(rest))
	case 'f':
		return math.Float64frombits(bits8(rest))
	case 't':
		return rest
	default:
		return []byte(rest)
	}
}

// bits8 reads eight bytes, big endian.
func bits8(b string) uint64 {
	_ = b[7]
	return uint64(b[0])<<56 | uint64(b[1])<<48 | uint64(b[2])<<40 | uint64(b[3])<<32 | uint64(b[4])<<24 | uint64(b[5])<<16 | uint64(b[6])<<8 | uint64(b[7])
}

// sqliteSteps returns the statements for each row of a group: the second for rows that the first does not touch.
func sqliteSteps(g *group) []sqliteStep {
	of, quote := g.shape, (&sqliteDialect{}).quote
	equals := func(_ int, c *column) string { return quote(c.target.name) + " = ?" }
	all, keys, rest := make([]int, len(of.columns)), make([]int, of.keys), make([]int, len(of.columns)-of.keys)
	for i := range all {
		all[i] = i
	}
	copy(keys, all)
	copy(rest, all[of.keys:])
	where := " WHERE " + list(of.columns[:of.keys], " AND ", equals)
	update := sqliteStep{sql: "UPDATE " + of.table.quoted + " SET " + list(of.columns[of.keys:], ", ", equals) + where, rows: 1, columns: append(rest, keys...)}
	if len(of.columns) == of.keys {
		update.sql = "UPDATE " + of.table.quoted + " SET " + quote(of.columns[0].target.name) + " = " + quote(of.columns[0].target.name) + where
	}
	switch g.verb {
	case deleteRows:
		return []sqliteStep{{sql: "DELETE FROM " + of.table.quoted + where, rows: 1, columns: keys}}
	case updateRows:
		return []sqliteStep{update}
	case patchRows:
		return []sqliteStep{update, sqliteInsert(g, 1)}
	}
	return []sqliteStep{sqliteInsert(g, 1)}
}

// sqliteInsert returns the statement that inserts, or upserts, so many rows of a group.
func sqliteInsert(g *group, rows int) sqliteStep {
	of, quote := g.shape, (&sqliteDialect{}).quote
	name := func(_ int, c *column) string { return quote(c.target.name) }
	row := "(" + list(of.columns, ", ", func(int, *column) string { return "?" }) + ")"
	s := sqliteStep{rows: rows, sql: "INSERT INTO " + of.table.quoted + " (" + list(of.columns, ", ", name) + ") VALUES " +
		strings.Repeat(row+", ", rows-1) + row}
	for i := range of.columns {
		s.columns = append(s.columns, i)
	}
	if g.verb != upsertRows {
		return s
	}
	action := "NOTHING"
	if len(of.columns) > of.keys {
		action = "UPDATE SET " + list(of.columns[of.keys:], ", ", func(_ int, c *column) string {
			return quote(c.target.name) + " = excluded." + quote(c.target.name)
		})
	}
	s.sql += " ON CONFLICT (" + list(of.columns[:of.keys], ", ", name) + ") DO " + action
	return s
}
