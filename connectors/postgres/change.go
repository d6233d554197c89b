package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pglogrepl"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// relation takes up the description of a table that precedes its first change, and any change after it was altered.
func (st *stream) relation(ctx context.Context, body []byte) error {
	r, err := parseRelation(body)
	if err != nil {
		return err
	}
	name := cdc.Table{Schema: r.schema, Name: r.name}
	if !st.s.captures(name) {
		st.relations[r.oid] = nil
		return nil
	}
	st.cat.forgetEnums()
	query, cancel := st.s.queryContext(ctx)
	defer cancel()
	e, err := st.cat.byOID(query, r.oid)
	if err != nil {
		return trouble("read the catalog for "+name.String(), err)
	}
	t, err := st.version(r.merge(e, st.s.keys))
	if err != nil {
		return err
	}
	st.relations[r.oid] = t
	return nil
}

// version returns the compiled table of a shape: the one in use, if nothing has changed.
func (st *stream) version(s shape) (*table, error) {
	id := s.Table.String()
	t, err := st.versions[id], error(nil)
	used := t != nil && t.shape.equal(&s) && t.lists(st.comp.lookup)
	if !used {
		t, err = st.comp.compile(s)
	}
	if err == nil && st.cat.err != nil {
		err, st.cat.err = st.cat.err, nil
		return nil, trouble("read the catalog for "+id, err)
	}
	if used {
		return t, nil
	}
	if err != nil {
		return nil, wrong("prepare table "+id, "", "%w", err)
	}
	if len(t.dropped) > 0 {
		st.log.Warn("columns of types without a mapping are left out; include.unknown.datatypes=true takes them as bytes", "table", id, "columns", t.dropped)
	}
	st.versions[id] = t
	return t, nil
}

// change handles an insert, update or delete.
//
//	'I' relation: uint32 | 'N' tuple
//	'U' relation: uint32 | nothing, or 'K' or 'O' and the old tuple | 'N' tuple
//	'D' relation: uint32 | 'K' or 'O' and the old tuple
func (st *stream) change(ctx context.Context, b *connectors.Batch, kind byte, lsn pglogrepl.LSN, body []byte) error {
	f := fields{b: body}
	oid := f.uint32()
	t, known := st.relations[oid]
	if t == nil {
		if !known {
			return fmt.Errorf("%w: a change of relation %d, which was not described", errPgoutput, oid)
		}
		return nil
	}
	tag := f.byte()
	var before *row
	st.old = st.old[:0]
	if tag == 'K' || tag == 'O' {
		st.old = f.tuple(st.old)
		before = &row{cells: st.old, partial: tag == 'K'}
		if kind != 'D' {
			tag = f.byte()
		}
	}
	st.cells = st.cells[:0]
	if kind != 'D' {
		if tag != 'N' {
			return errPgoutput
		}
		st.cells = f.tuple(st.cells)
	}
	if f.bad || kind == 'D' && before == nil || kind != 'D' && len(st.cells) != len(t.columns) || before != nil && len(st.old) != len(t.columns) {
		return errPgoutput
	}
	t, err := st.labelled(ctx, oid, t)
	if err != nil {
		return err
	}
	if st.backfill.Holds(t.Table) {
		st.touched(t, kind, before)
	}
	for {
		err := st.emitChange(b, t, kind, before, lsn)
		if err == nil {
			if kind == 'I' && t.Table == st.s.signals {
				return st.signalled(ctx, t)
			}
			return nil
		}
		var bad *valueError
		if !errors.As(err, &bad) {
			return err
		}
		if errors.Is(err, errNull) {
			// The constraint came after this row: from here on the column is optional.
			if t, err = st.version(t.relaxed(bad.column)); err != nil {
				return err
			}
			st.relations[oid] = t
			continue
		}
		return st.refuse(ctx, t, before, lsn, bad)
	}
}

