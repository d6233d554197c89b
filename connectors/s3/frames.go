package s3

import (
	"encoding/binary"
	"io"
)

// framed puts the size of each record before it, as a varint, so that frames finds them again.
type framed struct{}

func (framed) write(to *blob, record []byte) {
	var size [binary.MaxVarintLen64]byte
	to.Write(size[:binary.PutUvarint(size[:], uint64(len(record)))])
	to.Write(record)
}
func (framed) whole() bool { return true }
func (framed) end(*blob)   {}

// frames reads what framed wrote.
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
