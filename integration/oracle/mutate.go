package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// mutation is one kind of change to a schema. It reports whether there was anything to change.
type mutation struct {
	name  string
	apply func(g *generator, root **shape) bool
}

// mutations are all kinds of changes that compatibility is, or is not, about.
func mutations() []mutation {
	return []mutation{
		{"another primitive", onPrimitive((*generator).anotherPrimitive)},
		{"promoted", onPrimitive((*generator).promoted)},
		{"logical type", onPrimitive((*generator).anotherLogical)},
		{"nullable", (*generator).nullable},
		{"out of its union", (*generator).unwrapped},
		{"branch added", on(isUnion, (*generator).branchAdded)},
		{"branch removed", on(isUnion, (*generator).branchRemoved)},
		{"branches reordered", on(isUnion, (*generator).branchesShuffled)},
		{"field added with default", on(isRecord, func(g *generator, s *shape) bool { return g.fieldAdded(s, true) })},
		{"field added without", on(isRecord, func(g *generator, s *shape) bool { return g.fieldAdded(s, false) })},
		{"field removed", onField((*generator).fieldRemoved)},
		{"field renamed", onField((*generator).fieldRenamed)},
		{"field renamed with alias", onField((*generator).fieldAliased)},
		{"alias is another field", onField((*generator).fieldAmbiguous)},
		{"fields reordered", on(isRecord, (*generator).fieldsShuffled)},
		{"default removed", onField(func(_ *generator, _ *shape, f *field) bool { f.def = ""; return true })},
		{"default changed", onField(func(g *generator, _ *shape, f *field) bool { f.def = g.value(f.of, 3); return true })},
		{"order of a field", onField(func(g *generator, _ *shape, f *field) bool {
			f.order = pick(g.Rand, "", "descending", "ignore")
			return true
		})},
		{"record is error", on(isRecord, func(_ *generator, s *shape) bool {
			s.kind = map[string]string{"record": "error", "error": "record"}[s.kind]
			return true
		})},
		{"type renamed", on((*shape).named, (*generator).typeRenamed)},
		{"type renamed with alias", on((*shape).named, (*generator).typeAliased)},
		{"type in another namespace", on((*shape).named, (*generator).typeMoved)},
		{"aliases", on((*shape).named, func(g *generator, s *shape) bool { s.aliases = g.typeAliases(); return true })},
		{"symbol added", on(isEnum, (*generator).symbolAdded)},
		{"symbol removed", on(isEnum, (*generator).symbolRemoved)},
		{"symbols reordered", on(isEnum, (*generator).symbolsShuffled)},
		{"enum default", on(isEnum, (*generator).enumDefault)},
		{"size", on(isFixed, func(g *generator, s *shape) bool { s.size = pick(g.Rand, 0, 1, 2, 4, 16); return true })},
		{"array is map", on(isCollection, func(_ *generator, s *shape) bool {
			s.kind = map[string]string{"array": "map", "map": "array"}[s.kind]
			return true
		})},
		{"made recursive", (*generator).recursive},
		{"replaced", (*generator).replaced},
		{"doc and properties", (*generator).described},
	}
}

// mutated returns a copy of the schema with up to three changes.
func (g *generator) mutated(s *shape) *shape {
	root := s.copied(make(map[*shape]*shape))
	g.types = nil
	for _, at := range slots(&root) {
		if (*at).named() && !slices.Contains(g.types, *at) {
			g.types = append(g.types, *at)
		}
	}
	all := mutations()
	for range 1 + g.IntN(3) {
		for range 20 { // until one finds something to change
			if m := pick(g.Rand, all...); m.apply(g, &root) {
				g.counts[m.name]++
				break
			}
		}
	}
	return root
}

func isRecord(s *shape) bool     { return s.kind == "record" || s.kind == "error" }
func isUnion(s *shape) bool      { return s.kind == "union" }
func isEnum(s *shape) bool       { return s.kind == "enum" }
func isFixed(s *shape) bool      { return s.kind == "fixed" }
func isCollection(s *shape) bool { return s.elem != nil }
func isPrimitive(s *shape) bool {
	return !s.named() && s.elem == nil && s.kind != "union"
}

// place returns a place in the graph whose schema is such, nil if there is none.
func (g *generator) place(root **shape, such func(*shape) bool) **shape {
	all := slices.DeleteFunc(slots(root), func(at **shape) bool { return !such(*at) })
	if len(all) == 0 {
		return nil
	}
	return pick(g.Rand, all...)
}

func on(such func(*shape) bool, change func(*generator, *shape) bool) func(*generator, **shape) bool {
	return func(g *generator, root **shape) bool {
		at := g.place(root, such)
		return at != nil && change(g, *at)
	}
}

func onPrimitive(change func(*generator, *shape) bool) func(*generator, **shape) bool {
	return on(isPrimitive, change)
}

func onField(change func(*generator, *shape, *field) bool) func(*generator, **shape) bool {
	return on(func(s *shape) bool { return len(s.fields) > 0 }, func(g *generator, s *shape) bool {
		return change(g, s, pick(g.Rand, s.fields...))
	})
}

func (g *generator) anotherPrimitive(s *shape) bool {
	*s = *g.leaf()
	return true
}

