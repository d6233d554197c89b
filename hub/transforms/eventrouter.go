package transforms

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func eventRouterDefinition() *configs.Definition {
	column := func(name, def, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.String, Default: def, DefaultEmpty: def == "", Importance: configs.Low, Doc: doc}
	}
	return &configs.Definition{Keys: []configs.Key{
		column("table.field.event.id", "id", "Column with the event's id, which becomes the header id."),
		column("table.field.event.key", "aggregateid", "Column that becomes the record's key."),
		column("table.field.event.type", "type", "Column with the event's type; table.fields.additional.placement brings it into the record."),
		column("table.field.event.payload", "payload", "Column that becomes the record's value."),
		column("table.field.event.timestamp", "", "Column of type timestamp that becomes the record's time; if absent, the time at which the change was read."),
		column("table.field.event.schema.version", "", "Column of type integer that becomes the version of the value's schema, if the value is a struct."),
		{Name: "table.fields.additional.placement", Type: configs.List, DefaultEmpty: true, Importance: configs.High, Check: checkPlacements, Example: "type:header:eventType,tenant:envelope",
			Doc: "Further columns of the record, each with its place: header, envelope (the value is then a struct with payload and these) or partition, and another name behind a second colon if wanted."},
		{Name: "table.fields.additional.error.on.missing", Type: configs.Boolean, Default: "true", Importance: configs.Medium, Doc: "Whether such a column that is missing is an error."},
		{Name: "table.expand.json.payload", Type: configs.Boolean, Default: "false", Importance: configs.Medium,
			Doc: "Whether a value that is the text of a JSON object or array becomes a struct or array, with a schema that is made from it."},
		{Name: "table.json.payload.null.behavior", Type: configs.String, Default: "ignore", Enum: []string{"ignore", "optional_bytes"}, Importance: configs.Medium,
			Doc: "What becomes of a null in such a text: it is left out, or is a null of type bytes."},
		{Name: "table.op.invalid.behavior", Type: configs.String, Default: "warn", Enum: []string{"warn", "error", "fatal"}, Importance: configs.Medium,
			Doc: "What becomes of an update in the outbox: it is left out (warn, error), or an error of the record (fatal)."},
		column("route.by.field", "aggregatetype", "Column that says which topic."),
		{Name: "route.topic.regex", Type: configs.String, Default: "(?<routedByValue>.*)", Importance: configs.Low, Check: CheckRegexp, Doc: "Regular expression for that column's value; it matches the whole."},
		column("route.topic.replacement", "outbox.event.${routedByValue}", "The topic, with $1 or ${name} for the groups of the expression."),
		{Name: "route.tombstone.on.empty.payload", Type: configs.Boolean, Default: "false", Importance: configs.Low, Doc: "Whether an event without a payload is a tombstone."},
	}}
}

// placement is where a further column of an event goes.
type placement struct {
	column, place, as string
}

func parsePlacements(list []string) (out []placement, err error) {
	for _, item := range list {
		parts := strings.Split(item, ":")
		if len(parts) == 2 {
			parts = append(parts, parts[0])
		}
		p := placement{column: strings.TrimSpace(parts[0])}
		if len(parts) == 3 {
			p.place, p.as = strings.ToLower(strings.TrimSpace(parts[1])), strings.TrimSpace(parts[2])
		}
		if p.place != "header" && p.place != "envelope" && p.place != "partition" {
			return nil, fmt.Errorf("%q is not of the form column:place or column:place:name, where the place is header, envelope or partition", item)
		}
		out = append(out, p)
	}
	return out, nil
}

func checkPlacements(list string) error {
	_, err := parsePlacements(names(list))
	return err
}

// eventRouter is Debezium's outbox EventRouter: a row that is inserted into the outbox table becomes an event.
//
//	row      id | aggregatetype | aggregateid | payload | type, …
//	             │       │               │         │         │
//	record   header id  topic           key      value    headers, fields beside the payload, partition
//
// Deletes and tombstones go: the outbox is usually emptied again. Records that are no envelopes (heartbeats,
// transactions) pass unchanged.
type eventRouter struct {
	id, key, payload, timestamp, version, routeBy string

	placements                 []placement
	beside                     bool // one of them is in the value, beside the payload
	missing, fatal, tombstones bool
	expand                     *jsonExpander // nil: the payload stays as it is
	router                     *regexRouter
	arena                      *arena

	plans        cache[*eventPlan]
	outer, inner splitter
}

// eventPlan is where the parts of an event are in the rows of one schema.
type eventPlan struct {
	op, after, time                           int // fields of the envelope
	row                                       *connectors.Schema
	ops                                       []op
	id, key, payload, stamp, version, routeBy int // columns; stamp and version may be -1
	placed                                    []int
	values                                    map[valueKey]*connectors.Schema
}

// valueKey tells the schemas of values with more than the payload apart.
type valueKey struct {
	payload *connectors.Schema
	route   string
	version int
}

