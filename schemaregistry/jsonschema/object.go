package jsonschema

import (
	"maps"
	"slices"
	"strconv"

	compiled "github.com/santhosh-tekuri/jsonschema/v6"
)

// model is what a schema says of the properties or items that it does not name.
type model struct {
	open    bool             // all are allowed
	covered *compiled.Schema // if not open: what they must be; nil: none are allowed
}

// extra reads additionalProperties or additionalItems: whether any is allowed, and under which schema if not freely.
func extra(v any) (allowed bool, under *compiled.Schema) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case *compiled.Schema:
		if v.Bool != nil {
			return *v.Bool, nil
		}
		return true, v
	}
	return true, nil
}

func isEmpty(s *compiled.Schema) bool {
	s = target(s)
	return s.Ref == nil && (s.Bool == nil || *s.Bool) && s.Enum == nil && s.Const == nil && s.Not == nil && s.If == nil &&
		len(s.AllOf)+len(s.AnyOf)+len(s.OneOf) == 0 && len(typed(s)) == 0
}

func isFalse(s *compiled.Schema) bool { return s != nil && s.Bool != nil && !*s.Bool }

// modelOf returns the content model for what additional and unevaluated say: the second counts if the first is absent.
func modelOf(additional any, unevaluated *compiled.Schema) model {
	allowed, under := extra(additional)
	if additional == nil && unevaluated != nil {
		if isFalse(unevaluated) {
			return model{}
		}
		return model{isEmpty(unevaluated), unevaluated}
	}
	return model{allowed && under == nil, under}
}

func objectModel(s *compiled.Schema, property string) model {
	if len(s.PatternProperties) == 0 {
		return modelOf(s.AdditionalProperties, s.UnevaluatedProperties)
	}
	var texts []string
	by := make(map[string]*compiled.Schema)
	for p, under := range s.PatternProperties {
		if p.MatchString(property) {
			texts = append(texts, p.String())
			by[p.String()] = under
		}
	}
	if len(texts) > 0 {
		return model{covered: by[slices.Min(texts)]}
	}
	m := modelOf(s.AdditionalProperties, s.UnevaluatedProperties)
	return model{covered: m.covered} // patterns make a model partially open, whatever they match
}

func (c *comparison) objects(o, u *compiled.Schema, at *path) []change {
	list := c.required(o, u, at.at("required"))
	list = append(list, c.properties(o, u, at.at("properties"))...)
	list = append(list, c.dependencies(o, u, at.at("dependencies"))...)
	list = append(list, c.extras("ADDITIONAL_PROPERTIES", o.AdditionalProperties, u.AdditionalProperties, at.at("additionalProperties"))...)
	list = append(list, c.unevaluated("UNEVALUATED_PROPERTIES", o.UnevaluatedProperties, u.UnevaluatedProperties, at.at("unevaluatedProperties"))...)
	list = append(list, limits("MAX_PROPERTIES", "maxProperties", o.MaxProperties, u.MaxProperties, at)...)
	return append(list, limits("MIN_PROPERTIES", "minProperties", o.MinProperties, u.MinProperties, at)...)
}

func (c *comparison) required(o, u *compiled.Schema, at *path) (list []change) {
	for _, name := range slices.Sorted(maps.Keys(o.Properties)) {
		of := u.Properties[name]
		if of == nil {
			continue
		}
		was, is := slices.Contains(o.Required, name), slices.Contains(u.Required, name)
		switch {
		case was && !is:
			list = append(list, one("REQUIRED_ATTRIBUTE_REMOVED", at.at(name))...)
		case !was && is && of.Default != nil:
			list = append(list, one("REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED", at.at(name))...)
		case !was && is:
			list = append(list, one("REQUIRED_ATTRIBUTE_ADDED", at.at(name))...)
		}
	}
	return list
}

