package jdbc

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

const (
	secondsPerDay = 86400
	microsPerDay  = secondsPerDay * 1_000_000
)

// Infinite dates and timestamps, in days and microseconds since the epoch. Debezium's sources write the nearest value
// that their types have.
const (
	endOfDays   = math.MaxInt32
	startOfDays = math.MinInt32
	endOfTime   = cdc.PositiveInfinity
	startOfTime = cdc.NegativeInfinity
)

// readTemporal reads a date, time or timestamp: a number of units, or text in ISO 8601.
func (t *typed) readTemporal(src []byte) (v scalar, rest []byte, err error) {
	if t.schema.Type == connectors.String {
		text, rest, err := connectors.ReadBytes(src)
		if err != nil {
			return v, nil, err
		}
		if t.perSecond > 0 {
			if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
				v, err = t.units(n)
				return v, rest, err
			}
		}
		v, ok := t.parseTemporal(text)
		if !ok {
			return v, nil, fmt.Errorf("%.60q is no %s", text, cmp.Or(t.schema.Name, "timestamp"))
		}
		return v, rest, nil
	}
	n, rest, err := connectors.ReadInt(src)
	if err == nil {
		v, err = t.units(n)
	}
	return v, rest, err
}

// units returns the date, time or timestamp of a number of units.
func (t *typed) units(n int64) (v scalar, err error) {
	switch {
	case t.meaning == meansDate || t.perSecond == 1e6:
		v.i = n
	case t.perSecond == 1e9:
		v.i = floorDiv(n, 1000)
		v.nanos = n - v.i*1000
		switch { // an infinite timestamp in nanoseconds is all that 64 bits hold
		case t.meaning == meansTimestamp && n == math.MaxInt64:
			v.i, v.nanos = endOfTime, 0
		case t.meaning == meansTimestamp && n == math.MinInt64:
			v.i, v.nanos = startOfTime, 0
		}
	case n > math.MaxInt64/1000 || n < math.MinInt64/1000:
		return v, fmt.Errorf("%d milliseconds are beyond all calendars", n)
	case t.meaning == meansTimestamp && n >= endOfTime/1000:
		v.i = endOfTime
	case t.meaning == meansTimestamp && n <= floorDiv(startOfTime, 1000):
		v.i = startOfTime
	default:
		v.i = n * 1000
	}
	if t.zone != nil {
		v.i = wallClock(v.i, t.zone)
	}
	return v, nil
}

// stamp makes a timestamp of a type whose schema does not say that it is one: so many units a second since 1970, or text.
// They are instants.
func (t *typed) stamp(perSecond int, zone *time.Location) error {
	switch {
	case t.meaning == meansTimestamp || t.meaning == meansZonedTimestamp:
		return nil
	case t.meaning == meansText || t.meaning == meansInt && t.bits == 64:
		t.meaning, t.perSecond, t.zone = meansTimestamp, perSecond, zone
		return nil
	}
	return fmt.Errorf("%s %s is neither int64 nor text", t.schema.Type, t.schema.Name)
}

// in sets the zone in which instants are written into columns without one. Connect's timestamps are instants to
// Confluent's sink, and have no zone to Debezium's.
func (t *typed) in(zone *time.Location, instants bool) {
	if t.meaning == meansZonedTimestamp || t.schema.Name == connectors.TimestampName && instants {
		t.zone = zone
	}
	if t.elem != nil {
		t.elem.in(zone, instants)
	}
}

