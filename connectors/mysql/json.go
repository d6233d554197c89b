package mysql

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

// The binary form of JSON in the log (mysql/sql-common/json_binary.h):
//
//	document: type: byte | value
//	object:   count | size | count × (offset of key | length of key: uint16) | count × (type: byte | value or its offset) | keys | values
//	array:    count | size | count × (type: byte | value or its offset) | values
//	          count, size and offsets are uint16 in the small form, uint32 in the large; offsets are from count
//	string:   length: 7 bits a byte, the lowest first | UTF-8
//	opaque:   type of the column: byte | length, as of a string | bytes
const (
	jsonSmallObject = 0x00
	jsonLargeObject = 0x01
	jsonSmallArray  = 0x02
	jsonLargeArray  = 0x03
	jsonLiteral     = 0x04
	jsonInt16       = 0x05
	jsonUint16      = 0x06
	jsonInt32       = 0x07
	jsonUint32      = 0x08
	jsonInt64       = 0x09
	jsonUint64      = 0x0a
	jsonDouble      = 0x0b
	jsonString      = 0x0c
	jsonOpaque      = 0x0f
)

var errJSON = errors.New("malformed binary JSON")

// jsonDepth is how deep documents may be nested; the server allows 100.
const jsonDepth = 101

// appendJSON appends a document as MySQL prints it: {"a": 1, "b": [true, null]}.
func appendJSON(dst, doc []byte) ([]byte, error) {
	if len(doc) == 0 {
		return append(dst, "null"...), nil // what an IGNORE of an invalid value leaves
	}
	return appendJSONValue(dst, doc[0], doc[1:], 0)
}

func appendJSONValue(dst []byte, kind byte, b []byte, depth int) ([]byte, error) {
	need := func(n int) bool { return len(b) >= n }
	switch kind {
	case jsonSmallObject, jsonLargeObject, jsonSmallArray, jsonLargeArray:
		return appendJSONContainer(dst, kind, b, depth)
	case jsonLiteral:
		if need(1) && b[0] < 3 {
			return append(dst, [...]string{"null", "true", "false"}[b[0]]...), nil
		}
	case jsonInt16:
		if need(2) {
			return strconv.AppendInt(dst, int64(int16(binary.LittleEndian.Uint16(b))), 10), nil
		}
	case jsonUint16:
		if need(2) {
			return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint16(b)), 10), nil
		}
	case jsonInt32:
		if need(4) {
			return strconv.AppendInt(dst, int64(int32(binary.LittleEndian.Uint32(b))), 10), nil
		}
	case jsonUint32:
		if need(4) {
			return strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(b)), 10), nil
		}
	case jsonInt64:
		if need(8) {
			return strconv.AppendInt(dst, int64(binary.LittleEndian.Uint64(b)), 10), nil
		}
	case jsonUint64:
		if need(8) {
			return strconv.AppendUint(dst, binary.LittleEndian.Uint64(b), 10), nil
		}
	case jsonDouble:
		if need(8) {
			if f := math.Float64frombits(binary.LittleEndian.Uint64(b)); !math.IsNaN(f) && !math.IsInf(f, 0) { // the server has no others
				return appendJSONDouble(dst, f), nil
			}
		}
	case jsonString:
		if s, ok := jsonBytes(b); ok {
			return appendJSONString(dst, s), nil
		}
	case jsonOpaque:
		if need(1) {
			if s, ok := jsonBytes(b[1:]); ok {
				return appendJSONOpaque(dst, b[0], s)
			}
		}
	}
	return dst, errJSON
}

