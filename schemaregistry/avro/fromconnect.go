package avro

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// FromConnect returns the Avro schema that Confluent's AvroData makes of s, with everything that Avro cannot say in
// properties: connect.doc, connect.version, connect.parameters, connect.default, connect.name, connect.type, in this
// order. Values encoded as package connectors lays them out for s are values of it.
//
// Where AvroData fails, this goes on: a second, different struct of the same name (or without one) is called by that
// name and a number, and connect.name keeps what it was. A struct that stands for a union stays a record, because
// that is how its values are encoded. Names that Avro does not allow are an error here as there.
func FromConnect(s *connectors.Schema) (*Schema, error) {
	c := fromConnect{records: make(map[string]*named), nodes: maxNodes}
	a, err := c.schema(s, 0)
	if err != nil {
		return nil, fmt.Errorf("derive the Avro schema of %s: %w", describe(s), err)
	}
	return a, nil
}

func describe(s *connectors.Schema) string {
	if s.Name != "" {
		return s.Name
	}
	return s.Type.String()
}

// named is a record that has got its name.
type named struct {
	of     *connectors.Schema
	schema *Schema
}

type fromConnect struct {
	records map[string]*named // by full name
	nodes   int               // left before it is too large
}

func (c *fromConnect) schema(s *connectors.Schema, depth int) (*Schema, error) {
	if c.nodes--; c.nodes < 0 || depth > maxDepth {
		return nil, fmt.Errorf("the schema is too large or nested deeper than %d", maxDepth)
	}
	base, err := c.base(s, depth)
	switch {
	case err != nil:
		return nil, err
	case !s.Optional:
		return base, nil
	case hasDefault(s):
		return &Schema{Type: Union, Branches: []*Schema{base, {}}}, nil
	}
	return &Schema{Type: Union, Branches: []*Schema{{}, base}}, nil
}

func hasDefault(s *connectors.Schema) bool { return s.Default != nil && !s.Default.IsNull() }

// base returns the schema of what is not null.
func (c *fromConnect) base(s *connectors.Schema, depth int) (*Schema, error) {
	switch s.Type {
	case connectors.Int8, connectors.Int16, connectors.Int32:
		return annotate(&Schema{Type: Int}, s), nil
	case connectors.Int64:
		return annotate(&Schema{Type: Long}, s), nil
	case connectors.Float32:
		return annotate(&Schema{Type: Float}, s), nil
	case connectors.Float64:
		return annotate(&Schema{Type: Double}, s), nil
	case connectors.Boolean:
		return annotate(&Schema{Type: Boolean}, s), nil
	case connectors.String:
		return annotate(&Schema{Type: String}, s), nil
	case connectors.Bytes:
		a := &Schema{Type: Bytes}
		if strings.EqualFold(s.Name, connectors.DecimalName) {
			if err := decimalProps(a, s); err != nil {
				return nil, err
			}
		}
		return annotate(a, s), nil
	case connectors.Array:
		elem, err := c.schema(s.Elem, depth+1)
		if err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		return annotate(&Schema{Type: Array, Elem: elem}, s), nil
	case connectors.Map:
		return c.mapSchema(s, depth)
	case connectors.Struct:
		return c.record(s, depth)
	}
	return nil, fmt.Errorf("a schema without a type")
}

// decimalProps adds what Avro's decimal needs, before everything else.
func decimalProps(a *Schema, s *connectors.Schema) error {
	scale, err := strconv.Atoi(s.Parameter("scale"))
	if err != nil {
		return fmt.Errorf("the parameter scale of a Decimal is %q, not a number", s.Parameter("scale"))
	}
	precision := defaultPrecision
	if p := s.Parameter(precisionParameter); p != "" {
		if precision, err = strconv.Atoi(p); err != nil {
			return fmt.Errorf("the parameter %s of a Decimal is %q, not a number", precisionParameter, p)
		}
	}
	a.setProp("scale", numberNode(int64(scale)))
	a.setProp("precision", numberNode(int64(precision)))
	return nil
}

// annotate adds to a what Avro cannot say about s.
func annotate(a *Schema, s *connectors.Schema) *Schema {
	if s.Doc != "" {
		a.setProp(connectDocProp, textNode(s.Doc))
	}
	if s.Version != 0 {
		a.setProp(connectVersionProp, numberNode(int64(s.Version)))
	}
	parameters := &node{kind: objectNode}
	ofAvro := false
	for _, p := range s.Parameters {
		if p.Name == defaultFlagParameter {
			ofAvro = true
		} else {
			parameters.set(p.Name, textNode(p.Value))
		}
	}
	if len(parameters.items) > 0 {
		a.setProp(connectParametersProp, parameters)
	}
	if hasDefault(s) && !ofAvro {
		a.setProp(connectDefaultProp, defaultNode(s, *s.Default))
	}
	if s.Name != "" {
		a.setProp(connectNameProp, textNode(s.Name))
	}
	if s.Type == connectors.Int8 || s.Type == connectors.Int16 {
		a.setProp(connectTypeProp, textNode(s.Type.String()))
	}
	if a.prop("scale") != nil && a.prop("precision") != nil {
		a.setProp(logicalTypeProp, textNode("decimal"))
	}
	for _, l := range logicalTypes {
		if s.Type == l.of && strings.EqualFold(s.Name, l.connect) {
			a.setProp(logicalTypeProp, textNode(l.avro))
		}
	}
	for _, p := range s.Parameters {
		if strings.HasPrefix(p.Name, avroPropPrefix) {
			a.setProp(p.Name, textNode(p.Value))
		}
	}
	return a
}

