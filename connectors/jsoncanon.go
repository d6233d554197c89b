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
	c := canonicalizer{r: jsonReader{src: text}, dst: dst}
	if err := c.value(maxJSONDepth); err != nil {
		return dst, err
	}
	return c.dst, c.r.end()
}

type canonicalizer struct {
	r       jsonReader
	dst     []byte
	scratch []byte
}

func (c *canonicalizer) value(depth int) error {
	if depth == 0 {
		return c.r.fail("nested too deeply")
	}
	switch c.r.peek() {
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	case '"':
		text, escaped, err := c.r.raw()
		c.string(text, escaped)
		return err
	case 'n':
		return c.literal("null")
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	}
	return c.number()
}

func (c *canonicalizer) literal(word string) error {
	c.dst = append(c.dst, word...)
	return c.r.literal(word)
}

func (c *canonicalizer) string(text []byte, escaped bool) {
	if escaped {
		c.scratch = unescape(c.scratch[:0], text)
		text = c.scratch
	}
	c.dst = AppendJSONString(c.dst, text)
}

func (c *canonicalizer) object(depth int) error {
	c.dst = append(c.dst, '{')
	first := true
	err := c.r.members(func(name []byte, escaped bool) error {
		if !first {
			c.dst = append(c.dst, ',')
		}
		first = false
		c.string(name, escaped)
		c.dst = append(c.dst, ':')
		return c.value(depth - 1)
	})
	c.dst = append(c.dst, '}')
	return err
}

func (c *canonicalizer) array(depth int) error {
	c.dst = append(c.dst, '[')
	first := true
	err := c.r.elements(func() error {
		if !first {
			c.dst = append(c.dst, ',')
		}
		first = false
		return c.value(depth - 1)
	})
	c.dst = append(c.dst, ']')
	return err
}

func (c *canonicalizer) number() error {
	text, integer, err := c.r.number()
	if err != nil {
		return err
	}
	if integer {
		if string(text) == "-0" {
			text = text[1:]
		}
		c.dst = append(c.dst, text...)
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
