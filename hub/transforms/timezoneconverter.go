package transforms

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func timezoneConverterDefinition() *configs.Definition {
	rules := func(name, which string) configs.Key {
		return configs.Key{Name: name, Type: configs.List, Importance: configs.High, Check: checkZoneRules, Example: "source:orders:created_at,shipped_at",
			Doc: "Which times are " + which + ": source:TABLE, source:TABLE:FIELD, topic:TOPIC, topic:TOPIC:FIELD or NAME:FIELD, of a topic or table. What stands before the first colon counts for the items behind it, too. FIELD may begin with before., after. or source."}
	}
	return &configs.Definition{
		Keys: []configs.Key{
			{Name: "converted.timezone", Type: configs.String, Required: true, Importance: configs.High, Example: "Europe/Paris", Check: func(text string) error {
				_, err := parseZone(text)
				return err
			}, Doc: "The zone into which times are converted, or an offset such as +02:00."},
			rules("include.list", "converted; all if it is absent"), rules("exclude.list", "not converted"),
		},
		Rules: []configs.Rule{configs.AtMostOne("include.list", "exclude.list")},
	}
}

func checkZoneRules(list string) error {
	// Debezium checks the list as Java prints it.
	if !regexp.MustCompile(`^\[[".\w\s]+:([".\w\s]+(:[".\w\s]+)?(,|\]$))+$`).MatchString("[" + strings.Join(names(list), ", ") + "]") {
		return errors.New("is no list of source:TABLE, source:TABLE:FIELD, topic:TOPIC, topic:TOPIC:FIELD or NAME:FIELD; only the first item may have source or topic and a field")
	}
	return nil
}

// timezoneConverter is Debezium's TimezoneConverter: times in the rows of changes move to another zone. Times as text
// keep their instant; numbers, which have no zone, are taken for what clocks in that zone showed. Dates and times of day
// without an offset stay as they are.
type timezoneConverter struct {
	zone javaZone
	now  func() time.Time // a time of day gets the offset of now

	byTopic, byTable, by map[string]*zoneRule // by: topic or table
	other                *zoneRule            // of what they do not name; nil: stays as it is
	arena                *arena
	outer, inner         splitter
	sources              cache[tableField]
}

// zoneRule says which fields are converted in the changes of a topic or table.
type zoneRule struct {
	kind                  zoneRuleKind
	before, after, source map[string]bool
	plans                 cache[*plan]
}

type zoneRuleKind uint8

const (
	zoneAll zoneRuleKind = iota
	zoneInclude
	zoneExclude
)

// tableField is where the table's name is in an envelope; -1 if it has none.
type tableField struct{ source, table int }

func newTimezoneConverter(v configs.Values, _ side, a *arena) (transform, error) {
	zone, err := parseZone(v.String("converted.timezone"))
	if err != nil {
		return nil, fmt.Errorf("converted.timezone: %w", err)
	}
	t := &timezoneConverter{zone: zone, now: time.Now, arena: a, byTopic: map[string]*zoneRule{}, byTable: map[string]*zoneRule{}, by: map[string]*zoneRule{}}
	kind, list := zoneInclude, v.List("include.list")
	if len(list) == 0 {
		kind, list = zoneExclude, v.List("exclude.list")
		t.other = &zoneRule{}
	}
	prefix := ""
	for _, item := range list {
		parts := strings.Split(item, ":")
		if len(parts) > 1 && (strings.EqualFold(parts[0], "source") || strings.EqualFold(parts[0], "topic")) {
			prefix, parts = parts[0], parts[1:]
		}
		group := t.by
		switch prefix {
		case "source":
			group = t.byTable
		case "topic":
			group = t.byTopic
		}
		rule := group[parts[0]]
		if rule == nil {
			rule = &zoneRule{}
			group[parts[0]] = rule
		}
		if len(parts) > 1 {
			rule.add(parts[1], kind)
		}
	}
	if kind == zoneExclude {
		for _, group := range []map[string]*zoneRule{t.byTopic, t.byTable, t.by} {
			for name, rule := range group {
				if rule.kind == zoneAll {
					group[name] = nil // all of its times stay
				}
			}
		}
	}
	return t, nil
}

