package transforms

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the machine may have no time zones of its own
)

const hour = 3600

// maxOffset is the farthest from UTC that a zone may be in Java, in seconds.
const maxOffset = 18 * hour

// javaZone is a java.time.ZoneId: an offset, or a zone of the IANA's.
type javaZone struct {
	offset int64 // seconds east of UTC, if rules is nil
	rules  *time.Location
}

// parseZone reads +02:00, +05:45:30 or Europe/Berlin.
func parseZone(text string) (javaZone, error) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		offset, ok := parseOffset([]byte(text))
		if !ok || len(text) != len("+02:00") && len(text) != len("+02:00:00") {
			return javaZone{}, fmt.Errorf("%q is no offset such as +02:00, of 18 hours at most", text)
		}
		return javaZone{offset: offset}, nil
	}
	rules, err := time.LoadLocation(text)
	if err != nil || text == "" || text == "Local" {
		return javaZone{}, fmt.Errorf("%q is neither a time zone such as Europe/Paris nor an offset such as +02:00", text)
	}
	return javaZone{rules: rules}, nil
}

// at returns the offset at an instant, in seconds since 1970.
func (z javaZone) at(second int64) int64 {
	if z.rules == nil {
		return z.offset
	}
	_, offset := time.Unix(second, 0).In(z.rules).Zone()
	return int64(offset)
}

// atLocal returns the offset when clocks in the zone show a time, given as seconds since 1970 that they would show in
// UTC. Of a time that they show twice, or leave out, it is the offset before the change, as in Java's ZoneRules.
func (z javaZone) atLocal(local int64) int64 {
	// Time.ZoneBounds would say it, but is wrong on the last day of leap years that the zone's table does not reach.
	const day = 24 * hour
	before, after := z.at(local-day), z.at(local+day)
	if before == after {
		return before
	}
	return z.at(local - max(before, after))
}

// parseOffset reads Z, +02, +02:00 or +02:00:30.
func parseOffset(text []byte) (seconds int64, ok bool) {
	if len(text) == 1 && text[0]|0x20 == 'z' {
		return 0, true
	}
	if len(text) == 0 || text[0] != '+' && text[0] != '-' || len(text)%3 != 0 || len(text) > len("+02:00:30") {
		return 0, false
	}
	for i, unit := range []int64{hour, 60, 1}[:len(text)/3] {
		n, ok := twoDigits(text[3*i+1 : 3*i+3])
		if !ok || i > 0 && (n > 59 || text[3*i] != ':') {
			return 0, false
		}
		seconds += n * unit
	}
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, -maxOffset <= seconds && seconds <= maxOffset
}

func twoDigits(text []byte) (int64, bool) {
	if len(text) != 2 || text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9' {
		return 0, false
	}
	return int64(text[0]-'0')*10 + int64(text[1]-'0'), true
}

// appendOffset appends Z, +02:00 or +02:00:30.
func appendOffset(dst []byte, seconds int64) []byte {
	if seconds == 0 {
		return append(dst, 'Z')
	}
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	dst = appendTwo(append(appendTwo(append(dst, sign), seconds/hour), ':'), seconds/60%60)
	if seconds%60 != 0 {
		dst = appendTwo(append(dst, ':'), seconds%60)
	}
	return dst
}

