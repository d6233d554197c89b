package jdbc

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// copyRows is from how many rows on COPY into a temporary table and a statement that merges it beat arrays as
// parameters. Measured with rows of 170 bytes; below, the two statements cost more than they save.
const copyRows = 5000

// postgresConn is a connection to PostgreSQL.
type postgresConn struct {
	conn *pgconn.PgConn
	// pooled says that a pooler is in between, which may give each transaction another session: nothing can be left in
	// one, so there is no temporary table.
	pooled     bool
	staged     map[int]bool // shapes with a temporary table in this session
	used       map[int]bool // shapes whose temporary table may have rows of this transaction
	statements map[int]*postgresStatements
	arrays     [][]byte // scratch: the arrays of a group's columns
}

// postgresStatements are the statements for a shape, but for where the rows are from.
type postgresStatements struct {
	version int
	oids    []uint32 // of the arrays
	formats []int16
	unnest  string // the source of rows that are parameters
	casts   string
}

func (c *postgresConn) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	_ = c.conn.Close(ctx) // the connection is gone either way
}

// detectPooler finds out whether the server's process is the one that the connection was told at its start. A pooler
// tells one of its own.
func (c *postgresConn) detectPooler(ctx context.Context) error {
	rows, err := c.query(ctx, "SELECT pg_backend_pid()")
	if err == nil && len(rows) == 1 {
		c.pooled = rows[0][0] != strconv.FormatUint(uint64(c.conn.PID()), 10)
	}
	return err
}

func (c *postgresConn) exec(ctx context.Context, statements ...string) (int64, error) {
	switch {
	case statements[0] == "BEGIN":
		clear(c.used)
	case strings.HasPrefix(statements[0], "ROLLBACK"):
		clear(c.staged) // those made since then are gone
	}
	results, err := c.conn.Exec(ctx, strings.Join(statements, "; ")).ReadAll()
	var n int64
	for _, r := range results {
		if tag := r.CommandTag; tag.Update() || tag.Delete() || tag.Insert() {
			n += tag.RowsAffected()
		}
	}
	return n, err
}

func (c *postgresConn) query(ctx context.Context, statement string) ([][]string, error) {
	results, err := c.conn.Exec(ctx, statement).ReadAll()
	if err != nil {
		return nil, err
	}
	var out [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			text := make([]string, len(row))
			for i, v := range row {
				text[i] = string(v)
			}
			out = append(out, text)
		}
	}
	return out, nil
}

func (c *postgresConn) write(ctx context.Context, g *group) error {
	if g.verb == truncateTable {
		_, err := c.exec(ctx, "TRUNCATE TABLE "+g.shape.table.quoted)
		return err
	}
	s := c.statementsOf(g.shape)
	if len(g.rows) >= copyRows && !c.pooled {
		return c.copy(ctx, g, s)
	}
	return c.unnest(ctx, g, s)
}

func (c *postgresConn) statementsOf(of *shape) *postgresStatements {
	s := c.statements[of.id]
	if s == nil || s.version != of.version {
		s = newPostgresStatements(of)
		c.statements[of.id] = s
	}
	return s
}

// wireTypes are the types in which values travel, by meaning: each with the type of its array. The others are text.
func wireType(t *typed) (name string, array uint32) {
	switch t.meaning {
	case meansBool:
		return "bool", pgtype.BoolArrayOID
	case meansInt:
		switch t.bits {
		case 8, 16:
			return "int2", pgtype.Int2ArrayOID
		case 32:
			return "int4", pgtype.Int4ArrayOID
		}
		return "int8", pgtype.Int8ArrayOID
	case meansYear:
		return "int4", pgtype.Int4ArrayOID
	case meansFloat32:
		return "float4", pgtype.Float4ArrayOID
	case meansFloat64:
		return "float8", pgtype.Float8ArrayOID
	case meansBytes, meansWKB:
		return "bytea", pgtype.ByteaArrayOID
	case meansDate:
		return "date", pgtype.DateArrayOID
	case meansTime:
		return "time", pgtype.TimeArrayOID
	case meansTimestamp:
		return "timestamp", pgtype.TimestampArrayOID
	case meansZonedTimestamp:
		return "timestamptz", pgtype.TimestamptzArrayOID
	}
	return "text", pgtype.TextArrayOID
}

