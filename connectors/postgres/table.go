package postgres

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// attribute is a column: what the log's relation message says of it, and what only the catalog knows.
type attribute struct {
	Name string
	Type uint32
	Mod  int32

	NotNull bool
	Default string // the expression, as pg_get_expr prints it; "" is none
	Comment string
}

// shape is all that decides how a table's rows are written. Two equal shapes are one version of the table.
type shape struct {
	Table cdc.Table
	Attrs []attribute
	// Key are the names of the key's columns, in the key's order; empty is no key.
	Key []string
}

func (s *shape) equal(o *shape) bool {
	return s.Table == o.Table && slices.Equal(s.Attrs, o.Attrs) && slices.Equal(s.Key, o.Key)
}

// column is a column compiled: everything that its values need is ready to be appended.
type column struct {
	name   string
	out    bool // part of the row
	schema *connectors.Schema
	append appendFunc
	// What precedes a value, and what stands for null (nil if the column is required), for a value the log does
	// not have, and for one that an update did not change.
	present, null, missing, unchanged []byte

	rule  *cdc.ColumnRule // what the configuration says of this column; nil for nothing
	plain *column         // the column without the rule, for keys; nil without a rule
}

// table is a version of a table compiled: from cells to records. It is used by one goroutine.
type table struct {
	shape
	id      string // schema.table
	topic   string
	columns []column  // as the cells come
	key     []int     // indexes of the key's columns, in order
	keys    []*column // the same columns, as keys have them
	enums   []enumeration

	rowSchema, keySchema, envelope *connectors.Schema
	place                          []byte // the source block's fields schema and table
	lenient                        bool   // null stands for what cannot be converted
	dropped                        []string
}

// cell is one column's value in the log or in COPY: its text, or the reason why there is none.
type cell struct {
	kind byte // cellText, cellNull, cellUnchanged
	text []byte
}

// The kinds of cells, as pgoutput spells them.
const (
	cellText      = 't'
	cellNull      = 'n'
	cellUnchanged = 'u'
)

// valueError is a value that its column cannot take.
type valueError struct {
	column string
	err    error
}

