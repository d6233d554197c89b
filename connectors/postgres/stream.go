package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// batchBytes is where a batch is cut.
const batchBytes = 1 << 20

// stream reads changes from the slot. It is used by the goroutine that calls Read.
type stream struct {
	s      *settings
	log    *slog.Logger
	w      *wire
	acks   *acknowledger
	cat    *catalog
	comp   *compiler
	emit   *emitter
	report func(ctx context.Context, bad connectors.Record, err error) error

	relations map[uint32]*table // by id, nil for those not captured; new with each connection, as the server's are
	versions  map[string]*table // the newest version of each table, by schema.table
	messages  *messages
	beats     *cdc.Heartbeats
	viaRoot   bool

	pos       position // after the last event
	tx        begin    // the present transaction
	open      bool     // in a transaction
	resume    position // where the stored offset was inside of a transaction; used until the first Begin
	resuming  bool
	skipping  bool  // in the transaction in which the stored offset was
	skipped   int64 // events at exactly the LSN of the stored offset
	cells     []cell
	old       []cell
	key       [2][]byte
	offered   pglogrepl.LSN // the start of the last offset handed on
	offeredAt time.Time
	beatAt    time.Time
	committed bool // a commit was seen

	chunks   *chunks // of incremental snapshots
	inbox    *cdc.Inbox
	backfill *cdc.Backfill
	recent   recent
	high     pglogrepl.LSN // where the window of an incremental snapshot ends
	scratch  []byte
	identity []byte

	held    received      // for the next batch
	until   pglogrepl.LSN // where a catch-up ends; 0: the stream has no end
	reached bool          // it has ended
}

// received is a message that was taken from the connection. It is valid until the next one is taken.
type received struct {
	kind byte
	body []byte
	ok   bool
}

// read fills the batch with what is there, and waits while there is nothing.
func (st *stream) read(ctx context.Context, b *connectors.Batch) error {
	for len(b.Buf) < batchBytes && len(b.Records) < st.s.maxBatch || st.begun() {
		if !st.open && st.until == 0 {
			if enough, err := st.backfill.Step(ctx, st.inbox, st, b); err != nil {
				return err
			} else if enough {
				break
			}
		}
		kind, body, ok, err := st.next(ctx, b)
		if err != nil {
			return trouble("read the replication stream", err)
		}
		if ok && !st.fits(b, body) {
			st.held = received{kind, body, true}
			break
		}
		if ok {
			if err := st.copied(ctx, b, kind, body); err != nil {
				return err
			}
		}
		st.beat(b)
		if st.reached || !ok && (len(b.Records) > 0 || st.idleDue()) {
			break
		}
	}
	pos := st.offset()
	pos.Incremental, pos.Signals = st.backfill.State(), st.inbox.Place()
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: st.s.partition(), Offset: pos.append(nil, st.emit.txmeta)})
	st.offered, st.offeredAt = st.pos.start(), time.Now()
	return nil
}

// next returns the next message. If there is none, it waits if the batch is empty, but not past the time when a
// heartbeat or an offset without records is due: then ok is false.
func (st *stream) next(ctx context.Context, b *connectors.Batch) (kind byte, body []byte, ok bool, err error) {
	if h := st.held; h.ok {
		st.held = received{}
		return h.kind, h.body, true, nil
	}
	if kind, body, ok, err = st.w.next(ctx, false); ok || err != nil || len(b.Records) > 0 && !st.begun() {
		return kind, body, ok, err
	}
	var due time.Duration
	if st.beats != nil && !st.open { // inside of a transaction there is none
		due = max(time.Until(st.beatAt.Add(st.s.heartbeat)), time.Millisecond)
	}
	if st.pos.start() > st.offered && !st.open {
		if d := max(time.Until(st.offeredAt.Add(st.s.status)), time.Millisecond); due == 0 || d < due {
			due = d
		}
	}
	if d := st.backfillDue(); d > 0 && (due == 0 || d < due) {
		due = d
	}
	if due == 0 {
		return st.w.next(ctx, true)
	}
	wait, cancel := context.WithTimeout(ctx, due)
	defer cancel()
	kind, body, ok, err = st.w.next(wait, true)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return 0, nil, false, nil
	}
	return kind, body, ok, err
}

