package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sort"
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
	// aborted are the aborted transactions of the segments, by producer, in
	// order; open are the producers that have records of a transaction before
	// the batch at hand, without its marker.
	aborted map[int64][]segment.Aborted
	open    map[int64]bool
}

func (p *Partition) compact(ctx context.Context, maxSlots int) error {
	c := &compaction{p: p, cfg: p.topic.Config(), now: p.log.clock.Now(), keys: newKeyMap(maxSlots),
		aborted: map[int64][]segment.Aborted{}, open: map[int64]bool{}}
	segs, from := c.due()
	if segs == nil {
		return nil
	}
	defer p.releaseAll(segs)
	if err := p.topic.noteCompacted(); err != nil {
		return err
	}
	if err := c.readAborted(segs[0]); err != nil {
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
		// What is not decided may not go, and replaces nothing yet.
		if h.Next() > p.stable() || c.cfg.MinCompactionLag > 0 && c.now.UnixMilli()-ts < c.cfg.MinCompactionLag.Milliseconds() {
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
			if b.Control() || c.isAborted(b) {
				c.upTo = b.NextOffset()
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
	gone := map[int64]bool{} // markers
	n, err := h.Clean(func(dst []byte, b *segment.Header, batch []byte) ([]byte, bool, error) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		has := b.Attributes&segment.AttrDeleteHorizon != 0
		before := len(dst)
		out, changed, err := segment.Filter(dst, b, batch, horizon, func(r *segment.Record) segment.Verdict {
			switch {
			case b.Control():
				return c.judgeMarker(b, horizon)
			case c.isAborted(b):
				return segment.Drop
			}
			return c.judge(r, has, b.BaseTimestamp, horizon)
		})
		c.follow(b, len(out) > before)
		if b.Control() && len(out) == before {
			gone[b.LastOffset()] = true
		}
		return out, changed, err
	})
	if err != nil {
		return storageError("compact "+h.Path(), err)
	}
	if n == nil {
		return nil
	}
	if err := n.CopyAborted(h.Segment, func(marker int64) bool { return !gone[marker] }); err != nil {
		return errors.Join(storageError("compact "+h.Path(), err), n.Discard())
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
	return c.until(hasHorizon, batchHorizon, newHorizon)
}

// until keeps a tombstone or a marker until its horizon, which it gets if it has
// none.
func (c *compaction) until(hasHorizon bool, batchHorizon, newHorizon int64) segment.Verdict {
	at, verdict := newHorizon, segment.KeepUntil
	if hasHorizon {
		at, verdict = batchHorizon, segment.Keep
	}
	if c.horizon == 0 || at < c.horizon {
		c.horizon = at
	}
	return verdict
}

// readAborted collects the aborted transactions. Their markers may be in a later
// segment than their records, the active one too.
func (c *compaction) readAborted(first *handle) error {
	indexes := c.p.holdAborted(first)
	defer c.p.releaseAll(indexes)
	for _, h := range indexes {
		all, _, err := h.Aborted(nil, 0, math.MaxInt64)
		if err != nil {
			return storageError("read transaction index of "+h.Path(), err)
		}
		for _, a := range all {
			c.aborted[a.ProducerID] = append(c.aborted[a.ProducerID], a)
		}
	}
	return nil
}

// isAborted tells whether a batch belongs to an aborted transaction. The whole
// batch does, or none of it.
func (c *compaction) isAborted(b *segment.Header) bool {
	if !b.Transactional() || b.Control() {
		return false
	}
	all := c.aborted[b.ProducerID]
	i := sort.Search(len(all), func(i int) bool { return all[i].Last > b.BaseOffset })
	return i < len(all) && all[i].First <= b.BaseOffset
}

// follow keeps track of which transactions have records left before a marker.
func (c *compaction) follow(b *segment.Header, left bool) {
	switch {
	case b.Control():
		delete(c.open, b.ProducerID)
	case b.Transactional() && left:
		c.open[b.ProducerID] = true
	}
}

// judgeMarker decides about a marker. It stays while the log has records of its
// transaction, and after that as long as a tombstone does: a reader may have
// seen the records before they went.
func (c *compaction) judgeMarker(b *segment.Header, newHorizon int64) segment.Verdict {
	has := b.Attributes&segment.AttrDeleteHorizon != 0
	if c.open[b.ProducerID] || b.BaseOffset >= c.upTo {
		return segment.Keep
	}
	if has && c.now.UnixMilli() > b.BaseTimestamp {
		return segment.Drop
	}
	return c.until(has, b.BaseTimestamp, newHorizon)
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
