package avro

import "slices"

// String returns the schema's text as Java's Schema.toString prints it, which is what Confluent's registry stores: a
// named type is defined where it comes first and called by its name after that, relative to the namespace it is in.
//
// Order of members: type, name, namespace, doc, fields | symbols, default | size, properties as they were read,
// aliases; of a field: name, type, doc, default, order, aliases, properties.
func (s *Schema) String() string { return s.StringUsing(nil) }

// StringUsing is String without the definitions of types that are defined in the others.
func (s *Schema) StringUsing(types []*Schema) string {
	p := printer{defined: make(map[string]bool)}
	for name := range namedTypes(types) {
		p.defined[name] = true
	}
	p.schema(s, "")
	return string(p.dst)
}

type printer struct {
	dst     []byte
	defined map[string]bool
}

func (p *printer) raw(s string) { p.dst = append(p.dst, s...) }

func (p *printer) member(name string) {
	if c := p.dst[len(p.dst)-1]; c != '{' {
		p.dst = append(p.dst, ',')
	}
	p.dst = append(appendQuoted(p.dst, name), ':')
}

func (p *printer) text(name, value string) {
	p.member(name)
	p.dst = appendQuoted(p.dst, value)
}

func (p *printer) optionalText(name string, value *string) {
	if value != nil {
		p.text(name, *value)
	}
}

func (p *printer) schema(s *Schema, namespace string) {
	switch s.Type {
	case Record, Enum, Fixed:
		p.named(s, namespace)
	case Union:
		p.raw("[")
		for i, b := range s.Branches {
			if i > 0 {
				p.raw(",")
			}
			p.schema(b, namespace)
		}
		p.raw("]")
	case Array, Map:
		p.raw("{")
		p.text("type", s.Type.String())
		p.member(elemMember(s))
		p.schema(s.Elem, namespace)
		p.props(s.props)
		p.raw("}")
	default:
		if len(s.props) == 0 {
			p.dst = appendQuoted(p.dst, s.Type.String())
			return
		}
		p.raw("{")
		p.text("type", s.Type.String())
		p.props(s.props)
		p.raw("}")
	}
}

func elemMember(s *Schema) string {
	if s.Type == Array {
		return "items"
	}
	return "values"
}

func (p *printer) named(s *Schema, namespace string) {
	if p.defined[s.Name] {
		p.dst = appendQuoted(p.dst, reference(s.Name, namespace))
		return
	}
	p.defined[s.Name] = true
	p.raw("{")
	if s.isError {
		p.text("type", "error")
	} else {
		p.text("type", s.Type.String())
	}
	space, simple := splitName(s.Name)
	p.text("name", simple)
	if space != namespace {
		p.text("namespace", space)
	}
	p.optionalText("doc", s.doc)
	switch s.Type {
	case Record:
		p.fields(s, space)
	case Enum:
		p.member("symbols")
		p.strings(s.Symbols)
		p.optionalText("default", s.enumDefault)
	case Fixed:
		p.member("size")
		p.dst = numberNode(int64(s.Size)).appendJSON(p.dst)
	}
	p.props(s.props)
	if len(s.Aliases) > 0 {
		p.member("aliases")
		var list []string
		for _, a := range s.Aliases {
			list = append(list, reference(a, space))
		}
		p.strings(list)
	}
	p.raw("}")
}

// reference is what full is called inside namespace: the simple name, unless that would stand for a type of Avro's. A
// name without a namespace has no other way to be written, and is without the dot that aliasName may have left.
func reference(full, namespace string) string {
	space, simple := splitName(full)
	if space == "" || space == namespace && !slices.Contains(typeNames[:], simple) {
		return simple
	}
	return full
}

func (p *printer) fields(s *Schema, namespace string) {
	p.member("fields")
	p.raw("[")
	for i := range s.Fields {
		if i > 0 {
			p.raw(",")
		}
		f := &s.Fields[i]
		p.raw("{")
		p.text("name", f.Name)
		p.member("type")
		p.schema(f.Schema, namespace)
		p.optionalText("doc", f.doc)
		if f.def != nil {
			p.member("default")
			p.dst = f.def.appendJSON(p.dst)
		}
		if f.order != "" && f.order != "ascending" {
			p.text("order", f.order)
		}
		if len(f.Aliases) > 0 {
			p.member("aliases")
			p.strings(f.Aliases)
		}
		p.props(f.props)
		p.raw("}")
	}
	p.raw("]")
}

func (p *printer) strings(list []string) {
	n := &node{kind: arrayNode}
	for _, s := range list {
		n.add(textNode(s))
	}
	p.dst = n.appendJSON(p.dst)
}

func (p *printer) props(list []prop) {
	for _, e := range list {
		p.member(e.name)
		p.dst = e.value.appendJSON(p.dst)
	}
}
