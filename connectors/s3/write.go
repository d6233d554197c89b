package s3

import (
	"errors"

	"github.com/sluicehub/sluice/connectors"
)

// lines are the bytes of one record for the files of values, keys and headers, in scratch memory.
type lines struct{ value, key, header []byte }

// encoderKey names a compiled encoder.
type encoderKey struct {
	of     format
	schema *connectors.Schema
}

// encoder returns the compiled encoder of a format for a schema.
func (t *task) encoder(of format, schema *connectors.Schema) (encoder, error) {
	k := encoderKey{of, schema}
	if e := t.cache[k]; e != nil {
		return e, nil
	}
	e, err := of.encoder(schema)
	if err != nil {
		return nil, err
	}
	if len(t.cache) >= t.settings.schemaCache {
		clear(t.cache)
	}
	t.cache[k] = e
	return e, nil
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

// fits reports whether a record can go into its file of the open rotation by its schema.
func (o *rotation) fits(r *connectors.Record, dir []byte, s *settings) bool {
	f := o.files[string(dir)]
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

// encode makes the bytes of a record, for the file that it goes into.
func (p *partition) encode(r *connectors.Record, dir []byte, tombstone bool) (out lines, err error) {
	t := p.t
	if !tombstone {
		v := r.Value
		if p.open != nil {
			if f := p.open.files[string(dir)]; f != nil && f.value != nil {
				if f.fit.project != nil {
					if v.Bytes, err = f.fit.project.convert(v.Bytes); err != nil {
						return out, err
					}
				}
				v.Schema = f.schema
			}
		}
		if t.scratch[0], err = t.line(t.scratch[0][:0], t.values, v); err != nil {
			return out, err
		}
		out.value = t.scratch[0]
	}
	if t.keys != nil {
		if t.scratch[1], err = t.line(t.scratch[1][:0], t.keys, r.Key); err != nil {
			return out, err
		}
		out.key = t.scratch[1]
	}
	if t.headers != nil && !tombstone {
		h, err := headerData(r.Headers)
		if err != nil {
			return out, err
		}
		if t.scratch[2], err = t.line(t.scratch[2][:0], t.headers, h); err != nil {
			return out, err
		}
		out.header = t.scratch[2]
	}
	return out, nil
}

func (t *task) line(dst []byte, of format, d connectors.Data) ([]byte, error) {
	e, err := t.encoder(of, d.Schema)
	if err != nil {
		return dst, err
	}
	return e.append(dst, d)
}

// newFile opens the files of one output path, with the first record of theirs.
func (p *partition) newFile(r *connectors.Record, dir string, tombstone bool) *file {
	t := p.t
	base := t.settings.base(dir, p.from.Topic, p.from.Partition, r.Offset)
	f := &file{dir: dir, schema: r.Value.Schema, keySchema: r.Key.Schema}
	add := func(of format, schema *connectors.Schema) *upload {
		u := &upload{key: base + of.extension(), format: of, schema: schema, blob: newBlob(t.memory)}
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
	return f
}

// objectKey is the name of the first object of a rotation that begins with a record of that directory and offset.
func (p *partition) objectKey(dir string, start int64, tombstone bool) string {
	of := p.t.values
	if tombstone {
		of = p.t.keys
	}
	return p.t.settings.base(dir, p.from.Topic, p.from.Partition, start) + of.extension()
}

func (f *file) write(l lines) {
	if f.value != nil {
		f.value.blob.Write(l.value)
	}
	if f.key != nil {
		f.key.blob.Write(l.key)
	}
	if f.header != nil {
		f.header.blob.Write(l.header)
	}
}
