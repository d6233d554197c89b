package mysql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
	guuid "github.com/google/uuid"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// batchBytes is where a batch is cut.
const batchBytes = 1 << 20

// stream reads changes from the log. It is used by the goroutine that calls Read.
type stream struct {
	s        *settings
	log      *slog.Logger
	feed     *feed
	history  *history
	charsets *charsets
	comp     *compiler
	emit     *emitter
	ddl      *ddl
	changes  *schemaChanges // nil without include.schema.changes
	beats    *cdc.Heartbeats
	report   func(ctx context.Context, bad connectors.Record, err error) error

	events  []*replication.BinlogEvent    // taken from the feed
	at      int                           // the next of them
	held    func(*connectors.Batch) error // what remains of a statement, when the definitions that it made are durable
	images  map[uint64]*image             // by table id, nil for those not captured; new with each start of the server
	tables  map[cdc.Table]*table          // compiled, by the definition they have
	skipped map[cdc.Table]bool            // whose changes are lost, as inconsistent.schema.handling.mode says

	payloadEvents []*replication.BinlogEvent // the rest of a compressed transaction
	payloadStart  uint64                     // and its place

	file  string // that is being read
	end   uint64 // of the last event
	pos   position
	gtids mysql.GTIDSet // nil without GTIDs
	dirty bool          // gtids have changed since they were printed
	tx    transaction

	chunks   *chunks // of incremental snapshots
	inbox    *cdc.Inbox
	backfill *cdc.Backfill
	window   goal   // where the window of an incremental snapshot ends
	last     origin // of the last transaction
	identity []byte

	until     *goal    // of a catch-up; nil: the stream has no end
	resume    position // where the stored offset was inside of a transaction
	resuming  bool     // until the first transaction has begun
	offered   mark     // the last offset handed on
	offeredAt time.Time
	beatAt    time.Time
	cells     [2][]cell
	key       [2][]byte
}

// transaction is the one that is being read.
type transaction struct {
	origin
	begun    bool // its GTID was seen, and nothing of it has been delivered
	open     bool // after its BEGIN
	filtered bool // it is of a server that does not count
	events   int64
	skip     int64 // events that were delivered before
	skipRows int64 // and rows of the event after them
	ts       int64
}

// startStream starts to read at the position.
func (t *task) startStream(ctx context.Context, pos position) error {
	op := "read the binary log of " + t.s.addr()
	st := &stream{s: t.s, log: t.log, history: t.history, charsets: t.charsets, comp: t.compiler, emit: t.emit, ddl: newDDL(t.server.lower), report: t.report,
		images: map[uint64]*image{}, tables: map[cdc.Table]*table{}, skipped: map[cdc.Table]bool{}, file: pos.File, end: pos.Pos, pos: pos}
	if t.s.schemaChanges {
		st.changes = t.changes
	}
	if t.s.heartbeat > 0 {
		st.beats = cdc.NewHeartbeats(t.s.heartbeatTopic(), t.s.prefix)
	}
	st.pos.Snapshot, st.pos.Completed = false, false
	if pos.Events > 0 {
		st.resume, st.resuming = pos, true
	}
	st.offered, st.offeredAt, st.beatAt = mark{File: pos.File, Pos: pos.Pos}, time.Now(), time.Now()
	if t.server.gtids && (pos.GTIDs != "" || !t.s.flavor.mariadb) {
		set, err := t.s.flavor.parseGTIDs(pos.GTIDs)
		if err != nil {
			return wrong("read the stored source offset", "correct or delete the connector's offsets", "%w", err)
		}
		if pos.GTIDs != "" {
			st.gtids = set
		}
	}
	if st.gtids == nil && pos.Pos > 1<<32-1 {
		return wrong(op, "SET GLOBAL gtid_mode = ON (in its four steps) and take a new snapshot", "the position %s:%d is beyond 4 GiB, which the protocol has no room for without GTIDs", pos.File, pos.Pos)
	}
	var from mysql.GTIDSet
	if st.gtids != nil {
		from = st.gtids.Clone()
	}
	var err error
	if st.feed, err = t.s.newFeed(&pos, from, t.s.query && t.s.flavor.mariadb); err != nil {
		return trouble(op, err)
	}
	t.stream = st
	st.chunks, st.inbox = &chunks{t: t, st: st}, t.inbox
	if pos.Restarted {
		t.log.Warn("the stored keys of the incremental snapshot are serialized Java objects; its first table begins again", "table", pos.Incremental.Parts[0].Table.String())
	}
	st.backfill = cdc.NewBackfill(st.chunks, t.s.v.Int("incremental.snapshot.chunk.size"), pos.Incremental, t.log)
	t.log.Info("streaming", "file", pos.File, "pos", pos.Pos, "gtids", pos.GTIDs)
	return nil
}

