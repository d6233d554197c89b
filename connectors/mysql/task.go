package mysql

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// task reads one server: first a snapshot, if one is due, then the stream of changes.
type task struct {
	flavor flavor
	s      *settings
	name   string
	log    *slog.Logger
	report func(context.Context, connectors.Record, error) error

	control *session // used by the goroutine that starts and reads
	locker  *session // holds the lock of a snapshot
	server  *server

	storedServer string // server_uuid of the one that the stored offset is of; "" is not known

	catalog  *catalog
	charsets *charsets
	compiler *compiler
	history  *history
	changes  *schemaChanges
	emit     *emitter

	snapshot   *snapshot
	chunksLeft atomic.Int64 // of the snapshot
	stream     *stream
	monitor    *monitor
	from       position // where the stream is to begin, after the snapshot
	only       bool     // the snapshot is all there is to do

	inbox *cdc.Inbox // signals that do not come by the log

	unannounced bool          // no offset of the snapshot has been handed on
	announced   chan struct{} // closed when one is durable; nil if rows need not wait for it
	once        sync.Once     // closes announced
}

// Start connects, and opens the snapshot or the stream.
func (t *task) Start(ctx context.Context, start connectors.SourceStart) error {
	s, err := parse(t.flavor, start.Config)
	if err != nil {
		return err
	}
	t.s, t.name, t.report, t.log = s, start.Connector, start.Report, start.Log
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.storedServer = s.storedServer(start.Offsets)
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
	return t.explain(t.begin(ctx, pos, stored, start.Offsets))
}

// connect opens the session and makes what both snapshot and stream need.
func (t *task) connect(ctx context.Context, start connectors.SourceStart) (err error) {
	if t.control, err = t.s.connect(ctx); err != nil {
		return trouble("connect to "+t.s.addr(), err)
	}
	if t.server, err = readServer(ctx, t.control); err != nil {
		return trouble("read the server's settings", err)
	}
	if err := t.checkServer(); err != nil {
		return err
	}
	t.catalog = &catalog{s: t.s, conn: t.control, server: t.server}
	t.charsets = &charsets{conn: t.control, known: map[string]decoder{}}
	t.history = newHistory(t.s, t.catalog, t.log)
	source, block := t.flavor.sourceSchema(), cdc.Block()
	t.changes = newSchemaChanges(t.s, source)
	t.compiler = &compiler{s: t.s, source: source, block: block, codecs: codecs{modes: t.s.values, charsets: t.charsets, mariadb: t.server.mariadb}}
	t.emit = &emitter{s: t.s, now: time.Now}
	if t.s.v.Bool("extended.headers.enabled") {
		t.emit.context = cdc.ContextHeaders(t.s.prefix, start.Task, t.flavor.name, cdc.NewRunID(time.Now()))
	}
	if t.s.v.Bool("provide.transaction.metadata") {
		t.emit.txmeta = cdc.NewTransactions(t.s.prefix+t.s.naming.Delimiter+t.s.v.String("topic.transaction"), block)
	}
	t.monitor = newMonitor(t.s, t.server, t.log)
	return nil
}

// checkServer refuses a server whose log cannot be read.
func (t *task) checkServer() error {
	const op = "check the server"
	sv := t.server
	if sv.mariadb != t.flavor.mariadb {
		other := mysqlFlavor()
		if sv.mariadb {
			other = mariadbFlavor()
		}
		return wrong(op, "set connector.class="+other.class, "the server is a %s (%s)", other.title, sv.version)
	}
	if t.s.snapshotMode == "initial_only" {
		return nil
	}
	switch {
	case !sv.logging:
		return wrong(op, "start the server with log_bin", "the server has no binary log")
	case sv.format != "ROW":
		return wrong(op, "SET GLOBAL binlog_format = ROW, and let all sessions connect anew", "binlog_format is %s; changes can be read with ROW only", sv.format)
	case sv.options != "":
		return wrong(op, "SET GLOBAL binlog_row_value_options = ''; and let the sessions connect anew", "%w", errPartial)
	}
	return nil
}

