package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// task reads one database: first a snapshot, if one is due, then the stream of changes.
type task struct {
	s      *settings
	name   string
	log    *slog.Logger
	report func(context.Context, connectors.Record, error) error

	control     *pgx.Conn      // ordinary session, used by the goroutine that starts and reads
	replication *pgconn.PgConn // session for the slot, until the stream takes it over
	exporter    *pgconn.PgConn // session that holds an exported snapshot, until it is imported

	version        int // server_version_num
	viaRoot        bool
	reportInterval time.Duration
	acknowledged   pglogrepl.LSN // where the slot stands already
	durable        atomic.Uint64 // what Commit has said is durable, as an LSN

	catalog  *catalog
	compiler *compiler
	emit     *emitter
	versions map[string]*table

	snapshot *snapshot
	stream   *stream
	acks     atomic.Pointer[acknowledger] // of the stream; Commit runs beside Read
	monitor  *monitor
	from     position // where the stream is to begin, after the snapshot
	only     bool     // the snapshot is all there is to do
	opening  *opening // of the stream, behind the snapshot

	unannounced bool          // no offset of the snapshot has been handed on
	announced   chan struct{} // closed when one is durable; nil if rows need not wait for it
	once        sync.Once     // closes announced
}

// Start connects, makes publication and slot if they are missing, and opens the snapshot or the stream.
func (t *task) Start(ctx context.Context, start connectors.SourceStart) error {
	s, err := parse(start.Config)
	if err != nil {
		return err
	}
	t.s, t.name, t.report, t.log = s, start.Connector, start.Report, start.Log
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	pos, stored, err := s.stored(start.Offsets)
	if err != nil {
		return wrong("read the stored source offset", "correct or delete the connector's offsets", "%w", err)
	}
	if err := t.connect(ctx, start); err != nil {
		return err
	}
	if err := wait(ctx, s.v.Duration("snapshot.delay.ms")); err != nil {
		return err
	}
	return t.begin(ctx, pos, stored)
}

// connect opens the sessions and makes what both snapshot and stream need.
func (t *task) connect(ctx context.Context, start connectors.SourceStart) (err error) {
	if t.control, err = t.s.connect(ctx); err != nil {
		return trouble("connect to "+t.s.v.String("database.hostname"), err)
	}
	if err := t.checkServer(ctx); err != nil {
		return err
	}
	t.catalog, t.versions = newCatalog(t.control), map[string]*table{}
	source, block := sourceSchema(), cdc.Block()
	t.compiler = &compiler{s: t.s, source: source, block: block, codecs: codecs{modes: t.s.values, unchecked: t.control.PgConn().ParameterStatus("server_encoding") == "SQL_ASCII"},
		lookup: func(oid uint32) (typ, bool) {
			ctx, cancel := t.s.queryContext(context.Background())
			defer cancel()
			return t.catalog.lookup(ctx, oid)
		}}
	t.emit = &emitter{s: t.s, database: t.s.v.String("database.dbname"), now: time.Now, origin: noOrigin()}
	if t.s.v.Bool("extended.headers.enabled") {
		t.emit.context = cdc.ContextHeaders(t.s.prefix, start.Task, connectorName, cdc.NewRunID(time.Now()))
	}
	if t.s.v.Bool("provide.transaction.metadata") {
		t.emit.txmeta = cdc.NewTransactions(t.s.prefix+t.s.naming.Delimiter+t.s.v.String("topic.transaction"), block)
	}
	t.monitor = newMonitor(t.s, t.log)
	return nil
}

