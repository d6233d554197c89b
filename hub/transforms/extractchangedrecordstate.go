package transforms

import (
	"bytes"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func changedStateDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "header.changed.name", Type: configs.String, Importance: configs.Low, Doc: "Header that gets the names of the columns that an update changed; none if it is absent."},
		{Name: "header.unchanged.name", Type: configs.String, Importance: configs.Low, Doc: "Header that gets the names of the columns that an update did not change; none if it is absent."},
	}}
}

// changedState is Debezium's ExtractChangedRecordState: headers say which columns an update changed. Any other change
// has them, too, and empty.
type changedState struct {
	changed, unchanged changedHeader
	arena              *arena
	plans              cache[*changedPlan]
	outer, old, new    splitter
}

// changedHeader is a header with the names of columns.
type changedHeader struct {
	name   string // "": none
	schema *connectors.Schema
	list   [][]byte // encoded names, of the record at hand
}

// changedPlan is where the rows are in the envelopes of one schema.
type changedPlan struct {
	before, after int
	names         [][]byte // of the columns of after, encoded
	same          []int    // the columns of before by that name, or -1
}

func newChangedState(v configs.Values, _ side, a *arena) (transform, error) {
	header := func(key string) changedHeader {
		name := v.String(key)
		if strings.TrimSpace(name) == "" {
			return changedHeader{}
		}
		return changedHeader{name: name, schema: &connectors.Schema{Type: connectors.Array, Optional: true, Name: name, Elem: connectors.OptionalStringSchema}}
	}
	return &changedState{changed: header("header.changed.name"), unchanged: header("header.unchanged.name"), arena: a}, nil
}

func (t *changedState) apply(r *connectors.Record) (bool, error) {
	if isNull(r.Value) || !isEnvelope(r.Value.Schema) {
		return true, nil
	}
	p, err := t.plans.get(r.Value.Schema, compileChanged)
	if err != nil {
		return false, err
	}
	src, err := structContent(r.Value)
	if err != nil {
		return false, err
	}
	raws, _, err := t.outer.first(max(p.before, p.after)+1, r.Value.Schema, src)
	if err != nil {
		return false, err
	}
	if err := t.compare(r.Value.Schema, p, raws); err != nil {
		return false, err
	}
	for _, h := range []*changedHeader{&t.changed, &t.unchanged} {
		if h.name != "" {
			appendHeader(r, connectors.Header{Key: h.name, Value: h.data(t.arena)})
		}
	}
	return true, nil
}

func compileChanged(s *connectors.Schema) (*changedPlan, error) {
	p := &changedPlan{before: s.FieldIndex("before"), after: s.FieldIndex("after")}
	before, after := s.Fields[p.before].Schema, s.Fields[p.after].Schema
	if before.Type != connectors.Struct || after.Type != connectors.Struct {
		return nil, errNoRow
	}
	for _, f := range after.Fields {
		p.names = append(p.names, connectors.AppendString(connectors.AppendPresent(nil, connectors.OptionalStringSchema), f.Name))
		p.same = append(p.same, before.FieldIndex(f.Name))
	}
	return p, nil
}

// compare sorts the columns. Equal values have equal bytes.
func (t *changedState) compare(s *connectors.Schema, p *changedPlan, raws [][]byte) error {
	t.changed.list, t.unchanged.list = t.changed.list[:0], t.unchanged.list[:0]
	before, after := s.Fields[p.before].Schema, s.Fields[p.after].Schema
	wasRow, src, err := connectors.ReadPresent(before, raws[p.before])
	if err != nil || !wasRow {
		return err
	}
	isRow, now, err := connectors.ReadPresent(after, raws[p.after])
	if err != nil || !isRow {
		return err
	}
	old, err := t.old.split(before, src)
	if err != nil {
		return err
	}
	columns, err := t.new.split(after, now)
	if err != nil {
		return err
	}
	for i, name := range p.names {
		if at := p.same[i]; at >= 0 && bytes.Equal(columns[i], old[at]) {
			t.unchanged.list = append(t.unchanged.list, name)
		} else {
			t.changed.list = append(t.changed.list, name)
		}
	}
	return nil
}

func (h *changedHeader) data(a *arena) connectors.Data {
	dst := connectors.AppendPresent(a.take(), h.schema)
	if len(h.list) > 0 {
		dst = connectors.AppendInt(dst, int64(len(h.list)))
	}
	for _, name := range h.list {
		dst = append(dst, name...)
	}
	return connectors.Data{Schema: h.schema, Bytes: a.keep(append(dst, 0))}
}
