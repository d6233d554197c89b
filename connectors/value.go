package connectors

import (
	"bytes"
	"math"
)

// Value is one decoded value: a null, a scalar, or an array, map or struct of values. It is what transforms, the
// SQL sink and tests work on; the data path carries values encoded (see Data) and decodes only what is looked at.
//
// The zero Value is null. A Value is meant to be passed by value; the bytes and lists inside it are shared, and
// must not be changed once the value has been handed on.
type Value struct {
	Type Type
	num  uint64
	str  []byte
	list []Value
}

// Null is the null value.
func Null() Value { return Value{} }

// BoolValue returns a Boolean value.
func BoolValue(b bool) Value {
	v := Value{Type: Boolean}
	if b {
		v.num = 1
	}
	return v
}

// IntValue returns a value of one of the integer types Int8 … Int64.
func IntValue(t Type, i int64) Value { return Value{Type: t, num: uint64(i)} }

// FloatValue returns a value of type Float32 or Float64.
func FloatValue(t Type, f float64) Value { return Value{Type: t, num: math.Float64bits(f)} }

// StringValue returns a String value.
func StringValue(s string) Value { return Value{Type: String, str: []byte(s)} }

// StringBytesValue returns a String value that shares b, which must be valid UTF-8.
func StringBytesValue(b []byte) Value { return Value{Type: String, str: b} }

// BytesValue returns a Bytes value that shares b.
func BytesValue(b []byte) Value { return Value{Type: Bytes, str: b} }

// ListValue returns an Array of the values, a Struct with the values of its fields in schema order, or a Map with
// keys and values in turn. It shares list.
func ListValue(t Type, list []Value) Value { return Value{Type: t, list: list} }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.Type == Invalid }

// Bool returns the value of a Boolean.
func (v Value) Bool() bool { return v.num != 0 }

// Int returns the value of an integer type.
func (v Value) Int() int64 { return int64(v.num) }

// Float returns the value of a Float32 or Float64.
func (v Value) Float() float64 { return math.Float64frombits(v.num) }

// Text returns the value of a String.
func (v Value) Text() string { return string(v.str) }

// Raw returns the bytes of a String or Bytes value, shared.
func (v Value) Raw() []byte { return v.str }

// List returns the elements of an Array, the field values of a Struct in schema order, or the keys and values of a
// Map in turn. It is shared.
func (v Value) List() []Value { return v.list }

// Equal reports whether both values have the same type and content. NaN equals NaN.
func (v Value) Equal(o Value) bool {
	if v.Type != o.Type || v.num != o.num || !bytes.Equal(v.str, o.str) || len(v.list) != len(o.list) {
		return false
	}
	for i := range v.list {
		if !v.list[i].Equal(o.list[i]) {
			return false
		}
	}
	return true
}
