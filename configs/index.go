package configs

import (
	"slices"
	"strings"
)

// index finds declarations by name.
type index struct {
	def      *Definition
	exact    map[string]*Key
	alias    map[string]*Key
	families []family // those with more literal text first
}

// family is a Key whose Name stands for many names.
type family struct {
	key   *Key
	parts []string // the literal text before, between and after the wildcards
	tail  bool     // the last wildcard ends the name
	size  int      // of the literal text
}

// isFamily reports whether a declared name stands for many.
func isFamily(name string) bool {
	return strings.HasSuffix(name, "*") || strings.Contains(name, "<") && strings.Contains(name, ">")
}

func newIndex(d *Definition) *index {
	x := &index{def: d, exact: map[string]*Key{}, alias: map[string]*Key{}}
	for i := range d.Keys {
		k := &d.Keys[i]
		if isFamily(k.Name) {
			x.families = append(x.families, newFamily(k))
			continue
		}
		x.exact[k.Name] = k
		for _, a := range k.Aliases {
			x.alias[a] = k
		}
	}
	slices.SortStableFunc(x.families, func(a, b family) int { return b.size - a.size })
	return x
}

func newFamily(k *Key) family {
	f := family{key: k}
	rest := k.Name
	for {
		open := strings.IndexAny(rest, "<*")
		if open < 0 {
			break
		}
		end := open
		if rest[open] == '<' {
			n := strings.IndexByte(rest[open:], '>')
			if n < 0 {
				break
			}
			end = open + n
		}
		f.parts = append(f.parts, rest[:open])
		rest = rest[end+1:]
	}
	f.parts = append(f.parts, rest)
	f.tail = rest == ""
	for _, p := range f.parts {
		f.size += len(p)
	}
	return f
}

// match reports whether a name is of the family.
func (f *family) match(name string) bool {
	rest, ok := strings.CutPrefix(name, f.parts[0])
	if !ok {
		return false
	}
	return matchParts(rest, f.parts[1:], f.tail)
}

// matchParts matches a wildcard and the literal behind it, again and again.
func matchParts(rest string, parts []string, tail bool) bool {
	if len(parts) == 1 && tail {
		return rest != ""
	}
	for n := 1; n <= len(rest) && rest[n-1] != '.'; n++ {
		after, ok := strings.CutPrefix(rest[n:], parts[0])
		if !ok {
			continue
		}
		if len(parts) == 1 {
			if after == "" {
				return true
			}
			continue
		}
		if matchParts(after, parts[1:], tail) {
			return true
		}
	}
	return false
}

// find returns the declaration that covers a name (not an alias), or nil.
func (x *index) find(name string) *Key {
	if k := x.exact[name]; k != nil {
		return k
	}
	for i := range x.families {
		if x.families[i].key.Name == name || x.families[i].match(name) {
			return x.families[i].key
		}
	}
	return nil
}

// nearest returns the declared name that an unknown one was probably meant to be, or "". An alias leads to the name
// it stands for; of a family it completes what was written.
func (x *index) nearest(name string) string {
	best, bestDistance := "", cutoff(name)+1
	consider := func(candidate, answer string) {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate), bestDistance); d < bestDistance {
			best, bestDistance = answer, d
		}
	}
	for i := range x.def.Keys {
		k := &x.def.Keys[i]
		if isFamily(k.Name) {
			if candidate := familyCandidate(k.Name, name); candidate != "" {
				consider(candidate, candidate)
			}
			continue
		}
		consider(k.Name, k.Name)
		for _, a := range k.Aliases {
			consider(a, k.Name)
		}
	}
	if best == "" {
		return x.completed(name)
	}
	return best
}

// completed returns the only declared name that goes on where an unknown one ends, or "".
func (x *index) completed(name string) (only string) {
	for i := range x.def.Keys {
		candidate := x.def.Keys[i].Name
		if !strings.HasPrefix(candidate, name+".") || isFamily(candidate) {
			continue
		}
		if only != "" {
			return ""
		}
		only = candidate
	}
	return only
}

// familyCandidate fills the wildcards of a family's name with the parts, split at dots, that the given name has in
// their places: ("transforms.<name>.type", "transforms.unwrap.tpye") is "transforms.unwrap.type".
func familyCandidate(family, name string) string {
	want, have := strings.Split(family, "."), strings.Split(name, ".")
	if len(want) != len(have) {
		return ""
	}
	out := make([]string, len(want))
	for i, part := range want {
		switch {
		case part == "*" || strings.HasPrefix(part, "<") && strings.HasSuffix(part, ">"):
			out[i] = have[i]
		case isFamily(part):
			return ""
		default:
			out[i] = part
		}
	}
	return strings.Join(out, ".")
}

// cutoff is how many mistakes a name of that length may have and still be recognised.
func cutoff(name string) int {
	switch n := len(name); {
	case n < 4:
		return 1
	case n < 8:
		return 2
	default:
		return min(n/4+1, 5)
	}
}

// distance is the Damerau-Levenshtein distance in its restricted form (insertions, deletions, substitutions and
// exchanges of neighbours), or any number not below limit once it cannot be below it.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		lowest := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			lowest = min(lowest, row[j])
		}
		if lowest > limit {
			return lowest
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
