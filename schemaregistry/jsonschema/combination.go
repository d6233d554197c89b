package jsonschema

import (
	"slices"
	"strconv"
)

// combinations compares allOf, anyOf and oneOf: how they combine, how many parts they have, and whether each part of the
// one with fewer has a partner of its own in the other that it is compatible with.
func (c *comparison) combinations(o, u *shape, at *path) (list []change) {
	if o.criterion != u.criterion {
		if !widens(o, u) {
			return one("COMBINED_TYPE_CHANGED", at)
		}
		list = one("COMBINED_TYPE_EXTENDED", at)
	}
	was, is := c.distinct(o.parts), c.distinct(u.parts)
	switch {
	case len(was) < len(is):
		list = append(list, one(kindOf(u)+"EXTENDED", at)...)
	case len(was) > len(is):
		list = append(list, one(kindOf(o)+"NARROWED", at)...)
	}
	m := matching{edges: make([][]edge, len(was)), of: make(map[int]int)}
	for i, w := range was {
		for j, s := range is {
			if found := c.compare(w, s, at.at(o.criterion+"/"+strconv.Itoa(i))); c.compatible(found) {
				m.edges[i] = append(m.edges[i], edge{j, found})
			}
		}
	}
	pairs := 0
	for i := range was {
		if m.augment(i, make(map[int]bool)) {
			pairs++
		}
	}
	for i := range was {
		for _, e := range m.edges[i] {
			if partner, ok := m.of[e.to]; ok && partner == i {
				list = append(list, e.found...)
			}
		}
	}
	if pairs < min(len(was), len(is)) {
		list = append(list, one("COMBINED_TYPE_SUBSCHEMAS_CHANGED", at)...)
	}
	return list
}

func kindOf(combination *shape) string {
	if combination.criterion == "allOf" {
		return "PRODUCT_TYPE_"
	}
	return "SUM_TYPE_"
}

// widens reports whether the way in which the update combines allows all that the original's did.
func widens(o, u *shape) bool {
	switch u.criterion {
	case "anyOf":
		return true
	case "oneOf":
		return len(o.parts) == 1 || len(u.parts) == 1 && o.criterion == "allOf"
	}
	return len(o.parts) == 1 && len(u.parts) == 1
}

// distinct returns the parts without those that come again.
func (c *comparison) distinct(parts []*shape) []*shape {
	var list []*shape
	for _, p := range parts {
		if !slices.ContainsFunc(list, func(other *shape) bool {
			return p == other || p.class == other.class && len(c.compare(p, other, nil)) == 0 && len(c.compare(other, p, nil)) == 0
		}) {
			list = append(list, p)
		}
	}
	return list
}

// edge leads from a part of the original to one of the update that is compatible with it.
type edge struct {
	to    int
	found []change
}

// matching finds the greatest number of pairs, by augmenting paths.
type matching struct {
	edges [][]edge    // by part of the original
	of    map[int]int // the partner of a part of the update
}

func (m *matching) augment(i int, tried map[int]bool) bool {
	for _, e := range m.edges[i] {
		if tried[e.to] {
			continue
		}
		tried[e.to] = true
		if other, taken := m.of[e.to]; !taken || m.augment(other, tried) {
			m.of[e.to] = i
			return true
		}
	}
	return false
}
