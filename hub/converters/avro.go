package converters

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/tlsstore"
	"github.com/sluicehub/sluice/schemaregistry/avro"
)

const noEffect = "has no effect here: schemas always carry Connect's properties, so that nothing is lost on the way back"

func avroDefinition() *configs.Definition {
	const strategies = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy (io.confluent.kafka.serializers.subject.*): what subject a schema is registered under."
	const prefix = "io.confluent.kafka.serializers.subject."
	keys := append(registryKeys(),
		configs.Key{Name: "auto.register.schemas", Type: configs.Boolean, Default: "true", Importance: configs.Medium,
			Doc: "Whether schemas are registered when they are first used. Otherwise they must be registered already."},
		configs.Key{Name: "use.latest.version", Type: configs.Boolean, Default: "false", Importance: configs.Low,
			Doc: "With auto.register.schemas=false: write under the latest schema of the subject, which must lay out values the same way."},
		configs.Key{Name: "key.subject.name.strategy", Type: configs.Class, Default: prefix + "TopicNameStrategy", Importance: configs.Medium, Doc: strategies},
		configs.Key{Name: "value.subject.name.strategy", Type: configs.Class, Default: prefix + "TopicNameStrategy", Importance: configs.Medium, Doc: strategies},
		configs.Key{Name: "schemas.cache.config", Type: configs.Int, Default: "1000", Min: "1", Importance: configs.Low,
			Aliases: []string{"max.schemas.per.subject"}, Doc: "How many schemas are kept ready in each direction."},
		configs.Key{Name: "scrub.invalid.names", Type: configs.Boolean, Default: "false", Importance: configs.Medium,
			Doc: "Whether characters that Avro does not allow in names are replaced by an underscore."},
		configs.Key{Name: "ignore.default.for.nullables", Type: configs.Boolean, Default: "false", Importance: configs.Medium,
			Doc: "Whether a null in a field that has a default is written as null. Otherwise the default is written in its place."},
		configs.Key{Name: "enhanced.avro.schema.support", Type: configs.Boolean, Default: "false", Importance: configs.Low, Notice: noEffect, Doc: "Unused."},
		configs.Key{Name: "connect.meta.data", Type: configs.Boolean, Default: "true", Importance: configs.Low, Notice: noEffect, Doc: "Unused."},
	)
	return configs.Concat(plainDefinition(keys...), tlsstore.Definition().WithPrefix(registryPrefix, ""))
}

// avroConverter is Confluent's AvroConverter:
//
//	0x00 | id of the schema in the registry, 4 bytes, big endian | the value as Avro binary
//
// A source's values are Avro binary of the very schema that is registered for them, so they are forwarded as they
// are, but for nulls that a default replaces (filler). So are values read, if their writer's schema has the same
// layout as ours; nulls stay nulls then, as in Confluent's converter. As Confluent's serializer does, a value whose
// whole schema is bytes stands without its length.
type avroConverter struct {
	registry  Registry
	role      Role
	strategy  strategy
	register  bool
	useLatest bool
	scrub     bool
	keepNull  bool
	limit     int

	last    written
	ready   prepared // for last
	known   map[written]prepared
	lastIn  uint32
	reading *avro.Transcoder
	readers map[uint32]*avro.Transcoder
}

// written is what decides about an id.
type written struct {
	schema *connectors.Schema
	topic  string
}

// prepared is what values of a schema are written with.
type prepared struct {
	id   uint32
	fill *filler // nil: as they are
}

// strategy names the subject of a schema.
type strategy uint8

const (
	byTopic strategy = iota
	byRecord
	byTopicRecord
)

