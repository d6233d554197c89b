package cdc

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const digestNames = "MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384, SHA3-512"

// digest returns the hash function of a name of Java's MessageDigest, in upper or lower case; nil if there is none.
func digest(name string) func() hash.Hash {
	switch strings.ToUpper(name) {
	case "MD5":
		return md5.New
	case "SHA-1", "SHA1", "SHA":
		return sha1.New
	case "SHA-224", "SHA224":
		return sha256.New224
	case "SHA-256", "SHA256":
		return sha256.New
	case "SHA-384", "SHA384":
		return sha512.New384
	case "SHA-512", "SHA512":
		return sha512.New
	case "SHA-512/224", "SHA512/224":
		return sha512.New512_224
	case "SHA-512/256", "SHA512/256":
		return sha512.New512_256
	case "SHA3-224":
		return func() hash.Hash { return sha3.New224() }
	case "SHA3-256":
		return func() hash.Hash { return sha3.New256() }
	case "SHA3-384":
		return func() hash.Hash { return sha3.New384() }
	case "SHA3-512":
		return func() hash.Hash { return sha3.New512() }
	}
	return nil
}

// appendJavaString appends a string as Java's ObjectOutputStream writes it (Java Object Serialization Specification,
// "Grammar for the Stream Format"), in Java's modified UTF-8: zero is two bytes, and a character beyond the basic
// plane is a pair of surrogates, three bytes each.
//
//	0xaced | version: 0x0005 | 0x74 | length: uint16 | text
//	0xaced | version: 0x0005 | 0x7c | length: int64  | text     for more than 65535 bytes
func appendJavaString(dst, text []byte) []byte {
	size := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		i += n
		switch {
		case r == 0:
			size += 2
		case r > 0xffff:
			size += 6
		default:
			size += utf8.RuneLen(r)
		}
	}
	dst = append(dst, 0xac, 0xed, 0, 5)
	if size <= 0xffff {
		dst = binary.BigEndian.AppendUint16(append(dst, 0x74), uint16(size))
	} else {
		dst = binary.BigEndian.AppendUint64(append(dst, 0x7c), uint64(size))
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		i += n
		switch {
		case r == 0:
			dst = append(dst, 0xc0, 0x80)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = appendSurrogate(appendSurrogate(dst, high), low)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// appendSurrogate appends half of a pair in three bytes, which UTF-8 itself does not allow.
func appendSurrogate(dst []byte, r rune) []byte {
	return append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}
