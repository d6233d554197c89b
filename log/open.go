package log

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/sluicehub/sluice/log/vfs"
)

func (l *Log) open() error {
	if err := makeDir(l.fs, l.dir); err != nil {
		return err
	}
	lock, err := lockDir(l.fs, l.dir)
	if err != nil {
		return err
	}
	l.lock = lock
	if err := l.disk.findBallast(); err != nil {
		return err
	}
	l.disk.look()
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
	if records, err = l.finishDeletions(records, starts); err != nil {
		return err
	}
	if err := l.recoverTopics(records, starts); err != nil {
		return err
	}
	return l.nextEpoch()
}

// lockDir keeps other processes out of a data directory.
func lockDir(fsys vfs.FS, dir string) (io.Closer, error) {
	lock, err := fsys.Lock(filepath.Join(dir, lockFile))
	if le := (*vfs.LockedError)(nil); errors.As(err, &le) {
		owner := "another process"
		if le.PID > 0 {
			owner = fmt.Sprintf("process %d", le.PID)
		}
		return nil, fmt.Errorf("%w: %s has %s; stop it, or choose another directory", ErrLocked, owner, dir)
	}
	return lock, err
}

// makeDir makes a directory and those above it, durably. An earlier start may
// have made them and not come to the syncs, so a directory that was never used
// has them all again.
func makeDir(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	if b, err := readFile(fsys, dir, metaFile); b != nil || err != nil {
		return err
	}
	for d := filepath.Clean(dir); d != filepath.Dir(d); d = filepath.Dir(d) {
		// Who may not read a directory above has not made it either; and there are
		// file systems that have no sync of directories, for others to hold ours.
		err := fsys.SyncDir(filepath.Dir(d))
		if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) {
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
	return l.save(metaFile, encodeMeta(l.meta))
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
	return eachPartition(all, func(p *Partition) error { return p.openFiles(starts[p.String()]) })
}

// openFiles recovers the partition. A folder that is missing or belongs to
// another topic makes it refuse writes; only the file system's own errors fail.
func (p *Partition) openFiles(start int64) error {
	b, err := readFile(p.log.fs, p.dir, partitionFile)
	if err != nil {
		return err
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
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

// abandon releases what a failed Open had taken.
func (l *Log) abandon() error {
	for _, p := range l.allPartitions() {
		for _, h := range p.segs {
			p.closeSegment(h)
		}
	}
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
}
