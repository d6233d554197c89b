package log

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// PartitionFiles is a partition's folder, looked at from the outside.
type PartitionFiles struct {
	Dir      string
	Segments []segment.Inspection
	// Gaps are reasons why the files do not follow each other.
	Gaps []string
	// Next is the offset after the last good record; Durable the offset below
	// which everything was fsynced once, 0 if that is not known.
	Next, Durable int64
}

// Healthy tells that nothing is damaged, missing or torn.
func (f *PartitionFiles) Healthy() bool {
	return len(f.Gaps) == 0 && !slices.ContainsFunc(f.Segments, func(s segment.Inspection) bool { return len(s.Damage) > 0 })
}

// Folders is a data directory, or the folder of one partition, that no running
// log has. Kafka's are read too.
type Folders struct {
	fs   vfs.FS
	dirs []string
	// compacted are the folders whose offsets may have gaps.
	compacted map[string]bool
	lock      io.Closer
}

// OpenFolders finds the partitions in dir and keeps other processes out until
// Close, as Open does. It changes nothing. fsys nil is the operating system's.
func OpenFolders(fsys vfs.FS, dir string) (*Folders, error) {
	if fsys == nil {
		fsys = vfs.OS()
	}
	f := &Folders{fs: fsys, compacted: map[string]bool{}}
	dir = filepath.Clean(dir)
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(entries, func(e vfs.Entry) bool {
		_, ok := segment.ParseFileName(e.Name, segment.LogSuffix)
		return ok
	}) { // one partition's
		entries, dir = []vfs.Entry{{Name: filepath.Base(dir), Dir: true}}, filepath.Dir(dir)
	}
	if !slices.ContainsFunc(entries, func(e vfs.Entry) bool { _, ok := topicOfFolder(e); return ok }) {
		return nil, fmt.Errorf("%s holds no partitions: name a data directory, or the folder of one partition in it", dir)
	}
	if f.lock, err = lockDir(fsys, dir); err != nil {
		return nil, err
	}
	compacted, err := compactedTopics(fsys, dir)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for _, e := range entries {
		if topic, ok := topicOfFolder(e); ok {
			path := filepath.Join(dir, e.Name)
			f.dirs = append(f.dirs, path)
			f.compacted[path] = compacted == nil || compacted[topic]
		}
	}
	return f, nil
}

// topicOfFolder is the topic of a partition's folder.
func topicOfFolder(e vfs.Entry) (topic string, ok bool) {
	i := strings.LastIndexByte(e.Name, '-')
	if !e.Dir || i <= 0 || i == len(e.Name)-1 || strings.Trim(e.Name[i+1:], "0123456789") != "" {
		return "", false
	}
	return e.Name[:i], true
}

// compactedTopics are the topics from which compaction has taken records; nil
// where that is not known, as in Kafka's directories.
func compactedTopics(fsys vfs.FS, dir string) (map[string]bool, error) {
	b, err := readFile(fsys, dir, topicsFile)
	if err != nil || b == nil {
		return nil, err
	}
	topics, err := decodeTopics(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, topicsFile), err)
	}
	names := map[string]bool{}
	for _, t := range topics {
		if t.Compacted {
			names[t.Name] = true
		}
	}
	return names, nil
}

// Close lets others have the directory.
func (f *Folders) Close() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Close()
}

// Check reads every byte of every partition and changes nothing. Each
// partition's result goes to report.
func (f *Folders) Check(ctx context.Context, report func(*PartitionFiles) error) error {
	for _, dir := range f.dirs {
		p, err := f.inspect(ctx, dir, nil)
		if err != nil {
			return err
		}
		if err := report(p); err != nil {
			return err
		}
	}
	return nil
}

// Dump calls fn for each good batch of every partition, in order.
func (f *Folders) Dump(ctx context.Context, fn func(dir string, h *segment.Header, batch []byte, pos int64) error) error {
	for _, dir := range f.dirs {
		each := func(h *segment.Header, batch []byte, pos int64) error { return fn(dir, h, batch, pos) }
		if _, err := f.inspect(ctx, dir, each); err != nil {
			return err
		}
	}
	return nil
}

func (f *Folders) inspect(ctx context.Context, dir string, fn func(*segment.Header, []byte, int64) error) (*PartitionFiles, error) {
	p := &PartitionFiles{Dir: dir}
	entries, err := f.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, ok := segment.ParseFileName(e.Name, segment.LogSuffix)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in, err := segment.Inspect(f.fs, dir, base, fn)
		if err != nil {
			return nil, err
		}
		if n := len(p.Segments); n > 0 && (p.Next > base || p.Next < base && !f.compacted[dir]) {
			p.Gaps = append(p.Gaps, fmt.Sprintf("%s ends at offset %d and the next segment begins at %d", filepath.Base(p.Segments[n-1].Path), p.Next, base))
		}
		p.Segments, p.Next = append(p.Segments, in), in.Next
	}
	b, err := readFile(f.fs, dir, durableFile)
	if err != nil {
		return nil, err
	}
	if p.Durable, _ = decodeDurable(b); p.Durable > p.Next {
		p.Gaps = append(p.Gaps, fmt.Sprintf("acknowledged records are missing at the end: offsets %d to %d", p.Next, p.Durable-1))
	}
	return p, nil
}

// Repair makes the damaged segments of a partition whole again, without the
// bytes that cannot be read, and returns how many it mended. Copies of the
// damaged files are left beside them. What records were lost is in the result
// of Check.
func (f *Folders) Repair(ctx context.Context, p *PartitionFiles) (int, error) {
	mended := 0
	for i := range p.Segments {
		in, end := &p.Segments[i], int64(-1)
		if i+1 < len(p.Segments) {
			end = p.Segments[i+1].Base
		}
		short := in.Next < end && !f.compacted[p.Dir]
		if len(in.Damage) == 0 && !short {
			continue
		}
		if err := ctx.Err(); err != nil {
			return mended, err
		}
		if err := segment.Mend(f.fs, p.Dir, in.Base, end); err != nil {
			return mended, err
		}
		mended++
	}
	if mended > 0 { // the state of the last segment may be that of the damaged one
		if err := f.fs.Remove(filepath.Join(p.Dir, activeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return mended, err
		}
	}
	return mended, nil
}
