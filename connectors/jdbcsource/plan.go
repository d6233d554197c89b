package jdbcsource

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// plan is what the rows of an answer become.
type plan struct {
	columns []column
	schema  *connectors.Schema
	fields  []planField
	growing []int // the place of the column in a row; empty: the mode does not go by it
	stamps  []int
}

type planField struct {
	column int
	schema *connectors.Schema
	read   reader
}

// compile makes the plan for the columns of the answer. The schema of the last answer stays if it is the same.
func (q *querier) compile(by criteria) error {
	columns := q.cursor.columns()
	if q.plan != nil && slices.Equal(q.plan.columns, columns) {
		return nil
	}
	p := &plan{columns: slices.Clone(columns), schema: &connectors.Schema{Type: connectors.Struct}}
	if q.table != nil {
		p.schema.Name = q.table.name
	}
	for i := range p.columns {
		c := &p.columns[i]
		schema, read := q.s.field(c)
		switch {
		case schema == nil:
			q.log.Warn("column left out: its type has no like in Connect; cast it to text in a query, or in a view with table.types=VIEW",
				"table", q.String(), "column", c.name, "type", c.native)
			continue
		case p.schema.FieldIndex(c.name) >= 0:
			return wrong("read "+q.String(), "give one of them another name with AS", "there are two columns %s", c.name)
		}
		p.schema.Fields = append(p.schema.Fields, connectors.Field{Name: c.name, Schema: schema})
		p.fields = append(p.fields, planField{i, schema, read})
	}
	at := func(of *column) (int, error) {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == of.name })
		if i < 0 {
			return 0, wrong("read "+q.String(), "select it", "the answer has no column %s", of.name)
		}
		return i, nil
	}
	if by.growing != nil {
		i, err := at(by.growing)
		if err != nil {
			return err
		}
		p.growing = append(p.growing, i)
	}
	for _, c := range by.stamps {
		i, err := at(c)
		if err != nil {
			return err
		}
		p.stamps = append(p.stamps, i)
	}
	q.plan = p
	return nil
}

func (p *plan) encode(dst []byte, row []cell) ([]byte, error) {
	var err error
	for i := range p.fields {
		f := &p.fields[i]
		v := &row[f.column]
		if v.kind == cellNull {
			if !f.schema.Optional {
				return dst, fmt.Errorf("column %s: null where the table says NOT NULL", p.columns[f.column].name)
			}
			dst = connectors.AppendNull(dst, f.schema)
			continue
		}
		if dst, err = f.read(connectors.AppendPresent(dst, f.schema), v); err != nil {
			return dst, fmt.Errorf("column %s: %w", p.columns[f.column].name, err)
		}
	}
	return dst, nil
}
