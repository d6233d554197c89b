package jdbc

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// maxPlans bounds how many plans are kept. A topic has a handful, a transform can make any number of topics.
const maxPlans = 10000

// planKey is what a plan was compiled for.
type planKey struct {
	topic      string
	table      tableName // if the records say it
	key, value *connectors.Schema
}

// namerKey is what a namer was compiled for.
type namerKey struct {
	topic string
	value *connectors.Schema
}

// plans finds the plan of a record. It is used by Put alone.
type plans struct {
	byKey  map[planKey]*plan
	last   *plan
	lastOf planKey
	namers map[namerKey]*namer // of topics whose records say the table
	namer  *namer              // that of last, or nil
	shapes int
	tables map[tableName]*table
	seed   maphash.Seed
}

func newPlans() plans {
	return plans{byKey: map[planKey]*plan{}, namers: map[namerKey]*namer{}, tables: map[tableName]*table{}, seed: maphash.MakeSeed()}
}

func (p *plans) nextShape() int {
	p.shapes++
	return p.shapes
}

func (t *task) nextShape() int { return t.plans.nextShape() }

func (t *task) table(name tableName) *table {
	found := t.plans.tables[name]
	if found == nil {
		found = &table{name: name, quoted: qualified(t.dialect, name)}
		found.hash = maphash.String(t.plans.seed, found.quoted)
		t.plans.tables[name] = found
	}
	return found
}

// planOf returns the plan of a record, with a table that is as the plan needs it. Its errors are about the record, but
// for those with a class of their own.
func (t *task) planOf(ctx context.Context, r *connectors.Record) (*plan, error) {
	key := planKey{topic: r.Topic, value: r.Value.Schema}
	if t.keys == keyRecord {
		key.key = r.Key.Schema
	}
	p := &t.plans
	same := p.last != nil && p.lastOf.topic == key.topic && p.lastOf.key == key.key && p.lastOf.value == key.value
	var err error
	if !same {
		p.last = nil
		if key.table, p.namer, err = t.namerOf(r.Topic, r.Value.Schema); err != nil {
			return nil, err
		}
	}
	if p.namer != nil {
		if key.table, err = p.namer.table(t, r.Value); err != nil {
			return nil, err
		}
	}
	if same && (p.namer == nil || key.table == p.lastOf.table) {
		return p.last, nil
	}
	found := p.byKey[key]
	if found == nil {
		if len(p.byKey) >= maxPlans {
			clear(p.byKey)
		}
		if found, err = t.compile(r.Topic, key.table, key.key, key.value); err != nil {
			return nil, err
		}
		if err := t.ensure(ctx, found); err != nil {
			return nil, err
		}
		p.byKey[key] = found
	}
	p.last, p.lastOf = found, key
	return found, nil
}

// namerOf returns the table of a topic's records, or what names it by each of them.
func (t *task) namerOf(topic string, value *connectors.Schema) (tableName, *namer, error) {
	name, dynamic, err := t.tableOf(topic)
	if err != nil || !dynamic {
		return name, nil, err
	}
	of := namerKey{topic, value}
	n := t.plans.namers[of]
	if n == nil {
		if len(t.plans.namers) >= maxPlans {
			clear(t.plans.namers)
		}
		if n, err = t.newNamer(topic, value); err != nil {
			return name, nil, err
		}
		t.plans.namers[of] = n
	}
	return name, n, nil
}

// take makes rows of a record in the batch that is being filled. Errors without a class are about the record; errSkip
// says that it is no row.
func (t *task) take(ctx context.Context, p *partition, r *connectors.Record) error {
	value := r.Value
	if value.Schema == nil && value.Bytes != nil && string(value.Bytes) != "null" {
		return errNoSchema
	}
	if isNoRow(value.Schema) {
		return errSkip
	}
	isNull := value.Schema == nil
	if value.Schema != nil {
		present, rest, err := connectors.ReadPresent(value.Schema, value.Bytes)
		if err != nil {
			return err
		}
		isNull, value.Bytes = !present, rest
	}
	if isNull {
		return t.takeTombstone(ctx, p, r)
	}
	r, err := t.withTypedKey(p, r)
	if err != nil {
		return err
	}
	plan, err := t.planOf(ctx, r)
	if err != nil {
		return err
	}
	if plan.envelope == nil {
		p.flat = true
		return t.write(p, r, plan, value.Bytes)
	}
	return t.takeChange(p, r, plan, value.Bytes)
}

