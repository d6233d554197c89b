package connectors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed says that encoded data cannot be a value of its schema.
var ErrMalformed = errors.New("encoded value is malformed")

// ReadInt reads an integer and returns what follows it.
func ReadInt(src []byte) (i int64, rest []byte, err error) {
	u, n := binary.Uvarint(src)
	if n <= 0 {
		if n == 0 {
			return 0, nil, ErrTruncated
		}
		return 0, nil, ErrMalformed
	}
	return int64(u>>1) ^ -int64(u&1), src[n:], nil
}

// ReadBytes reads a string or bytes value, shared with src, and returns what follows it.
func ReadBytes(src []byte) (b, rest []byte, err error) {
	n, rest, err := ReadInt(src)
	if err != nil {
		return nil, nil, err
	}
	if n < 0 {
		return nil, nil, ErrMalformed
	}
	if n > int64(len(rest)) {
		return nil, nil, ErrTruncated
	}
	return rest[:n:n], rest[n:], nil
}

// ReadPresent reads what precedes a value: it reports whether the value is there, and returns what follows.
func ReadPresent(s *Schema, src []byte) (present bool, rest []byte, err error) {
	if !s.Optional {
		return true, src, nil
	}
	if len(src) == 0 {
		return false, nil, ErrTruncated
	}
	if src[0] != 0 && src[0] != 2 {
		return false, nil, ErrMalformed
	}
	return src[0] != s.nullBranch(), src[1:], nil
}

// ReadValue decodes the value of schema s at the start of src and returns what follows it. Strings and bytes share
// src.
func ReadValue(s *Schema, src []byte) (v Value, rest []byte, err error) {
	return readValue(s, src, maxDepth)
}

func readValue(s *Schema, src []byte, depth int) (v Value, rest []byte, err error) {
	if depth == 0 {
		return v, nil, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	present, src, err := ReadPresent(s, src)
	if err != nil || !present {
		return v, src, err
	}
	switch s.Type {
	case Boolean:
		if len(src) < 1 {
			return v, nil, ErrTruncated
		}
		if src[0] > 1 {
			return v, nil, ErrMalformed
		}
		return BoolValue(src[0] == 1), src[1:], nil
	case Int8, Int16, Int32, Int64:
		i, rest, err := ReadInt(src)
		return IntValue(s.Type, i), rest, err
	case Float32:
		if len(src) < 4 {
			return v, nil, ErrTruncated
		}
		return FloatValue(Float32, float64(math.Float32frombits(binary.LittleEndian.Uint32(src)))), src[4:], nil
	case Float64:
		if len(src) < 8 {
			return v, nil, ErrTruncated
		}
		return FloatValue(Float64, math.Float64frombits(binary.LittleEndian.Uint64(src))), src[8:], nil
	case String, Bytes:
		b, rest, err := ReadBytes(src)
		return Value{Type: s.Type, str: b}, rest, err
	case Struct:
		list := make([]Value, len(s.Fields))
		for i := range s.Fields {
			if list[i], src, err = readValue(s.Fields[i].Schema, src, depth-1); err != nil {
				return v, nil, fmt.Errorf("field %s: %w", s.Fields[i].Name, err)
			}
		}
		return ListValue(Struct, list), src, nil
	case Array, Map:
		return readItems(s, src, depth)
	}
	return v, nil, ErrMalformed
}

func readItems(s *Schema, src []byte, depth int) (v Value, rest []byte, err error) {
	var list []Value
	rest, err = eachBlock(src, func(src []byte, count int64) ([]byte, error) {
		for ; count > 0; count-- {
			var item Value
			if s.Type == Map {
				if item, src, err = readValue(s.Key, src, depth-1); err != nil {
					return nil, err
				}
				list = append(list, item)
			}
			if item, src, err = readValue(s.Elem, src, depth-1); err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return src, nil
	})
	return ListValue(s.Type, list), rest, err
}

// eachBlock calls do for each block of an array or map, with the block's item count, and returns what follows.
func eachBlock(src []byte, do func(src []byte, count int64) ([]byte, error)) (rest []byte, err error) {
	for {
		count, items, err := readBlock(src)
		if err != nil || count == 0 {
			return items, err
		}
		if src, err = do(items, count); err != nil {
			return nil, err
		}
		if err := checkBlock(count, len(items)-len(src)); err != nil {
			return nil, err
		}
	}
}

// readBlock reads the head of a block of an array or map: its number of items, 0 at the end.
func readBlock(src []byte) (count int64, rest []byte, err error) {
	if count, src, err = ReadInt(src); err != nil || count == 0 {
		return 0, src, err
	}
	if count < 0 {
		if _, src, err = ReadInt(src); err != nil {
			return 0, nil, err
		}
		if count = -count; count < 0 {
			return 0, nil, ErrMalformed
		}
	}
	if count > int64(len(src)) { // see checkBlock
		return 0, nil, ErrTruncated
	}
	return count, src, nil
}

// checkBlock refuses items without a byte: a struct without fields is no use in an array, and a count that lies must not
// become a loop.
func checkBlock(count int64, bytes int) error {
	if int64(bytes) < count {
		return fmt.Errorf("%w: %d items of an array or map in %d bytes", ErrMalformed, count, bytes)
	}
	return nil
}