// elementOID is the type of an array's elements, which its binary form repeats.
func elementOID(array uint32) uint32 {
	switch array {
	case pgtype.BoolArrayOID:
		return pgtype.BoolOID
	case pgtype.Int2ArrayOID:
		return pgtype.Int2OID
	case pgtype.Int4ArrayOID:
		return pgtype.Int4OID
	case pgtype.Int8ArrayOID:
		return pgtype.Int8OID
	case pgtype.Float4ArrayOID:
		return pgtype.Float4OID
	case pgtype.Float8ArrayOID:
		return pgtype.Float8OID
	case pgtype.ByteaArrayOID:
		return pgtype.ByteaOID
	case pgtype.DateArrayOID:
		return pgtype.DateOID
	case pgtype.TimeArrayOID:
		return pgtype.TimeOID
	case pgtype.TimestampArrayOID:
		return pgtype.TimestampOID
	case pgtype.TimestamptzArrayOID:
		return pgtype.TimestamptzOID
	}
	return pgtype.TextOID
}

func newPostgresStatements(of *shape) *postgresStatements {
	s := &postgresStatements{version: of.version}
	var params, names []string
	for i := range of.columns {
		name, oid := wireType(of.columns[i].typed)
		s.oids = append(s.oids, oid)
		s.formats = append(s.formats, 1)
		params = append(params, fmt.Sprintf("$%d::%s[]", i+1, name))
		names = append(names, fmt.Sprintf("c%d", i))
	}
	s.unnest = "unnest(" + strings.Join(params, ", ") + ") AS s(" + strings.Join(names, ", ") + ")"
	s.casts = list(of.columns, ", ", castOf)
	return s
}

// castOf is the value of column i of the rows s as the table's column takes it. Length and precision are left to the
// assignment, which refuses what does not fit; a cast would cut it off.
func castOf(i int, c *column) string {
	v, to := fmt.Sprintf("s.c%d", i), c.target.sqlType
	bits := to == `"bit"` || to == "bit varying"
	switch {
	case c.typed.meaning == meansDecimal && to != "text" && to != "character varying" && to != "bpchar":
		v += "::numeric"
	case c.typed.meaning == meansBool && bits:
		return v + "::int4::bit(1)"
	case c.typed.meaning == meansInt && to == "boolean":
		return "(" + v + " <> 0)"
	}
	return v + "::" + to
}

// statement is what writes rows of a source to the table.
func (s *postgresStatements) statement(g *group, source string) []string {
	of := g.shape
	table, quote := of.table.quoted, (&postgres{}).quote
	names := list(of.columns, ", ", func(_ int, c *column) string { return quote(c.target.name) })
	match := list(of.columns[:of.keys], " AND ", func(i int, c *column) string {
		return "t." + quote(c.target.name) + " = " + castOf(i, c)
	})
	update := "UPDATE " + table + " AS t SET " + list(of.columns[of.keys:], ", ", func(i int, c *column) string {
		return quote(c.target.name) + " = " + castOf(i+of.keys, c)
	}) + " FROM " + source + " WHERE " + match
	if len(of.columns) == of.keys {
		update = "" // nothing to set
	}
	insert := "INSERT INTO " + table + " (" + names + ") OVERRIDING SYSTEM VALUE SELECT " + s.casts + " FROM " + source
	switch g.verb {
	case deleteRows:
		return []string{"DELETE FROM " + table + " AS t USING " + source + " WHERE " + match}
	case updateRows:
		return []string{update}
	case patchRows:
		return []string{update, insert + " WHERE NOT EXISTS (SELECT 1 FROM " + table + " AS t WHERE " + match + ")"}
	case upsertRows:
		keys := list(of.columns[:of.keys], ", ", func(_ int, c *column) string { return quote(c.target.name) })
		action := "DO NOTHING"
		if len(of.columns) > of.keys {
			action = "DO UPDATE SET " + list(of.columns[of.keys:], ", ", func(_ int, c *column) string {
				return quote(c.target.name) + " = EXCLUDED." + quote(c.target.name)
			})
		}
		return []string{insert + " ON CONFLICT (" + keys + ") " + action}
	}
	return []string{insert}
}

