package cdc

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// TimePrecision is the value of time.precision.mode.
type TimePrecision string

// The modes. Adaptive follows the precision of the column.
const (
	Adaptive      TimePrecision = "adaptive"
	AdaptiveMicro TimePrecision = "adaptive_time_microseconds"
	ConnectTime   TimePrecision = "connect"
	Microseconds  TimePrecision = "microseconds"
	Nanoseconds   TimePrecision = "nanoseconds"
	ISOString     TimePrecision = "isostring"
)

// TimePrecisions lists the modes, for a definition's Enum.
func TimePrecisions() []string {
	return []string{string(Adaptive), string(AdaptiveMicro), string(ConnectTime), string(Microseconds), string(Nanoseconds), string(ISOString)}
}

// Infinite timestamps, in microseconds since the epoch, as Debezium writes them.
const (
	PositiveInfinity int64 = 9223372036825200000
	NegativeInfinity int64 = -9223372036832400000
)

// ErrOutOfRange says that a time has no value in the mode that was chosen.
var ErrOutOfRange = errors.New("out of the range of time.precision.mode")

const day = 86400e6

// Temporal is a date, time or timestamp type under a time.precision.mode: its schema, and how a value is appended.
type Temporal struct {
	Schema *connectors.Schema
	// Append appends a value: days since the epoch for a date, microseconds since midnight for a time,
	// microseconds since the epoch for a timestamp.
	Append func(dst []byte, v int64) ([]byte, error)
}

// Date returns the type of a date without time.
func (m TimePrecision) Date() Temporal {
	switch m {
	case ConnectTime:
		return Temporal{Logical(connectors.Int32, connectors.DateName), appendInt32}
	case ISOString:
		return Temporal{Logical(connectors.String, IsoDateName), func(dst []byte, v int64) ([]byte, error) {
			return appendText(dst, func(dst []byte) []byte { return append(appendDate(dst, v), 'Z') }), nil
		}}
	}
	return Temporal{Logical(connectors.Int32, DateName), appendInt32}
}

// Time returns the type of a time of day; digits are those of the column's fraction of a second.
func (m TimePrecision) Time(digits int) Temporal {
	switch {
	case m == ConnectTime:
		return Temporal{Logical(connectors.Int32, connectors.TimeName), scaled(-1000)}
	case m == Nanoseconds:
		return Temporal{Logical(connectors.Int64, NanoTimeName), scaled(1000)}
	case m == ISOString:
		return Temporal{Logical(connectors.String, IsoTimeName), func(dst []byte, v int64) ([]byte, error) {
			return appendText(dst, func(dst []byte) []byte { return append(appendClock(dst, v, -1), 'Z') }), nil
		}}
	case m == Adaptive && digits <= 3:
		return Temporal{Logical(connectors.Int32, TimeName), scaled(-1000)}
	}
	return Temporal{Logical(connectors.Int64, MicroTimeName), scaled(1)}
}

// Timestamp returns the type of a date with time but without zone; digits are those of the column's fraction of a
// second.
func (m TimePrecision) Timestamp(digits int) Temporal {
	switch {
	case m == ConnectTime:
		return Temporal{Logical(connectors.Int64, connectors.TimestampName), scaled(-1000)}
	case m == Nanoseconds:
		return Temporal{Logical(connectors.Int64, NanoTimestampName), appendNanos}
	case m == ISOString:
		return Temporal{Logical(connectors.String, IsoTimestampName), func(dst []byte, v int64) ([]byte, error) {
			return appendText(dst, func(dst []byte) []byte { return append(appendDateTime(dst, v, -1), 'Z') }), nil
		}}
	case m == Microseconds || digits > 3:
		return Temporal{Logical(connectors.Int64, MicroTimestampName), scaled(1)}
	}
	return Temporal{Logical(connectors.Int64, TimestampName), scaled(-1000)}
}

// AppendZonedTimestamp appends a ZonedTimestamp in UTC from microseconds since the epoch, with as many digits behind
// the second as asked for; -1 means as many as are needed.
func AppendZonedTimestamp(dst []byte, us int64, digits int) []byte {
	return appendText(dst, func(dst []byte) []byte { return append(appendDateTime(dst, us, digits), 'Z') })
}

// AppendZonedTime appends a ZonedTime in UTC from microseconds since midnight.
func AppendZonedTime(dst []byte, us int64) []byte {
	return appendText(dst, func(dst []byte) []byte { return append(appendClock(dst, us, -1), 'Z') })
}

func appendInt32(dst []byte, v int64) ([]byte, error) {
	return connectors.AppendInt(dst, max(math.MinInt32, min(math.MaxInt32, v))), nil
}

// scaled multiplies by the factor, or divides by a negative one, rounding down.
func scaled(factor int64) func(dst []byte, v int64) ([]byte, error) {
	if factor > 0 {
		return func(dst []byte, v int64) ([]byte, error) { return connectors.AppendInt(dst, v*factor), nil }
	}
	return func(dst []byte, v int64) ([]byte, error) {
		return connectors.AppendInt(dst, floorDiv(v, -factor)), nil
	}
}

func appendNanos(dst []byte, us int64) ([]byte, error) {
	switch {
	case us == PositiveInfinity:
		return connectors.AppendInt(dst, math.MaxInt64), nil
	case us == NegativeInfinity:
		return connectors.AppendInt(dst, math.MinInt64), nil
	case us > math.MaxInt64/1000 || us < math.MinInt64/1000:
		return dst, fmt.Errorf("%w: nanoseconds hold the years 1677 to 2262", ErrOutOfRange)
	}
	return connectors.AppendInt(dst, us*1000), nil
}

// appendText appends a string of at most 63 bytes, whose length thus is one byte, put in when it is known.
func appendText(dst []byte, text func([]byte) []byte) []byte {
	at := len(dst)
	dst = text(append(dst, 0))
	dst[at] = byte(len(dst)-at-1) << 1
	return dst
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func appendDateTime(dst []byte, us int64, digits int) []byte {
	days := floorDiv(us, day)
	dst = append(appendDate(dst, days), 'T')
	return appendClock(dst, us-days*day, digits)
}

// appendDate appends YYYY-MM-DD. As in Java, a year beyond four digits has a sign, and the year 1 BC is 0000.
func appendDate(dst []byte, days int64) []byte {
	y, m, d := CivilDate(days)
	switch {
	case y > 9999:
		dst = append(dst, '+')
	case y < 0:
		dst, y = append(dst, '-'), -y
	}
	if y > 9999 {
		dst = strconv.AppendInt(dst, y, 10)
	} else {
		dst = append(dst, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10))
	}
	return append(dst, '-', byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10))
}

// appendClock appends HH:MM:SS and a fraction of that many digits, or of as many as are needed (-1).
func appendClock(dst []byte, us int64, digits int) []byte {
	s := us / 1e6
	us -= s * 1e6
	h, m := s/3600, s/60%60
	s %= 60
	dst = append(dst, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10))
	if digits == 0 || digits < 0 && us == 0 {
		return dst
	}
	dst = append(dst, '.')
	for div := int64(1e5); div > 0; div /= 10 {
		if digits == 0 || digits < 0 && us == 0 {
			break
		}
		dst = append(dst, byte('0'+us/div))
		us %= div
		digits--
	}
	return dst
}

// EpochDays returns the days from 1970-01-01 to a date of the proleptic Gregorian calendar; the year 0 is 1 BC.
func EpochDays(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// CivilDate is the inverse of EpochDays.
func CivilDate(days int64) (year, month, dayOfMonth int64) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, doy - (153*mp+2)/5 + 1
}
