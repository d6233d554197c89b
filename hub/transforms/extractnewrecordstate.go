package transforms

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func unwrapDefinition() *configs.Definition {
	const old = "is Debezium's older key; delete.tombstone.handling.mode replaces it"
	text := func(name, def, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.String, Default: def, DefaultEmpty: def == "", Importance: configs.Low, Doc: doc}
	}
	flag := func(name, def, doc string) configs.Key {
		return configs.Key{Name: name, Type: configs.Boolean, Default: def, Importance: configs.Low, Doc: doc}
	}
	return configs.Concat(&configs.Definition{Keys: []configs.Key{
		{Name: "delete.tombstone.handling.mode", Type: configs.String, Default: "tombstone", Importance: configs.Medium,
			Enum: []string{"drop", "tombstone", "rewrite", "rewrite-with-tombstone", "delete-to-tombstone"},
			Doc: "What becomes of a delete and the tombstone after it. drop: both go. tombstone: the delete becomes a null under the row's schema, the tombstone goes. " +
				"rewrite: the delete becomes the old row with __deleted=true, the tombstone goes. rewrite-with-tombstone: as rewrite, the tombstone stays. " +
				"delete-to-tombstone: the delete becomes a tombstone without a schema, the tombstone after it goes."},
		{Name: "drop.tombstones", Type: configs.Boolean, Default: "true", Importance: configs.Low, Notice: old, Doc: "Whether tombstones go."},
		{Name: "delete.handling.mode", Type: configs.String, Default: "drop", Enum: []string{"drop", "rewrite", "none"}, Importance: configs.Low, Notice: old, Doc: "What becomes of a delete."},
		{Name: "add.fields", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Example: "op,table,source.ts_ms:changed",
			Doc: "Fields of the envelope or its source to add to the row, each with another name behind a colon if wanted."},
		text("add.fields.prefix", "__", "What the names of added fields start with."),
		{Name: "add.headers", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Doc: "Fields of the envelope or its source to add as headers."},
		text("add.headers.prefix", "__", "What the names of added headers start with."),
		text("route.by.field", "", "A column whose value becomes the topic."),
		text("drop.fields.header.name", "", "A header with a list of columns to remove."),
		flag("drop.fields.from.key", "false", "Whether those columns are removed from the key too."),
		flag("drop.fields.keep.schema.compatible", "true", "Whether only optional columns are removed."),
		flag("replace.null.with.default", "true", "Whether a null in a column with a default becomes the default when the row is rewritten."),
	}}, olderFieldsDefinition())
}

// unwrap is Debezium's ExtractNewRecordState: it puts the changed row in the place of the envelope around it. Records
// that are no envelopes (heartbeats, transactions, schema changes) pass unchanged.
//
//	envelope   before | after | source | transaction | op | ts_ms | …
//	                      │        │                    │
//	row        columns of after | __deleted | __op, __table, … of add.fields
//
// If nothing is added, the bytes of after are the row: nothing is copied.
type unwrap struct {
	dropTombstones bool
	deletes        deleteMode
	replaceNull    bool
	fields         []envelopeField
	headers        []envelopeField
	routeBy        string
	dropHeader     string
	dropFromKey    bool
	dropOptional   bool
	droppers       map[string][2]*replaceField // by the list of fields: for values, for keys

	arena *arena
	plans cache[*unwrapPlan]
	outer splitter // of the envelope
	inner splitter // of its structs
}

// deleteMode says what becomes of a delete.
type deleteMode uint8

const (
	deleteDrop deleteMode = iota
	deleteNull            // null under the row's schema
	deleteRewrite
	deleteTombstone // null without a schema
)

// envelopeField is a field of add.fields or add.headers.
type envelopeField struct {
	parent string // "" for the envelope itself
	name   string
	as     string
}

func newUnwrap(v configs.Values, _ side, a *arena) (transform, error) {
	t := &unwrap{
		replaceNull: v.Bool("replace.null.with.default"), routeBy: v.String("route.by.field"), dropHeader: v.String("drop.fields.header.name"),
		dropFromKey: v.Bool("drop.fields.from.key"), dropOptional: v.Bool("drop.fields.keep.schema.compatible"),
		droppers: map[string][2]*replaceField{}, arena: a,
	}
	t.dropTombstones, t.deletes = unwrapMode(v)
	var err error
	if t.fields, err = envelopeFields(v.List("add.fields"), v.String("add.fields.prefix")); err != nil {
		return nil, fmt.Errorf("add.fields: %w", err)
	}
	if t.headers, err = envelopeFields(v.List("add.headers"), v.String("add.headers.prefix")); err != nil {
		return nil, fmt.Errorf("add.headers: %w", err)
	}
	fields, headers := olderFields(v)
	t.fields, t.headers = append(t.fields, fields...), append(t.headers, headers...)
	return t, nil
}

