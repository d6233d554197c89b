package protobuf

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// String returns the text as Confluent's registry keeps it: no comments, two spaces, a blank line between sections.
//
//	syntax, package
//	imports
//	options
//	messages and enums: reserved, options, fields, oneofs, extension ranges, extensions, nested types
//	extensions, services
func (s *Schema) String() string {
	f := s.file
	p := &printer{order: s.order, labelled: f.GetSyntax() == "" || f.GetSyntax() == "proto2"}
	switch {
	case f.GetSyntax() == "editions":
		p.line("edition = %q;", strings.TrimPrefix(f.GetEdition().String(), "EDITION_"))
	case s.syntax != "":
		p.line("syntax = %q;", s.syntax)
	}
	if f.GetPackage() != "" {
		p.line("package %s;", f.GetPackage())
	}
	p.imports(f)
	if options := optionsOf(f.GetOptions()); len(options) > 0 {
		p.line("")
		p.declared(options)
	}
	for _, t := range p.types(f.MessageType, f.EnumType, f.Extension) {
		p.line("")
		t()
	}
	p.extensions(f.Extension, f.MessageType)
	for _, service := range f.Service {
		p.line("")
		p.service(service)
	}
	return string(p.b)
}

type printer struct {
	b        []byte
	indent   string
	labelled bool                  // fields that are optional say so
	order    map[proto.Message]int // of types in the text
}

func (p *printer) line(format string, args ...any) {
	for l := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if l != "" {
			p.b = append(append(p.b, p.indent...), l...)
		}
		p.b = append(p.b, '\n')
	}
}

// block prints what is in braces, with a blank line between sections. That is not blank in blocks in blocks: there it is
// as far to the right as the block.
func (p *printer) block(head string, sections ...func()) {
	at := len(p.b)
	p.line("%s {", head)
	open, outer := len(p.b), p.indent
	p.indent += "  "
	for _, section := range sections {
		before := len(p.b)
		section()
		if len(p.b) > before && before > open {
			p.b = slices.Insert(p.b, before, []byte(outer+"\n")...)
		}
	}
	p.indent = outer
	if len(p.b) == open {
		p.b = p.b[:at]
		p.line("%s {}", head)
		return
	}
	p.line("}")
}

func (p *printer) imports(f *descriptorpb.FileDescriptorProto) {
	if len(f.Dependency) > 0 {
		p.line("")
	}
	for i, name := range f.Dependency {
		how := ""
		if slices.Contains(f.PublicDependency, int32(i)) {
			how = "public "
		} else if slices.Contains(f.WeakDependency, int32(i)) {
			how = "weak "
		}
		p.line("import %s%s;", how, quote(name))
	}
}

// types returns what prints messages and enums, in the order of the text. Entries of maps and groups are printed where
// they are used.
func (p *printer) types(messages []*descriptorpb.DescriptorProto, enums []*descriptorpb.EnumDescriptorProto,
	fields ...[]*descriptorpb.FieldDescriptorProto) []func() {
	type element struct {
		order int
		print func()
	}
	var list []element
	for _, m := range messages {
		if !m.GetOptions().GetMapEntry() && !isGroup(m, slices.Concat(fields...)) {
			list = append(list, element{p.order[m], func() { p.body("message "+m.GetName(), m) }})
		}
	}
	for _, e := range enums {
		list = append(list, element{p.order[e], func() { p.enum(e) }})
	}
	slices.SortStableFunc(list, func(a, b element) int { return cmp.Compare(a.order, b.order) })
	var prints []func()
	for _, e := range list {
		prints = append(prints, e.print)
	}
	return prints
}

func (p *printer) body(head string, m *descriptorpb.DescriptorProto) {
	p.block(head,
		func() { p.reserved(m.ReservedName, messageRanges(m)) },
		func() { p.declared(optionsOf(m.GetOptions())) },
		func() { p.fields(m, func(f *descriptorpb.FieldDescriptorProto) bool { return !inOneof(f) }) },
		func() { p.oneofs(m) },
		func() { p.extensionRanges(m) },
		func() { p.extensions(m.Extension, m.NestedType) },
		func() {
			for _, t := range p.types(m.NestedType, m.EnumType, m.Field, m.Extension) {
				t()
			}
		})
}

func inOneof(f *descriptorpb.FieldDescriptorProto) bool {
	return f.OneofIndex != nil && !f.GetProto3Optional()
}

// isGroup reports whether a message is the type of a group, which defines it where it is used.
func isGroup(m *descriptorpb.DescriptorProto, fields []*descriptorpb.FieldDescriptorProto) bool {
	return slices.ContainsFunc(fields, func(f *descriptorpb.FieldDescriptorProto) bool {
		return f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP && simple(f.GetTypeName()) == m.GetName()
	})
}

