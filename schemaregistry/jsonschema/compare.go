package jsonschema

import (
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"

	compiled "github.com/santhosh-tekuri/jsonschema/v6"
)

// maxSteps bounds a comparison: combinations in combinations make it exponential.
const maxSteps = 20_000

// Compare returns what changed from the original to the update, keywords of an object in the order of their names.
// Whether a change in one branch of a combination matters depends on the policy. An error says that it takes too long.
func Compare(original, update *Schema, leniently bool) ([]Difference, error) {
	c := &comparison{shapes: make(shapes), lenient: leniently, under: make(map[pair]bool), steps: maxSteps}
	found := c.compare(c.shapes.of(original.root), c.shapes.of(update.root), nil)
	if c.steps < 0 {
		return nil, errors.New("combinations are nested too deeply")
	}
	var list []Difference
	for _, f := range found {
		list = append(list, Difference{f.kind, f.at.String()})
	}
	return list, nil
}

// change is a difference whose path nobody has asked for so far.
type change struct {
	kind string
	at   *path
}

// comparison is one run. A pair of shapes that is being compared counts as compatible, which ends recursion.
type comparison struct {
	shapes  shapes
	lenient bool
	under   map[pair]bool
	steps   int
}

type pair struct{ original, update *shape }

// path is where a comparison is, shared by what is below.
type path struct {
	up   *path
	name string
}

func (p *path) at(name string) *path { return &path{p, name} }

func (p *path) String() string {
	var names []string
	for ; p != nil; p = p.up {
		names = append(names, p.name)
	}
	slices.Reverse(names)
	return "#/" + strings.Join(names, "/")
}

func one(kind string, at *path) []change { return []change{{kind, at}} }

func (c *comparison) compatible(list []change) bool {
	return !slices.ContainsFunc(list, func(d change) bool { return !Difference{Type: d.kind}.Compatible(c.lenient) })
}

// schemas compares two schemas that may be absent.
func (c *comparison) schemas(original, update *compiled.Schema, at *path) []change {
	return c.compare(c.shapes.of(original), c.shapes.of(update), at)
}

func (c *comparison) compare(o, u *shape, at *path) []change {
	c.steps--
	switch {
	case c.steps < 0, o == nil && u == nil:
		return nil
	case o == nil:
		return one("SCHEMA_ADDED", at)
	case u == nil:
		return one("SCHEMA_REMOVED", at)
	}
	p := pair{o, u}
	if c.under[p] {
		return nil
	}
	c.under[p] = true
	defer delete(c.under, p)
	if found, done := c.unwrapped(o, u, at); done {
		return found
	}
	if o.class != u.class {
		if o.class == nothing || u.class == anything {
			return nil
		}
		return one("TYPE_CHANGED", at)
	}
	return append(annotations(o.of, u.of, at), c.same(o, u, at)...)
}

// unwrapped compares a combination with what is none: with its only part, or for a new choice, or all that was demanded
// so far, with any part of it.
func (c *comparison) unwrapped(o, u *shape, at *path) ([]change, bool) {
	switch {
	case o.class != combined && u.class == combined:
		for _, part := range u.parts {
			if len(u.parts) > 1 && u.criterion == "allOf" {
				break
			}
			if found := c.compare(o, part, at); c.compatible(found) {
				if len(u.parts) > 1 {
					found = append(found, one("SUM_TYPE_EXTENDED", at)...)
				}
				return found, true
			}
		}
	case o.class == combined && u.class != combined:
		for _, part := range o.parts {
			if len(o.parts) > 1 && o.criterion != "allOf" {
				break
			}
			if found := c.compare(part, u, at); c.compatible(found) {
				if len(o.parts) > 1 {
					found = append(found, one("PRODUCT_TYPE_NARROWED", at)...)
				}
				return found, true
			}
		}
	}
	return nil, false
}

func annotations(o, u *compiled.Schema, at *path) (list []change) {
	if o.ID != u.ID {
		list = append(list, one("ID_CHANGED", at)...)
	}
	if o.Title != u.Title {
		list = append(list, one("TITLE_CHANGED", at)...)
	}
	if o.Description != u.Description {
		list = append(list, one("DESCRIPTION_CHANGED", at)...)
	}
	if !equalValues(o.Default, u.Default) {
		list = append(list, one("DEFAULT_CHANGED", at)...)
	}
	return list
}

