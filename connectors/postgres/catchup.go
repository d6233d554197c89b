package postgres

import (
	"context"

	"github.com/jackc/pglogrepl"
)

// A snapshot that was given up has left rows in the log. What became of them until the next snapshot's point is in
// neither: a row that was deleted meanwhile would stay in every target. So the changes from the stored offset up to that
// point are delivered first:
//
//	stored offset        P1, the next snapshot's point
//	     ├── catch-up ───────┤
//	                         ├── rows as of P1 ── then the changes from P1 on
//
// All of it is read from the lasting slot, in two sessions. Rows may thus come twice, a change and then the row as of
// P1, but never a row without its delete.
//
// Behind the catch-up, what was delivered is as of P1, too: only the rest is to be read (resume.go).

// beginAgain opens a snapshot although an offset is stored (of a snapshot that was given up, or under
// snapshot.mode=always), and before it the changes that lie between.
func (t *task) beginAgain(ctx context.Context, sl *slot, pos position) error {
	t.acknowledged = sl.confirmed
	made, err := t.temporarySlot(ctx)
	if err != nil {
		return err
	}
	reached := pos.Reached
	if t.s.snapshotMode == "always" {
		reached = nil
	}
	if err := t.openSnapshot(ctx, made, reached); err != nil {
		return err
	}
	if pos.start() >= made.point {
		return nil
	}
	return t.startStream(ctx, pos, made.point)
}

// reach ends a catch-up at something that stands in the log at lsn, unless that is before the snapshot's point: a
// transaction is in the snapshot if its commit record is, which begins before the point.
func (st *stream) reach(lsn pglogrepl.LSN) bool {
	if st.until == 0 || lsn < st.until {
		return false
	}
	st.reached = true
	st.pos.Commit = st.until
	return true
}

// offset is how the position is stored. In a catch-up it is that of a snapshot that is not complete, at the end of the
// last whole transaction: the next task catches up from there.
func (st *stream) offset() position {
	if st.until == 0 {
		return st.pos
	}
	return position{Event: st.pos.Commit, TxID: st.pos.TxID, Micros: st.pos.Micros, Snapshot: true, Reached: st.pos.Reached}
}

// endCatchUp ends the session of the catch-up. The snapshot is next: what was committed before its point is delivered.
func (t *task) endCatchUp() {
	t.acks.Store(nil)
	t.stream.acks.close()
	t.stream.w.close()
	t.stream = nil
	t.emit.lastCommit = t.from.Event
}