func newEventRouter(v configs.Values, _ side, a *arena) (transform, error) {
	regex, err := compileJava(v.String("route.topic.regex"))
	if err != nil {
		return nil, fmt.Errorf("route.topic.regex: %w", err)
	}
	replacement, err := regex.replacement(v.String("route.topic.replacement"))
	if err != nil {
		return nil, fmt.Errorf("route.topic.replacement: %w", err)
	}
	t := &eventRouter{
		id: v.String("table.field.event.id"), key: v.String("table.field.event.key"), payload: v.String("table.field.event.payload"),
		timestamp: v.String("table.field.event.timestamp"), version: v.String("table.field.event.schema.version"), routeBy: v.String("route.by.field"),
		missing: v.Bool("table.fields.additional.error.on.missing"), fatal: v.String("table.op.invalid.behavior") == "fatal",
		tombstones: v.Bool("route.tombstone.on.empty.payload"), router: &regexRouter{regex: regex, replacement: replacement}, arena: a,
	}
	if v.Bool("table.expand.json.payload") {
		t.expand = &jsonExpander{nulls: v.String("table.json.payload.null.behavior") == "optional_bytes"}
	}
	t.placements, err = parsePlacements(v.List("table.fields.additional.placement"))
	t.beside = slices.ContainsFunc(t.placements, func(f placement) bool { return f.place == "envelope" })
	return t, err
}

func (t *eventRouter) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) {
		return false, nil
	}
	if !isNamedEnvelope(r.Value.Schema) {
		return true, nil
	}
	p, err := t.plans.get(r.Value.Schema, t.compile)
	if err != nil {
		return false, err
	}
	envelope, err := t.outer.fields(r.Value)
	if err != nil {
		return false, err
	}
	switch string(envelope[p.op]) {
	case opDelete:
		return false, nil
	case opUpdate:
		if t.fatal {
			return false, fmt.Errorf("an update in the outbox (table.op.invalid.behavior=fatal)")
		}
		return false, nil
	}
	present, row, err := connectors.ReadPresent(p.row, envelope[p.after])
	if err != nil || !present {
		return false, cmp.Or(err, fmt.Errorf("the change has no new row: an outbox takes inserts and deletes"))
	}
	columns, err := t.inner.split(p.row, row)
	if err != nil {
		return false, err
	}
	for i, o := range p.ops {
		if o.instead != nil && columns[i][0] == o.null {
			columns[i] = o.instead
		}
	}
	return true, t.event(r, p, envelope, columns)
}

// opUpdate is the encoded operation of an update.
const opUpdate = "\x02u"

// event makes the event of the columns of a row.
func (t *eventRouter) event(r *connectors.Record, p *eventPlan, envelope, columns [][]byte) error {
	route, err := p.text(columns, p.routeBy)
	if err != nil {
		return err
	}
	if r.Timestamp, err = p.at(r.Value.Schema, envelope, columns); err != nil {
		return err
	}
	payload, empty := p.column(columns, p.payload), false
	if content, present, err := p.content(columns, p.payload); err != nil {
		return err
	} else if empty = !present || payload.Schema.Type == connectors.String && blank(content); present && !empty && t.expand != nil && payload.Schema.Type == connectors.String {
		payload = t.expand.data(t.arena, t.payload, payload, content)
	}
	appendHeader(r, connectors.Header{Key: "id", Value: p.column(columns, p.id)})
	value, err := t.value(p, columns, payload, route)
	if err != nil {
		return err
	}
	for i, at := range p.placed {
		if at < 0 {
			continue
		}
		switch f := t.placements[i]; f.place {
		case "header":
			appendHeader(r, connectors.Header{Key: f.as, Value: p.column(columns, at)})
		case "partition":
			n, present, err := p.integer(columns, at)
			if err != nil {
				return err
			}
			if r.Partition = connectors.AnyPartition; present {
				r.Partition = int32(n)
			}
		}
	}
	r.Key, r.Value = p.column(columns, p.key), value
	if empty && t.tombstones {
		r.Value = connectors.Data{}
	}
	r.Topic = route
	_, err = t.router.apply(r)
	return err
}

// value returns the payload, or the struct of it and the columns beside it.
func (t *eventRouter) value(p *eventPlan, columns [][]byte, payload connectors.Data, route string) (connectors.Data, error) {
	if !t.beside {
		return payload, nil
	}
	key := valueKey{payload: payload.Schema, route: route}
	if p.version >= 0 {
		n, _, err := p.integer(columns, p.version)
		if err != nil {
			return payload, err
		}
		key.version = int(n)
	}
	s := p.values[key]
	if s == nil {
		s = t.valueSchema(p, key)
		if len(p.values) >= cacheSize {
			clear(p.values)
		}
		p.values[key] = s
	}
	dst := append(t.arena.take(), payload.Bytes...)
	for i, at := range p.placed {
		if at >= 0 && t.placements[i].place == "envelope" {
			dst = append(dst, columns[at]...)
		}
	}
	return connectors.Data{Schema: s, Bytes: t.arena.keep(dst)}, nil
}

