package log

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/log/segment"
)

// clearFolder removes an empty leftover of a partition that was never in the
// topics file, and refuses to touch anything else.
func (l *Log) clearFolder(dir string) error {
	entries, err := l.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case !e.Dir && strings.HasSuffix(e.Name, segment.LogSuffix):
			if b, err := readFile(l.fs, dir, e.Name); err != nil || len(b) > 0 {
				return fmt.Errorf("folder %s holds records of a topic that is not in the topics file; move it away", dir)
			}
		case e.Name == partitionFile, e.Name == durableFile, strings.HasSuffix(e.Name, tempSuffix):
		default:
			return fmt.Errorf("folder %s holds %s, which is none of ours; move it away", dir, e.Name)
		}
	}
	return l.removeFolder(dir)
}

// isPartitionFolder tells whether a name is a topic's and a number's.
func isPartitionFolder(name string) bool {
	i := strings.LastIndexByte(name, '-')
	if i < 1 || checkTopicName(name[:i]) != nil {
		return false
	}
	_, err := strconv.ParseUint(name[i+1:], 10, 31)
	return err == nil
}

func (l *Log) removeFolder(dir string) error {
	entries, err := l.fs.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.fs.Remove(filepath.Join(dir, e.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.fs.Remove(dir)
}

// topicRecords are what the topics file says. Call with ddl.
func (l *Log) topicRecords() []topicRecord { return append(l.liveRecords(), l.unfinished...) }

func (l *Log) liveRecords() []topicRecord {
	topics := l.Topics()
	out := make([]topicRecord, len(topics))
	for i, t := range topics {
		out[i] = t.record()
	}
	return out
}

func (l *Log) saveTopics(records []topicRecord) error {
	b, err := encodeTopics(records)
	if err != nil {
		return err
	}
	if err := l.save(topicsFile, b); err != nil {
		return storageError("save topics", err)
	}
	return nil
}

// loadTopics reads the topics file. A new directory gets an empty one, so that
// a missing one always means a loss.
func (l *Log) loadTopics() ([]topicRecord, error) {
	b, err := readFile(l.fs, l.dir, topicsFile)
	if err != nil {
		return nil, err
	}
	if b == nil {
		if l.hasPartitions() {
			return nil, fmt.Errorf("the file %q is missing in a directory that has partitions: restore it, or point to an empty directory", topicsFile)
		}
		return nil, l.saveTopics(nil)
	}
	records, err := decodeTopics(b)
	if err != nil {
		return nil, fmt.Errorf("the file %q is damaged, restore it from a copy: %w", topicsFile, err)
	}
	return records, nil
}

// finishDeletions removes what is left of topics whose deletion was decided,
// their log starts too, and empty folders of topics whose creation never was.
func (l *Log) finishDeletions(records []topicRecord, starts map[string]int64) ([]topicRecord, error) {
	keep, known := []topicRecord{}, map[string]bool{}
	for _, r := range records {
		for n := range r.Partitions {
			dir := r.Name + "-" + strconv.Itoa(int(n))
			if !r.Deleting {
				known[dir] = true
				continue
			}
			delete(starts, dir)
			if err := l.removeFolder(filepath.Join(l.dir, dir)); err != nil {
				return nil, err
			}
		}
		if !r.Deleting {
			keep = append(keep, r)
		}
	}
	entries, err := l.fs.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.Dir || known[e.Name] || !isPartitionFolder(e.Name) {
			continue
		}
		if err := l.clearFolder(filepath.Join(l.dir, e.Name)); err != nil {
			l.logger.Warn("a folder belongs to no topic and is left alone", slog.String("folder", e.Name), slog.Any("error", err))
		}
	}
	if len(keep) == len(records) {
		return keep, nil
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return nil, err
	}
	var lines []string
	for _, dir := range slices.Sorted(maps.Keys(starts)) {
		i := strings.LastIndexByte(dir, '-')
		lines = append(lines, fmt.Sprintf("%s %s %d", dir[:i], dir[i+1:], starts[dir]))
	}
	if err := l.save(logStartFile, encodeCheckpoint(lines)); err != nil {
		return nil, err
	}
	return keep, l.saveTopics(keep)
}

// saveLogStarts writes the log starts of all partitions that do not begin at
// the base of their first segment by nature.
func (l *Log) saveLogStarts() error {
	l.startsMu.Lock()
	defer l.startsMu.Unlock()
	var lines []string
	for _, p := range l.allPartitions() {
		if s := p.LogStart(); s > 0 {
			lines = append(lines, fmt.Sprintf("%s %d %d", p.topic.name, p.number, s))
		}
	}
	return l.save(logStartFile, encodeCheckpoint(lines))
}

// loadLogStarts reads log starts by "topic-partition".
func (l *Log) loadLogStarts() (map[string]int64, error) {
	starts := map[string]int64{}
	b, err := readFile(l.fs, l.dir, logStartFile)
	if err != nil || b == nil {
		return starts, err
	}
	lines, err := decodeCheckpoint(b, 3)
	if err != nil {
		return nil, fmt.Errorf("the file %s is damaged, restore it from a copy, or remove it to see records again that were deleted: %w", logStartFile, err)
	}
	for _, f := range lines {
		s, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil || s < 0 {
			return nil, fmt.Errorf("%s: offset %q", logStartFile, f[2])
		}
		starts[f[0]+"-"+f[1]] = s
	}
	return starts, nil
}
