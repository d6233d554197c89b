package connectors

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// orderSchema uses every type, optional and required, with and without a default.
func orderSchema() *Schema {
	def := StringValue("new")
	point := &Schema{Type: Struct, Optional: true, Name: "Point", Fields: []Field{{"x", Float64Schema}, {"y", &Schema{Type: Float32}}}}
	return &Schema{Type: Struct, Name: "Order", Version: 1, Fields: []Field{
		{"b", BooleanSchema},
		{"i8", &Schema{Type: Int8, Optional: true}},
		{"i64", Int64Schema},
		{"state", &Schema{Type: String, Optional: true, Default: &def}},
		{"raw", OptionalBytesSchema},
		{"tags", &Schema{Type: Array, Elem: OptionalStringSchema}},
		{"attrs", &Schema{Type: Map, Key: StringSchema, Elem: Int32Schema}},
		{"point", point},
	}}
}

func orderValue() Value {
	return ListValue(Struct, []Value{
		BoolValue(true), Null(), IntValue(Int64, math.MinInt64), Null(), BytesValue([]byte{0, 255}),
		ListValue(Array, []Value{StringValue("a"), Null()}),
		ListValue(Map, []Value{StringValue("k"), IntValue(Int32, -1)}),
		ListValue(Struct, []Value{FloatValue(Float64, -0.5), FloatValue(Float32, 1.25)}),
	})
}

func TestEncodingIsAvroBinary(t *testing.T) {
	got, err := AppendValue(nil, orderSchema(), orderValue())
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{
		1,                                                          // b
		0,                                                          // i8: null
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, // i64
		2,             // state: null is the second branch, because the default is a string
		2, 4, 0, 0xff, // raw
		4, 2, 2, 'a', 0, 0, // tags
		2, 2, 'k', 1, 0, // attrs
		2, 0, 0, 0, 0, 0, 0, 0xe0, 0xbf, 0, 0, 0xa0, 0x3f, // point
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x", got, want)
	}
	v, rest, err := ReadValue(orderSchema(), got)
	if err != nil || len(rest) != 0 || !v.Equal(orderValue()) {
		t.Fatalf("read back %v, %d bytes left, error %v", v, len(rest), err)
	}
	if rest, err = SkipValue(orderSchema(), append(got, 7)); err != nil || !bytes.Equal(rest, []byte{7}) {
		t.Fatalf("skip left %x, error %v", rest, err)
	}
}

func TestAppendValueRefusesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		schema *Schema
		value  Value
	}{
		"null for required": {Int32Schema, Null()},
		"other type":        {Int32Schema, StringValue("1")},
		"missing field":     {orderSchema(), ListValue(Struct, []Value{BoolValue(true)})},
		"bad element":       {&Schema{Type: Array, Elem: StringSchema}, ListValue(Array, []Value{Null()})},
	} {
		if _, err := AppendValue(nil, c.schema, c.value); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReadRefusesLies(t *testing.T) {
	ints := &Schema{Type: Array, Elem: Int32Schema}
	empty := &Schema{Type: Array, Elem: &Schema{Type: Struct}}
	for name, c := range map[string]struct {
		schema *Schema
		src    []byte
		want   error
	}{
		"empty":               {Int32Schema, nil, ErrTruncated},
		"long varint":         {Int32Schema, bytes.Repeat([]byte{0xff}, 11), ErrMalformed},
		"negative length":     {StringSchema, []byte{1}, ErrMalformed},
		"length beyond end":   {StringSchema, []byte{8, 'a'}, ErrTruncated},
		"unknown branch":      {OptionalStringSchema, []byte{4}, ErrMalformed},
		"boolean 2":           {BooleanSchema, []byte{2}, ErrMalformed},
		"count beyond end":    {ints, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 2, 0}, ErrTruncated},
		"countless nothing":   {empty, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0}, ErrTruncated},
		"array without a end": {ints, []byte{2, 2}, ErrTruncated},
	} {
		if _, _, err := ReadValue(c.schema, c.src); !errors.Is(err, c.want) {
			t.Errorf("%s: read: %v, want %v", name, err, c.want)
		}
		if c.schema.Type == Boolean {
			continue // its content is not looked at by a skip
		}
		if _, err := SkipValue(c.schema, c.src); !errors.Is(err, c.want) {
			t.Errorf("%s: skip: %v, want %v", name, err, c.want)
		}
	}
}

func FuzzReadValue(f *testing.F) {
	good, _ := AppendValue(nil, orderSchema(), orderValue())
	f.Add(good)
	f.Add(good[:9])
	f.Fuzz(func(t *testing.T, src []byte) {
		s := orderSchema()
		v, rest, err := ReadValue(s, src)
		skipped, skipErr := SkipValue(s, src)
		if err != nil {
			return
		}
		if skipErr != nil || len(skipped) != len(rest) {
			t.Fatalf("read leaves %d bytes, skip %d (%v)", len(rest), len(skipped), skipErr)
		}
		again, err := AppendValue(nil, s, v)
		if err != nil {
			t.Fatalf("a value that was read cannot be written: %v", err)
		}
		if w, _, err := ReadValue(s, again); err != nil || !w.Equal(v) {
			t.Fatalf("%v became %v (%v)", v, w, err)
		}
	})
}
