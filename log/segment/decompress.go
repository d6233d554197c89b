package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MaxPayload bounds the decompressed records of one batch in bytes: a small
// batch from a hostile client must not become gigabytes here.
const MaxPayload = 64 << 20

// decompress inflates the records of a batch, at most MaxPayload bytes.
func decompress(codec int, src []byte) ([]byte, error) {
	switch codec {
	case 1:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readBounded(r)
	case 2:
		return unsnappy(src)
	case 3:
		return readBounded(lz4.NewReader(bytes.NewReader(src)))
	case 4:
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxPayload))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		return d.DecodeAll(src, nil)
	}
	return nil, fmt.Errorf("unknown codec %d", codec)
}

func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxPayload+1))
	if err == nil && len(b) > MaxPayload {
		err = errTooMuch()
	}
	return b, err
}

func errTooMuch() error { return fmt.Errorf("more than %d bytes when decompressed", MaxPayload) }

// Java's snappy streams begin with a magic, a version and a compatible version
// (i32 each); then come blocks, each after its length (i32).
const (
	xerialMagic = "\x82SNAPPY\x00"
	xerialHead  = len(xerialMagic) + 8
)

func unsnappy(src []byte) ([]byte, error) {
	if len(src) < xerialHead || string(src[:len(xerialMagic)]) != xerialMagic {
		return unsnappyBlock(nil, src)
	}
	var out []byte
	var err error
	for src = src[xerialHead:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		if src = src[4:]; n > int64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		if out, err = unsnappyBlock(out, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return out, nil
}

func unsnappyBlock(dst, src []byte) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > MaxPayload-len(dst) {
		return nil, errTooMuch()
	}
	block, err := s2.Decode(nil, src)
	if err != nil {
		return nil, err
	}
	if dst == nil {
		return block, nil
	}
	return append(dst, block...), nil
}
