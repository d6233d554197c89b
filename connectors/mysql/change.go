package mysql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// tableMap takes up the description of a table that precedes its rows, which the event has.
func (st *stream) tableMap(ctx context.Context, m *replication.TableMapEvent, event []byte, start uint64) error {
	if im, ok := st.images[m.TableID]; ok && (im == nil || im.name.Name == string(m.Table) && im.name.Schema == string(m.Schema)) {
		return nil
	}
	name := cdc.Table{Schema: string(m.Schema), Name: string(m.Table)}
	if !st.s.captures(name) {
		st.images[m.TableID] = nil
		return nil
	}
	if err := correctMetas(m, event); err != nil {
		return fmt.Errorf("read the description of %s at %s:%d: %w", name, st.file, start, err)
	}
	im, err := st.prepare(ctx, name, m)
	if err != nil {
		if err = st.place(err, name, start); err == nil {
			st.images[m.TableID] = nil
		}
		return err
	}
	st.images[m.TableID] = im
	return nil
}

// prepare finds the definition that the rows of a table have, and compiles it.
func (st *stream) prepare(ctx context.Context, name cdc.Table, m *replication.TableMapEvent) (*image, error) {
	def := st.history.definition(name)
	if len(m.ColumnName) > 0 { // the log describes itself
		def, err := st.describe(ctx, m, def)
		if err != nil {
			return nil, err
		}
		if old := st.tables[name]; old != nil && sameDefinition(old.def, def) {
			def = old.def
		}
		return st.image(ctx, name, def, m)
	}
	at := mark{File: st.file, Pos: st.end}
	h := st.history.tables[name]
	if def != nil && (h == nil || h.doubt == "") {
		im, err := st.image(ctx, name, def, m)
		if h != nil && h.head != nil && err == nil {
			h.trusted = h.trusted || at.compare(*h.head) < 0
		}
		if !errors.Is(err, errDrift) {
			return im, err
		}
	}
	// Nothing is known, or not what the log has: the catalog may be of help, if nothing has changed since.
	now, err := st.history.reread(ctx, name, at)
	if err != nil {
		return nil, trouble("read the definition of "+name.String(), err)
	}
	if now == nil {
		return nil, fmt.Errorf("%w: the server has no such table any more", errDrift)
	}
	im, err := st.image(ctx, name, now, m)
	if h = st.history.tables[name]; err == nil {
		h.trusted = at.compare(*h.head) < 0
	}
	if err == nil && (def != nil || h != nil && h.doubt != "") {
		st.log.Warn("the definition of a table was read from the server, and agrees with the log in number and types of columns", "table", name.String(), "statement", doubtOf(h))
	}
	return im, err
}

func doubtOf(h *tableHistory) string {
	if h == nil {
		return ""
	}
	return cmp.Or(h.doubt, h.unread)
}

// image compiles a definition for the rows that follow. Whether a column may be null is what the log says.
func (st *stream) image(ctx context.Context, name cdc.Table, def *definition, m *replication.TableMapEvent) (*image, error) {
	if len(def.Columns) <= len(m.ColumnType) {
		def = nullability(def, m)
	}
	t, err := st.compiled(ctx, name, def)
	if err != nil {
		return nil, err
	}
	return t.image(m.ColumnType, m.ColumnMeta)
}

func nullability(def *definition, m *replication.TableMapEvent) *definition {
	same := true
	for i := range def.Columns {
		ok, null := m.Nullable(i)
		same = same && (!ok || def.Columns[i].NotNull == !null)
	}
	if same {
		return def
	}
	d := def.clone()
	for i := range d.Columns {
		_, null := m.Nullable(i)
		d.Columns[i].NotNull = !null
	}
	return d
}

// compiled returns the compiled table of a definition: the one in use, if nothing has changed.
func (st *stream) compiled(ctx context.Context, name cdc.Table, def *definition) (*table, error) {
	if t := st.tables[name]; t != nil && (t.def == def || sameDefinition(t.def, def)) {
		return t, nil
	}
	t, err := st.comp.compile(ctx, name, def)
	if err != nil {
		var e *connectors.Error
		if errors.As(err, &e) {
			return nil, err
		}
		return nil, wrong("prepare table "+name.String(), "check message.key.columns", "%w", err)
	}
	if len(t.dropped) > 0 {
		st.log.Warn("columns of types without a mapping are left out", "table", t.id, "columns", t.dropped)
	}
	st.tables[name] = t
	return t, nil
}

