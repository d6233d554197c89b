package filestream

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// appendLine appends a value as Connect's sink prints it: Java's toString of it. That is the text itself of a
// string, "null", and Struct{name=value,…}, {key=value, …}, [item, …] for what is composed. Bytes, of which Java
// would print an address, are printed in hexadecimal digits; data without a schema as JSON, a string of it as text.
func appendLine(dst []byte, d connectors.Data) ([]byte, error) {
	switch {
	case d.IsNull():
		return append(dst, "null"...), nil
	case d.Schema == nil:
		if len(d.Bytes) > 0 && d.Bytes[0] == '"' {
			var s string
			if err := json.Unmarshal(d.Bytes, &s); err != nil {
				return dst, err
			}
			return append(dst, s...), nil
		}
		return append(dst, d.Bytes...), nil
	case d.Schema.Type == connectors.String && !d.Schema.Optional:
		s, _, err := connectors.ReadBytes(d.Bytes)
		return append(dst, s...), err
	}
	v, _, err := connectors.ReadValue(d.Schema, d.Bytes)
	if err != nil {
		return dst, err
	}
	return appendJava(dst, d.Schema, v), nil
}

func appendJava(dst []byte, s *connectors.Schema, v connectors.Value) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch s.Type {
	case connectors.Boolean:
		return strconv.AppendBool(dst, v.Bool())
	case connectors.Float32, connectors.Float64:
		return appendJavaFloat(dst, s.Type, v.Float())
	case connectors.String:
		return append(dst, v.Raw()...)
	case connectors.Bytes:
		return hex.AppendEncode(dst, v.Raw())
	case connectors.Struct:
		dst = append(dst, "Struct{"...)
		first := true
		for i, field := range v.List() {
			if field.IsNull() {
				continue // as Struct.toString does
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(dst, s.Fields[i].Name...), '=')
			dst = appendJava(dst, s.Fields[i].Schema, field)
		}
		return append(dst, '}')
	case connectors.Array:
		return append(appendJavaList(append(dst, '['), s, v.List()), ']')
	case connectors.Map:
		return append(appendJavaMap(append(dst, '{'), s, v.List()), '}')
	}
	return strconv.AppendInt(dst, v.Int(), 10)
}

func appendJavaList(dst []byte, s *connectors.Schema, items []connectors.Value) []byte {
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendJava(dst, s.Elem, item)
	}
	return dst
}

func appendJavaMap(dst []byte, s *connectors.Schema, items []connectors.Value) []byte {
	for i := 0; i+1 < len(items); i += 2 {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(appendJava(dst, s.Key, items[i]), '=')
		dst = appendJava(dst, s.Elem, items[i+1])
	}
	return dst
}

// appendJavaFloat prints as Java's Double.toString: with a point always, and with an exponent ("1.0E10") below 1e-3
// and from 1e7 on.
func appendJavaFloat(dst []byte, t connectors.Type, f float64) []byte {
	bits := 64
	if t == connectors.Float32 {
		bits = 32
	}
	switch magnitude := math.Abs(f); {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	case f == 0 || magnitude >= 1e-3 && magnitude < 1e7:
		return append(dst, pointed(strconv.FormatFloat(f, 'f', -1, bits))...)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'E', -1, bits), "E")
	n, _ := strconv.Atoi(exponent)
	return strconv.AppendInt(append(append(dst, pointed(mantissa)...), 'E'), int64(n), 10)
}

// pointed returns digits with a decimal point.
func pointed(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}
