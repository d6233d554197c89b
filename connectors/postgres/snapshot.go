package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// readAheadBytes is what all sessions of a snapshot together may hold read ahead.
const readAheadBytes = 32 << 20

// snapshot reads the rows of the tables as they were at one point of the log. Its sessions share one exported
// snapshot; each copies one chunk at a time. Chunks are delivered in the order of the plan, while the other sessions
// read ahead.
type snapshot struct {
	t      *task
	plan   cdc.Plan
	tables map[cdc.Table]*source
	idle   []*wire
	busy   []*wire // by chunk, as far as copying has begun
	begun  int
	at     int // the chunk being delivered
	pos    position

	since   string       // the oldest transaction that the exported snapshot may not see
	resumed *cdc.Reached // where an interrupted snapshot goes on; nil for none

	markers cdc.Markers
	waiting *table // the table of the row that waits for its marker
	held    int    // its chunk
	line    []byte
	scratch []byte
	cells   []cell
	rows    int64
	started time.Time
}

// source is a table of a snapshot.
type source struct {
	entry   *entry
	table   *table
	columns string // as they are selected
	from    string // table, or the SELECT that replaces it
	columnN int
	before  string // a digest of the tables before
	form    string // what its pages are worth nothing without
}

// newSnapshot opens the sessions under the exported snapshot and plans what they read.
func (t *task) newSnapshot(ctx context.Context, made madeSlot, entries []*entry, reached *cdc.Reached) (*snapshot, error) {
	sn := &snapshot{t: t, tables: map[cdc.Table]*source{}, started: time.Now()}
	t.snapshot = sn
	tables := make([]cdc.Table, len(entries))
	for i, e := range entries {
		tables[i] = e.Table
	}
	delivered, resumed := reached.Find(tables, t.log)
	sn.resumed, sn.markers.Resumed = resumed, resumed != nil
	entries = entries[delivered:]
	// The lock comes first: what is read of the tables then holds for as long as they are read.
	most := t.s.v.Int("snapshot.max.threads")
	if err := sn.session(ctx, made.snapshot, readAheadBytes/most, entries); err != nil {
		return nil, trouble("open a session for the snapshot", err)
	}
	if err := t.catalog.files(ctx, entries); err != nil {
		return nil, trouble("read the catalog", err)
	}
	digests := cdc.Digests(tables)
	var extents []cdc.Extent
	for i, e := range entries {
		src, err := t.snapshotSource(ctx, e)
		if err != nil {
			return nil, err
		}
		src.before, src.form = digests[delivered+i], e.form()
		sn.tables[e.Table] = src
		x := t.extent(src, resumed)
		if x.From != "" {
			sn.waiting = src.table // rows of it were delivered
		}
		extents = append(extents, x)
	}
	sn.plan = cdc.NewPlan(extents)
	sn.busy = make([]*wire, len(sn.plan))
	for range min(most, len(sn.plan)) - 1 {
		if err := sn.session(ctx, made.snapshot, readAheadBytes/most, nil); err != nil {
			return nil, trouble("open a session for the snapshot", err)
		}
	}
	txid, err := t.currentTransaction(ctx)
	if err != nil {
		return nil, trouble("read the transaction id", err)
	}
	now := time.Now()
	sn.pos = position{Event: made.point, TxID: txid, Micros: now.UnixMicro(), Snapshot: true}
	sn.begins(len(entries))
	return sn, nil
}

// begins says what is to be read.
func (sn *snapshot) begins(tables int) {
	log := sn.t.log.With("tables", tables, "chunks", len(sn.plan), "threads", len(sn.idle), "at", sn.pos.Event)
	if r := sn.resumed; r != nil {
		log.Info("snapshot resumed", "table", r.Schema+"."+r.Table, "chunk", r.Chunks+1, "of", r.Chunks+len(sn.plan), "page", r.From)
		return
	}
	log.Info("snapshot begins")
}

// currentTransaction returns the newest transaction id there was.
func (t *task) currentTransaction(ctx context.Context) (id int64, err error) {
	err = t.control.QueryRow(ctx, "SELECT txid_snapshot_xmax(txid_current_snapshot())").Scan(&id)
	return id, err
}

func (t *task) snapshotSource(ctx context.Context, e *entry) (*source, error) {
	if err := t.catalog.fill(ctx, e); err != nil {
		return nil, trouble("read the catalog", err)
	}
	e.keyed(t.s.keys)
	tb, err := t.compiler.compile(e.shape)
	if err == nil {
		err, t.catalog.err = t.catalog.err, nil
		if err != nil {
			return nil, trouble("read the catalog", err)
		}
	}
	if err != nil {
		return nil, wrong("prepare table "+e.Table.String(), "check message.key.columns", "%w", err)
	}
	if len(tb.dropped) > 0 {
		t.log.Warn("columns of types without a mapping are left out; include.unknown.datatypes=true takes them as bytes", "table", tb.id, "columns", tb.dropped)
	}
	t.versions[tb.id] = tb
	var names []string
	for _, c := range e.columns {
		names = append(names, quote(c))
	}
	src := &source{entry: e, table: tb, columns: strings.Join(names, ", "), columnN: len(names),
		from: quote(e.Table.Schema) + "." + quote(e.Table.Name)}
	if e.kind == 'r' {
		src.from = "ONLY " + src.from
	}
	if sql := t.override(e.Table); sql != "" {
		src.from, e.pages = "("+strings.TrimRight(strings.TrimSpace(sql), ";")+") AS overridden", 0
	}
	return src, nil
}

