package transforms

import (
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// A plan makes a struct out of another one, on the encoded bytes: fields are copied as they are, replaced by bytes
// known beforehand, or converted one by one. It is compiled once per schema.
//
//	in    | field 0 | field 1 | field 2 |
//	           │         ╳         │          field 1 is dropped
//	           ▼                   ▼
//	out   | field 0 | new field | field 2 |
type plan struct {
	out *connectors.Schema
	ops []op
}

// op makes one field of the result.
type op struct {
	// from is the field it comes from, or -1.
	from int
	// null and instead: a field that is this branch of null becomes these bytes, its default.
	null    byte
	instead []byte
	// convert appends the new field; raw is the old one, nil if from is -1. nil copies.
	convert func(dst, raw []byte, r *connectors.Record) ([]byte, error)
}

// copyOp copies a field of the schema. With defaults, a null becomes the field's default, as Connect's Struct.get
// answers it.
func copyOp(s *connectors.Schema, from int, defaults bool) (op, error) {
	o := op{from: from}
	f := s.Fields[from].Schema
	if !defaults || !f.Optional || f.Default == nil || f.Default.IsNull() {
		return o, nil
	}
	o.null = connectors.AppendNull(nil, f)[0]
	instead, err := connectors.AppendValue(nil, f, *f.Default)
	if err != nil {
		return o, fmt.Errorf("default of field %s: %w", s.Fields[from].Name, err)
	}
	o.instead = instead
	return o, nil
}

// splitter takes structs apart. It keeps its list between calls.
type splitter struct{ raws [][]byte }

// split returns the encoded fields of a struct whose presence has been read. The list is valid until the next call.
func (p *splitter) split(s *connectors.Schema, src []byte) ([][]byte, error) {
	raws, src, err := p.first(len(s.Fields), s, src)
	if err == nil && len(src) > 0 {
		err = fmt.Errorf("%d bytes after the value: %w", len(src), connectors.ErrMalformed)
	}
	return raws, err
}

// fields is split of data that must be a struct that is not null.
func (p *splitter) fields(d connectors.Data) ([][]byte, error) {
	src, err := structContent(d)
	if err != nil {
		return nil, err
	}
	return p.split(d.Schema, src)
}

// first returns the first n fields, as split does, and what follows them.
func (p *splitter) first(n int, s *connectors.Schema, src []byte) (raws [][]byte, rest []byte, err error) {
	p.raws = p.raws[:0]
	for i := range s.Fields[:n] {
		if rest, err = connectors.SkipValue(s.Fields[i].Schema, src); err != nil {
			return nil, nil, fmt.Errorf("field %s: %w", s.Fields[i].Name, err)
		}
		p.raws = append(p.raws, src[:len(src)-len(rest):len(src)-len(rest)])
		src = rest
	}
	return p.raws, src, nil
}

// run appends the new struct made of the fields.
func (p *plan) run(dst []byte, raws [][]byte, r *connectors.Record) ([]byte, error) {
	dst = connectors.AppendPresent(dst, p.out)
	for i := range p.ops {
		o := &p.ops[i]
		var raw []byte
		if o.from >= 0 {
			raw = raws[o.from]
			if o.instead != nil && raw[0] == o.null {
				raw = o.instead
			}
		}
		if o.convert == nil {
			dst = append(dst, raw...)
			continue
		}
		var err error
		if dst, err = o.convert(dst, raw, r); err != nil {
			return dst, fmt.Errorf("field %s: %w", p.out.Fields[i].Name, err)
		}
	}
	return dst, nil
}

// structs runs plans over the key or value of records.
type structs struct {
	at    side
	arena *arena
	split splitter
	plans cache[*plan]
}

// apply replaces the data by what the plan of its schema makes of it. The data must be a struct that is not null.
func (t *structs) apply(r *connectors.Record, build func(*connectors.Schema) (*plan, error)) error {
	d := t.at.of(r)
	src, err := structContent(*d)
	if err != nil {
		return err
	}
	p, err := t.plans.get(d.Schema, build)
	if err != nil {
		return err
	}
	raws, err := t.split.split(d.Schema, src)
	if err != nil {
		return err
	}
	out, err := p.run(t.arena.take(), raws, r)
	if err != nil {
		return err
	}
	*d = connectors.Data{Schema: p.out, Bytes: t.arena.keep(out)}
	return nil
}

// structContent returns the encoding of a struct's fields.
func structContent(d connectors.Data) ([]byte, error) {
	if d.Schema == nil {
		return nil, errors.New("the transform works on structs, and this has no schema")
	}
	if d.Schema.Type != connectors.Struct {
		return nil, fmt.Errorf("the transform works on structs, and this is of type %s", d.Schema.Type)
	}
	present, src, err := connectors.ReadPresent(d.Schema, d.Bytes)
	if err == nil && !present {
		err = fmt.Errorf("the value is null")
	}
	return src, err
}

// basics copies what Connect copies of a struct's schema when a transform changes its fields: name, version, doc and
// parameters; not its default, and not that it is optional.
func basics(s *connectors.Schema) *connectors.Schema {
	return &connectors.Schema{Type: s.Type, Name: s.Name, Version: s.Version, Doc: s.Doc, Parameters: s.Parameters}
}

// side is the key or the value of a record.
type side uint8

const (
	valueSide side = iota
	keySide
)

func (s side) of(r *connectors.Record) *connectors.Data {
	if s == keySide {
		return &r.Key
	}
	return &r.Value
}

// isNull reports whether d is null, with or without a schema.
func isNull(d connectors.Data) bool {
	if d.Schema == nil {
		return d.Bytes == nil || string(d.Bytes) == "null"
	}
	present, _, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return err == nil && !present
}

// appendHeader adds a header without touching the array that the record's headers share with others.
func appendHeader(r *connectors.Record, h ...connectors.Header) {
	r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)], h...)
}

// encode returns the encoding of v under s.
func encode(a *arena, s *connectors.Schema, v connectors.Value) (connectors.Data, error) {
	out, err := connectors.AppendValue(a.take(), s, v)
	if err != nil {
		return connectors.Data{}, err
	}
	return connectors.Data{Schema: s, Bytes: a.keep(out)}, nil
}