func newAvro(v configs.Values, role Role, deps Deps) (Converter, error) {
	registry, err := registryOf(v, deps)
	if err != nil {
		return nil, err
	}
	key := "value.subject.name.strategy"
	if role == Key {
		key = "key.subject.name.strategy"
	}
	c := &avroConverter{
		registry: registry, role: role, register: v.Bool("auto.register.schemas"), useLatest: v.Bool("use.latest.version"),
		scrub: v.Bool("scrub.invalid.names"), limit: v.Int("schemas.cache.config"),
		keepNull: v.Bool("ignore.default.for.nullables"),
		known:    map[written]prepared{}, readers: map[uint32]*avro.Transcoder{},
	}
	switch name := v.String(key); simpleName(name) {
	case "TopicNameStrategy":
	case "RecordNameStrategy":
		c.strategy = byRecord
	case "TopicRecordNameStrategy":
		c.strategy = byTopicRecord
	default:
		return nil, fmt.Errorf("%s: %s is not known; there are TopicNameStrategy, RecordNameStrategy, TopicRecordNameStrategy", key, name)
	}
	return c, nil
}

// FromConnect writes Confluent's wire format. It asks the registry once per schema (and topic).
func (c *avroConverter) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	null, err := isNull(d)
	if err != nil || null {
		return nil, err
	}
	if d.Schema == nil {
		return nil, fmt.Errorf("convert to Avro for topic %s: the value has no schema; use a converter with schemas on the way in, or the JsonConverter with schemas.enable=false here", topic)
	}
	w := written{d.Schema, topic}
	if w != c.last {
		p, err := c.prepare(w)
		if err != nil {
			return nil, fmt.Errorf("convert to Avro for topic %s: %w", topic, err)
		}
		c.last, c.ready = w, p
	}
	dst = binary.BigEndian.AppendUint32(append(dst, 0), c.ready.id)
	b := d.Bytes
	if fill := c.ready.fill; fill != nil {
		if dst, err = fill.append(dst, b); err != nil {
			return nil, fmt.Errorf("convert to Avro for topic %s: %w", topic, err)
		}
		return dst, nil
	}
	if rawBytes(d.Schema) {
		if b, _, err = connectors.ReadBytes(b); err != nil {
			return nil, fmt.Errorf("convert to Avro for topic %s: %w", topic, err)
		}
	}
	return append(dst, b...), nil
}

// rawBytes reports whether values of the schema stand without their length.
func rawBytes(s *connectors.Schema) bool { return s.Type == connectors.Bytes && !s.Optional }

func (c *avroConverter) prepare(w written) (p prepared, err error) {
	if p, ok := c.known[w]; ok {
		return p, nil
	}
	if !c.keepNull {
		if p.fill, err = newFiller(w.schema); err != nil {
			return p, err
		}
	}
	if p.id, err = c.idOf(w); err != nil {
		return p, err
	}
	if len(c.known) >= c.limit {
		clear(c.known)
	}
	c.known[w] = p
	return p, nil
}

func (c *avroConverter) idOf(w written) (uint32, error) {
	schema := w.schema
	if c.scrub {
		schema = scrubNames(schema)
	}
	text, err := avro.FromConnect(schema)
	if err != nil {
		return 0, err
	}
	subject, err := c.subject(w.topic, schema)
	if err != nil {
		return 0, err
	}
	return c.ask(subject, text)
}