func (st *stream) close() { st.feed.close() }

// read fills the batch with what is there, and waits while there is nothing.
func (st *stream) read(ctx context.Context, b *connectors.Batch) error {
	if st.history.changed() { // alone: nothing that comes after them may become durable before
		st.history.offsets(b)
		return nil
	}
	if err := st.history.wait(ctx); err != nil {
		return err
	}
	if held := st.held; held != nil {
		st.held = nil
		if err := held(b); err != nil {
			return err
		}
		st.count()
	}
	for st.held == nil && (!st.full(b) || st.tx.begun) {
		if st.between() && st.until == nil {
			if enough, err := st.backfill.Step(ctx, st.inbox, st, b); err != nil {
				return err
			} else if enough {
				break
			}
		}
		e, err := st.next(ctx, b)
		if err != nil {
			return trouble("read the binary log", err)
		}
		if e != nil {
			if err := st.event(ctx, b, e); err != nil {
				return err
			}
		}
		for st.held == nil && len(st.payloadEvents) > 0 && (!st.full(b) || st.tx.begun) {
			inner := st.payloadEvents[0]
			st.payloadEvents = st.payloadEvents[1:]
			if err := st.inner(ctx, b, inner, st.payloadStart); err != nil {
				return err
			}
		}
		st.beat(b)
		if st.reached() {
			break
		}
		if e == nil && (len(b.Records) > 0 || st.idleDue()) && !st.tx.begun && len(st.payloadEvents) == 0 {
			break
		}
	}
	st.offset(b)
	return nil
}

// full reports whether the batch is large enough.
func (st *stream) full(b *connectors.Batch) bool {
	return len(b.Buf) >= batchBytes || len(b.Records) >= st.s.maxBatch
}

// offset appends where the stream stands.
func (st *stream) offset(b *connectors.Batch) {
	st.pos.Incremental, st.pos.Signals = st.backfill.State(), st.inbox.Place()
	if st.dirty {
		st.pos.GTIDs, st.dirty = st.gtids.String(), false
	}
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: st.s.partition(), Offset: st.pos.append(nil, st.emit.txmeta)})
	st.offered, st.offeredAt = mark{File: st.pos.File, Pos: st.pos.Pos}, time.Now()
}

