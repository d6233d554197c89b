package plugins

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// schemaJSON is a connectors.Schema as it crosses the wall.
type schemaJSON struct {
	Type       string          `json:"type"`
	Optional   bool            `json:"optional,omitempty"`
	Default    []byte          `json:"default,omitempty"` // encoded as a required value
	Null       bool            `json:"default_null,omitempty"`
	Name       string          `json:"name,omitempty"`
	Version    int             `json:"version,omitempty"`
	Doc        string          `json:"doc,omitempty"`
	Parameters []parameterJSON `json:"parameters,omitempty"`
	Key        *schemaJSON     `json:"key,omitempty"`
	Elem       *schemaJSON     `json:"elem,omitempty"`
	Fields     []fieldJSON     `json:"fields,omitempty"`
}

type parameterJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type fieldJSON struct {
	Name   string      `json:"name"`
	Schema *schemaJSON `json:"schema"`
}

// maxSchemaDepth bounds how deep schemas are nested.
const maxSchemaDepth = 64

// appendSchema appends the text of a schema. Equal schemas with their parameters in the same order have the same
// text.
func appendSchema(dst []byte, s *connectors.Schema) ([]byte, error) {
	j, err := toJSON(s, maxSchemaDepth)
	if err != nil {
		return dst, err
	}
	text, err := json.Marshal(j)
	return append(dst, text...), err
}

// readSchema is the reverse of appendSchema.
func readSchema(text []byte) (*connectors.Schema, error) {
	var j schemaJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, err
	}
	return fromJSON(&j, maxSchemaDepth)
}

func toJSON(s *connectors.Schema, depth int) (*schemaJSON, error) {
	if depth == 0 {
		return nil, fmt.Errorf("nested deeper than %d", maxSchemaDepth)
	}
	if s == nil {
		return nil, errors.New("a schema inside is missing")
	}
	j := &schemaJSON{Type: s.Type.String(), Optional: s.Optional, Name: s.Name, Version: s.Version, Doc: s.Doc}
	for _, p := range s.Parameters {
		j.Parameters = append(j.Parameters, parameterJSON(p))
	}
	var err error
	if s.Default != nil {
		if s.Default.IsNull() {
			j.Null = true
		} else if j.Default, err = connectors.AppendValue([]byte{}, required(s), *s.Default); err != nil {
			return nil, fmt.Errorf("default: %w", err)
		}
	}
	if s.Type == connectors.Map {
		if j.Key, err = toJSON(s.Key, depth-1); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
	}
	if s.Type == connectors.Map || s.Type == connectors.Array {
		if j.Elem, err = toJSON(s.Elem, depth-1); err != nil {
			return nil, fmt.Errorf("element: %w", err)
		}
	}
	for _, f := range s.Fields {
		field, err := toJSON(f.Schema, depth-1)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		j.Fields = append(j.Fields, fieldJSON{Name: f.Name, Schema: field})
	}
	return j, nil
}

// required returns s without its own optionality and default.
func required(s *connectors.Schema) *connectors.Schema {
	c := *s
	c.Optional, c.Default = false, nil
	return &c
}

func fromJSON(j *schemaJSON, depth int) (*connectors.Schema, error) {
	if depth == 0 {
		return nil, fmt.Errorf("nested deeper than %d", maxSchemaDepth)
	}
	if j == nil {
		return nil, errors.New("a schema inside is missing")
	}
	s := &connectors.Schema{Type: typeOf(j.Type), Optional: j.Optional, Name: j.Name, Version: j.Version, Doc: j.Doc}
	if s.Type == connectors.Invalid {
		return nil, fmt.Errorf("unknown type %q", j.Type)
	}
	for _, p := range j.Parameters {
		s.Parameters = append(s.Parameters, connectors.Parameter(p))
	}
	var err error
	if s.Type == connectors.Map {
		if s.Key, err = fromJSON(j.Key, depth-1); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
	}
	if s.Type == connectors.Map || s.Type == connectors.Array {
		if s.Elem, err = fromJSON(j.Elem, depth-1); err != nil {
			return nil, fmt.Errorf("element: %w", err)
		}
	}
	if s.Type == connectors.Struct {
		for _, f := range j.Fields {
			field, err := fromJSON(f.Schema, depth-1)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			s.Fields = append(s.Fields, connectors.Field{Name: f.Name, Schema: field})
		}
	}
	return s, readDefault(s, j)
}

func readDefault(s *connectors.Schema, j *schemaJSON) error {
	if j.Null {
		null := connectors.Null()
		s.Default = &null
		return nil
	}
	if j.Default == nil {
		return nil
	}
	v, rest, err := connectors.ReadValue(required(s), j.Default)
	if err == nil && len(rest) > 0 {
		err = connectors.ErrMalformed
	}
	if err != nil {
		return fmt.Errorf("default: %w", err)
	}
	s.Default = &v
	return nil
}

// typeOf returns the type of that name, or Invalid.
func typeOf(name string) connectors.Type {
	for t := connectors.Int8; t <= connectors.Struct; t++ {
		if t.String() == name {
			return t
		}
	}
	return connectors.Invalid
}