func (c *comparison) properties(o, u *compiled.Schema, at *path) (list []change) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(o.Properties)), maps.Keys(u.Properties))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, is, here := o.Properties[name], u.Properties[name], at.at(name)
		switch {
		case is == nil:
			list = append(list, c.removed("PROPERTY_", was, objectModel(u, name), here)...)
		case was == nil:
			list = append(list, c.added(o, u, name, here)...)
		default:
			list = append(list, c.schemas(was, is, here)...)
		}
	}
	return list
}

// removed compares a property or item with what the update says of those that it does not name.
func (c *comparison) removed(kind string, was *compiled.Schema, in model, at *path) []change {
	switch {
	case in.open:
		return one(kind+"REMOVED_FROM_OPEN_CONTENT_MODEL", at)
	case in.covered != nil:
		return c.covering(kind+"REMOVED_", c.schemas(was, in.covered, at), at)
	case isFalse(was):
		return one(kind+"WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL", at)
	}
	return one(kind+"REMOVED_FROM_CLOSED_CONTENT_MODEL", at)
}

func (c *comparison) covering(kind string, found []change, at *path) []change {
	how := "IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
	if !c.compatible(found) {
		how = "NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
	}
	return append(found, one(kind+how, at)...)
}

// added compares a new property with what the original said of those that it did not name.
func (c *comparison) added(o, u *compiled.Schema, name string, at *path) (list []change) {
	in, is := objectModel(o, name), u.Properties[name]
	required, defaulted := slices.Contains(u.Required, name), is.Default != nil
	kind := "OPTIONAL_PROPERTY_ADDED_TO_"
	switch {
	case required && defaulted:
		kind = "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_"
	case required:
		kind = "REQUIRED_PROPERTY_ADDED_TO_"
	}
	if in.open {
		if isEmpty(is) {
			return one("PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", at)
		}
		return one(kind+"OPEN_CONTENT_MODEL", at)
	}
	if in.covered != nil {
		list = c.covering("PROPERTY_ADDED_", c.schemas(in.covered, is, at), at)
	}
	return append(list, one(kind+"UNOPEN_CONTENT_MODEL", at)...)
}

func (c *comparison) dependencies(o, u *compiled.Schema, at *path) (list []change) {
	wasNames, wasSchemas := dependenciesOf(o)
	names, schemas := dependenciesOf(u)
	for _, name := range keys(wasNames, names) {
		was, is, here := wasNames[name], names[name], at.at(name)
		switch {
		case is == nil:
			list = append(list, one("DEPENDENCY_ARRAY_REMOVED", here)...)
		case was == nil:
			list = append(list, one("DEPENDENCY_ARRAY_ADDED", here)...)
		default:
			list = append(list, sets("DEPENDENCY_ARRAY_", was, is, here)...)
		}
	}
	for _, name := range keys(wasSchemas, schemas) {
		was, is, here := wasSchemas[name], schemas[name], at.at(name)
		switch {
		case is == nil:
			list = append(list, one("DEPENDENCY_SCHEMA_REMOVED", here)...)
		case was == nil:
			list = append(list, one("DEPENDENCY_SCHEMA_ADDED", here)...)
		default:
			list = append(list, c.schemas(was, is, here)...)
		}
	}
	return list
}

func keys[V any](a, b map[string]V) []string {
	list := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(list)
	return slices.Compact(list)
}

// dependenciesOf returns what properties demand of others, in the spelling of either draft.
func dependenciesOf(s *compiled.Schema) (names map[string][]string, schemas map[string]*compiled.Schema) {
	names, schemas = maps.Clone(s.DependentRequired), maps.Clone(s.DependentSchemas)
	if names == nil {
		names = make(map[string][]string)
	}
	if schemas == nil {
		schemas = make(map[string]*compiled.Schema)
	}
	for name, d := range s.Dependencies {
		switch d := d.(type) {
		case []string:
			names[name] = d
		case *compiled.Schema:
			schemas[name] = d
		}
	}
	return names, schemas
}

