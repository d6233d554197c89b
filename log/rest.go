package log

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/sluicehub/sluice/log/segment"
)

// Rest is what a Read found and did not read yet: a number of bytes of whole
// batches, known before they are read, of a file that stays while it is held,
// whatever retention, compaction and the topic's deletion do meanwhile. One
// goroutine at a time may use it.
type Rest struct {
	p    *Partition
	next place // of the first batch that was not given yet
	end  place // where it ends

	buf    []byte // what is read into, at first the memory of ReadResult.Batches
	cut    []byte // the part of it that was read and not given: a batch's beginning
	memory func(n int) []byte
}

// restOf finds out where the batches after next end that lie below a position
// and an offset, nil when there are none. used bytes of buf, which was read for
// those before, were theirs. It ends before damage that is known: who was cut off
// there, and comes again, gets what is good.
func (p *Partition) restOf(next place, limit, bound int64, buf []byte, used int, o ReadOptions) (*Rest, error) {
	p.mu.Lock()
	if d := p.damage; d != nil && d.Path == next.h.Path() {
		limit = min(limit, d.From)
	}
	p.mu.Unlock()
	end := place{h: next.h}
	var err error
	if end.pos, end.offset, err = next.h.Extent(next.pos, next.offset, limit, bound); err != nil {
		return nil, storageError("read "+next.h.Path(), err)
	}
	if end.pos == next.pos {
		return nil, nil
	}
	return &Rest{p: p, next: next, end: end, buf: buf[:cap(buf)], cut: buf[used:], memory: o.memory}, nil
}

// Len is how many bytes are to be read. Of nil, too.
func (r *Rest) Len() int {
	if r == nil {
		return 0
	}
	return int(r.end.pos - r.next.pos)
}

// after is the offset after it; of nil, the one given.
func (r *Rest) after(offset int64) int64 {
	if r == nil {
		return offset
	}
	return r.end.offset
}

// Next reads the next whole batches, at least one, and checks them as Read does:
// a damaged one is an ErrStorage, and those before it have been given. The bytes
// are where ReadResult.Batches are, and stay until the next call. Not to be
// called when Len is 0.
func (r *Rest) Next() ([]byte, error) {
	for {
		b, err := r.fill()
		if err != nil {
			return nil, err
		}
		used, after, bad := wholeBatches(b, math.MaxInt64)
		if used > 0 {
			r.cut = b[used:]
			r.next.offset, r.next.pos = after, r.next.pos+int64(used)
			r.p.readBytes.Add(int64(used))
			if r.Len() == 0 {
				r.p.remember(r.next)
			}
			return b[:used], nil
		}
		h, _ := segment.ParseHeader(b)
		if bad == nil && (len(b) == r.Len() || h.Size() > r.Len()) {
			bad = segment.ErrShort // it ends where another begins, or the limit is
		}
		if bad != nil {
			return nil, r.p.badBatch(r.next.h, r.next.pos, r.next.offset, bad)
		}
		r.buf = r.memory(h.Size())
		r.buf = r.buf[:cap(r.buf)]
	}
}

// fill reads on behind a batch's beginning, as far as the memory goes.
func (r *Rest) fill() ([]byte, error) {
	b := r.buf[:min(len(r.buf), r.Len())]
	have := copy(b, r.cut)
	pos := r.next.pos + int64(have)
	if n, err := r.next.h.ReadAt(b[have:], pos); n < len(b)-have {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, storageError(fmt.Sprintf("read %s at %d", r.next.h.Path(), pos), err)
	}
	r.cut = b
	return b, nil
}

// Close ends the hold on the file. It may be called again, and of nil.
func (r *Rest) Close() {
	if r != nil && r.next.h != nil {
		r.p.release(r.next.h)
		r.next.h = nil
	}
}
