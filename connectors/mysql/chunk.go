package mysql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// chunks reads the rows of incremental snapshots (cdc.Backfill) in the task's ordinary session.
//
// A transaction is in the log, and may have been streamed, before others see its rows. So what was streamed is held
// against what is visible:
//
//   - MySQL with GTIDs: gtid_executed must have those that were streamed. A GTID is in it after its rows are visible.
//   - MariaDB: the place in the log that the server has for the view (viewPlace) must not lie before the stream's.
//     gtid_binlog_pos would not do: it moves when the log is written.
//   - Neither: rows become visible in the order of the log (binlog_order_commits). Whoever sees a transaction that comes
//     after all that was streamed sees those too, and the watermark that opens a window is one.
type chunks struct {
	t  *task
	st *stream

	name     cdc.Table
	known    described // of the chunk before
	table    *table
	reader   reader
	columns  string   // as they are selected
	identity []int    // columns that a row's changes are known by
	order    keyOrder // that it has its place by
	cells    []cell
	ident    []byte
	found    places // of identity in the table of the stream
}

// described is a table's definition, and the statement that would make it.
type described struct {
	name cdc.Table
	sql  string
	def  *definition
}

// places are the indexes of a window's identity in a version of its table; -1 where it lacks a column.
type places struct {
	of *table
	at []int
}

// Tables lists the tables to capture.
func (c *chunks) Tables(ctx context.Context) ([]cdc.Table, error) {
	entries, err := c.t.catalog.tables(ctx, c.t.s.listed)
	if err != nil {
		return nil, trouble("list tables", err)
	}
	var out []cdc.Table
	for _, e := range entries {
		out = append(out, e.name)
	}
	return out, nil
}

// Prepare begins a transaction that keeps the table from being altered, and reads what it looks like.
func (c *chunks) Prepare(ctx context.Context, part cdc.Part) error {
	c.name = part.Table
	if err := c.begin(ctx); err != nil {
		return ofPart(err)
	}
	def, err := c.define(ctx)
	if err != nil {
		return ofPart(err)
	}
	if known := c.st.history.definition(part.Table); known != nil && sameDefinition(known, def) {
		def = known
	}
	names := def.never(def.primaryKey())
	for _, u := range def.Unique {
		if names == nil {
			names = def.never(u.Columns)
		}
	}
	if names == nil {
		return cdc.ErrNoKey
	}
	c.identity = c.identity[:0]
	for _, n := range names {
		c.identity = append(c.identity, def.find(n))
	}
	if s := part.Surrogate; s != "" {
		if def.never([]string{s}) == nil {
			return &cdc.PartError{Err: fmt.Errorf("the surrogate key %s is no column that is NOT NULL", s)}
		}
		names = append([]string{s}, names...)
	}
	c.order = c.order[:0]
	for _, n := range names {
		c.order = append(c.order, def.Columns[def.find(n)].keyPart())
	}
	if c.table, err = c.st.compiled(ctx, part.Table, def); err != nil {
		return &cdc.PartError{Err: err}
	}
	c.reader, c.columns, c.found = c.table.texts(), strings.Join(append(c.table.selected(), c.order.values()...), ", "), places{}
	return nil
}

// nextKey is the counter of a table, which its rows move.
var nextKey = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// define reads what the table looks like. The queries of the catalog take longer than the rows of a chunk, and the
// statement that would make the table has all that they say: as long as it is the same, they are not asked.
func (c *chunks) define(ctx context.Context) (*definition, error) {
	sql, err := c.t.catalog.createSQL(ctx, c.name)
	if err != nil {
		return nil, err
	}
	sql = nextKey.ReplaceAllString(sql, "")
	if c.known.name == c.name && c.known.sql == sql {
		return c.known.def, nil
	}
	def, err := c.t.catalog.define(ctx, c.name)
	if err == nil && def == nil {
		err = &cdc.PartError{Err: errors.New("there is no such table any more")}
	}
	if err == nil {
		c.known = described{c.name, sql, def}
	}
	return def, err
}

// never returns the columns if none of them can be null; nil otherwise, and for no columns.
func (d *definition) never(columns []string) []string {
	for _, name := range columns {
		if i := d.find(name); i < 0 || !d.Columns[i].NotNull {
			return nil
		}
	}
	return columns
}

// begin begins the transaction of a chunk. With a view of its own (MariaDB) all of the chunk is read at one place.
func (c *chunks) begin(ctx context.Context) error {
	level, view := "READ COMMITTED", ""
	if c.t.server.mariadb {
		level, view = "REPEATABLE READ", "WITH CONSISTENT SNAPSHOT, "
	}
	for _, sql := range []string{"SET SESSION lock_wait_timeout = 1", "SET TRANSACTION ISOLATION LEVEL " + level, "START TRANSACTION " + view + "READ ONLY",
		"SELECT 1 FROM " + quoteTable(c.name) + " LIMIT 0"} {
		if _, err := c.t.control.query(ctx, sql); err != nil {
			return err
		}
	}
	covers, err := c.covers(ctx)
	if err == nil && !covers {
		return cdc.ErrNotYet
	}
	return err
}

