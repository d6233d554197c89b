package avro

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// ToConnect returns the Connect schema that Confluent's AvroData makes of s. It undoes FromConnect: what FromConnect
// wrote into properties comes back. Of schemas that others wrote, an enum becomes a string and a fixed becomes bytes,
// a union with null an optional schema, any other union a struct of optional branches; docs, symbols and foreign
// defaults become parameters. Values of s are not always laid out as package connectors expects for the result: that
// is what NewTranscoder is for.
//
// A null that is not part of a union and a type that contains itself have no counterpart and are errors. The result has
// no version unless s says one; Confluent's converter sets that of the outermost schema to the subject's version then.
func ToConnect(s *Schema) (*connectors.Schema, error) {
	c := toConnect{nodes: maxNodes}
	t, err := c.schema(s, use{}, 0)
	if err != nil {
		return nil, fmt.Errorf("derive the Connect schema of %s: %w", s.describe(), err)
	}
	return t, nil
}

func (s *Schema) describe() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Type.String()
}

type toConnect struct {
	nodes int // left before it is too large
}

// use is what the place where a schema stands says about it.
type use struct {
	optional bool
	def      *node // of the field
}

func (c *toConnect) schema(s *Schema, u use, depth int) (*connectors.Schema, error) {
	if c.nodes--; c.nodes < 0 || depth > maxDepth {
		return nil, fmt.Errorf("the schema is too large, nested deeper than %d, or contains itself", maxDepth)
	}
	if s.Type == Union {
		if of := optionalOf(s); of != nil {
			return c.schema(of, use{optional: true}, depth)
		}
	}
	t, err := c.plain(s, depth)
	if err != nil {
		return nil, err
	}
	if err := c.annotations(t, s); err != nil {
		return nil, err
	}
	def := u.def
	if connect := s.prop(connectDefaultProp); def == nil {
		def = connect
	} else if connect == nil {
		setParameter(t, defaultFlagParameter, "true")
	}
	if def != nil && def.kind != nullNode {
		v, err := defaultValue(t, def)
		if err == nil {
			_, err = connectors.AppendValue(nil, t, v)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.describe(), err)
		}
		t.Default = &v
	}
	t.Optional = t.Optional || u.optional
	return t, nil
}

// optionalOf returns the other branch of a union of two of which one is null, else nil.
func optionalOf(s *Schema) *Schema {
	if len(s.Branches) == 2 {
		switch {
		case s.Branches[0].Type == Null:
			return s.Branches[1]
		case s.Branches[1].Type == Null:
			return s.Branches[0]
		}
	}
	return nil
}

// plain returns the schema without what properties say, but with the names of logical types.
func (c *toConnect) plain(s *Schema, depth int) (*connectors.Schema, error) {
	switch s.Type {
	case Boolean:
		return &connectors.Schema{Type: connectors.Boolean}, nil
	case Int:
		return intSchema(s)
	case Long:
		return logical(s, connectors.Int64), nil
	case Float:
		return &connectors.Schema{Type: connectors.Float32}, nil
	case Double:
		return &connectors.Schema{Type: connectors.Float64}, nil
	case String:
		return &connectors.Schema{Type: connectors.String}, nil
	case Bytes, Fixed:
		return bytesSchema(s)
	case Enum:
		return enumSchema(s), nil
	case Array:
		return c.array(s, depth)
	case Map:
		elem, err := c.schema(s.Elem, use{}, depth+1)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		return &connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: elem}, nil
	case Record:
		return c.record(s, depth)
	case Union:
		return c.union(s, depth)
	}
	return nil, fmt.Errorf("a null outside a union has no counterpart in Connect")
}

func intSchema(s *Schema) (*connectors.Schema, error) {
	if _, ok := s.propText(logicalTypeProp); ok {
		return logical(s, connectors.Int32), nil
	}
	switch t, ok := s.propText(connectTypeProp); {
	case !ok:
		return &connectors.Schema{Type: connectors.Int32}, nil
	case t == "int8":
		return &connectors.Schema{Type: connectors.Int8}, nil
	case t == "int16":
		return &connectors.Schema{Type: connectors.Int16}, nil
	default:
		return nil, fmt.Errorf("%s of an int is %q, not int8 or int16", connectTypeProp, t)
	}
}

func logical(s *Schema, t connectors.Type) *connectors.Schema {
	name := s.LogicalType()
	for _, l := range logicalTypes {
		if l.of == t && strings.EqualFold(name, l.avro) {
			return &connectors.Schema{Type: t, Name: l.connect, Version: 1}
		}
	}
	return &connectors.Schema{Type: t}
}

func bytesSchema(s *Schema) (*connectors.Schema, error) {
	t := &connectors.Schema{Type: connectors.Bytes}
	if !strings.EqualFold(s.LogicalType(), "decimal") {
		return t, nil
	}
	t.Name, t.Version = connectors.DecimalName, 1
	scale, err := s.intProp("scale", 0)
	if err != nil {
		return nil, err
	}
	precision, err := s.intProp("precision", defaultPrecision)
	if err != nil {
		return nil, err
	}
	setParameter(t, "scale", strconv.Itoa(scale))
	if precision != defaultPrecision {
		setParameter(t, precisionParameter, strconv.Itoa(precision))
	}
	return t, nil
}

func (s *Schema) intProp(name string, missing int) (int, error) {
	p := s.prop(name)
	if p == nil {
		return missing, nil
	}
	if i, err := strconv.ParseInt(p.text, 10, 32); p.isInteger() && err == nil {
		return int(i), nil
	}
	return 0, fmt.Errorf("the property %s of %s is %s, not a number", name, s.describe(), excerpt(p))
}

