package schemaregistry

import (
	"fmt"

	"github.com/sluicehub/sluice/schemaregistry/avro"
	"github.com/sluicehub/sluice/schemaregistry/jsonschema"
	"github.com/sluicehub/sluice/schemaregistry/protobuf"
)

// The languages that schemas are written in, as the API calls them.
const (
	kindAvro     = "AVRO"
	kindJSON     = "JSON"
	kindProtobuf = "PROTOBUF"
)

// imported is a schema that another one refers to, by a name.
type imported struct {
	name string
	text string
	doc  document
}

// parse reads a text in its language; imports holds all that it refers to, what is referred to first. A stored text
// was accepted before, by older rules perhaps.
type parse func(text string, imports []imported, stored bool) (document, error)

// document is a parsed schema. It is immutable.
type document interface {
	// text returns the text as it is stored: what differs in nothing but spelling has one text.
	text() string
	// normal returns the schema with everything in one order that may come in any.
	normal() document
	// same reports whether both are one schema to a registry, whether or not what they refer to is written out.
	same(other document) bool
	// explain returns why a reader with this schema cannot read what was written under writer, a message for each
	// difference that matters. The names say which of them is "new" and which is "old".
	explain(writer document, lenient bool, reader, writerIs string) []string
	// format returns the text in another form, false if the language knows none of that name.
	format(name string) (string, bool)
	// fields returns the names of the fields at the top.
	fields() []string
}

// languages returns how each kind of schema is read.
func languages() map[string]parse {
	return map[string]parse{kindAvro: parseAvro, kindJSON: parseJSON, kindProtobuf: parseProtobuf}
}

// kinds returns the kinds of schemas that can be registered.
func kinds() []string { return []string{kindJSON, kindProtobuf, kindAvro} }

// kindOf returns the kind that a request or record names: Avro if it names none.
func kindOf(name string) string {
	if name == "" {
		return kindAvro
	}
	return name
}

type avroDocument struct {
	schema *avro.Schema
	types  []*avro.Schema // that it refers to
}

func parseAvro(text string, imports []imported, stored bool) (document, error) {
	var d avroDocument
	for _, i := range imports {
		other, ok := i.doc.(avroDocument)
		if !ok {
			return nil, otherType(i)
		}
		d.types = append(d.types, other.schema)
	}
	var err error
	d.schema, err = avro.Parser{Types: d.types, Stored: stored}.Parse(text)
	return d, err
}

func (d avroDocument) text() string     { return d.schema.StringUsing(d.types) }
func (d avroDocument) normal() document { return avroDocument{d.schema.Normal(), d.types} }

func (d avroDocument) same(other document) bool {
	o, ok := other.(avroDocument)
	return ok && avro.Equal(d.schema, o.schema)
}

func (d avroDocument) explain(writer document, _ bool, reader, writerIs string) []string {
	return avro.Explain(d.schema, writer.(avroDocument).schema, reader, writerIs)
}

// format knows "resolved": the types that are referred to are defined in the text.
func (d avroDocument) format(name string) (string, bool) {
	if name != "resolved" {
		return "", false
	}
	return d.schema.String(), true
}

func (d avroDocument) fields() []string {
	var names []string
	for _, f := range d.schema.Fields {
		names = append(names, f.Name)
	}
	return names
}

func otherType(i imported) error {
	return fmt.Errorf("the reference %q is to a schema of another type", i.name)
}

type jsonDocument struct{ schema *jsonschema.Schema }

func parseJSON(text string, imports []imported, _ bool) (document, error) {
	var refs []jsonschema.Reference
	for _, i := range imports {
		other, ok := i.doc.(jsonDocument)
		if !ok {
			return nil, otherType(i)
		}
		refs = append(refs, jsonschema.Reference{Name: i.name, Schema: other.schema})
	}
	s, err := jsonschema.Parse(text, refs)
	return jsonDocument{s}, err
}

func (d jsonDocument) text() string                 { return d.schema.String() }
func (d jsonDocument) normal() document             { return jsonDocument{d.schema.Normal()} }
func (d jsonDocument) format(string) (string, bool) { return "", false }
func (d jsonDocument) fields() []string             { return d.schema.Properties() }

func (d jsonDocument) same(other document) bool {
	o, ok := other.(jsonDocument)
	return ok && jsonschema.Equal(d.schema, o.schema)
}

func (d jsonDocument) explain(writer document, lenient bool, reader, writerIs string) []string {
	return jsonschema.Explain(d.schema, writer.(jsonDocument).schema, lenient, reader, writerIs)
}

type protobufDocument struct{ schema *protobuf.Schema }

func parseProtobuf(text string, imports []imported, _ bool) (document, error) {
	var refs []protobuf.Reference
	for _, i := range imports {
		if _, ok := i.doc.(protobufDocument); !ok {
			return nil, otherType(i)
		}
		refs = append(refs, protobuf.Reference{Name: i.name, Text: i.text})
	}
	s, err := protobuf.Parse(text, refs)
	return protobufDocument{s}, err
}

func (d protobufDocument) text() string     { return d.schema.String() }
func (d protobufDocument) normal() document { return protobufDocument{d.schema.Normal()} }
func (d protobufDocument) fields() []string { return d.schema.Fields() }

func (d protobufDocument) same(other document) bool {
	o, ok := other.(protobufDocument)
	return ok && protobuf.Equal(d.schema, o.schema)
}

func (d protobufDocument) explain(writer document, _ bool, reader, writerIs string) []string {
	return protobuf.Explain(d.schema, writer.(protobufDocument).schema, reader, writerIs)
}

// format knows "serialized", a FileDescriptorProto in base64, as Confluent's clients read it, and "ignore_extensions".
func (d protobufDocument) format(name string) (text string, ok bool) {
	var err error
	switch name {
	case "serialized":
		text, err = d.schema.Serialized()
	case "ignore_extensions":
		text, err = d.schema.WithoutExtensions()
	default:
		return "", false
	}
	return text, err == nil
}