// place says where in the log a table's definition was not to be had, and what the settings want done.
func (st *stream) place(err error, name cdc.Table, start uint64) error {
	if !errors.Is(err, errDrift) {
		return err
	}
	doubt := ""
	if text := doubtOf(st.history.tables[name]); text != "" {
		doubt = "; the last statement that could not be read is: " + text
	}
	mode := st.s.v.String("inconsistent.schema.handling.mode")
	if mode == "warn" || mode == "skip" {
		if !st.skipped[name] {
			st.log.Warn("changes of a table are lost, as inconsistent.schema.handling.mode says", "table", name.String(), "file", st.file, "pos", start, "error", err)
		}
		st.skipped[name] = true
		return nil
	}
	return &connectors.Error{Op: fmt.Sprintf("read the change of %s at %s:%d", name, st.file, start), Class: connectors.ClassGone,
		Err:    fmt.Errorf("%w%s", err, doubt),
		Remedy: "SET GLOBAL binlog_row_metadata = FULL, so that the log describes itself from now on, and take a new snapshot of the tables; or inconsistent.schema.handling.mode=skip, which loses the changes up to the next that fits"}
}

// rows handles the rows of an event.
//
//	insert, delete: for each row, its image
//	update:         for each row, the image before and the image after
func (st *stream) rows(ctx context.Context, b *connectors.Batch, h *replication.EventHeader, start uint64, e *replication.RowsEvent) error {
	im := st.images[e.TableID]
	if im == nil || st.tx.filtered || st.tx.open && st.tx.events < st.tx.skip {
		return nil
	}
	skip := int64(0)
	if st.tx.open && st.tx.events == st.tx.skip {
		skip = st.tx.skipRows
	}
	st.tx.begun = false
	data, err := st.payload(h, start, e)
	if err != nil {
		return err
	}
	o := st.tx.origin
	o.file, o.pos, o.server = st.file, start, int64(h.ServerID)
	if o.ns == 0 {
		o.ns = int64(h.Timestamp) * 1e9
	}
	st.emit.at(&o, cdc.NoSnapshot, im.name.Schema)
	b.EventTime = o.ns / 1e6
	op := e.Type()
	if int(e.ColumnCount) != len(im.extents) {
		return fmt.Errorf("read the change of %s at %s:%d: %w", im.id, st.file, start, errImage)
	}
	for row := 0; len(data) > 0; row++ {
		present := e.ColumnBitmap1
		if st.cells[0], data, err = splitImage(data, present, im.extents, st.cells[0]); err != nil {
			return fmt.Errorf("read the change of %s at %s:%d, row %d: %w", im.id, st.file, start, row, err)
		}
		if op == replication.EnumRowsEventTypeUpdate {
			if st.cells[1], data, err = splitImage(data, e.ColumnBitmap2, im.extents, st.cells[1]); err != nil {
				return fmt.Errorf("read the change of %s at %s:%d, row %d: %w", im.id, st.file, start, row, err)
			}
		}
		if int64(row) < skip || im.former(st.cells[0]) {
			continue
		}
		op := op
		if op == replication.EnumRowsEventTypeUpdate && im.former(st.cells[1]) {
			op = replication.EnumRowsEventTypeDelete
		}
		if err := st.row(ctx, b, im, op, row, start); err != nil {
			return err
		}
	}
	return nil
}

// Types of events with compressed rows of MariaDB.
const (
	compressedWrite  = 166
	compressedDelete = 168
)

// payload returns the images of an event.
func (st *stream) payload(h *replication.EventHeader, start uint64, e *replication.RowsEvent) ([]byte, error) {
	switch {
	case h.EventType == replication.PARTIAL_UPDATE_ROWS_EVENT:
		return nil, partialUpdates(fmt.Sprintf("%s:%d", st.file, start))
	case h.EventType >= compressedWrite && h.EventType <= compressedDelete:
		data, err := mysql.DecompressMariadbData(e.NdbData)
		if err != nil {
			return nil, fmt.Errorf("decompress the rows at %s:%d: %w", st.file, start, err)
		}
		return data, nil
	}
	return e.NdbData, nil
}

