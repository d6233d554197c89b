package mysql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

const (
	// blockBytes is how many bytes of rows a session hands on at once.
	blockBytes = 256 << 10
	// readAheadBlocks is what all sessions of a snapshot together may hold read ahead.
	readAheadBlocks = 96
)

// snapshot reads the rows of the tables as they were at one place of the log. Its sessions see the same moment; each
// reads one chunk at a time. Chunks are delivered in the order of the plan, while the other sessions read ahead.
type snapshot struct {
	t       *task
	plan    cdc.Plan
	sources map[cdc.Table]*source
	idle    []*session
	busy    []*reading // by chunk, as far as reading has begun
	begun   int
	at      int // the chunk being delivered
	block   block
	pos     position
	origin  origin
	tell    []func(b *connectors.Batch, marker cdc.Snapshot) // records of the tables' definitions, that come first

	resumed *cdc.Reached // where an interrupted snapshot goes on; nil for none
	markers cdc.Markers
	waiting *source // the table of the row that waits for its marker
	held    int     // its chunk
	done    doneRow // the last one that was appended
	row     []byte
	cells   []cell
	shown   cdc.Snapshot
	shownDB string
	rows    int64
	started time.Time

	ctx    context.Context // ends the sessions' goroutines
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// source is a table of a snapshot.
type source struct {
	table   *table
	reader  reader
	columns string  // as they are selected
	from    string  // table, or the SELECT that replaces it
	key     string  // a single integer column that rows can be cut by, "" if there is none
	keyAt   int     // its field
	ordered bool    // rows come in the order of key
	cursor  *cursor // the order in which rows come if they cannot be cut; nil if there is none
	before  string  // a digest of the tables before
	form    string  // what ranges of it are worth nothing without
}

// block is rows as they came, one behind the other.
type block struct {
	bytes []byte
	ends  []int
	at    int
}

// reading is a chunk that a session reads.
type reading struct {
	session *session
	blocks  chan block
	err     error // set before blocks is closed
}

// openSnapshot opens the sessions at one moment, whose place in the log becomes the position behind the snapshot. With
// no rows to read, there are only definitions and the place. reached is where an interrupted snapshot goes on, nil for none.
func (t *task) openSnapshot(ctx context.Context, data bool, reached *cdc.Reached) error {
	sn := &snapshot{t: t, sources: map[cdc.Table]*source{}, started: time.Now()}
	sn.ctx, sn.cancel = context.WithCancel(context.Background())
	t.snapshot = sn
	threads := t.s.v.Int("snapshot.max.threads")
	if !data {
		threads = 0
	}
	for range threads {
		c, err := t.s.connect(ctx)
		if err != nil {
			return trouble("open a session for the snapshot", err)
		}
		sn.idle = append(sn.idle, c)
	}
	entries, err := sn.meet(ctx)
	if err != nil {
		return err
	}
	var read []*entry
	for _, e := range entries {
		if data && t.s.listed(e.name) && (len(t.s.snapshotTables) == 0 || t.s.snapshotTables.Match(e.name.String())) {
			read = append(read, e)
		}
	}
	rank := func(e *entry) int { return t.s.tables.Include.Rank(e.name.String()) }
	slices.SortStableFunc(read, func(a, b *entry) int { return cmp.Compare(rank(a), rank(b)) })
	tables := make([]cdc.Table, len(read))
	for i, e := range read {
		tables[i] = e.name
	}
	delivered, resumed := reached.Find(tables, t.log)
	sn.resumed, sn.markers.Resumed = resumed, resumed != nil
	if err := sn.pin(ctx, read[delivered:]); err != nil {
		return err
	}
	if err := t.met(ctx); err != nil {
		return err
	}
	if resumed == nil { // else they came before the first row
		if err := sn.define(ctx, entries); err != nil {
			return err
		}
	}
	return sn.prepare(ctx, read[delivered:], cdc.Digests(tables)[delivered:])
}

// prepare plans what is read of the tables.
func (sn *snapshot) prepare(ctx context.Context, entries []*entry, digests []string) error {
	var extents []cdc.Extent
	for i, e := range entries {
		src, err := sn.source(ctx, e)
		if err != nil {
			return err
		}
		src.before = digests[i]
		sn.sources[e.name] = src
		x, err := sn.extent(ctx, src)
		if err != nil {
			return trouble("plan the snapshot of "+e.name.String(), err)
		}
		if x.From != "" {
			sn.waiting = src // rows of it were delivered
		}
		extents = append(extents, x)
	}
	sn.plan = cdc.NewPlan(extents)
	sn.busy = make([]*reading, len(sn.plan))
	log := sn.t.log.With("tables", len(extents), "chunks", len(sn.plan), "threads", len(sn.idle), "file", sn.pos.File, "pos", sn.pos.Pos, "gtids", sn.pos.GTIDs)
	if r := sn.resumed; r != nil {
		log.Info("snapshot resumed", "table", r.Schema+"."+r.Table, "chunk", r.Chunks+1, "of", r.Chunks+len(sn.plan), "key", r.From)
	} else if len(sn.idle) > 0 {
		log.Info("snapshot begins")
	}
	return nil
}

// define prepares the records of the tables' definitions.
func (sn *snapshot) define(ctx context.Context, entries []*entry) error {
	t := sn.t
	if !t.s.schemaChanges {
		return nil
	}
	r, err := t.control.one(ctx, "SELECT @@GLOBAL.character_set_server, @@GLOBAL.collation_server")
	if err != nil {
		return trouble("read the server's character set", err)
	}
	sn.announce("", "", fmt.Sprintf("SET character_set_server=%s, collation_server=%s", r[0], r[1]), nil)
	for _, e := range entries {
		sn.announce(e.name.Schema, e.name.Name, "DROP TABLE IF EXISTS "+quoteTable(e.name), []tableChange{{kind: "DROP", name: e.name}})
	}
	for i, e := range entries {
		if i == 0 || e.name.Schema != entries[i-1].name.Schema {
			charset, collation, err := t.catalog.databaseCharset(ctx, e.name.Schema)
			if err != nil {
				return trouble("read the character set of "+e.name.Schema, err)
			}
			db := quote(e.name.Schema)
			sn.announce(e.name.Schema, "", "DROP DATABASE IF EXISTS "+db, nil)
			sn.announce(e.name.Schema, "", fmt.Sprintf("CREATE DATABASE %s CHARSET %s COLLATE %s", db, charset, collation), nil)
			sn.announce(e.name.Schema, "", "USE "+db, nil)
		}
		sql, err := t.catalog.createSQL(ctx, e.name)
		if err != nil {
			return trouble("read the definition of "+e.name.String(), err)
		}
		sn.announce(e.name.Schema, e.name.Name, sql, []tableChange{{kind: "CREATE", name: e.name, def: e.def}})
	}
	return nil
}

func (sn *snapshot) announce(db, table, sql string, changes []tableChange) {
	sn.tell = append(sn.tell, func(b *connectors.Batch, marker cdc.Snapshot) {
		e := sn.t.emit
		o := sn.origin
		o.ns = e.now().UnixNano()
		e.at(&o, marker, db)
		place := cdc.AppendOptionalNull(nil)
		if table != "" {
			place = cdc.AppendOptionalString(nil, table)
		}
		e.schemaChange(b, sn.t.changes, place, db, sql, changes)
	})
}

// begin gives idle sessions the next chunks.
func (sn *snapshot) begin() {
	for len(sn.idle) > 0 && sn.begun < len(sn.plan) {
		c := sn.idle[len(sn.idle)-1]
		sn.idle = sn.idle[:len(sn.idle)-1]
		chunk := sn.plan[sn.begun]
		r := &reading{session: c, blocks: make(chan block, max(2, readAheadBlocks/sn.t.s.v.Int("snapshot.max.threads")))}
		sn.busy[sn.begun] = r
		sn.begun++
		sn.group.Add(1)
		go func() {
			defer sn.group.Done()
			defer close(r.blocks)
			r.err = sn.copy(r, sn.sources[chunk.Table].selectSQL(chunk))
		}()
	}
}

// copy reads the rows of a chunk.
func (sn *snapshot) copy(r *reading, sql string) error {
	if err := r.session.sendQuery(sql); err != nil {
		return err
	}
	var b block
	for {
		row, err := r.session.nextRow()
		if err != nil {
			return err
		}
		if row != nil {
			b.bytes = append(b.bytes, row...)
			b.ends = append(b.ends, len(b.bytes))
		}
		if row == nil || len(b.bytes) >= blockBytes {
			select {
			case r.blocks <- b:
			case <-sn.ctx.Done():
				return sn.ctx.Err()
			}
			b = block{bytes: make([]byte, 0, blockBytes+blockBytes/4), ends: make([]int, 0, len(b.ends)+len(b.ends)/4)}
		}
		if row == nil {
			return nil
		}
	}
}

// read fills the batch with rows. done says that there are no more: the batch then has the offset that says so.
func (sn *snapshot) read(ctx context.Context, b *connectors.Batch) (done bool, err error) {
	for len(sn.tell) > 0 && len(b.Buf) < batchBytes && len(b.Records) < sn.t.s.maxBatch {
		marker := cdc.InSnapshot
		if len(sn.tell) == 1 && len(sn.plan) == 0 { // no row follows
			marker = cdc.Last
		}
		sn.tell[0](b, marker)
		sn.tell = sn.tell[1:]
	}
	for len(b.Buf) < batchBytes && len(b.Records) < sn.t.s.maxBatch {
		if sn.at == len(sn.plan) {
			if err := sn.finish(ctx, b); err != nil {
				return false, err
			}
			done = true
			break
		}
		if sn.block.at < len(sn.block.ends) {
			if err := sn.take(ctx, b); err != nil {
				return false, err
			}
			continue
		}
		sn.begin()
		more, err := sn.next(ctx, len(b.Records) == 0)
		if err != nil {
			return false, trouble("read the snapshot of "+sn.plan[sn.at].Table.String(), err)
		}
		if !more {
			break
		}
	}
	b.EventTime = sn.origin.ns / 1e6
	sn.offset(b)
	return done, nil
}

// next gets the next block, of the next chunk where one is done. more is false if there is none now.
func (sn *snapshot) next(ctx context.Context, wait bool) (more bool, err error) {
	r := sn.busy[sn.at]
	var b block
	var ok bool
	if wait {
		select {
		case b, ok = <-r.blocks:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	} else {
		select {
		case b, ok = <-r.blocks:
		default:
			return false, nil
		}
	}
	if ok {
		sn.block = b
		return true, nil
	}
	if r.err != nil {
		return false, r.err
	}
	sn.busy[sn.at] = nil
	sn.idle = append(sn.idle, r.session)
	sn.at++
	return true, nil
}

// offset appends where the snapshot stands.
func (sn *snapshot) offset(b *connectors.Batch) {
	sn.pos.Reached, sn.pos.Signals = sn.reached(), sn.t.inbox.Place()
	sn.t.chunksLeft.Store(int64(len(sn.plan) - sn.held))
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: sn.t.s.partition(), Offset: sn.pos.append(nil, nil)})
}