// fits reports whether the records of a message have room in the batch. Those of one change stay together, and an
// empty batch takes any.
func (st *stream) fits(b *connectors.Batch, body []byte) bool {
	if len(b.Records) == 0 || len(b.Records)+3 <= st.s.maxBatch || st.begun() || len(body) < 31 || body[0] != pglogrepl.XLogDataByteID {
		return true
	}
	n := 1
	tombstone := 0
	if st.s.tombstones {
		tombstone = 1
	}
	switch data := body[25:]; data[0] { // behind the head of XLogData
	case 'D':
		n += tombstone
	case 'U':
		if data[5] != 'N' { // the key may be another one: a delete and an insert
			n += 1 + tombstone
		}
	case 'B':
		if st.emit.txmeta != nil { // its record and the first change's
			n += 2 + tombstone
		}
	case 'T':
		n = int(min(binary.BigEndian.Uint32(data[1:]), 1<<16))
	}
	return len(b.Records)+n <= st.s.maxBatch
}

// begun reports whether the record of a transaction's begin was written and no event of it yet: there a batch cannot
// be cut, because an offset names an event.
func (st *stream) begun() bool { return st.open && st.pos.Count == 0 && st.emit.txmeta != nil }

// idleDue reports whether the position has moved on without records, and long enough ago for an offset of its own.
func (st *stream) idleDue() bool {
	return !st.open && st.pos.start() > st.offered && time.Since(st.offeredAt) >= st.s.status
}

// beat appends a heartbeat if it is time. It never stands inside of a transaction.
func (st *stream) beat(b *connectors.Batch) {
	if st.beats == nil || st.open || len(b.Records) >= st.s.maxBatch || time.Since(st.beatAt) < st.s.heartbeat {
		return
	}
	st.beatAt = time.Now()
	st.beats.Append(b, st.beatAt.UnixMilli())
	if st.committed {
		st.pos.Kind = "COMMIT"
	}
}

// copied handles a message of the copy stream: WAL data or a keepalive.
func (st *stream) copied(ctx context.Context, b *connectors.Batch, kind byte, body []byte) error {
	if kind != 'd' || len(body) == 0 {
		return trouble("read the replication stream", fmt.Errorf("the server ended the stream (message %q)", kind))
	}
	switch body[0] {
	case pglogrepl.XLogDataByteID:
		data, err := pglogrepl.ParseXLogData(body[1:])
		if err != nil || len(data.WALData) == 0 {
			return trouble("read the replication stream", errPgoutput)
		}
		if err := st.event(ctx, b, data.WALStart, data.WALData); err != nil {
			return st.place(err, data.WALStart)
		}
		if !st.open {
			st.acks.heard(st.pos.Commit)
		}
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		k, err := pglogrepl.ParsePrimaryKeepaliveMessage(body[1:])
		if err != nil {
			return trouble("read the replication stream", err)
		}
		st.acks.heard(k.ServerWALEnd)
		if k.ReplyRequested {
			st.acks.report()
		}
		// Outside of a transaction, all that was committed before the server's position has been received.
		if !st.open {
			st.pos.Commit = max(st.pos.start(), k.ServerWALEnd)
			st.passed()
			st.reach(k.ServerWALEnd)
		}
	}
	return nil
}

// place says where in the log an error arose.
func (st *stream) place(err error, lsn pglogrepl.LSN) error {
	if errors.Is(err, errPgoutput) {
		return &connectors.Error{Op: fmt.Sprintf("decode the change at LSN %s", lsn), Class: connectors.ClassBug, Err: err}
	}
	return err
}

// event handles one message of pgoutput.
func (st *stream) event(ctx context.Context, b *connectors.Batch, lsn pglogrepl.LSN, data []byte) error {
	body := data[1:]
	switch data[0] {
	case 'I', 'U', 'D':
		if st.counted(lsn) {
			return nil
		}
		return st.change(ctx, b, data[0], lsn, body)
	case 'B':
		return st.begin(b, lsn, body)
	case 'C':
		return st.commit(b, lsn, body)
	case 'R':
		return st.relation(ctx, body)
	case 'T':
		if st.counted(lsn) {
			return nil
		}
		return st.truncate(b, lsn, body)
	case 'M':
		return st.message(b, lsn, body)
	case 'O':
		name, at, err := parseOrigin(body)
		st.emit.origin = cdc.AppendOptionalInt(cdc.AppendOptionalString(st.emit.origin[:0], name), int64(at))
		return err
	case 'Y': // types are looked up in the catalog
		return nil
	}
	return fmt.Errorf("%w: type %q", errPgoutput, data[0])
}

