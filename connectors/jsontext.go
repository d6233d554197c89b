package connectors

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// The spelling of JSON as Kafka Connect's JsonConverter (Jackson) writes it:
//
//	strings    \" \\ \b \t \n \f \r, other control characters as \u001F (upper-case hex), characters beyond U+FFFF as
//	           an escaped surrogate pair, everything else as it is
//	floats     as Java's Double.toString and Float.toString (JDK 19 and later); NaN and the infinities as strings
//	bytes      base64 with padding, as a string

const hexDigits = "0123456789ABCDEF"

// AppendJSONString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		if i += plainPrefix(s[i:]); i >= len(s) {
			break
		}
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = appendEscaped(append(dst, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), "\uFFFD"...)
			start = i + 1
		case r > 0xFFFF:
			dst = appendSurrogates(append(dst, s[start:i]...), r)
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

// plainPrefix returns how many bytes at the start of s surely are ASCII and need no escape. It looks at whole eights
// only: at the end of s it may say less than is true.
func plainPrefix(s []byte) (n int) {
	for ; len(s)-n >= 8; n += 8 {
		if plain := plainBytes(binary.LittleEndian.Uint64(s[n:])); plain < 8 {
			return n + plain
		}
	}
	return n
}

// plainBytes returns how many of eight bytes are ASCII and need no escape, before the first that is or does not.
func plainBytes(x uint64) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, slash := x^(ones*'"'), x^(ones*'\\')
	// A bit for each byte below 0x20, a quote, a backslash or beyond ASCII. A borrow may set more of them, but none
	// before the first that is right.
	return bits.TrailingZeros64((x|(x-ones*0x20)|(quote-ones)|(slash-ones))&high) / 8
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

func appendSurrogates(dst []byte, r rune) []byte {
	r -= 0x10000
	for _, u := range [2]rune{0xD800 + r>>10, 0xDC00 + r&0x3FF} {
		dst = append(dst, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
	}
	return dst
}

// AppendJSONFloat appends a float of 32 or 64 bits: a number spelled as Java does, or the string "NaN", "Infinity" or
// "-Infinity".
func AppendJSONFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(AppendJavaFloat(append(dst, '"'), f, bits), '"')
	}
	return AppendJavaFloat(dst, f, bits)
}

// AppendJavaFloat appends a float of 32 or 64 bits as Java's Double.toString or Float.toString spells it: plain
// between 10^-3 and 10^7 ("100.0", "0.001"), otherwise with an exponent ("1.0E10", "1.2E-4"), always with a digit on
// both sides of the point, and no more digits than it takes to tell it from its neighbours.
func AppendJavaFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	if math.Signbit(f) {
		dst, f = append(dst, '-'), -f
	}
	if f < 1e7 && f == math.Trunc(f) {
		return append(strconv.AppendInt(dst, int64(f), 10), '.', '0')
	}
	var buf [64]byte
	digits, exp := shortest(buf[:], f, bits)
	switch {
	case exp >= 0 && exp < 7: // 123.45
		if len(digits) <= exp+1 {
			dst = append(dst, digits...)
			for i := len(digits); i <= exp; i++ {
				dst = append(dst, '0')
			}
			return append(dst, '.', '0')
		}
		return append(append(append(dst, digits[:exp+1]...), '.'), digits[exp+1:]...)
	case exp < 0 && exp >= -3: // 0.00123
		dst = append(dst, '0', '.')
		for i := -1; i > exp; i-- {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[0], '.')
	if len(digits) == 1 {
		dst = append(dst, '0')
	}
	dst = append(append(dst, digits[1:]...), 'E')
	return strconv.AppendInt(dst, int64(exp), 10)
}

// shortest returns the shortest decimal digits that read back as f, and the power of ten of the first digit. Where one
// digit would do, Java takes the nearest decimal of two digits (4.9E-324, not 5E-324).
func shortest(buf []byte, f float64, bits int) (digits []byte, exp int) {
	digits, exp = splitExponent(strconv.AppendFloat(buf[:0:32], f, 'e', -1, bits))
	if len(digits) > 1 {
		return digits, exp
	}
	two := strconv.AppendFloat(buf[32:32], f, 'e', 1, bits)
	if two[2] == '0' {
		return digits, exp
	}
	if back, err := strconv.ParseFloat(string(two), bits); err != nil || back != f {
		return digits, exp
	}
	return splitExponent(two)
}

// splitExponent takes "d.ddde±xx" apart, in place.
func splitExponent(text []byte) (digits []byte, exp int) {
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	for _, c := range text[e+2:] {
		exp = exp*10 + int(c-'0')
	}
	if text[e+1] == '-' {
		exp = -exp
	}
	if e == 1 {
		return text[:1], exp
	}
	text[1] = text[0]
	return text[1:e], exp
}

// AppendJSONBytes appends b in base64 as a JSON string.
func AppendJSONBytes(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendDecimal appends a Decimal, given by its unscaled value in big-endian two's complement and its scale, as Java's
// BigDecimal.toString spells it: "19.99", "0E-10", "1E+3".
func AppendDecimal(dst, unscaled []byte, scale int) []byte {
	if len(unscaled) <= 8 {
		var u int64
		if len(unscaled) > 0 && unscaled[0]&0x80 != 0 {
			u = -1
		}
		for _, c := range unscaled {
			u = u<<8 | int64(c)
		}
		if u != math.MinInt64 {
			var buf [24]byte
			return appendScaled(dst, strconv.AppendInt(buf[:0], u, 10), scale)
		}
	}
	return appendScaled(dst, DecimalInt(unscaled).Append(nil, 10), scale)
}

// DecimalInt returns the unscaled value of a Decimal from its big-endian two's complement.
func DecimalInt(unscaled []byte) *big.Int {
	i := new(big.Int).SetBytes(unscaled)
	if len(unscaled) > 0 && unscaled[0]&0x80 != 0 {
		i.Sub(i, new(big.Int).Lsh(big.NewInt(1), uint(len(unscaled))*8))
	}
	return i
}

// AppendDecimalInt appends the unscaled value of a Decimal in the shortest big-endian two's complement, as Java's
// BigInteger.toByteArray gives it (a byte at least).
func AppendDecimalInt(dst []byte, i *big.Int) []byte {
	if i.Sign() >= 0 {
		n := i.BitLen()/8 + 1
		return append(dst, i.FillBytes(make([]byte, n))...)
	}
	// n bytes hold -(2^(8n-1)) and above.
	n := new(big.Int).Not(i).BitLen()/8 + 1
	return append(dst, new(big.Int).Add(i, new(big.Int).Lsh(big.NewInt(1), uint(n)*8)).FillBytes(make([]byte, n))...)
}

// appendScaled places the point in the digits of an integer with an optional minus sign.
func appendScaled(dst, digits []byte, scale int) []byte {
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	exp := len(digits) - 1 - scale // of the first digit
	if scale >= 0 && exp >= -6 {
		point := len(digits) - scale
		switch {
		case scale == 0:
			return append(dst, digits...)
		case point > 0:
			return append(append(append(dst, digits[:point]...), '.'), digits[point:]...)
		}
		dst = append(dst, '0', '.')
		for ; point < 0; point++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	if exp != 0 {
		dst = append(dst, 'E')
		if exp > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, int64(exp), 10)
	}
	return dst
}
