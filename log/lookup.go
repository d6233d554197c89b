package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/log/segment"
)

// TimeOffset is an offset found by time.
type TimeOffset struct {
	Offset      int64
	Timestamp   int64 // of the record at Offset, ms since 1970
	LeaderEpoch int32
}

// OffsetForTimestamp finds the first record below the high watermark whose
// timestamp is at least ms. ok is false when there is none.
func (p *Partition) OffsetForTimestamp(ms int64) (at TimeOffset, ok bool, err error) {
	segs, limits, start := p.holdAll()
	defer p.releaseAll(segs)
	for i, h := range segs {
		if top, _ := h.MaxTimestamp(); top < ms || h.Next() <= start {
			continue
		}
		from, err := h.LocateTime(ms)
		if err != nil {
			return at, false, storageError("read time index", err)
		}
		at, ok, err = p.findRecord(h, from, limits[i], func(r segment.Record) bool {
			return r.Timestamp >= ms && r.Offset >= start
		}, func(b *segment.Header) bool { return b.MaxTimestamp >= ms && b.LastOffset() >= start })
		if ok || err != nil {
			return at, ok, err
		}
	}
	return at, false, nil
}

// MaxTimestamp finds the record with the largest timestamp (ListOffsets -3).
// ok is false when the partition is empty.
func (p *Partition) MaxTimestamp() (at TimeOffset, ok bool, err error) {
	segs, limits, start := p.holdAll()
	defer p.releaseAll(segs)
	best, bestTS := -1, int64(segment.NoTimestamp-1)
	for i, h := range segs {
		if limits[i] == 0 || h.Next() <= start {
			continue
		}
		if top, _ := h.MaxTimestamp(); top > bestTS {
			best, bestTS = i, top
		}
	}
	if best < 0 {
		return at, false, nil
	}
	h := segs[best]
	from, err := h.LocateTime(bestTS)
	if err != nil {
		return at, false, storageError("read time index", err)
	}
	at, ok, err = p.findRecord(h, from, limits[best],
		func(r segment.Record) bool { return r.Timestamp == bestTS && r.Offset >= start },
		func(b *segment.Header) bool { return b.MaxTimestamp == bestTS && b.LastOffset() >= start })
	if ok || err != nil {
		return at, ok, err
	}
	return p.scanMaxTimestamp(segs, limits, start)
}

// scanMaxTimestamp is for the rare case that the newest timestamp belongs to a
// record that cannot be read: above the high watermark or below the log start.
func (p *Partition) scanMaxTimestamp(segs []*handle, limits []int64, start int64) (best TimeOffset, found bool, err error) {
	for i, h := range segs {
		_, _, err := p.findRecord(h, 0, limits[i], func(r segment.Record) bool {
			if r.Offset >= start && (!found || r.Timestamp > best.Timestamp) {
				best, found = TimeOffset{Offset: r.Offset, Timestamp: r.Timestamp, LeaderEpoch: -1}, true
			}
			return false
		}, func(b *segment.Header) bool { return !found || b.MaxTimestamp > best.Timestamp })
		if err != nil {
			return best, false, err
		}
	}
	return best, found, nil
}

// errFound ends a scan.
var errFound = errors.New("found")

// findRecord scans a segment for the first record that match accepts, in
// batches that may accepts.
func (p *Partition) findRecord(h *handle, from, limit int64, match func(segment.Record) bool, may func(*segment.Header) bool) (at TimeOffset, ok bool, err error) {
	_, bad, err := segment.Scan(h, from, limit, h.Base(), func(b *segment.Header, batch []byte, _ int64) error {
		if !may(b) {
			return nil
		}
		for r, err := range segment.Records(b, batch) {
			if err != nil {
				return err
			}
			if match(r) {
				at, ok = TimeOffset{r.Offset, r.Timestamp, b.LeaderEpoch}, true
				return errFound
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return at, true, nil
	case err != nil:
		return at, false, storageError("search "+h.Path(), err)
	case bad != nil:
		return at, false, fmt.Errorf("%w: search %s: at %d: %w", ErrStorage, h.Path(), bad.Pos, bad.Err)
	}
	return at, false, nil
}

// holdAll takes hold of all segments, with how much of each can be read.
func (p *Partition) holdAll() (segs []*handle, limits []int64, start int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	segs = slices.Clone(p.segs)
	limits = make([]int64, len(segs))
	for i, h := range segs {
		p.acquire(h)
		limits[i] = p.readable(h)
	}
	return segs, limits, p.start
}

func (p *Partition) releaseAll(segs []*handle) {
	for _, h := range segs {
		p.release(h)
	}
}

// BatchTime is the timestamp of the batch that holds the record at offset: its
// first record's, in ms since 1970. It reads a header and no records. ok is
// false when there is no such batch below the high watermark.
func (p *Partition) BatchTime(offset int64) (ms int64, ok bool, err error) {
	segs, limits, _ := p.holdAll()
	defer p.releaseAll(segs)
	for i, s := range segs {
		if s.Next() <= offset || limits[i] == 0 {
			continue
		}
		from, err := s.Locate(offset)
		if err != nil {
			return 0, false, storageError("read offset index", err)
		}
		h, _, ok, err := s.Find(offset, from, limits[i])
		switch {
		case err != nil:
			return 0, false, storageError("search "+s.Path(), err)
		case !ok:
			continue
		case h.LogAppendTime() || h.Attributes&segment.AttrDeleteHorizon != 0:
			return h.MaxTimestamp, true, nil
		}
		return h.BaseTimestamp, true, nil
	}
	return 0, false, nil
}
