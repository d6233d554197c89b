package transforms

import (
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// unwrapPlan is what unwrap does to the envelopes of one schema.
type unwrapPlan struct {
	before, after, op int // fields of the envelope; op may be -1
	looksAt           int // how many of them are looked at, from the first on, when there is a row after the change
	rowSchema         *connectors.Schema
	out               *connectors.Schema
	copy              *plan // of the row, if nulls become defaults in it
	fields, headers   []planField
}

// planField is where an added field comes from.
type planField struct {
	as     string
	outer  int                // field of the envelope
	parent *connectors.Schema // its schema, if the added field is within
	inner  int
	of     *connectors.Schema // schema there
	schema *connectors.Schema // schema here: the same, optional, without a default
	unset  []byte             // what is written there when Debezium has left the field at its default, which is null here
}

func (t *unwrap) compile(envelope *connectors.Schema) (*unwrapPlan, error) {
	p := &unwrapPlan{before: envelope.FieldIndex("before"), after: envelope.FieldIndex("after"), op: envelope.FieldIndex("op")}
	p.rowSchema = envelope.Fields[p.after].Schema
	if p.rowSchema.Type != connectors.Struct {
		return nil, errNoRow
	}
	var err error
	if p.fields, err = findFields(envelope, t.fields); err != nil {
		return nil, err
	}
	if p.headers, err = findFields(envelope, t.headers); err != nil {
		return nil, err
	}
	p.looksAt = max(p.before, p.after) + 1
	for _, f := range slices.Concat(p.fields, p.headers) {
		p.looksAt = max(p.looksAt, f.outer+1)
	}
	p.out = basics(p.rowSchema)
	p.out.Fields = append(p.out.Fields, p.rowSchema.Fields...)
	if t.deletes == deleteRewrite {
		p.out.Fields = append(p.out.Fields, connectors.Field{Name: "__deleted", Schema: connectors.OptionalStringSchema})
	}
	for _, f := range p.fields {
		p.out.Fields = append(p.out.Fields, connectors.Field{Name: f.as, Schema: f.schema})
	}
	if t.deletes != deleteRewrite || !t.replaceNull {
		return p, nil
	}
	row := basics(p.rowSchema)
	row.Fields = p.rowSchema.Fields
	copying := &plan{out: row}
	needed := false
	for i := range row.Fields {
		o, err := copyOp(row, i, true)
		if err != nil {
			return nil, err
		}
		needed = needed || o.instead != nil
		copying.ops = append(copying.ops, o)
	}
	if needed {
		p.copy = copying
	}
	return p, nil
}

// findFields finds the fields to add. Those that the envelope does not have are left out, as Debezium does: it has
// fewer fields without transaction metadata, and other transforms may add some.
func findFields(envelope *connectors.Schema, list []envelopeField) (found []planField, err error) {
	for _, f := range list {
		p := planField{as: f.as, outer: envelope.FieldIndex(f.name)}
		if outer := envelope.FieldIndex(f.parent); f.parent != "" && outer >= 0 {
			parent := envelope.Fields[outer].Schema
			if i := parent.FieldIndex(f.name); i >= 0 {
				p.outer, p.parent, p.inner, p.of = outer, parent, i, parent.Fields[i].Schema
			}
		}
		if p.of == nil && p.outer >= 0 {
			p.of = envelope.Fields[p.outer].Schema
		}
		if p.of == nil {
			continue
		}
		if p.of.Default != nil {
			if p.unset, err = connectors.AppendValue(nil, p.of, *p.of.Default); err != nil {
				return nil, err
			}
		}
		s := *p.of
		s.Optional, s.Default = true, nil
		p.schema = &s
		found = append(found, p)
	}
	return found, nil
}

// row opens an optional row.
func (p *unwrapPlan) row(raw []byte) (schema *connectors.Schema, content []byte, present bool, err error) {
	present, content, err = connectors.ReadPresent(p.rowSchema, raw)
	return p.rowSchema, content, present, err
}
