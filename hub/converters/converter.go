// Package converters turns the keys, values and headers of records into the bytes that stand in a topic, and back, as
// Kafka Connect's converters do: JSON with and without schemas, Avro in Confluent's wire format, strings, raw bytes,
// big-endian numbers, and the text form of headers.
//
// A converter is chosen by its Java class name or its short name ("json", "avro"), and configured by what stands
// behind its prefix in a worker's or connector's configuration ("value.converter.schemas.enable").
package converters

import (
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Converter converts the data of one task. It caches what it learns about schemas and keeps scratch memory, so it is
// for one goroutine at a time; a task has its own.
//
// Its errors are about the record at hand (the hub sets the record aside or stops, by errors.tolerance), unless
// connectors.ClassOf says otherwise: a registry that cannot be reached is of class environment.
type Converter interface {
	// FromConnect appends the bytes of d to dst. It returns nil, and no error, if they are null: a tombstone, a
	// missing key. Otherwise the result is not nil even if nothing was appended.
	FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error)
	// ToConnect reads bytes from a topic; b is nil for null. It appends what it needs to dst and returns dst
	// grown. The Data shares b or the array of dst.
	ToConnect(dst []byte, topic string, b []byte) (connectors.Data, []byte, error)
}

// Role says what a converter is used for: Connect's converter.type.
type Role string

// The roles of converters.
const (
	Key    Role = "key"
	Value  Role = "value"
	Header Role = "header"
)

// Deps is what converters need of others.
type Deps struct {
	// Registry is the registry of the hub itself, used by an Avro converter whose configuration names none; nil if
	// there is none.
	Registry Registry
	// RegistryURLs are addresses under which Registry is also reached by HTTP; a configuration that names one of
	// them gets Registry.
	RegistryURLs []string
}

// Class describes a converter that New can make.
type Class struct {
	Name    string   // short name
	Aliases []string // Java class names
	Config  *configs.Definition
	make    func(v configs.Values, role Role, deps Deps) (Converter, error)
}

// Classes lists the converters, in the order of their names.
func Classes() []Class {
	const storage, plain = "org.apache.kafka.connect.storage.", "org.apache.kafka.connect.converters."
	return []Class{
		{"avro", []string{"io.confluent.connect.avro.AvroConverter"}, avroDefinition(), newAvro},
		{"boolean", []string{plain + "BooleanConverter"}, plainDefinition(), numberOf(connectors.Boolean)},
		{"bytearray", []string{plain + "ByteArrayConverter"}, plainDefinition(), newBytes},
		{"delegating", []string{"io.debezium.converters.BinaryDataConverter", "io.debezium.converters.ByteArrayConverter"}, delegatingDefinition(), newDelegating},
		{"double", []string{plain + "DoubleConverter"}, plainDefinition(), numberOf(connectors.Float64)},
		{"float", []string{plain + "FloatConverter"}, plainDefinition(), numberOf(connectors.Float32)},
		{"integer", []string{plain + "IntegerConverter"}, plainDefinition(), numberOf(connectors.Int32)},
		{"json", []string{"org.apache.kafka.connect.json.JsonConverter"}, jsonDefinition(), newJSON},
		{"long", []string{plain + "LongConverter"}, plainDefinition(), numberOf(connectors.Int64)},
		{"short", []string{plain + "ShortConverter"}, plainDefinition(), numberOf(connectors.Int16)},
		{"simple", []string{storage + "SimpleHeaderConverter"}, plainDefinition(), newSimpleHeader},
		{"string", []string{storage + "StringConverter"}, stringDefinition(), newString},
	}
}

// Find returns the converter of that class name or short name. The error of an unknown one lists what there is.
func Find(class string) (Class, error) {
	var names []string
	for _, c := range Classes() {
		names = append(names, c.Name)
		for _, name := range append(c.Aliases, c.Name) {
			// Connect finds plugins by their simple names too, with and without "Converter".
			simple := simpleName(name)
			if class == name || class == simple || strings.EqualFold(class, strings.TrimSuffix(simple, "Converter")) {
				return c, nil
			}
		}
	}
	return Class{}, fmt.Errorf("converter %s is not known; there are %s, and their Java class names", class, strings.Join(names, ", "))
}

// simpleName returns a Java class name without its package.
func simpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// New makes the converter of that class. The configuration holds the keys of the converter without prefix; a
// converter.type in it is ignored in favour of role.
func New(class string, config map[string]string, role Role, deps Deps) (Converter, error) {
	c, err := Find(class)
	if err != nil {
		return nil, err
	}
	values, problems := c.Config.Parse(config)
	if err := configs.Err(problems); err != nil {
		return nil, fmt.Errorf("%s converter %s: %w", role, c.Name, err)
	}
	made, err := c.make(values, role, deps)
	if err != nil {
		return nil, fmt.Errorf("%s converter %s: %w", role, c.Name, err)
	}
	return made, nil
}

// plainDefinition declares what every converter takes.
func plainDefinition(keys ...configs.Key) *configs.Definition {
	return &configs.Definition{Keys: append(keys, configs.Key{Name: "converter.type", Type: configs.String, Importance: configs.Low,
		Enum: []string{string(Key), string(Value), string(Header)}, Doc: "What the converter is used for. Set by the hub."})}
}

// isNull reports whether d is null, with or without a schema.
func isNull(d connectors.Data) (bool, error) {
	if d.Schema == nil {
		return d.Bytes == nil || string(d.Bytes) == "null", nil
	}
	present, _, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return !present, err
}

// content returns the encoding behind the union branch of a value that is not null.
func content(d connectors.Data) ([]byte, error) {
	_, rest, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return rest, err
}
