package transforms

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func maskFieldDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "fields", Type: configs.List, Required: true, Importance: configs.High, Doc: "Fields to mask."},
		{Name: "replacement", Type: configs.String, Importance: configs.Low,
			Doc: "What takes the place of numbers and strings; zero and the empty string if absent."}, replaceNull()}}
}

// maskField puts something meaningless of the same type in the place of values; null stays null.
type maskField struct {
	structs
	fields      []string
	replacement string
	defaults    bool
	object      object
}

func newMaskField(v configs.Values, at side, a *arena) (transform, error) {
	return &maskField{structs: structs{at: at, arena: a}, fields: v.List("fields"), replacement: v.String("replacement"),
		defaults: v.Bool("replace.null.with.default")}, nil
}

func (t *maskField) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema != nil:
		return true, t.structs.apply(r, t.build)
	}
	if err := t.object.parse(*d); err != nil {
		return false, err
	}
	for _, name := range t.fields {
		value := t.object.get(name)
		if value == nil || string(value) == "null" {
			t.object.set(name, []byte("null"))
			continue
		}
		masked, err := t.maskJSON(value)
		if err != nil {
			return false, fmt.Errorf("field %s: %w", name, err)
		}
		t.object.set(name, masked)
	}
	*d = t.object.data(t.arena)
	return true, nil
}

func (t *maskField) maskJSON(value []byte) ([]byte, error) {
	v, err := jsonValue(value)
	if err != nil && t.replacement != "" {
		return nil, fmt.Errorf("a replacement cannot stand for %.20s", value)
	}
	switch {
	case value[0] == '[' || value[0] == '{':
		return []byte{value[0], value[0] + 2}, nil
	case err != nil:
		return nil, err
	case v.Type == connectors.Boolean && t.replacement != "":
		return nil, fmt.Errorf("a replacement cannot stand for a boolean")
	case v.Type == connectors.Boolean:
		return []byte("false"), nil
	case v.Type == connectors.String:
		return jsonText(t.replacement), nil
	case t.replacement == "" && v.Type == connectors.Int64:
		return []byte("0"), nil
	case t.replacement == "":
		return []byte("0.0"), nil
	}
	if n, err := jsonValue([]byte(t.replacement)); err != nil || n.Type == connectors.String || n.Type == connectors.Boolean {
		return nil, fmt.Errorf("the replacement %q is no number", t.replacement)
	}
	return []byte(t.replacement), nil
}

func (t *maskField) build(s *connectors.Schema) (*plan, error) {
	out := *s
	p := &plan{out: &out}
	for i, f := range s.Fields {
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		if slices.Contains(t.fields, f.Name) {
			masked, err := t.masked(f.Schema)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			o.convert = func(dst, raw []byte, _ *connectors.Record) ([]byte, error) {
				if present, _, err := connectors.ReadPresent(f.Schema, raw); err != nil || !present {
					return append(dst, raw...), err
				}
				return append(connectors.AppendPresent(dst, f.Schema), masked...), nil
			}
		}
		p.ops = append(p.ops, o)
	}
	return p, nil
}

// masked returns the encoded value that stands for those of a schema, without the branch of a union.
func (t *maskField) masked(s *connectors.Schema) ([]byte, error) {
	plain := *s
	plain.Optional, plain.Default = false, nil
	decimal := s.Type == connectors.Bytes && s.Name == connectors.DecimalName
	if t.replacement == "" {
		switch {
		case decimal:
			return connectors.AppendBytes(nil, []byte{0}), nil
		case s.Type == connectors.Struct || s.Type == connectors.Bytes:
			return nil, fmt.Errorf("a value of type %s cannot be masked", s.Type)
		case s.Type == connectors.Float32:
			return connectors.AppendFloat32(nil, 0), nil
		case s.Type == connectors.Float64:
			return connectors.AppendFloat64(nil, 0), nil
		}
		return []byte{0}, nil // false, 0, the empty string, no items
	}
	switch {
	case s.Type == connectors.String:
		return connectors.AppendString(nil, t.replacement), nil
	case decimal || s.Type <= connectors.Float64 && s.Name == "":
		parser, err := connectors.NewJSONParser(&plain, connectors.JSONOptions{})
		if err != nil {
			return nil, err
		}
		b, err := parser.Append(nil, []byte(t.replacement))
		if err != nil {
			return nil, fmt.Errorf("the replacement %q is no %s", t.replacement, s.Type)
		}
		return b, nil
	}
	return nil, fmt.Errorf("a replacement cannot stand for a value of type %s", s.Type)
}
