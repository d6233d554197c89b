package transforms

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// javaDateFormat is a pattern of Java's SimpleDateFormat, in UTC and English. Letters it knows:
//
//	y year  Y week year  M L month  d day  D day of the year  E weekday  u number of the weekday  a AM or PM
//	H k K h hour (0-23, 1-24, 0-11, 1-12)  m minute  s second  S millisecond  z Z X time zone
//
// Others (era, weeks) are an error. Text stands between single quotes; two of them are one.
type javaDateFormat struct {
	pattern string
	parts   []datePart
}

type datePart struct {
	letter byte // 0: text
	count  int
	text   string
}

const dateLetters = "yYMLdDEuaHkKhmsSzZX"

func compileDateFormat(pattern string) (*javaDateFormat, error) {
	f := &javaDateFormat{pattern: pattern}
	for i := 0; i < len(pattern); {
		c := pattern[i]
		switch {
		case c == '\'':
			text, n, ok := quotedText(pattern[i:])
			if !ok {
				return nil, fmt.Errorf("date format %q has a quote without an end", pattern)
			}
			f.parts = append(f.parts, datePart{text: text})
			i += n
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(pattern) && pattern[i+n] == c {
				n++
			}
			if strings.IndexByte(dateLetters, c) < 0 || c == 'X' && n > 3 {
				return nil, fmt.Errorf("date format %q has %s, which is not supported here", pattern, pattern[i:i+n])
			}
			f.parts = append(f.parts, datePart{letter: c, count: n})
			i += n
		default:
			f.parts = append(f.parts, datePart{text: string(c)})
			i++
		}
	}
	return f, nil
}

// quotedText reads 'text', where ” is one quote.
func quotedText(s string) (text string, n int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			text += s[i : i+1]
		} else if i+1 < len(s) && s[i+1] == '\'' {
			text += "'"
			i++
		} else {
			return text, i + 1, true
		}
	}
	return "", 0, false
}

func checkDateFormat(pattern string) error {
	_, err := compileDateFormat(pattern)
	return err
}

// format writes a time, which is in UTC.
func (f *javaDateFormat) format(t time.Time) string {
	var b []byte
	for _, p := range f.parts {
		if p.letter == 0 {
			b = append(b, p.text...)
			continue
		}
		b = p.append(b, t)
	}
	return string(b)
}

func (p datePart) append(b []byte, t time.Time) []byte {
	n := p.number(t)
	switch p.letter {
	case 'y', 'Y':
		if p.count == 2 {
			n %= 100
		}
	case 'M', 'L':
		if p.count > 3 {
			return append(b, t.Month().String()...)
		}
		if p.count == 3 {
			return append(b, t.Month().String()[:3]...)
		}
	case 'E':
		if p.count > 3 {
			return append(b, t.Weekday().String()...)
		}
		return append(b, t.Weekday().String()[:3]...)
	case 'a':
		return append(b, [2]string{"AM", "PM"}[n]...)
	case 'z':
		if p.count > 3 {
			return append(b, "Coordinated Universal Time"...)
		}
		return append(b, "UTC"...)
	case 'Z':
		return append(b, "+0000"...)
	case 'X':
		return append(b, 'Z')
	}
	text := strconv.Itoa(n)
	for i := len(text); i < p.count; i++ {
		b = append(b, '0')
	}
	return append(b, text...)
}

// number returns the part of a time that a letter means.
func (p datePart) number(t time.Time) int {
	switch p.letter {
	case 'y':
		return t.Year()
	case 'Y': // weeks begin on Sunday, and the first is that of 1 January: so the year is that of the Saturday
		return t.AddDate(0, 0, int(time.Saturday-t.Weekday())).Year()
	case 'M', 'L':
		return int(t.Month())
	case 'd':
		return t.Day()
	case 'D':
		return t.YearDay()
	case 'u':
		return (int(t.Weekday())+6)%7 + 1
	case 'a':
		return t.Hour() / 12
	case 'H':
		return t.Hour()
	case 'k':
		return (t.Hour()+23)%24 + 1
	case 'K':
		return t.Hour() % 12
	case 'h':
		return (t.Hour()+11)%12 + 1
	case 'm':
		return t.Minute()
	case 's':
		return t.Second()
	case 'S':
		return t.Nanosecond() / 1e6
	}
	return 0
}

// dateFields are the fields of a time being read.
type dateFields struct {
	year, month, day, yearDay int
	hour, half                int // half: 1 in the afternoon
	minute, second, millis    int
	offset                    int // seconds east of UTC
}

