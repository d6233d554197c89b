package connectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The encoding of a value under its schema is Avro binary (Avro 1.12, "Binary Encoding"), of the Avro schema that
// Confluent's converter derives from a Connect schema. The layout depends on types and optionality only, so it is
// defined here; names, properties and the text of the Avro schema belong to schemaregistry/avro.
//
//	optional            union: 0x00 null | 0x02 value; with a non-null default the other way round
//	                    (0x00 value | 0x02 null), because Avro wants the default's branch first
//	boolean             one byte, 0 or 1
//	int8 int16 int32 int64   zigzag varint
//	float32 float64     4 or 8 bytes, little endian
//	string bytes        length (as int64), then the bytes
//	array               blocks: count (as int64), items …; a count of 0 ends it. A negative count is followed by
//	                    the size of the block in bytes
//	map                 with required string keys: as an array of key, value pairs; with any other key type: an
//	                    array of records of key and value. The bytes are the same
//	struct              the fields in order, nothing between them

// Depth that a nested value may have before decoding gives up.
const maxDepth = 64

// ErrTruncated says that encoded data ended in the middle of a value.
var ErrTruncated = errors.New("encoded value is truncated")

// AppendBool appends a boolean.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendInt appends an integer of any of the integer types.
func AppendInt(dst []byte, i int64) []byte {
	return binary.AppendUvarint(dst, uint64(i)<<1^uint64(i>>63))
}

// AppendFloat32 appends a float32.
func AppendFloat32(dst []byte, f float32) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(f))
}

// AppendFloat64 appends a float64.
func AppendFloat64(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

// AppendBytes appends a bytes value.
func AppendBytes(dst, b []byte) []byte { return append(AppendInt(dst, int64(len(b))), b...) }

// AppendString appends a string value, which must be valid UTF-8.
func AppendString(dst []byte, s string) []byte { return append(AppendInt(dst, int64(len(s))), s...) }

// AppendNull appends the null of an optional schema.
func AppendNull(dst []byte, s *Schema) []byte { return append(dst, s.nullBranch()) }

// AppendPresent appends what precedes a value that is not null: the union's branch if s is optional, else nothing.
func AppendPresent(dst []byte, s *Schema) []byte {
	if !s.Optional {
		return dst
	}
	return append(dst, s.nullBranch()^2)
}

// nullBranch is the encoded branch number of null in the union of an optional schema.
func (s *Schema) nullBranch() byte {
	if s.Default != nil && !s.Default.IsNull() {
		return 2
	}
	return 0
}

// AppendValue appends v under s. It fails if v does not fit s.
func AppendValue(dst []byte, s *Schema, v Value) ([]byte, error) {
	if v.IsNull() {
		if !s.Optional {
			return dst, fmt.Errorf("null for a required %s", s.describe())
		}
		return AppendNull(dst, s), nil
	}
	if v.Type != s.Type {
		return dst, fmt.Errorf("a value of type %s for a schema of %s", v.Type, s.describe())
	}
	dst = AppendPresent(dst, s)
	switch s.Type {
	case Boolean:
		return AppendBool(dst, v.Bool()), nil
	case Int8, Int16, Int32, Int64:
		return AppendInt(dst, v.Int()), nil
	case Float32:
		return AppendFloat32(dst, float32(v.Float())), nil
	case Float64:
		return AppendFloat64(dst, v.Float()), nil
	case String, Bytes:
		return AppendBytes(dst, v.Raw()), nil
	case Struct:
		return appendStruct(dst, s, v)
	case Array, Map:
		return appendItems(dst, s, v)
	}
	return dst, fmt.Errorf("a schema without a type")
}

func appendStruct(dst []byte, s *Schema, v Value) ([]byte, error) {
	if len(v.list) != len(s.Fields) {
		return dst, fmt.Errorf("%d values for the %d fields of %s", len(v.list), len(s.Fields), s.describe())
	}
	var err error
	for i := range s.Fields {
		if dst, err = AppendValue(dst, s.Fields[i].Schema, v.list[i]); err != nil {
			return dst, fmt.Errorf("field %s: %w", s.Fields[i].Name, err)
		}
	}
	return dst, nil
}

func appendItems(dst []byte, s *Schema, v Value) ([]byte, error) {
	n, step := len(v.list), 1
	if s.Type == Map {
		step = 2
	}
	if n == 0 {
		return append(dst, 0), nil
	}
	dst = AppendInt(dst, int64(n/step))
	var err error
	for i, item := range v.list {
		of := s.Elem
		if step == 2 && i%2 == 0 {
			of = s.Key
		}
		if dst, err = AppendValue(dst, of, item); err != nil {
			return dst, fmt.Errorf("element %d: %w", i/step, err)
		}
	}
	return append(dst, 0), nil
}

// describe names a schema in an error.
func (s *Schema) describe() string {
	if s.Name != "" {
		return s.Type.String() + " " + s.Name
	}
	return s.Type.String()
}
