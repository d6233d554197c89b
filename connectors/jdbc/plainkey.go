package jdbc

import (
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// plainKeys give keys without a schema (JsonConverter with schemas.enable=false) the types that the row has: a source's
// key is of columns of its table.
type plainKeys struct {
	byRow map[*connectors.Schema]*plainKey
	bytes []byte // of the last key
}

// plainKey reads the keys beside the values of one schema.
type plainKey struct {
	schema *connectors.Schema
	parser *connectors.JSONParser
}

// typed returns a key with a schema made from that of the row. It is valid until the next call.
func (k *plainKeys) typed(row *connectors.Schema, text []byte, fields []string) (connectors.Data, error) {
	of := k.byRow[row]
	if of == nil {
		var err error
		if of, err = newPlainKey(row, text, fields); err != nil {
			return connectors.Data{}, err
		}
		if k.byRow == nil || len(k.byRow) >= maxPlans {
			k.byRow = map[*connectors.Schema]*plainKey{}
		}
		k.byRow[row] = of
	}
	var err error
	if k.bytes, err = of.parser.Append(k.bytes[:0], text); err != nil {
		return connectors.Data{}, fmt.Errorf("key: %w", err)
	}
	return connectors.Data{Schema: of.schema, Bytes: k.bytes}, nil
}

func newPlainKey(row *connectors.Schema, text []byte, fields []string) (*plainKey, error) {
	schema := &connectors.Schema{Type: connectors.Struct}
	add := func(name string) error {
		i := row.FieldIndex(name)
		if i < 0 {
			return fmt.Errorf("the key has no schema, and the row no field %s to take its type from", name)
		}
		required := *row.Fields[i].Schema
		required.Optional, required.Default = false, nil
		schema.Fields = append(schema.Fields, connectors.Field{Name: name, Schema: &required})
		return nil
	}
	if len(text) > 0 && text[0] == '{' {
		if err := connectors.EachJSONMember(text, func(name, _ []byte) error { return add(string(name)) }); err != nil {
			return nil, err
		}
	} else {
		if len(fields) != 1 {
			return nil, errNoPrimary
		}
		if err := add(fields[0]); err != nil {
			return nil, err
		}
		schema = schema.Fields[0].Schema
	}
	if schema.Type == connectors.Struct && len(schema.Fields) == 0 {
		return nil, errors.New("the key is empty")
	}
	parser, err := connectors.NewJSONParser(schema, connectors.JSONOptions{KeepNull: true})
	if err != nil {
		return nil, err
	}
	return &plainKey{schema, parser}, nil
}

// withTypedKey returns the record with the key that the primary key is taken from: that of its headers, or its own with a
// schema, if it has none.
func (t *task) withTypedKey(p *partition, r *connectors.Record) (*connectors.Record, error) {
	if t.headers {
		key, err := t.headerKeys.key(r, t.keyFields)
		t.keyed = *r
		t.keyed.Key = key
		return &t.keyed, err
	}
	if t.keys != keyRecord || r.Key.Schema != nil || r.Key.Bytes == nil || string(r.Key.Bytes) == "null" {
		return r, nil
	}
	if s := r.Value.Schema; s != nil && s.Type == connectors.Struct {
		p.row = s
		if e := findEnvelope(s); e != nil {
			p.row = s.Fields[e.after].Schema
		}
	}
	if p.row == nil {
		return nil, errNoKey // a tombstone before any row
	}
	key, err := t.plainKeys.typed(p.row, r.Key.Bytes, t.keyFields)
	if err != nil {
		return nil, err
	}
	t.keyed = *r
	t.keyed.Key = key
	return &t.keyed, nil
}