// unnest writes a group whose rows are parameters: an array for each column.
//
//	dimensions int32 = 1 | has nulls int32 | element type int32 | length int32 | lower bound int32 = 1
//	| of each element: length int32, -1 is null | bytes
func (c *postgresConn) unnest(ctx context.Context, g *group, s *postgresStatements) error {
	columns := len(g.shape.columns)
	for len(c.arrays) < columns {
		c.arrays = append(c.arrays, nil)
	}
	arrays := c.arrays[:columns]
	for i := range arrays {
		be := binary.BigEndian
		a := be.AppendUint32(arrays[i][:0], 1)
		a = be.AppendUint32(a, 1)
		a = be.AppendUint32(a, elementOID(s.oids[i]))
		a = be.AppendUint32(a, uint32(len(g.rows)))
		arrays[i] = be.AppendUint32(a, 1)
	}
	for _, r := range g.rows {
		cells := g.arena[r.start:r.end]
		for i := range arrays {
			n := 4
			if length := binary.BigEndian.Uint32(cells); length != null {
				n += int(length)
			}
			arrays[i] = append(arrays[i], cells[:n]...)
			cells = cells[n:]
		}
	}
	for _, statement := range s.statement(g, s.unnest) {
		if statement == "" {
			continue
		}
		if r := c.conn.ExecParams(ctx, statement, arrays, s.oids, s.formats, nil).Read(); r.Err != nil {
			return r.Err
		}
	}
	for i := range arrays {
		if cap(arrays[i]) > maxKept/8 {
			arrays[i] = nil
		}
	}
	return nil
}

// copy writes a group by COPY into a temporary table of the session and a statement that merges it.
func (c *postgresConn) copy(ctx context.Context, g *group, s *postgresStatements) error {
	stage := fmt.Sprintf("_sluice_stage_%d", g.shape.id)
	if !c.staged[g.shape.id] {
		// It stays in the session: made anew for each transaction it would bloat the catalog.
		_, err := c.exec(ctx, "CREATE TEMPORARY TABLE IF NOT EXISTS "+stage+" ("+list(g.shape.columns, ", ", func(i int, c *column) string {
			name, _ := wireType(c.typed)
			return fmt.Sprintf("c%d %s", i, name)
		})+") ON COMMIT DELETE ROWS")
		if err != nil {
			return err
		}
		c.staged[g.shape.id] = true
	}
	if c.used[g.shape.id] {
		if _, err := c.exec(ctx, "DELETE FROM pg_temp."+stage); err != nil {
			return err
		}
	}
	c.used[g.shape.id] = true
	if _, err := c.conn.CopyFrom(ctx, newCopyReader(g), "COPY pg_temp."+stage+" FROM STDIN (FORMAT binary)"); err != nil {
		return err
	}
	for _, statement := range s.statement(g, "pg_temp."+stage+" AS s") {
		if statement == "" {
			continue
		}
		if _, err := c.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// copyReader is the data of a COPY in binary form:
//
//	"PGCOPY\n\xff\r\n\x00" | flags int32 = 0 | length of extension int32 = 0
//	| of each row: number of columns int16 | of each column: length int32, -1 is null | bytes
//	| -1 int16
type copyReader struct {
	g    *group
	head []byte // goes before the cells of the row at next
	rest []byte // cells that are under way
	next int
	end  bool
}

func newCopyReader(g *group) *copyReader {
	return &copyReader{g: g, rest: []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		head: binary.BigEndian.AppendUint16(nil, uint16(len(g.shape.columns)))}
}

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.rest) == 0 {
			switch {
			case r.next < len(r.g.rows):
				if len(p)-n < len(r.head) {
					if n == 0 {
						return 0, io.ErrShortBuffer
					}
					return n, nil
				}
				n += copy(p[n:], r.head)
				row := r.g.rows[r.next]
				r.rest = r.g.arena[row.start:row.end]
				r.next++
			case !r.end:
				r.end, r.rest = true, []byte{0xff, 0xff}
			default:
				return n, io.EOF
			}
		}
		k := copy(p[n:], r.rest)
		r.rest = r.rest[k:]
		n += k
	}
	return n, nil
}