func (st *stream) begin(b *connectors.Batch, lsn pglogrepl.LSN, body []byte) error {
	m, err := parseBegin(body)
	if err != nil {
		return err
	}
	if st.reach(m.final) {
		return nil
	}
	st.tx, st.open = m, true
	st.skipping = st.resuming && uint32(st.resume.TxID) == m.xid
	st.skipped, st.resuming = 0, false
	st.pos.Count = 0
	st.emit.at(m.us, int64(m.xid), cdc.NoSnapshot)
	st.emit.origin = append(st.emit.origin[:0], 0, 0)
	b.EventTime = m.us / 1000
	if st.emit.txmeta == nil {
		return nil
	}
	if st.skipping {
		st.emit.txmeta.Restore(st.resume.TransactionID, st.resume.Orders)
	} else {
		st.emit.txmeta.Begin(b, fmt.Sprint(m.xid), st.emit.txShown(lsn), m.us/1000)
	}
	return nil
}

func (st *stream) commit(b *connectors.Batch, lsn pglogrepl.LSN, body []byte) error {
	end, err := parseCommit(body)
	if err != nil {
		return err
	}
	st.open, st.skipping, st.committed = false, false, true
	st.pos.Commit, st.pos.Count = end, 0
	st.emit.lastCommit = end
	st.recent.add(st.tx.xid)
	if st.emit.txmeta != nil {
		st.emit.txmeta.End(b, st.emit.txShown(lsn), st.tx.us/1000)
		st.pos.Event, st.pos.TxID, st.pos.Micros, st.pos.Kind = end, int64(st.tx.xid), st.tx.us, "COMMIT"
	}
	st.passed()
	return nil
}

// counted moves the position to an event of the present transaction. It reports true if the event has been delivered
// before, in the run that stored the offset.
func (st *stream) counted(lsn pglogrepl.LSN) (before bool) {
	if st.pos.Event == lsn && st.pos.Count > 0 {
		st.pos.Count++
	} else {
		st.pos.Event, st.pos.Count = lsn, 1
	}
	st.pos.TxID, st.pos.Micros = int64(st.tx.xid), st.tx.us
	if !st.skipping {
		return false
	}
	switch at := st.resume.Event; {
	case lsn < at:
		return true
	case lsn == at:
		st.skipped++
		return st.skipped <= max(st.resume.Count, 1)
	}
	st.skipping = false
	return false
}

func (st *stream) truncate(b *connectors.Batch, lsn pglogrepl.LSN, body []byte) error {
	ids, err := parseTruncate(body)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if t := st.relations[id]; t != nil && st.backfill.Holds(t.Table) {
			st.backfill.Truncated()
		}
	}
	if st.s.skip[cdc.Truncate] {
		return nil
	}
	for _, id := range ids {
		if t := st.relations[id]; t != nil {
			if err := st.emit.change(b, t, cdc.Truncate, nil, nil, lsn, st.emit.context); err != nil {
				return err
			}
			st.pos.Kind = "TRUNCATE"
		}
	}
	return nil
}

func (st *stream) message(b *connectors.Batch, lsn pglogrepl.LSN, body []byte) error {
	m, err := parseMessage(body)
	if err != nil {
		return err
	}
	if m.transactional {
		if st.counted(lsn) {
			return nil
		}
	} else {
		// It stands between transactions, in the order of the log.
		if lsn <= st.resume.Commit || st.reach(lsn-1) { // the LSN is behind the message
			return nil // delivered before the stored offset, or to be delivered behind the snapshot
		}
		us := st.pos.Micros
		if us == 0 {
			us = time.Now().UnixMicro()
		}
		st.emit.at(us, 0, cdc.NoSnapshot)
		st.emit.origin = append(st.emit.origin[:0], 0, 0)
		st.emit.lastCommit = lsn
		st.pos.Commit, st.pos.Event, st.pos.Count, st.pos.TxID = lsn, lsn, 0, 0
	}
	if !st.s.messages.Allows(m.prefix) || m.prefix == windowPrefix {
		return nil
	}
	st.emit.message(b, st.messages, m, lsn)
	st.pos.Kind = "MESSAGE"
	return nil
}
