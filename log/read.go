package log

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sluicehub/sluice/log/segment"
)

// Isolation says which records a reader may see.
type Isolation int8

// Isolation levels, numbered as in Kafka's Fetch.
const (
	ReadUncommitted Isolation = 0 // below the high watermark
	ReadCommitted   Isolation = 1 // below the last stable offset
)

// ReadOptions qualifies a read.
type ReadOptions struct {
	// MaxBytes bounds the bytes returned.
	MaxBytes int
	// MinOneBatch returns the first batch even when it is larger than MaxBytes
	// (KIP-74).
	MinOneBatch bool
	Isolation   Isolation
	// Piece is about how many bytes are read at once: where there are more,
	// ReadResult.Rest has them. 0 reads all.
	Piece int
	// Memory gives the n bytes that batches are read into, so that a caller can
	// use them again; nil makes them. What it has beyond n is used too.
	Memory func(n int) []byte
}

func (o *ReadOptions) memory(n int) []byte {
	if o.Memory == nil {
		return make([]byte, n)
	}
	return o.Memory(n)
}

// ReadResult is what a read found.
type ReadResult struct {
	// Batches are whole record batches as stored. The first one holds the
	// offset asked for, or is the next one after it; its first records may lie
	// before it. Empty, never nil, at the end of the log.
	Batches []byte
	// Rest are the batches that follow Batches and are not read yet; nil when
	// there are none.
	Rest          *Rest
	HighWatermark int64
	LastStable    int64
	LogStart      int64
	// Aborted are, for ReadCommitted, the aborted transactions that have records
	// among Batches and Rest or before them, from the offset asked for on, by
	// first offset: their records are to be skipped.
	Aborted []segment.Aborted
}

// Read returns the batches from offset on, as many as fit and are contiguous
// in one file. Reading at the high watermark gives no bytes and no error;
// below the log start or above the high watermark it is ErrOffsetOutOfRange.
// At a damaged place it is ErrStorage. The result's bytes are the caller's; its
// Rest, which there is only with ReadOptions.Piece, is to be closed.
func (p *Partition) Read(offset int64, o ReadOptions) (ReadResult, error) {
	for {
		r, h, from, limit, err := p.beginRead(offset, o.Isolation)
		if err != nil || h == nil {
			return r, err
		}
		bound := r.HighWatermark
		var indexes []*handle
		if o.Isolation == ReadCommitted {
			bound = r.LastStable
			indexes = p.holdAborted(h)
		}
		var next place
		r.Batches, next, r.Rest, err = p.readSegment(h, offset, from, limit, bound, o)
		if err == nil && len(r.Batches) > 0 {
			r.Aborted, err = aborted(indexes, offset, r.Rest.after(next.offset))
		}
		p.releaseAll(indexes)
		if err == nil && next.h == nil {
			// Nothing from offset to the end of this file: it was read to the
			// end before a roll, or compaction removed the rest.
			following := p.following(h)
			p.release(h)
			if following < 0 || following >= bound {
				return r, nil
			}
			offset = max(offset, following)
			continue
		}
		p.readBytes.Add(int64(len(r.Batches)))
		if r.Rest != nil && err == nil {
			return r, nil // and holds h
		}
		r.Rest = nil
		if len(r.Batches) > 0 {
			p.remember(next)
		}
		p.release(h)
		return r, err
	}
}

// following is the base offset of the segment after h, or -1.
func (p *Partition) following(h *handle) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.segs {
		if s.Base() > h.Base() {
			return s.Base()
		}
	}
	return -1
}

