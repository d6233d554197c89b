package converters

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// simpleHeader is Connect's SimpleHeaderConverter, its default for headers: text, whose type is guessed when it is
// read. It serves keys and values as well.
type simpleHeader struct {
	// The texts read last. Most records of a topic carry the same headers, and guessing is not cheap.
	recent [8]guess
	oldest int
}

// guess is a text and what it was taken for.
type guess struct {
	text   string
	schema *connectors.Schema
	value  []byte // encoded
}

// maxGuess is the longest text that is remembered.
const maxGuess = 256

func newSimpleHeader(configs.Values, Role, Deps) (Converter, error) { return &simpleHeader{}, nil }

// FromConnect writes the text form of any value.
func (*simpleHeader) FromConnect(dst []byte, _ string, d connectors.Data) ([]byte, error) {
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
func (c *simpleHeader) ToConnect(dst []byte, _ string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	for i := range c.recent {
		if g := &c.recent[i]; g.schema != nil && g.text == string(b) {
			out := append(dst, g.value...)
			return connectors.Data{Schema: g.schema, Bytes: out[len(dst):len(out):len(out)]}, out, nil
		}
	}
	if !utf8.Valid(b) {
		s := connectors.BytesSchema
		out := connectors.AppendBytes(dst, b)
		return connectors.Data{Schema: s, Bytes: out[len(dst):len(out):len(out)]}, out, nil
	}
	text := string(b)
	s, v := connectors.ParseText(text)
	if s == nil {
		return connectors.Data{}, dst, nil
	}
	out, err := connectors.AppendValue(dst, s, v)
	if err != nil {
		return connectors.Data{}, dst, fmt.Errorf("read header %q: %w", b, err)
	}
	d := connectors.Data{Schema: s, Bytes: out[len(dst):len(out):len(out)]}
	if len(text) <= maxGuess {
		c.recent[c.oldest] = guess{text, s, bytes.Clone(d.Bytes)}
		c.oldest = (c.oldest + 1) % len(c.recent)
	}
	return d, out, nil
}
