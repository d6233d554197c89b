package protobuf

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// declared prints options as statements.
func (p *printer) declared(options []string) {
	for _, o := range options {
		p.line("option %s;", o)
	}
}

// bracketed returns options as they are behind a field: one on its line, several each on one of their own.
func bracketed(options []string) string {
	switch len(options) {
	case 0:
		return ""
	case 1:
		return " [" + options[0] + "]"
	}
	return " " + enclosed("[", options, "]")
}

// fieldOptions returns the options of a field with those that descriptors keep elsewhere.
func fieldOptions(f *descriptorpb.FieldDescriptorProto) []string {
	var list []string
	if f.DefaultValue != nil {
		value := f.GetDefaultValue()
		switch f.GetType() {
		case descriptorpb.FieldDescriptorProto_TYPE_STRING:
			value = quote(value)
		case descriptorpb.FieldDescriptorProto_TYPE_BYTES:
			value = `"` + value + `"` // it is escaped in the descriptor
		}
		list = append(list, "default = "+value)
	}
	if f.JsonName != nil && f.GetJsonName() != jsonName(f.GetName()) {
		list = append(list, "json_name = "+quote(f.GetJsonName()))
	}
	return append(list, optionsOf(f.GetOptions())...)
}

// jsonName returns the name that a field has in JSON if nothing else is said.
func jsonName(name string) string {
	var b strings.Builder
	upper := false
	for _, c := range name {
		if c == '_' {
			upper = true
			continue
		}
		if upper && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteRune(c)
	}
	return b.String()
}

// optionsOf returns "name = value" of each option: of those that were read from a text as they were written, of those
// that came with a descriptor by its fields.
func optionsOf(options proto.Message) (list []string) {
	m := options.ProtoReflect()
	if !m.IsValid() {
		return nil
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Name() == "map_entry" || f.Name() == "uninterpreted_option" {
			return true
		}
		name := string(f.Name())
		if f.IsExtension() {
			name = "(" + string(f.FullName()) + ")"
		}
		if f.IsList() {
			for i := range v.List().Len() {
				list = append(list, name+" = "+valueText(f, v.List().Get(i)))
			}
		} else {
			list = append(list, name+" = "+valueText(f, v))
		}
		return true
	})
	slices.Sort(list) // a message has no order of its fields
	unread := m.Descriptor().Fields().ByName("uninterpreted_option")
	if unread == nil {
		return list
	}
	for i := range m.Get(unread).List().Len() {
		o, ok := m.Get(unread).List().Get(i).Message().Interface().(*descriptorpb.UninterpretedOption)
		if ok {
			list = append(list, uninterpreted(o))
		}
	}
	return list
}

func uninterpreted(o *descriptorpb.UninterpretedOption) string {
	var name []string
	for _, part := range o.Name {
		n := part.GetNamePart()
		if part.GetIsExtension() {
			n = "(" + n + ")"
		}
		name = append(name, n)
	}
	value := ""
	switch {
	case o.IdentifierValue != nil:
		value = o.GetIdentifierValue()
	case o.PositiveIntValue != nil:
		value = strconv.FormatUint(o.GetPositiveIntValue(), 10)
	case o.NegativeIntValue != nil:
		value = strconv.FormatInt(o.GetNegativeIntValue(), 10)
	case o.DoubleValue != nil:
		value = floatText(o.GetDoubleValue())
	case o.StringValue != nil:
		value = quote(string(o.StringValue))
	case o.AggregateValue != nil:
		value = aggregate(o.GetAggregateValue())
	}
	return strings.Join(name, ".") + " = " + value
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func valueText(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch f.Kind() {
	case protoreflect.StringKind:
		return quote(v.String())
	case protoreflect.BytesKind:
		return quote(string(v.Bytes()))
	case protoreflect.EnumKind:
		if named := f.Enum().Values().ByNumber(v.Enum()); named != nil {
			return string(named.Name())
		}
		return strconv.Itoa(int(v.Enum()))
	case protoreflect.MessageKind, protoreflect.GroupKind:
		var members []string
		v.Message().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if f.IsList() {
				for i := range v.List().Len() {
					members = append(members, string(f.Name())+": "+valueText(f, v.List().Get(i)))
				}
			} else if !f.IsMap() {
				members = append(members, string(f.Name())+": "+valueText(f, v))
			}
			return true
		})
		slices.Sort(members)
		return aggregate(strings.Join(members, ", "))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return floatText(v.Float())
	}
	return v.String()
}

// quote returns s as a string of a .proto file.
func quote(s string) string {
	b := []byte{'"'}
	for i, c := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c == '\n':
			b = append(b, `\n`...)
		case c < ' ' || c == 0x7f || c == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\%03o`, s[i])
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return string(append(b, '"'))
}