func appendTwo(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// parseClock reads 12:34, 12:34:56 or 12:34:56.789 and what follows.
func parseClock(text []byte) (seconds, nanos int64, rest []byte, ok bool) {
	for i, unit := range []int64{hour, 60, 1} {
		if i > 0 {
			if len(text) == 0 || text[0] != ':' {
				return seconds, 0, text, i == 2
			}
			text = text[1:]
		}
		if len(text) < 2 {
			return 0, 0, nil, false
		}
		n, ok := twoDigits(text[:2])
		if !ok || n > 59 || i == 0 && n > 23 {
			return 0, 0, nil, false
		}
		seconds, text = seconds+n*unit, text[2:]
	}
	if len(text) == 0 || text[0] != '.' {
		return seconds, 0, text, true
	}
	text = text[1:]
	unit := int64(1e8)
	for ; len(text) > 0 && unit > 0 && '0' <= text[0] && text[0] <= '9'; text = text[1:] {
		nanos += int64(text[0]-'0') * unit
		unit /= 10
	}
	return seconds, nanos, text, true
}

// appendClock appends 12:34:56.789, with no more digits than it takes.
func appendClock(dst []byte, seconds, nanos int64) []byte {
	dst = appendTwo(append(appendTwo(dst, seconds/hour), ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	if nanos == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(1e8); nanos > 0; unit /= 10 {
		dst = append(dst, byte('0'+nanos/unit))
		nanos %= unit
	}
	return dst
}

// parseDay reads 2024-12-31, +12024-12-31 or -0044-03-15 and what follows, as days since 1970.
func parseDay(text []byte) (day int64, rest []byte, ok bool) {
	digits := text
	signed := len(text) > 0 && (text[0] == '+' || text[0] == '-')
	if signed {
		digits = text[1:]
	}
	n := bytes.IndexByte(digits, '-')
	if n < 4 || n > 9 || n > 4 && !signed || n == 4 && signed && text[0] == '+' || len(digits) < n+6 || digits[n+3] != '-' {
		return 0, nil, false
	}
	year, yearOK := 0, true
	for _, c := range digits[:n] {
		year, yearOK = 10*year+int(c-'0'), yearOK && '0' <= c && c <= '9'
	}
	month, monthOK := twoDigits(digits[n+1 : n+3])
	date, dateOK := twoDigits(digits[n+4 : n+6])
	if !yearOK || !monthOK || !dateOK || n > 4 && year < 10000 || year == 0 && signed {
		return 0, nil, false
	}
	if text[0] == '-' {
		year = -year
	}
	t := time.Date(year, time.Month(month), int(date), 0, 0, 0, 0, time.UTC)
	if int64(t.Month()) != month || int64(t.Day()) != date {
		return 0, nil, false
	}
	return t.Unix() / (24 * hour), digits[n+6:], true
}

// appendDay appends a day since 1970 as parseDay reads it.
func appendDay(dst []byte, day int64) []byte {
	year, month, date := time.Unix(day*24*hour, 0).UTC().Date()
	if year > 9999 {
		dst = append(dst, '+')
	}
	if year < 0 {
		dst, year = append(dst, '-'), -year
	}
	for n := 1000; n > year && n > 1; n /= 10 {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, int64(year), 10)
	return appendTwo(append(appendTwo(append(dst, '-'), int64(month)), '-'), int64(date))
}

// inZone moves an ISO 8601 date and time with an offset to another zone.
func (z javaZone) inZone(dst, text []byte) ([]byte, error) {
	day, rest, ok := parseDay(text)
	if ok = ok && len(rest) > 0 && rest[0]|0x20 == 't'; ok {
		var seconds, nanos, offset int64
		if seconds, nanos, rest, ok = parseClock(rest[1:]); ok {
			if offset, ok = parseOffset(rest); ok {
				local := day*24*hour + seconds
				to := z.atLocal(local) // Debezium asks for the zone's offset at the local time of the old one
				local += to - offset
				day = floorDiv(local, 24*hour)
				dst = append(appendDay(dst, day), 'T')
				return appendOffset(appendClock(dst, local-day*24*hour, nanos), to), nil
			}
		}
	}
	return dst, fmt.Errorf("%q is no date and time with an offset, such as 2024-12-31T12:34:56.789Z", text)
}

// clockInZone moves an ISO 8601 time of day with an offset to the offset that the zone has at an instant.
func (z javaZone) clockInZone(dst, text []byte, now int64) ([]byte, error) {
	seconds, nanos, rest, ok := parseClock(text)
	offset, isOffset := parseOffset(rest)
	if !ok || !isOffset {
		return dst, fmt.Errorf("%q is no time with an offset, such as 12:34:56.789Z", text)
	}
	to := z.at(now)
	seconds += to - offset
	seconds -= floorDiv(seconds, 24*hour) * 24 * hour
	return appendOffset(appendClock(dst, seconds, nanos), to), nil
}

// floorDiv divides and rounds down.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