func (c *avroConverter) ask(subject string, schema *avro.Schema) (uint32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	switch {
	case c.register:
		id, err := c.registry.Register(ctx, subject, schema.String())
		if err != nil {
			return 0, fmt.Errorf("register the schema under %s: %w", subject, err)
		}
		return uint32(id), nil
	case !c.useLatest:
		id, err := c.registry.Lookup(ctx, subject, schema.String())
		if err != nil {
			return 0, fmt.Errorf("find the schema under %s (auto.register.schemas=false): %w", subject, err)
		}
		return uint32(id), nil
	}
	id, text, err := c.registry.Latest(ctx, subject)
	if err != nil {
		return 0, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	latest, err := avro.ParseStored(text)
	if err != nil {
		return 0, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	if latest.ParsingForm() != schema.ParsingForm() {
		return 0, fmt.Errorf("the latest schema of %s (id %d) lays out values differently from the record's; register the record's schema, or let auto.register.schemas do it", subject, id)
	}
	return uint32(id), nil
}

func (c *avroConverter) subject(topic string, s *connectors.Schema) (string, error) {
	if c.strategy == byTopic {
		return topic + "-" + string(c.role), nil
	}
	if s.Type != connectors.Struct || s.Name == "" {
		return "", errors.New("the subject name strategy needs a struct with a name")
	}
	if c.strategy == byRecord {
		return s.Name, nil
	}
	return topic + "-" + s.Name, nil
}

// ToConnect reads Confluent's wire format.
func (c *avroConverter) ToConnect(dst []byte, topic string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	d, out, err := c.read(dst, b)
	if err != nil {
		return connectors.Data{}, dst, fmt.Errorf("convert Avro of topic %s: %w", topic, err)
	}
	return d, out, nil
}

func (c *avroConverter) read(dst, b []byte) (connectors.Data, []byte, error) {
	if len(b) < 5 || b[0] != 0 {
		return connectors.Data{}, nil, errors.New("it is not in Confluent's wire format (a zero byte, a schema id of 4 bytes, Avro binary)")
	}
	id := binary.BigEndian.Uint32(b[1:])
	if c.reading == nil || id != c.lastIn {
		t, err := c.readerOf(id)
		if err != nil {
			return connectors.Data{}, nil, err
		}
		c.lastIn, c.reading = id, t
	}
	t, src := c.reading, b[5:]
	switch {
	case rawBytes(t.Schema()):
		out := connectors.AppendBytes(dst, src)
		return connectors.Data{Schema: t.Schema(), Bytes: out[len(dst):len(out):len(out)]}, out, nil
	case t.Identity():
		// Nothing vouches for foreign bytes, and everything behind trusts them to be one value.
		rest, err := connectors.SkipValue(t.Schema(), src)
		if err != nil || len(rest) > 0 {
			return connectors.Data{}, nil, notOneValue(id, rest, err)
		}
		return connectors.Data{Schema: t.Schema(), Bytes: src}, dst, nil
	}
	out, rest, err := t.Append(dst, src)
	if err != nil || len(rest) > 0 {
		return connectors.Data{}, nil, notOneValue(id, rest, err)
	}
	return connectors.Data{Schema: t.Schema(), Bytes: out[len(dst):len(out):len(out)]}, out, nil
}

func notOneValue(id uint32, rest []byte, err error) error {
	if err == nil {
		err = fmt.Errorf("%d bytes after it", len(rest))
	}
	return fmt.Errorf("not a value of schema %d: %w", id, err)
}

func (c *avroConverter) readerOf(id uint32) (*avro.Transcoder, error) {
	if t, ok := c.readers[id]; ok {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	text, err := c.registry.ByID(ctx, int(id))
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	schema, err := avro.ParseStored(text)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	t, err := avro.NewTranscoder(schema)
	if err != nil {
		return nil, fmt.Errorf("schema %d: %w", id, err)
	}
	if len(c.readers) >= c.limit {
		clear(c.readers)
	}
	c.readers[id] = t
	return t, nil
}

// scrubNames returns a copy of s in which the names of structs and fields are fit for Avro. The layout of values does
// not change.
func scrubNames(s *connectors.Schema) *connectors.Schema {
	if s == nil {
		return nil
	}
	c := *s
	if s.Type == connectors.Struct {
		c.Name = scrubName(s.Name, true)
	}
	c.Key, c.Elem, c.Fields = scrubNames(s.Key), scrubNames(s.Elem), nil
	for _, f := range s.Fields {
		c.Fields = append(c.Fields, connectors.Field{Name: scrubName(f.Name, false), Schema: scrubNames(f.Schema)})
	}
	return &c
}

func scrubName(name string, dots bool) string {
	out := make([]byte, 0, len(name)+1)
	start := true
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_':
			out = append(out, byte(r))
		case r >= '0' && r <= '9':
			if start {
				out = append(out, '_')
			}
			out = append(out, byte(r))
		case r == '.' && dots:
			out = append(out, '.')
			start = true
			continue
		default:
			out = append(out, '_')
		}
		start = false
	}
	return string(out)
}
