package transforms

import (
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func valueToKeyDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "fields", Type: configs.List, Required: true, Importance: configs.High, Doc: "Fields of the value that make the key."}, replaceNull()}}
}

// valueToKey makes the key a struct of fields of the value.
type valueToKey struct {
	fields   []string
	defaults bool
	arena    *arena
	split    splitter
	plans    cache[*plan]
	object   object
}

func newValueToKey(v configs.Values, _ side, a *arena) (transform, error) {
	return &valueToKey{fields: v.List("fields"), defaults: v.Bool("replace.null.with.default"), arena: a}, nil
}

func (t *valueToKey) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) {
		return false, errors.New("a tombstone has no fields for the key; leave it out by a negated predicate RecordIsTombstone")
	}
	if r.Value.Schema == nil {
		return true, t.schemaless(r)
	}
	p, err := t.plans.get(r.Value.Schema, t.build)
	if err != nil {
		return false, err
	}
	raws, err := t.split.fields(r.Value)
	if err != nil {
		return false, err
	}
	out, err := p.run(t.arena.take(), raws, r)
	if err != nil {
		return false, err
	}
	r.Key = connectors.Data{Schema: p.out, Bytes: t.arena.keep(out)}
	return true, nil
}

func (t *valueToKey) schemaless(r *connectors.Record) error {
	if err := t.object.parse(r.Value); err != nil {
		return err
	}
	var key object
	for _, name := range t.fields {
		value := t.object.get(name)
		if value == nil {
			value = []byte("null")
		}
		key.set(name, value)
	}
	r.Key = key.data(t.arena)
	return nil
}

func (t *valueToKey) build(s *connectors.Schema) (*plan, error) {
	p := &plan{out: &connectors.Schema{Type: connectors.Struct}}
	for _, name := range t.fields {
		i := s.FieldIndex(name)
		if i < 0 {
			return nil, fmt.Errorf("there is no field %s", name)
		}
		o, err := copyOp(s, i, t.defaults)
		if err != nil {
			return nil, err
		}
		p.out.Fields = append(p.out.Fields, s.Fields[i])
		p.ops = append(p.ops, o)
	}
	return p, nil
}