// extras compares additionalProperties and additionalItems.
func (c *comparison) extras(kind string, o, u any, at *path) []change {
	was, wasUnder := extra(o)
	is, under := extra(u)
	switch {
	case was && !is:
		return one(kind+"_REMOVED", at)
	case is && !was:
		return one(kind+"_ADDED", at)
	case wasUnder == nil && under != nil:
		return one(kind+"_NARROWED", at)
	case wasUnder != nil && under == nil:
		return one(kind+"_EXTENDED", at)
	}
	return c.schemas(wasUnder, under, at)
}

// unevaluated compares unevaluatedProperties and unevaluatedItems.
func (c *comparison) unevaluated(kind string, o, u *compiled.Schema, at *path) []change {
	rank := func(s *compiled.Schema) int { // the more, the more is allowed
		switch {
		case s == nil || isEmpty(s):
			return 2
		case isFalse(s):
			return 0
		}
		return 1
	}
	was, is := rank(o), rank(u)
	switch {
	case was == 1 && is == 1:
		return c.schemas(o, u, at)
	case was == is:
		return nil
	case was == 0:
		return one(kind+"_ADDED", at)
	case is == 0:
		return one(kind+"_REMOVED", at)
	case was < is:
		return one(kind+"_EXTENDED", at)
	}
	return one(kind+"_NARROWED", at)
}

// items takes the keywords of an array apart in the way of either draft: what all items are, or what the first ones
// are and then those behind.
func items(s *compiled.Schema) (all *compiled.Schema, first []*compiled.Schema, behind any) {
	if list, ok := s.Items.([]*compiled.Schema); ok {
		return nil, list, s.AdditionalItems
	}
	if of, ok := s.Items.(*compiled.Schema); ok {
		return of, nil, nil
	}
	if len(s.PrefixItems) > 0 {
		if s.Items2020 == nil {
			return nil, s.PrefixItems, nil
		}
		return nil, s.PrefixItems, s.Items2020
	}
	return s.Items2020, nil, s.AdditionalItems
}

func (c *comparison) arrays(o, u *compiled.Schema, at *path) []change {
	wasAll, wasFirst, wasBehind := items(o)
	all, first, behind := items(u)
	list := c.schemas(wasAll, all, at.at("items"))
	for i := range max(len(wasFirst), len(first)) {
		here := at.at("items/" + strconv.Itoa(i))
		switch {
		case i >= len(first):
			list = append(list, c.removed("ITEM_", wasFirst[i], modelOf(behind, u.UnevaluatedItems), here)...)
		case i >= len(wasFirst):
			list = append(list, c.addedItem(modelOf(wasBehind, o.UnevaluatedItems), first[i], here)...)
		default:
			list = append(list, c.schemas(wasFirst[i], first[i], here)...)
		}
	}
	list = append(list, c.extras("ADDITIONAL_ITEMS", wasBehind, behind, at.at("additionalItems"))...)
	list = append(list, c.unevaluated("UNEVALUATED_ITEMS", o.UnevaluatedItems, u.UnevaluatedItems, at.at("unevaluatedItems"))...)
	list = append(list, limits("MAX_ITEMS", "maxItems", o.MaxItems, u.MaxItems, at)...)
	list = append(list, limits("MIN_ITEMS", "minItems", o.MinItems, u.MinItems, at)...)
	if o.UniqueItems != u.UniqueItems {
		kind := "UNIQUE_ITEMS_REMOVED"
		if u.UniqueItems {
			kind = "UNIQUE_ITEMS_ADDED"
		}
		list = append(list, one(kind, at.at("uniqueItems"))...)
	}
	list = append(list, limits("MAX_CONTAINS", "maxContains", o.MaxContains, u.MaxContains, at)...)
	return append(list, limits("MIN_CONTAINS", "minContains", o.MinContains, u.MinContains, at)...)
}

func (c *comparison) addedItem(in model, is *compiled.Schema, at *path) []change {
	switch {
	case in.open && isEmpty(is):
		return one("ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL", at)
	case in.open:
		return one("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", at)
	case in.covered != nil:
		return c.covering("ITEM_ADDED_", c.schemas(in.covered, is, at), at)
	}
	return one("ITEM_ADDED_TO_CLOSED_CONTENT_MODEL", at)
}
