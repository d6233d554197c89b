package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const scanBuffer = 1 << 20

// Bad says where a scan stopped before the end of the file, and why.
type Bad struct {
	Pos int64
	Err error // wraps ErrBadBatch
}

// Scan checks the batches of a log file in [from, size) in order: form,
// checksum, and that offsets rise, starting at next. It calls fn for each with
// its position; the bytes are valid during the call. It stops at the first bad
// batch, which is no error but the second result. The first result is the
// position after the last good batch. Memory is 1 MiB or one batch.
func Scan(f io.ReaderAt, from, size, next int64, fn func(h *Header, batch []byte, pos int64) error) (end int64, bad *Bad, err error) {
	w := window{f: f, size: size, buf: make([]byte, 0, min(scanBuffer, max(size-from, 0)))}
	pos := from
	for pos < size {
		b, err := w.at(pos, HeaderSize)
		if err != nil {
			return pos, nil, err
		}
		h, herr := ParseHeader(b)
		if herr == nil && int64(h.Size()) > size-pos {
			herr = ErrShort
		}
		if herr == nil && h.BaseOffset < next {
			herr = fmt.Errorf("%w: base offset %d after %d", ErrBadBatch, h.BaseOffset, next-1)
		}
		if herr != nil {
			return pos, &Bad{Pos: pos, Err: herr}, nil
		}
		if b, err = w.at(pos, h.Size()); err != nil {
			return pos, nil, err
		}
		_, batch, herr := ParseBatch(b)
		if herr != nil {
			return pos, &Bad{Pos: pos, Err: herr}, nil
		}
		if fn != nil {
			if err := fn(&h, batch, pos); err != nil {
				return pos, nil, err
			}
		}
		next = h.NextOffset()
		pos += int64(h.Size())
	}
	return pos, nil, nil
}

// window is a buffer that slides over a file.
type window struct {
	f     io.ReaderAt
	size  int64
	buf   []byte
	start int64
}

// at returns at least n bytes at pos, or what the file has of them.
func (w *window) at(pos int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-pos))
	if pos >= w.start && pos+int64(n) <= w.start+int64(len(w.buf)) {
		return w.buf[pos-w.start:], nil
	}
	want := int(min(int64(max(n, scanBuffer)), w.size-pos))
	if cap(w.buf) < want {
		w.buf = make([]byte, 0, want)
	}
	w.buf = w.buf[:want]
	got, err := w.f.ReadAt(w.buf, pos)
	w.buf, w.start = w.buf[:got], pos
	if got < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, pos, err)
	}
	return w.buf, nil
}

// FindNext looks in [from, size) for a well-formed batch with base offset at
// least minOffset: the sign that the bytes before it are damage, not the torn
// end of the file. It returns size when there is none.
func FindNext(f io.ReaderAt, from, size, minOffset int64) (int64, error) {
	w := window{f: f, size: size}
	for pos := from; pos+HeaderSize <= size; pos++ {
		b, err := w.at(pos, HeaderSize)
		if err != nil {
			return 0, err
		}
		// Cheap refusals first: this runs for every byte.
		if b[atMagic] != magicV2 {
			continue
		}
		base := int64(binary.BigEndian.Uint64(b))
		if base < minOffset || base > minOffset+1<<32 {
			continue
		}
		h, err := ParseHeader(b)
		if err != nil || int64(h.Size()) > size-pos {
			continue
		}
		if b, err = w.at(pos, h.Size()); err != nil {
			return 0, err
		}
		if _, _, err := ParseBatch(b); err == nil {
			return pos, nil
		}
	}
	return size, nil
}

// sector is the smallest unit of which a disk writes all or nothing.
const sector = 512

// HasHole tells whether [from, to) has a sector of which nothing was ever
// written: one that is all zeros from its start, or from from, to its end or
// to. A crash leaves such sectors in a tail that was not synced; damage to
// written bytes hardly ever does. from must be where a good batch ended.
func HasHole(f io.ReaderAt, from, to int64) (bool, error) {
	w := window{f: f, size: to}
	for pos := from; pos < to; {
		end := min(pos/sector*sector+sector, to)
		b, err := w.at(pos, int(end-pos))
		if err != nil {
			return false, err
		}
		if allZero(b[:end-pos]) {
			return true, nil
		}
		pos = end
	}
	return false, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
