package jdbcsource

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// cell is a value as a driver gives it. Its bytes are valid until the next row.
type cell struct {
	kind  cellKind
	i     int64   // of cellInt; of cellMoment the seconds since 1970
	f     float64 // of cellFloat
	nanos int32   // of cellMoment
	b     []byte  // of cellText and cellBytes
}

type cellKind uint8

const (
	cellNull cellKind = iota
	cellInt
	cellFloat
	cellText
	cellBytes
	cellMoment
)

// reader appends the value of a cell, which is not null, in the encoding of its column's schema.
type reader func(dst []byte, v *cell) ([]byte, error)

var errKind = errors.New("a value of another type than the column's")

// integer returns the integer in a cell; one in a decimal must have no fraction other than zeros.
func (v *cell) integer() (int64, error) {
	switch v.kind {
	case cellInt:
		return v.i, nil
	case cellFloat:
		if v.f == math.Trunc(v.f) && math.Abs(v.f) < 1<<63 {
			return int64(v.f), nil
		}
		return 0, fmt.Errorf("%v is no integer of 64 bits", v.f)
	case cellText, cellBytes:
		text := v.b
		if dot := bytes.IndexByte(text, '.'); dot >= 0 && len(bytes.Trim(text[dot+1:], "0")) == 0 {
			text = text[:dot]
		}
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no integer of 64 bits", v.b)
		}
		return n, nil
	}
	return 0, errKind
}

// number returns the number in a cell as a float.
func (v *cell) number() (float64, error) {
	switch v.kind {
	case cellFloat:
		return v.f, nil
	case cellInt:
		if f := float64(v.i); int64(f) == v.i {
			return f, nil
		}
		return 0, fmt.Errorf("%d has more digits than a float64 holds", v.i)
	case cellText, cellBytes:
		text := v.b
		if len(text) > 0 && bytes.IndexByte(text, '$') >= 0 {
			text = bytes.Map(func(r rune) rune { // PostgreSQL's money: -$1,234.50
				if r == '$' || r == ',' {
					return -1
				}
				return r
			}, text)
		}
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number", v.b)
		}
		return f, nil
	}
	return 0, errKind
}

// appendTo appends the value as text.
func (v *cell) appendTo(dst []byte) []byte {
	switch v.kind {
	case cellInt:
		return strconv.AppendInt(dst, v.i, 10)
	case cellFloat:
		return strconv.AppendFloat(dst, v.f, 'g', -1, 64)
	case cellMoment:
		digits := 0
		if v.nanos != 0 {
			digits = 9
		}
		return instant{v.i, v.nanos}.appendTo(dst, ' ', digits)
	}
	return append(dst, v.b...)
}

func readBool(dst []byte, v *cell) ([]byte, error) {
	switch {
	case v.kind == cellInt:
		return connectors.AppendBool(dst, v.i != 0), nil
	case v.kind == cellText && len(v.b) == 1 && (v.b[0] == 't' || v.b[0] == '1'):
		return connectors.AppendBool(dst, true), nil
	case v.kind == cellText && len(v.b) == 1 && (v.b[0] == 'f' || v.b[0] == '0'):
		return connectors.AppendBool(dst, false), nil
	}
	return dst, errKind
}

func readInt(bits int) reader {
	shift := 64 - bits
	return func(dst []byte, v *cell) ([]byte, error) {
		n, err := v.integer()
		if err != nil {
			return dst, err
		}
		if n<<shift>>shift != n {
			return dst, fmt.Errorf("%d does not fit into %d bits", n, bits)
		}
		return connectors.AppendInt(dst, n), nil
	}
}

func readFloat32(dst []byte, v *cell) ([]byte, error) {
	f, err := v.number()
	if err != nil {
		return dst, err
	}
	return connectors.AppendFloat32(dst, float32(f)), nil
}

func readFloat64(dst []byte, v *cell) ([]byte, error) {
	f, err := v.number()
	if err != nil {
		return dst, err
	}
	return connectors.AppendFloat64(dst, f), nil
}

func readDecimal(scale int) reader {
	return func(dst []byte, v *cell) ([]byte, error) {
		if v.kind == cellText {
			return cdc.AppendDecimal(dst, v.b, scale)
		}
		var text [32]byte
		return cdc.AppendDecimal(dst, v.appendTo(text[:0]), scale)
	}
}

func readAnyDecimal(dst []byte, v *cell) ([]byte, error) { return cdc.AppendVariableDecimal(dst, v.b) }

func readText(dst []byte, v *cell) ([]byte, error) {
	if v.kind == cellText || v.kind == cellBytes {
		if !utf8.Valid(v.b) {
			return dst, errors.New("text that is not UTF-8")
		}
		return connectors.AppendBytes(dst, v.b), nil
	}
	var text [64]byte
	return connectors.AppendBytes(dst, v.appendTo(text[:0])), nil
}

func readBytes(dst []byte, v *cell) ([]byte, error) {
	if v.kind == cellText || v.kind == cellBytes {
		return connectors.AppendBytes(dst, v.b), nil
	}
	return dst, errKind
}