func simple(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func nested(list []*descriptorpb.DescriptorProto, name string) *descriptorpb.DescriptorProto {
	for _, m := range list {
		if m.GetName() == simple(name) {
			return m
		}
	}
	return nil
}

func (p *printer) fields(m *descriptorpb.DescriptorProto, which func(*descriptorpb.FieldDescriptorProto) bool) {
	for _, f := range m.Field {
		if which(f) {
			p.field(f, m.NestedType)
		}
	}
}

// field prints a field, whose type may be among the types nested beside it: a map's entry or a group.
func (p *printer) field(f *descriptorpb.FieldDescriptorProto, types []*descriptorpb.DescriptorProto) {
	label := ""
	switch {
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED:
		label = "repeated "
	case f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REQUIRED:
		label = "required "
	case f.GetProto3Optional(), p.labelled && !inOneof(f):
		label = "optional "
	}
	of := nested(types, f.GetTypeName())
	if f.GetType() == descriptorpb.FieldDescriptorProto_TYPE_GROUP && of != nil {
		p.body(fmt.Sprintf("%sgroup %s = %d", label, of.GetName(), f.GetNumber()), of)
		return
	}
	kind := typeName(f)
	if of != nil && of.GetOptions().GetMapEntry() && len(of.Field) == 2 {
		label, kind = "", fmt.Sprintf("map<%s, %s>", typeName(of.Field[0]), typeName(of.Field[1]))
	}
	p.line("%s%s %s = %d%s;", label, kind, f.GetName(), f.GetNumber(), bracketed(fieldOptions(f)))
}

func typeName(f *descriptorpb.FieldDescriptorProto) string {
	if f.GetTypeName() != "" {
		return f.GetTypeName()
	}
	return strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
}

func (p *printer) oneofs(m *descriptorpb.DescriptorProto) {
	for i, o := range m.OneofDecl {
		mine := func(f *descriptorpb.FieldDescriptorProto) bool { return inOneof(f) && f.GetOneofIndex() == int32(i) }
		if !slices.ContainsFunc(m.Field, mine) {
			continue
		}
		p.block("oneof "+o.GetName(), func() { p.declared(optionsOf(o.GetOptions())) }, func() { p.fields(m, mine) })
	}
}

// span is a range of numbers, both ends in it.
type span struct{ first, last, most int32 }

func (s span) String() string {
	switch {
	case s.first == s.last:
		return strconv.Itoa(int(s.first))
	case s.last == s.most:
		return fmt.Sprintf("%d to max", s.first)
	}
	return fmt.Sprintf("%d to %d", s.first, s.last)
}

const maxField = 1<<29 - 1

func messageRanges(m *descriptorpb.DescriptorProto) (list []string) {
	for _, r := range m.ReservedRange {
		list = append(list, span{r.GetStart(), r.GetEnd() - 1, maxField}.String())
	}
	return list
}

func (p *printer) reserved(names, ranges []string) {
	if len(ranges) > 0 {
		p.line("reserved %s;", strings.Join(ranges, ", "))
	}
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, quote(n))
	}
	if len(quoted) > 0 {
		p.line("reserved %s;", strings.Join(quoted, ", "))
	}
}

func (p *printer) extensionRanges(m *descriptorpb.DescriptorProto) {
	for _, r := range m.ExtensionRange {
		p.line("extensions %s%s;", span{r.GetStart(), r.GetEnd() - 1, maxField}, bracketed(optionsOf(r.GetOptions())))
	}
}

// extensions prints extensions, those of one message together.
func (p *printer) extensions(list []*descriptorpb.FieldDescriptorProto, types []*descriptorpb.DescriptorProto) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].GetExtendee() == list[0].GetExtendee() {
			n++
		}
		of := list[:n]
		if p.indent == "" {
			p.line("")
		}
		p.block("extend "+of[0].GetExtendee(), func() {
			for _, f := range of {
				p.field(f, types)
			}
		})
		list = list[n:]
	}
}

func (p *printer) enum(e *descriptorpb.EnumDescriptorProto) {
	var ranges []string
	for _, r := range e.ReservedRange {
		ranges = append(ranges, span{r.GetStart(), r.GetEnd(), math.MaxInt32}.String())
	}
	p.block("enum "+e.GetName(), func() {
		p.reserved(e.ReservedName, ranges)
		p.declared(optionsOf(e.GetOptions()))
		for _, v := range e.Value {
			p.line("%s = %d%s;", v.GetName(), v.GetNumber(), bracketed(optionsOf(v.GetOptions())))
		}
	})
}

func (p *printer) service(s *descriptorpb.ServiceDescriptorProto) {
	p.block("service "+s.GetName(), func() { p.declared(optionsOf(s.GetOptions())) }, func() {
		for _, m := range s.Method {
			head := fmt.Sprintf("rpc %s (%s%s) returns (%s%s)", m.GetName(), stream(m.GetClientStreaming()), m.GetInputType(),
				stream(m.GetServerStreaming()), m.GetOutputType())
			if options := optionsOf(m.GetOptions()); len(options) > 0 {
				p.block(head, func() { p.declared(options) })
			} else {
				p.line("%s;", head)
			}
		}
	})
}

func stream(yes bool) string {
	if yes {
		return "stream "
	}
	return ""
}
