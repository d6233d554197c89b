package mysql

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// query handles a statement: the frame of a transaction, or what changes a table.
func (st *stream) query(ctx context.Context, b *connectors.Batch, h *replication.EventHeader, start uint64, ev *replication.QueryEvent) error {
	sql := strings.TrimSpace(string(ev.Query))
	word := keywords(sql, 2)
	first, second := "", ""
	if len(word) > 0 {
		first = word[0]
	}
	if len(word) > 1 {
		second = word[1]
	}
	switch {
	case first == "BEGIN", first == "XA" && second == "START", first == "XA" && second == "BEGIN":
		if st.resuming || st.tx.file == "" { // the log begins at the BEGIN: an offset of Debezium's
			st.begin(h, start, "", 0)
		}
		thread := int64(ev.SlaveProxyID)
		if first == "XA" {
			thread = 0
		}
		st.open(b, thread)
		return nil
	case first == "COMMIT", first == "ROLLBACK" && second != "TO" && second != "WORK":
		return st.commit(b)
	case first == "XA" && second == "END", first == "SAVEPOINT", first == "ROLLBACK", first == "RELEASE":
		return nil
	case first == "XA" && second == "ROLLBACK":
		st.log.Warn("a prepared XA transaction was rolled back after its changes were delivered: the log has them when they are prepared", "statement", sql, "file", st.file, "pos", start)
	}
	// CREATE TABLE … SELECT: the rows follow, in the same transaction.
	bare, rows := strings.CutSuffix(sql, " START TRANSACTION")
	st.tx.ts, st.tx.thread = int64(h.Timestamp), int64(ev.SlaveProxyID)
	st.ddl.mode(ev.StatusVars)
	tell, err := st.statement(ctx, b, start, bare, string(ev.Schema))
	if err != nil {
		return err
	}
	thread := int64(ev.SlaveProxyID)
	finish := func(b *connectors.Batch) error {
		tell(b)
		if st.tx.open { // MySQL has the statement behind a BEGIN
			return nil
		}
		if rows {
			st.open(b, thread)
			return nil
		}
		return st.commit(b)
	}
	if st.history.changed() {
		st.held = finish
		return nil
	}
	return finish(b)
}

// statement handles a statement that may change tables. tell appends the record of it.
func (st *stream) statement(ctx context.Context, b *connectors.Batch, start uint64, sql, database string) (tell func(*connectors.Batch), err error) {
	nothing := func(*connectors.Batch) {}
	s, err := st.ddl.read(sql, database, st.history)
	if err != nil {
		st.log.Warn("a statement does not fit what is known of its table; the definition is read from the server, and checked with the log", "statement", sql, "error", err)
		s.kind = unreadable
	}
	here := mark{File: st.file, Pos: st.end, GTID: st.tx.gtid}
	o := st.tx.origin
	o.file, o.pos = st.file, start
	if !st.tx.open {
		o.thread = 0
	}
	o.ns -= o.ns % 1e6
	switch s.kind {
	case ofNoConcern:
		return nothing, nil
	case changesRow:
		if !st.s.capturesDatabase(database) {
			return nothing, nil
		}
		return nil, &connectors.Error{Op: fmt.Sprintf("read the binary log at %s:%d", st.file, start), Class: connectors.ClassConfig, Err: fmt.Errorf("%w: %.200s", errRowFormat, sql),
			Remedy: "SET GLOBAL binlog_format = ROW, and let all sessions connect anew; then take a new snapshot"}
	case truncates:
		return nothing, st.truncate(ctx, b, &o, s.tables)
	case unreadable:
		told, err := st.unread(ctx, &s, database, here)
		return func(b *connectors.Batch) { st.tell(b, &o, database, sql, told) }, err
	}
	tell = func(b *connectors.Batch) { st.tell(b, &o, database, sql, s.changes) }
	if included, err := st.headIncludes(&s, here); included || err != nil {
		return tell, err
	}
	if s.database != "" {
		st.history.databaseIs(s.database, s.charset)
	}
	for _, name := range s.renamed {
		st.history.set(name, nil, here)
	}
	for _, c := range append(s.indexed, s.changes...) {
		st.history.set(c.name, c.def, here)
		for id, m := range st.images {
			if m == nil || m.name == c.name {
				delete(st.images, id)
			}
		}
	}
	return tell, nil
}

