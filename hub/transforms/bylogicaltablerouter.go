package transforms

import (
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

var errNoRow = errors.New("the envelope's field after is no struct")

func logicalTableDefinition() *configs.Definition {
	return &configs.Definition{
		Keys: []configs.Key{
			{Name: "topic.regex", Type: configs.String, Required: true, Importance: configs.Low, Check: CheckRegexp,
				Doc: "Regular expression for the topics to change; it matches the whole name."},
			{Name: "topic.replacement", Type: configs.String, Required: true, Importance: configs.Low, Doc: "The new topic, with $1 for the first group."},
			{Name: "key.enforce.uniqueness", Type: configs.Boolean, Default: "true", Importance: configs.Low,
				Doc: "Whether a field is added to the key that tells the tables apart."},
			{Name: "key.field.name", Type: configs.String, Default: "__dbz__physicalTableIdentifier", Importance: configs.Low, Doc: "Name of that field."},
			{Name: "key.field.regex", Type: configs.String, Importance: configs.Low, Check: CheckRegexp,
				Doc: "Regular expression for the part of the old topic that becomes the value of that field; all of it if absent."},
			{Name: "key.field.replacement", Type: configs.String, Importance: configs.Low, Doc: "The value of that field, with $1 for the first group."},
			{Name: "schema.name.adjustment.mode", Type: configs.String, Default: "none", Enum: []string{"none", "avro", "avro_unicode"}, Importance: configs.Low,
				Doc: "How characters in the names of schemas are replaced that Avro does not allow."},
			{Name: "logical.table.cache.size", Type: configs.Int, Default: "16", Min: "1", Importance: configs.Low,
				Notice: "has no effect here: all tables are remembered", Doc: "Unused."},
		},
		Rules: []configs.Rule{configs.Requires("key.field.regex", "key.field.replacement")},
	}
}

// logicalTable is Debezium's ByLogicalTableRouter: the topics of several tables become one. The schemas are called
// after the new topic, and keys get a field with the table they came from. Values keep their bytes; unlike
// Debezium's, nulls in them stay null where there is a default.
type logicalTable struct {
	topic, key                    *javaRegexp
	topicReplacement, keyReplaced javaReplacement
	unique                        bool
	field                         string
	adjust                        func(string) string
	arena                         *arena

	routes map[string]*logicalRoute
}

// logicalRoute is what happens to the records of one topic.
type logicalRoute struct {
	topic      string // "": nothing
	identifier string
	keys       cache[*connectors.Schema]
	values     cache[*connectors.Schema]
}

func newLogicalTable(v configs.Values, _ side, a *arena) (transform, error) {
	t := &logicalTable{unique: v.Bool("key.enforce.uniqueness"), field: v.String("key.field.name"), arena: a, routes: map[string]*logicalRoute{}}
	var err error
	if t.topic, err = compileJava(v.String("topic.regex")); err != nil {
		return nil, fmt.Errorf("topic.regex: %w", err)
	}
	if t.topicReplacement, err = t.topic.replacement(v.String("topic.replacement")); err != nil {
		return nil, fmt.Errorf("topic.replacement: %w", err)
	}
	if pattern := v.String("key.field.regex"); pattern != "" {
		if t.key, err = compileJava(pattern); err != nil {
			return nil, fmt.Errorf("key.field.regex: %w", err)
		}
		if t.keyReplaced, err = t.key.replacement(v.String("key.field.replacement")); err != nil {
			return nil, fmt.Errorf("key.field.replacement: %w", err)
		}
	}
	t.adjust = nameAdjuster(v.String("schema.name.adjustment.mode"))
	return t, nil
}

func (t *logicalTable) apply(r *connectors.Record) (bool, error) {
	route := t.route(r.Topic)
	if route.topic == "" {
		return true, nil
	}
	if isNull(r.Key) {
		r.Key = connectors.Data{}
	} else if err := t.rekey(r, route); err != nil {
		return false, fmt.Errorf("key: %w", err)
	}
	if isEnvelope(r.Value.Schema) {
		s, err := route.values.get(r.Value.Schema, func(s *connectors.Schema) (*connectors.Schema, error) { return t.envelope(s, route.topic), nil })
		if err != nil {
			return false, err
		}
		r.Value.Schema = s
	}
	r.Topic = route.topic
	return true, nil
}

func (t *logicalTable) route(topic string) *logicalRoute {
	if route, ok := t.routes[topic]; ok {
		return route
	}
	route := &logicalRoute{identifier: topic}
	if t.topic.matches(topic) {
		route.topic = t.topic.replaceFirst(topic, t.topicReplacement)
	}
	if t.key != nil && t.key.matches(topic) {
		route.identifier = t.key.replaceFirst(topic, t.keyReplaced)
	}
	if len(t.routes) >= 10*cacheSize {
		clear(t.routes)
	}
	t.routes[topic] = route
	return route
}

func (t *logicalTable) rekey(r *connectors.Record, route *logicalRoute) error {
	if r.Key.Schema == nil || r.Key.Schema.Type != connectors.Struct {
		return errors.New("the transform needs keys that are structs with a schema")
	}
	s, err := route.keys.get(r.Key.Schema, func(s *connectors.Schema) (*connectors.Schema, error) {
		if t.unique && s.FieldIndex(t.field) >= 0 {
			return nil, fmt.Errorf("it has a field %s already; set key.field.name", t.field)
		}
		if t.unique && s.Default != nil {
			return nil, errors.New("its schema has a default, which would lack the new field")
		}
		out := t.renamed(s, route.topic+".Key")
		out.Fields = append([]connectors.Field(nil), s.Fields...)
		if t.unique {
			out.Fields = append(out.Fields, connectors.Field{Name: t.field, Schema: connectors.StringSchema})
		}
		return out, nil
	})
	if err != nil {
		return err
	}
	r.Key.Schema = s
	if t.unique {
		r.Key.Bytes = t.arena.keep(connectors.AppendString(append(t.arena.take(), r.Key.Bytes...), route.identifier))
	}
	return nil
}

// renamed copies a schema under another name; values keep their bytes.
func (t *logicalTable) renamed(s *connectors.Schema, name string) *connectors.Schema {
	out := *s
	out.Name = t.adjust(name)
	return &out
}

func (t *logicalTable) envelope(s *connectors.Schema, topic string) *connectors.Schema {
	out := t.renamed(s, topic+".Envelope")
	before, after := s.FieldIndex("before"), s.FieldIndex("after")
	out.Fields = append([]connectors.Field(nil), s.Fields...)
	row := t.renamed(s.Fields[before].Schema, topic+".Value")
	out.Fields[before].Schema, out.Fields[after].Schema = row, row
	if of := s.Fields[after].Schema; !of.Equal(s.Fields[before].Schema) {
		out.Fields[after].Schema = t.renamed(of, topic+".Value")
	}
	return out
}

// nameAdjuster returns how the full name of a schema is made fit for Avro.
func nameAdjuster(mode string) func(string) string {
	if mode == "none" || mode == "" {
		return func(name string) string { return name }
	}
	return func(name string) string {
		out := make([]byte, 0, len(name))
		start := true
		for _, c := range name {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			digit := c >= '0' && c <= '9'
			switch {
			case c == '.':
				out = append(out, '.')
				start = true
				continue
			case letter, digit && !start, c == '_' && mode == "avro":
				out = append(out, byte(c))
			case digit && mode == "avro":
				out = append(out, '_', byte(c))
			case mode == "avro":
				out = append(out, '_')
			default:
				out = fmt.Appendf(out, "_u%04x", c)
			}
			start = false
		}
		return string(out)
	}
}
