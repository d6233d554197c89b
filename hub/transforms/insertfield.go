package transforms

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func insertFieldDefinition() *configs.Definition {
	field := func(name, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.String, Importance: configs.Medium,
			Doc: "Field for " + doc + ". A ! behind the name makes it required; a ? optional, as it is without."}
	}
	return &configs.Definition{Keys: []configs.Key{
		field("topic.field", "the topic"), field("partition.field", "the partition"), field("offset.field", "the offset (sinks only)"),
		field("timestamp.field", "the record's timestamp"), field("static.field", "a fixed value"),
		{Name: "static.value", Type: configs.String, Importance: configs.Medium, Doc: "The fixed value."}, replaceNull()},
		Rules: []configs.Rule{configs.Requires("static.field", "static.value")}}
}

// insertField adds facts about the record, or a fixed text, as fields.
type insertField struct {
	structs
	inserts  []insertion
	defaults bool
	object   object
}

// insertion is one field to add.
type insertion struct {
	name     string
	required bool
	typ      connectors.Type
	logical  string
	// value returns what to insert; null if the record does not have it.
	value func(r *connectors.Record) connectors.Value
}

func newInsertField(v configs.Values, at side, a *arena) (transform, error) {
	t := &insertField{structs: structs{at: at, arena: a}, defaults: v.Bool("replace.null.with.default")}
	static := connectors.StringValue(v.String("static.value"))
	for _, i := range []struct {
		key string
		insertion
	}{
		{"topic.field", insertion{typ: connectors.String, value: func(r *connectors.Record) connectors.Value { return connectors.StringValue(r.Topic) }}},
		{"partition.field", insertion{typ: connectors.Int32, value: func(r *connectors.Record) connectors.Value {
			return intOrNull(connectors.Int32, int64(r.Partition), int64(connectors.AnyPartition))
		}}},
		{"offset.field", insertion{typ: connectors.Int64, value: func(r *connectors.Record) connectors.Value { return connectors.IntValue(connectors.Int64, r.Offset) }}},
		{"timestamp.field", insertion{typ: connectors.Int64, logical: connectors.TimestampName, value: func(r *connectors.Record) connectors.Value {
			return intOrNull(connectors.Int64, r.Timestamp, connectors.NoTimestamp)
		}}},
		{"static.field", insertion{typ: connectors.String, value: func(*connectors.Record) connectors.Value { return static }}},
	} {
		name := v.String(i.key)
		if name == "" {
			continue
		}
		i.required = strings.HasSuffix(name, "!")
		i.name = strings.TrimSuffix(strings.TrimSuffix(name, "?"), "!")
		t.inserts = append(t.inserts, i.insertion)
	}
	if len(t.inserts) == 0 {
		return nil, errors.New("at least one of topic.field, partition.field, offset.field, timestamp.field and static.field must be set")
	}
	return t, nil
}

func intOrNull(t connectors.Type, i, null int64) connectors.Value {
	if i == null {
		return connectors.Null()
	}
	return connectors.IntValue(t, i)
}

func (t *insertField) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema != nil:
		return true, t.structs.apply(r, t.build)
	}
	if err := t.object.parse(*d); err != nil {
		return false, err
	}
	for i := range t.inserts {
		switch v := t.inserts[i].value(r); {
		case v.IsNull():
		case v.Type == connectors.String:
			t.object.set(t.inserts[i].name, jsonText(v.Text()))
		default:
			t.object.set(t.inserts[i].name, strconv.AppendInt(nil, v.Int(), 10))
		}
	}
	*d = t.object.data(t.arena)
	return true, nil
}

func (t *insertField) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	for i, f := range s.Fields {
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		p.out.Fields = append(p.out.Fields, f)
		p.ops = append(p.ops, o)
	}
	for i := range t.inserts {
		in := &t.inserts[i]
		if p.out.FieldIndex(in.name) >= 0 {
			return nil, fmt.Errorf("there is a field %s already", in.name)
		}
		schema := &connectors.Schema{Type: in.typ, Optional: !in.required, Name: in.logical}
		if in.logical != "" {
			schema.Version = 1
		}
		p.out.Fields = append(p.out.Fields, connectors.Field{Name: in.name, Schema: schema})
		p.ops = append(p.ops, op{from: -1, convert: func(dst, _ []byte, r *connectors.Record) ([]byte, error) {
			return connectors.AppendValue(dst, schema, in.value(r))
		}})
	}
	return p, nil
}