// beginRead finds the segment for an offset and takes hold of it; from is a
// known position in it, or -1. Without a segment there is nothing to read.
func (p *Partition) beginRead(offset int64, isolation Isolation) (r ReadResult, h *handle, from, limit int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r = ReadResult{Batches: []byte{}, HighWatermark: p.hw, LastStable: p.stable(), LogStart: p.start}
	if errors.Is(p.err, ErrClosed) || errors.Is(p.err, ErrUnknownTopic) || len(p.segs) == 0 {
		return r, nil, 0, 0, fmt.Errorf("read %s: %w", p, p.err)
	}
	if offset < p.start || offset > p.hw {
		return r, nil, 0, 0, fmt.Errorf("read %s: %w", p, &OffsetError{offset, p.start, p.hw})
	}
	if p.damage != nil && offset >= p.damage.Offset {
		return r, nil, 0, 0, fmt.Errorf("read %s: %w", p, p.damage)
	}
	if offset == p.hw || isolation == ReadCommitted && offset >= r.LastStable {
		return r, nil, 0, 0, nil
	}
	for i := range p.places {
		if c := &p.places[i]; c.h != nil && c.offset == offset && !c.h.gone && c.pos < p.readable(c.h) {
			return r, p.acquire(c.h), c.pos, p.readable(c.h), nil
		}
	}
	h = p.segs[p.segmentFor(offset)]
	return r, p.acquire(h), -1, p.readable(h), nil
}

// segmentFor is the index of the last segment whose base is at most offset, or
// the first. Call with mu.
func (p *Partition) segmentFor(offset int64) int {
	lo, hi := 0, len(p.segs)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; p.segs[mid].Base() <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// remember keeps the place where a reader will go on.
func (p *Partition) remember(next place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.places[p.nextPlace] = next
	p.nextPlace = (p.nextPlace + 1) % len(p.places)
}

// holdAborted takes hold of the segments from h on that have markers of aborted
// transactions. It must come before their records are read: compaction removes
// the marker only after them.
func (p *Partition) holdAborted(h *handle) (indexes []*handle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h.HasAborted() {
		indexes = append(indexes, p.acquire(h))
	}
	for _, s := range p.segs {
		if s.Base() > h.Base() && s.HasAborted() {
			indexes = append(indexes, p.acquire(s))
		}
	}
	return indexes
}

// aborted collects the aborted transactions with records in [from, to).
func aborted(indexes []*handle, from, to int64) (out []segment.Aborted, err error) {
	for _, h := range indexes {
		var more bool
		if out, more, err = h.Aborted(out, from, to); err != nil {
			return nil, storageError("read transaction index of "+h.Path(), err)
		}
		if !more {
			break
		}
	}
	slices.SortFunc(out, func(a, b segment.Aborted) int { return cmp.Compare(a.First, b.First) })
	return out, nil
}

// readSegment reads whole batches of one segment that lie below bound, all or
// the first piece. next is the place after them; without a handle when the
// segment has none from offset on.
func (p *Partition) readSegment(h *handle, offset, from, limit, bound int64, o ReadOptions) (out []byte, next place, rest *Rest, err error) {
	empty := []byte{}
	next.h = h
	if from < 0 {
		if from, err = h.Locate(offset); err != nil {
			return empty, next, nil, storageError("read index", err)
		}
	}
	first, pos, ok, err := h.Find(offset, from, limit)
	if err != nil {
		return empty, next, nil, p.badBatch(h, pos, offset, err)
	}
	if !ok {
		return empty, place{}, nil, nil
	}
	if first.BaseOffset >= bound {
		return empty, next, nil, nil
	}
	want := min(int64(o.MaxBytes), limit-pos)
	if int64(first.Size()) > want {
		if !o.MinOneBatch {
			return empty, place{h: h}, nil, nil
		}
		want = int64(first.Size())
	}
	piece := want
	if o.Piece > 0 {
		piece = min(want, int64(max(o.Piece, first.Size())))
	}
	buf := o.memory(int(piece))
	n, err := h.ReadAt(buf, pos)
	if err != nil && !(errors.Is(err, io.EOF) && int64(n) == piece) {
		return empty, next, nil, storageError(fmt.Sprintf("read %s at %d", h.Path(), pos), err)
	}
	used, after, bad := wholeBatches(buf, bound)
	next = place{h: h, offset: after, pos: pos + int64(used)}
	if bad != nil && used == 0 {
		return empty, next, nil, p.badBatch(h, pos, max(first.BaseOffset, offset), bad)
	}
	if bad == nil && piece < want {
		rest, err = p.restOf(next, pos+want, bound, buf, used, o)
	}
	return buf[:used], next, rest, err
}

// wholeBatches checks the batches in b, checksums included: what left the disk
// wrong must not reach a reader. It returns the bytes of good whole batches,
// the offset after them, and what is wrong with the next one unless it is cut
// short or begins at bound or after it.
func wholeBatches(b []byte, bound int64) (used int, next int64, bad error) {
	for used < len(b) {
		h, batch, err := segment.ParseBatch(b[used:])
		if errors.Is(err, segment.ErrShort) {
			return used, next, nil
		}
		if err != nil {
			return used, next, err
		}
		if h.BaseOffset >= bound {
			return used, next, nil
		}
		used += len(batch)
		next = h.NextOffset()
	}
	return used, next, nil
}

// badBatch turns a batch that does not read back into damage.
func (p *Partition) badBatch(h *handle, pos, offset int64, err error) error {
	if !errors.Is(err, segment.ErrBadBatch) {
		return storageError("read", err)
	}
	d := &DamageError{Path: h.Path(), From: pos, To: h.Size(), Offset: offset, Reason: err.Error()}
	if to, ferr := segment.FindNext(h, pos+1, h.Size(), offset); ferr == nil {
		d.To = to
	}
	if !p.removed(h) { // else its damage is gone with it
		p.setDamage(d)
	}
	return fmt.Errorf("read %s: %w", p, d)
}

// Available is about how many bytes Read could give from offset on, at most
// limit, without touching the log file: for the min_bytes of a long poll.
func (p *Partition) Available(offset int64, limit int64, isolation Isolation) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	bound := p.hw
	if isolation == ReadCommitted {
		bound = p.stable()
	}
	if offset < p.start || offset >= bound || len(p.segs) == 0 {
		return 0
	}
	if p.damage != nil && offset >= p.damage.Offset {
		return 1 // wake the reader: Read tells it
	}
	i := p.segmentFor(offset)
	sum := p.below(i, bound) - p.placeOf(p.segs[i], offset)
	for i++; i < len(p.segs) && p.segs[i].Base() < bound && sum < limit; i++ {
		sum += p.below(i, bound)
	}
	return max(1, min(sum, limit))
}

