package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// chunks reads the rows of incremental snapshots (cdc.Backfill) in the task's ordinary session.
//
// A transaction is in the rows if the server's snapshot says so, and it may be streamed before: its commit is in the log
// before others see it, for as long as it waits for a synchronous standby. So the transactions that were streamed last
// are remembered, and held against the snapshot in which rows are read; if one of them is not in it, the rows are read
// again.
type chunks struct {
	s       *settings
	conn    *pgx.Conn
	version int // server_version_num
	viaRoot bool
	st      *stream

	entry    *entry
	table    *table
	identity []string // columns that a row's changes are known by
	order    []string // and that it has its place by
	found    places   // of identity in the table of the stream
}

// places are the indexes of a window's identity in a version of its table; nil where it lacks one of the columns.
type places struct {
	of *table
	at []int
}

// remembered is how many transactions are remembered. One that was streamed before so many others, and still waits, is
// taken for visible.
const remembered = 1 << 12

// recent are the transactions that were streamed last.
type recent struct {
	xids [remembered]uint32
	n    int
}

func (r *recent) add(xid uint32) {
	r.xids[r.n%remembered] = xid
	r.n++
}

// hidden reports whether one of them is not in the snapshot, which is printed as xmin:xmax:xip,xip…
func (r *recent) hidden(snapshot string) (bool, error) {
	parts := strings.Split(snapshot, ":")
	if len(parts) != 3 {
		return false, fmt.Errorf("the server's snapshot %q cannot be read", snapshot)
	}
	limit, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return false, fmt.Errorf("the server's snapshot %q cannot be read: %w", snapshot, err)
	}
	running := map[uint32]bool{}
	for _, x := range strings.Split(parts[2], ",") {
		if n, err := strconv.ParseUint(x, 10, 64); err == nil {
			running[uint32(n)] = true
		}
	}
	for _, xid := range r.xids[:min(r.n, remembered)] {
		if running[xid] || int32(xid-uint32(limit)) >= 0 { // ids wrap around
			return true, nil
		}
	}
	return false, nil
}

// Tables lists the tables to capture.
func (c *chunks) Tables(ctx context.Context) ([]cdc.Table, error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	entries, err := c.st.cat.tables(ctx, c.s.listed, partitionCondition(c.viaRoot))
	if err != nil {
		return nil, trouble("list tables", err)
	}
	var out []cdc.Table
	for _, e := range entries {
		out = append(out, e.Table)
	}
	return out, nil
}

// Prepare reads what the table looks like now.
func (c *chunks) Prepare(ctx context.Context, part cdc.Part) error {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	hidden, err := c.begin(ctx, part.Table)
	if err != nil {
		return ofPart(err)
	}
	if hidden {
		return cdc.ErrNotYet
	}
	c.st.cat.forgetEnums()
	entries, err := c.st.cat.tables(ctx, func(t cdc.Table) bool { return t == part.Table }, named(part.Table))
	if err != nil {
		return trouble("read the catalog", err)
	}
	if len(entries) == 0 {
		return &cdc.PartError{Err: errors.New("there is no such table any more")}
	}
	e := entries[0]
	if err := c.st.cat.fill(ctx, e); err != nil {
		return trouble("read the catalog", err)
	}
	e.keyed(c.s.keys)
	if c.identity = e.never(e.primary); c.identity == nil {
		c.identity = e.never(e.unique)
	}
	if c.identity == nil {
		return cdc.ErrNoKey
	}
	c.order = c.identity
	if s := part.Surrogate; s != "" {
		if e.never([]string{s}) == nil {
			return &cdc.PartError{Err: fmt.Errorf("the surrogate key %s is no column that is NOT NULL", s)}
		}
		c.order = append([]string{s}, c.identity...)
	}
	c.entry, c.found = e, places{}
	if c.table, err = c.st.version(e.shape); err != nil {
		return &cdc.PartError{Err: err}
	}
	return nil
}

// named is the condition of one table: the sizes of all would be looked up for each chunk.
func named(t cdc.Table) string {
	return "AND n.nspname = " + quoteText(t.Schema) + " AND c.relname = " + quoteText(t.Name)
}

