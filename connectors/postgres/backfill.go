package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// OpenWindow reads a chunk, and notes where the stream has to come to before its rows are delivered.
func (st *stream) OpenWindow(ctx context.Context) (err error) {
	if err := st.backfill.Open(ctx); err != nil {
		return trouble("read a chunk of an incremental snapshot", err)
	}
	if st.high, err = st.chunks.here(ctx); err != nil {
		return err
	}
	st.passed()
	return nil
}

// passed closes the window if the stream has come to where its rows were read.
func (st *stream) passed() {
	if st.backfill.Opened() && !st.open && st.pos.start() >= st.high {
		st.backfill.Close()
	}
}

// backfillDue is how long to wait at most for the next message, for the sake of an incremental snapshot; 0 is for ever.
func (st *stream) backfillDue() time.Duration {
	if st.open || st.until != 0 {
		return 0
	}
	if st.backfill.Opened() {
		st.acks.demand()
		return windowPause
	}
	return st.backfill.Wait()
}

// Drain appends rows of the window.
func (st *stream) Drain(ctx context.Context, b *connectors.Batch) error {
	now := time.Now()
	st.emit.at(now.UnixMicro(), 0, cdc.Incremental)
	st.emit.origin = append(st.emit.origin[:0], 0, 0)
	b.EventTime = now.UnixMilli()
	t := st.chunks.table
	for len(b.Buf) < batchBytes && len(b.Records) < st.s.maxBatch {
		line, ok := st.backfill.Next()
		if !ok {
			break
		}
		st.cells, st.scratch = splitCopy(line, st.cells, st.scratch)
		err := st.emit.change(b, t, cdc.Read, nil, &row{cells: st.cells}, st.pos.start(), st.emit.context)
		var bad *valueError
		if errors.As(err, &bad) {
			err = refuse(ctx, st.report, t, st.cells, fmt.Sprintf("incremental snapshot, table %s, column %s", t.id, bad.column), bad)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// touched takes the rows of a change out of the window that holds them.
func (st *stream) touched(t *table, kind byte, before *row) {
	c := st.chunks
	if c.found.of != t {
		c.found = places{of: t}
		for _, name := range c.identity {
			c.found.at = append(c.found.at, slices.IndexFunc(t.columns, func(x column) bool { return x.name == name }))
		}
	}
	if slices.Contains(c.found.at, -1) || !slices.Equal(c.table.Attrs, t.Attrs) {
		st.backfill.Stale()
		return
	}
	changed := func(cells, other []cell) {
		var ok bool
		if st.identity, ok = identityOf(st.identity, cells, other, c.found.at); !ok {
			st.backfill.Stale()
		} else if st.backfill.Changed(st.identity) && kind == 'U' && slices.ContainsFunc(cells, func(x cell) bool { return x.kind == cellUnchanged }) {
			st.backfill.Stale() // the change does not have what the row would have
		}
	}
	if before != nil {
		changed(before.cells, nil)
	}
	if kind != 'D' {
		changed(st.cells, st.old)
	}
}

// signalled carries out what a row of the signal table asks for.
func (st *stream) signalled(ctx context.Context, t *table) error {
	if len(st.cells) < 3 || st.until != 0 {
		return nil
	}
	text := func(i int) string { return string(st.cells[i].text) }
	return trouble("carry out a signal", st.backfill.Signal(ctx, connectors.Signal{ID: text(0), Type: text(1), Data: text(2)}))
}

// resumed is the incremental snapshot that goes on where the stored offset left it.
func (st *stream) resumed(pos position) *cdc.Progress {
	if pos.Restarted {
		st.log.Warn("the stored keys of the incremental snapshot are serialized Java objects; its first table begins again", "table", pos.Incremental.Parts[0].Table.String())
	}
	return pos.Incremental
}