// valueSchema calls the struct after the row's schema and the route: shop.public.outbox.order.Value.
func (t *eventRouter) valueSchema(p *eventPlan, key valueKey) *connectors.Schema {
	dot := strings.LastIndexByte(p.row.Name, '.') + 1
	s := &connectors.Schema{Type: connectors.Struct, Name: p.row.Name[:dot] + key.route + "." + p.row.Name[dot:], Version: key.version,
		Fields: []connectors.Field{{Name: "payload", Schema: key.payload}}}
	for i, at := range p.placed {
		if f := t.placements[i]; at >= 0 && f.place == "envelope" {
			s.Fields = append(s.Fields, connectors.Field{Name: f.as, Schema: p.row.Fields[at].Schema})
		}
	}
	return s
}

func (t *eventRouter) compile(envelope *connectors.Schema) (*eventPlan, error) {
	p := &eventPlan{op: envelope.FieldIndex("op"), after: envelope.FieldIndex("after"), time: envelope.FieldIndex("ts_ms"),
		stamp: -1, version: -1, values: map[valueKey]*connectors.Schema{}}
	if p.op < 0 || p.after < 0 || p.time < 0 || envelope.Fields[p.after].Schema.Type != connectors.Struct {
		return nil, errNoRow
	}
	p.row = envelope.Fields[p.after].Schema
	for i := range p.row.Fields {
		o, err := copyOp(p.row, i, true)
		if err != nil {
			return nil, err
		}
		p.ops = append(p.ops, o)
	}
	for _, c := range []struct {
		key, name string
		at        *int
	}{{"table.field.event.id", t.id, &p.id}, {"table.field.event.key", t.key, &p.key}, {"table.field.event.payload", t.payload, &p.payload},
		{"route.by.field", t.routeBy, &p.routeBy}, {"table.field.event.timestamp", t.timestamp, &p.stamp}, {"table.field.event.schema.version", t.version, &p.version}} {
		if c.name == "" && *c.at < 0 {
			continue
		}
		if *c.at = p.row.FieldIndex(c.name); *c.at < 0 {
			return nil, fmt.Errorf("%s: %s has no column %s; a predicate can leave other tables than the outbox alone", c.key, p.row.Name, c.name)
		}
	}
	for _, f := range t.placements {
		at := p.row.FieldIndex(f.column)
		if at < 0 && t.missing {
			return nil, fmt.Errorf("table.fields.additional.placement: %s has no column %s", p.row.Name, f.column)
		}
		p.placed = append(p.placed, at)
	}
	return p, nil
}

func (p *eventPlan) column(columns [][]byte, i int) connectors.Data {
	return connectors.Data{Schema: p.row.Fields[i].Schema, Bytes: columns[i]}
}

// content returns the encoding of a column that is not null, for strings their text.
func (p *eventPlan) content(columns [][]byte, i int) (content []byte, present bool, err error) {
	v, _, err := connectors.ReadValue(p.row.Fields[i].Schema, columns[i])
	return v.Raw(), !v.IsNull(), err
}

func (p *eventPlan) text(columns [][]byte, i int) (string, error) {
	content, present, err := p.content(columns, i)
	if err != nil || !present || p.row.Fields[i].Schema.Type != connectors.String {
		return "", cmp.Or(err, fmt.Errorf("column %s has no text to route by", p.row.Fields[i].Name))
	}
	return string(content), nil
}

func (p *eventPlan) integer(columns [][]byte, i int) (n int64, present bool, err error) {
	f := p.row.Fields[i]
	if f.Schema.Type != connectors.Int32 {
		return 0, false, fmt.Errorf("column %s is of type %s, not int32", f.Name, f.Schema.Type)
	}
	v, _, err := connectors.ReadValue(f.Schema, columns[i])
	return v.Int(), !v.IsNull(), err
}

// at returns the event's time: of its column, or when the change was read.
func (p *eventPlan) at(envelope *connectors.Schema, fields, columns [][]byte) (int64, error) {
	if p.stamp >= 0 {
		f := p.row.Fields[p.stamp]
		per := map[string]int64{"io.debezium.time.Timestamp": 1, "io.debezium.time.MicroTimestamp": 1e3, "io.debezium.time.NanoTimestamp": 1e6}[f.Schema.Name]
		if per == 0 {
			return 0, fmt.Errorf("table.field.event.timestamp: column %s is of type %s %s; it must be a timestamp in milliseconds, microseconds or nanoseconds", f.Name, f.Schema.Type, f.Schema.Name)
		}
		v, _, err := connectors.ReadValue(f.Schema, columns[p.stamp])
		if err != nil || !v.IsNull() {
			return v.Int() / per, err
		}
	}
	v, _, err := connectors.ReadValue(envelope.Fields[p.time].Schema, fields[p.time])
	if err == nil && v.IsNull() {
		return connectors.NoTimestamp, nil
	}
	return v.Int(), err
}

// blank reports whether a text is empty as Java's String.trim sees it.
func blank(text []byte) bool {
	return len(bytes.TrimFunc(text, func(c rune) bool { return c <= ' ' })) == 0
}