// begin decides, by snapshot.mode and the stored offset, what is to be read, and opens it.
func (t *task) begin(ctx context.Context, pos position, stored bool, offsets []connectors.SourceOffset) error {
	mode := t.s.snapshotMode
	t.only = mode == "initial_only"
	if t.only && stored && pos.usable() {
		return nil
	}
	joined := false // the log has all that follows the stored offset
	if stored {
		err := t.checkOffset(ctx, &pos)
		anew := mode == "when_needed" || mode == "always" || t.only
		switch {
		case err == nil:
			joined = true
		case anew && connectors.ClassOf(err) == connectors.ClassGone:
			t.log.Warn("the changes since the stored offset are not to be had; the tables are read anew, and rows that were deleted meanwhile stay where they were delivered", "cause", err)
		default: // also of a snapshot that was given up: its rows are delivered, and nothing says which of them are gone
			return err
		}
	}
	if joined && pos.usable() && !t.only && mode != "always" {
		return t.goOn(ctx, pos, offsets)
	}
	t.unannounced, t.announced = true, make(chan struct{})
	var reached *cdc.Reached
	if joined && mode != "always" && mode != "no_data" {
		reached = pos.Reached
	}
	if err := t.openSnapshot(ctx, mode != "no_data", reached); err != nil {
		return err
	}
	if joined {
		return t.catchUp(ctx, pos, offsets)
	}
	return nil
}

// goOn starts the stream at a stored offset, with the definitions as they were then.
func (t *task) goOn(ctx context.Context, pos position, offsets []connectors.SourceOffset) error {
	found, err := t.history.load(offsets, &pos)
	if err != nil {
		return wrong("read the stored definitions", "delete the connector's offsets", "%w", err)
	}
	if !found {
		// An offset of Debezium's, or of a time when the log described itself.
		head, err := t.server.here(ctx, t.control)
		if err != nil {
			return trouble("read the position of the binary log", err)
		}
		at := mark{File: pos.File, Pos: pos.Pos}
		if _, err := t.history.readAll(ctx, at, &mark{File: head.File, Pos: head.Pos}); err != nil {
			return err
		}
	}
	return t.startStream(ctx, pos)
}

// Read returns rows of the snapshot, then changes. An error ends the task, also one that may pass: what had been taken
// from the connection is lost with the batch, and only a new task, from the stored offset, reads it again (I5).
func (t *task) Read(ctx context.Context, b *connectors.Batch) error {
	err := t.explain(t.read(ctx, b))
	var e *connectors.Error
	if errors.As(err, &e) {
		e.Retriable = false
	}
	return err
}

func (t *task) read(ctx context.Context, b *connectors.Batch) error {
	switch {
	case t.stream != nil:
		err := t.stream.read(ctx, b)
		if err == nil && t.stream.reached() {
			t.stream.close()
			t.stream = nil
		}
		return err
	case t.snapshot != nil:
		return t.readSnapshot(ctx, b)
	case t.only:
		return io.EOF
	}
	if err := connectors.Sleep(ctx, t.s.v.Duration("streaming.delay.ms")); err != nil {
		return err
	}
	if err := t.startStream(ctx, t.from); err != nil {
		return err
	}
	return t.stream.read(ctx, b)
}

// readSnapshot returns rows. The very first batches are the definitions, then the offset alone, and rows follow when it
// is durable: rows that were delivered under no offset would be nobody's if the task died.
func (t *task) readSnapshot(ctx context.Context, b *connectors.Batch) error {
	if t.history.changed() {
		t.history.offsets(b)
		return nil
	}
	if err := t.history.wait(ctx); err != nil {
		return err
	}
	if t.unannounced {
		t.unannounced = false
		t.snapshot.offset(b)
		return nil
	}
	select {
	case <-t.announced:
	case <-ctx.Done():
		return ctx.Err()
	}
	done, err := t.snapshot.read(ctx, b)
	if done {
		t.from = t.snapshot.pos
		t.snapshot = nil
	}
	return err
}

// Commit says what is durable: older versions of tables can be forgotten. The server needs no word of it.
func (t *task) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	t.history.confirm(offsets)
	p, ok, err := t.s.stored(offsets)
	if err != nil || !ok {
		return err
	}
	if t.announced != nil {
		t.once.Do(func() { close(t.announced) })
	}
	t.inbox.Stored(p.Signals)
	t.history.committed(p)
	t.monitor.committed(p)
	return nil
}

// Stop ends all sessions.
func (t *task) Stop(context.Context) error {
	t.inbox.Close()
	if t.monitor != nil {
		t.monitor.close()
	}
	if t.stream != nil {
		t.stream.close()
	}
	if t.snapshot != nil {
		t.snapshot.close()
	}
	t.locker.close()
	t.control.close()
	return nil
}
