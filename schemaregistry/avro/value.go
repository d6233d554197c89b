package avro

import (
	"fmt"
	"math"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// defaultValue returns the value of type s that n is the JSON of, as Avro writes defaults.
func defaultValue(s *connectors.Schema, n *node) (connectors.Value, error) {
	v := connectors.Null()
	if n.kind == nullNode {
		return v, nil
	}
	bad := fmt.Errorf("the default %s is no value of type %s", excerpt(n), s.Type)
	switch s.Type {
	case connectors.Boolean:
		if n.kind != boolNode {
			return v, bad
		}
		return connectors.BoolValue(n.text == "true"), nil
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		i, err := strconv.ParseInt(n.text, 10, intBits(s.Type))
		if n.kind != intNode || err != nil {
			return v, bad
		}
		return connectors.IntValue(s.Type, i), nil
	case connectors.Float32, connectors.Float64:
		f, err := parseJavaDouble(n.text)
		if n.kind == boolNode || n.kind == objectNode || n.kind == arrayNode || err != nil {
			return v, bad
		}
		if s.Type == connectors.Float32 {
			f = float64(float32(f))
		}
		return connectors.FloatValue(s.Type, f), nil
	case connectors.String:
		if n.kind != stringNode {
			return v, bad
		}
		return connectors.StringValue(n.text), nil
	case connectors.Bytes:
		b, ok := latin1(n)
		if !ok {
			return v, bad
		}
		return connectors.BytesValue(b), nil
	case connectors.Array:
		if n.kind != arrayNode {
			return v, bad
		}
		return arrayValue(s, n)
	case connectors.Map:
		return mapValue(s, n, bad)
	case connectors.Struct:
		if s.Name == unionName {
			return unionValue(s, n, bad)
		}
		if n.kind != objectNode {
			return v, bad
		}
		return structValue(s, n)
	}
	return v, bad
}

func intBits(t connectors.Type) int {
	switch t {
	case connectors.Int8:
		return 8
	case connectors.Int16:
		return 16
	case connectors.Int32:
		return 32
	}
	return 64
}

// latin1 returns the bytes that text with a character for each stands for.
func latin1(n *node) ([]byte, bool) {
	if n.kind != stringNode {
		return nil, false
	}
	b := make([]byte, 0, len(n.text))
	for _, r := range n.text {
		if r > math.MaxUint8 {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

func arrayValue(s *connectors.Schema, n *node) (connectors.Value, error) {
	list := make([]connectors.Value, len(n.items))
	for i, item := range n.items {
		var err error
		if list[i], err = defaultValue(s.Elem, item); err != nil {
			return connectors.Null(), err
		}
	}
	return connectors.ListValue(connectors.Array, list), nil
}

// mapValue reads an object, or the entries that a map with other keys is written as: records, or pairs as old
// versions of AvroData wrote them.
func mapValue(s *connectors.Schema, n *node, bad error) (connectors.Value, error) {
	var list []connectors.Value
	for i, item := range n.items {
		key, elem := item.member("key"), item.member("value")
		switch {
		case n.kind == objectNode:
			key, elem = textNode(n.names[i]), item
		case item.kind == arrayNode && len(item.items) == 2:
			key, elem = item.items[0], item.items[1]
		}
		if key == nil || elem == nil {
			return connectors.Null(), bad
		}
		k, err := defaultValue(s.Key, key)
		if err != nil {
			return connectors.Null(), err
		}
		v, err := defaultValue(s.Elem, elem)
		if err != nil {
			return connectors.Null(), err
		}
		list = append(list, k, v)
	}
	if n.kind != objectNode && n.kind != arrayNode {
		return connectors.Null(), bad
	}
	return connectors.ListValue(connectors.Map, list), nil
}

func structValue(s *connectors.Schema, n *node) (connectors.Value, error) {
	list := make([]connectors.Value, len(s.Fields))
	for i, f := range s.Fields {
		item := n.member(f.Name)
		if item == nil {
			if f.Schema.Default != nil {
				list[i] = *f.Schema.Default
			}
			continue
		}
		var err error
		if list[i], err = defaultValue(f.Schema, item); err != nil {
			return connectors.Null(), fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return connectors.ListValue(connectors.Struct, list), nil
}

// unionValue reads the default of a union: of the first branch that it fits.
func unionValue(s *connectors.Schema, n *node, bad error) (connectors.Value, error) {
	for i, f := range s.Fields {
		v, err := defaultValue(f.Schema, n)
		if err != nil {
			continue
		}
		list := make([]connectors.Value, len(s.Fields))
		list[i] = v
		return connectors.ListValue(connectors.Struct, list), nil
	}
	return connectors.Null(), bad
}
