package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// appendFunc appends the value that PostgreSQL's text form means, in the layout of the schema it was made for. It
// does not keep text. Text is what the output functions of PostgreSQL print with the settings of session.go.
type appendFunc func(dst, text []byte) ([]byte, error)

var errMalformed = errors.New("malformed")

func malformed(kind string, text []byte) error {
	const most = 64 // of the value in an error
	if len(text) > most {
		return fmt.Errorf("%w %s %q…", errMalformed, kind, text[:most])
	}
	return fmt.Errorf("%w %s %q", errMalformed, kind, text)
}

// view is text as a string, for functions that keep nothing of it.
func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

func appendString(dst, text []byte) ([]byte, error) { return connectors.AppendBytes(dst, text), nil }

func appendBool(dst, text []byte) ([]byte, error) {
	if len(text) != 1 || text[0] != 't' && text[0] != 'f' {
		return dst, malformed("boolean", text)
	}
	return connectors.AppendBool(dst, text[0] == 't'), nil
}

func appendInt(dst, text []byte) ([]byte, error) {
	i, ok := parseInt(text)
	if !ok {
		return dst, malformed("integer", text)
	}
	return connectors.AppendInt(dst, i), nil
}

// parseInt reads [-] digits.
func parseInt(text []byte) (int64, bool) {
	i, neg := 0, false
	if len(text) > 0 && text[0] == '-' {
		i, neg = 1, true
	}
	if i == len(text) || len(text) > 20 {
		return 0, false
	}
	var u uint64
	for ; i < len(text); i++ {
		c := text[i] - '0'
		hi, lo := bits.Mul64(u, 10)
		if c > 9 || hi != 0 {
			return 0, false
		}
		u = lo + uint64(c)
		if u < lo {
			return 0, false
		}
	}
	if neg {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}

func appendFloat64(dst, text []byte) ([]byte, error) {
	f, err := strconv.ParseFloat(view(text), 64)
	if err != nil && !math.IsInf(f, 0) {
		return dst, malformed("double precision", text)
	}
	return connectors.AppendFloat64(dst, f), nil
}

func appendFloat32(dst, text []byte) ([]byte, error) {
	f, err := strconv.ParseFloat(view(text), 32)
	if err != nil && !math.IsInf(f, 0) {
		return dst, malformed("real", text)
	}
	return connectors.AppendFloat32(dst, float32(f)), nil
}

// appendMoney appends money ("-$1,234.50", in parentheses if negative in some locales) by way of plain digits.
func appendMoney(number appendFunc) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		var plain [40]byte
		n, neg := 0, false
		for _, c := range text {
			switch {
			case c == '-' || c == '(':
				neg = true
			case (c >= '0' && c <= '9' || c == '.') && n < len(plain)-1:
				plain[n+1] = c
				n++
			}
		}
		if n == 0 {
			return dst, malformed("money", text)
		}
		if neg {
			plain[0] = '-'
			return number(dst, plain[:n+1])
		}
		return number(dst, plain[1:n+1])
	}
}

// appendBits appends bit strings as Debezium's Bits: the last bit of the text is the lowest bit of the first byte,
// and zero bytes at the end are left out.
func appendBits(dst, text []byte) ([]byte, error) {
	first := 0
	for first < len(text) && text[first] == '0' {
		first++
	}
	n := (len(text) - first + 7) / 8
	dst = connectors.AppendInt(dst, int64(n))
	at := len(dst)
	for range n {
		dst = append(dst, 0)
	}
	for i := range text {
		switch text[len(text)-1-i] {
		case '0':
		case '1':
			dst[at+i/8] |= 1 << (i % 8)
		default:
			return dst[:at], malformed("bit string", text)
		}
	}
	return dst, nil
}

func appendBit(dst, text []byte) ([]byte, error) {
	if len(text) != 1 || text[0] != '0' && text[0] != '1' {
		return dst, malformed("bit", text)
	}
	return connectors.AppendBool(dst, text[0] == '1'), nil
}

