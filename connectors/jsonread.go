package connectors

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep JSON text may be nested (Jackson's own limit).
const maxJSONDepth = 1000

// ErrJSON says that a text is not valid JSON.
var ErrJSON = errors.New("invalid JSON")

// jsonReader reads JSON text from front to back. Its methods skip white space before what they read.
type jsonReader struct {
	src []byte
	pos int
}

func (r *jsonReader) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrJSON, what, r.pos)
}

// peek returns the next byte that is not white space without consuming it, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.pos < len(r.src) {
		switch c := r.src[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// accept consumes c if it is next.
func (r *jsonReader) accept(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.pos++
	return true
}

func (r *jsonReader) expect(c byte) error {
	if !r.accept(c) {
		return r.fail("expected '" + string(rune(c)) + "'")
	}
	return nil
}

// end fails unless only white space is left.
func (r *jsonReader) end() error {
	if r.peek() != 0 || r.pos < len(r.src) {
		return r.fail("text after the value")
	}
	return nil
}

// literal consumes a word: null, true or false.
func (r *jsonReader) literal(word string) error {
	r.peek()
	if len(r.src)-r.pos < len(word) || string(r.src[r.pos:r.pos+len(word)]) != word {
		return r.fail("unknown word")
	}
	r.pos += len(word)
	return nil
}

// raw consumes a string and returns what stands between its quotes, and whether there are escapes in it.
func (r *jsonReader) raw() (text []byte, escaped bool, err error) {
	if err := r.expect('"'); err != nil {
		return nil, false, err
	}
	text, kind, err := r.inside()
	return text, kind == escapedString, err
}

// stringKind says how a JSON string is written.
type stringKind uint8

const (
	plainString   stringKind = iota // without escapes and characters beyond U+FFFF
	wideString                      // without escapes
	escapedString                   // with escapes
)

// inside consumes the rest of a string, behind its first quote, and returns what stands between the quotes.
func (r *jsonReader) inside() (text []byte, kind stringKind, err error) {
	start, ascii := r.pos, true
	for i := start; ; {
		i += plainPrefix(r.src[i:])
		r.pos = i
		if i >= len(r.src) {
			return nil, kind, r.fail("string without an end")
		}
		switch c := r.src[i]; {
		case c == '"':
			text = r.src[start:i:i]
			if !ascii && !utf8.Valid(text) {
				return nil, kind, r.fail("string is not UTF-8")
			}
			r.pos++
			return text, kind, nil
		case c == '\\':
			kind = escapedString
			if err := r.escape(); err != nil {
				return nil, kind, err
			}
			i = r.pos
			continue
		case c < 0x20:
			return nil, kind, r.fail("control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
			if c >= firstWide && kind == plainString {
				kind = wideString
			}
		}
		i++
	}
}

// firstWide is the least first byte of a character beyond U+FFFF in UTF-8.
const firstWide = 0xF0

// escape consumes one escape sequence.
func (r *jsonReader) escape() error {
	if r.pos++; r.pos >= len(r.src) {
		return r.fail("string without an end")
	}
	switch r.src[r.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		r.pos++
		return nil
	case 'u':
		if _, ok := hex4(r.src[r.pos+1:]); ok {
			r.pos += 5
			return nil
		}
	}
	return r.fail("unknown escape")
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var u rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

// unescape appends the meaning of the inside of a string that raw has accepted. Half a surrogate pair becomes U+FFFD.
func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		c = text[i+1]
		i += 2
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			u, _ := hex4(text[i:])
			i += 4
			if utf16.IsSurrogate(u) {
				low := rune(-1)
				if len(text)-i >= 6 && text[i] == '\\' && text[i+1] == 'u' {
					low, _ = hex4(text[i+2:])
				}
				if u = utf16.DecodeRune(u, low); u != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, u)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// text consumes a string and returns its meaning, which may share the source or scratch, and the scratch to use next.
func (r *jsonReader) text(scratch []byte) (text, again []byte, err error) {
	text, escaped, err := r.raw()
	if err != nil || !escaped {
		return text, scratch, err
	}
	scratch = unescape(scratch[:0], text)
	return scratch, scratch, nil
}

// number consumes a number and returns its text, and whether it is written as an integer.
func (r *jsonReader) number() (text []byte, integer bool, err error) {
	r.peek()
	start := r.pos
	if r.pos < len(r.src) && r.src[r.pos] == '-' {
		r.pos++
	}
	zero := r.pos
	n := r.digits()
	if n == 0 || n > 1 && r.src[zero] == '0' {
		return nil, false, r.fail("not a value")
	}
	integer = true
	if r.pos < len(r.src) && r.src[r.pos] == '.' {
		integer = false
		if r.pos++; r.digits() == 0 {
			return nil, false, r.fail("number without digits after its point")
		}
	}
	if r.pos < len(r.src) && r.src[r.pos]|0x20 == 'e' {
		integer = false
		r.pos++
		if r.pos < len(r.src) && (r.src[r.pos] == '+' || r.src[r.pos] == '-') {
			r.pos++
		}
		if r.digits() == 0 {
			return nil, false, r.fail("number without digits in its exponent")
		}
	}
	return r.src[start:r.pos:r.pos], integer, nil
}

func (r *jsonReader) digits() (n int) {
	for r.pos < len(r.src) && r.src[r.pos] >= '0' && r.src[r.pos] <= '9' {
		r.pos++
		n++
	}
	return n
}

// skip consumes one value of any kind, checking that it is valid.
func (r *jsonReader) skip(depth int) (err error) {
	if depth == 0 {
		return r.fail("nested too deeply")
	}
	switch r.peek() {
	case '{':
		return r.members(func([]byte, bool) error { return r.skip(depth - 1) })
	case '[':
		return r.elements(func() error { return r.skip(depth - 1) })
	case '"':
		_, _, err = r.raw()
	case 'n':
		err = r.literal("null")
	case 't':
		err = r.literal("true")
	case 'f':
		err = r.literal("false")
	default:
		_, _, err = r.number()
	}
	return err
}

// members consumes an object. For each member do gets the name as it stands between its quotes, and consumes the value.
func (r *jsonReader) members(do func(name []byte, escaped bool) error) error {
	if err := r.expect('{'); err != nil {
		return err
	}
	if r.accept('}') {
		return nil
	}
	for {
		name, escaped, err := r.raw()
		if err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		if err := do(name, escaped); err != nil {
			return err
		}
		if r.accept('}') {
			return nil
		}
		if err := r.expect(','); err != nil {
			return err
		}
	}
}

// elements consumes an array, of which do consumes the elements.
func (r *jsonReader) elements(do func() error) error {
	if err := r.expect('['); err != nil {
		return err
	}
	if r.accept(']') {
		return nil
	}
	for {
		if err := do(); err != nil {
			return err
		}
		if r.accept(']') {
			return nil
		}
		if err := r.expect(','); err != nil {
			return err
		}
	}
}

// value consumes one value and returns its text.
func (r *jsonReader) value() ([]byte, error) {
	r.peek()
	start := r.pos
	if err := r.skip(maxJSONDepth); err != nil {
		return nil, err
	}
	return r.src[start:r.pos:r.pos], nil
}

// EachJSONMember calls do for each member of the JSON object text, in order, with its name (valid during the call
// only) and the text of its value, which is valid JSON and shares text. It fails if text is not an object.
func EachJSONMember(text []byte, do func(name, value []byte) error) error {
	r := jsonReader{src: text}
	var scratch []byte
	err := r.members(func(name []byte, escaped bool) error {
		if escaped {
			scratch = unescape(scratch[:0], name)
			name = scratch
		}
		value, err := r.value()
		if err != nil {
			return err
		}
		return do(name, value)
	})
	if err != nil {
		return err
	}
	return r.end()
}

// EachJSONElement calls do for each element of the JSON array text, in order. It fails if text is not an array.
func EachJSONElement(text []byte, do func(value []byte) error) error {
	r := jsonReader{src: text}
	err := r.elements(func() error {
		value, err := r.value()
		if err != nil {
			return err
		}
		return do(value)
	})
	if err != nil {
		return err
	}
	return r.end()
}

// AppendJSONText appends what the JSON string text means. It fails if text is not a string.
func AppendJSONText(dst, text []byte) ([]byte, error) {
	r := jsonReader{src: text}
	inside, _, err := r.raw()
	if err != nil {
		return dst, err
	}
	return unescape(dst, inside), r.end()
}