// unwrapMode reads the mode; the older keys count only if the newer one is absent.
func unwrapMode(v configs.Values) (dropTombstones bool, deletes deleteMode) {
	if !v.Has("delete.tombstone.handling.mode") && (v.Has("drop.tombstones") || v.Has("delete.handling.mode")) {
		return v.Bool("drop.tombstones"), deleteModes()[v.String("delete.handling.mode")]
	}
	switch v.String("delete.tombstone.handling.mode") {
	case "drop":
		return true, deleteDrop
	case "rewrite":
		return true, deleteRewrite
	case "rewrite-with-tombstone":
		return false, deleteRewrite
	case "delete-to-tombstone":
		return true, deleteTombstone
	}
	return true, deleteNull
}

// envelopeFields reads "op", "source.ts_ms", "table:tab". A name without a struct is of the envelope if it is op or
// ts_ms, of the transaction if it is one of its fields, otherwise of the source.
func envelopeFields(list []string, prefix string) (fields []envelopeField, err error) {
	for _, item := range list {
		path, alias, renamed := strings.Cut(item, ":")
		parent, name, qualified := strings.Cut(path, ".")
		f := envelopeField{parent: parent, name: name, as: prefix + parent + "_" + name}
		if !qualified {
			f = envelopeField{name: path, as: prefix + path}
			switch path {
			case "id", "data_collection_order", "total_order":
				f.parent = "transaction"
			case "op", "ts_ms":
			default:
				f.parent = "source"
			}
		}
		if renamed {
			f.as = prefix + alias
		}
		if path == "" || renamed && alias == "" || strings.Contains(alias, ":") {
			return nil, fmt.Errorf("%q is not of the form field, struct.field or field:name", item)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

func (t *unwrap) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) {
		return t.tombstone(r), nil
	}
	if !isEnvelope(r.Value.Schema) {
		return true, nil
	}
	p, err := t.plans.get(r.Value.Schema, t.compile)
	if err != nil {
		return false, err
	}
	src, err := structContent(r.Value)
	if err != nil {
		return false, err
	}
	raws, _, err := t.outer.first(p.looksAt, r.Value.Schema, src)
	if err != nil {
		return false, err
	}
	for i := range p.headers {
		h := &p.headers[i]
		out, err := t.fetch(t.arena.take(), h, raws)
		if err != nil {
			return false, err
		}
		appendHeader(r, connectors.Header{Key: h.as, Value: connectors.Data{Schema: h.schema, Bytes: t.arena.keep(out)}})
	}
	_, _, isAfter, err := p.row(raws[p.after])
	if err != nil {
		return false, err
	}
	if isAfter {
		return t.replace(r, p, raws, p.after, "false")
	}
	if raws, err = t.outer.split(r.Value.Schema, src); err != nil {
		return false, err
	}
	return t.deleted(r, p, raws)
}

// isEnvelope tells Debezium's change events by the name of their schema.
func isEnvelope(s *connectors.Schema) bool {
	return isNamedEnvelope(s) && s.FieldIndex("before") >= 0 && s.FieldIndex("after") >= 0
}

// isNamedEnvelope is isEnvelope also of what has not both rows: DecodeLogicalDecodingMessageContent makes such.
func isNamedEnvelope(s *connectors.Schema) bool {
	return s != nil && s.Type == connectors.Struct && strings.HasSuffix(s.Name, ".Envelope")
}

// opField returns where an envelope has its operation.
func opField(s *connectors.Schema) (int, error) {
	at := s.FieldIndex("op")
	if at < 0 || s.Fields[at].Schema.Type != connectors.String {
		return at, fmt.Errorf("%s has no field op of type string", s.Name)
	}
	return at, nil
}

func (t *unwrap) tombstone(r *connectors.Record) (keep bool) {
	if t.dropTombstones {
		return false
	}
	for _, h := range t.headers {
		if h.name == "op" {
			op := connectors.Header{Key: h.as, Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "d")}}
			appendHeader(r, op, op) // Debezium adds it twice
		}
	}
	return true
}

// deleted handles an envelope without after: a delete or a truncate.
func (t *unwrap) deleted(r *connectors.Record, p *unwrapPlan, raws [][]byte) (keep bool, err error) {
	_, _, isBefore, err := p.row(raws[p.before])
	if err != nil {
		return false, err
	}
	if !isBefore && (p.op < 0 || string(raws[p.op]) != opDelete) {
		return false, nil // a truncate has no row
	}
	switch t.deletes {
	case deleteDrop:
		return false, nil
	case deleteRewrite:
		if !isBefore {
			return false, fmt.Errorf("a delete without the old row cannot be rewritten; the table needs a REPLICA IDENTITY")
		}
		return t.replace(r, p, raws, p.before, "true")
	}
	if isBefore {
		if err := t.route(r, p, raws[p.before]); err != nil {
			return false, err
		}
	}
	if t.deletes == deleteTombstone {
		r.Value = connectors.Data{}
		return true, nil
	}
	after := r.Value.Schema.Fields[p.after].Schema
	r.Value = connectors.Data{Schema: after, Bytes: raws[p.after]}
	return true, nil
}

// opDelete is the encoded operation of a delete.
const opDelete = "\x02d"