// row handles one row, whose images are in st.cells.
func (st *stream) row(ctx context.Context, b *connectors.Batch, im *image, op replication.EnumRowsEventType, row int, start uint64) error {
	if st.backfill.Holds(im.name) {
		st.touched(im, op)
	}
	err := st.emitRow(b, im, op, row)
	if err == nil && op == replication.EnumRowsEventTypeInsert && im.name == st.s.signals {
		return st.signalled(ctx, im)
	}
	var bad *valueError
	if !errors.As(err, &bad) {
		return err
	}
	place := fmt.Sprintf("%s:%d, row %d, table %s, column %s", st.file, start, row, im.id, bad.column)
	cells := st.cells[0]
	if op == replication.EnumRowsEventTypeUpdate {
		cells = st.cells[1]
	}
	return refuse(ctx, st.report, im.table, im.original(cells), place, bad)
}

func (st *stream) emitRow(b *connectors.Batch, im *image, op replication.EnumRowsEventType, row int) error {
	c := change{t: im.table, read: im.reader, row: row, headers: st.emit.context}
	switch op {
	case replication.EnumRowsEventTypeInsert:
		if st.s.skip[cdc.Create] {
			return nil
		}
		c.op, c.after = cdc.Create, st.cells[0]
		return st.emit.emit(b, &c)
	case replication.EnumRowsEventTypeDelete:
		if st.s.skip[cdc.Delete] {
			return nil
		}
		c.op, c.before = cdc.Delete, st.cells[0]
		return st.delete(b, &c)
	}
	c.op, c.before, c.after = cdc.Update, st.cells[0], st.cells[1]
	if st.s.skip[cdc.Update] || !st.s.unchangedToo && im.sameRow(c.before, c.after) {
		return nil
	}
	if im.keySchema == nil {
		return st.emit.emit(b, &c)
	}
	var err error
	if st.key[0], err = im.appendKey(st.key[0][:0], im.reader, c.before, nil); err != nil {
		return err
	}
	if st.key[1], err = im.appendKey(st.key[1][:0], im.reader, c.after, c.before); err != nil {
		return err
	}
	if bytes.Equal(st.key[0], st.key[1]) {
		return st.emit.emit(b, &c)
	}
	return st.move(b, c)
}

// delete appends the record of a delete, and its tombstone.
func (st *stream) delete(b *connectors.Batch, c *change) error {
	if err := st.emit.emit(b, c); err != nil {
		return err
	}
	if st.s.tombstones {
		st.emit.tombstone(b)
	}
	return nil
}

// move appends what an update of the key is: a delete of the old key and an insert of the new, each naming the other.
func (st *stream) move(b *connectors.Batch, c change) error {
	header := func(name string, key []byte) []connectors.Header {
		return cdc.KeyHeaders(name, connectors.Data{Schema: c.t.keySchema, Bytes: bytes.Clone(key)}, st.emit.context)
	}
	records, size := len(b.Records), len(b.Buf)
	old := c
	old.op, old.after, old.headers = cdc.Delete, nil, header(cdc.NewKeyHeader, st.key[1])
	if err := st.delete(b, &old); err != nil {
		return err
	}
	// Where the log has only what changed, the rest of the new row is that of the old one.
	after := make([]cell, len(c.after))
	for i := range after {
		after[i] = pick(c.after, c.before, i)
	}
	c.op, c.before, c.after, c.headers = cdc.Create, nil, after, header(cdc.OldKeyHeader, st.key[0])
	err := st.emit.emit(b, &c)
	if err != nil { // both or none
		b.Records, b.Buf = b.Records[:records], b.Buf[:size]
	}
	return err
}

// refuse hands a row that cannot be written to the hub, as an object of its columns, and goes on if the hub has it.
func refuse(ctx context.Context, report func(context.Context, connectors.Record, error) error, t *table, cells []cell, place string, cause error) error {
	err := &connectors.Error{Op: "write the change", Class: connectors.ClassData, Record: &connectors.RecordRef{Place: place}, Err: cause,
		Remedy: "correct the row, choose another handling mode, exclude the column, or set errors.tolerance=all"}
	if report == nil {
		return err
	}
	text := []byte{'{'}
	for i, c := range cells {
		if i >= len(t.fields) {
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendJSONString(text, []byte(t.fields[i].name)), ':')
		if c.kind == cellValue {
			raw := c.raw
			if hide := t.fields[i].hide; hide != nil {
				raw = hide(raw)
			}
			text = appendJSONString(text, bytes.ToValidUTF8(raw, []byte("\uFFFD")))
		} else {
			text = append(text, "null"...)
		}
	}
	bad := connectors.Record{Topic: t.topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp,
		Value: connectors.Data{Bytes: append(text, '}')}}
	return report(ctx, bad, err)
}
