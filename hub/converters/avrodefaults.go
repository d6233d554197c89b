package converters

import (
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// filler puts the default of a struct's field in the place of a null, as Confluent's AvroData does unless
// ignore.default.for.nullables is set: it asks Connect's Struct, which answers with the default. It does so for fields
// of structs only, wherever these are; a null that is an array's or a map's element, or the whole value, stays null.
//
// It is compiled per schema. There is none for a schema without optional fields that have a default, whose values are
// forwarded as they are.
type filler struct {
	schema  *connectors.Schema
	inside  bool      // whether there is something to fill in the value itself
	fields  []*filler // of a struct; nil where there is nothing to do
	elem    *filler   // of an array or a map
	whenNil []byte    // encoding of the default of an optional field; nil: null stays
}

// maxFillDepth is how deep schemas may be nested. Values may be nested as deep.
const maxFillDepth = 64

// newFiller returns nil if there is nothing to fill under s.
func newFiller(s *connectors.Schema) (*filler, error) {
	n, err := compileFiller(s, maxFillDepth)
	if err != nil || !n.inside {
		return nil, err
	}
	return n, nil
}

func compileFiller(s *connectors.Schema, depth int) (*filler, error) {
	if s == nil || depth == 0 {
		return nil, fmt.Errorf("a schema is missing, or nested deeper than %d", maxFillDepth)
	}
	n := &filler{schema: s}
	switch s.Type {
	case connectors.Array, connectors.Map:
		elem, err := compileFiller(s.Elem, depth-1)
		if err != nil {
			return nil, err
		}
		if elem.inside {
			n.elem, n.inside = elem, true
		}
	case connectors.Struct:
		n.fields = make([]*filler, len(s.Fields))
		for i, f := range s.Fields {
			field, err := compileFiller(f.Schema, depth-1)
			if err == nil {
				err = field.compileDefault()
			}
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
			if field.inside || field.whenNil != nil {
				n.fields[i], n.inside = field, true
			}
		}
	}
	return n, nil
}

// compileDefault encodes the default of a field that may be null. What is null inside of the default is filled too.
func (n *filler) compileDefault() error {
	s := n.schema
	if !s.Optional || s.Default == nil || s.Default.IsNull() {
		return nil
	}
	encoded, err := connectors.AppendValue(nil, s, *s.Default)
	if err == nil && n.inside {
		encoded, err = n.append(nil, encoded)
	}
	if err != nil {
		return fmt.Errorf("default: %w", err)
	}
	n.whenNil = encoded
	return nil
}

// append appends the one value that b holds, filled.
func (n *filler) append(dst, b []byte) ([]byte, error) {
	f := filling{dst: dst, from: b, src: b}
	if err := f.value(n); err != nil {
		return nil, err
	}
	if len(f.src) > 0 {
		return nil, fmt.Errorf("%d bytes after the value: %w", len(f.src), connectors.ErrMalformed)
	}
	f.copy()
	return f.dst, nil
}

// filling is a value being filled. What is not changed is copied in runs.
type filling struct {
	dst  []byte
	from []byte // not copied yet
	src  []byte // not looked at yet: the end of from
}

// copy copies what was looked at.
func (f *filling) copy() {
	f.dst = append(f.dst, f.from[:len(f.from)-len(f.src)]...)
	f.from = f.src
}

// skipTo leaves out what is before rest.
func (f *filling) skipTo(rest []byte) { f.src, f.from = rest, rest }

func (f *filling) pass(s *connectors.Schema) (err error) {
	f.src, err = connectors.SkipValue(s, f.src)
	return err
}

func (f *filling) value(n *filler) error {
	present, rest, err := connectors.ReadPresent(n.schema, f.src)
	if err != nil {
		return err
	}
	f.src = rest
	switch {
	case !present:
		return nil
	case n.elem != nil:
		return f.items(n)
	}
	for i, field := range n.fields {
		if field == nil {
			err = f.pass(n.schema.Fields[i].Schema)
		} else {
			err = f.field(field)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", n.schema.Fields[i].Name, err)
		}
	}
	return nil
}

func (f *filling) field(n *filler) error {
	if n.whenNil != nil {
		present, rest, err := connectors.ReadPresent(n.schema, f.src)
		if err != nil {
			return err
		}
		if !present {
			f.copy()
			f.dst = append(f.dst, n.whenNil...)
			f.skipTo(rest)
			return nil
		}
	}
	if !n.inside {
		return f.pass(n.schema)
	}
	return f.value(n)
}

// items fills the elements of an array or a map. The size that a block may give of itself (its count is negative
// then) would not be right any more: such a block is written without.
func (f *filling) items(n *filler) error {
	for {
		count, rest, err := connectors.ReadInt(f.src)
		if err != nil {
			return err
		}
		if count < 0 {
			if count = -count; count < 0 {
				return connectors.ErrMalformed
			}
			if _, rest, err = connectors.ReadInt(rest); err != nil {
				return err
			}
			f.copy()
			f.dst = connectors.AppendInt(f.dst, count)
			f.skipTo(rest)
		}
		f.src = rest
		if count == 0 {
			return nil
		}
		if count > int64(len(rest)) { // as connectors.SkipValue: an item takes a byte at least
			return connectors.ErrTruncated
		}
		for ; count > 0; count-- {
			if n.schema.Type == connectors.Map {
				if err := f.pass(n.schema.Key); err != nil {
					return err
				}
			}
			if err := f.value(n.elem); err != nil {
				return err
			}
		}
	}
}
