package s3

import (
	"bytes"

	"github.com/sluicehub/sluice/connectors"
)

// jsonFormat writes one line per value, as JsonConverter prints it without its schema.
type jsonFormat struct {
	kind    string
	options connectors.JSONOptions
	gz      *gzipper // nil: not compressed
}

func newJSONFormat(kind, decimals string, gz bool, level int) *jsonFormat {
	f := &jsonFormat{kind: kind}
	if decimals == "NUMERIC" {
		f.options.Decimal = connectors.DecimalNumeric
	}
	if gz {
		f.gz = &gzipper{level: level}
	}
	return f
}

func (f *jsonFormat) extension() string { return f.kind + ".json" + f.gz.extension() }
func (f *jsonFormat) packs() bool       { return f.gz != nil }

func (f *jsonFormat) pack(_ string, _ *connectors.Schema, in *blobReader, out *output) error {
	return f.gz.pack(in, out)
}

func (f *jsonFormat) encoder(schema *connectors.Schema) (encoder, error) {
	if schema == nil {
		return textLines{}, nil
	}
	p, err := connectors.NewJSONPrinter(schema, f.options)
	if err != nil {
		return nil, err
	}
	return &jsonLines{p}, nil
}

// jsonLines prints values that have a schema.
type jsonLines struct{ printer *connectors.JSONPrinter }

func (e *jsonLines) append(dst []byte, d connectors.Data) ([]byte, error) {
	dst, rest, err := e.printer.Append(dst, d.Bytes)
	if err == nil && len(rest) > 0 {
		err = connectors.ErrMalformed
	}
	return append(dst, '\n'), err
}

func (*jsonLines) layout(string) layout { return plain{} }

// textLines writes values that are JSON text already, on one line each. The hub hands on text that is spelled as
// JsonConverter does; other text is so only as far as it takes to stay on its line.
type textLines struct{}

func (textLines) append(dst []byte, d connectors.Data) ([]byte, error) {
	if d.Bytes == nil {
		return append(dst, "null\n"...), nil
	}
	if bytes.IndexByte(d.Bytes, '\n') < 0 {
		return append(append(dst, d.Bytes...), '\n'), nil
	}
	dst, err := connectors.AppendCanonicalJSON(dst, d.Bytes)
	return append(dst, '\n'), err
}

func (textLines) layout(string) layout { return plain{} }
