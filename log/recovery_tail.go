package log

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"

	"github.com/sluicehub/sluice/log/segment"
)

// gap finds out whether a file, or the end of one, is missing before the next
// segment: a segment ends where the next begins, unless compaction removed
// records.
func (r *recovery) gap(i int) error {
	p := r.p
	s := p.segs[i]
	if i+1 >= len(r.bases) || s.Next() == r.bases[i+1] || p.damage != nil {
		return nil
	}
	if s.Next() < r.bases[i+1] && p.topic.compacted.Load() {
		return nil
	}
	p.setDamage(&DamageError{
		Path: s.Path(), From: s.Size(), To: s.Size(), Offset: min(s.Next(), r.bases[i+1]),
		Reason: fmt.Sprintf("the segment ends at offset %d and the next one begins at %d", s.Next(), r.bases[i+1]),
	})
	return nil
}

// bad decides what bytes that are no batch are. Past the durable end, in the
// active segment, they are a torn tail and are cut, unless a good batch follows
// and no hole in front of it shows that it got to the disk before its elders.
// Below the durable end only a file that ends too early is cut, there being
// nothing to keep. Everything else is damage: the bytes stay.
func (r *recovery) bad(s *segment.Segment, active bool, size int64, bad *segment.Bad) error {
	p := r.p
	next, err := segment.FindNext(s, bad.Pos+1, size, s.Next())
	if err != nil {
		return err
	}
	torn := false
	switch {
	case !active:
	case next == size && (s.Next() >= r.hint || errors.Is(bad.Err, segment.ErrShort)):
		torn = true
	case s.Next() >= r.hint:
		if torn, err = segment.HasHole(s, bad.Pos, next); err != nil {
			return err
		}
	}
	if torn {
		return r.cut(s, size, bad)
	}
	p.setDamage(&DamageError{Path: s.Path(), From: bad.Pos, To: next, Offset: s.Next(), Reason: bad.Err.Error()})
	for next < size {
		if bad, err = s.Resume(next, size, r.replay); err != nil || bad == nil {
			return err
		}
		if next, err = segment.FindNext(s, bad.Pos+1, size, s.Next()); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) cut(s *segment.Segment, size int64, bad *segment.Bad) error {
	p := r.p
	lost := size - s.Size()
	if err := s.Truncate(); err != nil {
		return err
	}
	p.log.cutBytes.Add(lost)
	r.logger.Warn("cut a torn tail", slog.String("segment", filepath.Base(s.Path())), slog.Int64("bytes", lost),
		slog.Int64("position", s.Size()), slog.Int64("offset", s.Next()), slog.String("reason", bad.Err.Error()))
	return nil
}

// fill writes a batch without records over the offsets up to end, as compaction
// in Kafka leaves them, so that readers get to the end of the log instead of
// asking again and again for what is not there.
func (r *recovery) fill(s *handle, end int64) error {
	if r.p.damage != nil || end-s.Next() > math.MaxInt32 || !s.Fits(end-1, segment.HeaderSize) {
		return nil
	}
	batch := segment.EmptyBatch(s.Next(), end-1, r.epoch())
	h, err := segment.ParseHeader(batch)
	if err == nil {
		err = s.Write(batch)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("fill %s: %w", s.Path(), err), s.Undo())
	}
	s.Commit(&h)
	return s.Sync()
}

// epoch is the last known leader epoch.
func (r *recovery) epoch() int32 {
	if n := len(r.p.epochs); n > 0 {
		return r.p.epochs[n-1].Epoch
	}
	return 0
}