// unread handles a statement that the parser cannot read. The definition of its table is read from the server, and
// returned for the record of the statement; where not even the table's name can be found, all definitions are doubtful.
func (st *stream) unread(ctx context.Context, s *statement, database string, here mark) (told []tableChange, err error) {
	clear(st.images)
	if name, ok := tableIn(s.sql, database); ok && len(s.tables) == 0 {
		s.tables = []cdc.Table{st.ddl.table(name)}
	}
	if len(s.tables) == 0 {
		st.history.doubts(nil, s.sql)
		return nil, nil
	}
	kind := "ALTER"
	if keywords(s.sql, 1)[0] == "CREATE" {
		kind = "CREATE"
	}
	for _, name := range s.tables {
		if !st.history.follows(name) {
			continue
		}
		st.log.Warn("a statement could not be read; the definition of its table is read from the server, and checked with the log", "table", name.String(), "statement", s.sql)
		def, err := st.history.reread(ctx, name, here)
		if err != nil {
			return nil, trouble("read the definition of "+name.String(), err)
		}
		if def == nil { // renamed or dropped since
			st.history.doubts([]cdc.Table{name}, s.sql)
			continue
		}
		st.history.tables[name].unread = s.sql
		told = append(told, tableChange{kind: kind, name: name, def: def})
	}
	return told, nil
}

// headIncludes reports whether the definitions were read from the server when it was past the statement already. If
// rows before the statement were read with them, it cannot be said that their columns were the right ones.
func (st *stream) headIncludes(s *statement, here mark) (bool, error) {
	for _, c := range append(s.indexed, s.changes...) {
		t := st.history.tables[c.name]
		if t == nil || t.head == nil || here.compare(*t.head) > 0 {
			continue
		}
		if t.trusted {
			err := fmt.Errorf("%w: it was read from the server when the log ended at %s:%d, and rows were read with it that are older than this statement: %s", errDrift, t.head.File, t.head.Pos, s.sql)
			if err := st.place(err, c.name, here.Pos); err != nil {
				return false, err
			}
			t.trusted = false
		}
		return true, nil
	}
	return false, nil
}

// tell appends the record of a statement.
func (st *stream) tell(b *connectors.Batch, o *origin, database, sql string, told []tableChange) {
	if st.changes == nil {
		return
	}
	dropped := len(told) > 0 && told[0].kind == "DROP"
	if dropped { // one statement for each table
		drop := "DROP TABLE "
		if w := keywords(sql, 4); len(w) > 2 && w[2] == "IF" {
			drop += "IF EXISTS "
		}
		for _, c := range told {
			if st.s.capturesDatabase(c.name.Schema) {
				st.emit.at(o, cdc.NoSnapshot, c.name.Schema)
				st.emit.schemaChange(b, st.changes, cdc.AppendOptionalString(nil, c.name.Name), c.name.Schema, drop+quoteTable(c.name), []tableChange{c})
			}
		}
		return
	}
	var names []string
	var changes []tableChange
	for _, c := range told {
		if c.def != nil {
			database = c.name.Schema
			names, changes = append(names, c.name.Name), append(changes, c)
		}
	}
	if st.s.capturesDatabase(database) {
		st.emit.at(o, cdc.NoSnapshot, database)
		place := cdc.AppendOptionalString(nil, strings.Join(names, ","))
		if w := keywords(sql, 2); w[0] == "DROP" && (w[1] == "DATABASE" || w[1] == "SCHEMA") {
			place = cdc.AppendOptionalNull(nil)
		}
		st.emit.schemaChange(b, st.changes, place, database, bareStatement(sql), changes)
	}
}

// truncate handles TRUNCATE, which empties a table without a change of any row in the log.
func (st *stream) truncate(ctx context.Context, b *connectors.Batch, o *origin, tables []cdc.Table) error {
	for _, name := range tables {
		if st.backfill.Holds(name) {
			st.backfill.Truncated()
		}
		if st.s.skip[cdc.Truncate] || !st.s.captures(name) {
			continue
		}
		def := st.history.definition(name)
		if def == nil {
			continue
		}
		t, err := st.compiled(ctx, name, def)
		if err != nil {
			return err
		}
		st.emit.at(o, cdc.NoSnapshot, name.Schema)
		if err := st.emit.emit(b, &change{t: t, op: cdc.Truncate, headers: st.emit.context}); err != nil {
			return err
		}
	}
	return nil
}
