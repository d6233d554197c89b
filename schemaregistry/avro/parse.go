package avro

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSchema says that a text is not an Avro schema.
var ErrSchema = errors.New("not a valid Avro schema")

// Parse reads the text of an Avro schema. It accepts what Java's Schema.Parser (Avro 1.12, strict names, defaults
// validated) accepts: a type may be used before it is defined and defined again if it is the same, a default may be of
// any branch of its union, comments are skipped, a malformed logical type is a property like any other. Errors wrap
// ErrSchema.
func Parse(text string) (*Schema, error) { return Parser{}.Parse(text) }

// ParseStored is Parse with Parser.Stored.
func ParseStored(text string) (*Schema, error) { return Parser{Stored: true}.Parse(text) }

// Parser says how a schema is read where Parse does not do.
type Parser struct {
	// Types are schemas in which types are defined that the text may use. Of two types of one name the first counts.
	Types []*Schema
	// Stored: the schema is in use already, so what names consist of and whether defaults fit is not looked at, because
	// older versions of Avro did not either. (A "-" in a namespace is the usual case.) It is for texts that come from
	// a registry; what goes into one must be read without it.
	Stored bool
}

// Parse reads a text as the package's Parse does.
func (o Parser) Parse(text string) (*Schema, error) {
	s, err := o.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return s, nil
}

func (o Parser) parse(text string) (*Schema, error) {
	n, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	p := &parser{stored: o.Stored, known: namedTypes(o.Types), pending: make(map[**Schema]string), building: make(map[*Schema]bool), steps: maxDefaultSteps}
	var root *Schema
	if err := p.schema(n, "", &root); err != nil {
		return nil, err
	}
	if err := p.resolve(&root); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return root, nil
}

// parser holds what is known so far.
type parser struct {
	stored   bool                // it was accepted before: names and defaults are not checked
	known    map[string]*Schema  // by full name
	defined  []*Schema           // named types of the text, in order
	pending  map[**Schema]string // uses of names that have not been defined so far
	building map[*Schema]bool    // records whose fields are being read
	again    [][2]*Schema        // definitions of a type that came from elsewhere
	unions   []*Schema
	steps    int // that the checking of defaults may still take
}

func (p *parser) schema(n *node, namespace string, slot **Schema) error {
	switch n.kind {
	case stringNode:
		return p.reference(n.text, namespace, slot)
	case arrayNode:
		return p.union(n, namespace, slot)
	case objectNode:
	default:
		return fmt.Errorf("%s is no schema", excerpt(n))
	}
	name, ok := n.memberText("type")
	if !ok {
		return fmt.Errorf("no type in %s", excerpt(n))
	}
	s := &Schema{}
	switch name {
	case "record", "error":
		s.Type, s.isError = Record, name == "error"
	case "enum":
		s.Type = Enum
	case "fixed":
		s.Type = Fixed
	case "array":
		s.Type = Array
	case "map":
		s.Type = Map
	default:
		t, ok := primitive(name)
		if !ok {
			return p.reference(name, namespace, slot)
		}
		s.Type = t
	}
	*slot = s
	s.props = properties(n, s.Type)
	switch s.Type {
	case Record, Enum, Fixed:
		return p.named(s, n, namespace)
	case Array, Map:
		elem := n.member(elemMember(s))
		if elem == nil {
			return fmt.Errorf("no %s in %s", elemMember(s), excerpt(n))
		}
		return p.schema(elem, namespace, &s.Elem)
	}
	return nil
}

func (p *parser) reference(name, namespace string, slot **Schema) error {
	if t, ok := primitive(name); ok {
		*slot = &Schema{Type: t}
		return nil
	}
	full := name
	if namespace != "" && !strings.Contains(name, ".") {
		full = namespace + "." + name
	}
	if *slot = p.known[full]; *slot == nil {
		*slot = p.known[name] // outside any namespace
	}
	if *slot == nil {
		p.pending[slot] = full
	}
	return nil
}

