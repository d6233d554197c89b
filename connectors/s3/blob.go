package s3

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// blob is a growing sequence of bytes: first those that were spilled to a temporary file, then chunks in memory. It is
// for one goroutine at a time.
type blob struct {
	memory *memory
	file   *os.File // nil: nothing was spilled. It has no name any more, so that it ends with the process
	onDisk int64
	chunks [][]byte
	inMem  int64 // bytes in chunks
	held   int64 // bytes of memory that the chunks take
}

func newBlob(m *memory) *blob { return &blob{memory: m} }

func (b *blob) size() int64 { return b.onDisk + b.inMem }

// Write appends p. It cannot fail; the error is for io.Writer.
func (b *blob) Write(p []byte) (int, error) {
	n := len(p)
	b.inMem += int64(n)
	for len(p) > 0 {
		last := len(b.chunks) - 1
		if last < 0 || len(b.chunks[last]) == cap(b.chunks[last]) {
			size := chunkSize
			if last < 0 && b.onDisk == 0 {
				size = smallChunk
			}
			b.chunks = append(b.chunks, b.memory.take(size))
			b.held += int64(size)
			last++
		}
		c := b.chunks[last]
		room := min(cap(c)-len(c), len(p))
		b.chunks[last] = append(c, p[:room]...)
		p = p[room:]
	}
	return n, nil
}

// spill moves what is in memory to the temporary file.
func (b *blob) spill() error {
	if b.inMem == 0 {
		return nil
	}
	if b.file == nil {
		f, err := os.CreateTemp("", "sluice-s3-*")
		if err != nil {
			return spillError(err)
		}
		b.file = f
		if err := os.Remove(f.Name()); err != nil {
			return spillError(err)
		}
	}
	at := b.onDisk
	for _, c := range b.chunks {
		if _, err := b.file.WriteAt(c, at); err != nil {
			return spillError(err)
		}
		at += int64(len(c))
	}
	b.onDisk = at
	b.dropChunks()
	return nil
}

func (b *blob) dropChunks() {
	for _, c := range b.chunks {
		b.memory.give(c)
	}
	clear(b.chunks)
	b.chunks, b.inMem, b.held = b.chunks[:0], 0, 0
}

// release gives everything back; b is empty then.
func (b *blob) release() {
	b.dropChunks()
	b.chunks = nil
	if b.file != nil {
		b.file.Close()
		b.file, b.onDisk = nil, 0
	}
}

// reader returns a reader of the bytes from offset to end. It is valid until b changes.
func (b *blob) reader(from, to int64) *blobReader {
	return &blobReader{b: b, base: from, end: to, pos: from}
}

// blobReader reads a section of a blob. The S3 client needs to seek in it: it reads once to sign and again to send.
type blobReader struct {
	b         *blob
	base, end int64 // of the section
	pos       int64
	chunk     int   // the chunk that pos is in, if it is in memory
	chunkAt   int64 // where that chunk begins
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	if r.pos >= r.end {
		return 0, io.EOF
	}
	if left := r.end - r.pos; int64(len(p)) > left {
		p = p[:left]
	}
	if r.pos < r.b.onDisk {
		n, err := r.b.file.ReadAt(p[:min(int64(len(p)), r.b.onDisk-r.pos)], r.pos)
		r.pos += int64(n)
		if n > 0 || err == nil {
			return n, nil
		}
		return 0, spillError(err)
	}
	if r.chunkAt < r.b.onDisk || r.pos < r.chunkAt {
		r.chunk, r.chunkAt = 0, r.b.onDisk
	}
	for r.pos >= r.chunkAt+int64(len(r.b.chunks[r.chunk])) {
		r.chunkAt += int64(len(r.b.chunks[r.chunk]))
		r.chunk++
	}
	n := copy(p, r.b.chunks[r.chunk][r.pos-r.chunkAt:])
	r.pos += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (r *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		offset += r.base
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.end
	}
	if offset < r.base {
		return 0, errors.New("seek before the start")
	}
	r.pos = offset
	return r.pos - r.base, nil
}

func spillError(err error) error {
	return environment(fmt.Sprintf("use a temporary file in %s", os.TempDir()), err,
		"check space and rights there, raise s3.buffer.memory.bytes, or have fewer open files")
}