// wallClock returns what clocks and calendars show at an instant, both in microseconds.
func wallClock(instant int64, zone *time.Location) int64 {
	if instant >= endOfTime || instant <= startOfTime {
		return instant
	}
	_, offset := time.UnixMicro(instant).In(zone).Zone()
	return instant + int64(offset)*1_000_000
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// parseTemporal reads ISO 8601 as Debezium writes it: 2024-02-29T12:34:56.789Z, with a sign before a year of more than
// four digits or before Christ, with Z or an offset behind it.
func (t *typed) parseTemporal(text []byte) (v scalar, ok bool) {
	switch string(text) {
	case "infinity", "-infinity":
		v.i = endOfTime
		if text[0] == '-' {
			v.i = startOfTime
		}
		return v, t.meaning != meansTime
	}
	p := isoParser{rest: text}
	if t.meaning != meansTime {
		v.i = p.date()
		if t.meaning == meansDate {
			p.zone()
			return v, !p.failed && len(p.rest) == 0
		}
		if v.i > endOfTime/microsPerDay || v.i < floorDiv(startOfTime, microsPerDay) || !p.oneOf('T', ' ') {
			return v, false
		}
		v.i *= microsPerDay
	}
	micros, nanos := p.clock()
	v.i, v.nanos = v.i+micros-p.zone(), nanos
	return v, !p.failed && len(p.rest) == 0
}

// isoParser reads ISO 8601 from the front. When something is not as it must be, it has failed.
type isoParser struct {
	rest   []byte
	failed bool
}

// number reads at least and at most so many digits.
func (p *isoParser) number(least, most int) (n int64) {
	i := 0
	for ; i < len(p.rest) && i < most && p.rest[i]-'0' <= 9; i++ {
		n = n*10 + int64(p.rest[i]-'0')
	}
	p.failed = p.failed || i < least
	p.rest = p.rest[i:]
	return n
}

func (p *isoParser) oneOf(a, b byte) bool {
	if len(p.rest) == 0 || p.rest[0] != a && p.rest[0] != b {
		p.failed = true
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// date reads a date as days since the epoch.
func (p *isoParser) date() int64 {
	sign := int64(1)
	if len(p.rest) > 0 && (p.rest[0] == '-' || p.rest[0] == '+') {
		if p.rest[0] == '-' {
			sign = -1
		}
		p.rest = p.rest[1:]
	}
	year := sign * p.number(4, 9)
	p.oneOf('-', '-')
	month := p.number(2, 2)
	p.oneOf('-', '-')
	day := p.number(2, 2)
	if month < 1 || month > 12 || day < 1 || day > 31 {
		p.failed = true
		return 0
	}
	return cdc.EpochDays(year, month, day)
}

// clock reads a time of day as microseconds and the nanoseconds beyond.
func (p *isoParser) clock() (micros, nanos int64) {
	hours := p.number(2, 2)
	p.oneOf(':', ':')
	minutes := p.number(2, 2)
	seconds := int64(0)
	if len(p.rest) > 0 && p.rest[0] == ':' {
		p.rest = p.rest[1:]
		seconds = p.number(2, 2)
	}
	if len(p.rest) > 0 && p.rest[0] == '.' {
		p.rest = p.rest[1:]
		before := len(p.rest)
		nanos = p.number(1, 9)
		for range 9 - (before - len(p.rest)) {
			nanos *= 10
		}
	}
	p.failed = p.failed || hours > 24 || minutes > 59 || seconds > 60
	return ((hours*60+minutes)*60+seconds)*1_000_000 + nanos/1000, nanos % 1000
}

// zone reads Z or ±HH:MM[:SS], if there is any, as microseconds ahead of UTC.
func (p *isoParser) zone() int64 {
	if len(p.rest) == 0 || p.failed {
		return 0
	}
	if p.rest[0] == 'Z' {
		p.rest = p.rest[1:]
		return 0
	}
	sign := int64(1)
	if p.rest[0] == '-' {
		sign = -1
	}
	if !p.oneOf('+', '-') {
		return 0
	}
	offset := p.number(2, 2) * 3600
	if len(p.rest) > 0 && p.rest[0] == ':' {
		p.rest = p.rest[1:]
		offset += p.number(2, 2) * 60
	}
	if len(p.rest) > 0 && p.rest[0] == ':' {
		p.rest = p.rest[1:]
		offset += p.number(2, 2)
	}
	return sign * offset * 1_000_000
}

// appendDate appends YYYY-MM-DD; false if the year has not four digits.
func appendDate(dst []byte, days int64) ([]byte, bool) {
	y, m, d := cdc.CivilDate(days)
	if y < 0 || y > 9999 {
		return dst, false
	}
	return append(dst, byte('0'+y/1000), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10), '-',
		byte('0'+m/10), byte('0'+m%10), '-', byte('0'+d/10), byte('0'+d%10)), true
}

// appendClock appends [-]HH:MM:SS and as many digits of the fraction as there are, up to so many.
func appendClock(dst []byte, micros, nanos int64, digits int) []byte {
	if micros < 0 {
		dst, micros = append(dst, '-'), -micros // only a time has a sign, and no nanoseconds then
	}
	s := micros / 1_000_000
	h, m := s/3600, s/60%60
	if h > 99 {
		dst = append(dst, byte('0'+h/100%10))
	}
	dst = append(dst, byte('0'+h/10%10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s%60/10), byte('0'+s%10))
	fraction := micros%1_000_000*1000 + nanos
	if digits > 0 && fraction > 0 {
		dst = append(dst, '.')
		for div := int64(1e8); digits > 0 && fraction > 0; div, digits = div/10, digits-1 {
			dst = append(dst, byte('0'+fraction/div))
			fraction %= div
		}
	}
	return dst
}

// appendTimestamp appends YYYY-MM-DD HH:MM:SS with a fraction; false if the year has not four digits.
func appendTimestamp(dst []byte, v scalar, digits int) ([]byte, bool) {
	days := floorDiv(v.i, microsPerDay)
	dst, ok := appendDate(dst, days)
	return appendClock(append(dst, ' '), v.i-days*microsPerDay, v.nanos, digits), ok
}