// replace puts a row in the place of the envelope.
func (t *unwrap) replace(r *connectors.Record, p *unwrapPlan, raws [][]byte, which int, deleted string) (keep bool, err error) {
	if err := t.route(r, p, raws[which]); err != nil {
		return false, err
	}
	_, row, _, err := p.row(raws[which])
	if err != nil {
		return false, err
	}
	if t.deletes == deleteRewrite || len(p.fields) > 0 {
		dst := t.arena.take()
		if dst, err = t.appendRow(dst, p, row); err != nil {
			return false, err
		}
		if t.deletes == deleteRewrite {
			dst = connectors.AppendString(connectors.AppendPresent(dst, connectors.OptionalStringSchema), deleted)
		}
		for i := range p.fields {
			if dst, err = t.fetch(dst, &p.fields[i], raws); err != nil {
				return false, err
			}
		}
		row = t.arena.keep(dst)
	}
	r.Value = connectors.Data{Schema: p.out, Bytes: row}
	return true, t.dropFields(r)
}

// appendRow copies a row. Nulls become defaults in it where Connect's InsertField, which adds __deleted, does that.
func (t *unwrap) appendRow(dst []byte, p *unwrapPlan, row []byte) ([]byte, error) {
	if p.copy == nil {
		return append(dst, row...), nil
	}
	raws, err := t.inner.split(p.rowSchema, row)
	if err != nil {
		return dst, err
	}
	return p.copy.run(dst, raws, nil)
}

// route sets the topic by a column.
func (t *unwrap) route(r *connectors.Record, p *unwrapPlan, raw []byte) error {
	if t.routeBy == "" {
		return nil
	}
	i := p.rowSchema.FieldIndex(t.routeBy)
	if i < 0 || p.rowSchema.Fields[i].Schema.Type != connectors.String {
		return fmt.Errorf("route.by.field: %s has no column %s of type string", p.rowSchema.Name, t.routeBy)
	}
	_, row, _, err := p.row(raw)
	if err != nil {
		return err
	}
	raws, err := t.inner.split(p.rowSchema, row)
	if err != nil {
		return err
	}
	v, _, err := connectors.ReadValue(p.rowSchema.Fields[i].Schema, raws[i])
	if err != nil {
		return err
	}
	if topic := v.Text(); strings.TrimSpace(topic) != "" {
		r.Topic = topic
	}
	return nil
}

// fetch appends a field of the envelope, or of one of its structs, as optional and without a default.
func (t *unwrap) fetch(dst []byte, f *planField, raws [][]byte) ([]byte, error) {
	raw := raws[f.outer]
	if f.parent != nil {
		present, src, err := connectors.ReadPresent(f.parent, raw)
		if err != nil || !present {
			return connectors.AppendNull(dst, f.schema), err
		}
		inner, err := t.inner.split(f.parent, src)
		if err != nil {
			return dst, err
		}
		raw = inner[f.inner]
	}
	present, content, err := connectors.ReadPresent(f.of, raw)
	if err != nil || !present || f.unset != nil && bytes.Equal(raw, f.unset) {
		return connectors.AppendNull(dst, f.schema), err
	}
	return append(connectors.AppendPresent(dst, f.schema), content...), nil
}

// dropFields removes the columns that a header names.
func (t *unwrap) dropFields(r *connectors.Record) error {
	if t.dropHeader == "" {
		return nil
	}
	for _, h := range r.Headers {
		if h.Key != t.dropHeader {
			continue
		}
		list, err := textList(h.Value)
		if err != nil {
			return fmt.Errorf("drop.fields.header.name: header %s: %w", h.Key, err)
		}
		droppers, ok := t.droppers[strings.Join(list, ",")]
		if !ok {
			if len(t.droppers) > cacheSize {
				clear(t.droppers)
			}
			for i, at := range []side{valueSide, keySide} {
				droppers[i] = &replaceField{structs: structs{at: at, arena: t.arena}, exclude: list, onlyOptional: t.dropOptional}
			}
			t.droppers[strings.Join(list, ",")] = droppers
		}
		if t.dropFromKey && !isNull(r.Key) {
			if _, err := droppers[1].apply(r); err != nil {
				return err
			}
		}
		_, err = droppers[0].apply(r)
		return err
	}
	return nil
}

// textList reads an array of strings.
func textList(d connectors.Data) (list []string, err error) {
	if d.Schema == nil {
		if isNull(d) {
			return nil, nil
		}
		err := connectors.EachJSONElement(d.Bytes, func(value []byte) error {
			text, err := connectors.AppendJSONText(nil, value)
			list = append(list, string(text))
			return err
		})
		return list, err
	}
	if d.Schema.Type != connectors.Array || d.Schema.Elem.Type != connectors.String {
		return nil, fmt.Errorf("is no list of strings but of type %s", d.Schema.Type)
	}
	v, _, err := connectors.ReadValue(d.Schema, d.Bytes)
	for _, item := range v.List() {
		list = append(list, item.Text())
	}
	return list, err
}
