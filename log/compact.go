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

// Compact compacts every partition of compacted topics that is due now.
func (l *Log) Compact(ctx context.Context) error {
	l.compactMu.Lock()
	defer l.compactMu.Unlock()
	var errs []error
	for _, t := range l.Topics() {
		if !t.Config().Compact {
			continue
		}
		for _, p := range t.Partitions() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := p.compact(ctx, keyMapMax); err != nil {
				errs = append(errs, fmt.Errorf("compact %s: %w", p, err))
			}
		}
	}
	return errors.Join(errs...)
}

// noteCompacted records, durably and before the first record goes, that gaps
// between the topic's batches are not a loss.
func (t *Topic) noteCompacted() error {
	if t.compacted.Load() {
		return nil
	}
	t.log.ddl.Lock()
	defer t.log.ddl.Unlock()
	if now, err := t.log.Topic(t.name); err != nil || now != t {
		return fmt.Errorf("%w: %q", ErrUnknownTopic, t.name)
	}
	t.compacted.Store(true)
	if err := t.log.saveTopics(t.log.topicRecords()); err != nil {
		t.compacted.Store(false)
		return err
	}
	return nil
}

// compaction is one pass over a partition: first the last offset of each key
// in the part not yet seen, then a copy of every closed segment without the
// records that a later one of the same key replaces.
type compaction struct {
	p    *Partition
	cfg  *TopicConfig
	now  time.Time
	keys *keyMap
	upTo int64 // keys holds everything in the unseen part below this
	// horizon is the earliest delete horizon that was left or given.
	horizon int64
}

func (p *Partition) compact(ctx context.Context, maxSlots int) error {
	c := &compaction{p: p, cfg: p.topic.Config(), now: p.log.clock.Now(), keys: newKeyMap(maxSlots)}
	segs, from := c.due()
	if segs == nil {
		return nil
	}
	defer p.releaseAll(segs)
	if err := p.topic.noteCompacted(); err != nil {
		return err
	}
	if err := c.readKeys(ctx, segs, from); err != nil {
		return err
	}
	for _, h := range segs {
		if h.Base() >= c.upTo {
			break
		}
		if err := c.clean(ctx, h); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanedTo, p.horizon = c.upTo, c.horizon
	return nil
}

// due takes hold of the closed segments when there is enough to do: the share
// of unseen bytes, the age of the oldest unseen record, or a tombstone whose
// time has come.
func (c *compaction) due() (segs []*handle, from int64) {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, 0
	}
	var clean, dirty int64
	oldest := int64(segment.NoTimestamp)
	for _, h := range p.segs[:len(p.segs)-1] {
		ts, _ := h.MaxTimestamp()
		if h.Next() > p.hw || c.cfg.MinCompactionLag > 0 && c.now.UnixMilli()-ts < c.cfg.MinCompactionLag.Milliseconds() {
			break
		}
		segs = append(segs, h)
		if h.Next() <= p.cleanedTo {
			clean += h.Size()
			continue
		}
		if dirty += h.Size(); oldest == segment.NoTimestamp {
			oldest = h.FirstTimestamp()
		}
	}
	late := dirty > 0 && oldest != segment.NoTimestamp && c.cfg.MaxCompactionLag < forever &&
		c.now.UnixMilli()-oldest > c.cfg.MaxCompactionLag.Milliseconds()
	enough := dirty > 0 && float64(dirty) >= c.cfg.MinDirtyRatio*float64(clean+dirty)
	if !enough && !late && !(p.horizon > 0 && c.now.UnixMilli() > p.horizon) {
		return nil, 0
	}
	for _, h := range segs {
		p.acquire(h)
	}
	return segs, p.cleanedTo
}

var errFull = errors.New("key map is full")