// takeTombstone deletes by the record's key. In a topic of change events a tombstone follows the event that said so.
func (t *task) takeTombstone(ctx context.Context, p *partition, r *connectors.Record) error {
	_, dynamic, err := t.tableOf(r.Topic)
	switch {
	case err != nil:
		return err
	case p.envelopes || dynamic:
		return errSkip
	case !t.deletes && (t.debezium || !p.flat):
		return errSkip
	case !t.deletes:
		return errNoDeletes
	case r.Key.IsNull():
		return errNoKey
	}
	if r, err = t.withTypedKey(p, r); err != nil {
		return err
	}
	tombstone := *r
	tombstone.Value = connectors.Data{}
	plan, err := t.planOf(ctx, &tombstone)
	if err != nil {
		return err
	}
	if len(plan.table.columns) == 0 {
		return errSkip // there is no table, so the row is not there
	}
	return t.remove(p, r, plan)
}

// takeChange makes rows of a change event. What follows the row image is looked at only if there is none.
func (t *task) takeChange(p *partition, r *connectors.Record, plan *plan, src []byte) error {
	p.envelopes = true
	e := plan.envelope
	var before []byte
	var err error
	for i := range e.schema.Fields {
		s := e.schema.Fields[i].Schema
		switch i {
		case e.before, e.after:
			present, image, err := connectors.ReadPresent(s, src)
			if err != nil {
				return err
			}
			if present && i == e.after {
				if before != nil && t.keys == keyValue {
					return t.writeMoved(p, r, plan, before, image)
				}
				return t.write(p, r, plan, image)
			}
			if present {
				before = image
			}
		case e.op:
			text, _, err := connectors.ReadBytes(src)
			if err != nil {
				return err
			}
			return t.takeRowless(p, r, plan, string(text))
		}
		if src, err = connectors.SkipValue(s, src); err != nil {
			return fmt.Errorf("field %s: %w", e.schema.Fields[i].Name, err)
		}
	}
	return errors.New("a change event without its operation")
}

// takeRowless takes a change without a row: a delete or a truncate.
func (t *task) takeRowless(p *partition, r *connectors.Record, plan *plan, op string) error {
	switch {
	case op == string(rune(cdc.Delete)):
		if !t.deletes {
			return errSkip
		}
		return t.remove(p, r, plan)
	case op == string(rune(cdc.Truncate)):
		if !t.truncates {
			return errSkip
		}
		b := t.filling
		b.rows = append(b.rows, row{shape: plan.shape, op: opTruncate, part: t.partIn(p), offset: r.Offset, start: len(b.arena), keyEnd: len(b.arena), end: len(b.arena)})
		b.serial = true
		return nil
	}
	return fmt.Errorf("a change event of operation %q has no row", op)
}

// key appends the cells of the key that is not in the value.
func (t *task) key(dst []byte, r *connectors.Record, p *partition, plan *plan) ([]byte, error) {
	switch {
	case plan.kafka:
		return t.kafkaKey(dst, p.at, r.Offset, plan)
	case t.keys != keyRecord:
		return dst, nil
	}
	present, src, err := connectors.ReadPresent(r.Key.Schema, r.Key.Bytes)
	if err != nil || !present {
		return dst, errors.Join(err, errNoKey)
	}
	if plan.keyValue != nil {
		dst, _, err = t.cells.value(dst, plan.keyValue.typed, src)
		return dst, err
	}
	dst, _, err = plan.key.append(&t.cells, dst, src)
	return dst, err
}

func (t *task) kafkaKey(dst []byte, at connectors.TopicPartition, offset int64, plan *plan) (out []byte, err error) {
	columns := plan.shape.columns
	t.encoded = connectors.AppendString(t.encoded[:0], at.Topic)
	if dst, _, err = t.cells.value(dst, columns[0].typed, t.encoded); err != nil {
		return dst, err
	}
	t.encoded = connectors.AppendInt(t.encoded[:0], int64(at.Partition))
	if dst, _, err = t.cells.value(dst, columns[1].typed, t.encoded); err != nil {
		return dst, err
	}
	t.encoded = connectors.AppendInt(t.encoded[:0], offset)
	dst, _, err = t.cells.value(dst, columns[2].typed, t.encoded)
	return dst, err
}