// below is about how many bytes of segment i lie below an offset. Call with mu.
func (p *Partition) below(i int, bound int64) int64 {
	if bound >= p.hw || i+1 < len(p.segs) && p.segs[i+1].Base() <= bound {
		return p.readable(p.segs[i])
	}
	return p.placeOf(p.segs[i], bound)
}

// placeOf is a position at or before offset: exact for a reader that goes on
// where it stopped. Call with mu.
func (p *Partition) placeOf(h *handle, offset int64) int64 {
	for i := range p.places {
		if c := &p.places[i]; c.h == h && c.offset == offset {
			return c.pos
		}
	}
	if h.Sealed() {
		return 0 // its index is a file; a reader so far behind has enough to read
	}
	pos, _ := h.Locate(offset) // in memory, cannot fail
	return pos
}

// Waiter is woken when one of the partitions it watches has news: a higher
// high watermark, a higher log start, damage, deletion, or the end of the Log.
// A long poll makes one, watches its partitions, checks them, and then waits
// on C; each token says "check again". Watching before checking loses nothing.
type Waiter struct {
	c chan struct{}
}

// NewWaiter makes a Waiter.
func NewWaiter() *Waiter { return &Waiter{c: make(chan struct{}, 1)} }

// C delivers a token after one or several news since the last token.
func (w *Waiter) C() <-chan struct{} { return w.c }

// Watch registers w until Unwatch.
func (p *Partition) Watch(w *Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters[w] = struct{}{}
}

// Unwatch ends Watch.
func (p *Partition) Unwatch(w *Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiters, w)
}
