package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator makes up schemas. The same seed makes the same ones.
type generator struct {
	*rand.Rand
	types  []*shape // named ones of the schema that is being made, whole or not
	counts map[string]int
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 1)), counts: make(map[string]int)}
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// chance is true in one of n cases.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// text spells a schema.
func (g *generator) text(s *shape) string {
	r := spelling{g.Rand, make(map[*shape]bool)}
	return r.text(s, "")
}

// schema makes up a whole schema: a record mostly, as they are in use.
func (g *generator) schema() *shape {
	g.types = nil
	if g.chance(4) {
		return g.any(3)
	}
	return g.record(3)
}

func (g *generator) any(depth int) *shape {
	if depth <= 0 {
		return g.leaf()
	}
	switch n := g.IntN(20); {
	case n < 6:
		return g.leaf()
	case n < 8 && len(g.types) > 0:
		return pick(g.Rand, g.types...) // recursive, if it is not whole yet
	case n < 10:
		return &shape{kind: "array", elem: g.any(depth - 1), props: g.props()}
	case n < 12:
		return &shape{kind: "map", elem: g.any(depth - 1), props: g.props()}
	case n < 15:
		return g.union(depth - 1)
	case n < 17:
		return g.record(depth - 1)
	case n < 18:
		return g.fixed()
	}
	return g.enum()
}

func (g *generator) leaf() *shape {
	s := &shape{kind: pick(g.Rand, "null", "boolean", "int", "int", "long", "long", "float", "double", "bytes", "string", "string")}
	if g.chance(4) {
		s.props = g.logical(s.kind)
	} else if g.chance(8) {
		s.props = g.props()
	}
	return s
}

// logical returns the properties of a logical type, which may be one that its type does not have, or malformed.
func (g *generator) logical(kind string) []string {
	if g.chance(8) {
		kind = pick(g.Rand, "int", "long", "bytes", "string", "other")
	}
	switch kind {
	case "int":
		return []string{`"logicalType":` + pick(g.Rand, `"date"`, `"time-millis"`)}
	case "long":
		return []string{`"logicalType":` + pick(g.Rand, `"timestamp-millis"`, `"timestamp-micros"`, `"local-timestamp-millis"`, `"time-micros"`)}
	case "bytes", "fixed":
		return []string{`"logicalType":"decimal"`, `"precision":` + pick(g.Rand, "4", "18", "0", "-1", `"4"`), `"scale":` + pick(g.Rand, "0", "2", "20", "null")}
	case "string":
		return []string{`"logicalType":"uuid"`}
	}
	return []string{`"logicalType":` + pick(g.Rand, `"unheard-of"`, `7`, `"duration"`, `null`)}
}

func (g *generator) props() []string {
	if !g.chance(6) {
		return nil
	}
	return []string{fmt.Sprintf(`"p%d":%s`, g.IntN(3), pick(g.Rand, "1", "1.5", `"x"`, "null", `[1,{"b":1,"a":[]}]`, "true", "1e3", `"é\n"`))}
}

// union makes up a union that mostly has no type twice, and none in it that is one.
func (g *generator) union(depth int) *shape {
	s := &shape{kind: "union"}
	if g.chance(2) {
		s.branches = append(s.branches, &shape{kind: "null"})
	}
	seen := map[string]bool{"null": len(s.branches) > 0}
	for range g.IntN(4) {
		b := g.any(depth)
		name := b.kind
		if b.named() {
			name = b.full()
		}
		if (seen[name] || b.kind == "union") && !g.chance(200) {
			continue
		}
		seen[name] = true
		s.branches = append(s.branches, b)
	}
	return s
}

// called gives a named type a name that no other one of the schema has, mostly.
func (g *generator) called(s *shape) *shape {
	for {
		s.name = fmt.Sprintf("%s%d", pick(g.Rand, "A", "B", "C"), g.IntN(8))
		s.namespace = pick(g.Rand, "", "", "", "n", "n.s", "m")
		if s.namespace != "" && g.chance(60) {
			s.name = pick(g.Rand, "int", "record", "array", "Int")
		}
		same := func(o *shape) bool { return o.full() == s.full() }
		if !slices.ContainsFunc(g.types, same) || g.chance(100) {
			break
		}
	}
	if g.chance(6) {
		s.aliases = g.typeAliases()
	}
	if g.chance(6) {
		s.doc = pick(g.Rand, "a doc", "d")
	}
	g.types = append(g.types, s)
	return s
}

