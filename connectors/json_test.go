package connectors

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// envelopes returns the keys and values with schemas that Debezium and JsonConverter wrote (testdata/debezium).
func envelopes(t testing.TB) (texts [][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/debezium/*/*/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded records: %v", err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			err := EachJSONMember(lines.Bytes(), func(name, value []byte) error {
				if (string(name) == "key" || string(name) == "value") && string(value) != "null" {
					texts = append(texts, bytes.Clone(value))
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return texts
}

// openEnvelope splits {"schema":…,"payload":…}.
func openEnvelope(t testing.TB, text []byte) (schema, payload []byte) {
	t.Helper()
	err := EachJSONMember(text, func(name, value []byte) error {
		if string(name) == "schema" {
			schema = value
		} else {
			payload = value
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return schema, payload
}

func TestJSONIsWhatConnectWrote(t *testing.T) {
	for _, text := range envelopes(t) {
		schemaText, payload := openEnvelope(t, text)
		schema, err := ParseJSONSchema(schemaText)
		if err != nil {
			t.Fatalf("%v\n%s", err, schemaText)
		}
		encoded := mustParse(t, schema, payload)
		if rest, err := SkipValue(schema, encoded); err != nil || len(rest) != 0 {
			t.Fatalf("encoding is not a value of its schema: %v, %d bytes left", err, len(rest))
		}
		p, err := NewJSONPrinter(schema, JSONOptions{Envelope: true})
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := p.Append([]byte("before"), append(encoded, 7))
		if err != nil || !bytes.Equal(rest, []byte{7}) {
			t.Fatalf("%v, rest %x", err, rest)
		}
		if got = got[len("before"):]; !bytes.Equal(got, text) {
			t.Fatalf("got  %s\nwant %s", got, text)
		}
		canonical, err := AppendCanonicalJSON(nil, text)
		if err != nil || !bytes.Equal(canonical, text) {
			t.Fatalf("canonical %v\n%s\nwant %s", err, canonical, text)
		}
	}
}

func mustParse(t testing.TB, s *Schema, text []byte) []byte {
	t.Helper()
	p, err := NewJSONParser(s, JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Append(nil, text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func TestAppendJavaFloat(t *testing.T) {
	for _, c := range []struct {
		f    float64
		bits int
		want string
	}{
		{0, 64, "0.0"}, {math.Copysign(0, -1), 64, "-0.0"}, {1, 64, "1.0"}, {100, 64, "100.0"}, {-1.5, 64, "-1.5"},
		{0.1, 64, "0.1"}, {0.001, 64, "0.001"}, {0.00123, 64, "0.00123"}, {0.0001, 64, "1.0E-4"},
		{9999999, 64, "9999999.0"}, {1e7, 64, "1.0E7"}, {12345678.5, 64, "1.23456785E7"}, {1e10, 64, "1.0E10"},
		{1e21, 64, "1.0E21"}, {123456.789, 64, "123456.789"}, {1e23, 64, "1.0E23"}, {2e23, 64, "2.0E23"},
		{math.SmallestNonzeroFloat64, 64, "4.9E-324"}, {math.MaxFloat64, 64, "1.7976931348623157E308"},
		{0.30000000000000004, 64, "0.30000000000000004"}, {4.35, 64, "4.35"}, {2.2250738585072014e-308, 64, "2.2250738585072014E-308"},
		{float64(float32(0.1)), 32, "0.1"}, {float64(float32(4.5)), 32, "4.5"}, {float64(float32(1e10)), 32, "1.0E10"},
		{math.SmallestNonzeroFloat32, 32, "1.4E-45"}, {math.MaxFloat32, 32, "3.4028235E38"}, {16777216, 32, "1.6777216E7"},
		{math.NaN(), 64, "NaN"}, {math.Inf(1), 32, "Infinity"}, {math.Inf(-1), 64, "-Infinity"},
	} {
		if got := string(AppendJavaFloat(nil, c.f, c.bits)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.f, got, c.want)
		}
	}
}

func TestAppendJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                             `""`,
		"plain ASCII, more than eight": `"plain ASCII, more than eight"`,
		"quote\"slash\\/<>&":           `"quote\"slash\\/<>&"`,
		"\b\t\n\f\r\x00\x1f\x7f":       `"\b\t\n\f\r\u0000\u001F` + "\x7f" + `"`,
		"Zoë 日本 \U0001F600!":           `"Zoë 日本 \uD83D\uDE00!"`,
		"\u2028\uFFFF":                 "\"\u2028\uFFFF\"",
		"1234567\x01 89":               `"1234567\u0001 89"`,
		"bad \xff\xc3":                 "\"bad \uFFFD\uFFFD\"",
	} {
		if got := string(AppendJSONString(nil, []byte(in))); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestAppendDecimal(t *testing.T) {
	for _, c := range []struct {
		unscaled []byte
		scale    int
		want     string
	}{
		{[]byte{0x07, 0xcf}, 2, "19.99"}, {[]byte{0xff}, 2, "-0.01"}, {[]byte{0}, 0, "0"}, {[]byte{0}, 10, "0E-10"},
		{[]byte{1}, -3, "1E+3"}, {[]byte{123}, -3, "1.23E+5"}, {[]byte{1}, 6, "0.000001"}, {[]byte{1}, 7, "1E-7"}, {nil, 1, "0.0"},
		{[]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, 0, "-9223372036854775808"},
		{[]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, 3, "18446744073709551.616"},
	} {
		if got := string(AppendDecimal(nil, c.unscaled, c.scale)); got != c.want {
			t.Errorf("%x scale %d: got %s, want %s", c.unscaled, c.scale, got, c.want)
		}
		if c.unscaled != nil {
			if back := AppendDecimalInt(nil, DecimalInt(c.unscaled)); !bytes.Equal(back, c.unscaled) {
				t.Errorf("%x became %x", c.unscaled, back)
			}
		}
	}
}

func TestJSONOptions(t *testing.T) {
	def := StringValue("new")
	s := &Schema{Type: Struct, Fields: []Field{
		{"d", &Schema{Type: Bytes, Name: DecimalName, Parameters: []Parameter{{"scale", "2"}}}},
		{"m", &Schema{Type: Map, Key: StringSchema, Elem: Int32Schema}},
		{"n", &Schema{Type: Map, Key: Int32Schema, Elem: OptionalStringSchema}},
		{"s", &Schema{Type: String, Optional: true, Default: &def}},
	}}
	encoded, err := AppendValue(nil, s, ListValue(Struct, []Value{
		BytesValue([]byte{0x07, 0xcf}),
		ListValue(Map, []Value{StringValue("a"), IntValue(Int32, 1), StringValue("b"), IntValue(Int32, 2)}),
		ListValue(Map, []Value{IntValue(Int32, 7), Null()}),
		Null(),
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    JSONOptions
		want string
	}{
		{JSONOptions{}, `{"d":"B88=","m":{"a":1,"b":2},"n":[[7,null]],"s":"new"}`},
		{JSONOptions{Decimal: DecimalNumeric, KeepNull: true}, `{"d":19.99,"m":{"a":1,"b":2},"n":[[7,null]],"s":null}`},
		{JSONOptions{Decimal: DecimalDouble, Maps: MapsCompact}, `{"d":19.99,"m":{"a":1,"b":2},"n":[{"key":7,"value":null}],"s":"new"}`},
		{JSONOptions{Maps: MapsAsEntries}, `{"d":"B88=","m":[{"key":"a","value":1},{"key":"b","value":2}],"n":[{"key":7,"value":null}],"s":"new"}`},
	} {
		p, err := NewJSONPrinter(s, c.o)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := p.Append(nil, encoded)
		if err != nil || string(got) != c.want {
			t.Errorf("%+v: %v\ngot  %s\nwant %s", c.o, err, got, c.want)
		}
	}
}

func TestJSONParser(t *testing.T) {
	def := IntValue(Int32, 5)
	s := &Schema{Type: Struct, Fields: []Field{
		{"a", Int8Schema},
		{"b", OptionalStringSchema},
		{"c", &Schema{Type: Int32, Default: &def}},
		{"d", &Schema{Type: Bytes, Optional: true, Name: DecimalName, Parameters: []Parameter{{"scale", "2"}}}},
		{"e", OptionalFloat64Schema},
		{"f", &Schema{Type: Struct, Optional: true, Fields: []Field{{"x", Int64Schema}, {"y", OptionalBooleanSchema}}}},
	}}
	const all = `{"a":1,"b":null,"c":5,"d":null,"e":null,"f":null}`
	for _, c := range []struct{ in, want string }{
		{`{"a":1}`, all},
		{` { "zzz" : [{}] , "c":null,"a" : 1.0e0 } `, all},
		{`{"f":{"y":true,"x":-3},"a":1,"b":"\u00e9\ud83d\ude00\n"}`, `{"a":1,"b":"é\uD83D\uDE00\n","c":5,"d":null,"e":null,"f":{"x":-3,"y":true}}`},
		{`{"a":-128,"d":19.9,"e":"NaN"}`, `{"a":-128,"b":null,"c":5,"d":"B8Y=","e":"NaN","f":null}`},
		{`{"a":-128,"d":"B88=","e":1}`, `{"a":-128,"b":null,"c":5,"d":"B88=","e":1.0,"f":null}`},
	} {
		p, _ := NewJSONPrinter(s, JSONOptions{})
		got, _, err := p.Append(nil, mustParse(t, s, []byte(c.in)))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", c.in, err, got, c.want)
		}
	}
	p, err := NewJSONParser(s, JSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{``, `null`, `{}`, `{"a":128}`, `{"a":1.5}`, `{"a":"1"}`, `{"a":1}x`, `{"a":1,"d":0.001}`, `{"a":1,"a":2}`,
		`{"b":"","a":1,"b":""}`, `{"a":1,"d":1e99999}`, `{"a":01}`, `{"a":1,}`, `{"a":1,"b":"\x"}`, "{\"a\":1,\"b\":\"\n\"}", `{"a":1,"e":"1"}`, `[1]`} {
		if out, err := p.Append([]byte("x"), []byte(bad)); err == nil || string(out) != "x" {
			t.Errorf("%s: no error, or something was appended: %q", bad, out)
		}
	}
}

func TestAppendCanonicalJSON(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : [ 1 , 2.50 , 1e3, -0, -0.0 ] , "a" : "\/\u0041" } `: `{"b":[1,2.5,1000.0,0,-0.0],"a":"/A"}`,
		`123456789012345678901234567890`:                              `123456789012345678901234567890`,
		`0.1234567890123456789`:                                       `0.1234567890123456789`,
		`1e400`:                                                       `1e400`,
		`1.0E-4`:                                                      `1.0E-4`,
		`null`:                                                        `null`,
	} {
		got, err := AppendCanonicalJSON(nil, []byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: %v, got %s, want %s", in, err, got, want)
		}
	}
	deep := bytes.Repeat([]byte{'['}, 100_000)
	for _, bad := range []string{``, ` `, `nul`, `{"a"}`, `[1,]`, `"a`, `1 2`, `+1`, `.5`, `1.`, string(deep)} {
		if _, err := AppendCanonicalJSON(nil, []byte(bad)); err == nil {
			t.Errorf("%.20s: no error", bad)
		}
	}
}

func TestParseJSONSchemaRefuses(t *testing.T) {
	for _, bad := range []string{``, `{}`, `{"type":"float64"}`, `{"type":"array"}`, `{"type":"map","keys":{"type":"string"}}`,
		`{"type":"struct","fields":[{"type":"int32"}]}`, `{"type":"struct","fields":[{"type":"int32","field":"a"},{"type":"int32","field":"a"}]}`,
		`{"type":"int32","default":"x"}`, `{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","default":"AA=="}`} {
		if s, err := ParseJSONSchema([]byte(bad)); err == nil {
			t.Errorf("%s: no error but %+v", bad, s)
		}
	}
}

func FuzzJSONParser(f *testing.F) {
	f.Add([]byte(`{"b":true,"i8":null,"i64":1,"state":"x","raw":"AA==","tags":["a",null],"attrs":{"k":1},"point":{"x":1.5,"y":"NaN"}}`))
	f.Add([]byte(`{"point":{"y":1,"x":2},"attrs":[["k",1]],"tags":[],"i64":-9e2,"b":false}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := orderSchema()
		p, _ := NewJSONParser(s, JSONOptions{})
		printer, _ := NewJSONPrinter(s, JSONOptions{})
		encoded, err := p.Append(nil, text)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("invalid JSON was read: %q", text)
		}
		out, rest, err := printer.Append(nil, encoded)
		if err != nil || len(rest) != 0 || !json.Valid(out) {
			t.Fatalf("%v: %s", err, out)
		}
		again, err := p.Append(nil, out)
		if err != nil || !bytes.Equal(again, encoded) {
			t.Fatalf("%s: %v\n%x became\n%x", out, err, encoded, again)
		}
	})
}

func FuzzAppendCanonicalJSON(f *testing.F) {
	f.Add([]byte(` {"a":[1,2.50,"\ud83d\ude00",null,true],"b":{}} `))
	for _, text := range []string{`{"a":[1,0,-7,12.5,1234567.25,9.0,null,true,false],"é":{"b":"längs","c":[]}}`, `-0`, `-0.5`, `01`, `0.5`, `1.50`, `12345678.5`,
		`1.123456789012345`, `123e4`, `1.5e4`, `1.`, `-`, `"\n\"\\"`, `"\/"`, `"\"`, `"\u00e9"`, `"😀"`, "\"\xff\"", `{"a":1,}`, `[1 ]`, `{"a"}`, `nulL`,
		`"12345678"`, `"123456789\n"`, `"12345678längs"`, "\"12345678\x01\"", "\"123456789\xff\"", `"12345678`, `"12345678\u00e9"`, `["1234567","😀"]`,
		`1795332829217301316`, `[1234567890,123456789:]`, `12345678e1`, `-12345678901.25`, `1234567890123456/`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := AppendCanonicalJSON(nil, text)
		if err != nil {
			if json.Valid(text) && utf8.Valid(text) {
				t.Fatalf("valid JSON is refused: %q: %v", text, err)
			}
			return
		}
		if again, err := AppendCanonicalJSON(nil, out); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q became %q (%v)", out, again, err)
		}
		if closer, err := canonicalize(nil, text); err != nil || !bytes.Equal(closer, out) {
			t.Fatalf("%q became %q, and looked at more closely %q (%v)", text, out, closer, err)
		}
	})
}

func FuzzParseJSONSchema(f *testing.F) {
	f.Add([]byte(`{"type":"struct","fields":[{"type":"string","optional":true,"default":"x","field":"a"}],"name":"n","version":2,"parameters":{"p":"1"}}`))
	f.Add([]byte(`{"type":"map","keys":{"type":"int32"},"values":{"type":"array","items":{"type":"double","default":1}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseJSONSchema(text)
		if err != nil {
			return
		}
		out, err := AppendJSONSchema(nil, s, JSONOptions{})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		back, err := ParseJSONSchema(out)
		if err != nil || !back.Equal(s) {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
	})
}

func FuzzJSONPrinter(f *testing.F) {
	good, _ := AppendValue(nil, orderSchema(), orderValue())
	f.Add(good)
	f.Fuzz(func(t *testing.T, src []byte) {
		p, _ := NewJSONPrinter(orderSchema(), JSONOptions{})
		out, rest, err := p.Append(nil, src)
		skipped, skipErr := SkipValue(orderSchema(), src)
		if err == nil && (skipErr != nil || len(skipped) != len(rest) || !json.Valid(out)) {
			t.Fatalf("printed %s, rest %d; skip leaves %d (%v)", out, len(rest), len(skipped), skipErr)
		}
	})
}

// benchEnvelope returns a Debezium envelope of the table orders.
func benchEnvelope(b *testing.B) (*Schema, []byte, []byte) {
	for _, text := range envelopes(b) {
		schemaText, payload := openEnvelope(b, text)
		if bytes.Contains(schemaText, []byte("orders.Envelope")) {
			s, err := ParseJSONSchema(schemaText)
			if err != nil {
				b.Fatal(err)
			}
			return s, mustParse(b, s, payload), payload
		}
	}
	b.Fatal("no envelope of orders")
	return nil, nil, nil
}

func BenchmarkJSONPrinter(b *testing.B) {
	s, encoded, payload := benchEnvelope(b)
	p, err := NewJSONPrinter(s, JSONOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if dst, _, err = p.Append(dst[:0], encoded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONParser(b *testing.B) {
	s, _, payload := benchEnvelope(b)
	p, err := NewJSONParser(s, JSONOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = p.Append(dst[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSkipValue checks an envelope as the Avro converter does.
func BenchmarkSkipValue(b *testing.B) {
	s, encoded, _ := benchEnvelope(b)
	b.SetBytes(int64(len(encoded)))
	for b.Loop() {
		if rest, err := SkipValue(s, encoded); err != nil || len(rest) > 0 {
			b.Fatal(err, len(rest))
		}
	}
}

// BenchmarkAppendCanonicalJSON checks an envelope as the JSON converter does.
func BenchmarkAppendCanonicalJSON(b *testing.B) {
	s, encoded, _ := benchEnvelope(b)
	p, err := NewJSONPrinter(s, JSONOptions{})
	if err != nil {
		b.Fatal(err)
	}
	text, _, err := p.Append(nil, encoded)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if dst, err = AppendCanonicalJSON(dst[:0], text); err != nil {
			b.Fatal(err)
		}
	}
}
