package converters

import (
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// TestDelegating writes bytes as they are and all else by the delegate, as Debezium's BinaryDataConverter does.
func TestDelegating(t *testing.T) {
	decimal := &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}
	data := func(s *connectors.Schema, v connectors.Value) connectors.Data {
		b, err := connectors.AppendValue(nil, s, v)
		if err != nil {
			t.Fatal(err)
		}
		return connectors.Data{Schema: s, Bytes: b}
	}
	plain := map[string]string{}
	json := map[string]string{"delegate.converter.type": "org.apache.kafka.connect.json.JsonConverter", "delegate.converter.type.schemas.enable": "false"}
	for name, c := range map[string]struct {
		config map[string]string
		data   connectors.Data
		want   string // "error", "null" or the bytes
	}{
		"bytes":                   {plain, data(connectors.BytesSchema, connectors.BytesValue([]byte{1, 2})), "\x01\x02"},
		"bytes with a delegate":   {json, data(connectors.BytesSchema, connectors.BytesValue([]byte{1, 2})), "\x01\x02"},
		"empty":                   {plain, data(connectors.OptionalBytesSchema, connectors.BytesValue(nil)), ""},
		"null":                    {plain, data(connectors.OptionalBytesSchema, connectors.Null()), "null"},
		"tombstone":               {plain, connectors.Data{}, "null"},
		"tombstone, delegate":     {json, connectors.Data{}, "null"},
		"text":                    {plain, data(connectors.StringSchema, connectors.StringValue("x")), "error"},
		"text, null":              {plain, data(connectors.OptionalStringSchema, connectors.Null()), "error"},
		"text with a delegate":    {json, data(connectors.StringSchema, connectors.StringValue("x")), `"x"`},
		"decimal":                 {plain, data(decimal, connectors.BytesValue([]byte{1})), "error"},
		"decimal with a delegate": {json, data(decimal, connectors.BytesValue([]byte{1})), `"AQ=="`},
		"schemaless":              {plain, connectors.Data{Bytes: []byte(`{"a":1}`)}, "error"},
		"schemaless, delegate":    {json, connectors.Data{Bytes: []byte(`{"a":1}`)}, `{"a":1}`},
	} {
		for _, class := range []string{"io.debezium.converters.BinaryDataConverter", "io.debezium.converters.ByteArrayConverter"} {
			conv, err := New(class, c.config, Value, Deps{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := conv.FromConnect(nil, "t", c.data)
			got := string(b)
			switch {
			case err != nil:
				got = "error"
			case b == nil:
				got = "null"
			}
			if got != c.want {
				t.Errorf("%s, %s: %q, %v; want %q", class, name, got, err, c.want)
			}
			if d, _, err := conv.ToConnect(nil, "t", []byte{7}); err != nil || d.Schema.Type != connectors.Bytes || d.Bytes[len(d.Bytes)-1] != 7 {
				t.Errorf("%s: reads %v, %v", class, d, err)
			}
		}
	}
	for _, bad := range []map[string]string{{"delegate.converter.type": "com.example.X"}, {"delegate.converter.type": "json", "delegate.converter.type.schemas.enable": "perhaps"}} {
		if _, err := New("BinaryDataConverter", bad, Value, Deps{}); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
	if c, err := Find("ByteArrayConverter"); err != nil || c.Name != "bytearray" {
		t.Errorf("ByteArrayConverter is %s, %v: Kafka's comes first", c.Name, err)
	}
}
