package connectors

import "fmt"

// SkipValue returns what follows the value of schema s at the start of src, without decoding it.
func SkipValue(s *Schema, src []byte) (rest []byte, err error) {
	end, err := skipValue(s, src, 0, maxDepth)
	if err != nil {
		return nil, err
	}
	return src[end:], nil
}

// skipValue returns where the value at src[at:] ends. Every record of a sink comes by here, whole.
func skipValue(s *Schema, src []byte, at, depth int) (end int, err error) {
	if depth == 0 {
		return 0, fmt.Errorf("%w: nested deeper than %d", ErrMalformed, maxDepth)
	}
	if s.Optional {
		if at >= len(src) {
			return 0, ErrTruncated
		}
		branch := src[at]
		if branch != 0 && branch != 2 {
			return 0, ErrMalformed
		}
		at++
		if branch == s.nullBranch() {
			return at, nil
		}
	}
	switch s.Type {
	case Boolean:
		at++
	case Float32:
		at += 4
	case Float64:
		at += 8
	case Int8, Int16, Int32, Int64:
		_, at, err = uvarint(src, at)
		return at, err
	case String, Bytes:
		var n uint64
		if n, at, err = uvarint(src, at); err != nil {
			return 0, err
		}
		if n&1 != 0 { // a negative length
			return 0, ErrMalformed
		}
		if n>>1 > uint64(len(src)-at) {
			return 0, ErrTruncated
		}
		return at + int(n>>1), nil
	case Struct:
		for i := range s.Fields {
			if at, err = skipValue(s.Fields[i].Schema, src, at, depth-1); err != nil {
				return 0, fmt.Errorf("field %s: %w", s.Fields[i].Name, err)
			}
		}
		return at, nil
	case Array, Map:
		return skipItems(s, src, at, depth)
	default:
		return 0, ErrMalformed
	}
	if at > len(src) {
		return 0, ErrTruncated
	}
	return at, nil
}

// uvarint reads a varint at src[at:], and returns where it ends.
func uvarint(src []byte, at int) (u uint64, end int, err error) {
	for shift := 0; at < len(src); shift += 7 {
		b := src[at]
		at++
		if b < 0x80 {
			if shift == 63 && b > 1 {
				return 0, 0, ErrMalformed
			}
			return u | uint64(b)<<shift, at, nil
		}
		if shift == 63 {
			return 0, 0, ErrMalformed
		}
		u |= uint64(b&0x7f) << shift
	}
	return 0, 0, ErrTruncated
}

func skipItems(s *Schema, src []byte, at, depth int) (end int, err error) {
	rest, err := eachBlock(src[at:], func(items []byte, count int64) ([]byte, error) {
		at := 0
		for ; count > 0; count-- {
			if s.Type == Map {
				if at, err = skipValue(s.Key, items, at, depth-1); err != nil {
					return nil, err
				}
			}
			if at, err = skipValue(s.Elem, items, at, depth-1); err != nil {
				return nil, err
			}
		}
		return items[at:], nil
	})
	return len(src) - len(rest), err
}
