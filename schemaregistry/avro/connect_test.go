package avro

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	hamba "github.com/hamba/avro/v2"

	"github.com/sluicehub/sluice/connectors"
)

func valuePtr(v connectors.Value) *connectors.Value { return &v }

func TestFromConnectWritesWhatAvroDataWrites(t *testing.T) {
	point := &connectors.Schema{Type: connectors.Struct, Name: "geo.Point", Version: 1, Doc: "a place", Fields: []connectors.Field{
		{Name: "x", Schema: connectors.Float64Schema}}}
	cases := map[string]struct {
		schema *connectors.Schema
		want   string
	}{
		"plain":     {connectors.Int64Schema, `"long"`},
		"optional":  {connectors.OptionalStringSchema, `["null","string"]`},
		"int8":      {connectors.Int8Schema, `{"type":"int","connect.type":"int8"}`},
		"default":   {&connectors.Schema{Type: connectors.Int32, Default: valuePtr(connectors.IntValue(connectors.Int32, 5))}, `{"type":"int","connect.default":5}`},
		"default 2": {&connectors.Schema{Type: connectors.Float32, Optional: true, Default: valuePtr(connectors.FloatValue(connectors.Float32, 0.5))}, `[{"type":"float","connect.default":0.5},"null"]`},
		"micro": {&connectors.Schema{Type: connectors.Int64, Name: "io.debezium.time.MicroTimestamp", Version: 1},
			`{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}`},
		"decimal": {&connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Version: 1, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}, {Name: "connect.decimal.precision", Value: "12"}}},
			`{"type":"bytes","scale":2,"precision":12,"connect.version":1,"connect.parameters":{"scale":"2","connect.decimal.precision":"12"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}`},
		"date": {&connectors.Schema{Type: connectors.Int32, Name: connectors.DateName, Version: 1, Optional: true},
			`["null",{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}]`},
		"timestamp": {&connectors.Schema{Type: connectors.Int64, Name: connectors.TimestampName, Version: 1},
			`{"type":"long","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}`},
		"enum": {&connectors.Schema{Type: connectors.String, Name: "io.debezium.data.Enum", Version: 1, Parameters: []connectors.Parameter{{Name: "allowed", Value: "a,b"}}, Default: valuePtr(connectors.StringValue("a"))},
			`{"type":"string","connect.version":1,"connect.parameters":{"allowed":"a,b"},"connect.default":"a","connect.name":"io.debezium.data.Enum"}`},
		"string map": {&connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.OptionalInt32Schema},
			`{"type":"map","values":["null","int"]}`},
		"other map": {&connectors.Schema{Type: connectors.Map, Key: connectors.Int32Schema, Elem: connectors.OptionalStringSchema},
			`{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":["null","string"],"default":null}]}}`},
		"struct without a name": {&connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{{Name: "a", Schema: connectors.OptionalInt32Schema}}},
			`{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":["null","int"],"default":null}]}`},
		"the same struct twice": {&connectors.Schema{Type: connectors.Struct, Name: "t.Envelope", Fields: []connectors.Field{
			{Name: "before", Schema: point.AsOptional()}, {Name: "after", Schema: point.AsOptional()}, {Name: "at", Schema: point}}},
			`{"type":"record","name":"Envelope","namespace":"t","fields":[{"name":"before","type":["null",{"type":"record","name":"Point","namespace":"geo","fields":[{"name":"x","type":"double"}],"connect.doc":"a place","connect.version":1,"connect.name":"geo.Point"}],"default":null},{"name":"after","type":["null","geo.Point"],"default":null},{"name":"at","type":"geo.Point"}],"connect.name":"t.Envelope"}`},
		"two structs of a name": {&connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{{Name: "a", Schema: &connectors.Schema{Type: connectors.Struct, Name: "S"}},
			{Name: "b", Schema: &connectors.Schema{Type: connectors.Struct, Name: "S", Version: 2}}}},
			`{"type":"record","name":"ConnectDefault","namespace":"io.confluent.connect.avro","fields":[{"name":"a","type":{"type":"record","name":"S","namespace":"","fields":[],"connect.name":"S"}},{"name":"b","type":{"type":"record","name":"S2","namespace":"","fields":[],"connect.version":2,"connect.name":"S"}}]}`},
		"bytes default": {&connectors.Schema{Type: connectors.Bytes, Default: valuePtr(connectors.BytesValue([]byte{0, 'a', 0xff}))}, `{"type":"bytes","connect.default":"\u0000aÿ"}`},
		"default of Avro's own": {&connectors.Schema{Type: connectors.Struct, Name: "R", Parameters: []connectors.Parameter{{Name: recordDocParameter, Value: "d"}}, Fields: []connectors.Field{
			{Name: "a", Schema: &connectors.Schema{Type: connectors.Int32, Default: valuePtr(connectors.IntValue(connectors.Int32, 1)), Parameters: []connectors.Parameter{{Name: defaultFlagParameter, Value: "true"}}}}}},
			`{"type":"record","name":"R","doc":"d","fields":[{"name":"a","type":"int","default":1}],"connect.parameters":{"io.confluent.connect.avro.record.doc":"d"},"connect.name":"R"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := FromConnect(c.schema)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			checkSame(t, c.schema)
		})
	}
}

func TestFromConnectRefusesNames(t *testing.T) {
	for _, s := range []*connectors.Schema{
		{Type: connectors.Struct, Name: "my-server.t.Value"},
		{Type: connectors.Struct, Name: "a..b"},
		{Type: connectors.Struct, Name: "A", Fields: []connectors.Field{{Name: "first name", Schema: connectors.Int8Schema}}},
	} {
		if a, err := FromConnect(s); err == nil || !strings.Contains(err.Error(), "adjustment.mode=avro") {
			t.Errorf("%v, %v; want an error that names the remedy", a, err)
		}
	}
}

// checkSame checks all that must hold for a Connect schema: its Avro text can be read, says everything, and describes
// the bytes that package connectors writes, as an Avro library that is not ours reads them.
func checkSame(t *testing.T, s *connectors.Schema) {
	t.Helper()
	a, err := FromConnect(s)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(a.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, a)
	}
	if !Equal(a, parsed) || parsed.String() != a.String() {
		t.Fatalf("reads back as\n%s\nnot\n%s", parsed, a)
	}
	back, err := ToConnect(parsed)
	if err != nil {
		t.Fatalf("%v\n%s", err, a)
	}
	if !back.Equal(s) {
		t.Fatalf("schema changed (-want +got):\n%s\nby way of %s", cmp.Diff(s, back, cmp.AllowUnexported(connectors.Value{})), a)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		checkLayout(t, s, a.String(), randomValue(rng, s))
	}
}

func checkLayout(t *testing.T, s *connectors.Schema, text string, v connectors.Value) {
	t.Helper()
	text = fmt.Sprintf(`{"type":"record","name":"Whole","fields":[{"name":"v","type":%s},{"name":"end","type":"long"}]}`, text)
	// The library knows fewer defaults than Java, and turns logical types into types of Go: neither is of interest here.
	whole, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	text = whole.ParsingForm()
	h, err := hamba.ParseBytesWithCache([]byte(text), "", &hamba.SchemaCache{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := connectors.AppendValue(nil, s, v)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := hamba.Unmarshal(h, connectors.AppendInt(b, 4711), &got); err != nil {
		t.Fatalf("%v\n%s\n%x", err, text, b)
	}
	h2 := h.(*hamba.RecordSchema).Fields()[0].Type()
	if diff := cmp.Diff(map[string]any{"v": generic(s, v, h2), "end": int64(4711)}, got); diff != "" {
		t.Fatalf("value (-want +got):\n%s\n%s\n%x", diff, text, b)
	}
}

// generic is what the library makes of a value.
func generic(s *connectors.Schema, v connectors.Value, h hamba.Schema) any {
	if r, ok := h.(*hamba.RefSchema); ok {
		h = r.Schema()
	}
	if u, ok := h.(*hamba.UnionSchema); ok {
		for _, b := range u.Types() {
			if v.IsNull() {
				return nil
			}
			if b.Type() != hamba.Null {
				if r, ok := b.(*hamba.RefSchema); ok {
					b = r.Schema()
				}
				switch n, named := b.(hamba.NamedSchema); {
				case named:
					return map[string]any{n.FullName(): generic(s, v, b)}
				case b.Type() == hamba.Array, b.Type() == hamba.Map:
					return map[string]any{string(b.Type()): generic(s, v, b)}
				}
				return generic(s, v, b)
			}
		}
	}
	switch s.Type {
	case connectors.Boolean:
		return v.Bool()
	case connectors.Int8, connectors.Int16, connectors.Int32:
		return int(v.Int())
	case connectors.Int64:
		return v.Int()
	case connectors.Float32:
		return float32(v.Float())
	case connectors.Float64:
		return v.Float()
	case connectors.String:
		return v.Text()
	case connectors.Bytes:
		return append([]byte{}, v.Raw()...)
	case connectors.Struct:
		m := make(map[string]any)
		for i, f := range h.(*hamba.RecordSchema).Fields() {
			m[f.Name()] = generic(s.Fields[i].Schema, v.List()[i], f.Type())
		}
		return m
	case connectors.Array:
		list := make([]any, 0)
		for _, item := range v.List() {
			list = append(list, generic(s.Elem, item, h.(*hamba.ArraySchema).Items()))
		}
		return list
	}
	if m, ok := h.(*hamba.MapSchema); ok {
		got := make(map[string]any)
		for i := 0; i < len(v.List()); i += 2 {
			got[v.List()[i].Text()] = generic(s.Elem, v.List()[i+1], m.Values())
		}
		return got
	}
	list := make([]any, 0)
	items := h.(*hamba.ArraySchema).Items()
	if r, ok := items.(*hamba.RefSchema); ok {
		items = r.Schema()
	}
	fields := items.(*hamba.RecordSchema).Fields()
	for i := 0; i < len(v.List()); i += 2 {
		list = append(list, map[string]any{
			"key":   generic(s.Key, v.List()[i], fields[0].Type()),
			"value": generic(s.Elem, v.List()[i+1], fields[1].Type())})
	}
	return list
}

func randomValue(rng *rand.Rand, s *connectors.Schema) connectors.Value {
	if s.Optional && rng.IntN(3) == 0 {
		return connectors.Null()
	}
	switch s.Type {
	case connectors.Boolean:
		return connectors.BoolValue(rng.IntN(2) == 0)
	case connectors.Int8:
		return connectors.IntValue(s.Type, int64(int8(rng.Uint64())))
	case connectors.Int16:
		return connectors.IntValue(s.Type, int64(int16(rng.Uint64())))
	case connectors.Int32:
		return connectors.IntValue(s.Type, int64(int32(rng.Uint64())))
	case connectors.Int64:
		return connectors.IntValue(s.Type, int64(rng.Uint64())>>rng.IntN(64))
	case connectors.Float32:
		return connectors.FloatValue(s.Type, float64(rng.Float32()))
	case connectors.Float64:
		return connectors.FloatValue(s.Type, rng.NormFloat64()*math.Pow10(rng.IntN(40)-20))
	case connectors.String:
		return connectors.StringValue(fmt.Sprint("é\"\n", rng.IntN(1000)))
	case connectors.Bytes:
		return connectors.BytesValue([]byte{byte(rng.Uint32()), 0, 0xff})
	case connectors.Struct:
		list := make([]connectors.Value, len(s.Fields))
		for i := range list {
			list[i] = randomValue(rng, s.Fields[i].Schema)
		}
		return connectors.ListValue(connectors.Struct, list)
	case connectors.Map:
		return connectors.ListValue(connectors.Map, []connectors.Value{randomValue(rng, s.Key), randomValue(rng, s.Elem)})
	}
	list := make([]connectors.Value, rng.IntN(4))
	for i := range list {
		list[i] = randomValue(rng, s.Elem)
	}
	return connectors.ListValue(connectors.Array, list)
}

func randomSchema(rng *rand.Rand, depth int) *connectors.Schema {
	s := &connectors.Schema{Optional: rng.IntN(2) == 0, Version: rng.IntN(3)}
	if rng.IntN(3) == 0 {
		s.Name = fmt.Sprintf("n%d.T%d", rng.IntN(2), rng.IntN(3))
	}
	if rng.IntN(4) == 0 {
		s.Doc = "a doc/<&>\\"
	}
	for i := range rng.IntN(3) {
		s.Parameters = append(s.Parameters, connectors.Parameter{Name: fmt.Sprint("p", i), Value: "v"})
	}
	s.Type = connectors.Int8 + connectors.Type(rng.IntN(int(connectors.Struct-connectors.Int8)+1))
	if depth == 0 {
		s.Type = connectors.Int8 + connectors.Type(rng.IntN(int(connectors.Bytes-connectors.Int8)+1))
	}
	switch s.Type {
	case connectors.Map:
		s.Key = randomSchema(rng, 0)
		if s.Key.Type == connectors.String && !s.Key.Optional {
			s.Key = connectors.StringSchema // an Avro map has no place for more
		}
		fallthrough
	case connectors.Array:
		s.Elem = randomSchema(rng, depth-1)
	case connectors.Struct:
		for i := range rng.IntN(5) {
			s.Fields = append(s.Fields, connectors.Field{Name: fmt.Sprint("f", i), Schema: randomSchema(rng, depth-1)})
		}
	}
	if rng.IntN(3) == 0 && s.Type != connectors.Struct {
		required := *s
		required.Optional = false
		s.Default = valuePtr(randomValue(rng, &required))
	}
	return s
}

func TestRandomSchemasKeepEverything(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			checkSame(t, randomSchema(rand.New(rand.NewPCG(seed, 7)), 3))
		})
	}
}

// connectJSON is a schema as Connect's JSON converter writes it.
type connectJSON struct {
	Type       string
	Optional   bool
	Name, Doc  string
	Version    int
	Parameters map[string]string
	Default    any
	Fields     []connectJSON
	Field      string
	Items      *connectJSON
	Keys       *connectJSON
	Values     *connectJSON
}

func (j *connectJSON) schema(t *testing.T) *connectors.Schema {
	if j == nil {
		return nil
	}
	s := &connectors.Schema{Optional: j.Optional, Name: j.Name, Doc: j.Doc, Version: j.Version, Key: j.Keys.schema(t)}
	names := map[string]connectors.Type{"int8": connectors.Int8, "int16": connectors.Int16, "int32": connectors.Int32, "int64": connectors.Int64, "float": connectors.Float32, "double": connectors.Float64,
		"boolean": connectors.Boolean, "string": connectors.String, "bytes": connectors.Bytes, "array": connectors.Array, "map": connectors.Map, "struct": connectors.Struct}
	var ok bool
	if s.Type, ok = names[j.Type]; !ok {
		t.Fatalf("unknown type %q", j.Type)
	}
	s.Elem = j.Items.schema(t)
	if j.Values != nil {
		s.Elem = j.Values.schema(t)
	}
	for name, value := range j.Parameters {
		s.Parameters = append(s.Parameters, connectors.Parameter{Name: name, Value: value})
	}
	for i := range j.Fields {
		s.Fields = append(s.Fields, connectors.Field{Name: j.Fields[i].Field, Schema: j.Fields[i].schema(t)})
	}
	switch d := j.Default.(type) {
	case float64:
		s.Default = valuePtr(connectors.IntValue(s.Type, int64(d)))
		if s.Type == connectors.Float64 {
			s.Default = valuePtr(connectors.FloatValue(s.Type, d))
		}
	case string:
		s.Default = valuePtr(connectors.StringValue(d))
		if s.Type == connectors.Bytes {
			s.Default = valuePtr(connectors.BytesValue([]byte(d)))
		}
	case bool:
		s.Default = valuePtr(connectors.BoolValue(d))
	}
	return s
}

// The envelopes are what Debezium 3.5 wrote for PostgreSQL tables.
func TestDebeziumEnvelopes(t *testing.T) {
	files, err := filepath.Glob("testdata/envelope-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var schemas map[string]*connectJSON
			if err := json.Unmarshal(text, &schemas); err != nil {
				t.Fatal(err)
			}
			for _, j := range schemas {
				if j != nil {
					checkSame(t, j.schema(t))
				}
			}
		})
	}
}
