package converters

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func jsonDefinition() *configs.Definition {
	return plainDefinition(
		configs.Key{Name: "schemas.enable", Type: configs.Boolean, Default: "true", Importance: configs.High,
			Doc: "Whether each value carries its schema, as {\"schema\":…,\"payload\":…}."},
		configs.Key{Name: "schemas.cache.size", Type: configs.Int, Default: "1000", Min: "0", Importance: configs.High,
			Doc: "How many schemas are kept ready in each direction."},
		configs.Key{Name: "decimal.format", Type: configs.String, Default: "BASE64", Enum: []string{"BASE64", "NUMERIC"},
			Importance: configs.Low, Doc: "How decimals are written: base64 of the unscaled value, or a number. Both are read."},
		configs.Key{Name: "replace.null.with.default", Type: configs.Boolean, Default: "true", Importance: configs.Low,
			Doc: "Whether a null in a field that has a default becomes that default."},
		configs.Key{Name: "schema.content", Type: configs.String, Importance: configs.High,
			Doc: "A schema for reading values that do not carry one; the whole value is then the payload."},
	)
}

// jsonConverter is Connect's JsonConverter.
type jsonConverter struct {
	options connectors.JSONOptions
	limit   int // of each cache

	last     *connectors.Schema // the schema printed last, and its printer
	printer  *connectors.JSONPrinter
	printers map[*connectors.Schema]*connectors.JSONPrinter

	head    []byte // {"schema":…,"payload": of the value read last
	reading *jsonSchema
	schemas map[string]*jsonSchema // by the text of the schema
	fixed   *jsonSchema            // of schema.content
}

// jsonSchema is a schema that was read from JSON, with the parser of its values.
type jsonSchema struct {
	schema *connectors.Schema
	parser *connectors.JSONParser
}

func newJSON(v configs.Values, _ Role, _ Deps) (Converter, error) {
	c := &jsonConverter{
		options:  connectors.JSONOptions{Envelope: v.Bool("schemas.enable"), KeepNull: !v.Bool("replace.null.with.default")},
		limit:    max(v.Int("schemas.cache.size"), 1),
		printers: map[*connectors.Schema]*connectors.JSONPrinter{},
		schemas:  map[string]*jsonSchema{},
	}
	if v.String("decimal.format") == "NUMERIC" {
		c.options.Decimal = connectors.DecimalNumeric
	}
	if text := v.String("schema.content"); text != "" {
		var err error
		if c.fixed, err = c.parseSchema([]byte(text)); err != nil {
			return nil, fmt.Errorf("schema.content: %w", err)
		}
	}
	return c, nil
}

// FromConnect writes JSON. Null without a schema is null bytes; null under a schema is the text null, or an envelope
// with the payload null: those are no tombstones.
func (c *jsonConverter) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	if d.Schema == nil {
		return c.fromSchemaless(dst, topic, d)
	}
	printer, err := c.printerOf(d.Schema)
	if err != nil {
		return nil, fmt.Errorf("convert to JSON for topic %s: %w", topic, err)
	}
	out, rest, err := printer.Append(dst, d.Bytes)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the value: %w", len(rest), connectors.ErrMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("convert to JSON for topic %s: %w", topic, err)
	}
	return out, nil
}

func (c *jsonConverter) fromSchemaless(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	if null, _ := isNull(d); null {
		return nil, nil
	}
	if c.options.Envelope {
		dst = append(dst, `{"schema":null,"payload":`...)
	}
	out, err := connectors.AppendCanonicalJSON(dst, d.Bytes)
	if err != nil {
		return nil, fmt.Errorf("convert to JSON for topic %s: %w", topic, err)
	}
	if c.options.Envelope {
		out = append(out, '}')
	}
	return out, nil
}

func (c *jsonConverter) printerOf(s *connectors.Schema) (*connectors.JSONPrinter, error) {
	if s == c.last {
		return c.printer, nil
	}
	p, ok := c.printers[s]
	if !ok {
		var err error
		if p, err = connectors.NewJSONPrinter(s, c.options); err != nil {
			return nil, err
		}
		if len(c.printers) >= c.limit {
			clear(c.printers)
		}
		c.printers[s] = p
	}
	c.last, c.printer = s, p
	return p, nil
}

