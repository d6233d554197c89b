package jdbc

import (
	"math"

	"github.com/sluicehub/sluice/connectors"
)

// appendArrayText appends an array as PostgreSQL reads it: {"a","b\"c",NULL}, nested ones inside each other.
func appendArrayText(dst []byte, t *typed, src []byte) ([]byte, error) {
	dst = append(dst, '{')
	var scratch, text []byte
	first := true
	err := eachElement(t, src, func(present bool, src []byte) (rest []byte, err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if !present {
			dst = append(dst, "NULL"...)
			return src, nil
		}
		v, rest, err := t.elem.read(src, scratch)
		if err != nil {
			return nil, err
		}
		if t.elem.meaning == meansArray {
			dst, err = appendArrayText(dst, t.elem, v.b)
			return rest, err
		}
		if text, err = t.elem.appendText(text[:0], v, 6); err != nil {
			return nil, err
		}
		dst = append(dst, '"')
		for _, b := range text {
			if b == '"' || b == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, b)
		}
		dst = append(dst, '"')
		return rest, nil
	})
	return append(dst, '}'), err
}

// eachElement calls do for each element of an encoded array, with what is behind the mark of its presence; do returns
// what follows the element.
func eachElement(t *typed, src []byte, do func(present bool, src []byte) (rest []byte, err error)) error {
	for {
		n, rest, err := connectors.ReadInt(src)
		if err != nil {
			return err
		}
		src = rest
		if n == 0 {
			return nil
		}
		if n < 0 { // followed by the size of the block
			n = -n
			if _, src, err = connectors.ReadInt(src); err != nil {
				return err
			}
		}
		for ; n > 0; n-- {
			present, rest, err := connectors.ReadPresent(t.elem.schema, src)
			if err != nil {
				return err
			}
			if src, err = do(present, rest); err != nil {
				return err
			}
		}
	}
}

// appendJSONArray appends an array as JSON, for databases without arrays: numbers, booleans and JSON as such, all else as
// text.
func (t *typed) appendJSONArray(dst, src []byte) ([]byte, error) {
	dst = append(dst, '[')
	var text []byte
	first := true
	err := eachElement(t, src, func(present bool, src []byte) (rest []byte, err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if !present {
			dst = append(dst, "null"...)
			return src, nil
		}
		v, rest, err := t.elem.read(src, nil)
		if err != nil {
			return nil, err
		}
		if text, err = t.elem.appendText(text[:0], v, 9); err != nil {
			return nil, err
		}
		switch t.elem.meaning {
		case meansBool, meansInt, meansYear, meansArray, meansJSON:
			dst = append(dst, text...)
		case meansFloat32, meansFloat64:
			if math.IsNaN(v.f) || math.IsInf(v.f, 0) {
				dst = connectors.AppendJSONString(dst, text)
			} else {
				dst = append(dst, text...)
			}
		default:
			dst = connectors.AppendJSONString(dst, text)
		}
		return rest, nil
	})
	return append(dst, ']'), err
}
