package transforms

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func headerFromDefinition() *configs.Definition {
	list := func(name, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.List, Required: true, Importance: configs.High, Doc: doc}
	}
	return &configs.Definition{
		Keys: []configs.Key{list("fields", "Fields to bring into headers."), list("headers", "Names of the headers, one for each field."),
			{Name: "operation", Type: configs.String, Required: true, Enum: []string{"move", "copy"}, Importance: configs.High, Doc: "Whether the fields go or stay."},
			replaceNull()},
		Rules: []configs.Rule{configs.Check("As many headers as fields.", []string{"fields", "headers"}, func(v configs.Values) []configs.Problem {
			if len(v.List("fields")) == len(v.List("headers")) {
				return nil
			}
			return []configs.Problem{configs.KeyError("headers", "must have as many elements as fields")}
		})},
	}
}

// headerFrom brings fields into headers.
type headerFrom struct {
	structs
	fields, headers []string
	move, defaults  bool
	from            cache[[]op] // of the headers
	object          object
}

func newHeaderFrom(v configs.Values, at side, a *arena) (transform, error) {
	return &headerFrom{structs: structs{at: at, arena: a}, fields: v.List("fields"), headers: v.List("headers"),
		move: v.String("operation") == "move", defaults: v.Bool("replace.null.with.default")}, nil
}

func (t *headerFrom) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	switch {
	case isNull(*d):
		return true, nil
	case d.Schema == nil:
		return true, t.schemaless(r, d)
	}
	ops, err := t.from.get(d.Schema, t.find)
	if err != nil {
		return false, err
	}
	raws, err := t.split.fields(*d)
	if err != nil {
		return false, err
	}
	for i, o := range ops {
		raw := raws[o.from]
		if o.instead != nil && raw[0] == o.null {
			raw = o.instead
		}
		appendHeader(r, connectors.Header{Key: t.headers[i], Value: connectors.Data{Schema: d.Schema.Fields[o.from].Schema, Bytes: raw}})
	}
	if !t.move {
		return true, nil
	}
	return true, t.structs.apply(r, t.build)
}

func (t *headerFrom) schemaless(r *connectors.Record, d *connectors.Data) error {
	if err := t.object.parse(*d); err != nil {
		return err
	}
	for i, name := range t.fields {
		appendHeader(r, connectors.Header{Key: t.headers[i], Value: schemaless(t.object.get(name))})
	}
	if t.move {
		for _, name := range t.fields {
			t.object.remove(name)
		}
		*d = t.object.data(t.arena)
	}
	return nil
}

func (t *headerFrom) find(s *connectors.Schema) (ops []op, err error) {
	for _, name := range t.fields {
		i := s.FieldIndex(name)
		if i < 0 {
			return nil, fmt.Errorf("there is no field %s", name)
		}
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		ops = append(ops, o)
	}
	return ops, nil
}

func (t *headerFrom) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: basics(s)}
	for i, f := range s.Fields {
		if slices.Contains(t.fields, f.Name) {
			continue
		}
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		p.out.Fields = append(p.out.Fields, f)
		p.ops = append(p.ops, o)
	}
	return p, nil
}
