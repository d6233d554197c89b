package transforms

import (
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func flattenDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{{Name: "delimiter", Type: configs.String, Default: ".", DefaultEmpty: true, Importance: configs.Medium,
		Doc: "What stands between the names of the fields that lead to a value."}}}
}

// flatten brings the fields of nested structs to the top, under names made of their paths. Arrays stay whole.
type flatten struct {
	at        side
	delimiter string
	arena     *arena
	plans     cache[*flatPlan]
	object    object
}

type flatPlan struct {
	out  *connectors.Schema
	root flatNode
}

// flatNode is a field of the original: a struct with nodes in it, or a leaf.
type flatNode struct {
	schema *connectors.Schema
	nodes  []flatNode
	to     *connectors.Schema // of a leaf
	absent []byte             // what a leaf is if it, or a struct around it, is null
}

func newFlatten(v configs.Values, at side, a *arena) (transform, error) {
	return &flatten{at: at, delimiter: v.String("delimiter"), arena: a}, nil
}

func (t *flatten) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	if isNull(*d) {
		return true, nil
	}
	if d.Schema == nil {
		if err := t.object.parse(*d); err != nil {
			return false, err
		}
		var flat object
		if err := t.flattenJSON(&flat, t.object.members, "", maxFlatten); err != nil {
			return false, err
		}
		*d = flat.data(t.arena)
		return true, nil
	}
	p, err := t.plans.get(d.Schema, t.build)
	if err != nil {
		return false, err
	}
	out, rest, err := p.root.emit(t.arena.take(), d.Bytes)
	if err == nil && len(rest) > 0 {
		err = connectors.ErrMalformed
	}
	if err != nil {
		return false, err
	}
	*d = connectors.Data{Schema: p.out, Bytes: t.arena.keep(out)}
	return true, nil
}

// maxFlatten is how deep JSON objects may be nested.
const maxFlatten = 100

func (t *flatten) path(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + t.delimiter + name
}

func (t *flatten) flattenJSON(flat *object, members []member, prefix string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("the value is nested too deeply")
	}
	for _, m := range members {
		name := t.path(prefix, m.name)
		if m.value[0] != '{' {
			flat.set(name, m.value)
			continue
		}
		var inner object
		if err := inner.parse(connectors.Data{Bytes: m.value}); err != nil {
			return err
		}
		if err := t.flattenJSON(flat, inner.members, name, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (t *flatten) build(s *connectors.Schema) (*flatPlan, error) {
	if s.Type != connectors.Struct {
		return nil, fmt.Errorf("the transform works on structs, and this is of type %s", s.Type)
	}
	p := &flatPlan{out: basics(s)}
	root, err := t.node(p.out, s, "", false)
	p.root = root
	return p, err
}

// node compiles a struct and appends its leaves to the fields of out.
func (t *flatten) node(out, s *connectors.Schema, prefix string, optional bool) (n flatNode, err error) {
	n.schema = s
	optional = optional || s.Optional
	for _, f := range s.Fields {
		name := t.path(prefix, f.Name)
		switch f.Schema.Type {
		case connectors.Struct:
			inner, err := t.node(out, f.Schema, name, optional)
			if err != nil {
				return n, err
			}
			n.nodes = append(n.nodes, inner)
			continue
		case connectors.Map:
			return n, fmt.Errorf("field %s is a map, which has no fields to flatten", name)
		}
		if out.FieldIndex(name) >= 0 {
			return n, fmt.Errorf("two fields would be called %s", name)
		}
		to := *f.Schema
		to.Optional = to.Optional || optional
		leaf := flatNode{schema: f.Schema, to: &to}
		if to.Default != nil && !to.Default.IsNull() {
			if leaf.absent, err = connectors.AppendValue(nil, &to, *to.Default); err != nil {
				return n, fmt.Errorf("default of field %s: %w", name, err)
			}
		} else if to.Optional {
			leaf.absent = connectors.AppendNull(nil, &to)
		}
		out.Fields = append(out.Fields, connectors.Field{Name: name, Schema: &to})
		n.nodes = append(n.nodes, leaf)
	}
	return n, nil
}

func (n *flatNode) emit(dst, src []byte) (out, rest []byte, err error) {
	present, content, err := connectors.ReadPresent(n.schema, src)
	switch {
	case err != nil:
		return dst, nil, err
	case !present:
		return n.emitAbsent(dst), content, nil
	case n.to != nil:
		if rest, err = connectors.SkipValue(n.schema, src); err != nil {
			return dst, nil, err
		}
		return append(connectors.AppendPresent(dst, n.to), content[:len(content)-len(rest)]...), rest, nil
	}
	for i := range n.nodes {
		if dst, content, err = n.nodes[i].emit(dst, content); err != nil {
			return dst, nil, err
		}
	}
	return dst, content, nil
}

func (n *flatNode) emitAbsent(dst []byte) []byte {
	if n.to != nil {
		return append(dst, n.absent...)
	}
	for i := range n.nodes {
		dst = n.nodes[i].emitAbsent(dst)
	}
	return dst
}
