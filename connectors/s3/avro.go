package s3

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// avroBlock is how many bytes of values a block holds, about: what Java's DataFileWriter takes by default.
const avroBlock = 64 << 10

// avroFormat writes Avro object container files (Avro 1.12, "Object Container Files"):
//
//	"Obj" 0x01   map of metadata: avro.schema, avro.codec   marker (16 bytes)
//	then blocks: count of values   size in bytes   values, compressed as a whole   marker
//
// A library's writer is not used because it prints the metadata in random order and takes a random marker: the same
// records must give the same bytes.
type avroFormat struct {
	kind  string
	codec string
}

func (f *avroFormat) extension() string { return f.kind + ".avro" }
func (f *avroFormat) packs() bool       { return true }

func (f *avroFormat) encoder(schema *connectors.Schema) (encoder, error) {
	if schema == nil {
		return nil, fmt.Errorf("the Avro format needs values with a schema; use a converter that gives them one")
	}
	if _, err := avro.FromConnect(schema); err != nil {
		return nil, err
	}
	return framedValues{}, nil
}

// framedValues keeps encoded values until they are packed, each with its size before it.
type framedValues struct{}

func (framedValues) append(dst []byte, d connectors.Data) ([]byte, error) {
	rest, err := connectors.SkipValue(d.Schema, d.Bytes)
	if err == nil && len(rest) > 0 {
		err = connectors.ErrMalformed
	}
	if err != nil {
		return dst, err
	}
	return append(binary.AppendUvarint(dst, uint64(len(d.Bytes))), d.Bytes...), nil
}

// frames reads what framedValues wrote.
type frames struct {
	in       io.Reader
	buf      []byte
	from, to int
	end      bool
}

func newFrames(in io.Reader) *frames { return &frames{in: in, buf: make([]byte, chunkSize)} }

// next returns the next value, valid until the call after, and io.EOF after the last one.
func (f *frames) next() ([]byte, error) {
	for {
		size, n := binary.Uvarint(f.buf[f.from:f.to])
		if n > 0 && uint64(f.to-f.from-n) >= size {
			value := f.buf[f.from+n : f.from+n+int(size)]
			f.from += n + int(size)
			return value, nil
		}
		if f.end {
			if f.from < f.to {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, io.EOF
		}
		f.to = copy(f.buf, f.buf[f.from:f.to])
		f.from = 0
		if n > 0 && n+int(size) > len(f.buf) {
			f.buf = append(f.buf, make([]byte, n+int(size)-len(f.buf))...)
		}
		got, err := f.in.Read(f.buf[f.to:])
		f.to += got
		if err == io.EOF {
			f.end = true
		} else if err != nil {
			return nil, err
		}
	}
}

func (f *avroFormat) pack(key string, schema *connectors.Schema, in *blobReader, out *output) error {
	a, err := avro.FromConnect(schema)
	if err != nil {
		return err
	}
	codec, err := newAvroCodec(f.codec)
	if err != nil {
		return err
	}
	marker := syncMarker(key)
	head := append([]byte("Obj\x01"), 4) // two entries of metadata
	head = connectors.AppendString(connectors.AppendString(head, "avro.schema"), a.String())
	head = connectors.AppendString(connectors.AppendString(head, "avro.codec"), f.codec)
	if _, err := out.Write(append(append(head, 0), marker[:]...)); err != nil {
		return err
	}
	w := avroWriter{out: out, codec: codec, marker: marker, values: make([]byte, 0, avroBlock+chunkSize)}
	for values := newFrames(in); ; {
		v, err := values.next()
		if err == io.EOF {
			return w.block()
		}
		if err != nil {
			return err
		}
		w.values = append(w.values, v...)
		w.count++
		if len(w.values) >= avroBlock {
			if err := w.block(); err != nil {
				return err
			}
		}
	}
}

type avroWriter struct {
	out    io.Writer
	codec  avroCodec
	marker [16]byte
	values []byte
	count  int64
	head   []byte
}

// block writes what was collected.
func (w *avroWriter) block() error {
	if w.count == 0 {
		return nil
	}
	packed, err := w.codec(w.values)
	if err != nil {
		return fmt.Errorf("compress a block: %w", err)
	}
	w.head = connectors.AppendInt(connectors.AppendInt(w.head[:0], w.count), int64(len(packed)))
	for _, b := range [][]byte{w.head, packed, w.marker[:]} {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	w.values, w.count = w.values[:0], 0
	return nil
}

// avroCodec compresses a block. What it returns is valid until the next call.
type avroCodec func(block []byte) ([]byte, error)

func newAvroCodec(name string) (avroCodec, error) {
	var buf []byte
	switch name {
	case "null":
		return func(block []byte) ([]byte, error) { return block, nil }, nil
	case "snappy": // followed by the CRC-32 of the uncompressed block
		return func(block []byte) ([]byte, error) {
			buf = snappy.Encode(buf[:cap(buf)], block)
			buf = binary.BigEndian.AppendUint32(buf, crc32.ChecksumIEEE(block))
			return buf, nil
		}, nil
	case "deflate":
		var out bytes.Buffer
		z, err := flate.NewWriter(&out, flate.DefaultCompression)
		if err != nil {
			return nil, err
		}
		return func(block []byte) ([]byte, error) {
			out.Reset()
			z.Reset(&out)
			if _, err := z.Write(block); err != nil {
				return nil, err
			}
			err := z.Close()
			return out.Bytes(), err
		}, nil
	case "zstandard":
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return func(block []byte) ([]byte, error) {
			buf = z.EncodeAll(block, buf[:0])
			return buf, nil
		}, nil
	}
	return nil, fmt.Errorf("avro.codec=%s is not a codec", name)
}
