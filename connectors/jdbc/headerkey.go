package jdbc

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// headerKeys makes keys of records' headers (pk.mode=record_header): structs of those that pk.fields names, or of all.
type headerKeys struct {
	shapes []headerKey // the last one used first
	fields []connectors.Data
	bytes  []byte // of the last key
}

// headerKey is the schema of a key, and what headers it was made for.
type headerKey struct {
	names  []string
	schema *connectors.Schema
}

// maxHeaderKeys bounds how many schemas of keys are kept.
const maxHeaderKeys = 100

// key returns the key in the headers of a record. It is valid until the next call.
func (k *headerKeys) key(r *connectors.Record, wanted []string) (connectors.Data, error) {
	names := wanted
	if len(names) == 0 {
		for _, h := range r.Headers {
			names = append(names, h.Key)
		}
	}
	k.fields = k.fields[:0]
	for _, name := range names {
		// The last one counts: it is what a transform has added.
		i := len(r.Headers) - 1
		for i >= 0 && r.Headers[i].Key != name {
			i--
		}
		switch {
		case i < 0:
			return connectors.Data{}, fmt.Errorf("the record has no header %s, which pk.fields names", name)
		case r.Headers[i].Value.Schema == nil:
			return connectors.Data{}, fmt.Errorf("the header %s is null or has no schema, and its column needs a type; see header.converter", name)
		}
		k.fields = append(k.fields, r.Headers[i].Value)
	}
	if len(names) == 0 {
		return connectors.Data{}, fmt.Errorf("the record has no headers, which pk.mode=record_header takes the primary key from")
	}
	schema, err := k.schema(names)
	k.bytes = k.bytes[:0]
	for _, f := range k.fields {
		k.bytes = append(k.bytes, f.Bytes...)
	}
	return connectors.Data{Schema: schema, Bytes: k.bytes}, err
}

// schema returns the struct of the fields with these names, the same one for the same names and schemas.
func (k *headerKeys) schema(names []string) (*connectors.Schema, error) {
	at := slices.IndexFunc(k.shapes, func(of headerKey) bool {
		if !slices.Equal(of.names, names) {
			return false
		}
		for i, f := range of.schema.Fields {
			if f.Schema != k.fields[i].Schema && !f.Schema.Equal(k.fields[i].Schema) {
				return false
			}
		}
		return true
	})
	if at >= 0 {
		k.shapes[0], k.shapes[at] = k.shapes[at], k.shapes[0]
		return k.shapes[0].schema, nil
	}
	s := &connectors.Schema{Type: connectors.Struct}
	for i, name := range names {
		if s.FieldIndex(name) >= 0 {
			return nil, fmt.Errorf("the record has two headers %s; pk.fields says which ones are the primary key", name)
		}
		s.Fields = append(s.Fields, connectors.Field{Name: name, Schema: k.fields[i].Schema})
	}
	k.shapes = append([]headerKey{{slices.Clone(names), s}}, k.shapes[:min(len(k.shapes), maxHeaderKeys-1)]...)
	return s, nil
}