// readKeys fills the key map from offset from on, as far as it has room.
func (c *compaction) readKeys(ctx context.Context, segs []*handle, from int64) error {
	c.upTo = from
	for _, h := range segs {
		if h.Next() <= from {
			continue
		}
		err := c.scan(ctx, h, func(b *segment.Header, batch []byte) error {
			if b.LastOffset() < from {
				return nil
			}
			for r, err := range segment.Records(b, batch) {
				if err != nil {
					return err
				}
				if r.Key != nil && !c.keys.put(r.Key, r.Offset) {
					return errFull
				}
			}
			c.upTo = b.NextOffset()
			return nil
		})
		if errors.Is(err, errFull) {
			if c.upTo == from {
				return fmt.Errorf("one batch has more than %d keys", c.keys.max)
			}
			return nil // the rest is for the next pass
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *compaction) scan(ctx context.Context, h *handle, fn func(*segment.Header, []byte) error) error {
	_, bad, err := segment.Scan(h, 0, h.Size(), h.Base(), func(b *segment.Header, batch []byte, _ int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(b, batch)
	})
	if bad != nil {
		return c.p.badBatch(h, bad.Pos, h.Base(), bad.Err)
	}
	return err
}

// clean copies one segment without what is replaced and puts the copy in its
// place.
func (c *compaction) clean(ctx context.Context, h *handle) error {
	horizon := c.now.Add(c.cfg.DeleteRetention).UnixMilli()
	n, err := h.Clean(func(dst []byte, b *segment.Header, batch []byte) ([]byte, bool, error) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		has := b.Attributes&segment.AttrDeleteHorizon != 0
		return segment.Filter(dst, b, batch, horizon, func(r *segment.Record) segment.Verdict {
			return c.judge(r, has, b.BaseTimestamp, horizon)
		})
	})
	if err != nil {
		return storageError("compact "+h.Path(), err)
	}
	if n == nil {
		return nil
	}
	return c.swap(h, n)
}

// judge decides about one record. Records without a key stay: nothing replaces
// them. A tombstone stays for delete.retention.ms after the first pass that
// met it, whatever its own timestamp says.
func (c *compaction) judge(r *segment.Record, hasHorizon bool, batchHorizon, newHorizon int64) segment.Verdict {
	if r.Key == nil || r.Offset >= c.upTo {
		return segment.Keep
	}
	if c.keys.get(r.Key) > r.Offset {
		return segment.Drop
	}
	if r.Value != nil {
		return segment.Keep
	}
	if hasHorizon && c.now.UnixMilli() > batchHorizon {
		return segment.Drop
	}
	at, verdict := newHorizon, segment.KeepUntil
	if hasHorizon {
		at, verdict = batchHorizon, segment.Keep
	}
	if c.horizon == 0 || at < c.horizon {
		c.horizon = at
	}
	return verdict
}

// swap puts a cleaned segment in the place of the old one, unless retention
// took that away meanwhile.
func (c *compaction) swap(h *handle, n *segment.Segment) error {
	p := c.p
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.mu.Lock()
	i := slices.Index(p.segs, h)
	refused := p.err
	p.mu.Unlock()
	if i < 0 || refused != nil {
		return n.Discard()
	}
	if n.Size() == 0 && i > 0 {
		return c.remove(h, n)
	}
	if err := n.Replace(); err != nil {
		// The name may belong to either file now; both are whole.
		err = errors.Join(storageError("replace "+h.Path(), err), n.Close())
		p.refuse(err)
		return err
	}
	p.log.compacted.Add(h.Size() - n.Size())
	p.mu.Lock()
	p.segs[i] = &handle{Segment: n}
	p.drop(h) // closed by releaseAll
	p.mu.Unlock()
	p.log.logger.Debug("compacted a segment", slog.String("file", h.Path()), slog.Int64("before", h.Size()), slog.Int64("after", n.Size()))
	if _, err := n.Seal(); err != nil {
		return storageError("index "+n.Path(), err) // works from memory until the next start
	}
	return nil
}

// remove takes away a segment of which nothing is left. The first one stays, as
// an empty file, because its name is the log start. Call with wmu.
func (c *compaction) remove(h *handle, n *segment.Segment) error {
	p := c.p
	p.mu.Lock()
	i := slices.Index(p.segs, h)
	p.segs = slices.Delete(slices.Clone(p.segs), i, i+1)
	p.drop(h) // closed by releaseAll
	p.mu.Unlock()
	p.log.compacted.Add(h.Size())
	err := errors.Join(n.Discard(), segment.Remove(p.log.fs, p.dir, h.Base()), p.log.fs.SyncDir(p.dir))
	if err != nil {
		return storageError("remove emptied segment", err)
	}
	return nil
}
