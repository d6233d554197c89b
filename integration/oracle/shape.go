package oracle

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// shape is a schema on its way to a text. Shapes of named types may be used in several places, and in themselves.
type shape struct {
	kind      string // "record", "union", "int", …
	name      string // of a named type; simple
	namespace string
	doc       string
	aliases   []string
	fields    []*field
	symbols   []string
	def       string // of an enum, "" for none
	size      int
	elem      *shape // of an array or map
	branches  []*shape
	props     []string // "name":value
}

type field struct {
	name    string
	of      *shape
	doc     string
	def     string // JSON, "" for none
	order   string
	aliases []string
	props   []string
}

func (s *shape) full() string {
	if s.namespace == "" {
		return s.name
	}
	return s.namespace + "." + s.name
}

func (s *shape) named() bool {
	return s.kind == "record" || s.kind == "error" || s.kind == "enum" || s.kind == "fixed"
}

// copied returns a copy of the graph that shares nothing with it.
func (s *shape) copied(done map[*shape]*shape) *shape {
	if s == nil {
		return nil
	}
	if c := done[s]; c != nil {
		return c
	}
	c := *s
	done[s] = &c
	c.aliases, c.symbols, c.props = append([]string(nil), s.aliases...), append([]string(nil), s.symbols...), append([]string(nil), s.props...)
	c.elem = s.elem.copied(done)
	c.branches, c.fields = nil, nil
	for _, b := range s.branches {
		c.branches = append(c.branches, b.copied(done))
	}
	for _, f := range s.fields {
		g := *f
		g.of, g.aliases = f.of.copied(done), append([]string(nil), f.aliases...)
		c.fields = append(c.fields, &g)
	}
	return &c
}

// slots returns pointers to every place in the graph that holds a schema, the root among them.
func slots(root **shape) []**shape {
	var list []**shape
	seen := make(map[*shape]bool)
	var walk func(at **shape)
	walk = func(at **shape) {
		list = append(list, at)
		s := *at
		if seen[s] {
			return
		}
		seen[s] = true
		if s.elem != nil {
			walk(&s.elem)
		}
		for i := range s.branches {
			walk(&s.branches[i])
		}
		for _, f := range s.fields {
			walk(&f.of)
		}
	}
	walk(root)
	return list
}

// spelling writes shapes as texts, each time a little differently: the order of members, spaces, long and short names.
type spelling struct {
	*rand.Rand
	defined map[*shape]bool
}

func (r *spelling) text(s *shape, namespace string) string {
	switch {
	case s.kind == "union":
		var list []string
		for _, b := range s.branches {
			list = append(list, r.text(b, namespace))
		}
		return "[" + strings.Join(list, ","+r.space()) + "]"
	case s.named() && r.defined[s] && (isRecord(s) && len(s.fields) > 0 || r.IntN(40) > 0):
		return r.reference(s, namespace)
	case !s.named() && s.elem == nil && len(s.props) == 0 && r.IntN(4) > 0:
		return quote(s.kind)
	}
	members := []string{`"type":` + r.space() + quote(s.kind)}
	if s.named() {
		r.defined[s] = true
		members = append(members, r.name(s, namespace)...)
		namespace = s.namespace
	}
	if s.doc != "" {
		members = append(members, `"doc":`+quote(s.doc))
	}
	if s.aliases != nil {
		members = append(members, `"aliases":`+list(s.aliases))
	}
	switch s.kind {
	case "record", "error":
		members = append(members, `"fields":`+r.fields(s, namespace))
	case "enum":
		members = append(members, `"symbols":`+list(s.symbols))
		if s.def != "" {
			members = append(members, `"default":`+quote(s.def))
		}
	case "fixed":
		members = append(members, fmt.Sprintf(`"size":%d`, s.size))
	case "array":
		members = append(members, `"items":`+r.text(s.elem, namespace))
	case "map":
		members = append(members, `"values":`+r.text(s.elem, namespace))
	}
	return r.object(append(members, s.props...))
}

func (r *spelling) space() string { return []string{"", "", "", " ", "\n "}[r.IntN(5)] }

// object puts the members in some order.
func (r *spelling) object(members []string) string {
	if r.IntN(3) == 0 {
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	}
	return "{" + strings.Join(members, ","+r.space()) + "}"
}

// name returns the members that name a type: with a namespace, or with dots, or as the surroundings have it.
func (r *spelling) name(s *shape, namespace string) []string {
	switch {
	case s.namespace == namespace && r.IntN(2) == 0:
		return []string{`"name":` + quote(s.name)}
	case s.namespace != "" && r.IntN(2) == 0:
		return []string{`"name":` + quote(s.full())}
	}
	return []string{`"name":` + quote(s.name), `"namespace":` + quote(s.namespace)}
}

func (r *spelling) reference(s *shape, namespace string) string {
	if s.namespace == namespace && r.IntN(2) == 0 {
		return quote(s.name)
	}
	return quote(s.full())
}

func (r *spelling) fields(s *shape, namespace string) string {
	var list []string
	for _, f := range s.fields {
		list = append(list, r.field(f, namespace))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (r *spelling) field(f *field, namespace string) string {
	members := []string{`"name":` + quote(f.name), `"type":` + r.text(f.of, namespace)}
	if f.doc != "" {
		members = append(members, `"doc":`+quote(f.doc))
	}
	if f.def != "" {
		members = append(members, `"default":`+f.def)
	}
	if f.order != "" {
		members = append(members, `"order":`+quote(f.order))
	}
	if f.aliases != nil {
		members = append(members, `"aliases":`+list(f.aliases))
	}
	return r.object(append(members, f.props...))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(b)
}

func list(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, quote(n))
	}
	return "[" + strings.Join(quoted, ",") + "]"
}
