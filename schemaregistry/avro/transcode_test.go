package avro

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	hamba "github.com/hamba/avro/v2"

	"github.com/sluicehub/sluice/connectors"
)

const foreign = `{"type":"record","name":"Order","namespace":"shop","doc":"an order","fields":[
	{"name":"id","type":"long"},
	{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"],"doc":"how far","default":"NEW"}},
	{"name":"hash","type":{"type":"fixed","name":"Hash","size":3}},
	{"name":"note","type":["string","null"],"default":"-"},
	{"name":"old","type":["null","State"],"default":null},
	{"name":"any","type":["null","string","long",{"type":"record","name":"Point","fields":[{"name":"x","type":"double"}]}],"default":null},
	{"name":"one","type":["int","State"],"doc":"or the other"},
	{"name":"list","type":{"type":"array","items":["null","State"]}},
	{"name":"map","type":{"type":"map","values":["State","null"]}},
	{"name":"amount","type":{"type":"fixed","name":"Amount","size":2,"logicalType":"decimal","precision":4,"scale":2}},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},"default":"\u0001\u00ff"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"at2","type":{"type":"long","logicalType":"timestamp-micros"}},
	{"name":"day","type":["null",{"type":"int","logicalType":"date"}]},
	{"name":"end","type":"int","default":7}]}`

func mustParse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func param(name, value string) connectors.Parameter {
	return connectors.Parameter{Name: connectNamespace + name, Value: value}
}

func TestToConnectOfForeignSchemas(t *testing.T) {
	got, err := ToConnect(mustParse(t, foreign))
	if err != nil {
		t.Fatal(err)
	}
	state := &connectors.Schema{Type: connectors.String, Name: "shop.State", Parameters: []connectors.Parameter{
		param(".enum.doc.State", "how far"), param(".enum.default.State", "NEW"), param(".Enum", "shop.State"), param(".Enum.NEW", "NEW"), param(".Enum.PAID", "PAID")}}
	flag := param(".field.default", "true")
	point := &connectors.Schema{Type: connectors.Struct, Optional: true, Name: "shop.Point", Fields: []connectors.Field{{Name: "x", Schema: connectors.Float64Schema}}}
	decimal := func(precision string, more ...connectors.Parameter) *connectors.Schema {
		return &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Version: 1,
			Parameters: append([]connectors.Parameter{{Name: "scale", Value: "2"}, {Name: "connect.decimal.precision", Value: precision}}, more...)}
	}
	price := decimal("9", flag)
	price.Default = valuePtr(connectors.BytesValue([]byte{1, 255}))
	want := &connectors.Schema{Type: connectors.Struct, Name: "shop.Order", Parameters: []connectors.Parameter{param(".record.doc", "an order"), param(".field.doc.one", "or the other")}, Fields: []connectors.Field{
		{Name: "id", Schema: connectors.Int64Schema},
		{Name: "state", Schema: state},
		{Name: "hash", Schema: connectors.BytesSchema},
		{Name: "note", Schema: connectors.OptionalStringSchema},
		{Name: "old", Schema: state.AsOptional()},
		{Name: "any", Schema: &connectors.Schema{Type: connectors.Struct, Name: unionName, Optional: true, Parameters: []connectors.Parameter{flag}, Fields: []connectors.Field{
			{Name: "string", Schema: connectors.OptionalStringSchema}, {Name: "long", Schema: connectors.OptionalInt64Schema}, {Name: "Point", Schema: point}}}},
		{Name: "one", Schema: &connectors.Schema{Type: connectors.Struct, Name: unionName, Fields: []connectors.Field{
			{Name: "int", Schema: connectors.OptionalInt32Schema}, {Name: "State", Schema: state.AsOptional()}}}},
		{Name: "list", Schema: &connectors.Schema{Type: connectors.Array, Elem: state.AsOptional()}},
		{Name: "map", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: state.AsOptional()}},
		{Name: "amount", Schema: decimal("4")},
		{Name: "price", Schema: price},
		{Name: "at", Schema: &connectors.Schema{Type: connectors.Int64, Name: connectors.TimestampName, Version: 1}},
		{Name: "at2", Schema: connectors.Int64Schema},
		{Name: "day", Schema: &connectors.Schema{Type: connectors.Int32, Name: connectors.DateName, Version: 1, Optional: true}},
		{Name: "end", Schema: &connectors.Schema{Type: connectors.Int32, Parameters: []connectors.Parameter{flag}, Default: valuePtr(connectors.IntValue(connectors.Int32, 7))}},
	}}
	if !got.Equal(want) {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, got, cmp.AllowUnexported(connectors.Value{})))
	}
	// What was made of it can go out again.
	if _, err := FromConnect(got); err != nil {
		t.Error(err)
	}
}

func TestToConnectRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"null":                  `"null"`,
		"null field":            `{"type":"record","name":"R","fields":[{"name":"a","type":"null"}]}`,
		"recursion":             `{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"]}]}`,
		"wide recursion":        `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"R"}},{"name":"b","type":{"type":"array","items":"R"}}]}`,
		"branches of one name":  `["null",{"type":"fixed","name":"A","size":1},{"type":"fixed","name":"B","size":1}]`,
		"connect.type":          `{"type":"int","connect.type":"int7"}`,
		"version":               `{"type":"int","connect.version":"1"}`,
		"version of a logical":  `{"type":"int","logicalType":"date","connect.version":2}`,
		"name of a logical":     `{"type":"int","logicalType":"date","connect.name":"x"}`,
		"parameters":            `{"type":"int","connect.parameters":[]}`,
		"parameter":             `{"type":"int","connect.parameters":{"a":1}}`,
		"default":               `{"type":"int","connect.default":"a"}`,
		"default without field": `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}],"connect.default":{}}`,
		"scale":                 `{"type":"bytes","logicalType":"decimal","scale":"2"}`,
		"entries":               `{"type":"array","items":{"type":"record","name":"io.confluent.connect.avro.MapEntry","fields":[]}}`,
	} {
		if s, err := ToConnect(mustParse(t, text)); err == nil {
			t.Errorf("%s: no error, but %v", name, s)
		}
	}
}

func foreignValue(t testing.TB) []byte {
	h, err := hamba.ParseBytesWithCache([]byte(`{"type":"record","name":"Order","namespace":"shop","fields":[
	{"name":"id","type":"long"},
	{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},
	{"name":"hash","type":{"type":"fixed","name":"Hash","size":3}},
	{"name":"note","type":["string","null"]},
	{"name":"old","type":["null","State"]},
	{"name":"any","type":["null","string","long",{"type":"record","name":"Point","fields":[{"name":"x","type":"double"}]}]},
	{"name":"one","type":["int","State"]},
	{"name":"list","type":{"type":"array","items":["null","State"]}},
	{"name":"map","type":{"type":"map","values":["State","null"]}},
	{"name":"amount","type":{"type":"fixed","name":"Amount","size":2}},
	{"name":"price","type":"bytes"},{"name":"at","type":"long"},{"name":"at2","type":"long"},{"name":"day","type":["null","int"]},{"name":"end","type":"int"}]}`), "", &hamba.SchemaCache{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := hamba.Marshal(h, map[string]any{
		"id": int64(-5), "state": "PAID", "hash": [3]byte{1, 2, 3}, "note": nil, "old": map[string]any{"shop.State": "NEW"},
		"any":  map[string]any{"shop.Point": map[string]any{"x": 1.5}},
		"one":  map[string]any{"shop.State": "PAID"},
		"list": []any{nil, map[string]any{"shop.State": "PAID"}}, "map": map[string]any{"k": map[string]any{"shop.State": "NEW"}},
		"amount": [2]byte{0, 9}, "price": []byte{4}, "at": int64(1), "at2": int64(2), "day": 3, "end": 4})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTranscoder(t *testing.T) {
	tc, err := NewTranscoder(mustParse(t, foreign))
	if err != nil {
		t.Fatal(err)
	}
	if tc.Identity() {
		t.Fatal("identity, for a schema with enums")
	}
	src := append(foreignValue(t), "rest"...)
	out, rest, err := tc.Append([]byte("before"), src)
	if err != nil || string(rest) != "rest" || !bytes.HasPrefix(out, []byte("before")) {
		t.Fatalf("%q, rest %q, %v", out, rest, err)
	}
	got, rest, err := connectors.ReadValue(tc.Schema(), out[len("before"):])
	if err != nil || len(rest) > 0 {
		t.Fatalf("%x left, %v", rest, err)
	}
	text, null, list := connectors.StringValue, connectors.Null(), connectors.ListValue
	long := func(i int64) connectors.Value { return connectors.IntValue(connectors.Int64, i) }
	short := func(i int64) connectors.Value { return connectors.IntValue(connectors.Int32, i) }
	want := list(connectors.Struct, []connectors.Value{long(-5), text("PAID"), connectors.BytesValue([]byte{1, 2, 3}), null, text("NEW"),
		list(connectors.Struct, []connectors.Value{null, null, list(connectors.Struct, []connectors.Value{connectors.FloatValue(connectors.Float64, 1.5)})}),
		list(connectors.Struct, []connectors.Value{null, text("PAID")}),
		list(connectors.Array, []connectors.Value{null, text("PAID")}), list(connectors.Map, []connectors.Value{text("k"), text("NEW")}),
		connectors.BytesValue([]byte{0, 9}), connectors.BytesValue([]byte{4}), long(1), long(2), short(3), short(4)})
	if !got.Equal(want) {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, got, cmp.AllowUnexported(connectors.Value{})))
	}
	for n := range len(src) - len("rest") {
		if _, _, err := tc.Append(nil, src[:n]); !errors.Is(err, connectors.ErrTruncated) && !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%d of %d bytes: %v", n, len(src), err)
		}
	}
}

