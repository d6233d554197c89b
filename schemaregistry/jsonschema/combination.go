package jsonschema

import "strconv"

// combinations compares allOf, anyOf and oneOf: how they combine, how many parts they have, and whether each part of the
// one with fewer has a partner of its own in the other that it is compatible with.
func (c *comparison) combinations(o, u *shape, at *path) (list []change) {
	if o.criterion != u.criterion {
		if !widens(o, u) {
			return one("COMBINED_TYPE_CHANGED", at)
		}
		list = one("COMBINED_TYPE_EXTENDED", at)
	}
	was, is := distinct(o.parts), distinct(u.parts)
	kind := "SUM_TYPE_"
	if u.criterion == "allOf" {
		kind = "PRODUCT_TYPE_"
	}
	switch {
	case len(was) < len(is):
		list = append(list, one(kind+"EXTENDED", at)...)
	case len(was) > len(is):
		list = append(list, one(kind+"NARROWED", at)...)
	}
	m := matching{edges: make([]map[int][]change, len(was)), of: make(map[int]int)}
	for i, w := range was {
		m.edges[i] = make(map[int][]change)
		for j, s := range is {
			if found := c.compare(w, s, at.at(o.criterion+"/"+strconv.Itoa(i))); c.compatible(found) {
				m.edges[i][j] = found
			}
		}
	}
	pairs := 0
	for i := range was {
		if m.augment(i, make(map[int]bool)) {
			pairs++
		}
	}
	for j := range is {
		if i, ok := m.of[j]; ok {
			list = append(list, m.edges[i][j]...)
		}
	}
	if pairs < min(len(was), len(is)) {
		list = append(list, one("COMBINED_TYPE_SUBSCHEMAS_CHANGED", at)...)
	}
	return list
}

// widens reports whether the way in which the update combines allows all that the original's did.
func widens(o, u *shape) bool {
	switch u.criterion {
	case "anyOf":
		return true
	case "oneOf":
		return len(o.parts) == 1
	}
	return len(o.parts) == 1 && len(u.parts) == 1
}

// distinct returns the parts without those that come again.
func distinct(parts []*shape) []*shape {
	var list []*shape
	seen := make(map[*shape]bool)
	for _, p := range parts {
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list
}

// matching finds the greatest number of pairs, by augmenting paths.
type matching struct {
	edges []map[int][]change // from a part of the original to those of the update
	of    map[int]int        // the partner of a part of the update
}

func (m *matching) augment(i int, tried map[int]bool) bool {
	for j := range m.edges[i] {
		if tried[j] {
			continue
		}
		tried[j] = true
		if other, taken := m.of[j]; !taken || m.augment(other, tried) {
			m.of[j] = i
			return true
		}
	}
	return false
}
