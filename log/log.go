package log

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// Log is a data directory with its topics.
//
// Locks, in order: compactMu, ddl, a Partition's startMu and wmu, startsMu, mu,
// a Partition's mu.
type Log struct {
	opts    Options
	fs      vfs.FS
	clock   Clock
	logger  *slog.Logger
	dir     string
	configs atomic.Pointer[configSet]
	lock    interface{ Close() error }
	meta    meta

	ddl sync.Mutex // creating, deleting and altering topics
	// unfinished are deleted topics of which something may come back. Guarded by
	// ddl.
	unfinished []topicRecord
	mu         sync.RWMutex
	// byName and byID are guarded by mu.
	byName map[string]*Topic
	byID   map[TopicID]*Topic
	// topicsVersion rises with each change of which topics and partitions there are.
	topicsVersion atomic.Int64

	startsMu  sync.Mutex // the log start checkpoint
	compactMu sync.Mutex // one compaction at a time, for its memory

	pidMu    sync.Mutex // producer ids
	nextPID  int64
	pidLimit int64 // below this ids are reserved in the file

	closing    chan struct{} // closed when Close begins
	closeOnce  sync.Once
	closeErr   error
	background sync.WaitGroup
	flushers   sync.WaitGroup
	syncSlots  chan struct{}
	doneRound  *round
	disk       *disk
	counters
}

// Open opens or creates the data directory, locks it, recovers every partition
// and starts the background work. The second opener of a directory gets an
// ErrLocked that names the directory and, if known, the process that has it.
// Damage in a partition is no error here: that partition refuses writes and
// its Err tells why. Close releases everything.
func Open(o Options) (*Log, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	configs, err := newConfigSet(o)
	if err != nil {
		return nil, err
	}
	l := &Log{
		opts: o, fs: o.FS, clock: o.Clock, logger: o.Logger, dir: o.Dir,
		byName: map[string]*Topic{}, byID: map[TopicID]*Topic{},
		closing: make(chan struct{}), syncSlots: make(chan struct{}, o.MaxSyncs), doneRound: closedRound(),
		counters: newCounters(),
	}
	l.disk = &disk{log: l}
	l.configs.Store(configs)
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", o.Dir, errors.Join(err, l.abandon()))
	}
	l.startBackground()
	return l, nil
}

// startBackground starts the goroutines that look at the disk and apply
// retention and compaction; Close ends them.
func (l *Log) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	l.background.Go(func() {
		<-l.closing
		cancel()
	})
	if every := l.opts.DiskInterval; every > 0 {
		look := func(context.Context) error { l.disk.look(); return nil }
		l.background.Go(func() { l.repeat(ctx, every, "disk", look) })
	}
	if every := l.opts.RetentionInterval; every > 0 {
		l.background.Go(func() { l.repeat(ctx, every, "retention", l.ApplyRetention) })
	}
	if every := l.opts.CompactionInterval; every > 0 {
		l.background.Go(func() { l.repeat(ctx, every, "compaction", l.Compact) })
	}
}

// repeat does something again and again until Close.
func (l *Log) repeat(ctx context.Context, every time.Duration, what string, do func(context.Context) error) {
	for {
		select {
		case <-l.closing:
			return
		case <-l.clock.After(every):
		}
		if err := do(ctx); err != nil && ctx.Err() == nil {
			l.logger.Error("background work failed and is tried again", slog.String("work", what), slog.Any("error", err))
		}
	}
}

// Close ends the background work, lets running appends finish, syncs, and
// releases the lock. Appends and reads after it fail with ErrClosed, waiters
// are woken.
func (l *Log) Close() error {
	l.closeOnce.Do(func() {
		close(l.closing)
		l.background.Wait()
		l.ddl.Lock()
		defer l.ddl.Unlock()
		parts := l.allPartitions()
		for _, p := range parts {
			p.awaitAppend()
		}
		l.flushers.Wait()
		var errs []error
		for _, p := range parts {
			errs = append(errs, p.close())
		}
		l.closeErr = errors.Join(errors.Join(errs...), l.lock.Close())
	})
	return l.closeErr
}