// appendBytea returns the function for bytea in hex form (\x00ff).
func appendBytea(mode cdc.BinaryHandling) appendFunc {
	if mode == cdc.HexBinary {
		return func(dst, text []byte) ([]byte, error) {
			if len(text) < 2 || text[0] != '\\' || text[1] != 'x' {
				return dst, malformed("bytea", text)
			}
			return connectors.AppendBytes(dst, text[2:]), nil
		}
	}
	raw := mode == cdc.RawBinary
	var scratch []byte
	return func(dst, text []byte) ([]byte, error) {
		if len(text) < 2 || len(text)%2 != 0 || text[0] != '\\' || text[1] != 'x' {
			return dst, malformed("bytea", text)
		}
		if raw {
			return appendHex(connectors.AppendInt(dst, int64(len(text)/2-1)), text[2:])
		}
		var err error
		if scratch, err = appendHex(scratch[:0], text[2:]); err != nil {
			return dst, err
		}
		return mode.Append(dst, scratch), nil
	}
}

func appendHex(dst, digits []byte) ([]byte, error) {
	for i := 0; i+1 < len(digits); i += 2 {
		hi, lo := nibble(digits[i]), nibble(digits[i+1])
		if hi|lo > 15 {
			return dst, malformed("bytea", digits)
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, nil
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// appendPoint appends a point "(1,-2.5)" as x, y, its well-known binary and no srid.
//
//	wkb: 01 little endian | 01000000 point | x: 8 bytes | y: 8 bytes
func appendPoint(dst, text []byte) ([]byte, error) {
	x, y, ok := parsePoint(text)
	if !ok {
		return dst, malformed("point", text)
	}
	dst = connectors.AppendFloat64(dst, x)
	dst = connectors.AppendFloat64(dst, y)
	dst = append(dst, 2, 42, 1, 1, 0, 0, 0) // present, 21 bytes
	dst = connectors.AppendFloat64(dst, x)
	dst = connectors.AppendFloat64(dst, y)
	return append(dst, 0), nil
}

func parsePoint(text []byte) (x, y float64, ok bool) {
	if len(text) < 5 || text[0] != '(' || text[len(text)-1] != ')' {
		return 0, 0, false
	}
	text = text[1 : len(text)-1]
	for i, c := range text {
		if c == ',' {
			x, errX := strconv.ParseFloat(view(text[:i]), 64)
			y, errY := strconv.ParseFloat(view(text[i+1:]), 64)
			return x, y, (errX == nil || math.IsInf(x, 0)) && (errY == nil || math.IsInf(y, 0))
		}
	}
	return 0, 0, false
}

// appendGeometry appends PostGIS's hex EWKB as {wkb, srid}: the SRID is taken out of the binary form.
//
//	ewkb: byte order | type: uint32, 0x20000000 set if an SRID follows | srid: uint32 | …
func appendGeometry() appendFunc {
	const hasSRID = 0x20000000
	var scratch []byte
	return func(dst, text []byte) ([]byte, error) {
		var err error
		if scratch, err = appendHex(scratch[:0], text); err != nil {
			return dst, err
		}
		if len(scratch) < 5 || len(text)%2 != 0 {
			return dst, malformed("geometry", text)
		}
		var order binary.ByteOrder = binary.BigEndian
		if scratch[0] == 1 {
			order = binary.LittleEndian
		}
		kind := order.Uint32(scratch[1:])
		if kind&hasSRID == 0 {
			return append(connectors.AppendBytes(dst, scratch), 0), nil
		}
		if len(scratch) < 9 {
			return dst, malformed("geometry", text)
		}
		srid := int32(order.Uint32(scratch[5:]))
		order.PutUint32(scratch[1:], kind&^hasSRID)
		dst = connectors.AppendInt(dst, int64(len(scratch)-4))
		dst = append(append(dst, scratch[:5]...), scratch[9:]...)
		return cdc.AppendOptionalInt(dst, int64(srid)), nil
	}
}

// rangeChecked refuses values that are beyond a smaller integer type.
func rangeChecked(least, most int64) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		i, ok := parseInt(text)
		if !ok || i < least || i > most {
			return dst, malformed("integer", text)
		}
		return connectors.AppendInt(dst, i), nil
	}
}

// appendNumericText appends numeric as text. What is no number has the names that Java gives it.
func appendNumericText(dst, text []byte) ([]byte, error) {
	switch string(text) {
	case "NaN":
		return connectors.AppendString(dst, "NAN"), nil
	case "Infinity":
		return connectors.AppendString(dst, "POSITIVE_INFINITY"), nil
	case "-Infinity":
		return connectors.AppendString(dst, "NEGATIVE_INFINITY"), nil
	}
	return connectors.AppendBytes(dst, text), nil
}
