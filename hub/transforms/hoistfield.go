package transforms

import (
	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func hoistFieldDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{{Name: "field", Type: configs.String, Required: true, Importance: configs.Medium, Doc: "Name of the one field of the new struct."}}}
}

// hoistField wraps a value, null too, into a struct of one field. The struct's bytes are the value's own.
type hoistField struct {
	at      side
	field   string
	arena   *arena
	schemas cache[*connectors.Schema]
}

func newHoistField(v configs.Values, at side, a *arena) (transform, error) {
	return &hoistField{at: at, field: v.String("field"), arena: a}, nil
}

func (t *hoistField) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	if d.Schema == nil {
		value := d.Bytes
		if value == nil {
			value = []byte("null")
		}
		o := object{[]member{{t.field, value}}}
		*d = o.data(t.arena)
		return true, nil
	}
	s, err := t.schemas.get(d.Schema, func(s *connectors.Schema) (*connectors.Schema, error) {
		return &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{{Name: t.field, Schema: s}}}, nil
	})
	d.Schema = s
	return true, err
}
