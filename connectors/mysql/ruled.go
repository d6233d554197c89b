package mysql

import (
	"slices"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// ruled returns the field under what the configuration says of the column: other values, more schema parameters. A key
// keeps the field as it was. Of a column of which nothing is said, both are the same.
func (c *compiler) ruled(table string, col *column, f field) field {
	rule := c.s.rules.For(c.facts(table, col))
	if rule == nil {
		return f
	}
	schema := *f.schema
	schema.Parameters = append(slices.Clone(schema.Parameters), rule.Parameters...)
	plain := f
	f.plain, f.schema = &plain, &schema
	if !rule.ChangesValues(&schema) {
		return f
	}
	f.rewrite = func(dst []byte, at int) []byte { return rule.Rewrite(dst, at, &schema) }
	f.hide = func(raw []byte) []byte { return rule.Apply(nil, raw, connectors.StringSchema) }
	present := len(f.present)
	rewritten := func(b []byte) []byte { return rule.Rewrite(slices.Clone(b), present, &schema) }
	f.unchanged = rewritten(f.unchanged)
	switch {
	case !schema.Optional:
		f.missing = rewritten(f.missing)
	case rule.MasksNull():
		f.null = rule.AppendMask(slices.Clone(f.present))
		f.missing = f.null
	}
	return f
}

// facts is what Debezium knows of a column.
func (c *compiler) facts(table string, col *column) cdc.ColumnFacts {
	f := cdc.ColumnFacts{Table: table, Column: col.Name, Type: typeName(col), Length: col.Length, Characters: col.isText()}
	if c.s.values.comments {
		f.Comment = col.Comment
	}
	if col.Scale >= 0 {
		f.Scale, f.HasScale = col.Scale, true
	}
	switch col.Type {
	case "enum":
		f.Length = 1
	case "set":
		f.Length = max(2*len(col.Labels)-1, 0)
	}
	return f
}
