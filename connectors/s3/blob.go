package s3

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// blob is a growing sequence of bytes: first those that were spilled to a temporary file, then chunks in memory; and
// texts that were put between them afterwards. It is for one goroutine at a time.
type blob struct {
	memory   *memory
	file     *os.File // nil: nothing was spilled. It has no name any more, so that it ends with the process
	onDisk   int64
	chunks   [][]byte
	inMem    int64 // bytes in chunks
	held     int64 // bytes of memory that the chunks take
	inserts  []insert
	inserted int64 // bytes in inserts
}

// insert is a text that stands before a byte that was written.
type insert struct {
	at   int64 // how many bytes were written before that one
	text []byte
}

func newBlob(m *memory) *blob { return &blob{memory: m} }

func (b *blob) size() int64 { return b.onDisk + b.inMem + b.inserted }

// written is how many bytes were written, without those inserted.
func (b *blob) written() int64 { return b.onDisk + b.inMem }

// insert puts a text before the byte that was written after the first at, behind all that was inserted so far. It is for
// what is known only later, such as the length of what was written; it is not counted in the memory.
func (b *blob) insert(at int64, text []byte) {
	b.inserts = append(b.inserts, insert{at, text})
	b.inserted += int64(len(text))
}

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
	b.chunks, b.inserts, b.inserted = nil, nil, 0
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
	insert    int   // number of inserts that end at pos or before
	shift     int64 // bytes in them
	chunk     int   // the chunk that pos is in, if it is in memory
	chunkAt   int64 // how many bytes were written before that chunk
}

// next returns the bytes from pos on that are in memory in one piece, or where on the disk how many of them are. There
// must be a byte to read.
func (r *blobReader) next() (piece []byte, at, n int64) {
	n = r.end - r.pos
	for ; r.insert < len(r.b.inserts); r.insert++ {
		in := &r.b.inserts[r.insert]
		from := in.at + r.shift
		if r.pos < from {
			n = min(n, from-r.pos)
			break
		}
		if rest := from + int64(len(in.text)) - r.pos; rest > 0 {
			return in.text[r.pos-from:][:min(rest, n)], 0, 0
		}
		r.shift += int64(len(in.text))
	}
	at = r.pos - r.shift
	if at < r.b.onDisk {
		return nil, at, min(n, r.b.onDisk-at)
	}
	if r.chunkAt < r.b.onDisk || at < r.chunkAt {
		r.chunk, r.chunkAt = 0, r.b.onDisk
	}
	for at >= r.chunkAt+int64(len(r.b.chunks[r.chunk])) {
		r.chunkAt += int64(len(r.b.chunks[r.chunk]))
		r.chunk++
	}
	piece = r.b.chunks[r.chunk][at-r.chunkAt:]
	return piece[:min(int64(len(piece)), n)], 0, 0
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	if r.pos >= r.end {
		return 0, io.EOF
	}
	piece, at, n := r.next()
	if piece != nil {
		n := copy(p, piece)
		r.pos += int64(n)
		return n, nil
	}
	got, err := r.b.file.ReadAt(p[:min(int64(len(p)), n)], at)
	r.pos += int64(got)
	if got > 0 || err == nil {
		return got, nil
	}
	return 0, spillError(err)
}

// WriteTo implements io.WriterTo: what is in memory is not copied on the way.
func (r *blobReader) WriteTo(w io.Writer) (written int64, err error) {
	var buf []byte
	for r.pos < r.end {
		piece, _, _ := r.next()
		if piece == nil {
			if buf == nil {
				buf = make([]byte, chunkSize)
			}
			n, err := r.Read(buf)
			if err != nil {
				return written, err
			}
			r.pos -= int64(n) // until it is written
			piece = buf[:n]
		}
		n, err := w.Write(piece)
		r.pos += int64(n)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
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
	if offset < r.pos {
		r.insert, r.shift = 0, 0
	}
	r.pos = offset
	return r.pos - r.base, nil
}

func spillError(err error) error {
	return environment(fmt.Sprintf("use a temporary file in %s", os.TempDir()), err,
		"check space and rights there, raise s3.buffer.memory.bytes, or have fewer open files")
}
