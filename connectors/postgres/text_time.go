package postgres

import (
	"math"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// microsecondsPerDay is a day without a leap second.
const microsecondsPerDay = 86400e6

// appendDate returns the function for date ("2024-03-05", "4713-01-01 BC", "infinity"). An infinite date is the
// largest or smallest number of days, or in a mode of text the word itself.
func appendDate(t cdc.Temporal) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		if sign, ok := infinite(text); ok {
			switch {
			case t.Schema.Type == connectors.String:
				return connectors.AppendBytes(dst, text), nil
			case sign > 0:
				return t.Append(dst, math.MaxInt32)
			}
			return t.Append(dst, math.MinInt32)
		}
		days, rest, ok := parseDate(text)
		if days, ok = era(days, text, rest, ok); !ok {
			return dst, malformed("date", text)
		}
		return t.Append(dst, days)
	}
}

// appendTime returns the function for time without time zone ("10:30:00.5", up to "24:00:00").
func appendTime(t cdc.Temporal) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		us, rest, ok := parseClock(text)
		if !ok || len(rest) != 0 {
			return dst, malformed("time", text)
		}
		return t.Append(dst, us)
	}
}

// appendTimestamp returns the function for timestamp without time zone.
func appendTimestamp(t cdc.Temporal) appendFunc {
	return func(dst, text []byte) ([]byte, error) {
		if sign, ok := infinite(text); ok {
			if sign > 0 {
				return t.Append(dst, cdc.PositiveInfinity)
			}
			return t.Append(dst, cdc.NegativeInfinity)
		}
		us, rest, ok := parseTimestamp(text)
		if !ok || len(rest) != 0 {
			return dst, malformed("timestamp", text)
		}
		return t.Append(dst, us)
	}
}

// appendTimestampTZ returns the function for timestamp with time zone, of which sessions in UTC print "+00". The
// usual form is rewritten byte by byte:
//
//	2024-02-29 12:34:56.789+00
//	2024-02-29T12:34:56.789000Z
func appendTimestampTZ(digits int) appendFunc {
	length := byte(len("2024-02-29T12:34:56Z"))
	if digits > 0 {
		length += byte(digits) + 1
	}
	return func(dst, text []byte) ([]byte, error) {
		n := len(text)
		if n >= 22 && n <= 29 && text[4] == '-' && text[10] == ' ' && text[n-3] == '+' && text[n-2] == '0' && text[n-1] == '0' && n-3-20 <= digits {
			dst = append(dst, length<<1)
			at := len(dst)
			dst = append(dst, text[:n-3]...)
			dst[at+10] = 'T'
			if digits > 0 {
				if n == 22 {
					dst = append(dst, '.')
				}
				for len(dst)-at < int(length)-1 {
					dst = append(dst, '0')
				}
			}
			return append(dst, 'Z'), nil
		}
		if _, ok := infinite(text); ok {
			return connectors.AppendBytes(dst, text), nil
		}
		us, rest, ok := parseTimestampTZ(text)
		if !ok || len(rest) != 0 {
			return dst, malformed("timestamp with time zone", text)
		}
		return cdc.AppendZonedTimestamp(dst, us, digits), nil
	}
}

// appendTimeTZ appends time with time zone, moved to UTC.
func appendTimeTZ(dst, text []byte) ([]byte, error) {
	us, rest, ok := parseClock(text)
	if !ok {
		return dst, malformed("time with time zone", text)
	}
	offset, rest, ok := parseZone(rest)
	if !ok || len(rest) != 0 {
		return dst, malformed("time with time zone", text)
	}
	us = (us - offset + 2*microsecondsPerDay) % microsecondsPerDay
	return cdc.AppendZonedTime(dst, us), nil
}

func infinite(text []byte) (sign int, ok bool) {
	switch string(text) {
	case "infinity":
		return 1, true
	case "-infinity":
		return -1, true
	}
	return 0, false
}

