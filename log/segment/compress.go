package segment

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Codecs of a batch's records, by the number in its attributes.
const (
	CodecNone = iota
	CodecGzip
	CodecSnappy
	CodecLZ4
	CodecZstd
)

// Compressor compresses batches with one codec. It is safe for concurrent use.
type Compressor struct {
	codec int
	kgo.Compressor
}

// NewCompressor makes a compressor with a level as Kafka's topic configs
// compression.*.level say it; DefaultLevel is each codec's own.
func NewCompressor(codec, level int) (*Compressor, error) {
	var c kgo.CompressionCodec
	switch codec {
	case CodecNone:
		return &Compressor{}, nil
	case CodecGzip:
		c = kgo.GzipCompression()
		if level != DefaultLevel {
			c = c.WithLevel(level)
		}
	case CodecSnappy:
		c = kgo.SnappyCompression()
	case CodecLZ4:
		c = kgo.Lz4Compression()
		// Kafka's level 9 is the fast mode and its default; all others search longer. Ours end at 9, as bits.
		if level != DefaultLevel && level != 9 {
			c = c.WithLevel(1 << (7 + min(max(level, 1), 9)))
		}
	case CodecZstd:
		c = kgo.ZstdCompression()
		if level != DefaultLevel {
			c = c.WithLevel(int(zstd.EncoderLevelFromZstd(level)))
		}
	default:
		return nil, fmt.Errorf("%w: codec %d", ErrBadBatch, codec)
	}
	z, err := kgo.DefaultCompressor(c)
	return &Compressor{codec, z}, err
}

// DefaultLevel is the level of a codec that none is named for.
const DefaultLevel = -1

// Codec is the codec's number.
func (c *Compressor) Codec() int { return c.codec }

func (c *Compressor) compress(body []byte) ([]byte, error) {
	if c.codec == CodecNone {
		return body, nil
	}
	out, used := c.Compress(new(bytes.Buffer), body)
	if int(used) != c.codec {
		return nil, fmt.Errorf("compress with codec %d: got codec %d", c.codec, used)
	}
	return out, nil
}

// Convert appends to dst the batch with its records compressed by this codec,
// and changes the header to that batch's. Nothing else of the batch changes.
func (c *Compressor) Convert(dst []byte, h *Header, batch []byte) ([]byte, error) {
	body, err := Payload(h, batch)
	if err != nil {
		return dst, err
	}
	if body, err = c.compress(body); err != nil {
		return dst, err
	}
	h.Attributes = h.Attributes&^CodecMask | int16(c.codec)
	at := len(dst)
	dst = append(dst, batch[:HeaderSize]...)
	dst = append(dst, body...)
	putHeader(dst[at:], h)
	*h, err = ParseHeader(dst[at:])
	return dst, err
}
