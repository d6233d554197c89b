package elasticsearch

import (
	"math"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// appendMapping appends the mapping of a schema, by the type map of Confluent's sink.
func appendMapping(dst []byte, s *connectors.Schema, o connectors.JSONOptions) []byte {
	switch s.Name {
	case connectors.DateName, connectors.TimeName, connectors.TimestampName:
		return appendType(dst, "date", s)
	case connectors.DecimalName:
		return appendType(dst, "double", s)
	}
	switch s.Type {
	case connectors.Int8:
		return appendType(dst, "byte", s)
	case connectors.Int16:
		return appendType(dst, "short", s)
	case connectors.Int32:
		return appendType(dst, "integer", s)
	case connectors.Int64:
		return appendType(dst, "long", s)
	case connectors.Float32:
		return appendType(dst, "float", s)
	case connectors.Float64:
		return appendType(dst, "double", s)
	case connectors.Boolean:
		return appendType(dst, "boolean", s)
	case connectors.Bytes:
		return append(dst, `{"type":"binary"}`...)
	case connectors.Array:
		return appendMapping(dst, s.Elem, o)
	case connectors.Map:
		if s.Key.Type == connectors.String && o.Maps == connectors.MapsCompact {
			return append(dst, `{"type":"object"}`...)
		}
		dst = append(dst, `{"properties":{"key":`...)
		dst = appendMapping(dst, s.Key, o)
		dst = append(dst, `,"value":`...)
		return append(appendMapping(dst, s.Elem, o), `}}`...)
	case connectors.Struct:
		dst = append(dst, `{"properties":{`...)
		for i, f := range s.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(connectors.AppendJSONString(dst, []byte(f.Name)), ':')
			dst = appendMapping(dst, f.Schema, o)
		}
		return append(dst, `}}`...)
	}
	return append(dst, `{"type":"text","fields":{"keyword":{"type":"keyword","ignore_above":256}}}`...)
}

// appendType appends a field of that type. A default is what a null is found by.
func appendType(dst []byte, typ string, s *connectors.Schema) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(append(dst, typ...), '"')
	if s.Default != nil && !s.Default.IsNull() {
		switch s.Default.Type {
		case connectors.Boolean:
			dst = strconv.AppendBool(append(dst, `,"null_value":`...), s.Default.Bool())
		case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
			dst = strconv.AppendInt(append(dst, `,"null_value":`...), s.Default.Int(), 10)
		case connectors.Float32, connectors.Float64:
			if f := s.Default.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
				break // no number in JSON
			}
			dst = strconv.AppendFloat(append(dst, `,"null_value":`...), s.Default.Float(), 'g', -1, 64)
		}
	}
	return append(dst, '}')
}
