package mysql

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// field is a column compiled: everything that its values need is ready to be appended.
type field struct {
	name  string
	out   bool // part of the row
	codec codec
	// schema is the codec's with optionality, default and documentation; nil if the column has no mapping.
	schema *connectors.Schema
	// What precedes a value, and what stands for null (nil if the column is required), for a value that is not
	// there, and for one that an update did not change.
	present, null, missing, unchanged []byte

	plain   *field                          // the field without what the configuration says of it, for keys; nil if it says nothing
	rewrite func(dst []byte, at int) []byte // replaces the value at dst[at:]; nil if values stay as they are
	hide    func(raw []byte) []byte         // the text that others than the table's readers may see; nil if all
}

// table is a definition compiled: from cells to records. It is used by one goroutine.
type table struct {
	name   cdc.Table
	def    *definition
	id     string // database.table
	topic  string
	fields []field
	key    []int // indexes of the key's columns, in order

	rowSchema, keySchema, envelope *connectors.Schema
	place                          []byte // the source block's field table
	lenient                        bool   // null stands for what cannot be converted
	dropped                        []string
}

// cell is one column's value in a row: its bytes, or the reason why there are none.
type cell struct {
	kind byte
	raw  []byte
}

// The kinds of cells.
const (
	cellValue  = iota
	cellNull   // NULL
	cellAbsent // the row image does not have the column (binlog_row_image is not FULL)
)

// valueError is a value that its column cannot take.
type valueError struct {
	column string
	err    error
}