// appendJSONContainer appends an object or array.
func appendJSONContainer(dst []byte, kind byte, b []byte, depth int) ([]byte, error) {
	if depth >= jsonDepth {
		return dst, errJSON
	}
	width := 2
	if kind == jsonLargeObject || kind == jsonLargeArray {
		width = 4
	}
	number := func(at int) int {
		if at < 0 || at+width > len(b) {
			return -1
		}
		if width == 2 {
			return int(binary.LittleEndian.Uint16(b[at:]))
		}
		return int(binary.LittleEndian.Uint32(b[at:]))
	}
	count, size := number(0), number(width)
	object := kind == jsonSmallObject || kind == jsonLargeObject
	keys := 0
	if object {
		keys = count * (width + 2)
	}
	if count < 0 || size < 0 || size > len(b) || 2*width+keys+count*(1+width) > size {
		return dst, errJSON
	}
	b = b[:size]
	open, end := byte('['), byte(']')
	if object {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	var err error
	for i := range count {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if object {
			at := 2*width + i*(width+2)
			from, n := number(at), int(binary.LittleEndian.Uint16(b[at+width:]))
			if from < 0 || from+n > len(b) {
				return dst, errJSON
			}
			dst = append(appendJSONString(dst, b[from:from+n]), ": "...)
		}
		at := 2*width + keys + i*(1+width)
		value := b[at+1 : at+1+width]
		if !inlined(b[at], width) {
			from := number(at + 1)
			if from < 2*width || from > len(b) {
				return dst, errJSON
			}
			value = b[from:]
		}
		if dst, err = appendJSONValue(dst, b[at], value, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, end), nil
}

// inlined reports whether a value stands where its offset would.
func inlined(kind byte, width int) bool {
	switch kind {
	case jsonLiteral, jsonInt16, jsonUint16:
		return true
	case jsonInt32, jsonUint32:
		return width == 4
	}
	return false
}

// jsonBytes reads a length and as many bytes.
func jsonBytes(b []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(b) && i < 5; i++ {
		n |= int(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			if n > len(b)-i-1 {
				return nil, false
			}
			return b[i+1 : i+1+n], true
		}
	}
	return nil, false
}

// appendJSONDouble prints a double as the server does: always as a number that is not an integer.
func appendJSONDouble(dst []byte, f float64) []byte {
	at := len(dst)
	if abs := math.Abs(f); f == 0 || abs >= 1e-15 && abs < 1e15 {
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	} else {
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		// The server writes 1e20 and 1e-7, Go 1e+20 and 1e-07.
		e := at
		for dst[e] != 'e' {
			e++
		}
		exp, _ := strconv.Atoi(string(dst[e+1:]))
		return strconv.AppendInt(dst[:e+1], int64(exp), 10)
	}
	for _, c := range dst[at:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendJSONString quotes a string as the server does: what need not be escaped is not.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < 0x20:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// Types of opaque values, which are types of columns.
const (
	opaqueTimestamp  = 7
	opaqueDate       = 10
	opaqueTime       = 11
	opaqueDatetime   = 12
	opaqueNewDecimal = 246
)

// appendJSONOpaque appends a value that JSON has no type for.
func appendJSONOpaque(dst []byte, kind byte, b []byte) ([]byte, error) {
	switch kind {
	case opaqueNewDecimal:
		if len(b) < 2 {
			return dst, errJSON
		}
		precision, scale := int(b[0]), int(b[1])
		if scale > precision || decimalSize(precision, scale) != len(b)-2 {
			return dst, errJSON
		}
		return appendDecimalText(dst, b[2:], precision, scale), nil
	case opaqueDate, opaqueTime, opaqueDatetime, opaqueTimestamp:
		if len(b) != 8 {
			return dst, errJSON
		}
		return append(appendPacked(append(dst, '"'), kind, int64(binary.LittleEndian.Uint64(b))), '"'), nil
	}
	dst = strconv.AppendUint(append(dst, `"base64:type`...), uint64(kind), 10)
	dst = base64.StdEncoding.AppendEncode(append(dst, ':'), b)
	return append(dst, '"'), nil
}

// appendPacked appends a packed temporal value as the server prints it inside of JSON.
//
//	datetime: ((year*13+month)<<5 | day)<<17 | hour<<12 | minute<<6 | second, then 24 bits of microseconds
//	time:     hour<<12 | minute<<6 | second, then 24 bits of microseconds; negative as a whole
func appendPacked(dst []byte, kind byte, v int64) []byte {
	if v < 0 {
		dst, v = append(dst, '-'), -v
	}
	us, v := v&0xffffff, v>>24
	two := func(n int64) {
		dst = append(dst, byte('0'+n/10%10), byte('0'+n%10))
	}
	if kind != opaqueTime {
		ymd := v >> 17
		ym := ymd >> 5
		year := ym / 13
		two(year / 100)
		two(year % 100)
		dst = append(dst, '-')
		two(ym % 13)
		dst = append(dst, '-')
		two(ymd & 31)
		if kind == opaqueDate {
			return dst
		}
		dst = append(dst, ' ')
		v &= 1<<17 - 1
	}
	hour := v >> 12
	if hour > 99 {
		dst = strconv.AppendInt(dst, hour, 10)
	} else {
		two(hour)
	}
	dst = append(dst, ':')
	two(v >> 6 & 63)
	dst = append(dst, ':')
	two(v & 63)
	dst = append(dst, '.')
	for div := int64(1e5); div > 0; div /= 10 {
		dst = append(dst, byte('0'+us/div%10))
	}
	return dst
}
