package cdc

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/sluicehub/sluice/connectors"
)

// ErrNoDecimal says that a text is not a finite decimal number: NaN and the infinities have no place in a Decimal.
var ErrNoDecimal = errors.New("not a finite decimal number")

// maxScale bounds the digits behind the point, against nonsense. PostgreSQL allows 16383.
const maxScale = 1 << 16

// AppendDecimal appends a Decimal with the given scale from its decimal text ("-12.30"): the unscaled value in
// big-endian two's complement, as few bytes as hold it. It fails if the number has more digits behind the point
// than the scale holds, other than zeros. Numbers of up to 18 digits do not allocate.
func AppendDecimal(dst, text []byte, scale int) ([]byte, error) {
	n, err := parseDecimal(text)
	if err != nil {
		return dst, err
	}
	for n.scale > scale && n.trim() {
	}
	if n.scale > scale {
		return dst, fmt.Errorf("%s has more than %d digits behind the point", text, scale)
	}
	n.grow(scale)
	return n.append(dst), nil
}

// AppendVariableDecimal appends a VariableScaleDecimal from its decimal text, without zeros at the end of its
// fraction.
func AppendVariableDecimal(dst, text []byte) ([]byte, error) {
	n, err := parseDecimal(text)
	if err != nil {
		return dst, err
	}
	for n.scale > 0 && n.trim() {
	}
	n.grow(0)
	return n.append(connectors.AppendInt(dst, int64(n.scale))), nil
}

// decimal is unscaled × 10^-scale; large is used when it is not nil.
type decimal struct {
	small int64
	large *big.Int
	scale int
}

// parseDecimal reads [+-] digits [. digits] [e [+-] digits].
func parseDecimal(text []byte) (decimal, error) {
	var n decimal
	i, neg := 0, false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		neg = text[i] == '-'
		i++
	}
	begin, digits, fraction := i, 0, false
scan:
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
			if digits <= 18 {
				n.small = n.small*10 + int64(c-'0')
			}
			if fraction {
				n.scale++
			}
		case c == '.' && !fraction:
			fraction = true
		default:
			break scan
		}
	}
	end := i
	if digits == 0 || n.scale > maxScale {
		return n, fmt.Errorf("%q is %w", text, ErrNoDecimal)
	}
	if i < len(text) {
		exp, ok := exponent(text[i:])
		if !ok {
			return n, fmt.Errorf("%q is %w", text, ErrNoDecimal)
		}
		n.scale -= exp
	}
	if digits > 18 {
		plain := make([]byte, 0, end-begin)
		for _, c := range text[begin:end] {
			if c != '.' {
				plain = append(plain, c)
			}
		}
		n.large, _ = new(big.Int).SetString(string(plain), 10)
		if neg {
			n.large.Neg(n.large)
		}
	}
	if neg {
		n.small = -n.small
	}
	return n, nil
}

func exponent(text []byte) (exp int, ok bool) {
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	sign := 1
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 5 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		exp = exp*10 + int(c-'0')
	}
	return sign * exp, true
}

// trim removes a zero from the end, if there is one.
func (n *decimal) trim() bool {
	if n.large == nil {
		if n.small%10 != 0 {
			return false
		}
		n.small /= 10
		n.scale--
		return true
	}
	q, r := new(big.Int).QuoRem(n.large, big.NewInt(10), new(big.Int))
	if r.Sign() != 0 {
		return false
	}
	n.large = q
	n.scale--
	return true
}

// grow appends zeros until the scale is at least that.
func (n *decimal) grow(scale int) {
	add := scale - n.scale
	if add <= 0 {
		return
	}
	n.scale = scale
	for ; add > 0 && n.large == nil; add-- {
		if n.small > 9e17/10 || n.small < -9e17/10 {
			n.large = big.NewInt(n.small)
			break
		}
		n.small *= 10
	}
	if add > 0 {
		n.large = new(big.Int).Mul(n.large, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(add)), nil))
	}
}

// append appends the unscaled value as bytes with their length.
func (n *decimal) append(dst []byte) []byte {
	if n.large != nil {
		return connectors.AppendBytes(dst, twosComplement(n.large))
	}
	u := n.small
	if u < 0 {
		u = ^u
	}
	size := bits.Len64(uint64(u))/8 + 1 // one bit more, for the sign
	dst = connectors.AppendInt(dst, int64(size))
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(n.small>>(8*i)))
	}
	return dst
}

func twosComplement(i *big.Int) []byte {
	if i.Sign() >= 0 {
		b := i.Bytes()
		if len(b) == 0 || b[0]&0x80 != 0 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	b := new(big.Int).Not(i).Bytes() // -i-1, whose complement it is
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	for k := range b {
		b[k] = ^b[k]
	}
	return b
}