// begin begins the transaction of a chunk. The lock comes before the transaction's snapshot: a table that is rewritten
// between the two would look empty (PostgreSQL documentation, "Caveats" of MVCC). hidden says that the snapshot lacks a
// transaction that was streamed.
func (c *chunks) begin(ctx context.Context, t cdc.Table) (hidden bool, err error) {
	results, err := c.conn.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '1s'; LOCK TABLE "+
		quoteTable(t)+" IN ACCESS SHARE MODE; SELECT txid_current_snapshot()").ReadAll()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55P03" { // somebody alters it, and the stream must go on
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return c.st.recent.hidden(string(results[3].Rows[0][0]))
}

// Release ends it.
func (c *chunks) Release(ctx context.Context) error {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	_, err := c.conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	return trouble("end the reading of a chunk", err)
}

// never returns the columns if none of them can be null and all of them are in rows; nil otherwise.
func (e *entry) never(columns []string) []string {
	for _, name := range columns {
		i := slices.IndexFunc(e.Attrs, func(a attribute) bool { return a.Name == name })
		if i < 0 || !e.Attrs[i].NotNull {
			return nil
		}
	}
	return columns
}

// Max returns the greatest key.
func (c *chunks) Max(ctx context.Context, part cdc.Part) ([]string, error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	sql := "SELECT " + list(c.order, "") + " FROM " + c.from() + where(conditions(part)) + " ORDER BY " + list(c.order, " DESC") + " LIMIT 1"
	results, err := c.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, ofPart(err)
	}
	if len(results[0].Rows) == 0 {
		return nil, nil
	}
	var out []string
	for _, v := range results[0].Rows[0] {
		out = append(out, string(v))
	}
	return out, nil
}

// byIndex makes the server read rows in the order of the key's index. Without statistics of the table it thinks that there
// are few behind a key, and for each chunk collects and sorts all of them.
const byIndex = "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL jit = off"

// Read reads a chunk.
func (c *chunks) Read(ctx context.Context, part cdc.Part, after, greatest []string, limit int, w *cdc.Window) error {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	if part.Condition == "" && part.Surrogate == "" { // else another index may be the better one, or the only one
		if _, err := c.conn.PgConn().Exec(ctx, byIndex).ReadAll(); err != nil {
			return ofPart(err)
		}
	}
	_, err := c.conn.PgConn().CopyTo(ctx, &chunkWriter{c: c, w: w}, c.selectSQL(part, after, greatest, limit))
	return ofPart(err)
}

// selectSQL is the statement that reads a chunk. Bounds are literals without a type, so that they have the column's, and
// are compared as the index is ordered.
func (c *chunks) selectSQL(part cdc.Part, after, greatest []string, limit int) string {
	key := "(" + list(c.order, "") + ")"
	cond := conditions(part)
	if after != nil {
		cond = append(cond, key+" > "+literals(after))
	}
	cond = append(cond, key+" <= "+literals(greatest))
	return fmt.Sprintf("COPY (SELECT %s FROM %s%s ORDER BY %s LIMIT %d) TO STDOUT", list(c.entry.columns, ""), c.from(), where(cond), list(c.order, ""), limit)
}

func (c *chunks) from() string {
	name := quote(c.entry.Table.Schema) + "." + quote(c.entry.Table.Name)
	if c.entry.kind == 'r' {
		return "ONLY " + name
	}
	return name
}

func conditions(part cdc.Part) []string {
	if part.Condition == "" {
		return nil
	}
	return []string{"(" + part.Condition + "\n)"} // it may end with a comment
}

func where(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(conditions, " AND ")
}

func list(columns []string, suffix string) string {
	var out []string
	for _, c := range columns {
		out = append(out, quote(c)+suffix)
	}
	return strings.Join(out, ", ")
}

