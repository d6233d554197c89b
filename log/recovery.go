package log

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/log/segment"
)

// createFiles makes the folder of a new partition. The caller syncs the data
// directory.
func (p *Partition) createFiles() error {
	if err := p.log.fs.MkdirAll(p.dir); err != nil {
		return err
	}
	// Not by writeAtomic: nobody looks into the folder before the topics file
	// names it, and firstSegment syncs the names.
	f, err := p.log.fs.Create(filepath.Join(p.dir, partitionFile))
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(encodePartitionMeta(p.topic.id), 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return p.firstSegment(0)
}

// firstSegment begins an empty log at an offset.
func (p *Partition) firstSegment(offset int64) error {
	s, err := segment.Create(p.log.fs, p.dir, offset, p.topic.Config().IndexInterval)
	if err != nil {
		return err
	}
	p.segs = []*handle{{Segment: s}}
	p.end, p.hw, p.start = offset, offset, offset
	if err := p.makeHint(); err != nil {
		return err
	}
	return p.log.fs.SyncDir(p.dir)
}

// readHint returns what the durable-end file says, 0 if nothing, and makes a
// missing one.
func (p *Partition) readHint() (int64, error) {
	b, err := readFile(p.log.fs, p.dir, durableFile)
	if err != nil {
		return 0, err
	}
	if b == nil {
		return 0, p.makeHint()
	}
	hint, _ := decodeDurable(b)
	return hint, nil
}

func (p *Partition) makeHint() error {
	f, err := p.log.fs.Create(filepath.Join(p.dir, durableFile))
	if err != nil {
		return err
	}
	return f.Close()
}

// recovery brings one partition's files into order at Open.
type recovery struct {
	p        *Partition
	logger   *slog.Logger
	bases    []int64
	hint     int64 // below this everything was durable
	epochsOK bool  // the epoch checkpoint was good
	stateAt  int64 // offset up to which producers is complete
	txns     transactions
	into     target           // of the segment that is being scanned
	opened   *segment.Segment // the last one, if it is as the active-state file says
}

// recover opens the partition. An error is one of the file system; damage
// makes the partition refuse writes and is no error.
func (p *Partition) recover(logStart int64) error {
	r := &recovery{p: p, logger: p.log.logger.With(slog.String("partition", p.String()))}
	var err error
	if r.hint, err = p.readHint(); err != nil {
		return err
	}
	if err := r.list(logStart); err != nil {
		return err
	}
	if err := r.loadEpochs(); err != nil {
		return err
	}
	if len(r.bases) == 0 {
		return r.empty(logStart)
	}
	if err := r.fromState(); err != nil {
		return err
	}
	if r.opened == nil {
		if err := r.loadProducers(); err != nil {
			return err
		}
	}
	r.txns = p.producers.opened()
	for i := range r.bases {
		if err := r.segment(i); err != nil {
			if r.opened != nil { // p.segs, which Open closes, does not have it yet
				err = errors.Join(err, r.opened.Close())
			}
			return err
		}
	}
	if r.opened == nil && !r.untouched() {
		if err := r.sync(); err != nil {
			return err
		}
	}
	return r.finish(logStart)
}

// list finds the segments, removes what a crash left half done, and what lies
// wholly below the log start.
func (r *recovery) list(logStart int64) error {
	p := r.p
	entries, err := p.log.fs.ReadDir(p.dir)
	if err != nil {
		return err
	}
	logs := map[int64]bool{}
	for _, e := range entries {
		if base, ok := segment.ParseFileName(e.Name, segment.LogSuffix); ok {
			r.bases = append(r.bases, base)
			logs[base] = true
		}
	}
	slices.Sort(r.bases)
	for _, e := range entries {
		if !r.leftover(e.Name, logs) {
			continue
		}
		if err := p.log.fs.Remove(filepath.Join(p.dir, e.Name)); err != nil {
			return err
		}
	}
	for len(r.bases) > 1 && r.bases[1] <= logStart {
		if err := segment.Remove(p.log.fs, p.dir, r.bases[0]); err != nil {
			return err
		}
		r.bases = r.bases[1:]
	}
	return nil
}

// untouched tells a partition that has had no records: its names were durable
// before the topics file named it. There are thousands of them where a sync of
// each would make a start slow.
func (r *recovery) untouched() bool {
	return len(r.bases) == 1 && r.bases[0] == 0 && r.p.active().Size() == 0
}

// sync makes durable what was read, names and bytes: what recovery saw must not
// vanish later.
func (r *recovery) sync() error {
	if err := r.p.log.fs.SyncDir(r.p.dir); err != nil || r.p.damage != nil {
		return err
	}
	return r.p.active().Sync()
}

// leftover tells a temporary file, and an index whose log is gone.
func (r *recovery) leftover(name string, logs map[int64]bool) bool {
	if strings.HasSuffix(name, tempSuffix) || strings.HasSuffix(name, segment.CleanedSuffix) {
		return true
	}
	for _, suffix := range []string{segment.IndexSuffix, segment.TimeIndexSuffix, segment.TxnIndexSuffix} {
		if base, ok := segment.ParseFileName(name, suffix); ok && !logs[base] {
			return true
		}
	}
	return false
}

// empty begins a log whose folder has no segment: one just created, unless
// records are known to have been there.
func (r *recovery) empty(logStart int64) error {
	at := max(logStart, r.hint)
	if at > logStart {
		r.logger.Error("all segment files are missing; acknowledged records are lost",
			slog.Int64("from", logStart), slog.Int64("to", at))
	}
	return r.p.firstSegment(at)
}

// loadEpochs reads the leader epochs. Without a good file they are made anew
// from the batches, which asks for a scan of everything.
func (r *recovery) loadEpochs() error {
	b, err := readFile(r.p.log.fs, r.p.dir, epochFile)
	if err != nil {
		return err
	}
	if b == nil {
		// Written before the first record, so an empty log needs none.
		r.epochsOK = false
		return nil
	}
	epochs, err := decodeEpochs(b)
	if err != nil {
		r.logger.Warn("leader epoch checkpoint is unreadable and is made anew from the log", slog.Any("error", err))
		return nil
	}
	r.p.epochs, r.epochsOK = epochs, true
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

// segment opens segment i and appends it to the partition's.
func (r *recovery) segment(i int) error {
	p, base := r.p, r.bases[i]
	active := i == len(r.bases)-1
	interval := p.topic.Config().IndexInterval
	if err := r.saveProducers(base); err != nil {
		return err
	}
	if active && r.opened != nil {
		p.segs = append(p.segs, &handle{Segment: r.opened})
		return nil
	}
	if !active && r.epochsOK && base < r.stateAt {
		s, err := segment.OpenSealed(p.log.fs, p.dir, base, interval)
		if err == nil {
			p.segs = append(p.segs, &handle{Segment: s})
			return r.gap(i)
		}
		if !errors.Is(err, segment.ErrStale) {
			return err
		}
		r.logger.Warn("index is made anew", slog.String("segment", segment.FileName(base, segment.LogSuffix)), slog.Any("reason", err))
	}
	s, err := segment.Open(p.log.fs, p.dir, base, interval)
	if err != nil {
		return err
	}
	p.segs = append(p.segs, &handle{Segment: s})
	if r.into, err = r.replayInto(i, s); err != nil {
		return err
	}
	size, bad, err := s.Recover(r.replay)
	if err != nil {
		return err
	}
	if bad != nil {
		if err := r.bad(s, active, size, bad); err != nil {
			return err
		}
	}
	if active || p.damage != nil {
		return nil
	}
	if _, err := s.Seal(); err != nil {
		return err
	}
	return r.gap(i)
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

// finish sets the offsets.
func (r *recovery) finish(logStart int64) error {
	p := r.p
	last := p.active()
	p.end = last.Next()
	if p.end < r.hint {
		// The offsets were given to acknowledged records and are not used again.
		r.logger.Error("acknowledged records are missing at the end of the log",
			slog.Int64("from", p.end), slog.Int64("to", r.hint), slog.String("segment", last.Path()))
		if err := r.fill(last, r.hint); err != nil {
			return err
		}
		p.end = r.hint
	}
	p.start = max(p.segs[0].Base(), logStart)
	p.end = max(p.end, p.start)
	p.hw, p.hwPos = p.end, last.Size()
	p.txns = r.txns
	if n := len(p.epochs); !r.epochsOK && n > 0 {
		if err := writeAtomic(p.log.fs, p.dir, epochFile, encodeEpochs(p.epochs)); err != nil {
			return err
		}
	}
	// An epoch that began where nothing was kept begins at the end.
	for i := range p.epochs {
		p.epochs[i].Offset = min(p.epochs[i].Offset, p.end)
	}
	if p.damage == nil && p.end != r.hint {
		p.noteDurable(p.end)
	}
	return nil
}
