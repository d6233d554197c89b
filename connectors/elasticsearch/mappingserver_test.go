package elasticsearch

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
)

// mapping returns the properties of an index.
func (w *world) mapping(index string) map[string]any {
	w.t.Helper()
	var answer map[string]struct {
		Mappings struct{ Properties map[string]any }
	}
	if err := json.Unmarshal([]byte(w.do("GET", "/"+index+"/_mapping", "")), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer[index].Mappings.Properties
}

type props = map[string]any

func textField() props {
	return props{"type": "text", "fields": props{"keyword": props{"type": "keyword", "ignore_above": 256.0}}}
}

func structOf(fields ...connectors.Field) *connectors.Schema {
	return &connectors.Schema{Type: connectors.Struct, Fields: fields}
}

func logical(t connectors.Type, name string) *connectors.Schema {
	return &connectors.Schema{Type: t, Name: name, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}
}

func mappingOfEveryType(t *testing.T, w *world) {
	seven := connectors.IntValue(connectors.Int32, 7)
	yes := connectors.BoolValue(true)
	stringMap := &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.Int32Schema}
	intMap := &connectors.Schema{Type: connectors.Map, Key: connectors.Int32Schema, Elem: connectors.StringSchema}
	value := connectors.ListValue
	cases := []struct {
		name   string
		schema *connectors.Schema
		value  connectors.Value
		want   props
		source any
	}{
		{"i8", connectors.Int8Schema, connectors.IntValue(connectors.Int8, -8), props{"type": "byte"}, -8.0},
		{"i16", connectors.Int16Schema, connectors.IntValue(connectors.Int16, 16), props{"type": "short"}, 16.0},
		{"i32", connectors.Int32Schema, connectors.IntValue(connectors.Int32, 32), props{"type": "integer"}, 32.0},
		{"i64", connectors.Int64Schema, connectors.IntValue(connectors.Int64, 64), props{"type": "long"}, 64.0},
		{"f32", connectors.Float32Schema, connectors.FloatValue(connectors.Float32, 0.5), props{"type": "float"}, 0.5},
		{"f64", connectors.Float64Schema, connectors.FloatValue(connectors.Float64, 1e10), props{"type": "double"}, 1e10},
		{"yes", connectors.BooleanSchema, connectors.BoolValue(true), props{"type": "boolean"}, true},
		{"text", connectors.StringSchema, connectors.StringValue("ü\n\""), textField(), "ü\n\""},
		{"bytes", connectors.BytesSchema, connectors.BytesValue([]byte{1, 2, 255}), props{"type": "binary"}, "AQL/"},
		{"date", logical(connectors.Int32, connectors.DateName), connectors.IntValue(connectors.Int32, 1), props{"type": "date"}, 1.0},
		{"time", logical(connectors.Int32, connectors.TimeName), connectors.IntValue(connectors.Int32, 1000), props{"type": "date"}, 1000.0},
		{"timestamp", logical(connectors.Int64, connectors.TimestampName), connectors.IntValue(connectors.Int64, 1700000000000), props{"type": "date"}, 1700000000000.0},
		{"decimal", logical(connectors.Bytes, connectors.DecimalName), connectors.BytesValue([]byte{0x30, 0x39}), props{"type": "double"}, 123.45},
		{"list", &connectors.Schema{Type: connectors.Array, Elem: connectors.Int64Schema}, value(connectors.Array,
			[]connectors.Value{connectors.IntValue(connectors.Int64, 1), connectors.IntValue(connectors.Int64, 2)}), props{"type": "long"}, []any{1.0, 2.0}},
		{"map", stringMap, value(connectors.Map, []connectors.Value{connectors.StringValue("a"), connectors.IntValue(connectors.Int32, 1)}),
			props{"properties": props{"a": props{"type": "long"}}}, props{"a": 1.0}},
		{"pairs", intMap, value(connectors.Map, []connectors.Value{connectors.IntValue(connectors.Int32, 1), connectors.StringValue("one")}),
			props{"properties": props{"key": props{"type": "integer"}, "value": textField()}}, []any{props{"key": 1.0, "value": "one"}}},
		{"nested", structOf(connectors.Field{Name: "x", Schema: connectors.Int8Schema}), value(connectors.Struct,
			[]connectors.Value{connectors.IntValue(connectors.Int8, 1)}), props{"properties": props{"x": props{"type": "byte"}}}, props{"x": 1.0}},
		{"seven", &connectors.Schema{Type: connectors.Int32, Optional: true, Default: &seven}, connectors.Null(),
			props{"type": "integer", "null_value": 7.0}, 7.0},
		{"sure", &connectors.Schema{Type: connectors.Boolean, Optional: true, Default: &yes}, connectors.Null(),
			props{"type": "boolean", "null_value": true}, true},
		{"none", connectors.OptionalStringSchema, connectors.Null(), textField(), nil},
	}
	var fields []connectors.Field
	var values []connectors.Value
	mapping, source := props{}, props{}
	for _, c := range cases {
		fields, values = append(fields, connectors.Field{Name: c.name, Schema: c.schema}), append(values, c.value)
		mapping[c.name], source[c.name] = c.want, c.source
	}
	schema := structOf(fields...)
	encoded, err := connectors.AppendValue(nil, schema, value(connectors.Struct, values))
	if err != nil {
		t.Fatal(err)
	}
	topic := w.topic("types")
	r := start(t, w.config(), topic)
	rec := record("1", "")
	rec.Value = connectors.Data{Schema: schema, Bytes: encoded}
	r.put(topic, 0, rec)
	r.flushTo(topic, 1)
	if diff := cmp.Diff(mapping, w.mapping(topic)); diff != "" {
		t.Errorf("the mapping (-wanted +is):\n%s", diff)
	}
	var got props
	if err := json.Unmarshal([]byte(w.docs(topic)["1"]), &got); err != nil {
		t.Fatalf("%v; reported: %v", err, r.reported)
	}
	if diff := cmp.Diff(source, got); diff != "" {
		t.Errorf("the document (-wanted +is):\n%s", diff)
	}

	ignored := w.topic("ignored")
	r = start(t, w.config("topic.schema.ignore", ignored), ignored)
	r.put(ignored, 0, rec)
	r.flushTo(ignored, 1)
	if m := w.mapping(ignored)["i8"]; !cmp.Equal(m, props{"type": "long"}) {
		t.Errorf("with schema.ignore the mapping of i8 is %v", m)
	}
}

