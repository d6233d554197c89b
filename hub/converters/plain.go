package converters

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// bytesConverter is Connect's ByteArrayConverter: bytes as they are.
type bytesConverter struct{}

func newBytes(configs.Values, Role, Deps) (Converter, error) { return bytesConverter{}, nil }

// FromConnect takes bytes only.
func (bytesConverter) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	null, err := isNull(d)
	if err != nil || null {
		return nil, err
	}
	if d.Schema == nil || d.Schema.Type != connectors.Bytes {
		return nil, fmt.Errorf("the ByteArrayConverter takes bytes only, and topic %s has %s", topic, typeOf(d))
	}
	src, err := content(d)
	if err != nil {
		return nil, err
	}
	b, _, err := connectors.ReadBytes(src)
	return append(notNil(dst), b...), err
}

// ToConnect gives optional bytes.
func (bytesConverter) ToConnect(dst []byte, _ string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	return encoded(dst, connectors.OptionalBytesSchema, func(out []byte) []byte { return connectors.AppendBytes(out, b) })
}

// encoded returns optional data whose value append appends.
func encoded(dst []byte, s *connectors.Schema, appendValue func([]byte) []byte) (connectors.Data, []byte, error) {
	out := appendValue(connectors.AppendPresent(dst, s))
	return connectors.Data{Schema: s, Bytes: out[len(dst):len(out):len(out)]}, out, nil
}

// notNil keeps an empty result apart from null.
func notNil(dst []byte) []byte {
	if dst == nil {
		return []byte{}
	}
	return dst
}

func typeOf(d connectors.Data) string {
	if d.Schema == nil {
		return "data without a schema"
	}
	return d.Schema.Type.String()
}

func stringDefinition() *configs.Definition {
	const doc = "The character set: UTF-8, US-ASCII or ISO-8859-1."
	charsets := []string{"UTF-8", "UTF8", "US-ASCII", "ASCII", "ISO-8859-1", "LATIN1"}
	key := func(name string) configs.Key {
		return configs.Key{Name: name, Type: configs.String, Enum: charsets, Importance: configs.High, Doc: doc}
	}
	return plainDefinition(key("converter.encoding"), key("encoding"))
}

// stringConverter is Connect's StringConverter: the text form of any value.
type stringConverter struct{ max rune } // highest character of the character set

func newString(v configs.Values, _ Role, _ Deps) (Converter, error) {
	name := v.String("encoding")
	if name == "" {
		name = v.String("converter.encoding")
	}
	switch name {
	case "US-ASCII", "ASCII":
		return stringConverter{0x7F}, nil
	case "ISO-8859-1", "LATIN1":
		return stringConverter{0xFF}, nil
	}
	return stringConverter{math.MaxInt32}, nil
}

// FromConnect writes strings as they are, and other values as Java prints them.
func (c stringConverter) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	null, err := isNull(d)
	if err != nil || null {
		return nil, err
	}
	mark := len(dst)
	if dst, err = connectors.AppendText(notNil(dst), d, connectors.JavaText); err != nil {
		return nil, fmt.Errorf("convert to a string for topic %s: %w", topic, err)
	}
	if c.max > 0xFF {
		return dst, nil
	}
	text := string(dst[mark:])
	dst = dst[:mark]
	for _, r := range text {
		if r > c.max {
			r = '?'
		}
		dst = append(dst, byte(r))
	}
	return dst, nil
}

// ToConnect gives an optional string. What is not of the character set becomes U+FFFD.
func (c stringConverter) ToConnect(dst []byte, _ string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	if c.max > 0xFF {
		b = bytes.ToValidUTF8(b, []byte("\uFFFD"))
	} else {
		runes := make([]rune, len(b))
		for i, ch := range b {
			if runes[i] = rune(ch); runes[i] > c.max {
				runes[i] = '\uFFFD'
			}
		}
		b = []byte(string(runes))
	}
	return encoded(dst, connectors.OptionalStringSchema, func(out []byte) []byte { return connectors.AppendBytes(out, b) })
}

// numberConverter is one of Connect's converters of a single number or boolean, in big-endian bytes:
//
//	BooleanConverter 1 byte, ShortConverter 2, IntegerConverter 4, LongConverter 8, FloatConverter 4, DoubleConverter 8
type numberConverter struct {
	schema *connectors.Schema // optional
	size   int
}

func numberOf(t connectors.Type) func(configs.Values, Role, Deps) (Converter, error) {
	size := map[connectors.Type]int{connectors.Boolean: 1, connectors.Int16: 2, connectors.Int32: 4, connectors.Int64: 8,
		connectors.Float32: 4, connectors.Float64: 8}[t]
	return func(configs.Values, Role, Deps) (Converter, error) {
		return numberConverter{&connectors.Schema{Type: t, Optional: true}, size}, nil
	}
}

// FromConnect takes the converter's own type only, or a schemaless value that fits it.
func (c numberConverter) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	null, err := isNull(d)
	if err != nil || null {
		return nil, err
	}
	if d.Schema == nil {
		p, err := connectors.NewJSONParser(c.schema, connectors.JSONOptions{})
		if err != nil {
			return nil, err
		}
		if d.Bytes, err = p.Append(nil, d.Bytes); err != nil {
			return nil, fmt.Errorf("convert to %s for topic %s: %w", c.schema.Type, topic, err)
		}
		d.Schema = c.schema
	}
	if d.Schema.Type != c.schema.Type {
		return nil, fmt.Errorf("the converter takes %s only, and topic %s has %s", c.schema.Type, topic, typeOf(d))
	}
	v, _, err := connectors.ReadValue(d.Schema, d.Bytes)
	if err != nil {
		return nil, err
	}
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], c.bits(v)<<(64-8*c.size))
	return append(dst, buf[:c.size]...), nil
}

func (c numberConverter) bits(v connectors.Value) uint64 {
	switch v.Type {
	case connectors.Boolean:
		if v.Bool() {
			return 1
		}
		return 0
	case connectors.Float32:
		return uint64(math.Float32bits(float32(v.Float())))
	case connectors.Float64:
		return math.Float64bits(v.Float())
	}
	return uint64(v.Int())
}

// ToConnect gives an optional number.
func (c numberConverter) ToConnect(dst []byte, topic string, b []byte) (connectors.Data, []byte, error) {
	if b == nil {
		return connectors.Data{}, dst, nil
	}
	if len(b) != c.size {
		return connectors.Data{}, dst, fmt.Errorf("topic %s has a value of %s bytes where %s has %d", topic,
			strconv.Itoa(len(b)), c.schema.Type, c.size)
	}
	if c.schema.Type == connectors.Boolean && b[0] > 1 {
		return connectors.Data{}, dst, fmt.Errorf("topic %s has the byte %d where a boolean is 0 or 1", topic, b[0])
	}
	var buf [8]byte
	copy(buf[:], b)
	u := int64(binary.BigEndian.Uint64(buf[:])) >> (64 - 8*c.size) // sign extended
	return encoded(dst, c.schema, func(out []byte) []byte {
		switch c.schema.Type {
		case connectors.Boolean:
			return connectors.AppendBool(out, u != 0)
		case connectors.Float32:
			return connectors.AppendFloat32(out, math.Float32frombits(uint32(u)))
		case connectors.Float64:
			return connectors.AppendFloat64(out, math.Float64frombits(uint64(u)))
		}
		return connectors.AppendInt(out, u)
	})
}
