package s3

import "github.com/sluicehub/sluice/connectors"

// headersSchema is the schema of the values in header files: all headers of a record, as text.
var headersSchema = &connectors.Schema{Type: connectors.Array, Elem: &connectors.Schema{Type: connectors.Struct,
	Fields: []connectors.Field{{Name: "key", Schema: connectors.StringSchema}, {Name: "value", Schema: connectors.OptionalStringSchema}}}}

// headerData encodes the headers of a record, one at least, under headersSchema.
func headerData(headers []connectors.Header) (connectors.Data, error) {
	b := connectors.AppendInt(nil, int64(len(headers)))
	for _, h := range headers {
		b = connectors.AppendString(b, h.Key)
		if isNull(h.Value) {
			b = connectors.AppendNull(b, connectors.OptionalStringSchema)
			continue
		}
		text, err := headerText(h.Value)
		if err != nil {
			return connectors.Data{}, err
		}
		b = connectors.AppendBytes(connectors.AppendPresent(b, connectors.OptionalStringSchema), text)
	}
	return connectors.Data{Schema: headersSchema, Bytes: append(b, 0)}, nil
}

// headerText is the text of a header's value: a string as it is, anything else as JSON.
func headerText(d connectors.Data) ([]byte, error) {
	if d.Schema == nil {
		if len(d.Bytes) > 0 && d.Bytes[0] == '"' {
			return connectors.AppendJSONText(nil, d.Bytes)
		}
		return d.Bytes, nil
	}
	if d.Schema.Type == connectors.String {
		_, rest, err := connectors.ReadPresent(d.Schema, d.Bytes)
		if err != nil {
			return nil, err
		}
		text, _, err := connectors.ReadBytes(rest)
		return text, err
	}
	p, err := connectors.NewJSONPrinter(d.Schema, connectors.JSONOptions{Decimal: connectors.DecimalNumeric})
	if err != nil {
		return nil, err
	}
	text, _, err := p.Append(nil, d.Bytes)
	return text, err
}
