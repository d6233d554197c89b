package jdbc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// plan is how records of a topic with the same schemas become rows of one table. It is compiled once.
type plan struct {
	table *table
	// shape is that of rows to be written, nil if the value has none (a tombstone); deletes that of the key alone, nil if
	// rows are not deleted.
	shape, deletes *shape
	key            *walk // of pk.mode=record_key with a struct, or nil
	keyValue       *walkField
	row            *walk // of the value, or of the row images in an envelope
	kafka          bool
	envelope       *envelope
}

// envelope says where in Debezium's envelope things are, by index of the field.
type envelope struct {
	schema                    *connectors.Schema
	before, after, source, op int
}

// errSkip says that a record is no row, by the configuration.
var errSkip = errors.New("skipped")

var (
	errNoSchema = errors.New("the value has no schema, and a table's columns are made from one; use a converter that gives records their schema " +
		"(JsonConverter with schemas.enable=true, AvroConverter)")
	errNoStruct = errors.New("the value is not a struct, and its fields are the columns; transforms=wrap, " +
		"transforms.wrap.type=org.apache.kafka.connect.transforms.HoistField$Value, transforms.wrap.field=NAME makes it a field of one")
	errNoKey     = errors.New("the record has no key with a schema, which pk.mode=record_key takes the primary key from")
	errNoDeletes = errors.New("the value is null; set delete.enabled=true so that the row is deleted, or drop such records with a transform")
	errNoPrimary = errors.New("a key that is not a struct is one column, and pk.fields must name it")
)

// findEnvelope returns where in a schema the parts of Debezium's envelope are, nil if it is none.
func findEnvelope(s *connectors.Schema) *envelope {
	e := &envelope{schema: s, before: s.FieldIndex("before"), after: s.FieldIndex("after"), source: s.FieldIndex("source"), op: s.FieldIndex("op")}
	if e.before < 0 || e.after < e.before || e.source < 0 || e.op < 0 || s.Fields[e.op].Schema.Type != connectors.String ||
		s.Fields[e.after].Schema.Type != connectors.Struct || s.Fields[e.source].Schema.Type != connectors.Struct {
		return nil
	}
	return e
}

// isNoRow reports whether values of a schema tell of something other than rows.
func isNoRow(s *connectors.Schema) bool {
	return s != nil && (strings.HasSuffix(s.Name, ".SchemaChangeValue") || s.Name == "io.debezium.connector.common.Heartbeat")
}

// outline is a plan before the table is looked at: the columns by name, the key's first.
type outline struct {
	columns []column
	keys    int
}

// compile makes the plan of records, but for what the table is asked for. A nil value schema is that of tombstones.
func (t *task) compile(topic string, name tableName, key, value *connectors.Schema) (*plan, error) {
	p := &plan{table: t.table(name), kafka: t.keys == keyKafka}
	row := value
	if value != nil {
		if value.Type != connectors.Struct {
			return nil, errNoStruct
		}
		if p.envelope = findEnvelope(value); p.envelope != nil {
			row = value.Fields[p.envelope.after].Schema
		}
	}
	o, keys, err := t.outline(topic, key, row)
	if err != nil {
		return nil, err
	}
	if t.keys == keyRecord {
		if err := p.compileKey(t, key, o.columns[:o.keys]); err != nil {
			return nil, err
		}
	}
	if row != nil {
		fields, first := o.columns[keys:], keys
		if p.row, err = newWalk(row, fields, first, t.nullCell); err != nil {
			return nil, err
		}
		p.shape = &shape{id: t.nextShape(), table: p.table, columns: o.columns, keys: o.keys}
	}
	if o.keys > 0 {
		p.deletes = &shape{id: t.nextShape(), table: p.table, columns: slices.Clone(o.columns[:o.keys]), keys: o.keys}
		if p.shape != nil {
			p.shape.key = p.deletes
		}
	}
	return p, nil
}

