package transforms

import (
	"errors"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func setSchemaMetadataDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "schema.name", Type: configs.String, Importance: configs.High, Doc: "New name of the schema."},
		{Name: "schema.version", Type: configs.Int, Importance: configs.High, Doc: "New version of the schema."}, replaceNull()}}
}

// setSchemaMetadata gives the schema another name or version. The bytes stay.
type setSchemaMetadata struct {
	at      side
	name    string
	version int
	schemas cache[*connectors.Schema]
}

func newSetSchemaMetadata(v configs.Values, at side, _ *arena) (transform, error) {
	return &setSchemaMetadata{at: at, name: v.String("schema.name"), version: v.Int("schema.version")}, nil
}

func (t *setSchemaMetadata) apply(r *connectors.Record) (bool, error) {
	d := t.at.of(r)
	if isNull(*d) && d.Schema == nil {
		return true, nil
	}
	if d.Schema == nil {
		return false, errors.New("the data has no schema")
	}
	s, err := t.schemas.get(d.Schema, func(s *connectors.Schema) (*connectors.Schema, error) {
		out := *s
		if t.name != "" {
			out.Name = t.name
		}
		if t.version != 0 {
			out.Version = t.version
		}
		return &out, nil
	})
	d.Schema = s
	return true, err
}