func (g *generator) typeAliases() []string {
	var names []string
	for range g.IntN(3) {
		names = append(names, pick(g.Rand, "", "", "n.", "m.", ".", ".n.")+fmt.Sprintf("%s%d", pick(g.Rand, "A", "B", "C"), g.IntN(8)))
	}
	return append([]string{}, names...)
}

func (g *generator) fixed() *shape {
	s := g.called(&shape{kind: "fixed", size: pick(g.Rand, 0, 1, 2, 4, 16)})
	if g.chance(4) {
		s.props = g.logical("fixed")
	}
	return s
}

func (g *generator) enum() *shape {
	all := []string{"P", "Q", "R", "S", "T"}
	g.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	s := g.called(&shape{kind: "enum", symbols: all[:g.IntN(5)]})
	if g.chance(3) && len(s.symbols) > 0 {
		s.def = pick(g.Rand, s.symbols...)
	}
	return s
}

func (g *generator) record(depth int) *shape {
	kind := "record"
	if g.chance(20) {
		kind = "error"
	}
	s := g.called(&shape{kind: kind, props: g.props()})
	for range g.IntN(6) {
		f := g.field(depth)
		if s.field(f.name) == nil || g.chance(200) {
			s.fields = append(s.fields, f)
		}
	}
	return s
}

func (s *shape) field(name string) *field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (g *generator) field(depth int) *field {
	f := &field{name: g.fieldName(), of: g.any(depth), props: g.props()}
	if g.chance(3) {
		f.def = g.value(f.of, 3)
	}
	if g.chance(10) {
		f.aliases = []string{g.fieldName()}
	}
	if g.chance(12) {
		f.order = pick(g.Rand, "ascending", "descending", "ignore")
	}
	if g.chance(12) {
		f.doc = "of a field"
	}
	return f
}

func (g *generator) fieldName() string { return fmt.Sprintf("f%d", g.IntN(8)) }

// value makes up a default: one that fits in most cases.
func (g *generator) value(s *shape, depth int) string {
	if g.chance(40) || depth == 0 {
		return pick(g.Rand, "0", "1.5", `""`, "null", "true", "[]", "{}", `"x"`, "[null]", `{"a":1}`)
	}
	switch s.kind {
	case "null":
		return "null"
	case "boolean":
		return pick(g.Rand, "true", "false")
	case "int":
		return pick(g.Rand, "0", "-1", "2147483647", "2147483648", "7")
	case "long":
		return pick(g.Rand, "0", "-1", "9007199254740993", "9223372036854775807", "2147483648")
	case "float", "double":
		return pick(g.Rand, "0", "1.5", "-0.0", "1e10", `"NaN"`, "3", "1e-7", "123456789.125")
	case "bytes", "string":
		return pick(g.Rand, `""`, `"x"`, `"\u00ff"`, `"\u20ac\ud83d\ude00"`)
	case "fixed":
		return quote(strings.Repeat("z", s.size))
	case "enum":
		return quote(pick(g.Rand, append(s.symbols, "P")...))
	case "array":
		return pick(g.Rand, "[]", "["+g.value(s.elem, depth-1)+"]")
	case "map":
		return pick(g.Rand, "{}", `{"k":`+g.value(s.elem, depth-1)+`}`)
	case "union":
		if len(s.branches) == 0 {
			return "null"
		}
		if g.chance(3) {
			return g.value(pick(g.Rand, s.branches...), depth-1)
		}
		return g.value(s.branches[0], depth-1)
	}
	var members []string
	for _, f := range s.fields {
		if f.def == "" || g.chance(2) {
			members = append(members, quote(f.name)+":"+g.value(f.of, depth-1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}