func TestTranscoderIsIdentityWhereLayoutsAgree(t *testing.T) {
	for text, want := range map[string]bool{
		`["null","int"]`: true,
		`["int","null"]`: false,
		`[{"type":"int","connect.default":1},"null"]`: true,
		`["null",{"type":"int","connect.default":1}]`: false,
		`{"type":"map","values":["null","bytes"]}`:    true,
		`{"type":"array","items":{"type":"record","name":"io.confluent.connect.avro.MapEntry","fields":[{"name":"key","type":"int"},{"name":"value","type":"int"}]}}`:                                                    true,
		`{"type":"array","items":{"type":"record","name":"io.confluent.connect.avro.MapEntry","fields":[{"name":"key","type":"int"},{"name":"value","type":{"type":"fixed","name":"F","size":1}}]}}`:                     false,
		`{"type":"record","name":"R","fields":[{"name":"a","type":["null",{"type":"record","name":"S","fields":[{"name":"b","type":"string"}]}]},{"name":"c","type":{"type":"long","logicalType":"timestamp-millis"}}]}`: true,
	} {
		tc, err := NewTranscoder(mustParse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if tc.Identity() != want {
			t.Errorf("%s: identity %t, want %t", text, tc.Identity(), want)
		}
	}
}

func TestTranscoderBoundsItsOutput(t *testing.T) {
	symbol := `S` + string(bytes.Repeat([]byte("x"), 1<<20))
	tc, err := NewTranscoder(mustParse(t, `{"type":"array","items":{"type":"enum","name":"E","symbols":["`+symbol+`"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	src := connectors.AppendInt(nil, 100_000)
	src = append(src, make([]byte, 100_001)...)
	if _, _, err := tc.Append(nil, src); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("100 GB: %v", err)
	}
}

func FuzzTranscoder(f *testing.F) {
	f.Add(foreign, foreignValue(f))
	f.Add(`["null","int"]`, []byte{2, 2})
	f.Add(`{"type":"map","values":["int","null"]}`, []byte{2, 2, 'k', 0, 2, 0})
	f.Add(`{"type":"array","items":{"type":"record","name":"R","fields":[]}}`, []byte{2, 0})
	f.Add(`{"type":"array","items":{"type":"record","name":"R","fields":[]}}`, []byte("\x02\t\t\t\x7f\x00\t\t\t\x00"))
	f.Fuzz(func(t *testing.T, text string, src []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		tc, err := NewTranscoder(s)
		if err != nil {
			return
		}
		out, rest, err := tc.Append(nil, src)
		if err != nil {
			return
		}
		left, err := connectors.SkipValue(tc.Schema(), out)
		if err != nil || len(left) > 0 {
			t.Fatalf("%x of %q became %x, which leaves %x (%v)", src, text, out, left, err)
		}
		if tc.Identity() && !bytes.Equal(out, src[:len(src)-len(rest)]) {
			t.Fatalf("identity changed %x to %x", src, out)
		}
	})
}

func BenchmarkTranscoder(b *testing.B) {
	tc, err := NewTranscoder(mustParse(b, foreign))
	if err != nil {
		b.Fatal(err)
	}
	src := foreignValue(b)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if dst, _, err = tc.Append(dst[:0], src); err != nil {
			b.Fatal(err)
		}
	}
}
