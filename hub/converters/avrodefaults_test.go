package converters

import (
	"bytes"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

func optional(s connectors.Schema, def connectors.Value) *connectors.Schema {
	s.Optional = true
	if !def.IsNull() {
		s.Default = &def
	}
	return &s
}

func record(name string, fields ...*connectors.Schema) connectors.Schema {
	s := connectors.Schema{Type: connectors.Struct, Name: name}
	for i, f := range fields {
		s.Fields = append(s.Fields, connectors.Field{Name: string(rune('a' + i)), Schema: f})
	}
	return s
}

func values(v ...connectors.Value) connectors.Value {
	return connectors.ListValue(connectors.Struct, v)
}

func list(v ...connectors.Value) connectors.Value { return connectors.ListValue(connectors.Array, v) }

// Text with a default, and a struct in which it is the second field.
var (
	defaulted = optional(connectors.Schema{Type: connectors.String}, connectors.StringValue("none"))
	row       = record("Row", connectors.Int32Schema, defaulted)
)

func rowValue(i int64, text connectors.Value) connectors.Value {
	return values(connectors.IntValue(connectors.Int32, i), text)
}

// fillCases are pairs of what goes in and what Confluent's AvroData would write.
func fillCases() []struct {
	name     string
	schema   connectors.Schema
	in, want connectors.Value
} {
	null, none, some := connectors.Null(), connectors.StringValue("none"), connectors.StringValue("some")
	nested := record("Outer", optional(row, rowValue(7, null)), optional(row, null), &row)
	rows := connectors.Schema{Type: connectors.Array, Elem: &row}
	texts := connectors.Schema{Type: connectors.Array, Elem: defaulted}
	byName := connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: optional(row, null)}
	return []struct {
		name     string
		schema   connectors.Schema
		in, want connectors.Value
	}{
		{"a field", row, rowValue(1, null), rowValue(1, none)},
		{"a field with a value", row, rowValue(1, some), rowValue(1, some)},
		{"a default that is a struct, and what is null in it", nested, values(null, null, rowValue(1, null)), values(rowValue(7, none), null, rowValue(1, none))},
		{"fields of optional structs", nested, values(rowValue(2, null), rowValue(3, null), rowValue(4, some)), values(rowValue(2, none), rowValue(3, none), rowValue(4, some))},
		{"fields of elements", record("R", &rows), values(list(rowValue(1, null), rowValue(2, some), rowValue(3, null))), values(list(rowValue(1, none), rowValue(2, some), rowValue(3, none)))},
		{"no elements", record("R", &rows), values(list()), values(list())},
		{"elements themselves stay null", record("R", &texts, defaulted), values(list(null, some), null), values(list(null, some), none)},
		{"fields of a map's values", record("R", &byName),
			values(connectors.ListValue(connectors.Map, []connectors.Value{some, rowValue(1, null), none, null})),
			values(connectors.ListValue(connectors.Map, []connectors.Value{some, rowValue(1, none), none, null}))},
		{"the whole value stays null", *optional(row, rowValue(1, null)), null, null},
	}
}

func TestAvroWritesDefaultsForNulls(t *testing.T) {
	for _, test := range fillCases() {
		t.Run(test.name, func(t *testing.T) {
			for _, keep := range []string{"false", "true"} {
				c := mustNew(t, "avro", map[string]string{"ignore.default.for.nullables": keep}, Value, Deps{Registry: &memory{}})
				want := data(t, &test.schema, test.want).Bytes
				if keep == "true" {
					want = data(t, &test.schema, test.in).Bytes
				}
				prefix := []byte("before")
				out, err := c.FromConnect(bytes.Clone(prefix), "t", data(t, &test.schema, test.in))
				if err != nil {
					t.Fatal(err)
				}
				if test.want.IsNull() {
					if out != nil {
						t.Errorf("got %x, want a tombstone", out)
					}
					continue
				}
				if got := out[len(prefix)+5:]; !bytes.Equal(got, want) || !bytes.HasPrefix(out, prefix) {
					t.Errorf("ignore.default.for.nullables=%s:\ngot  %x\nwant %x", keep, got, want)
				}
				// What is null in the log is null when it is read.
				back, _, err := c.ToConnect(nil, "t", out[len(prefix):])
				if err != nil || !bytes.Equal(back.Bytes, want) {
					t.Errorf("read back: %x, %v; want %x", back.Bytes, err, want)
				}
			}
		})
	}
}

func TestNothingIsCompiledWithoutDefaults(t *testing.T) {
	required := row
	required.Fields = []connectors.Field{row.Fields[0], {Name: "b", Schema: connectors.OptionalStringSchema},
		{Name: "c", Schema: &connectors.Schema{Type: connectors.String, Default: defaulted.Default}},
		{Name: "d", Schema: &connectors.Schema{Type: connectors.Array, Elem: defaulted}}}
	for _, s := range []*connectors.Schema{&required, defaulted, connectors.StringSchema} {
		if n, err := newFiller(s); n != nil || err != nil {
			t.Errorf("%s: %v, %v", s.Type, n, err)
		}
	}
}

