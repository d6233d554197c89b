package log

import (
	"errors"
	"log/slog"
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
// vanish later. Room that the last segment had taken ahead is given back.
func (r *recovery) sync() error {
	if err := r.p.log.fs.SyncDir(r.p.dir); err != nil || r.p.damage != nil {
		return err
	}
	return r.p.active().Truncate()
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