func readHex(dst []byte, v *cell) ([]byte, error) {
	digits, ok := bytes.CutPrefix(v.b, []byte(`\x`))
	if !ok || len(digits)%2 != 0 {
		return dst, errKind
	}
	dst = connectors.AppendInt(dst, int64(len(digits)/2))
	dst, err := hex.AppendDecode(dst, digits)
	if err != nil {
		return dst, errKind
	}
	return dst, nil
}

// readBits reads up to seven bits, printed or in a byte.
func readBits(dst []byte, v *cell) ([]byte, error) {
	if v.kind == cellBytes && len(v.b) == 1 {
		return connectors.AppendInt(dst, int64(v.b[0])), nil
	}
	n, err := strconv.ParseInt(string(v.b), 2, 8)
	if err != nil {
		return dst, errKind
	}
	return connectors.AppendInt(dst, n), nil
}

// readPrintedBits reads 0 and 1 as bytes, the first bit highest, as PostgreSQL's driver for Java does.
func readPrintedBits(dst []byte, v *cell) ([]byte, error) {
	size := (len(v.b) + 7) / 8
	dst = connectors.AppendInt(dst, int64(size))
	from := len(dst)
	dst = append(dst, make([]byte, size)...)
	pad := size*8 - len(v.b)
	for i, c := range v.b {
		switch c {
		case '1':
			dst[from+(pad+i)/8] |= 0x80 >> ((pad + i) % 8)
		case '0':
		default:
			return dst, errKind
		}
	}
	return dst, nil
}

func readDate(dst []byte, v *cell) ([]byte, error) {
	switch v.kind {
	case cellMoment:
		return connectors.AppendInt(dst, floorDiv(v.i, 86400)), nil
	case cellInt: // milliseconds, as SQLite's driver for Java stores a date
		return connectors.AppendInt(dst, floorDiv(v.i, 86400e3)), nil
	case cellText:
		days, err := parseDate(v.b)
		if err != nil {
			return dst, err
		}
		return connectors.AppendInt(dst, days), nil
	}
	return dst, errKind
}

// readYear reads a year as its first day.
func readYear(dst []byte, v *cell) ([]byte, error) {
	year, err := v.integer()
	if err != nil {
		return dst, err
	}
	return connectors.AppendInt(dst, cdc.EpochDays(year, 1, 1)), nil
}

func readTime(dst []byte, v *cell) ([]byte, error) {
	nanos, rest, ok := parseClock(v.b)
	if !ok {
		return dst, errTemporal(v.b)
	}
	offset, _, ok := parseZone(rest)
	if !ok {
		return dst, errTemporal(v.b)
	}
	const day = 24 * 3600e9
	if nanos < 0 || nanos > day {
		return dst, fmt.Errorf("%s is no time of a day", v.b)
	}
	nanos = (nanos - offset*1e9 + day) % day
	return connectors.AppendInt(dst, nanos/1e6), nil
}

// instant returns the moment that a timestamp column says.
func (s *settings) instant(c *column, v *cell) (instant, error) {
	var at instant
	switch v.kind {
	case cellMoment:
		return instant{v.i, v.nanos}, nil
	case cellInt: // milliseconds, as SQLite's driver for Java stores a timestamp
		return ofMilliseconds(v.i), nil
	case cellFloat: // a Julian day, as SQLite's own functions make it
		return ofMilliseconds(int64(math.Round((v.f - 2440587.5) * 86400e3))), nil
	case cellText:
		var zoned bool
		var err error
		if at, zoned, err = parseInstant(v.b); err != nil || zoned || c.typ == sqlZonedTimestamp {
			return at, err
		}
		return at.unwall(s.zone), nil
	}
	return at, errKind
}

func appendNanos(dst []byte, at instant) ([]byte, error) {
	const most = math.MaxInt64/1_000_000_000 - 1
	if at.seconds > most || at.seconds < -most {
		return dst, errors.New("a timestamp whose nanoseconds since 1970 do not fit into 64 bits")
	}
	return connectors.AppendInt(dst, at.seconds*1e9+int64(at.nanos)), nil
}

func appendNanosText(dst []byte, at instant) ([]byte, error) {
	var text [40]byte
	switch {
	case at.seconds == 0:
		return connectors.AppendBytes(dst, strconv.AppendInt(text[:0], int64(at.nanos), 10)), nil
	case at.seconds > 0:
		return connectors.AppendBytes(dst, fmt.Appendf(text[:0], "%d%09d", at.seconds, at.nanos)), nil
	case at.nanos == 0:
		return connectors.AppendBytes(dst, fmt.Appendf(text[:0], "%d000000000", at.seconds)), nil
	case at.seconds == -1:
		return connectors.AppendBytes(dst, strconv.AppendInt(text[:0], int64(at.nanos)-1e9, 10)), nil
	}
	return connectors.AppendBytes(dst, fmt.Appendf(text[:0], "%d%09d", at.seconds+1, 1000000000-at.nanos)), nil
}
