package jdbc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// walk takes a struct's encoding apart into the cells of a run of columns. It is compiled once for a schema.
type walk struct {
	schema *connectors.Schema
	fields []walkField
	// ordered says that the columns come in the order of the fields, so that one pass is enough. Otherwise columns says
	// of which field each one is.
	ordered bool
	columns []int
	first   int // number of the first column, in the shape
}

// walkField is a field on the way: a column, or skipped.
type walkField struct {
	schema *connectors.Schema
	typed  *typed // nil: skipped
	column int
	name   string
	null   []byte // the cell of null, if that is another value's (replace.null.with.default)
}

// cells makes cells of values. It keeps scratch memory: it is for Put alone.
type cells struct {
	dialect dialect
	scratch []byte
	extents [][]byte
	// mask has a 0 for each column of the row that was left out because the change did not touch it, once there is one.
	mask   []byte
	masked bool
	// nullsOut says that such a column becomes null instead: there is no row that could keep what it has.
	nullsOut bool
}

// newWalk compiles the way through a struct. columns are its fields by name, in the order in which their cells are wanted.
func newWalk(schema *connectors.Schema, columns []column, first int, nulls func(f *walkField) ([]byte, error)) (*walk, error) {
	w := &walk{schema: schema, first: first, ordered: true, columns: make([]int, len(columns))}
	last := -1
	for i, f := range schema.Fields {
		wf := walkField{schema: f.Schema, name: f.Name, column: -1}
		if at := slices.IndexFunc(columns, func(c column) bool { return c.name == f.Name }); at >= 0 {
			wf.typed, wf.column = columns[at].typed, first+at
			w.columns[at] = i
			w.ordered = w.ordered && at > last
			last = at
			var err error
			if wf.null, err = nulls(&wf); err != nil {
				return nil, fmt.Errorf("the default of field %s: %w", f.Name, err)
			}
		}
		w.fields = append(w.fields, wf)
	}
	return w, nil
}

// append appends the cells of a struct that is present, and returns what follows it.
func (w *walk) append(c *cells, dst, src []byte) (out, rest []byte, err error) {
	if w.ordered {
		for i := range w.fields {
			f := &w.fields[i]
			if f.typed == nil {
				src, err = connectors.SkipValue(f.schema, src)
			} else {
				dst, src, err = c.append(dst, f, src)
			}
			if err != nil {
				return dst, nil, fmt.Errorf("field %s: %w", f.name, err)
			}
		}
		return dst, src, nil
	}
	c.extents = c.extents[:0]
	for i := range w.fields {
		c.extents = append(c.extents, src)
		if src, err = connectors.SkipValue(w.fields[i].schema, src); err != nil {
			return dst, nil, fmt.Errorf("field %s: %w", w.fields[i].name, err)
		}
	}
	for _, i := range w.columns {
		f := &w.fields[i]
		if dst, _, err = c.append(dst, f, c.extents[i]); err != nil {
			return dst, nil, fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	return dst, src, nil
}

// append appends the cell of the value of a field, or leaves it out and says so in the mask.
func (c *cells) append(dst []byte, f *walkField, src []byte) (out, rest []byte, err error) {
	present, src, err := connectors.ReadPresent(f.schema, src)
	if err != nil {
		return dst, nil, err
	}
	if !present {
		if f.null != nil {
			return append(dst, f.null...), src, nil
		}
		return appendNull(dst), src, nil
	}
	if u := f.typed.unchanged; u != nil && bytes.HasPrefix(src, u) {
		if c.nullsOut {
			return appendNull(dst), src[len(u):], nil
		}
		c.mask[f.column], c.masked = 0, true
		return dst, src[len(u):], nil
	}
	return c.value(dst, f.typed, src)
}

// value appends the cell of a value that is present.
func (c *cells) value(dst []byte, t *typed, src []byte) (out, rest []byte, err error) {
	v, rest, err := t.read(src, c.scratch)
	if err != nil {
		return dst, nil, err
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if dst, err = c.dialect.appendCell(dst, t, v); err != nil {
		return dst, nil, err
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, rest, nil
}

// begin makes ready for a row of so many columns.
func (c *cells) begin(columns int) {
	c.masked = false
	c.mask = c.mask[:0]
	for range columns {
		c.mask = append(c.mask, 1)
	}
}