func literals(values []string) string {
	var out []string
	for _, v := range values {
		out = append(out, quoteText(v))
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// chunkWriter takes the rows of a COPY, each in a call of its own, into a window.
type chunkWriter struct {
	c              *chunks
	w              *cdc.Window
	cells          []cell
	scratch, ident []byte
	idents, orders []int
}

func (w *chunkWriter) Write(line []byte) (int, error) {
	if w.idents == nil {
		index := func(names []string) (out []int) {
			for _, n := range names {
				out = append(out, slices.Index(w.c.entry.columns, n))
			}
			return out
		}
		w.idents, w.orders = index(w.c.identity), index(w.c.order)
	}
	w.cells, w.scratch = splitCopy(line, w.cells, w.scratch)
	if len(w.cells) != len(w.c.entry.columns) {
		return 0, errCopy
	}
	key := make([]string, 0, len(w.orders))
	for _, i := range w.orders {
		key = append(key, string(w.cells[i].text))
	}
	w.ident, _ = identityOf(w.ident, w.cells, nil, w.idents)
	w.w.Add(w.ident, key, line)
	return len(line), nil
}

// identityOf appends what a row is known by: the texts of its columns, each behind its length. ok is false if the log
// does not have one of them.
func identityOf(dst []byte, cells, other []cell, at []int) (out []byte, ok bool) {
	dst = dst[:0]
	for _, i := range at {
		c := pick(cells, other, i)
		if c.kind != cellText {
			return dst, false
		}
		dst = append(strconv.AppendInt(dst, int64(len(c.text)), 10), ':')
		dst = append(dst, c.text...)
	}
	return dst, true
}

// Mark writes a watermark: into the signal table, or where there is none, at the end of a window, as a logical message,
// so that the stream comes to that place at once.
func (c *chunks) Mark(ctx context.Context, id, kind, data string) error {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	sql := ""
	switch {
	case c.s.readOnly:
	case c.s.signals == (cdc.Table{}):
		if kind == cdc.WindowClose && c.version >= 140000 {
			sql = "SELECT pg_logical_emit_message(true, " + quoteText(windowPrefix) + ", '')"
		}
	case kind == cdc.WindowClose && c.s.deleteMarks:
		open := strings.TrimSuffix(id, "-close") + "-open"
		entries, err := c.st.cat.tables(ctx, func(t cdc.Table) bool { return t == c.s.signals }, named(c.s.signals))
		if err == nil && len(entries) == 1 {
			err = c.st.cat.fill(ctx, entries[0])
		}
		if err != nil || len(entries) == 0 || len(entries[0].Attrs) == 0 {
			return trouble("read the catalog for "+c.s.signals.String(), err)
		}
		sql = fmt.Sprintf("DELETE FROM %s WHERE %s = %s", quoteTable(c.s.signals), quote(entries[0].Attrs[0].Name), quoteText(open))
	default:
		sql = fmt.Sprintf("INSERT INTO %s VALUES (%s, %s, %s)", quoteTable(c.s.signals), quoteText(id), quoteText(kind), quoteText(data))
	}
	if sql != "" {
		if _, err := c.conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			return ofPart(err)
		}
	}
	return nil
}

// windowPrefix is the prefix of the logical messages that are watermarks. They are never delivered.
const windowPrefix = "sluice.snapshot.window"

func quoteTable(t cdc.Table) string { return quote(t.Schema) + "." + quote(t.Name) }

// here is a place in the log behind all that is visible now, save what was committed with synchronous_commit=off a
// moment ago: that comes by the stream once more. What is not flushed is not streamed, for as long as 15 s on an idle
// server, and nobody should wait for it.
func (c *chunks) here(ctx context.Context) (at pglogrepl.LSN, err error) {
	ctx, cancel := c.s.queryContext(ctx)
	defer cancel()
	var text string
	err = c.conn.QueryRow(ctx, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text").Scan(&text)
	if err == nil {
		at, err = pglogrepl.ParseLSN(text)
	}
	return at, trouble("read the server's position", err)
}

// ofPart says of an error of a statement on a table whether it is of that statement only.
func ofPart(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "42", "22", "21", "0A": // syntax and rights, values, cardinality, not supported
			return &cdc.PartError{Err: err}
		}
	}
	return trouble("read a chunk", err)
}

// windowPause is how often the server is asked where it is while a window is open and nothing happens.
const windowPause = 100 * time.Millisecond