func (e *valueError) Error() string { return "column " + e.column + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// errNull says that a NOT NULL column has a null.
var errNull = errors.New("null in a NOT NULL column")

// compiler makes tables from definitions.
type compiler struct {
	s             *settings
	codecs        codecs
	source, block *connectors.Schema
}

// compile makes the table of a definition. It fails if the key names a column that is not there.
func (c *compiler) compile(ctx context.Context, name cdc.Table, def *definition) (*table, error) {
	t := &table{name: name, def: def, id: name.String(), topic: c.s.naming.Topic(name.Schema, name.Name), lenient: !c.s.convertFails}
	t.place = cdc.AppendOptionalString(nil, name.Name)
	schema := func(suffix string) string { return c.s.naming.Schemas.Schema(t.topic + suffix) }
	t.rowSchema = &connectors.Schema{Type: connectors.Struct, Optional: true, Name: schema(".Value")}
	taken := map[string]string{}
	for i := range def.Columns {
		f, err := c.field(ctx, t.id, &def.Columns[i])
		if err != nil {
			return nil, err
		}
		if f.schema == nil {
			t.dropped = append(t.dropped, f.name)
		}
		if f.schema != nil && !c.s.rules.Empty() {
			f = c.ruled(t.id, &def.Columns[i], f)
		}
		f.out = f.schema != nil && c.s.columns.Allows(t.id+"."+f.name)
		if f.out {
			name := c.s.naming.Fields.Field(f.name)
			if other, ok := taken[name]; ok {
				return nil, fmt.Errorf("columns %s and %s of %s have the same field name %s under field.name.adjustment.mode", other, f.name, t.id, name)
			}
			taken[name] = f.name
			t.rowSchema.Fields = append(t.rowSchema.Fields, connectors.Field{Name: name, Schema: f.schema})
		}
		t.fields = append(t.fields, f)
	}
	if err := c.compileKey(t, schema(".Key")); err != nil {
		return nil, err
	}
	t.envelope = cdc.Envelope(schema(".Envelope"), t.rowSchema, c.source, c.block)
	return t, nil
}

func (c *compiler) compileKey(t *table, name string) error {
	key := t.def.key(t.name, c.s.keys)
	if len(key) == 0 {
		return nil
	}
	t.keySchema = &connectors.Schema{Type: connectors.Struct, Name: name}
	for _, k := range key {
		i := t.def.find(k)
		if i < 0 || t.fields[i].schema == nil {
			return fmt.Errorf("the key of %s has the column %s, which the table does not have or whose type cannot be written", t.id, k)
		}
		t.key = append(t.key, i)
		t.keySchema.Fields = append(t.keySchema.Fields, connectors.Field{Name: c.s.naming.Fields.Field(t.fields[i].name), Schema: t.fields[i].keyed().schema})
	}
	return nil
}

// field compiles a column; its schema is nil if the type has no mapping.
func (c *compiler) field(ctx context.Context, table string, col *column) (field, error) {
	f := field{name: col.Name}
	k, ok, err := c.codec(ctx, table, col)
	if err != nil || !ok {
		return f, err
	}
	s := *k.schema
	s.Optional = !col.NotNull
	if col.Comment != "" && c.s.values.comments {
		s.Doc = col.Comment
	}
	if v, ok := defaultValue(&k, col); ok {
		s.Default = &v
	}
	f.codec, f.schema = k, &s
	f.present = connectors.AppendPresent(nil, &s)
	if s.Optional {
		f.null = connectors.AppendNull(nil, &s)
		f.missing = f.null
	} else if s.Default != nil {
		f.missing = mustAppend(&s, *s.Default)
	} else {
		f.missing = mustAppend(&s, k.zero)
	}
	f.unchanged = f.missing
	switch s.Type {
	case connectors.String:
		f.unchanged = mustAppend(&s, connectors.StringBytesValue(c.s.values.placeholder))
	case connectors.Bytes:
		f.unchanged = mustAppend(&s, connectors.BytesValue(c.s.values.placeholder))
	}
	return f, nil
}

// mustAppend encodes a value that was made for the schema.
func mustAppend(s *connectors.Schema, v connectors.Value) []byte {
	b, err := connectors.AppendValue(nil, s, v)
	if err != nil {
		panic("mysql: " + err.Error()) // a mistake in codec.go, which its test finds
	}
	return b
}

// defaultValue returns the default that a column's schema shows; ok is false if it shows none.
func defaultValue(k *codec, col *column) (connectors.Value, bool) {
	if col.Default == nil || k.cannotDefault {
		return connectors.Null(), false
	}
	text := []byte(*col.Default)
	switch col.Type {
	case "bit":
		var ok bool
		if text, ok = bitLiteral(*col.Default); !ok {
			return connectors.Null(), false
		}
	case "timestamp":
		if *col.Default == now || *col.Default == "0" || strings.HasPrefix(*col.Default, "0000-00-00") {
			return k.zero, col.NotNull // without the digits of a fraction
		}
	case "decimal":
		if k.schema.Type == connectors.String {
			text = padFraction(text, col.Scale)
		}
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		switch strings.ToUpper(*col.Default) {
		case "TRUE":
			text = []byte("1")
		case "FALSE":
			text = []byte("0")
		}
	}
	b, err := k.text(nil, text)
	if errors.Is(err, errZeroDate) {
		if !col.NotNull {
			return connectors.Null(), false
		}
		return k.zero, true
	}
	if err != nil {
		return connectors.Null(), false
	}
	v, _, err := connectors.ReadValue(k.schema, b)
	return v, err == nil
}

// bitDigits returns the digits of b'101'; other texts stay as they are.
func bitDigits(s string) string { return strings.Trim(strings.TrimLeft(s, "bB"), "'") }

// bitLiteral reads 101, as a bit column's value; ok is false if it has other digits.
func bitLiteral(s string) (value []byte, ok bool) {
	u, err := strconv.ParseUint(s, 2, 64)
	return binary.BigEndian.AppendUint64(nil, u), err == nil
}

// padFraction gives a decimal as many digits behind the point as its column has.
func padFraction(text []byte, scale int) []byte {
	whole, fraction, _ := strings.Cut(string(text), ".")
	if scale <= len(fraction) {
		return text
	}
	return []byte(whole + "." + fraction + strings.Repeat("0", scale-len(fraction)))
}

// reader says how the cells of a row are read: as the text of a SELECT, or as one version of a table's row image.
type reader []appendFunc

// selected are the expressions that a SELECT has for the columns.
func (t *table) selected() (list []string) {
	for _, f := range t.fields {
		item := quote(f.name)
		if f.schema == nil {
			item = "NULL"
		} else if f.codec.selected != "" {
			item = fmt.Sprintf(f.codec.selected, item)
		}
		list = append(list, item)
	}
	return list
}

// texts reads the cells of a SELECT.
func (t *table) texts() reader {
	r := make(reader, len(t.fields))
	for i := range t.fields {
		r[i] = t.fields[i].codec.text
	}
	return r
}

// appendKey appends the key of the row of cells. A cell that is not there is taken from the other row.
func (t *table) appendKey(dst []byte, r reader, cells, other []cell) ([]byte, error) {
	return t.appendColumns(dst, r, t.key, cells, other)
}

// appendColumns appends columns of a row as keys have them.
func (t *table) appendColumns(dst []byte, r reader, columns []int, cells, other []cell) ([]byte, error) {
	var err error
	for _, i := range columns {
		f := t.fields[i].keyed()
		if dst, err = f.append(dst, r[i], pick(cells, other, i), f.missing, t.lenient); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendRow appends the optional struct of the row. Cells that are not there are taken from the other row; where it
// does not have them either, they are unknown, and if the row is what an update left, the update did not change them.
func (t *table) appendRow(dst []byte, r reader, cells, other []cell, after bool) ([]byte, error) {
	dst = append(dst, 2) // present
	var err error
	for i := range t.fields {
		f := &t.fields[i]
		if !f.out {
			continue
		}
		absent := f.missing
		if after && other != nil {
			absent = f.unchanged
		}
		if dst, err = f.append(dst, r[i], pick(cells, other, i), absent, t.lenient); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func pick(cells, other []cell, i int) cell {
	if c := cells[i]; c.kind != cellAbsent || i >= len(other) {
		return c
	}
	return other[i]
}

func (f *field) append(dst []byte, read appendFunc, v cell, absent []byte, lenient bool) ([]byte, error) {
	switch v.kind {
	case cellValue:
		at := len(dst)
		dst = append(dst, f.present...)
		start := len(dst)
		out, err := read(dst, v.raw)
		if err == nil && f.rewrite != nil {
			out = f.rewrite(out, start)
		}
		if err == nil {
			return out, nil
		}
		if lenient || errors.Is(err, errZeroDate) {
			// A zero date is null, and the epoch where there can be no null.
			if f.null != nil {
				return append(out[:at], f.null...), nil
			}
			return connectors.AppendValue(out[:at], f.schema, f.codec.zero)
		}
		return dst[:at], &valueError{f.name, err}
	case cellAbsent:
		return append(dst, absent...), nil
	}
	if f.null != nil {
		return append(dst, f.null...), nil
	}
	if lenient {
		return append(dst, f.missing...), nil
	}
	return dst, &valueError{f.name, errNull}
}

// keyed is the field as keys have it.
func (f *field) keyed() *field {
	if f.plain != nil {
		return f.plain
	}
	return f
}
