package log

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// Log is a data directory with its topics.
//
// Locks, in order: ddl (creating, deleting, altering), a Partition's, mu.
type Log struct {
	opts    Options
	fs      vfs.FS
	clock   Clock
	logger  *slog.Logger
	dir     string
	configs *configSet
	lock    interface{ Close() error }
	meta    meta

	ddl sync.Mutex // held over the files of topics
	mu  sync.RWMutex
	// byName and byID are guarded by mu.
	byName map[string]*Topic
	byID   map[TopicID]*Topic

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
		opts: o, fs: o.FS, clock: o.Clock, logger: o.Logger, dir: o.Dir, configs: configs,
		byName: map[string]*Topic{}, byID: map[TopicID]*Topic{},
		closing: make(chan struct{}), syncSlots: make(chan struct{}, o.MaxSyncs), doneRound: closedRound(),
		counters: newCounters(),
	}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", o.Dir, errors.Join(err, l.abandon()))
	}
	l.startBackground()
	return l, nil
}

func (l *Log) open() error {
	if err := makeDir(l.fs, l.dir); err != nil {
		return err
	}
	lock, err := l.fs.Lock(filepath.Join(l.dir, lockFile))
	if le := (*vfs.LockedError)(nil); errors.As(err, &le) {
		owner := "another process"
		if le.PID > 0 {
			owner = fmt.Sprintf("process %d", le.PID)
		}
		return fmt.Errorf("%w: %s has %s; stop it, or choose another directory", ErrLocked, owner, l.dir)
	}
	if err != nil {
		return err
	}
	l.lock = lock
	if err := l.loadMeta(); err != nil {
		return err
	}
	records, err := l.loadTopics()
	if err != nil {
		return err
	}
	if err := l.loadProducerIDs(); err != nil {
		return err
	}
	starts, err := l.loadLogStarts()
	if err != nil {
		return err
	}
	if records, err = l.finishDeletions(records); err != nil {
		return err
	}
	if err := l.recoverTopics(records, starts); err != nil {
		return err
	}
	return l.nextEpoch()
}

// makeDir makes a directory and those above it, durably.
func makeDir(fsys vfs.FS, dir string) error {
	var holders []string // directories that get a new name
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := fsys.ReadDir(d); err == nil || d == filepath.Dir(d) {
			break
		}
		holders = append(holders, filepath.Dir(d))
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for _, h := range slices.Backward(holders) {
		if err := fsys.SyncDir(h); err != nil {
			return err
		}
	}
	return nil
}

// loadMeta reads meta.properties, or makes it for a new directory.
func (l *Log) loadMeta() error {
	b, err := readFile(l.fs, l.dir, metaFile)
	if err != nil {
		return err
	}
	if b != nil {
		l.meta, err = decodeMeta(b)
		if err != nil {
			return fmt.Errorf("%s: %w", metaFile, err)
		}
		return nil
	}
	if l.hasPartitions() {
		return fmt.Errorf("%s is missing in a directory that has partitions: restore it, or point to an empty directory", metaFile)
	}
	l.meta = meta{clusterID: base64.RawURLEncoding.EncodeToString(randomID()), epoch: -1}
	return nil
}

func randomID() []byte {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b[:]
}

func (l *Log) hasPartitions() bool {
	entries, err := l.fs.ReadDir(l.dir)
	return err == nil && slices.ContainsFunc(entries, func(e vfs.Entry) bool { return e.Dir && isPartitionFolder(e.Name) })
}

// nextEpoch raises the leader epoch above every one in use and makes that
// durable, before anything is served.
func (l *Log) nextEpoch() error {
	for _, t := range l.byName {
		for _, p := range t.parts {
			if n := len(p.epochs); n > 0 {
				l.meta.epoch = max(l.meta.epoch, p.epochs[n-1].Epoch)
			}
		}
	}
	l.meta.epoch++
	return writeAtomic(l.fs, l.dir, metaFile, encodeMeta(l.meta))
}

// recoverTopics opens all partitions, several at a time.
func (l *Log) recoverTopics(records []topicRecord, starts map[string]int64) error {
	var all []*Partition
	for _, rec := range records {
		t, err := l.newTopic(rec)
		if err != nil {
			return fmt.Errorf("topic %q: %w", rec.Name, err)
		}
		for n := range rec.Partitions {
			t.parts = append(t.parts, newPartition(t, n))
		}
		all = append(all, t.parts...)
		l.byName[t.name], l.byID[t.id] = t, t
	}
	errs := make([]error, len(all))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = p.openFiles(starts[p.String()])
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// openFiles recovers the partition. A folder that is missing or belongs to
// another topic makes it refuse writes; only the file system's own errors fail.
func (p *Partition) openFiles(start int64) error {
	b, err := readFile(p.log.fs, p.dir, partitionFile)
	if err != nil {
		return fmt.Errorf("partition %s: %w", p, err)
	}
	id, merr := decodePartitionMeta(b)
	if b == nil {
		merr = errors.New("missing")
	}
	if merr == nil && id != p.topic.id {
		merr = fmt.Errorf("names topic id %s, the topic has %s", id, p.topic.id)
	}
	if merr != nil {
		p.start, p.end, p.hw = start, start, start
		p.refuse(fmt.Errorf("%w: %s: %w: restore the folder from a copy, or delete the topic",
			ErrStorage, filepath.Join(p.dir, partitionFile), merr))
		return nil
	}
	if err := p.recover(start); err != nil {
		return fmt.Errorf("recover partition %s: %w", p, err)
	}
	return nil
}

// startBackground starts the one goroutine that applies retention and
// compaction; Close ends it.
func (l *Log) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	l.background.Go(func() {
		<-l.closing
		cancel()
	})
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
			p.wmu.Lock() // an append that runs gets its round
			p.wmu.Unlock()
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

// close syncs and closes the files.
func (p *Partition) close() error {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	var err error
	if p.Err() == nil {
		if err = p.active().Sync(); err != nil {
			err = storageError("sync "+p.active().Path(), err)
		} else {
			p.noteDurable(p.LogEnd())
		}
	}
	return errors.Join(err, p.shut(ErrClosed))
}

// shut refuses everything from now on and closes the files once nobody uses
// them. Call with wmu.
func (p *Partition) shut(why error) error {
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
	if p.durable == nil {
		return nil
	}
	return p.durable.Close()
}

// abandon releases what a failed Open had taken.
func (l *Log) abandon() error {
	for _, p := range l.allPartitions() {
		for _, h := range p.segs {
			p.closeSegment(h)
		}
		if p.durable != nil {
			_ = p.durable.Close() // a hint
		}
	}
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
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
		if err := writeAtomic(l.fs, l.dir, producerIDFile, encodeCheckpoint([]string{line})); err != nil {
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