func TestFillingDoesNotAllocate(t *testing.T) {
	n, err := newFiller(&row)
	if err != nil {
		t.Fatal(err)
	}
	b, dst := data(t, &row, rowValue(1, connectors.Null())).Bytes, make([]byte, 0, 64)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := n.append(dst, b); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a record", allocs)
	}
}

// A block may say its size, with a negative count before it. The size is not right any more when it is filled.
func TestFillsBlocksWithSizes(t *testing.T) {
	rows := connectors.Schema{Type: connectors.Array, Elem: &row}
	s := record("R", &rows, connectors.Int32Schema)
	n, err := newFiller(&s)
	if err != nil {
		t.Fatal(err)
	}
	// two items of 2 bytes (1 and 2, each with null), one of 2 bytes without a size, the end; then 5
	in := []byte{3, 8, 2, 2, 4, 2, 2, 6, 2, 0, 10}
	out, err := n.append(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	v, rest, err := connectors.ReadValue(&s, out)
	none := connectors.StringValue("none")
	want := values(list(rowValue(1, none), rowValue(2, none), rowValue(3, none)), connectors.IntValue(connectors.Int32, 5))
	if err != nil || len(rest) > 0 || !v.Equal(want) {
		t.Errorf("%x: %v, %v", out, v, err)
	}
}

// FuzzFill fills what may be no value at all, and compares with the plain way: decode, replace, encode.
func FuzzFill(f *testing.F) {
	for i, c := range fillCases() {
		b, err := connectors.AppendValue(nil, &c.schema, c.in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, b)
	}
	f.Add(4, []byte{3, 8, 2, 2, 4, 2, 0})
	f.Add(4, []byte{0xfe, 0xff, 0xff, 0xff, 0x1f, 2})
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		cases := fillCases()
		s := &cases[uint(i)%uint(len(cases))].schema
		n, err := newFiller(s)
		if err != nil || n == nil {
			t.Fatal(err)
		}
		out, err := n.append(nil, b)
		v, rest, readErr := connectors.ReadValue(s, b)
		if readErr != nil || len(rest) > 0 {
			if err == nil && len(rest) > 0 {
				t.Fatalf("%d bytes after the value were taken", len(rest))
			}
			return // filling does not look into texts
		}
		if err != nil {
			t.Fatalf("a value was refused: %v", err)
		}
		got, rest, err := connectors.ReadValue(s, out)
		if want := plainFill(s, v); err != nil || len(rest) > 0 || !got.Equal(want) {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	})
}

func plainFill(s *connectors.Schema, v connectors.Value) connectors.Value {
	if v.IsNull() {
		return v
	}
	out := append([]connectors.Value{}, v.List()...)
	switch s.Type {
	case connectors.Struct:
		for i, f := range s.Fields {
			if out[i].IsNull() && f.Schema.Default != nil {
				out[i] = *f.Schema.Default
			}
			out[i] = plainFill(f.Schema, out[i])
		}
	case connectors.Array:
		for i := range out {
			out[i] = plainFill(s.Elem, out[i])
		}
	case connectors.Map:
		for i := 1; i < len(out); i += 2 {
			out[i] = plainFill(s.Elem, out[i])
		}
	default:
		return v
	}
	return connectors.ListValue(s.Type, out)
}

func TestJSONNullsAndDefaults(t *testing.T) {
	null, none := connectors.Null(), connectors.StringValue("none")
	for _, test := range []struct {
		replace, text string
		read          connectors.Value // what the text with null reads as
	}{
		{"true", `{"a":1,"b":"none"}`, rowValue(1, none)},
		{"false", `{"a":1,"b":null}`, rowValue(1, null)},
	} {
		c := mustNew(t, "json", map[string]string{"schemas.enable": "false", "replace.null.with.default": test.replace}, Value, Deps{})
		out, err := c.FromConnect(nil, "t", data(t, &row, rowValue(1, null)))
		if err != nil || string(out) != test.text {
			t.Errorf("replace.null.with.default=%s: wrote %s, %v; want %s", test.replace, out, err, test.text)
		}
		c = mustNew(t, "json", map[string]string{"replace.null.with.default": test.replace}, Value, Deps{})
		const schema = `{"type":"struct","name":"Row","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true,"default":"none"}]}`
		d, _, err := c.ToConnect(nil, "t", []byte(`{"schema":`+schema+`,"payload":{"a":1,"b":null}}`))
		if err != nil || !bytes.Equal(d.Bytes, data(t, &row, test.read).Bytes) {
			t.Errorf("replace.null.with.default=%s: read %x, %v", test.replace, d.Bytes, err)
		}
	}
}
