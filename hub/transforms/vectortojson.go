package transforms

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// vectorToJSON is Debezium's VectorToJsonConverter: vectors anywhere in a value become texts of JSON. In every struct
// nulls become defaults.
//
//	[1.5, 2]          { "values": [1.5, 2.0] }
//	sparse 1:1.5 of 3  { "dimensions": 3, "vector": { "1": 1.5 } }
type vectorToJSON struct{ structs }

func newVectorToJSON(_ configs.Values, _ side, a *arena) (transform, error) {
	return &vectorToJSON{structs{at: valueSide, arena: a}}, nil
}

func (t *vectorToJSON) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) {
		return true, nil
	}
	err := t.structs.apply(r, t.build)
	return err == nil, err
}

func (t *vectorToJSON) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	p.out.Optional = s.Optional
	for i, f := range s.Fields {
		o, err := copyOp(s, i, true)
		if err != nil {
			return nil, err
		}
		json := &connectors.Schema{Type: connectors.String, Name: "io.debezium.data.Json", Version: 1, Optional: f.Schema.Optional}
		switch name := f.Schema.Name; {
		case (name == "io.debezium.data.FloatVector" || name == "io.debezium.data.DoubleVector") && f.Schema.Type == connectors.Array:
			o.convert, f.Schema = toJSON(f.Schema, json, appendVector), json
		case name == "io.debezium.data.SparseDoubleVector" && isSparse(f.Schema):
			o.convert, f.Schema = toJSON(f.Schema, json, appendSparse), json
		case f.Schema.Type == connectors.Struct:
			inner, err := t.build(f.Schema)
			if err != nil {
				return nil, err
			}
			o.convert, f.Schema = inStruct(f.Schema, inner), inner.out
		}
		p.out.Fields, p.ops = append(p.out.Fields, f), append(p.ops, o)
	}
	return p, nil
}

func isSparse(s *connectors.Schema) bool {
	return s.Type == connectors.Struct && len(s.Fields) == 2 && s.Fields[0].Name == "dimensions" && s.Fields[1].Name == "vector" && s.Fields[1].Schema.Type == connectors.Map
}

// toJSON converts a vector to what text appends for it.
func toJSON(s, json *connectors.Schema, text func(dst []byte, v connectors.Value) []byte) func(dst, raw []byte, r *connectors.Record) ([]byte, error) {
	var buf []byte
	return func(dst, raw []byte, _ *connectors.Record) ([]byte, error) {
		v, _, err := connectors.ReadValue(s, raw)
		if err != nil || v.IsNull() {
			return connectors.AppendNull(dst, json), err
		}
		buf = text(buf[:0], v)
		return connectors.AppendBytes(connectors.AppendPresent(dst, json), buf), nil
	}
}

func appendVector(dst []byte, v connectors.Value) []byte {
	dst = append(dst, `{ "values": [`...)
	for i, item := range v.List() {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendFloat(dst, item)
	}
	return append(dst, "] }"...)
}

func appendFloat(dst []byte, v connectors.Value) []byte {
	switch v.Type {
	case connectors.Invalid:
		return append(dst, "null"...)
	case connectors.Float32:
		return connectors.AppendJavaFloat(dst, v.Float(), 32)
	}
	return connectors.AppendJavaFloat(dst, v.Float(), 64)
}

func appendSparse(dst []byte, v connectors.Value) []byte {
	dst = strconv.AppendInt(append(dst, `{ "dimensions": `...), v.List()[0].Int(), 10)
	dst = append(dst, `, "vector": { `...)
	type entry struct{ at, value connectors.Value }
	var entries []entry
	for pair := range slices.Chunk(v.List()[1].List(), 2) {
		entries = append(entries, entry{pair[0], pair[1]})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.at.Int(), b.at.Int()) })
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(strconv.AppendInt(append(dst, '"'), e.at.Int(), 10), `": `...)
		dst = appendFloat(dst, e.value)
	}
	return append(dst, " } }"...)
}