func (p *parser) union(n *node, namespace string, slot **Schema) error {
	s := &Schema{Type: Union, Branches: make([]*Schema, len(n.items))}
	*slot = s
	p.unions = append(p.unions, s)
	for i, item := range n.items {
		if err := p.schema(item, namespace, &s.Branches[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) named(s *Schema, n *node, namespace string) error {
	name, ok := n.memberText("name")
	if !ok {
		return fmt.Errorf("no name in %s", excerpt(n))
	}
	if space, ok := n.memberText("namespace"); ok {
		namespace = space
	}
	s.Name = fullName(name, namespace)
	if !p.validName(s.Name, validFullName) {
		return fmt.Errorf("the name %q must consist of letters, digits and _ between its dots, and not be that of a primitive type", s.Name)
	}
	space, _ := splitName(s.Name)
	s.doc = optionalText(n, "doc")
	var err error
	if s.Aliases, err = p.typeAliases(n, space); err != nil {
		return fmt.Errorf("%s %s: %w", s.Type, s.Name, err)
	}
	switch s.Type {
	case Record:
		if err = p.define(s); err == nil { // its fields may use it
			p.building[s] = true
			err = p.fields(s, n, space)
			delete(p.building, s)
		}
	case Enum:
		if err = p.symbols(s, n); err == nil {
			err = p.define(s)
		}
	case Fixed:
		if err = fixedSize(s, n); err == nil {
			err = p.define(s)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.Type, s.Name, err)
	}
	return nil
}

// define makes a type known by its name. Java compares a second definition with the first when it has read as much of
// it as we have here: not the fields of a record, nor the properties of any type. So a record cannot be defined again
// but inside itself, and a type with properties not at all.
func (p *parser) define(s *Schema) error {
	first, there := p.known[s.Name]
	switch {
	case !there:
		p.known[s.Name] = s
		p.defined = append(p.defined, s)
		return nil
	case !slices.Contains(p.defined, first):
		p.again = append(p.again, [2]*Schema{first, s})
		return nil
	}
	same := first.Type == s.Type && first.Size == s.Size && slices.Equal(first.Symbols, s.Symbols)
	if s.Type == Record {
		same = same && p.building[first]
	} else {
		same = same && len(first.props) == 0
	}
	if !same {
		return fmt.Errorf("it is defined twice")
	}
	return nil
}

// validName reports whether the name can be accepted.
func (p *parser) validName(name string, strict func(string) bool) bool {
	if p.stored {
		return name != ""
	}
	return strict(name)
}

func (p *parser) fields(s *Schema, n *node, namespace string) error {
	list := n.member("fields")
	if list == nil || list.kind != arrayNode {
		return fmt.Errorf("no fields")
	}
	s.Fields = make([]Field, len(list.items))
	s.places = make(map[string]int, len(list.items))
	for i, item := range list.items {
		f := &s.Fields[i]
		name, ok := item.memberText("name")
		if !ok {
			return fmt.Errorf("field %d has no name", i)
		}
		if !p.validName(name, validName) {
			return fmt.Errorf("the field name %q must consist of letters, digits and _", name)
		}
		if _, twice := s.places[name]; twice {
			return fmt.Errorf("two fields %s", name)
		}
		s.places[name] = i
		f.Name = name
		if err := p.field(f, item, namespace); err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		if err := p.checkDefault(f, p.building); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) field(f *Field, n *node, namespace string) error {
	f.doc = optionalText(n, "doc")
	f.props = properties(n, Union) // a field's own reserved members
	var err error
	if f.Aliases, err = parseAliases(n); err != nil {
		return err
	}
	if o := n.member("order"); o != nil {
		f.order = strings.ToLower(o.text)
		if o.kind != stringNode || f.order != "ascending" && f.order != "descending" && f.order != "ignore" {
			return fmt.Errorf("the order %s is none of ascending, descending, ignore", excerpt(o))
		}
	}
	t := n.member("type")
	if t == nil {
		return fmt.Errorf("no type")
	}
	if err := p.schema(t, namespace, &f.Schema); err != nil {
		return err
	}
	f.def = n.member("default")
	if f.def != nil && f.def.kind == stringNode && f.Schema != nil && (f.Schema.Type == Float || f.Schema.Type == Double) {
		d, err := parseJavaDouble(f.def.text)
		if err != nil {
			return fmt.Errorf("the default %q is not a number", f.def.text)
		}
		f.def = doubleNode(d, 64)
	}
	return nil
}

// check verifies what needs every name resolved.
func (p *parser) check() error {
	for _, u := range p.unions {
		if err := checkUnion(u); err != nil {
			return err
		}
	}
	same := comparison{}
	for _, pair := range p.again {
		if !same.equal(pair[0], pair[1]) {
			return fmt.Errorf("%s is defined twice, differently", pair[0].Name)
		}
	}
	return nil
}

func checkUnion(u *Schema) error {
	seen := make(map[string]bool, len(u.Branches))
	for _, b := range u.Branches {
		name := b.Type.String()
		if b.named() {
			name = b.Name
		}
		switch {
		case b.Type == Union:
			return fmt.Errorf("a union in a union")
		case seen[name]:
			return fmt.Errorf("a union with two branches of %s", name)
		}
		seen[name] = true
	}
	return nil
}