// small is a record with a schema.
func small(key string) connectors.Record {
	r := record(key, "")
	r.Value = connectors.Data{Schema: structOf(connectors.Field{Name: "n", Schema: connectors.Int8Schema}), Bytes: connectors.AppendInt(nil, 1)}
	return r
}

// tombstoneFirst: a delete makes no index, so that the first document can give it its mapping.
func tombstoneFirst(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("behavior.on.null.values", "delete"), topic)
	r.put(topic, 0, record("1", ""))
	r.flushTo(topic, 1)
	r.put(topic, 1, small("1"))
	r.flushTo(topic, 2)
	if m := w.mapping(topic); !cmp.Equal(m, props{"n": props{"type": "byte"}}) {
		t.Errorf("the mapping is %v", m)
	}
}

func emptyIndex(t *testing.T, w *world) {
	empty, full, late := w.topic("empty"), w.topic("full"), w.topic("late")
	w.create(empty, "")
	w.create(full, `{"mappings":{"properties":{"n":{"type":"keyword"}}}}`)
	r := start(t, w.config(), empty, full, late)
	r.put(empty, 0, small("1"))
	r.put(full, 0, small("1"))
	r.put(late, 0, record("0", `{}`), small("1"))
	r.flushTo(empty, 1)
	r.flushTo(late, 2)
	for index, want := range map[string]string{empty: "byte", full: "keyword", late: "byte"} {
		if m := w.mapping(index); !cmp.Equal(m, props{"n": props{"type": want}}) {
			t.Errorf("the mapping of %s is %v", index, m)
		}
	}
}

func mapsAsEntries(t *testing.T, w *world) {
	topic := w.topic("maps")
	r := start(t, w.config("compact.map.entries", "false"), topic)
	schema := structOf(connectors.Field{Name: "m", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.Int8Schema}})
	encoded, err := connectors.AppendValue(nil, schema, connectors.ListValue(connectors.Struct, []connectors.Value{
		connectors.ListValue(connectors.Map, []connectors.Value{connectors.StringValue("a"), connectors.IntValue(connectors.Int8, 1)})}))
	if err != nil {
		t.Fatal(err)
	}
	rec := record("1", "")
	rec.Value = connectors.Data{Schema: schema, Bytes: encoded}
	r.put(topic, 0, rec)
	r.flushTo(topic, 1)
	w.expect(topic, "1", `{"m":[{"key":"a","value":1}]}`)
	if m := w.mapping(topic); !cmp.Equal(m, props{"m": props{"properties": props{"key": textField(), "value": props{"type": "byte"}}}}) {
		t.Errorf("the mapping is %v", m)
	}
}
