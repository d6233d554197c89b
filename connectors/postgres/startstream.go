package postgres

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

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
		err := connectors.Sleep(ctx, t.s.v.Duration("streaming.delay.ms"))
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

// startStream starts replication at the position. until is where a catch-up ends, 0 for a stream without an end.
func (t *task) startStream(ctx context.Context, pos position, until pglogrepl.LSN) error {
	op := "start replication on slot " + t.s.slot
	if _, err := t.waitUnused(ctx); err != nil {
		return trouble(op, err)
	}
	w, err := t.replicationWire(ctx)
	if err != nil {
		return trouble(op, err)
	}
	st := &stream{s: t.s, log: t.log, w: w, cat: t.catalog, comp: t.compiler, emit: t.emit, report: t.report,
		relations: map[uint32]*table{}, versions: t.versions, viaRoot: t.viaRoot, pos: pos, until: until,
		messages: newMessages(t.s, t.compiler.source, t.compiler.block)}
	t.stream = st
	w.interrupt, st.inbox = t.inbox.Arrived(), t.inbox
	st.chunks = &chunks{s: t.s, conn: t.control, version: t.version, viaRoot: t.viaRoot, st: st}
	st.backfill = cdc.NewBackfill(st.chunks, t.s.v.Int("incremental.snapshot.chunk.size"), st.resumed(pos), t.log)
	st.offered, st.offeredAt, st.beatAt = pos.start(), time.Now(), time.Now()
	if t.s.heartbeat > 0 {
		st.beats = cdc.NewHeartbeats(t.s.heartbeatTopic(), t.s.prefix)
	}
	if !pos.Snapshot {
		st.emit.lastCommit = pos.Commit
		// If the first transaction is the one of the last event, that event was inside of it: a whole one is not sent
		// again. The event's LSN says nothing, it may be less than the end of the transaction before.
		st.resume, st.resuming = pos, pos.TxID != 0
	}
	if pos.Snapshot {
		st.pos.TxID = 0 // the snapshot's is of no transaction that was delivered, and the next one may have it
	}
	st.pos.Snapshot, st.pos.Count = false, 0
	if until != 0 {
		st.pos.Commit, st.emit.lastCommit = pos.start(), pos.start()
	}
	args := fmt.Sprintf("proto_version '1', publication_names %s", quoteText(quote(t.s.publication)))
	if t.version >= 140000 {
		args += ", messages 'true'"
	}
	for name, value := range streamParams(t.s.v.String("slot.stream.params")) {
		args += fmt.Sprintf(", %s %s", quote(name), quoteText(value))
	}
	if err := w.query(fmt.Sprintf("START_REPLICATION SLOT %s LOGICAL %s (%s)", quote(t.s.slot), pos.start(), args)); err != nil {
		return trouble(op, err)
	}
	if _, err := w.expect(ctx, 'W'); err != nil {
		return t.explain(trouble(op, err))
	}
	st.acks = newAcknowledger(w.conn, max(t.acknowledged, pglogrepl.LSN(t.durable.Load())), t.reportInterval, until != 0)
	t.acks.Store(st.acks)
	if until != 0 {
		t.log.Info("catching up with what was committed before the snapshot", "slot", t.s.slot, "from", pos.start(), "to", until)
	} else {
		t.log.Info("streaming", "slot", t.s.slot, "from", pos.start())
	}
	return nil
}

// replicationWire takes the session for the slot over, or makes one.
func (t *task) replicationWire(ctx context.Context) (*wire, error) {
	if t.replication == nil {
		var err error
		if t.replication, err = t.s.connectReplication(ctx); err != nil {
			return nil, err
		}
	}
	w, err := newWire(ctx, t.replication, batchBytes)
	if err == nil {
		t.replication = nil // the wire has it
	}
	return w, err
}

// streamParams reads slot.stream.params: name=value;name=value.
func streamParams(text string) map[string]string {
	out := map[string]string{}
	for _, p := range bytes.Split([]byte(text), []byte{';'}) {
		if name, value, ok := bytes.Cut(p, []byte{'='}); ok {
			out[string(bytes.TrimSpace(name))] = string(bytes.TrimSpace(value))
		}
	}
	return out
}
