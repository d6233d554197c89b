package transforms

import (
	"slices"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func dropHeadersDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{{Name: "headers", Type: configs.List, Required: true, Importance: configs.High, Doc: "Names of the headers to remove."}}}
}

// dropHeaders removes all headers of some names.
type dropHeaders struct{ names []string }

func newDropHeaders(v configs.Values, _ side, _ *arena) (transform, error) {
	return dropHeaders{v.List("headers")}, nil
}

func (t dropHeaders) apply(r *connectors.Record) (bool, error) {
	dropped := func(h connectors.Header) bool { return slices.Contains(t.names, h.Key) }
	if slices.ContainsFunc(r.Headers, dropped) {
		r.Headers = slices.DeleteFunc(slices.Clone(r.Headers), dropped)
	}
	return true, nil
}

func insertHeaderDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "header", Type: configs.String, Required: true, Importance: configs.High, Doc: "Name of the header."},
		{Name: "value.literal", Type: configs.String, Required: true, Importance: configs.High,
			Doc: "Value of the header. Its type is guessed as that of a header that is read: number, boolean, date, list, map or text."},
	}}
}

// insertHeader adds a header with a fixed value.
type insertHeader struct{ header connectors.Header }

func newInsertHeader(v configs.Values, _ side, _ *arena) (transform, error) {
	t := insertHeader{connectors.Header{Key: v.String("header")}}
	s, value := connectors.ParseText(v.String("value.literal"))
	if s == nil {
		return t, nil
	}
	b, err := connectors.AppendValue(nil, s, value)
	t.header.Value = connectors.Data{Schema: s, Bytes: b}
	return t, err
}

func (t insertHeader) apply(r *connectors.Record) (bool, error) {
	appendHeader(r, t.header)
	return true, nil
}
