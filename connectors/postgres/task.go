package postgres

import (
	"context"
	"errors"
	"io"
	"log/slog"
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
	server         identity
	stored         identity // that is stored, or on its way
	viaRoot        bool
	reportInterval time.Duration
	acknowledged   pglogrepl.LSN // where the slot stands already
	durable        atomic.Uint64 // what Commit has said is durable, as an LSN

	catalog  *catalog
	compiler *compiler
	emit     *emitter
	versions map[string]*table

	snapshot   *snapshot
	chunksLeft atomic.Int64 // of the snapshot
	stream     *stream
	acks       atomic.Pointer[acknowledger] // of the stream; Commit runs beside Read
	monitor    *monitor
	from       position // where the stream is to begin, after the snapshot
	only       bool     // the snapshot is all there is to do
	opening    *opening // of the stream, behind the snapshot

	inbox *cdc.Inbox // signals that do not come by the log

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
	t.stored = s.storedIdentity(start.Offsets)
	pos, stored, err := s.stored(start.Offsets)
	if err != nil {
		return wrong("read the stored source offset", "correct or delete the connector's offsets", "%w", err)
	}
	t.inbox = cdc.OpenInbox(s.v, pos.Signals, s.snapshotMode != "initial_only", t.log)
	if err := t.connect(ctx, start); err != nil {
		return err
	}
	if err := connectors.Sleep(ctx, s.v.Duration("snapshot.delay.ms")); err != nil {
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

// Read returns rows of the snapshot, then changes. An error ends the task, also one that may pass: what had been taken
// from the connection is lost with the batch, and only a new task, from the stored offset, reads it again (I5).
func (t *task) Read(ctx context.Context, b *connectors.Batch) error {
	err := t.read(ctx, b)
	if err == nil {
		t.identify(b)
	}
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
	if err != nil || !ok {
		return err
	}
	t.inbox.Stored(p.Signals)
	if t.only || t.s.manualFlush {
		return nil
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
	t.inbox.Close()
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
			if _, err = t.waitUnused(ctx); err == nil {
				err = dropSlot(ctx, t.control, t.s.slot)
			}
			err = trouble("drop slot "+t.s.slot, err)
		}
		t.control.Close(ctx)
	}
	return err
}
