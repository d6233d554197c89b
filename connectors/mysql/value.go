package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// Types of columns in the log (mysql/include/field_types.h).
const (
	typeDecimal    = 0
	typeTiny       = 1
	typeShort      = 2
	typeLong       = 3
	typeFloat      = 4
	typeDouble     = 5
	typeTimestamp  = 7
	typeLongLong   = 8
	typeInt24      = 9
	typeDate       = 10
	typeTime       = 11
	typeDatetime   = 12
	typeYear       = 13
	typeVarchar    = 15
	typeBit        = 16
	typeTimestamp2 = 17
	typeDatetime2  = 18
	typeTime2      = 19

	typeBlobCompressed    = 140 // of MariaDB
	typeVarcharCompressed = 141

	typeVector     = 242
	typeJSON       = 245
	typeNewDecimal = 246
	typeEnum       = 247
	typeSet        = 248
	typeBlob       = 252
	typeVarString  = 253
	typeString     = 254
	typeGeometry   = 255
)

// extent is how the size of a value in a row image is found: it is fixed, or stands before the value in so many bytes. A
// compressed value stands for so many at most; 0 is for the others.
type extent struct {
	fixed, prefix int
	most          uint64
}

// errImage says that a row image does not have the form that its table's description promises.
var errImage = errors.New("malformed row image")

// realType returns the type of a column, and what is left of its meta data: a char, an enum and a set share a type.
//
//	string: the upper byte is the real type, its bits 4 and 5 inverted are bits 8 and 9 of the length
func realType(typ byte, meta uint16) (byte, int) {
	if typ != typeString {
		return typ, int(meta)
	}
	upper := byte(meta >> 8)
	if upper&0x30 != 0x30 {
		return upper | 0x30, int(meta&0xff) | int(upper&0x30^0x30)<<4
	}
	if upper == typeEnum || upper == typeSet {
		return upper, int(meta & 0xff)
	}
	return typeString, int(meta & 0xff)
}

// extentOf returns the extent of values of a column.
func extentOf(typ byte, meta uint16) (extent, error) {
	real, arg := realType(typ, meta)
	fraction := (arg + 1) / 2
	switch real {
	case typeTiny, typeYear:
		return extent{fixed: 1}, nil
	case typeShort:
		return extent{fixed: 2}, nil
	case typeInt24, typeDate, typeTime:
		return extent{fixed: 3}, nil
	case typeLong, typeFloat, typeTimestamp:
		return extent{fixed: 4}, nil
	case typeLongLong, typeDouble, typeDatetime:
		return extent{fixed: 8}, nil
	case typeTimestamp2:
		return extent{fixed: 4 + fraction}, nil
	case typeDatetime2:
		return extent{fixed: 5 + fraction}, nil
	case typeTime2:
		return extent{fixed: 3 + fraction}, nil
	case typeNewDecimal:
		p, s := int(meta>>8), int(meta&0xff)
		if s > p || p > 65 {
			break
		}
		return extent{fixed: decimalSize(p, s)}, nil
	case typeEnum, typeSet:
		if arg >= 1 && arg <= 8 {
			return extent{fixed: arg}, nil
		}
	case typeBit:
		return extent{fixed: int(meta>>8) + (int(meta&0xff)+7)/8}, nil
	case typeVarchar, typeVarcharCompressed, typeVarString, typeString:
		if arg > 255 {
			return extent{prefix: 2, most: mostOf(typ, meta)}, nil
		}
		return extent{prefix: 1, most: mostOf(typ, meta)}, nil
	case typeBlob, typeBlobCompressed, typeJSON, typeGeometry, typeVector:
		if arg >= 1 && arg <= 4 {
			return extent{prefix: arg, most: mostOf(typ, meta)}, nil
		}
	}
	return extent{}, fmt.Errorf("a column of type %d with meta data %#x is not known", typ, meta)
}

// take returns the value at the begin of b, and what follows it.
func (x extent) take(b []byte) (value, rest []byte, ok bool) {
	n := x.fixed
	if x.prefix > 0 {
		if len(b) < x.prefix {
			return nil, nil, false
		}
		for i := x.prefix - 1; i >= 0; i-- {
			n = n<<8 | int(b[i])
		}
		b = b[x.prefix:]
	}
	if n > len(b) || n < 0 {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// splitImage takes one row apart. present has a bit for each column that the image has; after it follow the bits of
// those that are null, and then the values of the others.
func splitImage(b, present []byte, columns []extent, cells []cell) (out []cell, rest []byte, err error) {
	out = cells[:0]
	count := 0
	for i := range columns {
		if present[i>>3]>>(i&7)&1 == 1 {
			count++
		}
	}
	size := (count + 7) / 8
	if len(b) < size {
		return out, nil, errImage
	}
	nulls, at := b[:size], 0
	b = b[size:]
	for i := range columns {
		if present[i>>3]>>(i&7)&1 == 0 {
			out = append(out, cell{kind: cellAbsent})
			continue
		}
		null := nulls[at>>3]>>(at&7)&1 == 1
		at++
		if null {
			out = append(out, cell{kind: cellNull})
			continue
		}
		value, rest, ok := columns[i].take(b)
		if !ok {
			return out, nil, errImage
		}
		out, b = append(out, cell{kind: cellValue, raw: value}), rest
	}
	return out, b, nil
}

// little reads an unsigned integer, the lowest byte first.
func little(b []byte) (u uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		u = u<<8 | uint64(b[i])
	}
	return u
}

// big reads an unsigned integer, the highest byte first.
func big(b []byte) (u uint64) {
	for _, c := range b {
		u = u<<8 | uint64(c)
	}
	return u
}

// signed is little with a sign.
func signed(b []byte) int64 {
	shift := 64 - 8*len(b)
	return int64(little(b)<<shift) >> shift
}

// digitBytes are the bytes that so many digits of a decimal take.
func digitBytes(n int) int { return [...]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}[n] }

