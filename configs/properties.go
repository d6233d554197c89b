package configs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a .properties text.
type Property struct {
	Key, Value string
	Line       int // where its key starts, from 1
}

// ParseProperties reads a text in the format of java.util.Properties.load: comments with # and !, keys ended by =, :
// or blanks, escapes \t \n \r \f \uXXXX, lines continued by a backslash at their end. Entries come in the order of
// the text; a key that comes again counts (as in Java) with its last value, and is a warning.
//
// The text is UTF-8, with or without a byte order mark; bytes that are not valid UTF-8 make it ISO-8859-1, which is
// what Java reads. A malformed \uXXXX is an error; the entry is left out.
func ParseProperties(data []byte) ([]Property, []Problem) {
	var entries []Property
	var problems []Problem
	lines := lineReader{text: decodeText(data), line: 1}
	first := map[string]int{}
	for {
		line, number, ok := lines.next()
		if !ok {
			return entries, problems
		}
		rawKey, rawValue := splitProperty(line)
		key, err := unescape(rawKey)
		value, err2 := unescape(rawValue)
		if err == nil {
			err = err2
		}
		if err != nil {
			problems = append(problems, Problem{Severity: Error, Line: number, Message: err.Error()})
			continue
		}
		if before, ok := first[key]; ok {
			problems = append(problems, Problem{Key: key, Severity: Warning, Line: number,
				Message: fmt.Sprintf("%s was given before on line %d; this value counts.", key, before)})
		}
		first[key] = number
		entries = append(entries, Property{Key: key, Value: value, Line: number})
	}
}

// decodeText returns data as UTF-8.
func decodeText(data []byte) string {
	if utf8.Valid(data) {
		return strings.TrimPrefix(string(data), "\ufeff")
	}
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return string(runes)
}

// lineReader cuts a text into logical lines: comments and empty lines left out, continued lines joined.
type lineReader struct {
	text string
	at   int
	line int // of text[at], from 1
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }
func isEnd(c byte) bool   { return c == '\n' || c == '\r' }

// take returns the next byte. "\r\n" ends one line, not two.
func (r *lineReader) take() byte {
	c := r.text[r.at]
	r.at++
	if c == '\n' || c == '\r' && !strings.HasPrefix(r.text[r.at:], "\n") {
		r.line++
	}
	return c
}

// next returns a logical line, escapes still in it, and the number of the line it starts on.
//
// Some corners follow from how Java reads: a line is only recognised as a comment while the logical line is empty,
// an empty line ends a continued one, and a backslash at the very end of the text vanishes (a text that is nothing
// but a backslash is an entry with an empty key).
func (r *lineReader) next() (line string, number int, ok bool) {
	var buf []byte
	skipping, continued, escaped := true, false, false
	for r.at < len(r.text) {
		here := r.line
		c := r.take()
		if skipping {
			if isBlank(c) || isEnd(c) && !continued {
				continue
			}
			skipping, continued = false, false
		}
		if len(buf) == 0 && (c == '#' || c == '!') {
			for r.at < len(r.text) && !isEnd(r.take()) {
			}
			skipping = true
			continue
		}
		if !isEnd(c) {
			if len(buf) == 0 {
				number = here
			}
			buf = append(buf, c)
			escaped = c == '\\' && !escaped
			continue
		}
		switch {
		case len(buf) == 0:
			skipping = true
			continue
		case !escaped:
			return string(buf), number, true
		case r.at == len(r.text):
			return string(buf[:len(buf)-1]), number, true
		}
		buf = buf[:len(buf)-1]
		skipping, continued, escaped = true, true, false
		if c == '\r' && r.text[r.at] == '\n' {
			r.take()
		}
	}
	if len(buf) == 0 {
		return "", 0, false
	}
	if escaped {
		buf = buf[:len(buf)-1]
	}
	return string(buf), number, true
}

// splitProperty cuts a logical line at the first =, : or blank that no backslash precedes. Blanks around it and one
// = or : among them belong to the cut.
func splitProperty(line string) (key, value string) {
	end := 0
	for escaped := false; end < len(line); end++ {
		c := line[end]
		if !escaped && (c == '=' || c == ':' || isBlank(c)) {
			break
		}
		escaped = c == '\\' && !escaped
	}
	rest := line[end:]
	rest = strings.TrimLeft(rest, " \t\f")
	if rest != "" && (rest[0] == '=' || rest[0] == ':') {
		rest = strings.TrimLeft(rest[1:], " \t\f")
	}
	return line[:end], rest
}

// unescape replaces the escapes. \uXXXX is a UTF-16 unit, so two may be one character.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "\\") {
		return s, nil
	}
	var out []byte
	var high rune // a first surrogate that waits for its second
	flush := func() {
		if high != 0 {
			out = utf8.AppendRune(out, utf8.RuneError)
			high = 0
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			flush()
			out = append(out, c)
			continue
		}
		i++
		if s[i] != 'u' {
			flush()
			out = append(out, simpleEscape(s[i]))
			continue
		}
		if len(s) < i+5 {
			return "", fmt.Errorf("malformed \\uxxxx encoding: %q has fewer than four hexadecimal digits", s[i-1:])
		}
		unit, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
		if err != nil {
			return "", fmt.Errorf("malformed \\uxxxx encoding: %q is not four hexadecimal digits", s[i-1:i+5])
		}
		i += 4
		r := rune(unit)
		switch {
		case high != 0 && utf16.DecodeRune(high, r) != utf8.RuneError:
			out = utf8.AppendRune(out, utf16.DecodeRune(high, r))
			high = 0
		case utf16.IsSurrogate(r) && r < 0xdc00:
			flush()
			high = r
		default:
			flush()
			out = utf8.AppendRune(out, r)
		}
	}
	flush()
	return string(out), nil
}

func simpleEscape(c byte) byte {
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	}
	return c
}