// parseTimestamp reads a date and a time, with " BC" at the end, if it is there.
func parseTimestamp(text []byte) (us int64, rest []byte, ok bool) {
	days, rest, ok := parseDate(text)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return 0, nil, false
	}
	clock, rest, ok := parseClock(rest[1:])
	if days, ok = era(days, text, rest, ok); !ok {
		return 0, nil, false
	}
	return days*microsecondsPerDay + clock, nil, true
}

func parseTimestampTZ(text []byte) (us int64, rest []byte, ok bool) {
	days, rest, ok := parseDate(text)
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return 0, nil, false
	}
	clock, rest, ok := parseClock(rest[1:])
	if !ok {
		return 0, nil, false
	}
	offset, rest, ok := parseZone(rest)
	if days, ok = era(days, text, rest, ok); !ok {
		return 0, nil, false
	}
	return days*microsecondsPerDay + clock - offset, nil, true
}

// era corrects the days of a date that is followed by BC. Before Christ the year n is the year 1-n of the calendar,
// so the date is parsed again.
func era(days int64, text, rest []byte, ok bool) (int64, bool) {
	if !ok || len(rest) == 0 {
		return days, ok
	}
	if string(rest) != " BC" {
		return 0, false
	}
	y, m, d, _, ok := parseCivil(text)
	return cdc.EpochDays(1-y, m, d), ok
}

// parseDate reads YYYY-MM-DD; the year has four digits or more.
func parseDate(text []byte) (days int64, rest []byte, ok bool) {
	y, m, d, rest, ok := parseCivil(text)
	if !ok {
		return 0, nil, false
	}
	return cdc.EpochDays(y, m, d), rest, true
}

func parseCivil(text []byte) (y, m, d int64, rest []byte, ok bool) {
	i := 0
	for i < len(text) && i < 8 && text[i] >= '0' && text[i] <= '9' {
		y = y*10 + int64(text[i]-'0')
		i++
	}
	if i < 4 || len(text) < i+6 || text[i] != '-' || text[i+3] != '-' {
		return 0, 0, 0, nil, false
	}
	m, okM := twoDigits(text[i+1:])
	d, okD := twoDigits(text[i+4:])
	return y, m, d, text[i+6:], okM && okD && m >= 1 && m <= 12 && d >= 1 && d <= 31
}

// parseClock reads HH:MM:SS with up to six digits of a fraction.
func parseClock(text []byte) (us int64, rest []byte, ok bool) {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0, nil, false
	}
	h, okH := twoDigits(text)
	m, okM := twoDigits(text[3:])
	s, okS := twoDigits(text[6:])
	if !okH || !okM || !okS || h > 24 || m > 59 || s > 60 {
		return 0, nil, false
	}
	us, text = (h*3600+m*60+s)*1e6, text[8:]
	if len(text) > 0 && text[0] == '.' {
		text = text[1:]
		unit := int64(1e5)
		for len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
			us += int64(text[0]-'0') * unit
			unit /= 10
			text = text[1:]
		}
	}
	return us, text, true
}

// parseZone reads ±HH[:MM[:SS]] and returns it in microseconds east of UTC.
func parseZone(text []byte) (offset int64, rest []byte, ok bool) {
	if len(text) < 3 || text[0] != '+' && text[0] != '-' {
		return 0, nil, false
	}
	sign := int64(1)
	if text[0] == '-' {
		sign = -1
	}
	unit := int64(3600e6)
	for text = text[1:]; ; text = text[1:] {
		n, ok := twoDigits(text)
		if !ok || n > 59 {
			return 0, nil, false
		}
		offset += n * unit
		unit /= 60
		text = text[2:]
		if len(text) == 0 || text[0] != ':' || unit < 1e6 {
			return sign * offset, text, true
		}
	}
}

func twoDigits(text []byte) (int64, bool) {
	if len(text) < 2 {
		return 0, false
	}
	a, b := text[0]-'0', text[1]-'0'
	return int64(a)*10 + int64(b), a <= 9 && b <= 9
}
