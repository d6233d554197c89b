package jdbcsource

import (
	"fmt"
	"time"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// instant is a moment: seconds since 1970 in UTC, and the rest in nanoseconds. A timestamp without a zone is first read
// as if it were UTC, and then put into its zone.
type instant struct {
	seconds int64
	nanos   int32 // 0 to 999999999
}

func ofMilliseconds(ms int64) instant {
	s := floorDiv(ms, 1000)
	return instant{s, int32(ms-s*1000) * 1e6}
}

func ofTime(t time.Time) instant { return instant{t.Unix(), int32(t.Nanosecond())} }

func (i instant) milliseconds() int64 { return i.seconds*1000 + int64(i.nanos)/1e6 }

func (i instant) time() time.Time { return time.Unix(i.seconds, int64(i.nanos)).UTC() }

func (i instant) minus(d time.Duration) instant { return ofTime(i.time().Add(-d)) }

func (i instant) before(o instant) bool {
	return i.seconds < o.seconds || i.seconds == o.seconds && i.nanos < o.nanos
}

// rounded returns the instant to the millisecond, which is all that SQLite's own functions know.
func (i instant) rounded() instant { return ofTime(i.time().Round(time.Millisecond)) }

// wall returns what a clock in the zone shows at i, as if that were UTC.
func (i instant) wall(zone *time.Location) instant {
	if zone == time.UTC {
		return i
	}
	_, offset := i.time().In(zone).Zone()
	return instant{i.seconds + int64(offset), i.nanos}
}

// unwall is the inverse of wall: i is what a clock in the zone shows.
func (i instant) unwall(zone *time.Location) instant {
	if zone == time.UTC {
		return i
	}
	t := i.time()
	return ofTime(time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone))
}

// appendTo appends YYYY-MM-DD?hh:mm:ss.nnnnnnnnn with the separator, and so many digits of a second.
func (i instant) appendTo(dst []byte, separator byte, digits int) []byte {
	days := floorDiv(i.seconds, 86400)
	clock := i.seconds - days*86400
	year, month, day := cdc.CivilDate(days)
	dst = fmt.Appendf(dst, "%04d-%02d-%02d%c%02d:%02d:%02d", year, month, day, separator, clock/3600, clock/60%60, clock%60)
	if digits == 0 {
		return dst
	}
	fraction := int64(i.nanos)
	for range 9 - digits {
		fraction /= 10
	}
	return fmt.Appendf(dst, ".%0*d", digits, fraction)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// errTemporal says that text is no date or time that has a place in Connect's types.
func errTemporal(text []byte) error {
	switch string(text) {
	case "infinity", "-infinity":
		return fmt.Errorf("%s has no place in Connect's types", text)
	}
	return fmt.Errorf("%q is no date or time", text)
}

// parseDate reads [-]Y…YYYY-MM-DD[ BC] as days since 1970.
func parseDate(text []byte) (int64, error) {
	date, rest, ok := cutDate(text)
	if !ok || len(rest) > 0 {
		return 0, errTemporal(text)
	}
	return date, nil
}

// cutDate reads a date in front of other text. PostgreSQL puts BC at the very end.
func cutDate(text []byte) (days int64, rest []byte, ok bool) {
	bc := false
	if n := len(text) - 3; n > 0 && string(text[n:]) == " BC" {
		text, bc = text[:n], true
	}
	var part [3]int64
	i := 0
	for p := range part {
		from := i
		for i < len(text) && i-from < 7 && text[i] >= '0' && text[i] <= '9' {
			part[p] = part[p]*10 + int64(text[i]-'0')
			i++
		}
		if i == from || p > 0 && i-from != 2 {
			return 0, nil, false
		}
		if p < 2 {
			if i >= len(text) || text[i] != '-' {
				return 0, nil, false
			}
			i++
		}
	}
	if bc {
		part[0] = 1 - part[0]
	}
	if part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31 {
		return 0, nil, false // MySQL's 0000-00-00 and its like, too
	}
	days = cdc.EpochDays(part[0], part[1], part[2])
	if _, month, _ := cdc.CivilDate(days); month != part[1] {
		return 0, nil, false
	}
	return days, text[i:], true
}

// parseClock reads [-]h…hh:mm[:ss[.f…]] as nanoseconds, and returns what is behind it.
func parseClock(text []byte) (nanos int64, rest []byte, ok bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	number := func(most int) (n int64, digits int) {
		for digits < len(text) && digits < most && text[digits] >= '0' && text[digits] <= '9' {
			n = n*10 + int64(text[digits]-'0')
			digits++
		}
		text = text[digits:]
		return n, digits
	}
	hours, digits := number(3)
	if digits == 0 || len(text) == 0 || text[0] != ':' {
		return 0, nil, false
	}
	text = text[1:]
	minutes, digits := number(2)
	if digits != 2 || minutes > 59 {
		return 0, nil, false
	}
	nanos = (hours*60 + minutes) * 60e9
	if len(text) > 0 && text[0] == ':' {
		text = text[1:]
		seconds, digits := number(2)
		if digits != 2 || seconds > 59 {
			return 0, nil, false
		}
		nanos += seconds * 1e9
		if len(text) > 0 && text[0] == '.' {
			text = text[1:]
			fraction, digits := number(9)
			for range 9 - digits {
				fraction *= 10
			}
			number(len(text)) // finer than a nanosecond
			nanos += fraction
		}
	}
	if negative {
		nanos = -nanos
	}
	return nanos, text, true
}

// parseInstant reads a date, a space or T, a time and a zone (Z or ±hh[:mm[:ss]]), the last two of which may be missing.
// zoned reports whether there was a zone.
func parseInstant(text []byte) (at instant, zoned bool, err error) {
	days, rest, ok := cutDate(text)
	if !ok {
		return at, false, errTemporal(text)
	}
	at.seconds = days * 86400
	if len(rest) == 0 {
		return at, false, nil
	}
	if rest[0] != ' ' && rest[0] != 'T' {
		return at, false, errTemporal(text)
	}
	nanos, rest, ok := parseClock(rest[1:])
	if !ok || nanos < 0 || nanos > 24*3600e9 {
		return at, false, errTemporal(text)
	}
	at.seconds += nanos / 1e9
	at.nanos = int32(nanos % 1e9)
	offset, zoned, ok := parseZone(rest)
	if !ok {
		return at, false, errTemporal(text)
	}
	at.seconds -= offset
	return at, zoned, nil
}

// parseZone reads Z or ±hh[:mm[:ss]] as seconds east of Greenwich, or nothing.
func parseZone(text []byte) (seconds int64, zoned, ok bool) {
	switch {
	case len(text) == 0:
		return 0, false, true
	case string(text) == "Z":
		return 0, true, true
	case text[0] != '+' && text[0] != '-':
		return 0, false, false
	}
	sign := int64(1)
	if text[0] == '-' {
		sign = -1
	}
	for unit, text := int64(3600), text[1:]; ; unit /= 60 {
		if unit == 0 || len(text) < 2 || text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9' {
			return 0, false, false
		}
		seconds += sign * unit * int64(10*(text[0]-'0')+text[1]-'0')
		if text = text[2:]; len(text) == 0 {
			return seconds, true, true
		}
		if text[0] != ':' {
			return 0, false, false
		}
		text = text[1:]
	}
}
