package transforms

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func headerToValueDefinition() *configs.Definition {
	list := func(name, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.List, Required: true, Importance: configs.High, Doc: doc}
	}
	return &configs.Definition{
		Keys: []configs.Key{list("headers", "Names of the headers to bring into the value."),
			list("fields", "Fields that get them, one for each header; source.NAME is a field of the struct source."),
			{Name: "operation", Type: configs.String, Required: true, Enum: []string{"move", "copy"}, Importance: configs.High, Doc: "Whether the headers go or stay."}},
		Rules: []configs.Rule{configs.Check("As many fields as headers.", []string{"fields", "headers"}, func(v configs.Values) []configs.Problem {
			if len(v.List("fields")) == len(v.List("headers")) {
				return nil
			}
			return []configs.Problem{configs.KeyError("fields", "must have as many elements as headers")}
		})},
	}
}

// headerToValue is Debezium's HeaderToValue: it adds fields with the values of headers to the value, in the order of the
// record's headers. A header that a record does not have adds nothing to it, and nulls become defaults in the structs that
// get a field.
type headerToValue struct {
	headers []string
	fields  [][]string // paths
	move    bool
	arena   *arena
	split   splitter
	plans   cache[*headerPlans]
	found   []foundHeader // of the record at hand
}

// foundHeader is a header that is to become a field.
type foundHeader struct {
	path  []string
	value connectors.Data
}

// headerPlans are the plans for the values of one schema: one for each set of headers that came with them.
type headerPlans struct{ list []headerPlan }

type headerPlan struct {
	with []foundHeader // their paths and schemas
	plan *plan
}

func newHeaderToValue(v configs.Values, _ side, a *arena) (transform, error) {
	t := &headerToValue{headers: v.List("headers"), move: v.String("operation") == "move", arena: a}
	for _, f := range v.List("fields") {
		t.fields = append(t.fields, strings.Split(f, "."))
	}
	return t, nil
}

func (t *headerToValue) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) {
		return true, nil
	}
	src, err := structContent(r.Value)
	if err != nil {
		return false, err
	}
	if err := t.find(r); err != nil || len(t.found) == 0 {
		return err == nil, err
	}
	p, err := t.plan(r.Value.Schema)
	if err != nil {
		return false, err
	}
	raws, err := t.split.split(r.Value.Schema, src)
	if err != nil {
		return false, err
	}
	out, err := p.run(t.arena.take(), raws, r)
	if err != nil {
		return false, err
	}
	r.Value = connectors.Data{Schema: p.out, Bytes: t.arena.keep(out)}
	if t.move {
		r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), func(h connectors.Header) bool { return slices.Contains(t.headers, h.Key) })
	}
	return true, nil
}

// find looks for the headers of a record.
func (t *headerToValue) find(r *connectors.Record) error {
	t.found = t.found[:0]
	for _, h := range r.Headers {
		i := slices.Index(t.headers, h.Key)
		if i < 0 {
			continue
		}
		if h.Value.Schema == nil {
			return fmt.Errorf("header %s has no schema", h.Key)
		}
		t.found = append(t.found, foundHeader{t.fields[i], h.Value})
	}
	return nil
}

func (t *headerToValue) plan(s *connectors.Schema) (*plan, error) {
	plans, err := t.plans.get(s, func(*connectors.Schema) (*headerPlans, error) { return &headerPlans{}, nil })
	if err != nil {
		return nil, err
	}
	same := func(a, b foundHeader) bool { return a.value.Schema == b.value.Schema && slices.Equal(a.path, b.path) }
	for _, known := range plans.list {
		if slices.EqualFunc(known.with, t.found, same) {
			return known.plan, nil
		}
	}
	for _, h := range t.found {
		if err := reachable(s, h.path); err != nil {
			return nil, err
		}
	}
	p, err := t.build(s, nil)
	if err != nil {
		return nil, err
	}
	if len(plans.list) >= cacheSize {
		plans.list = nil
	}
	with := slices.Clone(t.found)
	for i := range with {
		with[i].value.Bytes = nil // of the record, which goes
	}
	plans.list = append(plans.list, headerPlan{with, p})
	return p, nil
}

// reachable checks that a path goes through structs.
func reachable(s *connectors.Schema, path []string) error {
	for _, name := range path[:len(path)-1] {
		i := s.FieldIndex(name)
		if i < 0 || s.Fields[i].Schema.Type != connectors.Struct {
			return fmt.Errorf("field %s: there is no struct %s", strings.Join(path, "."), name)
		}
		s = s.Fields[i].Schema
	}
	return nil
}

// build makes the plan of the struct at a path.
func (t *headerToValue) build(s *connectors.Schema, path []string) (*plan, error) {
	p := &plan{out: basics(s)}
	p.out.Optional = len(path) > 0 && s.Optional
	for i, f := range s.Fields {
		o, err := copyOp(s, i, true)
		if err != nil {
			return nil, err
		}
		if below := append(slices.Clone(path), f.Name); t.reaches(below) {
			inner, err := t.build(f.Schema, below)
			if err != nil {
				return nil, err
			}
			o.convert, f.Schema = inStruct(f.Schema, inner), inner.out
		}
		p.out.Fields, p.ops = append(p.out.Fields, f), append(p.ops, o)
	}
	for i, h := range t.found {
		above, name := h.path[:len(h.path)-1], h.path[len(h.path)-1]
		if !slices.Equal(above, path) {
			continue
		}
		if p.out.FieldIndex(name) >= 0 {
			return nil, fmt.Errorf("there is a field %s already", strings.Join(h.path, "."))
		}
		p.out.Fields = append(p.out.Fields, connectors.Field{Name: name, Schema: h.value.Schema})
		p.ops = append(p.ops, op{from: -1, convert: func(dst, _ []byte, _ *connectors.Record) ([]byte, error) {
			return append(dst, t.found[i].value.Bytes...), nil
		}})
	}
	return p, nil
}

// reaches reports whether a field is to be added below the path.
func (t *headerToValue) reaches(path []string) bool {
	return slices.ContainsFunc(t.found, func(h foundHeader) bool { return len(h.path) > len(path) && slices.Equal(h.path[:len(path)], path) })
}

// inStruct runs a plan on a struct within another; null stays null.
func inStruct(s *connectors.Schema, p *plan) func(dst, raw []byte, r *connectors.Record) ([]byte, error) {
	var split splitter
	return func(dst, raw []byte, r *connectors.Record) ([]byte, error) {
		present, src, err := connectors.ReadPresent(s, raw)
		if err != nil || !present {
			return connectors.AppendNull(dst, p.out), err
		}
		raws, err := split.split(s, src)
		if err != nil {
			return dst, err
		}
		return p.run(dst, raws, r)
	}
}
