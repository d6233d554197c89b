package mysql

import (
	"context"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/connectors"
)

// A snapshot that was given up has left rows in the log. What became of them until the next snapshot is in neither: a
// row that was deleted meanwhile would stay in every target. So the changes between the two are delivered first:
//
//	stored offset        the next snapshot's place
//	     ├── catch-up ───────┤
//	                         ├── rows as of then ── then the changes from there on
//
// Rows may thus come twice, a change and then the row as it was left, but never a row without its delete. Behind the
// catch-up, what was delivered is as of then, too: only the rest is to be read (resume.go).

// catchUp opens the stream from the stored offset to the place of the snapshot that is open.
func (t *task) catchUp(ctx context.Context, pos position, offsets []connectors.SourceOffset) error {
	until := t.snapshot.pos
	if pos.GTIDs == until.GTIDs && (pos.GTIDs != "" || pos.File == until.File && pos.Pos == until.Pos) {
		return nil
	}
	// The definitions are those of then, and the statements on the way make them those of now. Of a table that none is
	// stored of there is that of now.
	for _, h := range t.history.tables {
		h.head = &mark{File: until.File, Pos: until.Pos}
	}
	if _, err := t.history.load(offsets, &pos); err != nil {
		return wrong("read the stored definitions", "delete the connector's offsets", "%w", err)
	}
	pos.Snapshot = false
	if err := t.startStream(ctx, pos); err != nil {
		return err
	}
	st := t.stream
	st.until = &goal{mark: mark{File: until.File, Pos: until.Pos}}
	if st.gtids != nil && until.GTIDs != "" {
		var err error
		if st.until.gtids, err = t.s.flavor.parseGTIDs(until.GTIDs); err != nil {
			return err
		}
	}
	st.pos.Snapshot = true // so are all offsets on the way
	t.log.Info("catching up with what was committed before the snapshot", "from", pos.Pos, "to", until.Pos, "file", until.File)
	return nil
}

// goal is where a catch-up ends.
type goal struct {
	mark
	gtids mysql.GTIDSet // nil without GTIDs
}

// reached reports whether the stream stands at its goal, between two transactions.
func (st *stream) reached() bool {
	if st.until == nil || st.held != nil || st.tx.open || st.tx.begun || len(st.payloadEvents) > 0 {
		return false
	}
	return st.past(st.until)
}

// past reports whether all before the goal has been read.
func (st *stream) past(g *goal) bool {
	if g.gtids != nil {
		return st.gtids.Contain(g.gtids)
	}
	return mark{File: st.file, Pos: st.end}.compare(g.mark) >= 0
}
