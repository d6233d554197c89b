package connectors

import (
	"bytes"
	"fmt"
	"strconv"
)

// ParseJSONSchema reads a schema as AppendJSONSchema writes it. "optional" is false where it is absent; members that
// are not known are ignored.
func ParseJSONSchema(text []byte) (*Schema, error) {
	r := schemaReader{r: jsonReader{src: text}}
	s, _, err := r.schema(maxDepth)
	if err == nil {
		err = r.r.end()
	}
	if err != nil {
		return nil, fmt.Errorf("read JSON schema: %w", err)
	}
	return s, nil
}

type schemaReader struct {
	r       jsonReader
	scratch []byte
}

// schema reads one schema, and the name of the field if it is one.
func (r *schemaReader) schema(depth int) (s *Schema, field string, err error) {
	if depth == 0 {
		return nil, "", fmt.Errorf("nested deeper than %d", maxDepth)
	}
	s = &Schema{}
	var value []byte // text of the default
	err = r.r.members(func(name []byte, _ bool) (err error) {
		if r.r.peek() == 'n' {
			return r.r.literal("null")
		}
		switch string(name) {
		case "field":
			field, err = r.text()
		case "default":
			value, err = r.r.value()
		default:
			err = r.member(s, string(name), depth)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if err := complete(s); err != nil {
		return nil, "", err
	}
	if value != nil {
		if err := setDefault(s, value); err != nil {
			return nil, "", fmt.Errorf("default: %w", err)
		}
	}
	return s, field, nil
}

func (r *schemaReader) text() (string, error) {
	text, scratch, err := r.r.text(r.scratch)
	r.scratch = scratch
	return string(text), err
}

// member reads one member of a schema that does not depend on the others.
func (r *schemaReader) member(s *Schema, name string, depth int) (err error) {
	switch name {
	case "type":
		var typ string
		if typ, err = r.text(); err == nil {
			s.Type, err = jsonType(typ)
		}
	case "optional":
		if s.Optional = r.r.peek() == 't'; s.Optional {
			return r.r.literal("true")
		}
		return r.r.literal("false")
	case "name":
		s.Name, err = r.text()
	case "doc":
		s.Doc, err = r.text()
	case "version":
		var n []byte
		if n, _, err = r.r.number(); err == nil {
			s.Version, err = strconv.Atoi(string(n))
		}
	case "parameters":
		return r.r.members(func(name []byte, _ bool) error {
			p := Parameter{Name: string(unescape(nil, name))}
			if p.Value, err = r.text(); err != nil {
				return err
			}
			s.Parameters = append(s.Parameters, p)
			return nil
		})
	case "items", "values":
		s.Elem, _, err = r.schema(depth - 1)
	case "keys":
		s.Key, _, err = r.schema(depth - 1)
	case "fields":
		return r.r.elements(func() error {
			of, name, err := r.schema(depth - 1)
			if err != nil {
				return err
			}
			if name == "" || s.FieldIndex(name) >= 0 {
				return fmt.Errorf("field %q has no name of its own", name)
			}
			s.Fields = append(s.Fields, Field{name, of})
			return nil
		})
	default:
		return r.r.skip(maxJSONDepth)
	}
	return err
}

func jsonType(name string) (Type, error) {
	for t, n := range jsonTypes {
		if n == name && n != "" {
			return Type(t), nil
		}
	}
	return Invalid, fmt.Errorf("unknown type %q", name)
}

// complete checks that a schema has what its type needs, and drops what it does not.
func complete(s *Schema) error {
	switch {
	case s.Type == Invalid:
		return fmt.Errorf("a schema without a type")
	case s.Type == Array && s.Elem == nil:
		return fmt.Errorf("an array without items")
	case s.Type == Map && (s.Key == nil || s.Elem == nil):
		return fmt.Errorf("a map without keys or values")
	}
	if s.Type != Struct {
		s.Fields = nil
	}
	if s.Type != Map {
		s.Key = nil
	}
	if s.Type != Map && s.Type != Array {
		s.Elem = nil
	}
	return nil
}

// setDefault sets the default of s from its JSON text.
func setDefault(s *Schema, text []byte) error {
	p, err := NewJSONParser(s, JSONOptions{})
	if err != nil {
		return err
	}
	encoded, err := p.Append(nil, text)
	if err != nil {
		return err
	}
	v, _, err := ReadValue(s, bytes.Clone(encoded))
	if err != nil || v.IsNull() {
		return err
	}
	s.Default = &v
	return nil
}