// override returns the SELECT that replaces the table, or "".
func (t *task) override(name cdc.Table) string {
	for _, o := range t.s.v.List("snapshot.select.statement.overrides") {
		if strings.EqualFold(o, name.String()) {
			return t.s.v.String("snapshot.select.statement.overrides." + o)
		}
	}
	return ""
}

// extent says where a table can be cut: at every so many pages. Scans of a range of pages are there from PostgreSQL
// 14 on.
func (t *task) extent(src *source, resumed *cdc.Reached) cdc.Extent {
	x := cdc.Extent{Table: src.entry.Table}
	if t.version < 140000 {
		return x
	}
	page, inside := t.inside(src, resumed)
	if inside {
		x.By, x.From, x.Since = "ctid", resumed.From, resumed.Since
	}
	step := int64(t.s.v.Int("snapshot.chunk.pages"))
	for page += step; page < src.entry.pages; page += step {
		x.By, x.Bounds = "ctid", append(x.Bounds, strconv.FormatInt(page, 10))
	}
	return x
}

// session opens a session that sees the exported snapshot, and keeps the tables from being rewritten or dropped
// meanwhile.
func (sn *snapshot) session(ctx context.Context, exported string, limit int, lock []*entry) error {
	s := sn.t.s
	c, err := s.config()
	if err != nil {
		return err
	}
	conn, err := pgconn.ConnectConfig(ctx, &c.Config)
	if err != nil {
		return err
	}
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " + quoteText(exported)
	if len(lock) > 0 {
		sql += "; SET LOCAL lock_timeout = " + strconv.FormatInt(s.v.Long("snapshot.lock.timeout.ms"), 10) +
			"; LOCK TABLE " + tableList(lock) + " IN ACCESS SHARE MODE"
	}
	results, err := conn.Exec(ctx, sql+"; "+rewrittenSQL+"; SELECT txid_snapshot_xmin(txid_current_snapshot()) & 4294967295").ReadAll()
	if err == nil {
		if tables := results[len(results)-2].Rows[0][0]; tables != nil {
			err = fmt.Errorf("%s was rewritten at the moment in which the snapshot began, and would look empty", tables)
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // one that was listed a moment ago
		err = &connectors.Error{Op: "lock the tables for the snapshot", Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	}
	if err == nil {
		sn.since = string(results[len(results)-1].Rows[0][0])
		var w *wire
		if w, err = newWire(ctx, conn, min(limit, 8<<20)); err == nil {
			sn.idle = append(sn.idle, w)
			return nil
		}
	}
	conn.Close(ctx)
	return err
}

// rewrittenSQL names the tables that are locked, and that are in another file now than the exported snapshot says. A table
// that is rewritten (ALTER TABLE, TRUNCATE) behind the snapshot's point and before it is locked has no rows in the snapshot,
// and none in the log (PostgreSQL documentation, "Caveats" of MVCC).
const rewrittenSQL = `SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c JOIN pg_locks l ON l.relation = c.oid
WHERE l.pid = pg_backend_pid() AND c.oid >= 16384 AND c.relfilenode <> 0 AND c.relfilenode <> pg_relation_filenode(c.oid)`

// copySQL is the statement that reads a chunk.
func (s *source) copySQL(c cdc.Chunk) string {
	sql := "COPY (SELECT " + s.columns + " FROM " + s.from
	if c.By == "ctid" {
		sep := " WHERE "
		if c.From != "" {
			sql += sep + "ctid >= '(" + c.From + ",0)'"
			sep = " AND "
		}
		if c.To != "" {
			sql += sep + "ctid < '(" + c.To + ",0)'"
			sep = " AND "
		}
		if c.Since != "" {
			sql += sep + "age(xmin) <= age(" + quoteText(c.Since) + "::xid)"
		}
	}
	return sql + ") TO STDOUT"
}

// begin gives idle sessions the next chunks.
func (sn *snapshot) begin() error {
	for len(sn.idle) > 0 && sn.begun < len(sn.plan) {
		w := sn.idle[len(sn.idle)-1]
		chunk := sn.plan[sn.begun]
		if err := w.query(sn.tables[chunk.Table].copySQL(chunk)); err != nil {
			return err
		}
		sn.idle, sn.busy[sn.begun] = sn.idle[:len(sn.idle)-1], w
		sn.begun++
	}
	return nil
}

// read fills the batch with rows. done says that there are no more: the batch then has the offset that says so.
func (sn *snapshot) read(ctx context.Context, b *connectors.Batch) (done bool, err error) {
	for len(b.Buf) < batchBytes && len(b.Records) < sn.t.s.maxBatch {
		if sn.at == len(sn.plan) {
			if err := sn.finish(ctx, b); err != nil {
				return false, err
			}
			done = true
			break
		}
		if err := sn.begin(); err != nil {
			return false, trouble("read the snapshot", err)
		}
		kind, body, ok, err := sn.busy[sn.at].next(ctx, len(b.Records) == 0)
		if err != nil {
			return false, trouble("read the snapshot of "+sn.plan[sn.at].Table.String(), err)
		}
		if !ok {
			break
		}
		switch kind {
		case 'd':
			if err := sn.row(ctx, b, body); err != nil {
				return false, err
			}
		case 'Z': // ready for the next query
			w := sn.busy[sn.at]
			sn.busy[sn.at] = nil
			sn.idle = append(sn.idle, w)
			sn.at++
		case 'H', 'c', 'C': // the copy begins, ends, and how many rows it had
		default:
			return false, trouble("read the snapshot", fmt.Errorf("the server sent a message of type %q", kind))
		}
	}
	b.EventTime = sn.pos.Micros / 1000
	sn.offset(b)
	return done, nil
}

// offset appends where the snapshot stands.
func (sn *snapshot) offset(b *connectors.Batch) {
	sn.pos.Reached, sn.pos.Signals = sn.reached(), sn.t.inbox.Place()
	sn.t.chunksLeft.Store(int64(len(sn.plan) - sn.held))
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: sn.t.s.partition(), Offset: sn.pos.append(nil, nil)})
}