// ToConnect reads JSON. Null bytes are null; without schemas, so are the text null and no text at all.
func (c *jsonConverter) ToConnect(dst []byte, topic string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	d, out, err := c.read(dst, b)
	if err != nil {
		return connectors.Data{}, dst, fmt.Errorf("convert JSON of topic %s: %w", topic, err)
	}
	return d, out, nil
}

func (c *jsonConverter) read(dst, b []byte) (connectors.Data, []byte, error) {
	switch {
	case c.fixed != nil:
		return c.fixed.read(dst, b)
	case !c.options.Envelope:
		return readSchemaless(dst, b)
	}
	// Records of one topic mostly carry the same schema, byte for byte. If the guess that nothing but the payload
	// differs is wrong, the parser finds text after the payload.
	if c.reading != nil && bytes.HasPrefix(b, c.head) && b[len(b)-1] == '}' {
		if d, out, err := c.reading.read(dst, b[len(c.head):len(b)-1]); err == nil {
			return d, out, nil
		}
	}
	schema, payload, err := splitEnvelope(b)
	if err != nil {
		return connectors.Data{}, dst, err
	}
	if string(schema) == "null" {
		return readSchemaless(dst, payload)
	}
	s, ok := c.schemas[string(schema)]
	if !ok {
		if s, err = c.parseSchema(schema); err != nil {
			return connectors.Data{}, dst, err
		}
		if len(c.schemas) >= c.limit {
			clear(c.schemas)
		}
		c.schemas[string(schema)] = s
	}
	c.reading = s
	c.head = append(append(append(c.head[:0], `{"schema":`...), schema...), `,"payload":`...)
	return s.read(dst, payload)
}

func (c *jsonConverter) parseSchema(text []byte) (*jsonSchema, error) {
	schema, err := connectors.ParseJSONSchema(text)
	if err != nil {
		return nil, err
	}
	parser, err := connectors.NewJSONParser(schema, c.options)
	if err != nil {
		return nil, err
	}
	return &jsonSchema{schema, parser}, nil
}

func (s *jsonSchema) read(dst, payload []byte) (connectors.Data, []byte, error) {
	out, err := s.parser.Append(dst, payload)
	if err != nil {
		return connectors.Data{}, dst, err
	}
	return connectors.Data{Schema: s.schema, Bytes: out[len(dst):len(out):len(out)]}, out, nil
}

// readSchemaless shares the text if it is canonical as it is.
func readSchemaless(dst, text []byte) (connectors.Data, []byte, error) {
	out := dst
	if !connectors.CanonicalJSON(text) {
		if len(bytes.TrimSpace(text)) == 0 {
			return connectors.Data{}, dst, nil
		}
		var err error
		if out, err = connectors.AppendCanonicalJSON(dst, text); err != nil {
			return connectors.Data{}, dst, err
		}
		text = out[len(dst):len(out):len(out)]
	}
	if string(text) == "null" {
		return connectors.Data{}, dst, nil
	}
	return connectors.Data{Bytes: text[:len(text):len(text)]}, out, nil
}

var errNoEnvelope = errors.New(`the value is not an object of exactly "schema" and "payload", which schemas.enable=true expects; for plain JSON set the converter's schemas.enable=false`)

func splitEnvelope(b []byte) (schema, payload []byte, err error) {
	members := 0
	err = connectors.EachJSONMember(b, func(name, value []byte) error {
		members++
		switch string(name) {
		case "schema":
			schema = value
		case "payload":
			payload = value
		}
		return nil
	})
	if err != nil || members != 2 || schema == nil || payload == nil {
		if err == nil || len(b) > 0 && b[0] != '{' {
			err = errNoEnvelope
		}
		return nil, nil, err
	}
	return schema, payload, nil
}
