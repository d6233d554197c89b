package avro

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// doubleNode holds a floating-point number of 32 or 64 bits.
func doubleNode(f float64, bits int) *node { return &node{kind: floatNode, text: javaFloat(f, bits)} }

// javaFloat prints f as Java's Double.toString and Float.toString do: with a point always, and with an exponent
// outside 10^-3 … 10^7.
func javaFloat(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		s := strconv.FormatFloat(f, 'f', -1, bits)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	digits, exp, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, bits), "e")
	if !strings.Contains(digits, ".") { // two digits at least, and of those the nearest ones
		two := strconv.FormatFloat(f, 'e', 1, bits)
		if g, _ := strconv.ParseFloat(two, bits); g == f {
			digits, exp, _ = strings.Cut(two, "e")
		} else {
			digits += ".0"
		}
	}
	e, _ := strconv.Atoi(exp)
	return digits + "E" + strconv.Itoa(e)
}

// appendJSON appends n as Jackson prints it: compact, nothing escaped but what must be.
func (n *node) appendJSON(dst []byte) []byte {
	switch n.kind {
	case nullNode:
		return append(dst, "null"...)
	case stringNode:
		return appendQuoted(dst, n.text)
	case floatNode:
		if strings.HasSuffix(n.text, "N") || strings.HasSuffix(n.text, "y") { // NaN, Infinity
			return appendQuoted(dst, n.text)
		}
		return append(dst, n.text...)
	case arrayNode:
		dst = append(dst, '[')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst)
		}
		return append(dst, ']')
	case objectNode:
		dst = append(dst, '{')
		for i, item := range n.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, n.names[i]), ':')
			dst = item.appendJSON(dst)
		}
		return append(dst, '}')
	}
	return append(dst, n.text...)
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		if j := strings.IndexByte("\"\\\b\f\n\r\t", c); j >= 0 {
			dst = append(dst, '\\', `"\bfnrt`[j])
		} else {
			dst = fmt.Appendf(dst, `\u%04X`, c)
		}
	}
	return append(append(dst, s[start:]...), '"')
}
