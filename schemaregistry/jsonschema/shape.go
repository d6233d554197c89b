package jsonschema

import (
	compiled "github.com/santhosh-tekuri/jsonschema/v6"
)

// class is what a schema is about, which decides what can be compared.
type class uint8

const (
	anything class = iota // {} or true
	nothing               // false
	text
	number
	boolean
	null
	object
	array
	enum
	constant
	negation
	condition
	combined
)

// shape is one aspect of a schema. A schema with several (a type and an enumeration, say) is a combination by allOf of
// them, and one with several types a combination by anyOf.
type shape struct {
	class     class
	of        *compiled.Schema // whose keywords count
	integer   bool             // of a number
	criterion string           // of a combination: allOf, anyOf, oneOf
	parts     []*shape         // of a combination or, one, of a negation
}

// shapes finds the shape of schemas, the same one each time.
type shapes map[*compiled.Schema]*shape

func (m shapes) of(s *compiled.Schema) *shape {
	if s == nil {
		return nil
	}
	if known := m[s]; known != nil {
		return known
	}
	if to := target(s); to != s {
		m[s] = m.of(to)
		return m[s]
	}
	made := &shape{of: s}
	m[s] = made
	parts := m.parts(s)
	switch {
	case len(parts) == 1:
		*made = *parts[0]
	case len(parts) > 1:
		made.class, made.criterion, made.parts = combined, "allOf", parts
	case s.Bool != nil && !*s.Bool:
		made.class = nothing
	}
	return made
}

// parts returns the aspects of a schema.
func (m shapes) parts(s *compiled.Schema) []*shape {
	var parts []*shape
	if s.Ref != nil {
		parts = append(parts, m.of(s.Ref))
	}
	if s.Enum != nil {
		parts = append(parts, &shape{class: enum, of: s})
	}
	for _, c := range []struct {
		criterion string
		list      []*compiled.Schema
	}{{"allOf", s.AllOf}, {"anyOf", s.AnyOf}, {"oneOf", s.OneOf}} {
		if len(c.list) > 0 {
			parts = append(parts, m.combination(s, c.criterion, c.list))
		}
	}
	if s.Not != nil {
		parts = append(parts, &shape{class: negation, of: s, parts: []*shape{m.of(s.Not)}})
	}
	if s.Const != nil {
		parts = append(parts, &shape{class: constant, of: s})
	}
	if s.If != nil {
		parts = append(parts, &shape{class: condition, of: s})
	}
	return append(parts, typed(s)...)
}

// target returns what a schema refers to that says nothing else, or the schema itself.
func target(s *compiled.Schema) *compiled.Schema {
	seen := make(map[*compiled.Schema]bool)
	for s.Ref != nil && !seen[s] && s.Enum == nil && s.Const == nil && s.Not == nil && s.If == nil &&
		len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0 && len(typed(s)) == 0 {
		seen[s] = true
		s = s.Ref
	}
	return s
}

func (m shapes) combination(s *compiled.Schema, criterion string, list []*compiled.Schema) *shape {
	c := &shape{class: combined, of: s, criterion: criterion}
	for _, sub := range list {
		c.parts = append(c.parts, m.of(sub))
	}
	return c
}

// typed returns what the types of a schema allow, or if it names none, what its keywords are about.
func typed(s *compiled.Schema) []*shape {
	var list []*shape
	if s.Types != nil && !s.Types.IsEmpty() {
		for _, name := range s.Types.ToStrings() {
			list = append(list, &shape{class: classOf(name), of: s, integer: name == "integer"})
		}
		if len(list) > 1 {
			return []*shape{{class: combined, of: s, criterion: "anyOf", parts: list}}
		}
		return list
	}
	if s.Properties != nil || s.PatternProperties != nil || s.AdditionalProperties != nil || s.Required != nil || s.MaxProperties != nil ||
		s.MinProperties != nil || s.Dependencies != nil || s.DependentRequired != nil || s.DependentSchemas != nil || s.UnevaluatedProperties != nil ||
		s.PropertyNames != nil {
		list = append(list, &shape{class: object, of: s})
	}
	if s.Items != nil || len(s.PrefixItems) > 0 || s.Items2020 != nil || s.AdditionalItems != nil || s.MinItems != nil || s.MaxItems != nil ||
		s.UniqueItems || s.Contains != nil || s.UnevaluatedItems != nil {
		list = append(list, &shape{class: array, of: s})
	}
	if s.MinLength != nil || s.MaxLength != nil || s.Pattern != nil {
		list = append(list, &shape{class: text, of: s})
	}
	if s.Maximum != nil || s.Minimum != nil || s.ExclusiveMaximum != nil || s.ExclusiveMinimum != nil || s.MultipleOf != nil {
		list = append(list, &shape{class: number, of: s})
	}
	return list
}

func classOf(name string) class {
	switch name {
	case "string":
		return text
	case "number", "integer":
		return number
	case "boolean":
		return boolean
	case "null":
		return null
	case "object":
		return object
	}
	return array
}