// take takes a row in, and appends the one before it, whose marker is now known.
func (sn *snapshot) take(ctx context.Context, b *connectors.Batch) error {
	src := sn.sources[sn.plan[sn.at].Table]
	if marker, ok := sn.markers.Row(src != sn.waiting); ok {
		if err := sn.append(ctx, b, marker); err != nil {
			return err
		}
	}
	from := 0
	if sn.block.at > 0 {
		from = sn.block.ends[sn.block.at-1]
	}
	sn.waiting, sn.held = src, sn.at
	sn.row = sn.block.bytes[from:sn.block.ends[sn.block.at]]
	sn.block.at++
	return nil
}

// append appends the waiting row.
func (sn *snapshot) append(ctx context.Context, b *connectors.Batch, marker cdc.Snapshot) error {
	t := sn.waiting.table
	var err error
	if sn.cells, err = splitRow(sn.row, sn.cells); err != nil || len(sn.cells) != len(t.fields)+sn.waiting.cursor.columns() {
		return fmt.Errorf("read the snapshot of %s: %w", t.id, errRow)
	}
	sn.done = doneRow{sn.waiting, sn.row}
	cells := sn.cells[:len(t.fields)]
	if sn.shown != marker || sn.shownDB != t.name.Schema { // only a change costs anything
		uses := sn.t.emit.uses
		sn.t.emit.at(&sn.origin, marker, t.name.Schema)
		sn.t.emit.uses, sn.shown, sn.shownDB = uses, marker, t.name.Schema
	}
	sn.rows++
	err = sn.t.emit.emit(b, &change{t: t, read: sn.waiting.reader, op: cdc.Read, after: cells, headers: sn.t.emit.context})
	var bad *valueError
	if errors.As(err, &bad) {
		place := fmt.Sprintf("snapshot at %s:%d, row %d, table %s, column %s", sn.pos.File, sn.pos.Pos, sn.rows, t.id, bad.column)
		err = refuse(ctx, sn.t.report, t, cells, place, bad)
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
	sn.pos.Snapshot, sn.pos.Completed, sn.held = sn.t.only, sn.t.only, len(sn.plan)
	sn.close()
	sn.t.log.Info("snapshot ends", "rows", sn.rows, "seconds", time.Since(sn.started).Seconds())
	return nil
}

// close ends the sessions and the lock.
func (sn *snapshot) close() {
	sn.cancel()
	for _, r := range sn.busy {
		if r != nil {
			r.session.close()
		}
	}
	for _, c := range sn.idle {
		c.close()
	}
	sn.group.Wait()
	sn.idle, sn.busy = nil, nil
	if sn.t.locker != nil {
		sn.t.unlock()
	}
}
