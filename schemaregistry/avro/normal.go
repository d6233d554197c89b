package avro

import (
	"cmp"
	"slices"
)

// Normal returns s with everything in one order that may come in any: properties sorted by name, and inside their
// values too, aliases sorted, empty docs dropped. Two texts that differ in nothing else have one normal form.
func (s *Schema) Normal() *Schema { return normalizer{}.schema(s) }

// normalizer maps what has been met to its copy.
type normalizer map[*Schema]*Schema

func (m normalizer) schema(s *Schema) *Schema {
	if s == nil {
		return nil
	}
	if c := m[s]; c != nil {
		return c
	}
	c := *s
	m[s] = &c
	c.props, c.doc, c.Aliases = sortedProps(s.props), notEmpty(s.doc), sortedNames(s.Aliases)
	c.Elem = m.schema(s.Elem)
	c.Branches = slices.Clone(s.Branches)
	for i := range c.Branches {
		c.Branches[i] = m.schema(c.Branches[i])
	}
	c.Fields = slices.Clone(s.Fields)
	for i := range c.Fields {
		f := &c.Fields[i]
		f.Schema, f.props, f.doc, f.Aliases = m.schema(f.Schema), sortedProps(f.props), notEmpty(f.doc), sortedNames(f.Aliases)
	}
	return &c
}

func notEmpty(doc *string) *string {
	if doc != nil && *doc == "" {
		return nil
	}
	return doc
}

func sortedNames(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}

func sortedProps(props []prop) []prop {
	props = slices.Clone(props)
	for i := range props {
		props[i].value = sortedNode(props[i].value)
	}
	slices.SortFunc(props, func(a, b prop) int { return cmp.Compare(a.name, b.name) })
	return props
}

func sortedNode(n *node) *node {
	c := *n
	c.items, c.names = nil, nil
	order := make([]int, len(n.items))
	for i := range order {
		order[i] = i
	}
	if n.kind == objectNode {
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(n.names[a], n.names[b]) })
	}
	for _, i := range order {
		if n.kind == objectNode {
			c.names = append(c.names, n.names[i])
		}
		c.items = append(c.items, sortedNode(n.items[i]))
	}
	return &c
}