// close syncs what is not synced yet and closes the files.
func (p *Partition) close() error {
	p.startMu.Lock()
	defer p.startMu.Unlock()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	var err error
	p.mu.Lock()
	dirty := p.err == nil && (p.unsynced > 0 || p.hw < p.end)
	p.mu.Unlock()
	if dirty {
		if err = p.active().Sync(); err != nil {
			err = storageError("sync "+p.active().Path(), err)
		} else {
			p.noteDurable(p.LogEnd())
		}
	}
	if p.Err() == nil && err == nil {
		p.saveActive()
	}
	p.shut(ErrClosed)
	return err
}

// shut refuses everything from now on and closes the files once nobody uses
// them. Call with startMu and wmu.
func (p *Partition) shut(why error) {
	p.refuse(why)
	p.mu.Lock()
	segs := p.segs
	p.segs = nil
	var now []*handle
	for _, h := range segs {
		if p.drop(h) {
			now = append(now, h)
		}
	}
	p.mu.Unlock()
	for _, h := range now {
		p.closeSegment(h)
	}
	p.shutHint()
}

func (l *Log) allPartitions() []*Partition {
	var all []*Partition
	for _, t := range l.Topics() {
		all = append(all, t.Partitions()...)
	}
	return all
}

// ClusterID is the id of this log as Kafka's clients know it: made at the first
// Open, kept in meta.properties.
func (l *Log) ClusterID() string { return l.meta.clusterID }

// LeaderEpoch is the leader epoch of every partition. It rises with each Open.
func (l *Log) LeaderEpoch() int32 { return l.meta.epoch }

// Topic finds a topic by name, or fails with ErrUnknownTopic.
func (l *Log) Topic(name string) (*Topic, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if t := l.byName[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownTopic, name)
}

// TopicByID finds a topic by id, or fails with ErrUnknownTopic.
func (l *Log) TopicByID(id TopicID) (*Topic, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if t := l.byID[id]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: id %s", ErrUnknownTopic, id)
}

// Topics lists the topics by name.
func (l *Log) Topics() []*Topic {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.SortedFunc(maps.Values(l.byName), func(a, b *Topic) int { return cmp.Compare(a.name, b.name) })
}

// TopicsVersion is another number after each change of which topics and
// partitions there are. It is not kept over a restart.
func (l *Log) TopicsVersion() int64 { return l.topicsVersion.Load() }

// Partition finds a partition, or fails with ErrUnknownTopic.
func (l *Log) Partition(topic string, partition int32) (*Partition, error) {
	t, err := l.Topic(topic)
	if err != nil {
		return nil, err
	}
	return t.Partition(partition)
}

func (l *Log) partitionDir(topic string, n int32) string {
	return filepath.Join(l.dir, topic+"-"+strconv.Itoa(int(n)))
}

// producerIDBlock is how many ids one write of the checkpoint reserves.
const producerIDBlock = 1000

// NextProducerID returns a producer id that no producer of this log was given
// before, over restarts and crashes too.
func (l *Log) NextProducerID() (int64, error) {
	l.pidMu.Lock()
	defer l.pidMu.Unlock()
	if l.nextPID == l.pidLimit {
		limit := l.pidLimit + producerIDBlock
		line := strconv.FormatInt(limit, 10)
		if err := l.save(producerIDFile, encodeCheckpoint([]string{line})); err != nil {
			return 0, storageError("reserve producer ids", err)
		}
		l.pidLimit = limit
	}
	id := l.nextPID
	l.nextPID++
	return id, nil
}

func (l *Log) loadProducerIDs() error {
	b, err := readFile(l.fs, l.dir, producerIDFile)
	if err != nil || b == nil {
		return err
	}
	lines, err := decodeCheckpoint(b, 1)
	if err == nil && len(lines) != 1 {
		err = fmt.Errorf("%d lines", len(lines))
	}
	if err == nil {
		l.nextPID, err = strconv.ParseInt(lines[0][0], 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", producerIDFile, err)
	}
	l.pidLimit = l.nextPID
	return nil
}
