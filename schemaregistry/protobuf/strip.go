package protobuf

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// WithoutExtensions returns the text without custom options, extensions and room for them.
func (s *Schema) WithoutExtensions() (string, error) {
	plain, err := read(s.String())
	if err != nil {
		return "", err
	}
	strip(plain.file.ProtoReflect(), func(m protoreflect.Message) {
		switch m := m.Interface().(type) {
		case *descriptorpb.FileDescriptorProto:
			m.Extension = nil
		case *descriptorpb.DescriptorProto:
			m.Extension, m.ExtensionRange = nil, nil
		}
	})
	return plain.String(), nil
}

// withoutCustomOptions returns a copy of a file that has none, under another name.
func withoutCustomOptions(file *descriptorpb.FileDescriptorProto, name string) *descriptorpb.FileDescriptorProto {
	file = proto.Clone(file).(*descriptorpb.FileDescriptorProto)
	file.Name = &name
	strip(file.ProtoReflect(), func(protoreflect.Message) {})
	return file
}

// strip removes the custom options of a descriptor and of all in it, and does more to each.
func strip(m protoreflect.Message, more func(protoreflect.Message)) {
	more(m)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Name() == "uninterpreted_option":
			kept := m.NewField(f)
			for i := range v.List().Len() {
				o, ok := v.List().Get(i).Message().Interface().(*descriptorpb.UninterpretedOption)
				if !ok || len(o.Name) == 0 || !o.Name[0].GetIsExtension() {
					kept.List().Append(v.List().Get(i))
				}
			}
			m.Set(f, kept)
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				strip(v.List().Get(i).Message(), more)
			}
		case !f.IsMap():
			strip(v.Message(), more)
		}
		return true
	})
}
