package log

import (
	"log/slog"
	"slices"

	"github.com/sluicehub/sluice/log/segment"
)

// target is what scanned batches go into.
type target struct {
	producers producers
	txns      *transactions
	segment   *segment.Segment
}

// replayInto says where the batches of segment i go: into the partition's
// producers, or, for a segment that these know already and that is scanned for
// its indexes, into a copy that knows what was open at its beginning.
func (r *recovery) replayInto(i int, s *segment.Segment) (target, error) {
	if r.bases[i] >= r.stateAt {
		return target{r.p.producers, &r.txns, s}, nil
	}
	ps, err := r.producersAt(i)
	if err != nil {
		return target{}, err
	}
	ts := ps.opened()
	return target{ps, &ts, s}, nil
}

// producersAt is the producer state at the base of segment i: the snapshot
// there, or an older one and the batches after it.
func (r *recovery) producersAt(i int) (producers, error) {
	p, ps, from := r.p, producers{}, i
	for ; from > 0; from-- {
		b, err := readFile(p.log.fs, p.dir, segment.FileName(r.bases[from], segment.SnapshotSuffix))
		if err != nil {
			return nil, err
		}
		if found, err := decodeSnapshot(b); err == nil {
			ps = found
			break
		}
	}
	ts, now := ps.opened(), p.log.clock.Now().UnixMilli()
	for _, h := range p.segs[from:i] {
		_, _, err := segment.Scan(h, 0, h.Size(), h.Base(), func(b *segment.Header, batch []byte, _ int64) error {
			return ps.replay(b, batch, now, &ts, nil)
		})
		if err != nil {
			return nil, err
		}
	}
	return ps, nil
}

// replay takes a scanned batch into the state that is not in files.
func (r *recovery) replay(h *segment.Header, batch []byte) error {
	if err := r.into.producers.replay(h, batch, r.p.log.clock.Now().UnixMilli(), r.into.txns, r.into.segment); err != nil {
		return err
	}
	if r.epochsOK {
		return nil
	}
	es := r.p.epochs
	if n := len(es); n == 0 || h.LeaderEpoch > es[n-1].Epoch {
		r.p.epochs = append(es, EpochStart{max(h.LeaderEpoch, 0), h.BaseOffset})
	}
	return nil
}

// loadProducers loads the newest usable snapshot at or below the active
// segment's base. Segments from there on are replayed.
func (r *recovery) loadProducers() error {
	p := r.p
	r.stateAt = r.bases[0]
	for i, base := range slices.Backward(r.bases) {
		if i == 0 {
			break // nothing is before the first segment
		}
		name := segment.FileName(base, segment.SnapshotSuffix)
		b, err := readFile(p.log.fs, p.dir, name)
		if err != nil {
			return err
		}
		if b == nil {
			r.logger.Warn("producer snapshot is missing and is made anew from the log", slog.String("file", name))
			continue
		}
		ps, err := decodeSnapshot(b)
		if err != nil {
			r.logger.Warn("producer snapshot is unreadable and is made anew from the log", slog.String("file", name), slog.Any("error", err))
			continue
		}
		p.producers, r.stateAt = ps, base
		return nil
	}
	return r.firstProducers()
}

// firstProducers loads the snapshot at the first segment's base: what the
// deleted segments before it held.
func (r *recovery) firstProducers() error {
	p := r.p
	b, err := readFile(p.log.fs, p.dir, segment.FileName(r.bases[0], segment.SnapshotSuffix))
	if err != nil || b == nil {
		return err
	}
	if ps, err := decodeSnapshot(b); err == nil {
		p.producers = ps
	} else {
		r.logger.Warn("producer snapshot is unreadable; producers that only wrote to deleted segments are forgotten", slog.Any("error", err))
	}
	return nil
}

// saveProducers writes the producer state at a segment's base again when its
// snapshot was not usable.
func (r *recovery) saveProducers(base int64) error {
	p := r.p
	if base <= r.stateAt || p.damage != nil {
		return nil
	}
	return writeAtomic(p.log.fs, p.dir, segment.FileName(base, segment.SnapshotSuffix), encodeSnapshot(p.producers))
}
