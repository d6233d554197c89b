package s3

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// partitioner says which directory a record belongs to (Confluent's "encoded partition"). It is for one goroutine.
type partitioner interface {
	// appendPath appends the path of the record, consumed from that partition of its topic. The time of the record, in
	// milliseconds since the epoch, is 0 if the partitioner goes by none. now is the time of the put.
	appendPath(dst []byte, partition int32, r *connectors.Record, now int64) (path []byte, at int64, err error)
}

func newPartitioner(v configs.Values, s *settings) (p partitioner, err error) {
	kind := pick(partitioners(), v.String("partitioner.class"))
	switch kind {
	case "default":
		p = byPartition{}
	case "field":
		p = newByField(v, s)
	case "time", "daily", "hourly":
		p, err = newByTime(kind, v, s)
	default:
		err = fmt.Errorf("partitioner.class=%s is not a partitioner", v.String("partitioner.class"))
	}
	if affix := v.String("s3.schema.partition.affix.type"); err == nil && affix != "NONE" {
		p = &withSchema{of: p, delim: s.delim, suffix: affix == "SUFFIX"}
	}
	return p, err
}

// byPartition is the DefaultPartitioner: partition=3.
type byPartition struct{}

func (byPartition) appendPath(dst []byte, partition int32, _ *connectors.Record, _ int64) ([]byte, int64, error) {
	return strconv.AppendInt(append(dst, "partition="...), int64(partition), 10), 0, nil
}

// byField is the FieldPartitioner: region=eu/tier=3. The contents go into the path as they are, a slash too.
type byField struct {
	fields []*fieldReader
	names  bool
	delim  string
}

func newByField(v configs.Values, s *settings) *byField {
	p := &byField{names: v.Bool("partition.field.format.path"), delim: s.delim}
	for _, name := range v.List("partition.field.name") {
		p.fields = append(p.fields, newFieldReader(name, s.schemaCache))
	}
	return p
}

func (p *byField) appendPath(dst []byte, _ int32, r *connectors.Record, _ int64) ([]byte, int64, error) {
	for i, f := range p.fields {
		if i > 0 {
			dst = append(dst, p.delim...)
		}
		if p.names {
			dst = append(append(dst, f.name...), '=')
		}
		found, err := f.read(r.Value)
		if err == nil {
			dst, err = found.appendPlain(dst)
		}
		if err != nil {
			return dst, 0, fmt.Errorf("field %s: %w", f.name, err)
		}
	}
	return dst, 0, nil
}

// withSchema puts the name of the value's schema before or after another partitioner's path.
type withSchema struct {
	of     partitioner
	delim  string
	suffix bool
}

func (p *withSchema) appendPath(dst []byte, partition int32, r *connectors.Record, now int64) ([]byte, int64, error) {
	name := "null"
	if r.Value.Schema != nil && r.Value.Schema.Name != "" {
		name = r.Value.Schema.Name
	}
	if !p.suffix {
		dst = append(append(append(dst, "schema_name="...), name...), p.delim...)
	}
	dst, at, err := p.of.appendPath(dst, partition, r, now)
	if p.suffix {
		dst = append(append(append(dst, p.delim...), "schema_name="...), name...)
	}
	return dst, at, err
}

// field is what a fieldReader found in one value.
type field struct {
	schema *connectors.Schema // nil: text is JSON
	bytes  []byte             // the encoded value without what says that it is present; nil: null
}

// errNotFound is what is wrong with a value that should have a field.
var errNotFound = errors.New("it is not in the value")

// fieldReader reads one field out of encoded values, by the field's name or by a path with dots.
type fieldReader struct {
	name  string
	path  []string
	most  int
	known map[*connectors.Schema][]int // the field's place at each level, nil if it has none
}

func newFieldReader(name string, most int) *fieldReader {
	return &fieldReader{name: name, path: strings.Split(name, "."), most: most, known: map[*connectors.Schema][]int{}}
}

func (f *fieldReader) read(d connectors.Data) (field, error) {
	if d.Schema == nil {
		return f.readJSON(d.Bytes)
	}
	places, ok := f.known[d.Schema]
	if !ok {
		places = f.find(d.Schema)
		if len(f.known) >= f.most {
			clear(f.known)
		}
		f.known[d.Schema] = places
	}
	if places == nil {
		return field{}, errNotFound
	}
	s, src := d.Schema, d.Bytes
	for level := 0; ; level++ {
		present, rest, err := connectors.ReadPresent(s, src)
		if err != nil || !present {
			return field{schema: s}, err
		}
		if level == len(places) {
			return field{s, rest}, nil
		}
		for i := range places[level] {
			if rest, err = connectors.SkipValue(s.Fields[i].Schema, rest); err != nil {
				return field{}, err
			}
		}
		s, src = s.Fields[places[level]].Schema, rest
	}
}

// find returns the places of the field, level by level.
func (f *fieldReader) find(s *connectors.Schema) (places []int) {
	if i := s.FieldIndex(f.name); s.Type == connectors.Struct && i >= 0 {
		return []int{i}
	}
	for _, name := range f.path {
		i := -1
		if s.Type == connectors.Struct {
			i = s.FieldIndex(name)
		}
		if i < 0 {
			return nil
		}
		places = append(places, i)
		s = s.Fields[i].Schema
	}
	return places
}

// readJSON reads the field out of JSON text.
func (f *fieldReader) readJSON(text []byte) (field, error) {
	for _, name := range f.path {
		var value []byte
		err := connectors.EachJSONMember(text, func(n, v []byte) error {
			if string(n) == name {
				value = v
			}
			return nil
		})
		if err != nil {
			return field{}, err
		}
		if value == nil {
			return field{}, errNotFound
		}
		text = value
	}
	if string(text) == "null" {
		return field{}, nil
	}
	return field{bytes: text}, nil
}

// appendPlain appends a number, a string or a boolean as it goes into a path.
func (f field) appendPlain(dst []byte) ([]byte, error) {
	if f.bytes == nil {
		return append(dst, "null"...), nil
	}
	if f.schema == nil {
		switch c := f.bytes[0]; {
		case c == '"':
			return connectors.AppendJSONText(dst, f.bytes)
		case c == '{' || c == '[':
			return dst, errors.New("it is no number, string or boolean")
		}
		return append(dst, f.bytes...), nil
	}
	switch f.schema.Type {
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		i, _, err := connectors.ReadInt(f.bytes)
		return strconv.AppendInt(dst, i, 10), err
	case connectors.String:
		text, _, err := connectors.ReadBytes(f.bytes)
		return append(dst, text...), err
	case connectors.Boolean:
		if len(f.bytes) == 0 {
			return dst, connectors.ErrTruncated
		}
		return strconv.AppendBool(dst, f.bytes[0] == 1), nil
	}
	return dst, fmt.Errorf("a %s cannot be part of a path; only integers, strings and booleans can", f.schema.Type)
}
