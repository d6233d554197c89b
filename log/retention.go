package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log/segment"
)

// DeleteRecords raises the log start to offset, durably, and deletes segments
// that fell out; -1 means the high watermark. It returns the new log start.
// Above the high watermark it fails with ErrOffsetOutOfRange; an offset below
// the log start changes nothing.
func (p *Partition) DeleteRecords(offset int64) (logStart int64, err error) {
	p.startMu.Lock()
	defer p.startMu.Unlock()
	p.mu.Lock()
	start, hw, refused := p.start, p.hw, p.err
	p.mu.Unlock()
	if offset == -1 {
		offset = hw
	}
	switch {
	case errors.Is(refused, ErrClosed), errors.Is(refused, ErrUnknownTopic):
		return start, fmt.Errorf("delete records of %s: %w", p, refused)
	case offset < 0 || offset > hw:
		return start, fmt.Errorf("delete records of %s: %w", p, &OffsetError{offset, start, hw})
	case offset <= start:
		return start, nil
	}
	if err := p.raiseStart(offset); err != nil {
		return start, fmt.Errorf("delete records of %s: %w", p, err)
	}
	return offset, nil
}

// raiseStart makes a new log start durable and then deletes the segments below
// it. In this order a crash leaves whole segments below the start, which
// recovery removes, and never a gap. On a full disk, where the start cannot be
// saved, segments go one by one, each removal durable before the next, until it
// can. Appends go on meanwhile. Call with startMu.
func (p *Partition) raiseStart(offset int64) error {
	p.mu.Lock()
	before := p.start
	p.start = offset
	p.mu.Unlock()
	for {
		err := p.log.saveLogStarts()
		if err == nil {
			break
		}
		err = storageError("save log start", err)
		if errors.Is(err, ErrNoSpace) && p.dropBelow(offset, 1) == 1 {
			continue
		}
		p.mu.Lock()
		p.start = max(before, p.segs[0].Base())
		p.mu.Unlock()
		return err
	}
	p.dropBelow(offset, -1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
	return nil
}

// dropBelow deletes up to limit segments that lie wholly below an offset, all
// if limit is negative, and says how many. Files that cannot be removed are
// removed by the next start. Call with startMu.
func (p *Partition) dropBelow(offset int64, limit int) int {
	out := p.cutBelow(offset, limit)
	for _, h := range out {
		p.log.retentionDeleted.Add(h.Size())
	}
	if err := p.discard(out); err != nil {
		p.log.logger.Error("files of deleted segments are left until the next start", slog.String("partition", p.String()), slog.Any("error", err))
	}
	return len(out)
}

// cutBelow takes the segments out that dropBelow deletes.
func (p *Partition) cutBelow(offset int64, limit int) (out []*handle) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.segs) > 1 && p.segs[1].Base() <= offset && len(out) != limit {
		out = append(out, p.segs[0])
		p.segs = slices.Delete(slices.Clone(p.segs), 0, 1)
	}
	return out
}

// discard deletes segments that are out of segs already.
func (p *Partition) discard(out []*handle) error {
	var errs []error
	for _, h := range out {
		errs = append(errs, segment.Remove(p.log.fs, p.dir, h.Base()))
		p.mu.Lock()
		now := p.drop(h)
		p.mu.Unlock()
		if now {
			p.closeSegment(h)
		}
	}
	if len(out) > 0 {
		errs = append(errs, p.log.fs.SyncDir(p.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return storageError("delete segments", err)
	}
	return nil
}

// ApplyRetention applies retention to all partitions now.
func (l *Log) ApplyRetention(ctx context.Context) error {
	var errs []error
	for _, t := range l.Topics() {
		for _, p := range t.Partitions() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := p.retain(); err != nil {
				errs = append(errs, fmt.Errorf("retention of %s: %w", p, err))
			}
		}
	}
	return errors.Join(errs...)
}

// retain deletes the segments that are too old or too many, and forgets idle
// producers.
func (p *Partition) retain() error {
	p.startMu.Lock()
	defer p.startMu.Unlock()
	before, start, err := p.retainable()
	if err != nil || start <= before {
		return err
	}
	p.log.logger.Info("retention deletes records", slog.String("partition", p.String()),
		slog.Int64("from", before), slog.Int64("to", start))
	return p.raiseStart(start)
}

// retainable is the log start, and the one that retention leaves.
func (p *Partition) retainable() (before, after int64, err error) {
	cfg, now := p.topic.Config(), p.log.clock.Now()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.producers.expire(now.Add(-p.log.opts.ProducerExpiry).UnixMilli())
	if p.Err() != nil || !cfg.Delete {
		return 0, 0, nil // damaged bytes are kept
	}
	if err := p.rollExpired(cfg, now); err != nil && !errors.Is(err, ErrNoSpace) {
		return 0, 0, err // on a full disk, what is closed already can go all the same
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start, min(p.retainFrom(cfg, now), p.hw), nil
}

// retainFrom is the base of the first segment to keep. Call with mu.
func (p *Partition) retainFrom(cfg *TopicConfig, now time.Time) int64 {
	total := int64(0)
	for _, h := range p.segs {
		total += h.Size()
	}
	i := 0
	for ; i < len(p.segs)-1; i++ {
		// Size: a segment goes only while what remains is still the limit.
		tooMany := cfg.RetentionBytes >= 0 && total-p.segs[i].Size() >= cfg.RetentionBytes
		if !tooMany && !tooOld(p.segs[i], cfg, now) {
			break
		}
		total -= p.segs[i].Size()
	}
	return p.segs[i].Base()
}

func tooOld(h *handle, cfg *TopicConfig, now time.Time) bool {
	ms, _ := h.MaxTimestamp()
	return cfg.RetentionTime >= 0 && cfg.RetentionTime < forever && ms != segment.NoTimestamp &&
		now.UnixMilli()-ms > cfg.RetentionTime.Milliseconds()
}

// rollExpired rolls the active segment when all of it is too old, so that it
// can be deleted too.
func (p *Partition) rollExpired(cfg *TopicConfig, now time.Time) error {
	h := p.active()
	if h.Size() == 0 || h.Next() != p.LogEnd() || !tooOld(h, cfg, now) {
		return nil
	}
	return p.roll(cfg)
}