// decimalSize is the size of a decimal: groups of 9 digits in 4 bytes each, from the point to both sides, and the rest.
func decimalSize(precision, scale int) int {
	whole := precision - scale
	return whole/9*4 + digitBytes(whole%9) + scale/9*4 + digitBytes(scale%9)
}

// appendDecimalText appends a decimal as text: "-12.30". The groups are big-endian numbers of which a negative value
// has all bits inverted; the highest bit of all is inverted besides, so that they sort.
func appendDecimalText(dst, b []byte, precision, scale int) []byte {
	if len(b) == 0 {
		return append(dst, '0')
	}
	var buf [32]byte
	b = append(buf[:0], b...)
	negative := b[0]&0x80 == 0
	b[0] ^= 0x80
	if negative {
		dst = append(dst, '-')
		for i := range b {
			b[i] = ^b[i]
		}
	}
	group := func(digits int, pad bool) {
		n := digitBytes(digits)
		v := big(b[:n])
		b = b[n:]
		if pad {
			start := len(dst)
			dst = append(dst, "000000000"[:digits]...)
			for i := digits - 1; i >= 0; i-- {
				dst[start+i] += byte(v % 10)
				v /= 10
			}
			return
		}
		dst = strconv.AppendUint(dst, v, 10)
	}
	whole, start := precision-scale, len(dst)
	started := false
	emit := func(digits int) {
		at := len(dst)
		group(digits, started)
		if !started && len(dst) == at+1 && dst[at] == '0' {
			dst = dst[:at] // no zeros before the first digit
			return
		}
		started = true
	}
	if whole%9 > 0 {
		emit(whole % 9)
	}
	for range whole / 9 {
		emit(9)
	}
	if len(dst) == start {
		dst = append(dst, '0')
	}
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for range scale / 9 {
		group(9, true)
	}
	if scale%9 > 0 {
		group(scale%9, true)
	}
	return dst
}

const day = 86400e6

// errZeroDate says that a date has a zero for year, month or day: it is no date of any calendar.
var errZeroDate = errors.New("zero date")

func daysOf(year, month, dom int64) (int64, error) {
	if year == 0 && month == 0 && dom == 0 || month < 1 || month > 12 || dom < 1 || dom > 31 {
		return 0, errZeroDate
	}
	return cdc.EpochDays(year, month, dom), nil
}

// logDate reads a date: year<<9 | month<<5 | day.
func logDate(b []byte) (int64, error) {
	v := int64(little(b))
	return daysOf(v>>9, v>>5&15, v&31)
}

// fraction reads the microseconds behind a value.
func fraction(b []byte) int64 {
	v := int64(big(b))
	for n := len(b); n < 3; n++ {
		v *= 100
	}
	return v
}

// logTimestamp reads a timestamp, in microseconds since the epoch.
func logTimestamp(b []byte) (int64, error) {
	s := int64(big(b[:4]))
	us := fraction(b[4:])
	if s == 0 && us == 0 {
		return 0, errZeroDate
	}
	return s*1e6 + us, nil
}

// logOldTimestamp reads a timestamp of a table from before MySQL 5.6.
func logOldTimestamp(b []byte) (int64, error) {
	if v := int64(little(b)); v != 0 {
		return v * 1e6, nil
	}
	return 0, errZeroDate
}

// logDatetime reads a datetime, in microseconds since the epoch as if it were in UTC.
//
//	sign: 1 bit | year*13+month: 17 | day: 5 | hour: 5 | minute: 6 | second: 6 | the fraction
func logDatetime(b []byte) (int64, error) {
	v := int64(big(b[:5])) - 1<<39
	if v < 0 {
		return 0, errZeroDate
	}
	ym := v >> 22
	days, err := daysOf(ym/13, ym%13, v>>17&31)
	return days*day + (v>>12&31*3600+v>>6&63*60+v&63)*1e6 + fraction(b[5:]), err
}

// logOldDatetime reads a datetime of a table from before MySQL 5.6: YYYYMMDDhhmmss as a number.
func logOldDatetime(b []byte) (int64, error) {
	v := int64(little(b))
	d, c := v/1000000, v%1000000
	days, err := daysOf(d/10000, d/100%100, d%100)
	return days*day + (c/10000*3600+c/100%100*60+c%100)*1e6, err
}

// logTime reads a time, in microseconds. With its fraction it is one number that is offset by its highest bit.
//
//	sign: 1 bit | unused: 1 | hour: 10 | minute: 6 | second: 6 | the fraction
func logTime(b []byte) (int64, error) {
	bits := 8 * (len(b) - 3)
	v := int64(big(b)) - 1<<(23+bits)
	negative := v < 0
	if negative {
		v = -v
	}
	us := v & (1<<bits - 1)
	for n := len(b) - 3; n < 3; n++ {
		us *= 100
	}
	v >>= bits
	us += (v>>12&1023*3600 + v>>6&63*60 + v&63) * 1e6
	if negative {
		us = -us
	}
	return us, nil
}

// logOldTime reads a time of a table from before MySQL 5.6: hhmmss as a number.
func logOldTime(b []byte) (int64, error) {
	v, sign := signed(b), int64(1)
	if v < 0 {
		v, sign = -v, -1
	}
	return sign * (v/10000*3600 + v/100%100*60 + v%100) * 1e6, nil
}

// littleUint32 reads a number of 4 bytes.
func littleUint32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