// next returns the next event. If there is none, it waits if the batch is empty, but not past the time when a
// heartbeat or an offset without records is due: then it returns nil.
func (st *stream) next(ctx context.Context, b *connectors.Batch) (*replication.BinlogEvent, error) {
	var due <-chan time.Time
	if len(st.payloadEvents) > 0 {
		return nil, nil // what is left of a transaction comes first
	}
	for {
		if st.at < len(st.events) {
			e := st.events[st.at]
			st.events[st.at] = nil
			st.at++
			return e, nil
		}
		var err error
		if st.events, err = st.feed.take(st.events[:0]); err != nil {
			return nil, err
		}
		st.at = 0
		if len(st.events) > 0 {
			continue
		}
		if len(b.Records) > 0 && !st.tx.begun {
			return nil, nil
		}
		if due == nil {
			if d := st.due(); d > 0 {
				timer := time.NewTimer(d)
				defer timer.Stop()
				due = timer.C
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-st.feed.filled:
		case <-st.inbox.Arrived():
			return nil, nil
		case <-due:
			return nil, nil
		}
	}
}

// due is how long nothing may happen; 0 is for ever.
func (st *stream) due() (due time.Duration) {
	if st.beats != nil && !st.tx.open {
		due = max(time.Until(st.beatAt.Add(st.s.heartbeat)), time.Millisecond)
	}
	if st.moved() {
		if d := max(time.Until(st.offeredAt.Add(st.s.status)), time.Millisecond); due == 0 || d < due {
			due = d
		}
	}
	if d := st.backfill.Wait(); d > 0 && st.until == nil && st.between() && (due == 0 || d < due) {
		due = d
	}
	return due
}

// moved reports whether the position has moved on since the last offset, outside of a transaction.
func (st *stream) moved() bool {
	return !st.tx.open && (st.pos.File != st.offered.File || st.pos.Pos != st.offered.Pos)
}

// idleDue reports whether it moved without records, and long enough ago for an offset of its own.
func (st *stream) idleDue() bool { return st.moved() && time.Since(st.offeredAt) >= st.s.status }

// beat appends a heartbeat if it is time. It never stands inside of a transaction.
func (st *stream) beat(b *connectors.Batch) {
	if st.beats == nil || st.tx.open || st.tx.begun || time.Since(st.beatAt) < st.s.heartbeat {
		return
	}
	st.beatAt = time.Now()
	st.beats.Append(b, st.beatAt.UnixMilli())
}

// advance moves to the end of an event and returns its place. Positions in the log have 32 bits: what is above them is
// counted.
func (st *stream) advance(h *replication.EventHeader) (start uint64) {
	if h.LogPos == 0 || h.Flags&replication.LOG_EVENT_ARTIFICIAL_F != 0 {
		return st.end
	}
	end := st.end + uint64(h.EventSize)
	if uint32(end) != h.LogPos { // the server has left out what was read before
		end = st.end&^(1<<32-1) | uint64(h.LogPos)
		if end < st.end {
			end += 1 << 32
		}
	}
	st.end = end
	return end - uint64(h.EventSize)
}

// event handles one event of the log.
func (st *stream) event(ctx context.Context, b *connectors.Batch, e *replication.BinlogEvent) error {
	if r, ok := e.Event.(*replication.RotateEvent); ok {
		st.file, st.end = string(r.NextLogName), r.Position
		return nil
	}
	start := st.advance(e.Header)
	if p, ok := e.Event.(*replication.TransactionPayloadEvent); ok { // a whole transaction, compressed
		st.payloadEvents, st.payloadStart = p.Events, start
		return nil
	}
	return st.inner(ctx, b, e, start)
}

// inner handles an event that begins at the place.
func (st *stream) inner(ctx context.Context, b *connectors.Batch, e *replication.BinlogEvent, start uint64) error {
	switch ev := e.Event.(type) {
	case *replication.FormatDescriptionEvent:
		clear(st.images) // the server counts tables anew when it starts
		return nil
	case *replication.GTIDEvent:
		return st.gtidEvent(e.Header, start, ev)
	case *replication.GtidTaggedLogEvent:
		return st.gtidEvent(e.Header, start, &ev.GTIDEvent)
	case *replication.MariadbGTIDEvent:
		st.begin(e.Header, start, fmt.Sprintf("%d-%d-%d", ev.GTID.DomainID, ev.GTID.ServerID, ev.GTID.SequenceNumber), 0)
		if !ev.IsStandalone() {
			st.open(b, 0)
			st.tx.events = 1
		}
		return nil
	case *replication.QueryEvent:
		if err := st.query(ctx, b, e.Header, start, ev); err != nil || st.held != nil {
			return err
		}
	case *replication.XIDEvent:
		return st.commit(b)
	case *replication.TableMapEvent:
		if err := st.tableMap(ctx, ev, e.RawData, start); err != nil {
			return err
		}
	case *replication.RowsEvent:
		if err := st.rows(ctx, b, e.Header, start, ev); err != nil {
			return err
		}
	case *replication.RowsQueryEvent:
		if st.s.query {
			st.tx.query = string(ev.Query)
		}
	case *replication.MariadbAnnotateRowsEvent:
		if st.s.query {
			st.tx.query = string(ev.Query)
		}
	default:
		if e.Header.EventType == replication.XA_PREPARE_LOG_EVENT {
			return st.commit(b)
		}
	}
	st.count()
	return nil
}

// count counts an event of an open transaction.
func (st *stream) count() {
	if st.tx.open {
		st.tx.events++
		st.pos.Events = st.tx.events
	}
}

func (st *stream) gtidEvent(h *replication.EventHeader, start uint64, ev *replication.GTIDEvent) error {
	gtid := ""
	if h.EventType != replication.ANONYMOUS_GTID_EVENT {
		u, err := guuid.FromBytes(ev.SID)
		if err != nil {
			return fmt.Errorf("read the GTID at %s:%d: %w", st.file, start, err)
		}
		gtid = u.String() + ":"
		if tag := ev.Tag.String(); tag != "" {
			gtid += tag + ":"
		}
		gtid += strconv.FormatInt(ev.GNO, 10)
	}
	st.begin(h, start, gtid, int64(ev.OriginalCommitTimestamp))
	return nil
}

// begin takes up the first event of a transaction. us is when it was committed, in microseconds; 0 is not known.
func (st *stream) begin(h *replication.EventHeader, start uint64, gtid string, us int64) {
	st.tx = transaction{ts: int64(h.Timestamp)}
	st.tx.ns, st.tx.server, st.tx.gtid, st.tx.file, st.tx.pos = int64(h.Timestamp)*1e9, int64(h.ServerID), gtid, st.file, start
	if us > 0 {
		st.tx.ns = us * 1000
	}
	if gtid != "" && st.s.v.Bool("gtid.source.filter.dml.events") {
		source, _, _ := strings.Cut(gtid, ":")
		st.tx.filtered = !st.s.sources.Allows(source)
	}
	if st.resuming {
		st.tx.skip, st.tx.skipRows, st.resuming = st.resume.Events, st.resume.Rows, false
	}
	st.pos.File, st.pos.Pos, st.pos.Events, st.pos.Rows = st.file, start, 0, 0
	st.pos.TS, st.pos.Server = st.tx.ts, st.tx.server
}

// open takes up the BEGIN of a transaction.
func (st *stream) open(b *connectors.Batch, thread int64) {
	st.tx.open, st.tx.thread = true, thread
	b.EventTime = st.tx.ns / 1e6
	if st.emit.txmeta == nil {
		return
	}
	st.emit.txID = st.tx.gtid
	if st.emit.txID == "" {
		st.emit.txID = fmt.Sprintf("file=%s,pos=%d", st.tx.file, st.tx.pos)
	}
	if st.tx.skip > 0 {
		st.emit.txmeta.Restore(st.emit.txID, st.resume.Orders)
		return
	}
	st.emit.txmeta.Begin(b, st.emit.txID, st.emit.txID, st.tx.ns/1e6)
	st.tx.begun = true // the record stands for no event: the batch must have one more
}

// commit ends a transaction: all before the end of the last event has been read.
func (st *stream) commit(b *connectors.Batch) error {
	if st.tx.open && st.emit.txmeta != nil {
		st.emit.txmeta.End(b, st.emit.txID, st.tx.ns/1e6)
		st.emit.txmeta.Restore("", nil)
	}
	if st.tx.gtid != "" && st.gtids != nil {
		if err := st.gtids.Update(st.tx.gtid); err != nil {
			return fmt.Errorf("add the GTID %s to those that were read: %w", st.tx.gtid, err)
		}
		st.dirty = true
	}
	st.pos.File, st.pos.Pos, st.pos.Events, st.pos.Rows = st.file, st.end, 0, 0
	st.last = st.tx.origin
	st.tx.open, st.tx.begun, st.tx.gtid = false, false, ""
	st.passed()
	return nil
}

// errRowFormat says that the log has statements where it should have rows.
var errRowFormat = errors.New("the log has a statement in place of the rows that it changed")

// errPartial says that the log has differences in place of values.
var errPartial = errors.New("the log has only what changed inside of JSON documents (binlog_row_value_options=PARTIAL_JSON)")
