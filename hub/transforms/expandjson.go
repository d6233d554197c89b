package transforms

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// jsonExpander makes data with a schema of JSON texts. The schema is worked out from the text, as Debezium's outbox
// router does: everything is optional, objects are structs called after their path, numbers are int32, int64 or
// float64, and what has no type (null, an empty array) is left out. Texts of the same shape share one schema.
type jsonExpander struct {
	nulls bool // null is of type bytes
	known map[string]expandedShape
}

type expandedShape struct {
	schema *connectors.Schema
	parser *connectors.JSONParser
}

// errNoShape says that a text has no schema: it stays a text.
var errNoShape = errors.New("the text has no one schema")

// data returns the value of a JSON text called name, or the text as it is if it is no object or array, or if its arrays
// have elements of several types.
func (x *jsonExpander) data(a *arena, name string, text connectors.Data, content []byte) connectors.Data {
	if len(content) == 0 || content[0] != '{' && content[0] != '[' {
		return text
	}
	if d, err := x.expanded(a, name, content); err == nil {
		return d
	}
	return text
}

// expanded returns the value of a JSON text called name, or why it has none.
func (x *jsonExpander) expanded(a *arena, name string, content []byte) (connectors.Data, error) {
	s, err := x.schema(name, content)
	if err != nil || s == nil {
		return connectors.Data{}, cmp.Or(err, errNoShape)
	}
	shape, err := x.shape(s)
	if err != nil {
		return connectors.Data{}, err
	}
	out, err := shape.parser.Append(a.take(), content)
	if err != nil {
		return connectors.Data{}, err
	}
	return connectors.Data{Schema: shape.schema, Bytes: a.keep(out)}, nil
}

// shape returns the one schema that equals s, and its parser.
func (x *jsonExpander) shape(s *connectors.Schema) (expandedShape, error) {
	text, err := connectors.AppendJSONSchema(nil, s, connectors.JSONOptions{})
	if err != nil {
		return expandedShape{}, err
	}
	if e, ok := x.known[string(text)]; ok {
		return e, nil
	}
	parser, err := connectors.NewJSONParser(s, connectors.JSONOptions{})
	if err != nil {
		return expandedShape{}, err
	}
	if x.known == nil || len(x.known) >= cacheSize {
		x.known = map[string]expandedShape{}
	}
	e := expandedShape{s, parser}
	x.known[string(text)] = e
	return e, nil
}

// schema returns the schema of a JSON value, nil if it is one without a type.
func (x *jsonExpander) schema(name string, text []byte) (*connectors.Schema, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, errNoShape
	case text[0] == '"':
		return connectors.OptionalStringSchema, nil
	case text[0] == 't' || text[0] == 'f':
		return &connectors.Schema{Type: connectors.Boolean, Optional: true}, nil
	case text[0] == '{':
		return x.object(name, text)
	case text[0] == '[':
		return x.array(name, text)
	case text[0] == 'n' && x.nulls:
		return &connectors.Schema{Type: connectors.Bytes, Optional: true}, nil
	case text[0] == 'n':
		return nil, nil
	}
	return &connectors.Schema{Type: numberType(string(text)), Optional: true}, nil
}

func numberType(text string) connectors.Type {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return connectors.Float64
	case int64(int32(n)) == n:
		return connectors.Int32
	}
	return connectors.Int64
}

func (x *jsonExpander) object(name string, text []byte) (*connectors.Schema, error) {
	s := &connectors.Schema{Type: connectors.Struct, Optional: true, Name: name}
	err := connectors.EachJSONMember(text, func(member, value []byte) error {
		path := string(member)
		if name != "" {
			path = name + "." + path
		}
		f, err := x.schema(path, value)
		if err == nil && f != nil && s.FieldIndex(string(member)) < 0 {
			s.Fields = append(s.Fields, connectors.Field{Name: string(member), Schema: f})
		}
		return err
	})
	return s, err
}

// array returns the schema of an array, all of whose elements must be of one type. Objects may have different members;
// an element then has those of all of them.
func (x *jsonExpander) array(name string, text []byte) (*connectors.Schema, error) {
	var elem *connectors.Schema
	empty := true
	err := connectors.EachJSONElement(text, func(value []byte) error {
		empty = false
		value = bytes.TrimSpace(value)
		if string(value) == "null" {
			return nil
		}
		within := ""
		if len(value) > 0 && value[0] == '{' {
			within = name
		}
		s, err := x.schema(within, value)
		switch {
		case err != nil:
			return err
		case s == nil:
			return errNoShape
		case elem == nil:
			elem = s
		case elem.Type != s.Type:
			return errNoShape
		case s.Type == connectors.Struct && !elem.Equal(s):
			elem = merged(elem, s)
		}
		return nil
	})
	switch {
	case err != nil || empty:
		return nil, err
	case elem == nil && x.nulls:
		elem = &connectors.Schema{Type: connectors.Bytes, Optional: true}
	case elem == nil:
		return nil, errNoShape
	}
	return &connectors.Schema{Type: connectors.Array, Optional: true, Elem: elem}, nil
}

// merged returns a struct with the fields of both. A field that was only null so far (bytes) takes the other's type.
func merged(a, b *connectors.Schema) *connectors.Schema {
	out := &connectors.Schema{Type: connectors.Struct, Name: a.Name, Fields: append([]connectors.Field(nil), a.Fields...)}
	for _, f := range b.Fields {
		i := out.FieldIndex(f.Name)
		switch {
		case i < 0:
			out.Fields = append(out.Fields, f)
		case out.Fields[i].Schema.Type == connectors.Bytes:
			out.Fields[i] = f
		}
	}
	return out
}