// outline names the columns of a record. The first so many (apart) are not from the value.
func (t *task) outline(topic string, key, row *connectors.Schema) (o outline, apart int, err error) {
	add := func(name string, s *connectors.Schema) error {
		of, err := compileType(s, t.placeholder)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		of.in(t.zone, !t.debezium)
		o.columns = append(o.columns, column{name: name, stored: t.dialect.stored(name), typed: of})
		return nil
	}
	switch t.keys {
	case keyKafka:
		names := t.keyFields
		if len(names) == 0 {
			names = []string{"__connect_topic", "__connect_partition", "__connect_offset"}
		}
		for i, s := range [3]*connectors.Schema{connectors.StringSchema, connectors.Int32Schema, connectors.Int64Schema} {
			if err := add(names[i], s); err != nil {
				return o, 0, err
			}
		}
	case keyRecord:
		if err := t.outlineKey(key, add); err != nil {
			return o, 0, err
		}
	case keyValue:
		if err := t.outlineValueKey(row, add); err != nil {
			return o, 0, err
		}
	}
	o.keys = len(o.columns)
	for _, c := range o.columns {
		c.typed.unchanged = nil // a part of a key cannot be left out
	}
	apart = o.keys
	if t.keys == keyValue {
		apart = 0
	}
	if row == nil {
		return o, apart, nil
	}
	for _, f := range row.Fields {
		taken := slices.ContainsFunc(o.columns[:o.keys], func(c column) bool { return c.name == f.Name })
		if taken || !t.wants(topic, f.Name) {
			continue
		}
		if err := add(f.Name, f.Schema); err != nil {
			return o, 0, err
		}
		if !slices.Contains(t.stamps, f.Name) {
			continue
		}
		if err := o.columns[len(o.columns)-1].typed.stamp(t.perSecond, t.zone); err != nil {
			return o, 0, fmt.Errorf("field %s, which timestamp.fields.list names: %w", f.Name, err)
		}
	}
	if len(o.columns) == 0 {
		return o, 0, errors.New("no field is left to be a column; see fields.whitelist")
	}
	return o, apart, nil
}

// outlineKey names the columns of the record's key.
func (t *task) outlineKey(key *connectors.Schema, add func(string, *connectors.Schema) error) error {
	if key == nil {
		return errNoKey
	}
	if key.Type != connectors.Struct {
		if len(t.keyFields) != 1 {
			return errNoPrimary
		}
		return add(t.keyFields[0], key)
	}
	return eachKeyField(key, t.keyFields, "key", add)
}

// outlineValueKey names the columns of a key that is in the value.
func (t *task) outlineValueKey(row *connectors.Schema, add func(string, *connectors.Schema) error) error {
	if row == nil {
		return errNoDeletes
	}
	return eachKeyField(row, t.keyFields, "value", add)
}

func eachKeyField(s *connectors.Schema, names []string, of string, add func(string, *connectors.Schema) error) error {
	if len(names) == 0 {
		for _, f := range s.Fields {
			if err := add(f.Name, f.Schema); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range names {
		i := s.FieldIndex(name)
		if i < 0 {
			return fmt.Errorf("the record's %s has no field %s, which pk.fields names", of, name)
		}
		if err := add(name, s.Fields[i].Schema); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) compileKey(t *task, key *connectors.Schema, columns []column) (err error) {
	if key.Type != connectors.Struct {
		p.keyValue = &walkField{schema: key, typed: columns[0].typed, name: columns[0].name}
		return nil
	}
	p.key, err = newWalk(key, columns, 0, t.nullCell)
	return err
}

// nullCell returns the cell that takes the place of null, or nil.
func (t *task) nullCell(f *walkField) ([]byte, error) {
	d := f.schema.Default
	if !t.nullDefaults || !f.schema.Optional || d == nil || d.IsNull() {
		return nil, nil
	}
	encoded, err := connectors.AppendValue(nil, f.typed.required, *d)
	if err != nil {
		return nil, err
	}
	cell, _, err := t.cells.value(nil, f.typed, encoded)
	return cell, err
}