func (z *zoneRule) add(field string, kind zoneRuleKind) {
	if z.kind = kind; z.before == nil {
		z.before, z.after, z.source = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	parent, name, _ := strings.Cut(field, ".")
	switch parent {
	case "source":
		z.source[name] = true
	case "before":
		z.before[name] = true
	case "after":
		z.after[name] = true
	default:
		z.before[field], z.after[field] = true, true
	}
}

func (t *timezoneConverter) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) || !isNamedEnvelope(r.Value.Schema) {
		return true, nil
	}
	raws, err := t.outer.fields(r.Value)
	if err != nil {
		return false, err
	}
	rule, err := t.rule(r, raws)
	if err != nil || rule == nil {
		return err == nil, err
	}
	p, err := rule.plans.get(r.Value.Schema, func(s *connectors.Schema) (*plan, error) { return t.compile(s, rule) })
	if err != nil {
		return false, err
	}
	out, err := p.run(t.arena.take(), raws, r)
	if err != nil {
		return false, err
	}
	r.Value.Bytes = t.arena.keep(out)
	return true, nil
}

// rule returns the rule for a record: of its topic or of its table, those with a prefix first.
func (t *timezoneConverter) rule(r *connectors.Record, raws [][]byte) (*zoneRule, error) {
	table, hasTable, err := t.table(r.Value.Schema, raws)
	if err != nil {
		return nil, err
	}
	if rule, ok := t.byTopic[r.Topic]; ok {
		return rule, nil
	}
	if rule, ok := t.byTable[string(table)]; ok && hasTable {
		return rule, nil
	}
	if rule, ok := t.by[r.Topic]; ok {
		return rule, nil
	}
	if rule, ok := t.by[string(table)]; ok && hasTable {
		return rule, nil
	}
	return t.other, nil
}

// table returns the name of the table that the envelope's source says. It is not looked for if no rule is of a table.
func (t *timezoneConverter) table(s *connectors.Schema, raws [][]byte) (name []byte, ok bool, err error) {
	if len(t.byTable)+len(t.by) == 0 {
		return nil, false, nil
	}
	at, err := t.sources.get(s, func(s *connectors.Schema) (tableField, error) {
		at := tableField{s.FieldIndex("source"), -1}
		if at.source >= 0 && s.Fields[at.source].Schema.Type == connectors.Struct {
			at.table = s.Fields[at.source].Schema.FieldIndex("table")
		}
		return at, nil
	})
	if err != nil || at.table < 0 {
		return nil, false, err
	}
	source := s.Fields[at.source].Schema
	present, src, err := connectors.ReadPresent(source, raws[at.source])
	if err != nil || !present || source.Fields[at.table].Schema.Type != connectors.String {
		return nil, false, err
	}
	fields, _, err := t.inner.first(at.table+1, source, src)
	if err != nil {
		return nil, false, err
	}
	v, _, err := connectors.ReadValue(source.Fields[at.table].Schema, fields[at.table])
	return v.Raw(), !v.IsNull(), err
}

// compile makes the plan for envelopes of a schema, which keep it.
func (t *timezoneConverter) compile(s *connectors.Schema, rule *zoneRule) (*plan, error) {
	p := &plan{out: s}
	for i, f := range s.Fields {
		o := op{from: i}
		fields, wanted := rule.before, f.Schema.Type == connectors.Struct
		switch f.Name {
		case "before":
		case "after":
			fields = rule.after
		case "source":
			fields, wanted = rule.source, wanted && len(rule.source) > 0
		default:
			wanted = false
		}
		if wanted {
			inner, err := t.row(f.Schema, rule.kind, fields, f.Name == "source")
			if err != nil {
				return nil, err
			}
			if inner != nil {
				o.convert = inStruct(f.Schema, inner)
			}
		}
		p.ops = append(p.ops, o)
	}
	return p, nil
}