func (st *stream) emitChange(b *connectors.Batch, t *table, kind byte, before *row, lsn pglogrepl.LSN) error {
	after := row{cells: st.cells, other: st.old}
	headers := st.emit.context
	switch kind {
	case 'I':
		if st.s.skip[cdc.Create] {
			return nil
		}
		st.pos.Kind = "INSERT"
		return st.emit.change(b, t, cdc.Create, nil, &after, lsn, headers)
	case 'D':
		if st.s.skip[cdc.Delete] {
			return nil
		}
		st.pos.Kind = "DELETE"
		return st.delete(b, t, before, lsn, headers)
	}
	if !st.s.unchangedToo && before != nil && !before.partial && t.sameRow(st.old, st.cells) {
		return nil
	}
	if before != nil && t.keySchema != nil {
		moved, err := st.keyMoved(t, before, &after)
		if err != nil {
			return err
		}
		if moved {
			st.pos.Kind = "UPDATE"
			return st.move(b, t, before, &after, lsn)
		}
	}
	if st.s.skip[cdc.Update] {
		return nil
	}
	st.pos.Kind = "UPDATE"
	return st.emit.change(b, t, cdc.Update, before, &after, lsn, headers)
}

// delete appends the record of a delete, and its tombstone.
func (st *stream) delete(b *connectors.Batch, t *table, before *row, lsn pglogrepl.LSN, headers []connectors.Header) error {
	if err := st.emit.change(b, t, cdc.Delete, before, nil, lsn, headers); err != nil {
		return err
	}
	if st.s.tombstones {
		st.emit.tombstone(b)
	}
	return nil
}

// keyMoved encodes the key before and after, and reports whether they differ. Where the replica identity is an index
// without the primary key's columns, the log does not have the old key: then the key counts as unchanged.
func (st *stream) keyMoved(t *table, before, after *row) (bool, error) {
	if before.partial && st.s.keys.For(t.id, nil) == nil {
		for _, i := range t.key {
			if before.cells[i].kind != cellText && t.columns[i].null == nil {
				return false, nil
			}
		}
	}
	var err error
	if st.key[0], err = t.appendKey(st.key[0][:0], before.cells, nil, before.partial); err != nil {
		return false, err
	}
	if st.key[1], err = t.appendKey(st.key[1][:0], after.cells, after.other, false); err != nil {
		return false, err
	}
	return !bytes.Equal(st.key[0], st.key[1]), nil
}

// move appends what an update of the key is: a delete of the old key and an insert of the new, each naming the other.
// skipped.operations counts them as what they are written as.
func (st *stream) move(b *connectors.Batch, t *table, before, after *row, lsn pglogrepl.LSN) error {
	header := func(name string, key []byte) []connectors.Header {
		return cdc.KeyHeaders(name, connectors.Data{Schema: t.keySchema, Bytes: bytes.Clone(key)}, st.emit.context)
	}
	records, size := len(b.Records), len(b.Buf)
	if !st.s.skip[cdc.Delete] {
		if err := st.delete(b, t, before, lsn, header(cdc.NewKeyHeader, st.key[1])); err != nil {
			return err
		}
	}
	if st.s.skip[cdc.Create] {
		return nil
	}
	err := st.emit.change(b, t, cdc.Create, nil, after, lsn, header(cdc.OldKeyHeader, st.key[0]))
	if err != nil { // both or none
		b.Records, b.Buf = b.Records[:records], b.Buf[:size]
	}
	return err
}

// refuse hands a change that cannot be written to the hub, with where it is, and goes on if the hub has it.
func (st *stream) refuse(ctx context.Context, t *table, before *row, lsn pglogrepl.LSN, cause *valueError) error {
	cells := st.cells
	if len(cells) == 0 && before != nil {
		cells = before.cells
	}
	return refuse(ctx, st.report, t, cells, fmt.Sprintf("LSN %s, table %s, column %s", lsn, t.id, cause.column), cause)
}

// refuse reports a row as an object of the texts of its columns, as far as they are captured.
func refuse(ctx context.Context, report func(context.Context, connectors.Record, error) error, t *table, cells []cell, place string, cause error) error {
	err := &connectors.Error{Op: "write the change", Class: connectors.ClassData, Record: &connectors.RecordRef{Place: place}, Err: cause,
		Remedy: "correct the row, choose another handling mode, exclude the column, or set errors.tolerance=all"}
	if report == nil {
		return err
	}
	text := []byte{'{'}
	for i, c := range cells {
		col := &t.columns[i]
		if !col.out && !slices.Contains(t.key, i) {
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(connectors.AppendJSONString(text, []byte(col.name)), ':')
		if c.kind == cellText {
			text = connectors.AppendJSONString(text, col.shown(c.text))
		} else {
			text = append(text, "null"...)
		}
	}
	bad := connectors.Record{Topic: t.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Value: connectors.Data{Bytes: append(text, '}')}}
	return report(ctx, bad, err)
}
