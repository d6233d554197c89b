package jdbc

import (
	"encoding/hex"
	"errors"
	"math"
	"strconv"
)

var errCalendar = errors.New("a date or timestamp that is infinite, or of a year before 0 or after 9999, which this database has none for")

// appendText appends a value as text that databases read, with so many digits of a second at most.
func (t *typed) appendText(dst []byte, v scalar, digits int) ([]byte, error) {
	switch t.meaning {
	case meansBool:
		if v.i != 0 {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case meansInt, meansYear, meansDuration:
		return strconv.AppendInt(dst, v.i, 10), nil
	case meansFloat32:
		return appendFloat(dst, v.f, 32), nil
	case meansFloat64:
		return appendFloat(dst, v.f, 64), nil
	case meansBytes, meansWKB:
		return hex.AppendEncode(append(dst, `\x`...), v.b), nil
	case meansDate:
		dst, ok := appendDate(dst, v.i)
		if !ok {
			return dst, errCalendar
		}
		return dst, nil
	case meansTime:
		return appendClock(dst, v.i, v.nanos, digits), nil
	case meansTimestamp:
		dst, ok := appendTimestamp(dst, v, digits)
		if !ok {
			return dst, errCalendar
		}
		return dst, nil
	case meansZonedTimestamp:
		dst, ok := appendTimestamp(dst, v, digits)
		if !ok {
			return dst, errCalendar
		}
		return append(dst, "+00:00"...), nil
	case meansPoint:
		dst = appendFloat(append(dst, '('), v.x, 64)
		return append(appendFloat(append(dst, ','), v.y, 64), ')'), nil
	case meansArray:
		return t.appendJSONArray(dst, v.b)
	}
	return append(dst, v.b...), nil
}

// appendFloat appends the shortest text that is the same number again.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