// row makes the plan of a row or source block; nil if nothing is converted in it.
func (t *timezoneConverter) row(s *connectors.Schema, kind zoneRuleKind, fields map[string]bool, source bool) (*plan, error) {
	p := &plan{out: s}
	found := false
	for i, f := range s.Fields {
		o := op{from: i}
		if kind == zoneAll || fields[f.Name] == (kind == zoneInclude) {
			convert, err := t.convert(f, source)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			if convert != nil {
				if o, err = copyOp(s, i, true); err != nil {
					return nil, err
				}
				o.convert, found = present(f.Schema, convert), true
			}
		}
		p.ops = append(p.ops, o)
	}
	if !found {
		return nil, nil
	}
	return p, nil
}

// contentFunc appends another content of a field, without its branch of null.
type contentFunc func(dst, content []byte) ([]byte, error)

// present converts what is not null.
func present(s *connectors.Schema, convert contentFunc) func(dst, raw []byte, r *connectors.Record) ([]byte, error) {
	return func(dst, raw []byte, _ *connectors.Record) ([]byte, error) {
		present, content, err := connectors.ReadPresent(s, raw)
		if err != nil || !present {
			return append(dst, raw...), err
		}
		return convert(connectors.AppendPresent(dst, s), content)
	}
}

// convert returns how a field is converted; nil if it has no time, or one that is not converted.
func (t *timezoneConverter) convert(f connectors.Field, source bool) (contentFunc, error) {
	of := connectors.Int64
	var convert contentFunc
	switch f.Schema.Name {
	case "io.debezium.time.ZonedTimestamp":
		of, convert = connectors.String, t.text(t.zone.inZone)
	case "io.debezium.time.ZonedTime":
		of, convert = connectors.String, t.text(func(dst, text []byte) ([]byte, error) { return t.zone.clockInZone(dst, text, t.now().Unix()) })
	case "io.debezium.time.Timestamp", connectors.TimestampName:
		convert = t.local(1e3, true)
	case "io.debezium.time.MicroTimestamp":
		convert = t.local(1e6, false)
	case "io.debezium.time.NanoTimestamp":
		convert = t.local(1e9, false)
	case "":
		if unit := map[string]int64{"ts_ms": 1e3, "ts_us": 1e6, "ts_ns": 1e9}[f.Name]; source && unit > 0 {
			convert = t.instant(unit)
		}
	}
	if convert != nil && f.Schema.Type != of {
		return nil, fmt.Errorf("a time of the type %s, not %s", f.Schema.Type, of)
	}
	return convert, nil
}

// text converts a text; its length is known only when it is there.
func (t *timezoneConverter) text(convert func(dst, text []byte) ([]byte, error)) contentFunc {
	var buf []byte
	return func(dst, content []byte) ([]byte, error) {
		text, _, err := connectors.ReadBytes(content)
		if err == nil {
			buf, err = convert(buf[:0], text)
		}
		return connectors.AppendBytes(dst, buf), err
	}
}

// local takes a number for what clocks in the zone showed. Beyond the range of a number it goes round, or is an error
// (checked), as in Java.
func (t *timezoneConverter) local(unit int64, checked bool) contentFunc {
	return func(dst, content []byte) ([]byte, error) {
		n, _, err := connectors.ReadInt(content)
		if err != nil {
			return dst, err
		}
		shift := t.zone.atLocal(floorDiv(n, unit)) * unit
		if checked && (shift < 0 && n > math.MaxInt64+shift || shift > 0 && n < math.MinInt64+shift) {
			return dst, fmt.Errorf("%d is beyond the range of a time in that zone", n)
		}
		return connectors.AppendInt(dst, n-shift), nil
	}
}

// instant moves a number by the zone's offset at that instant.
func (t *timezoneConverter) instant(unit int64) contentFunc {
	return func(dst, content []byte) ([]byte, error) {
		n, _, err := connectors.ReadInt(content)
		if err != nil {
			return dst, err
		}
		return connectors.AppendInt(dst, n+t.zone.at(floorDiv(n, unit))*unit), nil
	}
}
