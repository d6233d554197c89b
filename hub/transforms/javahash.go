package transforms

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluicehub/sluice/connectors"
)

// javaHash is Object.hashCode of the Java object that Connect has for a value that is not null. Of a struct, whose
// hash in Java changes with each start of the worker, it is that of the list of its fields.
func javaHash(s *connectors.Schema, v connectors.Value) int32 {
	switch s.Type {
	case connectors.Int64:
		return foldHash(uint64(v.Int())) // of a Timestamp, a java.util.Date, too
	case connectors.Int8, connectors.Int16, connectors.Int32:
		if s.Name == connectors.DateName {
			return foldHash(uint64(v.Int() * dayMillis))
		}
		return int32(v.Int())
	case connectors.Boolean:
		if v.Bool() {
			return 1231
		}
		return 1237
	case connectors.Float32:
		if math.IsNaN(v.Float()) {
			return 0x7fc00000
		}
		return int32(math.Float32bits(float32(v.Float())))
	case connectors.Float64:
		if math.IsNaN(v.Float()) {
			return 0x7ff80000
		}
		return foldHash(math.Float64bits(v.Float()))
	case connectors.String:
		return stringHash(v.Raw())
	case connectors.Bytes:
		return bytesHash(s, v.Raw())
	}
	return itemsHash(s, v)
}

// foldHash is Long.hashCode.
func foldHash(u uint64) int32 { return int32(u ^ u>>32) }

// stringHash is String.hashCode, over UTF-16.
func stringHash(text []byte) (h int32) {
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		text = text[n:]
		if c > 0xFFFF {
			high, low := utf16.EncodeRune(c)
			h, c = 31*h+high, low
		}
		h = 31*h + c
	}
	return h
}

// bytesHash is ByteBuffer.hashCode, or BigDecimal.hashCode of a Decimal.
func bytesHash(s *connectors.Schema, b []byte) int32 {
	if s.Name != connectors.DecimalName {
		h := int32(1)
		for i := len(b) - 1; i >= 0; i-- {
			h = 31*h + int32(int8(b[i]))
		}
		return h
	}
	scale, err := connectors.DecimalScale(s)
	if err != nil {
		return 0
	}
	unscaled := connectors.DecimalInt(b)
	magnitude := unscaled.Bytes()
	var h int32
	for len(magnitude) > 0 {
		n := (len(magnitude)-1)%4 + 1
		var word uint32
		for _, c := range magnitude[:n] {
			word = word<<8 | uint32(c)
		}
		h, magnitude = 31*h+int32(word), magnitude[n:]
	}
	return 31*h*int32(unscaled.Sign()) + int32(scale)
}

// itemsHash is List.hashCode, or Map.hashCode.
func itemsHash(s *connectors.Schema, v connectors.Value) int32 {
	h := int32(1)
	of := func(s *connectors.Schema, v connectors.Value) int32 {
		if v.IsNull() {
			return 0
		}
		return javaHash(s, v)
	}
	list := v.List()
	switch s.Type {
	case connectors.Map:
		h = 0
		for i := 0; i < len(list); i += 2 {
			h += of(s.Key, list[i]) ^ of(s.Elem, list[i+1])
		}
	case connectors.Array:
		for _, item := range list {
			h = 31*h + of(s.Elem, item)
		}
	default:
		for i, item := range list {
			h = 31*h + of(s.Fields[i].Schema, item)
		}
	}
	return h
}

// murmurHash is the hash that Debezium calls murmur: of the UTF-8 of a string, or of the four bytes of another value's
// javaHash.
func murmurHash(s *connectors.Schema, v connectors.Value) int32 {
	if s.Type == connectors.String {
		return murmur(v.Raw())
	}
	var four [4]byte
	binary.LittleEndian.PutUint32(four[:], uint32(javaHash(s, v)))
	return murmur(four[:])
}

// murmurState is the state of the first MurmurHash3 for 64 bits, whose constants change with each block of 16 bytes.
type murmurState struct{ h1, h2, c1, c2 uint64 }

func murmur(key []byte) int32 {
	const seed = 9001
	m := murmurState{0x9368e53c2f6af274 ^ seed, 0x586dcd208f7cd3fd ^ seed, 0x87c37b91114253d5, 0x4cf5ad432745937f}
	tail := key
	for ; len(tail) >= 16; tail = tail[16:] {
		m.mix(binary.LittleEndian.Uint64(tail), binary.LittleEndian.Uint64(tail[8:]))
	}
	if len(tail) > 0 {
		// Bytes are signed in the tail, and a negative one turns all bits above it.
		var k [2]uint64
		for i, c := range tail {
			k[i/8] ^= uint64(int64(int8(c))) << (i % 8 * 8)
		}
		m.mix(k[0], k[1])
	}
	m.h2 ^= uint64(len(key))
	m.h1 += m.h2
	m.h2 += m.h1
	m.h1, m.h2 = murmurEnd(m.h1), murmurEnd(m.h2)
	return int32((m.h1 + m.h2) >> 32)
}

func (m *murmurState) mix(k1, k2 uint64) {
	m.h1 ^= bits.RotateLeft64(k1*m.c1, 23) * m.c2
	m.h1 += m.h2
	m.h2 = bits.RotateLeft64(m.h2, 41)
	m.h2 ^= bits.RotateLeft64(k2*m.c2, 23) * m.c1
	m.h2 += m.h1
	m.h1 = m.h1*3 + 0x52dce729
	m.h2 = m.h2*3 + 0x38495ab5
	m.c1 = m.c1*5 + 0x7b7d159c
	m.c2 = m.c2*5 + 0x6bce6396
}

func murmurEnd(k uint64) uint64 {
	k = (k ^ k>>33) * 0xff51afd7ed558ccd
	k = (k ^ k>>33) * 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}