func enumSchema(s *Schema) *connectors.Schema {
	t := &connectors.Schema{Type: connectors.String}
	_, simple := splitName(s.Name)
	if s.doc != nil {
		setParameter(t, enumDocPrefix+simple, *s.doc)
	}
	if s.enumDefault != nil {
		setParameter(t, enumDefaultPrefix+simple, *s.enumDefault)
	}
	setParameter(t, enumParameter, s.Name)
	for _, symbol := range s.Symbols {
		setParameter(t, enumParameter+"."+symbol, symbol)
	}
	return t
}

func (c *toConnect) array(s *Schema, depth int) (*connectors.Schema, error) {
	if isMapEntry(s.Elem) {
		fields := s.Elem.Fields
		if len(fields) != 2 || fields[0].Name != "key" || fields[1].Name != "value" {
			return nil, fmt.Errorf("%s stands for the entries of a map, but its fields are not key and value", s.Elem.Name)
		}
		key, err := c.schema(fields[0].Schema, use{}, depth+1)
		if err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
		elem, err := c.schema(fields[1].Schema, use{}, depth+1)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		return &connectors.Schema{Type: connectors.Map, Key: key, Elem: elem}, nil
	}
	elem, err := c.schema(s.Elem, use{}, depth+1)
	if err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	return &connectors.Schema{Type: connectors.Array, Elem: elem}, nil
}

func isMapEntry(s *Schema) bool {
	if s.Type != Record {
		return false
	}
	internal, _ := s.propText(connectInternalProp)
	return s.Name == connectNamespace+"."+mapEntryName || internal == mapEntryName
}

func (c *toConnect) record(s *Schema, depth int) (*connectors.Schema, error) {
	t := &connectors.Schema{Type: connectors.Struct, Fields: make([]connectors.Field, len(s.Fields))}
	if s.doc != nil {
		setParameter(t, recordDocParameter, *s.doc)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.doc != nil {
			setParameter(t, fieldDocPrefix+f.Name, *f.doc)
		}
		of, err := c.schema(f.Schema, use{def: f.def}, depth+1)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		t.Fields[i] = connectors.Field{Name: f.Name, Schema: of}
	}
	return t, nil
}

// union returns a struct with a field for each branch that is not null, called by its simple name or type.
func (c *toConnect) union(s *Schema, depth int) (*connectors.Schema, error) {
	t := &connectors.Schema{Type: connectors.Struct, Name: unionName}
	for _, b := range s.Branches {
		if b.Type == Null {
			t.Optional = true
			continue
		}
		name := branchName(b)
		if t.FieldIndex(name) >= 0 {
			return nil, fmt.Errorf("a union with two branches that would be called %s", name)
		}
		of, err := c.schema(b, use{optional: true}, depth+1)
		if err != nil {
			return nil, fmt.Errorf("branch %s: %w", name, err)
		}
		t.Fields = append(t.Fields, connectors.Field{Name: name, Schema: of})
	}
	return t, nil
}

func branchName(s *Schema) string {
	if s.Type == Record || s.Type == Enum {
		_, simple := splitName(s.Name)
		return simple
	}
	return s.Type.String()
}

// annotations sets what the properties of s say, and its name.
func (c *toConnect) annotations(t *connectors.Schema, s *Schema) error {
	t.Doc, _ = s.propText(connectDocProp)
	if s.prop(connectVersionProp) != nil {
		version, err := s.intProp(connectVersionProp, 0)
		if err != nil {
			return err
		}
		if t.Version != 0 && t.Version != version {
			return fmt.Errorf("%s %d differs from that of %s, %d", connectVersionProp, version, t.Name, t.Version)
		}
		t.Version = version
	}
	if p := s.prop(connectParametersProp); p != nil {
		if p.kind != objectNode {
			return fmt.Errorf("%s is no object: %s", connectParametersProp, excerpt(p))
		}
		for i, name := range p.names {
			if p.items[i].kind != stringNode {
				return fmt.Errorf("%s: %s is no string: %s", connectParametersProp, name, excerpt(p.items[i]))
			}
			setParameter(t, name, p.items[i].text)
		}
	}
	for _, p := range s.props {
		if strings.HasPrefix(p.name, avroPropPrefix) {
			text := p.value.text
			if p.value.kind != stringNode {
				text = string(p.value.appendJSON(nil))
			}
			setParameter(t, p.name, text)
		}
	}
	return setName(t, s)
}

func setName(t *connectors.Schema, s *Schema) error {
	name := ""
	if p := s.prop(connectNameProp); p != nil {
		if p.kind != stringNode {
			return fmt.Errorf("%s is no string: %s", connectNameProp, excerpt(p))
		}
		name = p.text
	} else if s.Type == Record || s.Type == Enum {
		name = s.Name
	}
	if name == "" || isDefaultName(name) {
		return nil
	}
	if t.Name != "" && t.Name != name {
		return fmt.Errorf("%s %s contradicts the logical type, which is %s", connectNameProp, name, t.Name)
	}
	t.Name = name
	return nil
}

// isDefaultName reports whether FromConnect gave the name to a struct without one.
func isDefaultName(name string) bool {
	number, ok := strings.CutPrefix(name, defaultName)
	if !ok || number == "" {
		return ok
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return err == nil
}

func setParameter(t *connectors.Schema, name, value string) {
	for i := range t.Parameters {
		if t.Parameters[i].Name == name {
			t.Parameters[i].Value = value
			return
		}
	}
	t.Parameters = append(t.Parameters, connectors.Parameter{Name: name, Value: value})
}