func (e *valueError) Error() string { return "column " + e.column + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// errNull says that a column that the catalog calls NOT NULL has a null in the log: the constraint is newer.
var errNull = errors.New("null in a NOT NULL column")

// compiler makes tables from shapes.
type compiler struct {
	s             *settings
	codecs        codecs
	source, block *connectors.Schema
	lookup        func(oid uint32) (typ, bool)
}

// compile makes the table of a shape. It fails if the key names a column that is not there.
func (c *compiler) compile(s shape) (*table, error) {
	t := &table{shape: s, id: s.Table.String(), topic: c.s.naming.Topic(s.Table.Schema, s.Table.Name), lenient: !c.s.convertFails}
	t.place = connectors.AppendString(connectors.AppendString(nil, s.Table.Schema), s.Table.Name)
	name := func(suffix string) string { return c.s.naming.Schemas.Schema(t.topic + suffix) }
	t.rowSchema = &connectors.Schema{Type: connectors.Struct, Optional: true, Name: name(".Value")}
	names := map[string]string{}
	for _, a := range s.Attrs {
		col, ok := c.column(a)
		if !ok {
			t.dropped = append(t.dropped, a.Name)
		}
		col.out = ok && c.s.columns.Allows(t.id+"."+a.Name)
		if ok && !c.s.rules.Empty() {
			col = c.ruled(t.id, a, col)
		}
		if col.out {
			field := c.s.naming.Fields.Field(a.Name)
			if other, taken := names[field]; taken {
				return nil, fmt.Errorf("columns %s and %s of %s have the same field name %s under field.name.adjustment.mode", other, a.Name, t.id, field)
			}
			names[field] = a.Name
			t.rowSchema.Fields = append(t.rowSchema.Fields, connectors.Field{Name: field, Schema: col.schema})
		}
		if e, ok := c.enumeration(len(t.columns), a.Type); ok && (col.out || slices.Contains(s.Key, a.Name)) {
			t.enums = append(t.enums, e)
		}
		t.columns = append(t.columns, col)
	}
	if err := c.compileKey(t, name(".Key")); err != nil {
		return nil, err
	}
	t.envelope = cdc.Envelope(name(".Envelope"), t.rowSchema, c.source, c.block)
	return t, nil
}

func (c *compiler) compileKey(t *table, name string) error {
	if len(t.Key) == 0 {
		return nil
	}
	t.keySchema = &connectors.Schema{Type: connectors.Struct, Name: name}
	for _, k := range t.Key {
		i := slices.IndexFunc(t.Attrs, func(a attribute) bool { return a.Name == k })
		if i < 0 || t.columns[i].append == nil {
			return fmt.Errorf("the key of %s has the column %s, which the table does not have or whose type cannot be written", t.id, k)
		}
		col := &t.columns[i]
		if col.plain != nil {
			col = col.plain
		}
		t.key, t.keys = append(t.key, i), append(t.keys, col)
		t.keySchema.Fields = append(t.keySchema.Fields, connectors.Field{Name: c.s.naming.Fields.Field(k), Schema: col.schema})
	}
	return nil
}

// column compiles a column; ok is false if its type has no mapping.
func (c *compiler) column(a attribute) (column, bool) {
	col := column{name: a.Name}
	t, ok := c.lookup(a.Type)
	if !ok {
		return col, false
	}
	k, ok := c.codecs.of(t, a.Mod, c.lookup)
	if !ok {
		return col, false
	}
	s := *k.schema
	s.Optional = !a.NotNull
	if a.Comment != "" && c.s.values.comments {
		s.Doc = a.Comment
	}
	if v, ok := defaultValue(k, a.Default); ok {
		s.Default = &v
	}
	col.schema, col.append = &s, k.append
	col.present = connectors.AppendPresent(nil, &s)
	if s.Optional {
		col.null = connectors.AppendNull(nil, &s)
		col.missing = col.null
	} else if s.Default != nil {
		col.missing = mustAppend(&s, *s.Default)
	} else {
		col.missing = mustAppend(&s, k.zero)
	}
	kept := unchanged(&s, &c.s.values)
	if k.kept != nil {
		kept = *k.kept
	}
	col.unchanged = mustAppend(&s, kept)
	return col, true
}

// mustAppend encodes a value that was made for the schema.
func mustAppend(s *connectors.Schema, v connectors.Value) []byte {
	b, err := connectors.AppendValue(nil, s, v)
	if err != nil {
		panic("postgres: " + err.Error()) // a mistake in codec.go, which its test finds
	}
	return b
}

// appendKey appends the key of the row of cells. A cell that the log does not have is taken from the other row.
func (t *table) appendKey(dst []byte, cells, other []cell, partial bool) ([]byte, error) {
	var err error
	for n, i := range t.key {
		if dst, err = t.keys[n].appendCell(dst, pick(cells, other, i), partial, t.lenient); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendRow appends the optional struct of the row. partial says that the cells are those of a key only, so that
// their nulls mean "not in the log". Cells that an update did not change are taken from the other row, if it has
// them.
func (t *table) appendRow(dst []byte, cells, other []cell, partial bool) ([]byte, error) {
	dst = append(dst, 2) // present
	var err error
	for i := range t.columns {
		if c := &t.columns[i]; c.out {
			if dst, err = c.appendCell(dst, pick(cells, other, i), partial, t.lenient); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

func pick(cells, other []cell, i int) cell {
	c := cells[i]
	if c.kind == cellUnchanged && i < len(other) && other[i].kind == cellText {
		return other[i]
	}
	return c
}

func (c *column) appendCell(dst []byte, v cell, partial, lenient bool) ([]byte, error) {
	switch v.kind {
	case cellText:
		at := len(dst)
		out, err := c.append(append(dst, c.present...), v.text)
		if err == nil {
			return out, nil
		}
		if lenient {
			return append(out[:at], c.missing...), nil
		}
		return dst[:at], &valueError{c.name, err}
	case cellUnchanged:
		return append(dst, c.unchanged...), nil
	}
	if partial || c.null == nil && lenient {
		return append(dst, c.missing...), nil
	}
	if c.null == nil {
		return dst, &valueError{c.name, errNull}
	}
	return append(dst, c.null...), nil
}

// relaxed returns the shape with the column optional, because the log has a null in it.
func (s shape) relaxed(column string) shape {
	s.Attrs = slices.Clone(s.Attrs)
	for i := range s.Attrs {
		if s.Attrs[i].Name == column {
			s.Attrs[i].NotNull = false
		}
	}
	return s
}

// sameRow reports whether two rows have the same captured values.
func (t *table) sameRow(a, b []cell) bool {
	for i := range t.columns {
		if !t.columns[i].out || b[i].kind == cellUnchanged {
			continue
		}
		if a[i].kind != b[i].kind || view(a[i].text) != view(b[i].text) {
			return false
		}
	}
	return true
}
