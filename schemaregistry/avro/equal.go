package avro

import "slices"

// Equal reports whether a and b are one schema to a registry: the same types, names, fields, defaults, orders and
// properties (in any order of those), and the same docs, aliases and enum defaults. Spelling is not looked at.
func Equal(a, b *Schema) bool {
	c := comparison{texts: true}
	return c.equal(a, b)
}

// comparison compares graphs: a pair that has been met is taken as equal, so that cycles end.
type comparison struct {
	texts bool // docs, aliases and enum defaults count
	met   map[[2]*Schema]bool
}

func (c *comparison) equal(a, b *Schema) bool {
	if a == b {
		return true
	}
	if a.Type != b.Type || a.Name != b.Name || a.Size != b.Size || a.isError != b.isError ||
		len(a.Fields) != len(b.Fields) || len(a.Branches) != len(b.Branches) ||
		!slices.Equal(a.Symbols, b.Symbols) || !equalProps(a.props, b.props) {
		return false
	}
	if c.texts && !(equalText(a.doc, b.doc) && equalText(a.enumDefault, b.enumDefault) && equalSet(a.Aliases, b.Aliases)) {
		return false
	}
	if a.Type < Record {
		return true
	}
	pair := [2]*Schema{a, b}
	if c.met[pair] {
		return true
	}
	if c.met == nil {
		c.met = make(map[[2]*Schema]bool)
	}
	c.met[pair] = true
	for i := range a.Fields {
		if !c.equalField(&a.Fields[i], &b.Fields[i]) {
			return false
		}
	}
	for i := range a.Branches {
		if !c.equal(a.Branches[i], b.Branches[i]) {
			return false
		}
	}
	return a.Elem == nil || c.equal(a.Elem, b.Elem)
}

func (c *comparison) equalField(a, b *Field) bool {
	if a.Name != b.Name || ascending(a.order) != ascending(b.order) || !equalNode(a.def, b.def) || !equalProps(a.props, b.props) {
		return false
	}
	if c.texts && !(equalText(a.doc, b.doc) && equalSet(a.Aliases, b.Aliases)) {
		return false
	}
	return c.equal(a.Schema, b.Schema)
}

func ascending(order string) string {
	if order == "" {
		return "ascending"
	}
	return order
}

func equalText(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func equalSet(a, b []string) bool {
	if slices.Equal(a, b) {
		return true
	}
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func equalProps(a, b []prop) bool {
	if len(a) != len(b) {
		return false
	}
	x, y := &node{kind: objectNode}, &node{kind: objectNode}
	for i := range a {
		x.set(a[i].name, a[i].value)
		y.set(b[i].name, b[i].value)
	}
	return equalNode(x, y)
}

// equalNode compares JSON values; the order of members does not count.
func equalNode(a, b *node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) {
		return false
	}
	if a.kind != objectNode || slices.Equal(a.names, b.names) {
		for i := range a.items {
			if !equalNode(a.items[i], b.items[i]) {
				return false
			}
		}
		return true
	}
	others := make(map[string]*node, len(b.items))
	for i, name := range b.names {
		others[name] = b.items[i]
	}
	for i, name := range a.names {
		if other := others[name]; other == nil || !equalNode(a.items[i], other) {
			return false
		}
	}
	return true
}
