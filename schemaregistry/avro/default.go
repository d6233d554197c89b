package avro

import (
	"fmt"
	"strconv"
)

// Limits to what checking all defaults of a text may take. Records whose fields have defaults themselves can make it endless.
const (
	maxDefaultSteps = 1 << 20
	maxDefaultDepth = 200
)

// checkDefault verifies a field's default; building are the records that have no fields yet.
func (p *parser) checkDefault(f *Field, building map[*Schema]bool) error {
	if f.def == nil || p.stored {
		return nil
	}
	c := defaultCheck{building: building, steps: &p.steps}
	if !c.valid(f.Schema, f.def, 0) || c.early {
		return fmt.Errorf("the default %s of field %s does not fit its type", excerpt(f.def), f.Name)
	}
	return nil
}

type defaultCheck struct {
	building map[*Schema]bool
	steps    *int
	early    bool // an object was compared with a record that has no fields yet, where Java gives up
}

// valid reports whether v can be a default of type s: only JSON types and the ranges of integers are checked, and any
// branch of a union may fit (Avro 1.12, Java). A type that has not been defined so far, nil, counts as a record without fields.
func (c *defaultCheck) valid(s *Schema, v *node, depth int) bool {
	*c.steps--
	if v == nil || *c.steps < 0 || depth > maxDefaultDepth {
		return false
	}
	if s == nil {
		return v.kind == objectNode
	}
	switch s.Type {
	case Null:
		return v.kind == nullNode
	case Boolean:
		return v.kind == boolNode
	case Int:
		return v.isInteger() && fitsInt(v.text, 32)
	case Long:
		return v.isInteger() && fitsInt(v.text, 64)
	case Float, Double:
		return v.kind == intNode || v.kind == floatNode
	case Bytes, String, Enum, Fixed:
		return v.kind == stringNode
	case Array, Map:
		if s.Type == Array && v.kind != arrayNode || s.Type == Map && v.kind != objectNode {
			return false
		}
		for _, item := range v.items {
			if !c.valid(s.Elem, item, depth+1) {
				return false
			}
		}
		return true
	case Union:
		for _, b := range s.Branches {
			if c.valid(b, v, depth+1) || c.early {
				return true
			}
		}
		return false
	}
	return c.validRecord(s, v, depth)
}

func (c *defaultCheck) validRecord(s *Schema, v *node, depth int) bool {
	if v.kind != objectNode {
		return false
	}
	if c.building[s] {
		c.early = true
		return false
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		item := v.member(f.Name)
		if item == nil {
			item = f.def
		}
		if !c.valid(f.Schema, item, depth+1) {
			return false
		}
	}
	return true
}

func fitsInt(text string, bits int) bool {
	_, err := strconv.ParseInt(text, 10, bits)
	return err == nil
}
