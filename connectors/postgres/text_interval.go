package postgres

import (
	"math"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// secondsPerMonth is a twelfth of 365.25 days.
const secondsPerMonth = 2629800

// interval is what PostgreSQL keeps of an interval.
type interval struct{ months, days, us int64 }

// parseInterval reads the style "postgres": "1 year 2 mons -3 days +04:05:06.78"; "00:00:00" is zero.
func parseInterval(text []byte) (interval, bool) {
	var iv interval
	if len(text) == 0 {
		return iv, false
	}
	for len(text) > 0 {
		i, sign := 0, int64(1)
		if text[0] == '-' || text[0] == '+' {
			if text[0] == '-' {
				sign = -1
			}
			i = 1
		}
		start, n := i, int64(0)
		for i < len(text) && i < start+12 && text[i] >= '0' && text[i] <= '9' {
			n = n*10 + int64(text[i]-'0')
			i++
		}
		if i == start || i == len(text) {
			return iv, false
		}
		if text[i] == ':' {
			us, ok := parseLongClock(n, text[i:])
			iv.us = sign * us
			return iv, ok
		}
		if text[i] != ' ' {
			return iv, false
		}
		end := i + 1
		for end < len(text) && text[end] != ' ' {
			end++
		}
		switch string(text[i+1 : end]) {
		case "year", "years":
			iv.months += sign * n * 12
		case "mon", "mons":
			iv.months += sign * n
		case "day", "days":
			iv.days += sign * n
		default:
			return iv, false
		}
		if text = text[end:]; len(text) > 0 {
			if text = text[1:]; len(text) == 0 {
				return iv, false
			}
		}
	}
	return iv, true
}

// parseLongClock reads :MM:SS[.ffffff] after any number of hours.
func parseLongClock(hours int64, text []byte) (us int64, ok bool) {
	var short [20]byte
	if len(text) < 6 || len(text) > 13 {
		return 0, false
	}
	n := copy(short[:], "00")
	n += copy(short[n:], text)
	us, rest, ok := parseClock(short[:n])
	return us + hours*3600e6, ok && len(rest) == 0
}

// microseconds returns all of an interval as microseconds, or the nearest number that there is: an int64 holds 292,271
// years, an interval 178 million.
func (iv interval) microseconds() int64 {
	s := iv.months*secondsPerMonth + iv.days*86400 + iv.us/1e6
	us := s*1e6 + iv.us%1e6
	switch {
	case s > math.MaxInt64/1_000_000 || s > 0 && us < 0:
		return math.MaxInt64
	case s < math.MinInt64/1_000_000 || s < 0 && us > 0:
		return math.MinInt64
	}
	return us
}

// appendMicroDuration appends an interval as microseconds. An infinite one (PostgreSQL 17) is the largest number there is,
// or the smallest.
func appendMicroDuration(dst, text []byte) ([]byte, error) {
	if sign, ok := infinite(text); ok {
		if sign > 0 {
			return connectors.AppendInt(dst, math.MaxInt64), nil
		}
		return connectors.AppendInt(dst, math.MinInt64), nil
	}
	iv, ok := parseInterval(text)
	if !ok {
		return dst, malformed("interval", text)
	}
	return connectors.AppendInt(dst, iv.microseconds()), nil
}

// appendISOInterval appends an interval as Debezium's Interval: P1Y2M3DT4H5M6.78S, with all parts in any case, or an
// infinite one by its word.
func appendISOInterval(dst, text []byte) ([]byte, error) {
	if _, ok := infinite(text); ok {
		return connectors.AppendBytes(dst, text), nil
	}
	iv, ok := parseInterval(text)
	if !ok {
		return dst, malformed("interval", text)
	}
	var buf [96]byte
	b := append(buf[:0], 'P')
	part := func(n int64, unit byte) { b = append(strconv.AppendInt(b, n, 10), unit) }
	part(iv.months/12, 'Y')
	part(iv.months%12, 'M')
	part(iv.days, 'D')
	b = append(b, 'T')
	part(iv.us/3600e6, 'H')
	part(iv.us/60e6%60, 'M')
	s, frac := iv.us/1e6%60, iv.us%1e6
	if s == 0 && frac < 0 {
		b = append(b, '-')
	}
	b = strconv.AppendInt(b, s, 10)
	if frac < 0 {
		frac = -frac
	}
	if frac != 0 {
		b = append(b, '.')
		for unit := int64(1e5); frac > 0; unit /= 10 {
			b = append(b, byte('0'+frac/unit))
			frac %= unit
		}
	}
	return connectors.AppendBytes(dst, append(b, 'S')), nil
}
