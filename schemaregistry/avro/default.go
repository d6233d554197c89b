package avro

import "strconv"

// Limits to what checking all defaults of a text may take. Records whose fields have defaults themselves can make it endless.
const (
	maxDefaultSteps = 1 << 20
	maxDefaultDepth = 200
)

// validDefault reports whether v can be a default of type s: only JSON types and the ranges of integers are checked,
// and any branch of a union may fit (Avro 1.12, Java).
func validDefault(s *Schema, v *node, depth int, budget *int) bool {
	*budget--
	if v == nil || *budget < 0 || depth > maxDefaultDepth {
		return false
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
			if !validDefault(s.Elem, item, depth+1, budget) {
				return false
			}
		}
		return true
	case Union:
		for _, b := range s.Branches {
			if validDefault(b, v, depth+1, budget) {
				return true
			}
		}
		return false
	}
	return validRecordDefault(s, v, depth, budget)
}

func validRecordDefault(s *Schema, v *node, depth int, budget *int) bool {
	if v.kind != objectNode {
		return false
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		item := v.member(f.Name)
		if item == nil {
			item = f.def
		}
		if !validDefault(f.Schema, item, depth+1, budget) {
			return false
		}
	}
	return true
}

func fitsInt(text string, bits int) bool {
	_, err := strconv.ParseInt(text, 10, bits)
	return err == nil
}
