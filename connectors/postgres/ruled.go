package postgres

import (
	"math"
	"slices"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// ruled returns the column under what the configuration says of it: other values, more schema parameters. A column of
// which nothing is said is returned as it is.
func (c *compiler) ruled(table string, a attribute, col column) column {
	t, ok := c.lookup(a.Type)
	if !ok {
		return col
	}
	rule := c.s.rules.For(c.facts(table, a, t))
	if rule == nil {
		return col
	}
	plain, schema := col, *col.schema
	schema.Parameters = append(slices.Clone(schema.Parameters), rule.Parameters...)
	col.rule, col.plain, col.schema = rule, &plain, &schema
	if !rule.ChangesValues(&schema) {
		return col
	}
	col.append = func(dst, text []byte) ([]byte, error) {
		at := len(dst)
		out, err := plain.append(dst, text)
		if err != nil {
			return out, err
		}
		return rule.Rewrite(out, at, &schema), nil
	}
	present := len(col.present)
	rewritten := func(b []byte) []byte { return rule.Rewrite(slices.Clone(b), present, &schema) }
	col.unchanged = rewritten(col.unchanged)
	switch {
	case !schema.Optional:
		col.missing = rewritten(col.missing)
	case rule.MasksNull():
		col.null = rule.AppendMask(slices.Clone(col.present))
		col.missing = col.null
	}
	return col
}

// shown is a value's text as others than the reader of the table may see it.
func (c *column) shown(text []byte) []byte {
	if c.rule == nil || !c.rule.ChangesValues(connectors.StringSchema) {
		return text
	}
	return c.rule.Apply(nil, text, connectors.StringSchema)
}

// facts is what Debezium knows of a column: the name of its type, and length and scale as the JDBC driver has them,
// those of the base type for a domain.
func (c *compiler) facts(table string, a attribute, t typ) cdc.ColumnFacts {
	f := cdc.ColumnFacts{Table: table, Column: a.Name, Type: t.Name, HasScale: true}
	if c.s.values.comments {
		f.Comment = a.Comment
	}
	mod := a.Mod
	for t.Kind == 'd' {
		if mod == noModifier {
			mod = t.BaseMod
		}
		base, ok := c.lookup(t.Base)
		if !ok {
			break
		}
		t = base
	}
	builtin := t.Schema == "pg_catalog"
	f.Characters = t.Kind == 'e' || builtin && slices.Contains([]string{"text", "varchar", "bpchar", "name", "char"}, t.Name)
	if t.IsArray {
		if elem, ok := c.lookup(t.Elem); ok {
			t, builtin = elem, elem.Schema == "pg_catalog"
		}
	}
	f.Length = math.MaxInt32
	if builtin {
		f.Length, f.Scale = lengthAndScale(t.Name, mod)
	}
	return f
}

// lengthAndScale are the column size and decimal digits that the JDBC driver says of a type with a modifier: digits of
// a number, or else how many characters its longest text has.
func lengthAndScale(name string, mod int32) (length, scale int) {
	seconds := digits(mod) // of the fraction, and the point
	if seconds > 0 {
		seconds++
	}
	if mod == 1 {
		seconds = 3
	}
	switch name {
	case "int2":
		return 5, 0
	case "int4", "oid":
		return 10, 0
	case "int8":
		return 19, 0
	case "float4":
		return 8, 8
	case "float8":
		return 17, 17
	case "bool", "char":
		return 1, 0
	case "numeric":
		if mod == noModifier {
			return 131089, 0
		}
		return precision(mod)
	case "varchar", "bpchar":
		if mod != noModifier {
			return int(mod) - 4, 0
		}
	case "bit", "varbit":
		if mod != noModifier {
			return int(mod), 0
		}
	case "date":
		return 13, 0
	case "time":
		return 8 + seconds, digits(mod)
	case "timetz":
		return 14 + seconds, digits(mod)
	case "timestamp":
		return 22 + seconds, digits(mod)
	case "timestamptz":
		return 28 + seconds, digits(mod)
	case "interval":
		if mod == noModifier {
			return 49, 6
		}
		return 49, int(mod & 0xffff) // 65535 where only the interval's fields are restricted
	}
	return math.MaxInt32, 0
}
