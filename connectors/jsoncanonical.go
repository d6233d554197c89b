package connectors

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// CanonicalJSON reports whether AppendCanonicalJSON would append text as it is. It may say less than is true.
func CanonicalJSON(text []byte) bool { return canonicalEnd(text, 0, maxJSONDepth) == len(text) }

// canonicalEnd returns where the value at src[at:] ends if its text is canonical as it is, as that of most converters
// is. -1 says that somebody has to look closer: there is white space, an escape by number, a character beyond U+FFFF,
// an unusual number, or an error.
func canonicalEnd(src []byte, at, depth int) int {
	if at >= len(src) || depth == 0 {
		return -1
	}
	switch src[at] {
	case '{':
		return canonicalList(src, at, depth, '}')
	case '[':
		return canonicalList(src, at, depth, ']')
	case '"':
		return plainEnd(src, at+1)
	case 'n':
		return wordEnd(src, at, "null")
	case 't':
		return wordEnd(src, at, "true")
	case 'f':
		return wordEnd(src, at, "false")
	}
	return canonicalNumber(src, at)
}

// canonicalList returns the end of an object or array.
func canonicalList(src []byte, at, depth int, last byte) int {
	if at++; at < len(src) && src[at] == last {
		return at + 1
	}
	for {
		if last == '}' {
			if at >= len(src) || src[at] != '"' {
				return -1
			}
			if at = plainEnd(src, at+1); at < 0 || at >= len(src) || src[at] != ':' {
				return -1
			}
			at++
		}
		if at = canonicalEnd(src, at, depth-1); at < 0 || at >= len(src) {
			return -1
		}
		switch src[at] {
		case last:
			return at + 1
		case ',':
			at++
		default:
			return -1
		}
	}
}

// plainEnd returns the end of a string, from behind its first quote. Most have nothing in them that is to be looked at.
func plainEnd(src []byte, at int) int {
	for i := at; len(src)-i >= 8; i += 8 {
		if plain := plainBytes(binary.LittleEndian.Uint64(src[i:])); plain < 8 {
			if i += plain; src[i] == '"' {
				return i + 1
			}
			break
		}
	}
	return escapedEnd(src, at)
}

// escapedEnd is plainEnd of a string with escapes, or characters beyond ASCII, or at the end of src.
func escapedEnd(src []byte, at int) int {
	start, ascii := at, true
	for {
		if at += plainPrefix(src[at:]); at == len(src) {
			return -1
		}
		switch c := src[at]; {
		case c == '"':
			if !ascii && !utf8.Valid(src[start:at]) {
				return -1
			}
			return at + 1
		case c == '\\' && at+1 < len(src) && shortEscape(src[at+1]):
			at++
		case c == '\\', c < 0x20, c >= firstWide:
			return -1
		case c >= utf8.RuneSelf:
			ascii = false
		}
		at++
	}
}

// shortEscape reports whether a character behind a backslash makes an escape as appendEscaped writes it.
func shortEscape(c byte) bool {
	switch c {
	case '"', '\\', 'b', 't', 'n', 'f', 'r':
		return true
	}
	return false
}

func wordEnd(src []byte, at int, word string) int {
	if !bytes.HasPrefix(src[at:], []byte(word)) {
		return -1
	}
	return at + len(word)
}

// canonicalNumber returns the end of an integer, or of a number with a point that Java spells the same way whatever
// its digits: from 1 to below 10^7, at most 15 digits, which a double tells apart, and no zero too many.
func canonicalNumber(src []byte, at int) int {
	start := at
	if src[at] == '-' {
		at++
	}
	first := at
	at = digitsEnd(src, at)
	whole, places := at-first, 0
	if at < len(src) && src[at] == '.' {
		point := at
		at = digitsEnd(src, at+1)
		if places = at - point - 1; places == 0 || src[at-1] == '0' && places > 1 || whole > 7 || whole+places > 15 {
			return -1
		}
	}
	switch {
	case whole == 0, at < len(src) && src[at]|0x20 == 'e':
		return -1
	case src[first] == '0' && at > start+1: // -0, 0.001, 01
		return -1
	}
	return at
}

func digitsEnd(src []byte, at int) int {
	for ; len(src)-at >= 8; at += 8 {
		x := binary.LittleEndian.Uint64(src[at:])
		// Digits are 0x30 to 0x39: their upper halves are 3, also when 6 is added.
		if (x&0xF0F0F0F0F0F0F0F0)|(x+0x0606060606060606)&0xF0F0F0F0F0F0F0F0>>4 != 0x3333333333333333 {
			break
		}
	}
	for at < len(src) && src[at]-'0' <= 9 {
		at++
	}
	return at
}