// row takes a row in, and appends the one before it, whose marker is now known.
func (sn *snapshot) row(ctx context.Context, b *connectors.Batch, line []byte) error {
	tb := sn.tables[sn.plan[sn.at].Table].table
	if marker, ok := sn.markers.Row(tb != sn.waiting); ok {
		if err := sn.append(ctx, b, marker); err != nil {
			return err
		}
	}
	sn.waiting, sn.held = tb, sn.at
	sn.line = append(sn.line[:0], line...)
	return nil
}

// append appends the waiting row.
func (sn *snapshot) append(ctx context.Context, b *connectors.Batch, marker cdc.Snapshot) error {
	src := sn.tables[sn.waiting.Table]
	sn.cells, sn.scratch = splitCopy(sn.line, sn.cells, sn.scratch)
	if len(sn.cells) == 1 && src.columnN == 0 {
		sn.cells = sn.cells[:0] // a table without columns
	}
	if len(sn.cells) != src.columnN {
		return fmt.Errorf("read the snapshot of %s: %w", sn.waiting.id, errCopy)
	}
	sn.t.emit.marked(sn.pos, marker)
	err := sn.t.emit.change(b, src.table, cdc.Read, nil, &row{cells: sn.cells}, sn.pos.Event, sn.t.emit.context)
	sn.rows++
	if err == nil {
		return nil
	}
	var bad *valueError
	if errors.As(err, &bad) {
		place := fmt.Sprintf("snapshot at LSN %s, row %d, table %s, column %s", sn.pos.Event, sn.rows, sn.waiting.id, bad.column)
		err = refuse(ctx, sn.t.report, src.table, sn.cells, place, bad)
	}
	return err
}

// finish appends the last row and ends the sessions.
func (sn *snapshot) finish(ctx context.Context, b *connectors.Batch) error {
	if marker, ok := sn.markers.End(); ok {
		if err := sn.append(ctx, b, marker); err != nil {
			return err
		}
	}
	sn.pos.Completed, sn.held = true, len(sn.plan)
	sn.close()
	sn.t.log.Info("snapshot ends", "rows", sn.rows, "seconds", time.Since(sn.started).Seconds())
	return nil
}

// close ends the sessions.
func (sn *snapshot) close() {
	for _, w := range append(sn.idle, sn.busy...) {
		if w != nil {
			w.close()
		}
	}
	sn.idle, sn.busy = nil, nil
}

// marked sets what the source block of a snapshot row says; only a changed marker costs anything.
func (e *emitter) marked(pos position, marker cdc.Snapshot) {
	if e.marker == marker {
		return
	}
	uses := e.uses
	e.at(pos.Micros, pos.TxID, marker)
	e.marker, e.uses, e.origin = marker, uses, noOrigin()
}

// exported starts a transaction whose snapshot others can share, for a snapshot that no changes follow.
func exported(ctx context.Context, conn *pgconn.PgConn) (madeSlot, error) {
	r, err := conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END`).ReadAll()
	if err != nil {
		return madeSlot{}, err
	}
	out := r[len(r)-1].Rows[0]
	point, err := pglogrepl.ParseLSN(string(out[1]))
	return madeSlot{point, string(out[0])}, err
}