// same compares shapes of one class.
func (c *comparison) same(o, u *shape, at *path) []change {
	switch o.class {
	case text:
		return c.texts(o.of, u.of, at)
	case number:
		return c.numbers(o, u, at)
	case enum:
		return sets("ENUM_ARRAY_", marshalAll(o.of.Enum.Values), marshalAll(u.of.Enum.Values), at.at("enum"))
	case constant:
		if !equalValues(o.of.Const, u.of.Const) {
			return one("ENUM_ARRAY_CHANGED", at.at("const"))
		}
	case negation:
		// What was not refused before must not be refused now.
		if found := c.compare(u.parts[0], o.parts[0], at.at("not")); len(found) == 0 {
			return nil
		} else if c.compatible(found) {
			return one("NOT_TYPE_NARROWED", at.at("not"))
		}
		return one("NOT_TYPE_EXTENDED", at.at("not"))
	case object:
		return c.objects(o.of, u.of, at)
	case array:
		return c.arrays(o.of, u.of, at)
	case combined:
		return c.combinations(o, u, at)
	}
	return nil
}

func (c *comparison) texts(o, u *compiled.Schema, at *path) []change {
	list := append(limits("MAX_LENGTH", "maxLength", o.MaxLength, u.MaxLength, at), limits("MIN_LENGTH", "minLength", o.MinLength, u.MinLength, at)...)
	at = at.at("pattern")
	switch {
	case o.Pattern == nil && u.Pattern != nil:
		list = append(list, one("PATTERN_ADDED", at)...)
	case o.Pattern != nil && u.Pattern == nil:
		list = append(list, one("PATTERN_REMOVED", at)...)
	case o.Pattern != nil && o.Pattern.String() != u.Pattern.String():
		list = append(list, one("PATTERN_CHANGED", at)...)
	}
	return list
}

func (c *comparison) numbers(o, u *shape, at *path) []change {
	list := bounds("MAXIMUM", "maximum", o.of.Maximum, u.of.Maximum, at)
	list = append(list, bounds("MINIMUM", "minimum", o.of.Minimum, u.of.Minimum, at)...)
	list = append(list, bounds("EXCLUSIVE_MAXIMUM", "exclusiveMaximum", o.of.ExclusiveMaximum, u.of.ExclusiveMaximum, at)...)
	list = append(list, bounds("EXCLUSIVE_MINIMUM", "exclusiveMinimum", o.of.ExclusiveMinimum, u.of.ExclusiveMinimum, at)...)
	list = append(list, multiples(o.of.MultipleOf, u.of.MultipleOf, at.at("multipleOf"))...)
	if o.integer && !u.integer {
		list = append(list, one("TYPE_EXTENDED", at)...)
	} else if u.integer && !o.integer {
		list = append(list, one("TYPE_NARROWED", at)...)
	}
	return list
}

func multiples(o, u *big.Rat, at *path) []change {
	switch {
	case o == nil && u == nil || o != nil && u != nil && o.Cmp(u) == 0:
		return nil
	case o == nil:
		return one("MULTIPLE_OF_ADDED", at)
	case u == nil:
		return one("MULTIPLE_OF_REMOVED", at)
	case new(big.Rat).Quo(u, o).IsInt():
		return one("MULTIPLE_OF_EXPANDED", at)
	case new(big.Rat).Quo(o, u).IsInt():
		return one("MULTIPLE_OF_REDUCED", at)
	}
	return one("MULTIPLE_OF_CHANGED", at)
}

func limits(kind, keyword string, o, u *int, at *path) []change {
	return bounds(kind, keyword, rat(o), rat(u), at)
}

func rat(i *int) *big.Rat {
	if i == nil {
		return nil
	}
	return big.NewRat(int64(*i), 1)
}

func bounds(kind, keyword string, o, u *big.Rat, at *path) []change {
	at = at.at(keyword)
	switch {
	case o == nil && u == nil || o != nil && u != nil && o.Cmp(u) == 0:
		return nil
	case o == nil:
		return one(kind+"_ADDED", at)
	case u == nil:
		return one(kind+"_REMOVED", at)
	case o.Cmp(u) < 0:
		return one(kind+"_INCREASED", at)
	}
	return one(kind+"_DECREASED", at)
}

// sets compares what may be chosen from.
func sets(kind string, o, u []string, at *path) []change {
	has := func(list []string, all []string) bool {
		return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(list, s) })
	}
	switch more, fewer := has(u, o), has(o, u); {
	case more && fewer:
		return nil
	case more:
		return one(kind+"EXTENDED", at)
	case fewer:
		return one(kind+"NARROWED", at)
	}
	return one(kind+"CHANGED", at)
}

func marshalAll(values []any) []string {
	list := make([]string, len(values))
	for i, v := range values {
		b, _ := json.Marshal(v) // it came from JSON
		list[i] = string(b)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func equalValues(a, b *any) bool {
	return a == nil && b == nil || a != nil && b != nil && reflect.DeepEqual(*a, *b)
}
