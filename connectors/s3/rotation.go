package s3

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// rotation is the files that a topic partition has open at the same time, one for each output path, and that are
// finished together. Positions move from rotation to rotation.
type rotation struct {
	start   int64 // offset of the first record
	end     int64 // offset after the last one, known when it is closed
	records int64
	first   int64 // timestamp of the first record

	files map[string]*file // by directory
	order []*file          // as they were opened: the first holds the first record

	tombstones bool  // its records have no values
	lastFile   *file // of the last record
	base       int64 // time of the first record, as the partitioner says
	opened     time.Time
	last       time.Time // when the last record was put
	deadline   time.Time // of scheduled rotation, zero if there is none
	// adopted is where a former task ended this same rotation, 0 if none did. It then ends there again, and not by
	// any other rule, so that a replay writes what is there already.
	adopted int64
	// unseen says that no object of this rotation is there yet, and that one that appears is another writer's.
	unseen bool

	launched bool
	failed   bool          // its error was returned to the hub; it is launched again by the next call
	over     chan struct{} // closed when the goroutine that finishes it ends
	err      error         // valid then
}

// file is one output path of a rotation: the file of values and, if wanted, those of keys and headers.
type file struct {
	dir     string
	uploads []*upload // value, key, header, without those that are not wanted
	value   *upload   // nil for tombstones
	key     *upload
	header  *upload

	schema    *connectors.Schema // of the values in it
	keySchema *connectors.Schema
	fit       fit // how the last record's schema fits
}

// file returns the open file of a directory, nil if there is none.
func (r *rotation) file(dir []byte) *file {
	if f := r.lastFile; string(dir) == f.dir {
		return f
	}
	return r.files[string(dir)]
}

func (r *rotation) add(f *file) {
	r.files[f.dir] = f
	r.order = append(r.order, f)
	r.lastFile = f
}

// about is what is known of the rotation when it is closed.
func (r *rotation) about() metadata {
	return metadata{start: r.start, end: r.end, records: r.records, first: r.first}
}

// finish uploads all files. Where a later task may have to find out how this rotation ended (adopt), the file of the
// first record must be there before any other, because that one is looked for.
func (r *rotation) finish(ctx context.Context, t *task) error {
	uploads := r.uploads()
	clock := t.settings.byClock()
	about := r.about()
	if clock && len(uploads) > 1 {
		if err := t.finish(ctx, uploads[0], about, r.unseen); err != nil {
			return err
		}
		uploads = uploads[1:]
	}
	if len(uploads) == 1 {
		return t.finish(ctx, uploads[0], about, r.unseen)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(uploads))
	for i, u := range uploads {
		if u.done {
			continue
		}
		wg.Go(func() { errs[i] = t.finish(ctx, u, about, r.unseen) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *rotation) uploads() (all []*upload) {
	for _, f := range r.order {
		all = append(all, f.uploads...)
	}
	return all
}

// nextSchedule is the first multiple of the interval since midnight in the zone that is after now, or the next midnight
// if that comes first. Confluent's sink counts so too.
func nextSchedule(now time.Time, interval time.Duration, zone *time.Location) time.Time {
	local := now.In(zone)
	y, m, d := local.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, zone)
	next := midnight.Add((now.Sub(midnight)/interval + 1) * interval)
	if tomorrow := time.Date(y, m, d+1, 0, 0, 0, 0, zone); next.After(tomorrow) {
		return tomorrow
	}
	return next
}

// idleAfter is how long a partition must have been without records before the clock takes the place of the records' own
// time in rotate.interval.ms.
const idleAfter = time.Second

// due reports whether the rotation ends now, without a further record. next is the offset that comes next.
func (r *rotation) due(now time.Time, next int64, s *settings) bool {
	if r.adopted > 0 {
		return next >= r.adopted
	}
	if !r.deadline.IsZero() && !now.Before(r.deadline) {
		return true
	}
	return s.rotateInterval > 0 && now.Sub(r.opened) >= s.rotateInterval && now.Sub(r.last) >= min(idleAfter, s.rotateInterval)
}

// endsBefore reports whether the rotation ends before a record of that directory and time is written.
func (r *rotation) endsBefore(rec *connectors.Record, dir []byte, at int64, now time.Time, s *settings) bool {
	if r.adopted > 0 {
		return rec.Offset >= r.adopted
	}
	if !r.deadline.IsZero() && !now.Before(r.deadline) {
		return true
	}
	if s.rotateInterval <= 0 {
		return false
	}
	return at-r.base >= s.rotateInterval.Milliseconds() || s.onPathChange && string(dir) != r.lastFile.dir
}
