package protobuf

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Normal returns s with all type names written in full, and imports, options, fields and enum values in one order.
// Messages stay where they are: their places are part of the encoding.
func (s *Schema) Normal() *Schema {
	c := &Schema{syntax: s.syntax, linked: s.linked, order: make(map[proto.Message]int), file: proto.Clone(s.file).(*descriptorpb.FileDescriptorProto)}
	if c.syntax == "" && c.file.GetSyntax() == "" {
		c.syntax = "proto2"
	}
	normalImports(c.file)
	normalOptions(c.file.Options)
	normalTypes(c.file.MessageType, s.linked.Messages(), c.file.EnumType)
	normalFields(c.file.Extension, s.linked.Extensions())
	for i, service := range c.file.Service {
		for j, m := range service.Method {
			of := s.linked.Services().Get(i).Methods().Get(j)
			m.InputType, m.OutputType = full(of.Input()), full(of.Output())
			normalOptions(m.Options)
		}
		normalOptions(service.Options)
	}
	return c
}

func full(d protoreflect.Descriptor) *string { return proto.String("." + string(d.FullName())) }

func normalImports(f *descriptorpb.FileDescriptorProto) {
	var public, weak []string
	for _, i := range f.PublicDependency {
		public = append(public, f.Dependency[i])
	}
	for _, i := range f.WeakDependency {
		weak = append(weak, f.Dependency[i])
	}
	slices.Sort(f.Dependency)
	f.PublicDependency, f.WeakDependency = nil, nil
	for i, name := range f.Dependency {
		if slices.Contains(public, name) {
			f.PublicDependency = append(f.PublicDependency, int32(i))
		}
		if slices.Contains(weak, name) {
			f.WeakDependency = append(f.WeakDependency, int32(i))
		}
	}
}

func normalTypes(messages []*descriptorpb.DescriptorProto, linked protoreflect.MessageDescriptors, enums []*descriptorpb.EnumDescriptorProto) {
	for i, m := range messages {
		of := linked.Get(i)
		normalTypes(m.NestedType, of.Messages(), m.EnumType)
		normalFields(m.Extension, of.Extensions())
		normalFields(m.Field, of.Fields())
		slices.SortStableFunc(m.Field, func(a, b *descriptorpb.FieldDescriptorProto) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
		slices.SortStableFunc(m.ReservedRange, func(a, b *descriptorpb.DescriptorProto_ReservedRange) int {
			return cmp.Compare(a.GetStart(), b.GetStart())
		})
		slices.Sort(m.ReservedName)
		normalOptions(m.Options)
	}
	for _, e := range enums {
		// The first value is the default and stays so.
		if len(e.Value) > 1 {
			slices.SortStableFunc(e.Value[1:], func(a, b *descriptorpb.EnumValueDescriptorProto) int {
				return cmp.Compare(a.GetNumber(), b.GetNumber())
			})
		}
		slices.Sort(e.ReservedName)
		normalOptions(e.Options)
		for _, v := range e.Value {
			normalOptions(v.Options)
		}
	}
}

func normalFields(fields []*descriptorpb.FieldDescriptorProto, linked interface {
	Get(int) protoreflect.FieldDescriptor
}) {
	for i, f := range fields {
		normalField(f, linked.Get(i))
	}
}

func normalField(f *descriptorpb.FieldDescriptorProto, of protoreflect.FieldDescriptor) {
	switch {
	case of.IsMap(), of.Kind() == protoreflect.GroupKind: // printed where they are
	case of.Message() != nil:
		f.TypeName = full(of.Message())
	case of.Enum() != nil:
		f.TypeName = full(of.Enum())
	}
	if f.Extendee != nil {
		f.Extendee = full(of.ContainingMessage())
	}
	normalOptions(f.Options)
}

// normalOptions sorts the options that were read from a text by their names; others have no order.
func normalOptions(options proto.Message) {
	m := options.ProtoReflect()
	unread := m.Descriptor().Fields().ByName("uninterpreted_option")
	if !m.IsValid() || unread == nil || m.Get(unread).List().Len() < 2 {
		return
	}
	list := m.Mutable(unread).List()
	var all []*descriptorpb.UninterpretedOption
	for i := range list.Len() {
		all = append(all, list.Get(i).Message().Interface().(*descriptorpb.UninterpretedOption))
	}
	slices.SortStableFunc(all, func(a, b *descriptorpb.UninterpretedOption) int {
		return cmp.Compare(uninterpreted(a), uninterpreted(b))
	})
	for i, o := range all {
		list.Set(i, protoreflect.ValueOfMessage(o.ProtoReflect()))
	}
}
