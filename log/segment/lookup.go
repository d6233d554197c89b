package segment

import (
	"errors"
	"fmt"
	"io"
)

// Locate returns a position at or before the batch that holds offset, at most
// about one index interval before. An index file has no checksum, so what it
// says is looked at: at a wrong place a reader would miss records, or see
// damage where there is none. The beginning is always right.
func (s *Segment) Locate(offset int64) (int64, error) {
	pos, err := s.locate(offset)
	if err != nil || pos == 0 || !s.Sealed() {
		return pos, err
	}
	var space [HeaderSize]byte
	if h, err := s.header(pos, s.Size(), space[:]); err != nil || h.BaseOffset > offset {
		return 0, nil
	}
	return pos, nil
}

func (s *Segment) locate(offset int64) (int64, error) {
	t, unlock := s.table(func() *table { return s.offsets })
	defer unlock()
	e, ok, err := t.search(func(e []byte) bool {
		rel, _ := offsetOf(e)
		return s.base+int64(rel) <= offset
	})
	if err != nil || !ok {
		return 0, err
	}
	_, pos := offsetOf(e)
	return pos, nil
}

// table gives access to an index. A sealed one is read without the lock.
func (s *Segment) table(pick func() *table) (*table, func()) {
	s.mu.Lock()
	t := pick()
	if t.file == nil {
		return t, s.mu.Unlock
	}
	s.mu.Unlock()
	return t, func() {}
}

// Find returns the header and position of the first batch in [from, limit)
// that ends at or after offset; ok is false when there is none.
func (s *Segment) Find(offset, from, limit int64) (h Header, pos int64, ok bool, err error) {
	var space [HeaderSize]byte
	for pos = from; pos < limit; pos += int64(h.Size()) {
		if h, err = s.header(pos, limit, space[:]); err != nil {
			return h, pos, false, err
		}
		if h.LastOffset() >= offset {
			return h, pos, true, nil
		}
	}
	return Header{}, limit, false, nil
}

// Extent is where the last batch ends that lies in [from, limit) and begins below
// the offset bound, and the offset after it; from and next when there is none. A
// header that does not read back ends it too. What lies between from and the last
// index entry is not looked at.
func (s *Segment) Extent(from, next, limit, bound int64) (end, after int64, err error) {
	end, after = from, next
	if pos, base, ok := s.lastIndexed(limit, bound); ok && pos > from {
		end, after = pos, base
	}
	var space [HeaderSize]byte
	for end < limit {
		h, err := s.header(end, limit, space[:])
		if errors.Is(err, ErrBadBatch) || err == nil && h.BaseOffset >= bound {
			break
		}
		if err != nil {
			return from, next, err
		}
		end, after = end+int64(h.Size()), h.NextOffset()
	}
	return end, after, nil
}

// lastIndexed is the position and base offset of the last batch in the index that
// begins before limit and ends below bound. It is not ok when there is none, or
// not where the index says: for the reason why Locate looks, and without harm.
func (s *Segment) lastIndexed(limit, bound int64) (pos, base int64, ok bool) {
	t, unlock := s.table(func() *table { return s.offsets })
	e, ok, err := t.search(func(e []byte) bool {
		rel, pos := offsetOf(e)
		return pos < limit && s.base+int64(rel) < bound
	})
	unlock()
	if err != nil || !ok {
		return 0, 0, false
	}
	rel, pos := offsetOf(e)
	var space [HeaderSize]byte
	h, err := s.header(pos, s.Size(), space[:])
	return pos, h.BaseOffset, err == nil && h.LastOffset() == s.base+int64(rel)
}

func (s *Segment) header(pos, limit int64, buf []byte) (Header, error) {
	n, err := s.log.ReadAt(buf[:min(HeaderSize, limit-pos)], pos)
	if err != nil && err != io.EOF {
		return Header{}, fmt.Errorf("read %s at %d: %w", s.Path(), pos, err)
	}
	h, err := ParseHeader(buf[:n])
	if err == nil && int64(h.Size()) > limit-pos {
		err = ErrShort
	}
	if err == nil && h.BaseOffset < s.base {
		err = fmt.Errorf("%w: base offset %d in a segment from %d", ErrBadBatch, h.BaseOffset, s.base)
	}
	return h, err
}

// LocateTime returns a position at or before the first batch in which a
// timestamp of at least ms can be.
func (s *Segment) LocateTime(ms int64) (int64, error) {
	rel := int64(-1)
	t, unlock := s.table(func() *table { return s.times })
	e, ok, err := t.search(func(e []byte) bool { at, _ := timeOf(e); return at <= ms })
	unlock()
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, nil
	}
	_, r := timeOf(e)
	rel = int64(r)
	return s.Locate(s.base + rel)
}
