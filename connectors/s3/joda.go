package s3

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the machine may have no time zones of its own
)

// pattern is a compiled path.format in the letters of Joda-Time's DateTimeFormat:
//
//	G era            C century         Y year of era    x week year   w week of it   y year      D day of year
//	M month          d day of month    E name of day    e its number  a AM, PM       K hour 0-11 h hour 1-12
//	H hour 0-23      k hour 1-24       m minute         s second      S fraction     z zone name Z offset or zone id
//	'text' as it is  '' a quote; other characters as they are
//
// A number has as many digits as there are letters, at least; two letters of a year are its last two digits. A name
// is whole with four letters or more, otherwise short. Names are English.
type pattern struct{ parts []patternPart }

type patternPart struct {
	letter byte // 0: literal
	count  int
	text   string
}

const patternLetters = "GCYxwyDMdEeaKhHkmsSzZ"

// parsePattern compiles a pattern.
func parsePattern(text string) (*pattern, error) {
	p := &pattern{}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'':
			literal, size, err := quoted(text[i:])
			if err != nil {
				return nil, err
			}
			p.literal(literal)
			i += size
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(text) && text[i+n] == c {
				n++
			}
			if !strings.ContainsRune(patternLetters, rune(c)) {
				return nil, fmt.Errorf("the letter %q has no meaning; text goes between single quotes", c)
			}
			if n > maxPatternCount {
				return nil, fmt.Errorf("%d times %q is too much", n, c)
			}
			p.parts = append(p.parts, patternPart{letter: c, count: n})
			i += n
		default:
			p.literal(text[i : i+1])
			i++
		}
	}
	return p, nil
}

// maxPatternCount bounds the digits of a number.
const maxPatternCount = 64

// quoted reads what begins with a quote: ” is a quote, 'a”b' is a'b.
func quoted(text string) (literal string, size int, err error) {
	if strings.HasPrefix(text, "''") {
		return "'", 2, nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '\'':
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '\'':
			b.WriteByte('\'')
			i++
		default:
			return b.String(), i + 1, nil
		}
	}
	return "", 0, fmt.Errorf("a quote is not closed")
}

func (p *pattern) literal(text string) {
	if n := len(p.parts); n > 0 && p.parts[n-1].letter == 0 {
		p.parts[n-1].text += text
		return
	}
	p.parts = append(p.parts, patternPart{text: text})
}

// names reports whether the pattern shows names in a language.
func (p *pattern) names() bool {
	for _, part := range p.parts {
		if part.letter == 'E' || part.letter == 'M' && part.count > 2 || part.letter == 'a' || part.letter == 'G' {
			return true
		}
	}
	return false
}

// append appends a time, in its own zone.
func (p *pattern) append(dst []byte, t time.Time) []byte {
	for i := range p.parts {
		if part := &p.parts[i]; part.letter == 0 {
			dst = append(dst, part.text...)
		} else {
			dst = part.append(dst, t)
		}
	}
	return dst
}

func (p *patternPart) append(dst []byte, t time.Time) []byte {
	switch p.letter {
	case 'Y', 'y', 'x':
		return p.year(dst, t)
	case 'M':
		if p.count > 2 {
			return p.name(dst, t.Month().String())
		}
		return p.number(dst, int(t.Month()))
	case 'E':
		return p.name(dst, t.Weekday().String())
	case 'a':
		return append(dst, t.Format("PM")...)
	case 'G':
		if t.Year() <= 0 {
			return append(dst, "BC"...)
		}
		return append(dst, "AD"...)
	case 'S':
		return p.fraction(dst, t)
	case 'z', 'Z':
		return p.zone(dst, t)
	}
	return p.number(dst, p.field(t))
}

func (p *patternPart) field(t time.Time) int {
	switch p.letter {
	case 'C':
		return yearOfEra(t) / 100
	case 'w':
		_, week := t.ISOWeek()
		return week
	case 'D':
		return t.YearDay()
	case 'd':
		return t.Day()
	case 'e':
		return (int(t.Weekday())+6)%7 + 1
	case 'K':
		return t.Hour() % 12
	case 'h':
		return (t.Hour()+11)%12 + 1
	case 'H':
		return t.Hour()
	case 'k':
		return (t.Hour()+23)%24 + 1
	case 'm':
		return t.Minute()
	}
	return t.Second()
}

func yearOfEra(t time.Time) int {
	if y := t.Year(); y <= 0 {
		return 1 - y
	} else {
		return y
	}
}

func (p *patternPart) year(dst []byte, t time.Time) []byte {
	y := t.Year()
	switch p.letter {
	case 'Y':
		y = yearOfEra(t)
	case 'x':
		y, _ = t.ISOWeek()
	}
	if p.count == 2 {
		y = (y%100 + 100) % 100
	}
	return p.number(dst, y)
}

func (p *patternPart) name(dst []byte, name string) []byte {
	if p.count < 4 {
		name = name[:3]
	}
	return append(dst, name...)
}

func (p *patternPart) number(dst []byte, n int) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	var buf [20]byte
	digits := strconv.AppendInt(buf[:0], int64(n), 10)
	for i := len(digits); i < p.count; i++ {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// fraction appends the first digits of the fraction of a second.
func (p *patternPart) fraction(dst []byte, t time.Time) []byte {
	digits := fmt.Appendf(nil, "%09d", t.Nanosecond())
	for i := range p.count {
		if i < len(digits) {
			dst = append(dst, digits[i])
		} else {
			dst = append(dst, '0')
		}
	}
	return dst
}

func (p *patternPart) zone(dst []byte, t time.Time) []byte {
	name, _ := t.Zone()
	switch {
	case p.letter == 'z':
		return append(dst, name...)
	case p.count == 1:
		return append(dst, t.Format("-0700")...)
	case p.count == 2:
		return append(dst, t.Format("-07:00")...)
	}
	return append(dst, t.Location().String()...)
}

// checkPattern says what is wrong with a value of path.format.
func checkPattern(text string) error {
	if _, err := parsePattern(text); err != nil {
		return fmt.Errorf("must be a pattern of Joda-Time such as 'year'=YYYY/'month'=MM/'day'=dd: %w", err)
	}
	return nil
}

func patternHasNames(text string) bool {
	p, err := parsePattern(text)
	return err == nil && p.names()
}