func (g *generator) promoted(s *shape) bool {
	to := map[string][]string{"int": {"long", "float", "double"}, "long": {"float", "double", "int"}, "float": {"double", "long"},
		"string": {"bytes"}, "bytes": {"string"}, "double": {"float"}}[s.kind]
	if to == nil {
		return false
	}
	s.kind = pick(g.Rand, to...)
	return true
}

func (g *generator) anotherLogical(s *shape) bool {
	s.props = g.logical(s.kind)
	return true
}

func (g *generator) nullable(root **shape) bool {
	at := g.place(root, func(s *shape) bool { return s.kind != "union" && s.kind != "null" })
	if at == nil {
		return false
	}
	*at = &shape{kind: "union", branches: []*shape{{kind: "null"}, *at}}
	return true
}

func (g *generator) unwrapped(root **shape) bool {
	at := g.place(root, func(s *shape) bool { return len(s.branches) > 0 })
	if at == nil {
		return false
	}
	*at = pick(g.Rand, (*at).branches...)
	return true
}

func (g *generator) branchAdded(s *shape) bool {
	if b := g.any(1); b.kind != "union" {
		s.branches = slices.Insert(s.branches, g.IntN(len(s.branches)+1), b)
	}
	return true
}

func (g *generator) branchRemoved(s *shape) bool {
	if len(s.branches) == 0 {
		return false
	}
	i := g.IntN(len(s.branches))
	s.branches = slices.Delete(s.branches, i, i+1)
	return true
}

func (g *generator) branchesShuffled(s *shape) bool {
	g.Shuffle(len(s.branches), func(i, j int) { s.branches[i], s.branches[j] = s.branches[j], s.branches[i] })
	return true
}

func (g *generator) fieldAdded(s *shape, withDefault bool) bool {
	f := g.field(1)
	if s.field(f.name) != nil {
		return false
	}
	f.def = ""
	if withDefault {
		f.def = g.value(f.of, 3)
	}
	s.fields = slices.Insert(s.fields, g.IntN(len(s.fields)+1), f)
	return true
}

func (g *generator) fieldRemoved(s *shape, f *field) bool {
	s.fields = slices.DeleteFunc(s.fields, func(o *field) bool { return o == f })
	return true
}

func (g *generator) fieldRenamed(s *shape, f *field) bool {
	name := g.fieldName()
	if s.field(name) != nil {
		return false
	}
	f.name = name
	return true
}

func (g *generator) fieldAliased(s *shape, f *field) bool {
	f.aliases = append(f.aliases, f.name)
	return g.fieldRenamed(s, f)
}

func (g *generator) fieldAmbiguous(s *shape, f *field) bool {
	f.aliases = append(f.aliases, pick(g.Rand, s.fields...).name)
	return true
}

func (g *generator) fieldsShuffled(s *shape) bool {
	g.Shuffle(len(s.fields), func(i, j int) { s.fields[i], s.fields[j] = s.fields[j], s.fields[i] })
	return true
}

func (g *generator) typeRenamed(s *shape) bool {
	s.name = fmt.Sprintf("%s%d", pick(g.Rand, "A", "B", "C"), 10+g.IntN(8))
	return true
}

func (g *generator) typeAliased(s *shape) bool {
	s.aliases = append(s.aliases, pick(g.Rand, s.full(), s.name))
	return g.typeRenamed(s)
}

func (g *generator) typeMoved(s *shape) bool {
	s.namespace = pick(g.Rand, "", "n", "n.s", "other")
	return true
}

func (g *generator) symbolAdded(s *shape) bool {
	name := pick(g.Rand, "P", "Q", "R", "S", "T", "U", "V")
	if slices.Contains(s.symbols, name) {
		return false
	}
	s.symbols = append(s.symbols, name)
	return true
}

func (g *generator) symbolRemoved(s *shape) bool {
	if len(s.symbols) == 0 {
		return false
	}
	i := g.IntN(len(s.symbols))
	if s.symbols[i] == s.def && !g.chance(10) {
		s.def = ""
	}
	s.symbols = slices.Delete(s.symbols, i, i+1)
	return true
}

func (g *generator) symbolsShuffled(s *shape) bool {
	g.Shuffle(len(s.symbols), func(i, j int) { s.symbols[i], s.symbols[j] = s.symbols[j], s.symbols[i] })
	return true
}

func (g *generator) enumDefault(s *shape) bool {
	s.def = pick(g.Rand, append(s.symbols, "")...)
	return true
}

func (g *generator) recursive(root **shape) bool {
	record := g.place(root, func(s *shape) bool { return len(s.fields) > 0 })
	if record == nil {
		return false
	}
	f, self := pick(g.Rand, (*record).fields...), *record
	f.of = pick(g.Rand, self, &shape{kind: "array", elem: self}, &shape{kind: "map", elem: self},
		&shape{kind: "union", branches: []*shape{{kind: "null"}, self}})
	if f.def != "" {
		f.def = strings.TrimSpace(pick(g.Rand, "", "null", "[]", "{}"))
	}
	return true
}

func (g *generator) replaced(root **shape) bool {
	*g.place(root, func(*shape) bool { return true }) = g.any(2)
	return true
}

func (g *generator) described(root **shape) bool {
	s := *g.place(root, func(*shape) bool { return true })
	if s.kind == "union" {
		return false
	}
	s.doc, s.props = pick(g.Rand, "", "another doc"), g.logical("other")
	return true
}
