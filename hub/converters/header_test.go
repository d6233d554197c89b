package converters

import (
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

func TestHeaderText(t *testing.T) {
	c := mustNew(t, "org.apache.kafka.connect.storage.SimpleHeaderConverter", nil, Header, Deps{})
	def := connectors.StringValue("d")
	all := &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{
		{Name: "region", Schema: connectors.StringSchema},
		{Name: "n", Schema: connectors.Float64Schema},
		{Name: "def", Schema: &connectors.Schema{Type: connectors.String, Optional: true, Default: &def}},
		{Name: "list", Schema: &connectors.Schema{Type: connectors.Array, Elem: connectors.OptionalInt32Schema}},
		{Name: "map", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.BytesSchema}},
	}}
	v := connectors.ListValue(connectors.Struct, []connectors.Value{connectors.StringValue(`a"\b`), connectors.FloatValue(connectors.Float64, 9), connectors.Null(),
		connectors.ListValue(connectors.Array, []connectors.Value{connectors.IntValue(connectors.Int32, 1), connectors.Null()}),
		connectors.ListValue(connectors.Map, []connectors.Value{connectors.StringValue("k"), connectors.BytesValue([]byte{1})})})
	logical := func(name string, typ connectors.Type, n int64) connectors.Data {
		return data(t, &connectors.Schema{Type: typ, Name: name, Version: 1}, connectors.IntValue(typ, n))
	}
	for want, d := range map[string]connectors.Data{
		`{"region":"a\"\\b","n":9.0,"def":"d","list":[1,null],"map":{"k":"AQ=="}}`: data(t, all, v),
		"plain \"text\"":           data(t, connectors.StringSchema, connectors.StringValue("plain \"text\"")),
		"-5":                       data(t, connectors.Int64Schema, connectors.IntValue(connectors.Int64, -5)),
		"true":                     data(t, connectors.BooleanSchema, connectors.BoolValue(true)),
		"AP8=":                     data(t, connectors.BytesSchema, connectors.BytesValue([]byte{0, 255})),
		"2024-03-05":               logical(connectors.DateName, connectors.Int32, 19787),
		"10:30:00.000Z":            logical(connectors.TimeName, connectors.Int32, 37800000),
		"2024-03-01T08:00:00.123Z": logical(connectors.TimestampName, connectors.Int64, 1709280000123),
		`{"a":1}`:                  {Bytes: []byte(`{"a": 1}`)},
	} {
		if got, err := c.FromConnect(nil, "t", d); err != nil || string(got) != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}

func FuzzToConnect(f *testing.F) {
	f.Add([]byte(`{"schema":{"type":"array","items":{"type":"int32"}},"payload":[1]}`))
	f.Add([]byte{0, 0, 0, 0, 1, 2, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &memory{}
		for _, class := range Classes() {
			c := mustNew(t, class.Name, nil, Value, Deps{Registry: m})
			if class.Name == "avro" {
				if _, err := c.FromConnect(nil, "t", data(t, pointSchema(), point(1, connectors.Null()))); err != nil {
					t.Fatal(err)
				}
			}
			d, _, err := c.ToConnect(nil, "t", b)
			if err != nil || d.Schema == nil {
				continue
			}
			if rest, err := connectors.SkipValue(d.Schema, d.Bytes); err != nil || len(rest) > 0 {
				t.Fatalf("%s: %q gave no value of its schema: %v", class.Name, b, err)
			}
		}
	})
}
