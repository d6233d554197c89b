package protobuf

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Difference is one change between two schemas.
type Difference struct {
	Type string // in Confluent's words
	Path string // the message, and the number of the field or the name of the oneof in question
}

// Compatible reports whether what was written before can still be read.
func (d Difference) Compatible() bool {
	switch d.Type {
	case "MESSAGE_REMOVED", "FIELD_KIND_CHANGED", "FIELD_SCALAR_KIND_CHANGED", "FIELD_NAMED_TYPE_CHANGED",
		"FIELD_NUMERIC_LABEL_CHANGED", "REQUIRED_FIELD_ADDED", "REQUIRED_FIELD_REMOVED", "ONEOF_FIELD_REMOVED",
		"MULTIPLE_FIELDS_MOVED_TO_ONEOF", "FIELD_MOVED_TO_EXISTING_ONEOF":
		return false
	}
	return true
}

// Explain returns every reason why data written under writer cannot be read under reader; nil if there is none.
// readerIs and writerIs are "new" and "old", or the other way round.
func Explain(reader, writer *Schema, readerIs, writerIs string) []string {
	var messages []string
	for _, d := range Compare(writer, reader) {
		if !d.Compatible() {
			messages = append(messages, fmt.Sprintf(`{errorType:"%s", description:"The %s schema does not read at path '%s' what the %s schema writes"}`,
				d.Type, readerIs, d.Path, writerIs))
		}
	}
	return messages
}

// Compare returns what changed from the original to the update.
func Compare(original, update *Schema) []Difference {
	c := &comparison{under: make(map[string]bool)}
	if original.linked.Package() != update.linked.Package() {
		c.add("PACKAGE_CHANGED", "")
	}
	c.types(original.linked, update.linked, "")
	return c.found
}

type comparison struct {
	found []Difference
	under map[string]bool // pairs of messages that are compared or have been
}

func (c *comparison) add(kind, path string) { c.found = append(c.found, Difference{kind, "#/" + path}) }

// scope is what types are declared in.
type scope interface {
	Messages() protoreflect.MessageDescriptors
	Enums() protoreflect.EnumDescriptors
}

func (c *comparison) types(o, u scope, in string) {
	was, is := messagesOf(o), messagesOf(u)
	for _, name := range both(was, is) {
		path := in + name
		switch {
		case is[name] == nil:
			c.add("MESSAGE_REMOVED", path)
		case was[name] == nil:
			c.add("MESSAGE_ADDED", path)
		default:
			c.message(was[name], is[name], path)
			if was[name].Index() != is[name].Index() {
				c.add("MESSAGE_MOVED", path)
			}
		}
	}
	wasEnums, isEnums := enumsOf(o), enumsOf(u)
	for _, name := range both(wasEnums, isEnums) {
		switch {
		case isEnums[name] == nil:
			c.add("ENUM_REMOVED", in+name)
		case wasEnums[name] == nil:
			c.add("ENUM_ADDED", in+name)
		default:
			c.enum(wasEnums[name], isEnums[name], in+name)
		}
	}
}

func messagesOf(s scope) map[string]protoreflect.MessageDescriptor {
	m := make(map[string]protoreflect.MessageDescriptor)
	for i := range s.Messages().Len() {
		if d := s.Messages().Get(i); !d.IsMapEntry() {
			m[string(d.Name())] = d
		}
	}
	return m
}

func enumsOf(s scope) map[string]protoreflect.EnumDescriptor {
	m := make(map[string]protoreflect.EnumDescriptor)
	for i := range s.Enums().Len() {
		m[string(s.Enums().Get(i).Name())] = s.Enums().Get(i)
	}
	return m
}

func both[K ~int32 | ~string, V any](a, b map[K]V) []K {
	list := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(list)
	return slices.Compact(list)
}

func (c *comparison) enum(o, u protoreflect.EnumDescriptor, path string) {
	values := func(e protoreflect.EnumDescriptor) map[protoreflect.EnumNumber]protoreflect.Name {
		m := make(map[protoreflect.EnumNumber]protoreflect.Name)
		for i := range e.Values().Len() {
			m[e.Values().Get(i).Number()] = e.Values().Get(i).Name()
		}
		return m
	}
	was, is := values(o), values(u)
	for _, n := range both(was, is) {
		at := path + "/" + strconv.Itoa(int(n))
		switch {
		case is[n] == "":
			c.add("ENUM_CONST_REMOVED", at)
		case was[n] == "":
			c.add("ENUM_CONST_ADDED", at)
		case is[n] != was[n]:
			c.add("ENUM_CONST_CHANGED", at)
		}
	}
}

// content is the fields of a message by number, and the oneof that each is in, "" if in none.
type content struct {
	fields map[protoreflect.FieldNumber]protoreflect.FieldDescriptor
	oneof  map[protoreflect.FieldNumber]string
	oneofs map[string][]protoreflect.FieldNumber
}

