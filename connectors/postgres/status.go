package postgres

import (
	"encoding/binary"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
)

// acknowledger tells the server how far the source has come, also while nobody reads from the task: else the server
// would end the connection after wal_sender_timeout. What it reports, as written, flushed and applied, is only ever
// what Commit said is durable (I1), and what this session's WAL sender has read: a slot keeps the restart_lsn that the
// sender before it proposed, and takes it at a report of what that one had read (PostgreSQL, LogicalConfirmReceivedLocation);
// the next checkpoint would then remove WAL that this sender has still to read.
type acknowledger struct {
	conn    net.Conn
	durable atomic.Uint64
	read    atomic.Uint64 // by the server, in this session
	least   uint64        // what was durable when the session began
	sent    uint64        // of the goroutine, then of close
	kick    chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	ask     bool        // that the server answers each report with its position
	asked   atomic.Bool // for the next one only
}

// leastPause keeps a fast committer from flooding the server.
const leastPause = 100 * time.Millisecond

// newAcknowledger starts to report to the server, at least as often as every says; if it asks for answers, often enough
// that an idle server's position is known at once.
func newAcknowledger(conn net.Conn, durable pglogrepl.LSN, every time.Duration, ask bool) *acknowledger {
	if ask {
		every = min(every, leastPause)
	}
	a := &acknowledger{conn: conn, least: uint64(durable), ask: ask, kick: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{})}
	a.durable.Store(uint64(durable))
	go a.run(every)
	return a
}

// advance says that everything before the LSN is durable.
func (a *acknowledger) advance(lsn pglogrepl.LSN) {
	for {
		old := a.durable.Load()
		if uint64(lsn) <= old {
			return
		}
		if a.durable.CompareAndSwap(old, uint64(lsn)) {
			a.report()
			return
		}
	}
}

// heard takes in that the server has read its log up to the LSN.
func (a *acknowledger) heard(lsn pglogrepl.LSN) {
	if old := a.read.Load(); old < uint64(lsn) {
		a.read.Store(uint64(lsn)) // by one goroutine only
		if old < a.durable.Load() {
			a.report()
		}
	}
}

// reportable is what the next report says, 0 for nothing: while the server reads what the slot has behind it already,
// its place would move the slot back (PostgreSQL before 18 takes any).
func (a *acknowledger) reportable() uint64 {
	if lsn := min(a.durable.Load(), a.read.Load()); lsn >= a.least {
		return lsn
	}
	return 0
}

// report makes the next report come soon.
func (a *acknowledger) report() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// demand makes the server say where it is, soon.
func (a *acknowledger) demand() {
	a.asked.Store(true)
	a.report()
}

func (a *acknowledger) run(every time.Duration) {
	defer close(a.ended)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		if a.send() != nil {
			return // the reader meets the broken connection too
		}
		select {
		case <-a.stop:
			return
		case <-time.After(min(leastPause, every)):
		}
		timer.Reset(every)
		select {
		case <-a.stop:
			a.send()
			return
		case <-a.kick:
		case <-timer.C:
		}
	}
}

// send writes a standby status update.
//
//	'd' | length: int32 | 'r' | written: int64 | flushed: int64 | applied: int64 | time: µs since 2000 | reply: byte
func (a *acknowledger) send() error {
	lsn := a.reportable()
	msg := make([]byte, 0, 39)
	msg = append(msg, 'd', 0, 0, 0, 38, pglogrepl.StandbyStatusUpdateByteID)
	for range 3 {
		msg = binary.BigEndian.AppendUint64(msg, lsn)
	}
	msg = binary.BigEndian.AppendUint64(msg, uint64(time.Now().UnixMicro()-postgresEpoch))
	reply := byte(0)
	if asked := a.asked.Swap(false); a.ask || asked {
		reply = 1
	}
	_, err := a.conn.Write(append(msg, reply))
	if err == nil {
		a.sent = lsn
	}
	return err
}

// close sends a last report and waits for the goroutine. It does not close the connection.
func (a *acknowledger) close() {
	a.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	close(a.stop)
	<-a.ended
	if a.sent != a.reportable() {
		a.send()
	}
}