// parse reads a time as Java's lenient parser does: numbers beyond their range carry over, a number that another
// number follows directly takes as many digits as its letters, and what follows the pattern is ignored.
func (f *javaDateFormat) parse(text string) (time.Time, error) {
	fields := dateFields{year: 1970, month: 1, day: 1}
	rest := text
	for i, p := range f.parts {
		var ok bool
		if p.letter == 'Y' {
			return time.Time{}, fmt.Errorf("date format %q cannot be read: Y is the year of the week, write y", f.pattern)
		}
		if p.letter == 0 {
			rest, ok = strings.CutPrefix(rest, p.text)
		} else {
			abutting := i+1 < len(f.parts) && f.parts[i+1].letter != 0 && f.parts[i+1].numeric()
			rest, ok = p.parse(&fields, strings.TrimLeft(rest, " \t"), abutting)
		}
		if !ok {
			return time.Time{}, fmt.Errorf("%q does not match the date format %q", text, f.pattern)
		}
	}
	t := time.Date(fields.year, time.Month(fields.month), fields.day, fields.hour+12*fields.half, fields.minute, fields.second, 0, time.UTC)
	if fields.yearDay > 0 {
		t = t.AddDate(0, 0, fields.yearDay-t.YearDay())
	}
	return t.Add(time.Duration(fields.millis)*time.Millisecond - time.Duration(fields.offset)*time.Second), nil
}

// numeric reports whether the part is written in digits.
func (p datePart) numeric() bool {
	return strings.IndexByte("EazZX", p.letter) < 0 && !((p.letter == 'M' || p.letter == 'L') && p.count > 2)
}

func (p datePart) parse(f *dateFields, text string, abutting bool) (rest string, ok bool) {
	switch {
	case p.letter == 'E':
		_, rest, ok = cutName(text, 7, func(i int) string { return time.Weekday(i).String() })
		return rest, ok
	case p.letter == 'a':
		if len(text) < 2 || !strings.EqualFold(text[1:2], "M") || strings.IndexByte("aApP", text[0]) < 0 {
			return "", false
		}
		if text[0]|0x20 == 'p' {
			f.half = 1
		}
		return text[2:], true
	case p.letter == 'z' || p.letter == 'Z' || p.letter == 'X':
		return f.zone(text)
	case !p.numeric():
		var month int
		month, rest, ok = cutName(text, 12, func(i int) string { return time.Month(i + 1).String() })
		f.month = month + 1
		return rest, ok
	}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' && (!abutting || digits < p.count) {
		digits++
	}
	n, err := strconv.Atoi(text[:digits])
	if err != nil || n > 1e9 {
		return "", false
	}
	if p.letter == 'y' && p.count <= 2 && digits == 2 {
		n = nearCentury(n, time.Now().Year())
	}
	f.set(p.letter, n)
	return text[digits:], true
}

// nearCentury completes a year of two digits as Java does: within 80 years before and 20 years after now.
func nearCentury(n, now int) int {
	year := (now+20)/100*100 + n
	if year > now+20 {
		year -= 100
	}
	return year
}

func (f *dateFields) set(letter byte, n int) {
	switch letter {
	case 'y':
		f.year = n
	case 'M', 'L':
		f.month = n
	case 'd':
		f.day = n
	case 'D':
		f.yearDay = n
	case 'H', 'K':
		f.hour = n
	case 'k':
		f.hour = n % 24
	case 'h':
		f.hour = n % 12
	case 'm':
		f.minute = n
	case 's':
		f.second = n
	case 'S':
		f.millis = n
	}
}

// cutName reads one of n English names, whole or its first three letters.
func cutName(text string, n int, name func(int) string) (i int, rest string, ok bool) {
	for _, whole := range []bool{true, false} {
		for i := range n {
			want := name(i)
			if !whole {
				want = want[:3]
			}
			if len(text) >= len(want) && strings.EqualFold(text[:len(want)], want) {
				return i, text[len(want):], true
			}
		}
	}
	return 0, "", false
}

// zone reads Z, UTC, GMT, GMT+1:00, +01, +0100 or +01:00.
func (f *dateFields) zone(text string) (rest string, ok bool) {
	for _, name := range []string{"UTC", "GMT", "Z"} {
		if after, found := strings.CutPrefix(text, name); found {
			if after == "" || after[0] != '+' && after[0] != '-' {
				return after, true
			}
			text = after
			break
		}
	}
	if text == "" || text[0] != '+' && text[0] != '-' {
		return "", false
	}
	sign, text := text[0], text[1:]
	digits := func(n int) (v int, ok bool) {
		if len(text) < n {
			return 0, false
		}
		v, err := strconv.Atoi(text[:n])
		text = text[n:]
		return v, err == nil
	}
	width := 2
	if len(text) > 1 && text[1] == ':' {
		width = 1
	}
	hours, ok := digits(width)
	if !ok {
		return "", false
	}
	minutes := 0
	if after, found := strings.CutPrefix(text, ":"); found {
		text = after
		if minutes, ok = digits(2); !ok {
			return "", false
		}
	} else if len(text) >= 2 && text[0] >= '0' && text[0] <= '9' {
		minutes, _ = digits(2)
	}
	f.offset = hours*3600 + minutes*60
	if sign == '-' {
		f.offset = -f.offset
	}
	return text, true
}