// mapSchema returns a map for required string keys, and an array of records of key and value for others.
func (c *fromConnect) mapSchema(s *connectors.Schema, depth int) (*Schema, error) {
	if s.Key.Type == connectors.String && !s.Key.Optional {
		elem, err := c.schema(s.Elem, depth+1)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		return annotate(&Schema{Type: Map, Elem: elem}, s), nil
	}
	name := s.Name
	if name == "" {
		name = connectNamespace + "." + mapEntryName
	}
	// The entries carry no name of their own, so what tells one kind of them from another is the map's schema.
	entry := *s
	entry.Optional = false
	a, taken, err := c.name(name, &entry)
	if err != nil {
		return nil, err
	}
	if !taken {
		if a.Name != connectNamespace+"."+mapEntryName {
			a.setProp(connectInternalProp, textNode(mapEntryName))
		}
		fields := []connectors.Field{{Name: "key", Schema: s.Key}, {Name: "value", Schema: s.Elem}}
		if err := c.fields(a, fields, nil, depth+1); err != nil {
			return nil, err
		}
	}
	return annotate(&Schema{Type: Array, Elem: a}, s), nil
}

// record returns the record of a struct, the same one for equal structs.
func (c *fromConnect) record(s *connectors.Schema, depth int) (*Schema, error) {
	name := s.Name
	if name == "" {
		name = defaultName
	}
	a, taken, err := c.name(name, s)
	if err != nil || taken {
		return a, err
	}
	if doc := s.Parameter(recordDocParameter); doc != "" {
		a.doc = &doc
	}
	if err := c.fields(a, s.Fields, s, depth); err != nil {
		return nil, fmt.Errorf("struct %s: %w", name, err)
	}
	return annotate(a, s), nil
}

// name gives s its record, under the name wanted or, if a different schema has it, under a name with a number. It
// reports whether an equal schema has got its record before.
func (c *fromConnect) name(want string, s *connectors.Schema) (a *Schema, taken bool, err error) {
	if !validFullName(want) {
		return nil, false, fmt.Errorf("the name %q is not one that Avro allows: letters, digits and _ between dots; "+
			"set schema.name.adjustment.mode=avro at the source, or choose another topic prefix", want)
	}
	name := want
	for i := 2; c.records[name] != nil; i++ {
		if known := c.records[name]; known.of.AsOptional().Equal(s.AsOptional()) {
			return known.schema, true, nil
		}
		name = want + strconv.Itoa(i)
	}
	a = &Schema{Type: Record, Name: name}
	c.records[name] = &named{of: s, schema: a}
	return a, false, nil
}

// fields adds fields to a; docs of them are parameters of the struct s, if there is one.
func (c *fromConnect) fields(a *Schema, fields []connectors.Field, s *connectors.Schema, depth int) error {
	a.Fields = make([]Field, len(fields))
	for i := range fields {
		of := fields[i].Schema
		f := &a.Fields[i]
		f.Name = fields[i].Name
		if !validName(f.Name) {
			return fmt.Errorf("the field name %q is not one that Avro allows: letters, digits and _, no digit first; "+
				"set field.name.adjustment.mode=avro at the source", f.Name)
		}
		var err error
		if f.Schema, err = c.schema(of, depth+1); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if s != nil {
			if doc := s.Parameter(fieldDocPrefix + f.Name); doc != "" {
				f.doc = &doc
			}
		}
		if hasDefault(of) {
			f.def = defaultNode(of, *of.Default)
		} else if of.Optional {
			f.def = &node{}
		}
	}
	return nil
}

// defaultNode returns a value as the JSON of an Avro default: bytes are text with a character for each byte.
func defaultNode(s *connectors.Schema, v connectors.Value) *node {
	if v.IsNull() {
		return &node{}
	}
	switch s.Type {
	case connectors.Boolean:
		return literalNode(v.Bool())
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return numberNode(v.Int())
	case connectors.Float32:
		return doubleNode(v.Float(), 32)
	case connectors.Float64:
		return doubleNode(v.Float(), 64)
	case connectors.Bytes:
		var b strings.Builder
		for _, c := range v.Raw() {
			b.WriteRune(rune(c))
		}
		return textNode(b.String())
	case connectors.Array:
		n := &node{kind: arrayNode}
		for _, item := range v.List() {
			n.add(defaultNode(s.Elem, item))
		}
		return n
	case connectors.Struct:
		n := &node{kind: objectNode}
		for i, item := range v.List() {
			n.set(s.Fields[i].Name, defaultNode(s.Fields[i].Schema, item))
		}
		return n
	case connectors.Map:
		return mapDefault(s, v.List())
	}
	return textNode(v.Text())
}

func mapDefault(s *connectors.Schema, list []connectors.Value) *node {
	if s.Key.Type == connectors.String && !s.Key.Optional {
		n := &node{kind: objectNode}
		for i := 0; i+1 < len(list); i += 2 {
			n.set(list[i].Text(), defaultNode(s.Elem, list[i+1]))
		}
		return n
	}
	n := &node{kind: arrayNode}
	for i := 0; i+1 < len(list); i += 2 {
		entry := &node{kind: objectNode}
		entry.set("key", defaultNode(s.Key, list[i]))
		entry.set("value", defaultNode(s.Elem, list[i+1]))
		n.add(entry)
	}
	return n
}
