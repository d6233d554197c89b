package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// between reports whether the stream stands between two transactions. It does not where a part of the next one was
// delivered before a restart: a view may not have that part yet, and it does not come again.
func (st *stream) between() bool {
	return !st.tx.open && !st.tx.begun && !st.resuming && len(st.payloadEvents) == 0
}

// OpenWindow reads a chunk, and notes where the stream has to come to before its rows are delivered.
func (st *stream) OpenWindow(ctx context.Context) (err error) {
	// A query that is broken off breaks its session.
	ctx, cancel := st.s.queryContext(context.WithoutCancel(ctx))
	defer cancel()
	if err := st.backfill.Open(ctx); err != nil {
		return trouble("read a chunk of an incremental snapshot", err)
	}
	here, err := st.chunks.t.server.here(ctx, st.chunks.t.control)
	if err != nil {
		return trouble("read the position of the binary log", err)
	}
	st.window = goal{mark: mark{File: here.File, Pos: here.Pos}}
	if st.gtids != nil && here.GTIDs != "" {
		if st.window.gtids, err = st.s.flavor.parseGTIDs(here.GTIDs); err != nil {
			return err
		}
	}
	st.passed()
	return nil
}

// passed closes the window if the stream has come to where its rows were read.
func (st *stream) passed() {
	if st.backfill.Opened() && st.between() && st.past(&st.window) {
		st.backfill.Close()
	}
}

// Drain appends rows of the window.
func (st *stream) Drain(ctx context.Context, b *connectors.Batch) error {
	t := st.chunks.table
	if t == nil {
		st.backfill.Next()
		return nil
	}
	now := time.Now()
	o := st.last
	o.ns, o.query = now.UnixNano(), ""
	if o.file == "" {
		o.file, o.pos = st.file, st.end
	}
	st.emit.at(&o, cdc.Incremental, t.name.Schema)
	b.EventTime = now.UnixMilli()
	for !st.full(b) {
		line, ok := st.backfill.Next()
		if !ok {
			break
		}
		var err error
		if st.cells[0], err = splitRow(line, st.cells[0]); err != nil {
			return fmt.Errorf("read a chunk of %s: %w", t.id, err)
		}
		cells := st.cells[0][:len(t.fields)]
		err = st.emit.emit(b, &change{t: t, read: st.chunks.reader, op: cdc.Read, after: cells, headers: st.emit.context})
		var bad *valueError
		if errors.As(err, &bad) {
			err = refuse(ctx, st.report, t, cells, fmt.Sprintf("incremental snapshot, table %s, column %s", t.id, bad.column), bad)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// touched takes the rows of a change, whose images are in st.cells, out of the window that holds them.
func (st *stream) touched(im *image, op replication.EnumRowsEventType) {
	c := st.chunks
	if c.found.of != im.table {
		c.found = places{of: im.table}
		for _, i := range c.identity {
			at := im.def.find(c.table.def.Columns[i].Name)
			if at >= 0 && !sameType(&im.def.Columns[at], &c.table.def.Columns[i]) {
				at = -1
			}
			c.found.at = append(c.found.at, at)
		}
	}
	changed := func(cells, other []cell) {
		var err error
		for _, i := range c.found.at {
			if i < 0 || pick(cells, other, i).kind != cellValue {
				st.backfill.Stale()
				return
			}
		}
		if st.identity, err = im.appendColumns(st.identity[:0], im.reader, c.found.at, cells, other); err != nil {
			st.backfill.Stale()
			return
		}
		if !st.backfill.Changed(st.identity) || op != replication.EnumRowsEventTypeUpdate || len(other) == 0 {
			return
		}
		for i := range cells {
			if pick(cells, other, i).kind == cellAbsent {
				st.backfill.Stale() // the change does not have what the row would have
			}
		}
	}
	if len(im.def.Columns) != len(c.table.def.Columns) {
		st.backfill.Stale()
	}
	changed(st.cells[0], nil)
	if op == replication.EnumRowsEventTypeUpdate {
		changed(st.cells[1], st.cells[0])
	}
}

// sameType reports whether keys of two columns are written alike.
func sameType(a, b *column) bool {
	return a.Type == b.Type && a.Length == b.Length && a.Scale == b.Scale && a.Unsigned == b.Unsigned
}

// signalled carries out what a row of the signal table, whose image is in st.cells, asks for.
func (st *stream) signalled(ctx context.Context, im *image) error {
	if len(im.fields) < 3 || st.until != nil {
		return nil
	}
	var texts [3]string
	for i := range texts {
		f, c := im.fields[i].keyed(), st.cells[0][i]
		if c.kind != cellValue || f.schema == nil || f.schema.Type != connectors.String {
			continue
		}
		raw, err := f.append(nil, im.reader[i], c, f.missing, true)
		if err != nil {
			return err
		}
		v, _, err := connectors.ReadValue(f.schema, raw)
		if err != nil {
			return err
		}
		texts[i] = string(v.Raw())
	}
	return trouble("carry out a signal", st.backfill.Signal(ctx, connectors.Signal{ID: texts[0], Type: texts[1], Data: texts[2]}))
}