// covers reports whether all that was streamed is visible.
func (c *chunks) covers(ctx context.Context) (bool, error) {
	conn, st := c.t.control, c.st
	switch {
	case c.t.server.mariadb:
		at, err := viewPlace(ctx, conn)
		if err != nil || st.gtids == nil || st.last.file != "" {
			return err == nil && at.compare(mark{File: st.pos.File, Pos: st.pos.Pos}) >= 0, err
		}
		// Nothing was read since the start, and where the log of this server has what was read before is not known.
		gtids, err := placeGTIDs(ctx, conn, at)
		return c.executed(gtids, err)
	case st.gtids != nil:
		r, err := conn.one(ctx, "SELECT @@GLOBAL.gtid_executed")
		return c.executed(strings.Join(r, ""), err)
	case !c.marks():
		return false, &cdc.PartError{Err: errors.New("without GTIDs the rows cannot be joined to the stream: set signal.data.collection, or gtid_mode=ON")}
	}
	r, err := conn.one(ctx, "SELECT @@GLOBAL.binlog_order_commits")
	if err == nil && r[0] == "0" {
		err = &cdc.PartError{Err: errors.New("without GTIDs the rows cannot be joined to the stream while binlog_order_commits is OFF: SET GLOBAL binlog_order_commits = ON, or gtid_mode=ON")}
	}
	return true, err
}

// executed reports whether a set of GTIDs has those that were streamed.
func (c *chunks) executed(gtids string, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	set, err := c.t.s.flavor.parseGTIDs(gtids)
	return err == nil && set.Contain(c.st.gtids), err
}

// Release ends the transaction.
func (c *chunks) Release(ctx context.Context) error {
	_, err := c.t.control.query(ctx, "COMMIT")
	return trouble("end the reading of a chunk", err)
}

// Max returns the greatest key.
func (c *chunks) Max(ctx context.Context, part cdc.Part) ([]string, error) {
	sql := "SELECT " + strings.Join(c.order.values(), ", ") + " FROM " + quoteTable(c.name)
	if part.Condition != "" {
		sql += " WHERE (" + part.Condition + "\n)"
	}
	rows, err := c.t.control.query(ctx, sql+" ORDER BY "+c.order.by(" DESC")+" LIMIT 1")
	if err != nil {
		return nil, ofPart(err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return rows[0], nil
}

// Read reads a chunk.
func (c *chunks) Read(ctx context.Context, part cdc.Part, after, greatest []string, limit int, w *cdc.Window) error {
	conn := c.t.control
	stop := context.AfterFunc(ctx, conn.close)
	defer stop()
	if err := conn.sendQuery(c.selectSQL(part, after, greatest, limit)); err != nil {
		return ofPart(err)
	}
	n := len(c.table.fields)
	for {
		row, err := conn.nextRow()
		if err != nil || row == nil {
			return ofPart(err)
		}
		if c.cells, err = splitRow(row, c.cells); err != nil || len(c.cells) != n+len(c.order) {
			return fmt.Errorf("read a chunk of %s: %w", c.name, errRow)
		}
		key := make([]string, 0, len(c.order))
		for _, k := range c.cells[n:] {
			key = append(key, string(k.raw))
		}
		if c.ident, err = c.table.appendColumns(c.ident[:0], c.reader, c.identity, c.cells, nil); err != nil {
			return &cdc.PartError{Err: err}
		}
		w.Add(c.ident, key, row)
	}
}

// selectSQL is the statement that reads a chunk.
func (c *chunks) selectSQL(part cdc.Part, after, greatest []string, limit int) string {
	cond := []string{c.order.compare("<", greatest, true)}
	if after != nil {
		cond = append(cond, c.order.compare(">", after, false))
	}
	if part.Condition != "" {
		cond = append(cond, "("+part.Condition+"\n)")
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", c.columns, quoteTable(c.name), strings.Join(cond, " AND "), c.order.by(""), limit)
}

// marks reports whether watermarks are written.
func (c *chunks) marks() bool { return !c.t.s.readOnly && c.t.s.signals != (cdc.Table{}) }

// Mark writes a watermark into the signal table, if there is one to write to.
func (c *chunks) Mark(ctx context.Context, id, kind, data string) error {
	if !c.marks() {
		return nil
	}
	table := quoteTable(c.t.s.signals)
	sql := fmt.Sprintf("INSERT INTO %s VALUES (%s, %s, %s)", table, quoteText(id), quoteText(kind), quoteText(data))
	if kind == cdc.WindowClose && c.t.s.deleteMarks {
		def, err := c.t.catalog.define(ctx, c.t.s.signals)
		if err != nil || def == nil || len(def.Columns) == 0 {
			return trouble("read the definition of "+c.t.s.signals.String(), err)
		}
		sql = fmt.Sprintf("DELETE FROM %s WHERE %s = %s", table, quote(def.Columns[0].Name), quoteText(strings.TrimSuffix(id, "-close")+"-open"))
	}
	_, err := c.t.control.query(ctx, sql)
	return ofPart(err)
}

// ofPart says of an error of a statement on a table whether it is of that statement only: the server answered it, and
// did not end the connection. Or it will pass: then the chunk is read again.
func ofPart(err error) error {
	var my *mysql.MyError
	var part *cdc.PartError
	switch {
	case err == nil || errors.As(err, &part) || errors.Is(err, cdc.ErrNotYet):
		return err
	case errors.As(err, &my) && (my.Code == erLockWaitTimeout || my.Code == erTableDefChanged): // somebody alters it
		return cdc.ErrNotYet
	case errors.As(err, &my):
		switch (my.State + "  ")[:2] {
		case "42", "22", "21": // syntax and rights, values, cardinality
			return &cdc.PartError{Err: err}
		}
	}
	return trouble("read a chunk", err)
}