// write adds a row with the values of image.
func (t *task) write(p *partition, r *connectors.Record, plan *plan, image []byte) error {
	b := t.filling
	start := len(b.arena)
	arena, keyEnd, err := t.rowCells(b.arena, p, r, plan, image)
	if err != nil {
		b.arena = arena[:start]
		return err
	}
	b.arena = arena
	to := plan.shape
	if t.cells.masked {
		to = to.without(t.cells.mask, t.plans.nextShape)
	}
	t.add(p, row{shape: to, op: opWrite, offset: r.Offset, start: start, keyEnd: keyEnd, end: len(arena)})
	return nil
}

// rowCells appends the cells of a row, and says where its key ends.
func (t *task) rowCells(dst []byte, p *partition, r *connectors.Record, plan *plan, image []byte) (out []byte, keyEnd int, err error) {
	t.cells.begin(len(plan.shape.columns))
	if dst, err = t.key(dst, r, p, plan); err != nil {
		return dst, 0, fmt.Errorf("key: %w", err)
	}
	keyEnd = len(dst)
	if dst, _, err = plan.row.append(&t.cells, dst, image); err != nil {
		return dst, 0, fmt.Errorf("value: %w", err)
	}
	if t.keys == keyValue {
		at := dst[keyEnd:]
		for range plan.shape.keys {
			_, at = nextCell(at)
		}
		keyEnd = len(dst) - len(at)
	}
	return dst, keyEnd, nil
}

// writeMoved adds a row whose key is in the value and may be another one than before: then the old row goes.
func (t *task) writeMoved(p *partition, r *connectors.Record, plan *plan, before, after []byte) error {
	b := t.filling
	start := len(b.arena)
	arena, oldEnd, err := t.rowCells(b.arena, p, r, plan, before)
	b.arena = arena[:start]
	if err != nil {
		return err
	}
	old := append([]byte(nil), arena[start:oldEnd]...)
	rows := len(b.rows)
	if err := t.write(p, r, plan, after); err != nil {
		return err
	}
	if len(b.rows) == rows {
		return nil // it is there already
	}
	added := b.rows[rows]
	if string(old) == string(b.key(&added)) || t.mode == modeInsert {
		return nil
	}
	at := len(b.arena)
	b.arena = append(b.arena, old...)
	b.rows[rows] = row{shape: plan.deletes, op: opDelete, slot: added.slot, part: added.part, offset: r.Offset, start: at, keyEnd: len(b.arena), end: len(b.arena)}
	b.rows = append(b.rows, added)
	b.serial = true // the two are in different slots, and one record has one position
	return nil
}

// remove adds a delete by the record's key.
func (t *task) remove(p *partition, r *connectors.Record, plan *plan) error {
	b := t.filling
	start := len(b.arena)
	t.cells.begin(plan.deletes.keys)
	arena, err := t.key(b.arena, r, p, plan)
	if err != nil {
		b.arena = arena[:start]
		return fmt.Errorf("key: %w", err)
	}
	b.arena = arena
	t.add(p, row{shape: plan.deletes, op: opDelete, offset: r.Offset, start: start, keyEnd: len(arena), end: len(arena)})
	return nil
}

// add adds a row to the batch, unless the database has it from before a restart.
func (t *task) add(p *partition, r row) {
	b := t.filling
	r.slot = slotOf(b.key(&r), r.offset)
	if r.offset < p.positions[r.slot] {
		b.arena = b.arena[:r.start]
		return
	}
	r.part = t.partIn(p)
	b.rows = append(b.rows, r)
}

// partIn returns the index of a partition in the batch that is being filled, which begins with the first one.
func (t *task) partIn(p *partition) int32 {
	if t.filling.empty() {
		t.filling.since = time.Now()
		signal(t.wake)
	}
	return int32(t.filling.partOf(p.at))
}
