package converters

import (
	"fmt"
	"unicode/utf8"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// simpleHeader is Connect's SimpleHeaderConverter, its default for headers: text, whose type is guessed when it is
// read. It serves keys and values as well.
type simpleHeader struct{}

func newSimpleHeader(configs.Values, Role, Deps) (Converter, error) { return simpleHeader{}, nil }

// FromConnect writes the text form of any value.
func (simpleHeader) FromConnect(dst []byte, _ string, d connectors.Data) ([]byte, error) {
	null, err := isNull(d)
	if err != nil || null {
		return nil, err
	}
	if dst, err = connectors.AppendText(notNil(dst), d, connectors.HeaderText); err != nil {
		return nil, fmt.Errorf("convert a header to text: %w", err)
	}
	return dst, nil
}

// ToConnect guesses: numbers become the smallest integer or float that holds them, true and false booleans, ISO 8601
// dates and times logical types, [..] arrays and {..} maps whose elements have a common type; null is null, all else
// a string. Bytes that are not UTF-8 stay bytes.
func (simpleHeader) ToConnect(dst []byte, _ string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	if !utf8.Valid(b) {
		s := connectors.BytesSchema
		out := connectors.AppendBytes(dst, b)
		return connectors.Data{Schema: s, Bytes: out[len(dst):len(out):len(out)]}, out, nil
	}
	s, v := connectors.ParseText(string(b))
	if s == nil {
		return connectors.Data{}, dst, nil
	}
	out, err := connectors.AppendValue(dst, s, v)
	if err != nil {
		return connectors.Data{}, dst, fmt.Errorf("read header %q: %w", b, err)
	}
	return connectors.Data{Schema: s, Bytes: out[len(dst):len(out):len(out)]}, out, nil
}