func contentOf(m protoreflect.MessageDescriptor) content {
	c := content{make(map[protoreflect.FieldNumber]protoreflect.FieldDescriptor), make(map[protoreflect.FieldNumber]string), make(map[string][]protoreflect.FieldNumber)}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		c.fields[f.Number()] = f
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			c.oneof[f.Number()] = string(o.Name())
			c.oneofs[string(o.Name())] = append(c.oneofs[string(o.Name())], f.Number())
		}
	}
	return c
}

func (c *comparison) message(o, u protoreflect.MessageDescriptor, path string) {
	pair := string(o.FullName()) + " " + string(u.FullName())
	if c.under[pair] {
		return
	}
	c.under[pair] = true
	was, is := contentOf(o), contentOf(u)
	c.oneofs(was, is, path)
	for _, n := range both(was.fields, is.fields) {
		at := path + "/" + strconv.Itoa(int(n))
		before, now := was.fields[n], is.fields[n]
		switch {
		case before == nil && is.oneof[n] == "":
			c.add(required(now, "FIELD_ADDED"), at)
		case now == nil && was.oneof[n] == "":
			c.add(required(before, "FIELD_REMOVED"), at)
		case before != nil && now != nil:
			c.field(before, now, at)
		}
	}
	c.types(o, u, path+"/")
}

func required(f protoreflect.FieldDescriptor, kind string) string {
	if f.Cardinality() == protoreflect.Required {
		return "REQUIRED_" + kind
	}
	return kind
}

// oneofs compares what excludes each other. Two fields of the original that could both be set must not be in one oneof.
func (c *comparison) oneofs(was, is content, path string) {
	for _, name := range both(was.oneofs, is.oneofs) {
		at := path + "/" + name
		moved, there := 0, 0
		for _, n := range is.oneofs[name] {
			switch {
			case was.oneof[n] != "":
				there++
			case was.fields[n] != nil:
				moved++
			}
		}
		if moved > 1 {
			c.add("MULTIPLE_FIELDS_MOVED_TO_ONEOF", at)
		} else if moved == 1 && there > 0 {
			c.add("FIELD_MOVED_TO_EXISTING_ONEOF", at)
		}
		switch {
		case is.oneofs[name] == nil:
			c.add("ONEOF_REMOVED", at)
			continue
		case was.oneofs[name] == nil:
			c.add("ONEOF_ADDED", at)
			continue
		}
		for _, n := range was.oneofs[name] {
			if is.fields[n] == nil {
				c.add("ONEOF_FIELD_REMOVED", at+"/"+strconv.Itoa(int(n)))
			}
		}
		for _, n := range is.oneofs[name] {
			if was.oneof[n] != name {
				c.add("ONEOF_FIELD_ADDED", at+"/"+strconv.Itoa(int(n)))
			}
		}
	}
}

func (c *comparison) field(o, u protoreflect.FieldDescriptor, at string) {
	if o.Name() != u.Name() {
		c.add("FIELD_NAME_CHANGED", at)
	}
	if !o.IsMap() && !u.IsMap() && o.IsList() != u.IsList() {
		switch group := groupOf(o); {
		case o.Message() != nil || u.Message() != nil:
		case group == "string" && groupOf(u) == group:
			c.add("FIELD_STRING_OR_BYTES_LABEL_CHANGED", at)
		default:
			c.add("FIELD_NUMERIC_LABEL_CHANGED", at)
		}
	}
	c.kinds(o, u, at)
}

func (c *comparison) kinds(o, u protoreflect.FieldDescriptor, at string) {
	switch {
	case o.IsMap() != u.IsMap(), (o.Message() == nil) != (u.Message() == nil):
		c.add("FIELD_KIND_CHANGED", at)
	case o.IsMap():
		c.kinds(o.MapKey(), u.MapKey(), at)
		c.kinds(o.MapValue(), u.MapValue(), at)
	case o.Message() != nil:
		c.named(o.Message(), u.Message(), at)
	case groupOf(o) != groupOf(u):
		c.add("FIELD_SCALAR_KIND_CHANGED", at)
	}
}

// named compares the types of two fields: their names in their packages, and what they are if another file has them.
func (c *comparison) named(o, u protoreflect.MessageDescriptor, at string) {
	name := local(u)
	if local(o) != name {
		c.add("FIELD_NAMED_TYPE_CHANGED", at)
		return
	}
	if o.ParentFile().Path() == mainFile && u.ParentFile().Path() == mainFile {
		return // compared where they are declared
	}
	before := len(c.found)
	c.message(o, u, strings.ReplaceAll(name, ".", "/"))
	if slices.ContainsFunc(c.found[before:], func(d Difference) bool { return !d.Compatible() }) {
		c.add("FIELD_NAMED_TYPE_CHANGED", at)
	}
}

func local(m protoreflect.MessageDescriptor) string {
	return strings.TrimPrefix(strings.TrimPrefix(string(m.FullName()), string(m.ParentFile().Package())), ".")
}

// groupOf returns the group of types that are encoded as the field's is.
func groupOf(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return "number"
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return "signed"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "string"
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "fixed32"
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return "fixed64"
	}
	return f.Kind().String()
}
