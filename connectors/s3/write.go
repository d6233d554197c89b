package s3

import (
	"cmp"
	"errors"

	"github.com/sluicehub/sluice/connectors"
)

// lines are the bytes of one record for the files of values, keys and headers, in scratch memory.
type lines struct{ value, key, header []byte }

// encoders are the compiled encoders of a format. They are for one goroutine.
type encoders struct {
	of    format
	most  int
	known map[*connectors.Schema]encoder
	last  *connectors.Schema // what most records have, with its encoder
	use   encoder            // nil: there was none yet
}

func newEncoders(of format, most int) *encoders {
	return &encoders{of: of, most: most, known: map[*connectors.Schema]encoder{}}
}

// encoder returns the encoder for a schema.
func (e *encoders) encoder(schema *connectors.Schema) (encoder, error) {
	if e.use != nil && e.last == schema {
		return e.use, nil
	}
	found := e.known[schema]
	if found == nil {
		var err error
		if found, err = e.of.encoder(schema); err != nil {
			return nil, err
		}
		if len(e.known) >= e.most {
			clear(e.known)
		}
		e.known[schema] = found
	}
	e.last, e.use = schema, found
	return found, nil
}

// append appends the bytes of a record's data to dst.
func (e *encoders) append(dst []byte, d connectors.Data) ([]byte, error) {
	of, err := e.encoder(d.Schema)
	if err != nil {
		return dst, err
	}
	return of.append(dst, d)
}

// begin begins an object for data of a schema.
func (e *encoders) begin(base string, schema *connectors.Schema, m *memory) (*upload, error) {
	of, err := e.encoder(schema)
	if err != nil {
		return nil, err
	}
	key := base + e.of.extension()
	return &upload{key: key, format: e.of, schema: schema, layout: of.layout(key), blob: newBlob(m)}, nil
}

// fit is how values of one schema get into a file of another.
type fit struct {
	schema *connectors.Schema // of the record, as a pointer
	key    *connectors.Schema // of its key
	known  bool
	fits   bool
	// project converts values, nil if there is nothing to convert.
	project *projection
}

// fits reports whether a record can go into its file of the open rotation, nil if it has none yet, by its schema.
func (o *rotation) fits(f *file, r *connectors.Record, s *settings) bool {
	if f == nil {
		return s.maxOpenFiles <= 0 || len(o.files) < s.maxOpenFiles
	}
	if !f.fit.known || f.fit.schema != r.Value.Schema || f.fit.key != r.Key.Schema {
		f.fit = fitOf(f, r, s)
	}
	return f.fit.fits
}

func fitOf(f *file, r *connectors.Record, s *settings) fit {
	out := fit{schema: r.Value.Schema, key: r.Key.Schema, known: true}
	if f.key != nil && !f.keySchema.Equal(r.Key.Schema) {
		return out
	}
	if f.value == nil {
		out.fits = true
		return out
	}
	out.fits, out.project = compatible(s.compatibility, f.schema, r.Value.Schema)
	return out
}

// complete says what a record lacks for the files that are wanted.
func (t *task) complete(r *connectors.Record, tombstone bool) error {
	if t.keys != nil && isNull(r.Key) {
		return errors.New("it has no key, and store.kafka.keys wants one")
	}
	if t.headers != nil && !tombstone && len(r.Headers) == 0 {
		return errors.New("it has no headers, and store.kafka.headers wants them")
	}
	return nil
}

// encode makes the bytes of a record, for the file that it goes into, nil for a new one.
func (t *task) encode(r *connectors.Record, f *file, tombstone bool) (out lines, err error) {
	if !tombstone {
		v := r.Value
		if f != nil && f.value != nil {
			if f.fit.project != nil {
				if v.Bytes, err = f.fit.project.convert(v.Bytes); err != nil {
					return out, err
				}
			}
			v.Schema = f.schema
		}
		if t.scratch[0], err = t.values.append(t.scratch[0][:0], v); err != nil {
			return out, err
		}
		out.value = t.scratch[0]
	}
	if t.keys != nil {
		if t.scratch[1], err = t.keys.append(t.scratch[1][:0], r.Key); err != nil {
			return out, err
		}
		out.key = t.scratch[1]
	}
	if t.headers != nil && !tombstone {
		h, err := headerData(r.Headers)
		if err != nil {
			return out, err
		}
		if t.scratch[2], err = t.headers.append(t.scratch[2][:0], h); err != nil {
			return out, err
		}
		out.header = t.scratch[2]
	}
	return out, nil
}

// newFile opens the files of one output path, with the first record of theirs.
func (p *partition) newFile(r *connectors.Record, dir string, tombstone bool) (f *file, err error) {
	t := p.t
	base := t.settings.base(dir, p.from.Topic, p.from.Partition, r.Offset)
	f = &file{dir: dir, schema: r.Value.Schema, keySchema: r.Key.Schema}
	add := func(of *encoders, schema *connectors.Schema) *upload {
		u, e := of.begin(base, schema, t.memory)
		err = cmp.Or(err, e)
		f.uploads = append(f.uploads, u)
		return u
	}
	if !tombstone {
		f.value = add(t.values, f.schema)
	}
	if t.keys != nil {
		f.key = add(t.keys, r.Key.Schema)
	}
	if t.headers != nil && !tombstone {
		f.header = add(t.headers, headersSchema)
	}
	return f, err
}

// objectKey is the name of the first object of a rotation that begins with a record of that directory and offset.
func (p *partition) objectKey(dir string, start int64, tombstone bool) string {
	of := p.t.values
	if tombstone {
		of = p.t.keys
	}
	return p.t.settings.base(dir, p.from.Topic, p.from.Partition, start) + of.of.extension()
}

func (f *file) write(l lines) {
	if f.value != nil {
		f.value.write(l.value)
	}
	if f.key != nil {
		f.key.write(l.key)
	}
	if f.header != nil {
		f.header.write(l.header)
	}
}
