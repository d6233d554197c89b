package avro

import "strings"

// Type is the type of an Avro schema.
type Type uint8

// Avro's types.
const (
	Null Type = iota
	Boolean
	Int
	Long
	Float
	Double
	Bytes
	String
	Record
	Enum
	Fixed
	Array
	Map
	Union
)

var typeNames = [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum", "fixed", "array", "map", "union"}

// String returns the type as it is written in a schema's text.
func (t Type) String() string { return typeNames[t] }

// primitive returns the type that name stands for, if it is the name of a primitive type.
func primitive(name string) (Type, bool) {
	for t := Null; t <= String; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return Null, false
}

// Schema is one Avro schema. Named types that are used in several places are shared, so a Schema is a graph, which
// may have cycles. It must not be changed.
type Schema struct {
	Type Type
	// Name is the full name of a Record, Enum or Fixed, "" for all others.
	Name string
	// Aliases are the full names under which a reader may find what a writer called differently.
	Aliases  []string
	Fields   []Field   // of a Record
	Symbols  []string  // of an Enum
	Size     int       // of a Fixed, in bytes
	Elem     *Schema   // items of an Array, values of a Map
	Branches []*Schema // of a Union

	doc         *string
	places      map[string]int // of a Record's fields, by name
	isError     bool           // a Record declared as "error"
	enumDefault *string        // of an Enum
	props       []prop
}

// Field is one field of a Record.
type Field struct {
	Name    string
	Schema  *Schema
	Aliases []string

	doc   *string
	def   *node // nil: none
	order string
	props []prop
}

// HasDefault reports whether the field may be missing in what a writer wrote.
func (f *Field) HasDefault() bool { return f.def != nil }

// field returns the named field of a Record, nil if there is none.
func (s *Schema) field(name string) *Field {
	if s.places == nil { // FromConnect does not make it
		for i := range s.Fields {
			if s.Fields[i].Name == name {
				return &s.Fields[i]
			}
		}
		return nil
	}
	if i, ok := s.places[name]; ok {
		return &s.Fields[i]
	}
	return nil
}

// prop is a property that Avro does not define: "logicalType", "connect.name", or anything.
type prop struct {
	name  string
	value *node
}

// prop returns the named property, nil if there is none.
func (s *Schema) prop(name string) *node {
	for i := range s.props {
		if s.props[i].name == name {
			return s.props[i].value
		}
	}
	return nil
}

// propText returns the named property if it is a string.
func (s *Schema) propText(name string) (string, bool) {
	if p := s.prop(name); p != nil && p.kind == stringNode {
		return p.text, true
	}
	return "", false
}

func (s *Schema) setProp(name string, value *node) {
	for i := range s.props {
		if s.props[i].name == name {
			s.props[i].value = value
			return
		}
	}
	s.props = append(s.props, prop{name, value})
}

// LogicalType returns the "logicalType" property, "" if there is none. It does not say that the type is well formed.
func (s *Schema) LogicalType() string {
	text, _ := s.propText("logicalType")
	return text
}

// named reports whether s is of a type that has a name.
func (s *Schema) named() bool { return s.Type == Record || s.Type == Enum || s.Type == Fixed }

// namedTypes returns the types that are defined in the schemas, by full name.
func namedTypes(list []*Schema) map[string]*Schema {
	found := make(map[string]*Schema)
	for len(list) > 0 {
		s := list[0]
		list = list[1:]
		if s.named() {
			if found[s.Name] != nil {
				continue
			}
			found[s.Name] = s
		}
		if s.Elem != nil {
			list = append(list, s.Elem)
		}
		list = append(list, s.Branches...)
		for i := range s.Fields {
			list = append(list, s.Fields[i].Schema)
		}
	}
	return found
}

// splitName splits a full name at its last dot.
func splitName(full string) (namespace, simple string) {
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		return full[:i], full[i+1:]
	}
	return "", full
}

// fullName returns what name stands for inside namespace.
func fullName(name, namespace string) string {
	switch strings.LastIndexByte(name, '.') {
	case -1:
	case 0:
		return name[1:] // outside any namespace
	default:
		return name
	}
	if namespace == "" {
		return name
	}
	return namespace + "." + name
}

// aliasName is fullName for aliases. Java keeps the dot before one that leaves the namespace, and so it stands for nothing.
func aliasName(alias, namespace string) string {
	if namespace != "" && strings.LastIndexByte(alias, '.') == 0 {
		return alias
	}
	return fullName(alias, namespace)
}

// validName reports whether s may be one part of a name: a letter or _, then letters, digits and _, all ASCII.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', i > 0 && c >= '0' && c <= '9':
		default:
			return false
		}
	}
	return s != ""
}

// validFullName reports whether each part of s may be one, and s is not the name of a primitive type.
func validFullName(s string) bool {
	if _, taken := primitive(s); taken {
		return false
	}
	for {
		part, rest, more := strings.Cut(s, ".")
		if !validName(part) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}
