package connectors

import (
	"bytes"
	"math"
	"strconv"
)

// AppendCanonicalJSON checks that text is one JSON value and appends it as JsonConverter prints the same value without
// a schema: no white space, strings escaped as AppendJSONString does, numbers with a point or an exponent spelled as
// Java's doubles. A number that a double cannot hold keeps its own digits (Connect would change it); members keep
// their order, and members that are named twice are both kept.
func AppendCanonicalJSON(dst, text []byte) ([]byte, error) {
	if CanonicalJSON(text) {
		return append(dst, text...), nil
	}
	return canonicalize(dst, text)
}

func canonicalize(dst, text []byte) ([]byte, error) {
	c := canonicalizer{jsonReader: jsonReader{src: text}, dst: dst}
	if err := c.value(maxJSONDepth); err != nil {
		return dst, err
	}
	c.leaveOut(c.pos)
	return c.dst, c.end()
}

// canonicalizer reads JSON text that canonicalEnd has not found canonical. What is so already is copied in stretches as
// long as possible.
type canonicalizer struct {
	jsonReader
	dst     []byte
	copied  int // src is dealt with up to here; from here to pos nothing needs a change
	scratch []byte
}

// next returns the next byte that is not white space without consuming it, and leaves out what is white.
func (c *canonicalizer) next() byte {
	from := c.pos
	if from < len(c.src) && c.src[from] > ' ' {
		return c.src[from]
	}
	b := c.peek()
	if c.pos > from {
		c.leaveOut(from)
	}
	return b
}

// leaveOut copies what is canonical before from, and leaves out the rest up to pos.
func (c *canonicalizer) leaveOut(from int) {
	c.dst = append(c.dst, c.src[c.copied:from]...)
	c.copied = c.pos
}

func (c *canonicalizer) value(depth int) error {
	if depth == 0 {
		return c.fail("nested too deeply")
	}
	switch c.next() {
	case '{':
		return c.list('}', depth, true)
	case '[':
		return c.list(']', depth, false)
	case '"':
		return c.string()
	case 'n':
		return c.literal("null")
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	}
	return c.number()
}

// list reads an object or array up to its last bracket.
func (c *canonicalizer) list(last byte, depth int, object bool) error {
	c.pos++
	if c.next() == last {
		c.pos++
		return nil
	}
	for {
		if object {
			if c.next() != '"' {
				return c.fail("expected '\"'")
			}
			if err := c.string(); err != nil {
				return err
			}
			if c.next() != ':' {
				return c.fail("expected ':'")
			}
			c.pos++
		}
		if err := c.value(depth - 1); err != nil {
			return err
		}
		switch c.next() {
		case last:
			c.pos++
			return nil
		case ',':
			c.pos++
		default:
			return c.fail("expected ','")
		}
	}
}

func (c *canonicalizer) string() error {
	from := c.pos
	c.pos++
	text, kind, err := c.inside()
	if err != nil || kind == plainString {
		return err
	}
	c.leaveOut(from)
	if kind == escapedString {
		c.scratch = unescape(c.scratch[:0], text)
		text = c.scratch
	}
	c.dst = AppendJSONString(c.dst, text)
	return nil
}

func (c *canonicalizer) number() error {
	from := c.pos
	text, integer, err := c.jsonReader.number()
	if err != nil || integer && string(text) != "-0" {
		return err
	}
	c.leaveOut(from)
	if integer {
		c.dst = append(c.dst, '0')
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err == nil && !math.IsInf(f, 0) {
		mark := len(c.dst)
		c.dst = AppendJavaFloat(c.dst, f, 64)
		if sameNumber(text, c.dst[mark:]) {
			return nil
		}
		c.dst = c.dst[:mark]
	}
	c.dst = append(c.dst, text...)
	return nil
}

// sameNumber reports whether two JSON numbers are the same decimal.
func sameNumber(a, b []byte) bool {
	var bufA, bufB [32]byte
	digitsA, expA, okA := decimalParts(bufA[:0], a)
	digitsB, expB, okB := decimalParts(bufB[:0], b)
	return okA && okB && expA == expB && bytes.Equal(digitsA, digitsB)
}

// decimalParts takes a JSON number apart: its digits without zeros at either end, and the power of ten of the last one.
// Zero has no digits and the power 0. A number with an exponent beyond a thousand million is refused.
func decimalParts(buf, text []byte) (digits []byte, exp int, ok bool) {
	point := false
	for i, c := range text {
		switch {
		case c == '.':
			point = true
		case c|0x20 == 'e':
			n, err := strconv.ParseInt(string(text[i+1:]), 10, 32)
			if err != nil || n > 1e9 || n < -1e9 {
				return nil, 0, false
			}
			exp += int(n)
		case c == '-':
			continue
		default:
			if point {
				exp--
			}
			if c != '0' || len(buf) > 0 {
				buf = append(buf, c)
			}
		}
		if c|0x20 == 'e' {
			break
		}
	}
	for len(buf) > 0 && buf[len(buf)-1] == '0' {
		buf = buf[:len(buf)-1]
		exp++
	}
	if len(buf) == 0 {
		return nil, 0, true
	}
	return buf, exp, true
}
