package s3

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/dsnet/compress/bzip2"
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
func (f *avroFormat) packs() bool       { return f.codec != "null" }

func (f *avroFormat) encoder(schema *connectors.Schema) (encoder, error) {
	if schema == nil {
		return nil, fmt.Errorf("the Avro format needs values with a schema; use a converter that gives them one")
	}
	a, err := avro.FromConnect(schema)
	if err != nil {
		return nil, err
	}
	return &avroValues{a}, nil
}

// avroValues keeps values as they are encoded: that is Avro already.
type avroValues struct{ schema *avro.Schema }

func (*avroValues) append(dst []byte, d connectors.Data) ([]byte, error) {
	return append(dst, d.Bytes...), nil
}

// layout implements encoder. The blob is an Avro file without compression, complete when the layout is ended.
func (e *avroValues) layout(key string) layout {
	return &avroBlocks{schema: e.schema, marker: syncMarker(key)}
}

// avroHead is what an Avro file begins with.
func avroHead(schema *avro.Schema, codec string, marker [16]byte) []byte {
	head := append([]byte("Obj\x01"), 4) // two entries of metadata
	head = connectors.AppendString(connectors.AppendString(head, "avro.schema"), schema.String())
	head = connectors.AppendString(connectors.AppendString(head, "avro.codec"), codec)
	return append(append(head, 0), marker[:]...)
}

// avroBlocks writes values in blocks. The head of a block, and that of the file, are inserted before its values when it
// ends, because only then their number is known.
type avroBlocks struct {
	schema *avro.Schema
	marker [16]byte
	begun  bool  // the file has its head
	count  int64 // of values in the open block
	size   int64 // of them
}

func (b *avroBlocks) write(to *blob, value []byte) {
	to.Write(value)
	b.count++
	if b.size += int64(len(value)); b.size >= avroBlock {
		b.end(to)
	}
}

func (b *avroBlocks) whole() bool { return b.count == 0 }

func (b *avroBlocks) end(to *blob) {
	if b.count == 0 {
		return
	}
	var head []byte
	if !b.begun {
		b.begun, head = true, avroHead(b.schema, "null", b.marker)
	}
	to.insert(to.written()-b.size, connectors.AppendInt(connectors.AppendInt(head, b.count), b.size))
	to.Write(b.marker[:])
	b.count, b.size = 0, 0
}

// pack implements format: it compresses the blocks.
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
	if _, err := out.Write(avroHead(a, f.codec, marker)); err != nil {
		return err
	}
	if _, err := in.Seek(int64(len(avroHead(a, "null", marker))), io.SeekStart); err != nil {
		return err
	}
	for blocks := bufio.NewReaderSize(in, chunkSize); ; {
		count, err := binary.ReadVarint(blocks)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f.packBlock(blocks, count, marker, codec, out)
		}
		if err != nil {
			return fmt.Errorf("compress a block: %w", err)
		}
	}
}

// packBlock compresses a block of count values, of which the size comes next.
func (f *avroFormat) packBlock(in *bufio.Reader, count int64, marker [16]byte, codec avroCodec, out *output) error {
	size, err := binary.ReadVarint(in)
	if err != nil {
		return err
	}
	values := make([]byte, size)
	if _, err := io.ReadFull(in, values); err != nil {
		return err
	}
	if _, err := in.Discard(len(marker)); err != nil {
		return err
	}
	packed, err := codec(values)
	if err != nil {
		return err
	}
	head := connectors.AppendInt(connectors.AppendInt(nil, count), int64(len(packed)))
	for _, b := range [][]byte{head, packed, marker[:]} {
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// avroCodec compresses a block. What it returns is valid until the next call.
type avroCodec func(block []byte) ([]byte, error)

func newAvroCodec(name string) (avroCodec, error) {
	var buf []byte
	switch name {
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
	case "bzip2": // its smallest window, since a block is hardly longer
		var out bytes.Buffer
		z, err := bzip2.NewWriter(&out, &bzip2.WriterConfig{Level: bzip2.BestSpeed})
		if err != nil {
			return nil, err
		}
		return func(block []byte) ([]byte, error) {
			out.Reset()
			if err := z.Reset(&out); err != nil {
				return nil, err
			}
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