// checkServer reads what the server is like and refuses one that cannot stream.
func (t *task) checkServer(ctx context.Context) error {
	var level, timeout string
	err := t.control.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('wal_level'), coalesce(current_setting('wal_sender_timeout', true), '60000')`).
		Scan(&t.version, &level, &timeout)
	if err != nil {
		return trouble("read the server's settings", err)
	}
	if level != "logical" && t.s.snapshotMode != "initial_only" {
		return wrong("check the server", "ALTER SYSTEM SET wal_level = logical, and restart the server", "wal_level is %s; changes can be read with logical only", level)
	}
	t.reportInterval = t.s.status
	if err := t.control.QueryRow(ctx, "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'").Scan(&timeout); err == nil {
		if ms, err := strconv.Atoi(timeout); err == nil && ms > 0 {
			t.reportInterval = min(t.reportInterval, time.Duration(ms)*time.Millisecond/3)
		}
	}
	return nil
}

// begin decides, by snapshot.mode, the stored offset and the slot, what is to be read, and opens it.
func (t *task) begin(ctx context.Context, pos position, stored bool) error {
	mode := t.s.snapshotMode
	if mode == "initial_only" {
		t.only = true
		if stored && pos.usable() {
			return nil
		}
		return t.beginSnapshotOnly(ctx)
	}
	if err := t.ensurePublication(ctx); err != nil {
		return err
	}
	sl, err := findSlot(ctx, t.control, t.s.slot)
	if err != nil {
		return trouble("read slot "+t.s.slot, err)
	}
	if sl != nil {
		if err := t.checkSlot(sl); err != nil {
			return err
		}
	}
	again := mode == "always" || mode != "no_data" && !pos.usable()
	if stored {
		err := t.checkOffset(ctx, sl, &pos)
		switch {
		case err == nil:
		case (mode == "when_needed" || mode == "always") && connectors.ClassOf(err) == connectors.ClassGone:
			t.log.Warn("the changes since the stored offset are not to be had; the tables are read anew, and rows that were deleted meanwhile stay where they were delivered", "cause", err)
			stored = false
		default:
			return err
		}
	}
	if sl != nil && sl.status == "lost" { // when_needed, always, or no offset: nothing can be read from it
		if err := dropSlot(ctx, t.control, t.s.slot); err != nil {
			return trouble("drop the lost slot "+t.s.slot, err)
		}
		sl = nil
	}
	switch {
	case stored && again:
		return t.beginAgain(ctx, sl, pos)
	case stored:
		t.acknowledged = sl.confirmed
		return t.startStream(ctx, pos, 0)
	}
	return t.beginAnew(ctx, sl, mode != "no_data")
}

// beginAnew makes the slot if there is none, and starts with a snapshot, or with the changes from now on.
//
// Where the slot exists, its own snapshot is gone. A temporary slot then gives another one: what was committed
// before its point is in the snapshot, and the stream from the lasting slot begins at that point.
func (t *task) beginAnew(ctx context.Context, sl *slot, data bool) error {
	var made madeSlot
	var err error
	switch {
	case sl == nil:
		made, err = t.lastingSlot(ctx, data)
		t.acknowledged = made.point
	case data:
		t.acknowledged = sl.confirmed
		made, err = t.temporarySlot(ctx)
	default:
		t.acknowledged, made.point = sl.confirmed, sl.confirmed
	}
	if err != nil {
		return err
	}
	if !data {
		return t.startStream(ctx, position{Event: made.point, Micros: time.Now().UnixMicro()}, 0)
	}
	t.unannounced, t.announced = true, make(chan struct{})
	return t.openSnapshot(ctx, made)
}

// openSnapshot opens the sessions of the snapshot at the slot's point, where the stream is to go on behind it.
func (t *task) openSnapshot(ctx context.Context, made madeSlot) error {
	t.from = position{Event: made.point, Micros: time.Now().UnixMicro(), Snapshot: true, Completed: true}
	entries, err := t.snapshotEntries(ctx)
	if err != nil {
		return err
	}
	_, err = t.newSnapshot(ctx, made, entries)
	t.endExport(ctx)
	return err
}

// lastingSlot makes the connector's slot. Its snapshot, if it is to be exported, lives in t.replication.
func (t *task) lastingSlot(ctx context.Context, export bool) (madeSlot, error) {
	var err error
	if t.replication, err = t.s.connectReplication(ctx); err != nil {
		return madeSlot{}, trouble("connect for replication", err)
	}
	t.log.Info("creating the replication slot; this waits for the transactions that are running now", "slot", t.s.slot)
	made, err := createSlot(ctx, t.replication, t.s.slot, false, export, t.s.v.Bool("slot.failover"), t.version)
	return made, trouble("create slot "+t.s.slot, err)
}

// temporarySlot makes a slot that ends with its session, for the sake of its snapshot.
func (t *task) temporarySlot(ctx context.Context) (madeSlot, error) {
	var err error
	if t.exporter, err = t.s.connectReplication(ctx); err != nil {
		return madeSlot{}, trouble("connect for replication", err)
	}
	name := fmt.Sprintf("%.40s_tmp_%d", t.s.slot, t.exporter.PID())
	made, err := createSlot(ctx, t.exporter, name, true, true, false, t.version)
	return made, trouble("create a temporary slot for the snapshot", err)
}

func (t *task) endExport(ctx context.Context) {
	if t.exporter != nil {
		t.exporter.Close(ctx)
		t.exporter = nil
	}
}

// beginSnapshotOnly opens a snapshot that no changes follow, and that needs no slot.
func (t *task) beginSnapshotOnly(ctx context.Context) error {
	c, err := t.s.config()
	if err == nil {
		t.exporter, err = pgconn.ConnectConfig(ctx, &c.Config)
	}
	if err != nil {
		return trouble("connect for the snapshot", err)
	}
	made, err := exported(ctx, t.exporter)
	if err != nil {
		return trouble("export a snapshot", err)
	}
	return t.openSnapshot(ctx, made)
}

// snapshotEntries lists the tables to read.
func (t *task) snapshotEntries(ctx context.Context) ([]*entry, error) {
	entries, err := t.catalog.tables(ctx, func(name cdc.Table) bool {
		return t.s.captures(name) && (len(t.s.snapshotTables) == 0 || t.s.snapshotTables.Match(name.String()))
	}, partitionCondition(t.viaRoot))
	if err != nil {
		return nil, trouble("list tables", err)
	}
	for _, e := range entries {
		if !e.readable {
			return nil, trouble("read table "+e.Table.String(), &connectors.Error{Op: "read table " + e.Table.String(), Class: connectors.ClassEnvironment, Retriable: true,
				Err: errors.New("permission denied"), Remedy: fmt.Sprintf("GRANT SELECT ON %s.%s TO %s", quote(e.Table.Schema), quote(e.Table.Name), quote(t.control.Config().User))})
		}
	}
	return entries, nil
}

// Read returns rows of the snapshot, then changes. An error ends the task, also one that may pass: what had been taken
// from the connection is lost with the batch, and only a new task, from the stored offset, reads it again (I5).
func (t *task) Read(ctx context.Context, b *connectors.Batch) error {
	err := t.read(ctx, b)
	var e *connectors.Error
	if errors.As(err, &e) {
		e.Retriable = false
	}
	return err
}

func (t *task) read(ctx context.Context, b *connectors.Batch) error {
	if t.opening != nil {
		return t.readOpened(ctx, b)
	}
	if t.stream != nil {
		err := t.explain(t.stream.read(ctx, b))
		if t.stream.reached {
			t.endCatchUp()
		}
		return err
	}
	if t.snapshot != nil {
		return t.readSnapshot(ctx, b)
	}
	if t.only {
		return io.EOF
	}
	t.openStream()
	return t.readOpened(ctx, b)
}

// opening is a stream that is being started. It has a goroutine and a context of its own: a Read that is cancelled
// meanwhile would break a session off in the middle of a command, and the next Read needs it.
type opening struct {
	cancel context.CancelFunc
	done   chan error
}

func (t *task) openStream() {
	ctx, cancel := context.WithCancel(context.Background())
	o := &opening{cancel, make(chan error, 1)}
	t.opening = o
	go func() {
		err := wait(ctx, t.s.v.Duration("streaming.delay.ms"))
		if err == nil {
			err = t.startStream(ctx, t.from, 0)
		}
		o.done <- err
	}()
}

// readOpened returns changes when the stream is open.
func (t *task) readOpened(ctx context.Context, b *connectors.Batch) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-t.opening.done:
		t.opening.cancel()
		t.opening = nil
		if err != nil {
			return err
		}
	}
	return t.explain(t.stream.read(ctx, b))
}

// readSnapshot returns rows. The very first batch is the offset alone, and rows follow when it is durable: rows that
// were delivered under no offset would be nobody's if the task died, and those deleted before the next snapshot would
// stay where they were delivered.
func (t *task) readSnapshot(ctx context.Context, b *connectors.Batch) error {
	if t.unannounced {
		t.unannounced = false
		t.snapshot.offset(b)
		return nil
	}
	if t.announced != nil {
		select {
		case <-t.announced:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done, err := t.snapshot.read(ctx, b)
	if done {
		t.from.TxID, t.from.Micros = t.snapshot.pos.TxID, t.snapshot.pos.Micros
		t.snapshot = nil
	}
	return err
}

// Commit lets the slot forget what came before the offsets (I1).
func (t *task) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	if t.announced != nil {
		t.once.Do(func() { close(t.announced) })
	}
	p, ok, err := t.s.stored(offsets)
	if err != nil || !ok || t.only || t.s.manualFlush {
		return err
	}
	lsn := p.Commit
	if p.Snapshot {
		lsn = p.Event
	}
	t.durable.Store(max(t.durable.Load(), uint64(lsn)))
	if acks := t.acks.Load(); acks != nil {
		acks.advance(lsn)
	}
	return nil
}

// Stop ends all sessions, and drops the slot if it is to be.
func (t *task) Stop(ctx context.Context) error {
	if t.opening != nil {
		t.opening.cancel()
		<-t.opening.done
	}
	if t.monitor != nil {
		t.monitor.close()
	}
	if acks := t.acks.Load(); acks != nil {
		acks.close()
	}
	if t.stream != nil {
		t.stream.w.close()
	}
	if t.snapshot != nil {
		t.snapshot.close()
	}
	for _, c := range []*pgconn.PgConn{t.replication, t.exporter} {
		if c != nil {
			c.Close(ctx)
		}
	}
	var err error
	if t.control != nil {
		if t.s.v.Bool("slot.drop.on.stop") {
			if err = t.waitUnused(ctx); err == nil {
				err = dropSlot(ctx, t.control, t.s.slot)
			}
			err = trouble("drop slot "+t.s.slot, err)
		}
		t.control.Close(ctx)
	}
	return err
}

// wait waits for that long.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
