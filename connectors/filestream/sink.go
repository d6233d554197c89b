package filestream

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// keepBytes is how much of what was put stays in memory before it is written.
const keepBytes = 1 << 20

type sinkTask struct {
	path string
	file *os.File
	open map[connectors.TopicPartition]*sinkPartition
	kept int // bytes in the partitions' lines
	line []byte
}

// sinkPartition is what the task has of one topic partition.
type sinkPartition struct {
	lines   []byte // put and not written
	put     int64  // the next offset after what was put
	written int64
	synced  int64 // -1: nothing yet
}

// Start implements connectors.SinkTask.
func (t *sinkTask) Start(_ context.Context, start connectors.SinkStart) error {
	values, problems := sinkDefinition.Parse(start.Config)
	if err := errOf(problems); err != nil {
		return err
	}
	t.path, t.open = values.String("file"), map[connectors.TopicPartition]*sinkPartition{}
	var err error
	// Several tasks may append to one file: each write is of whole lines.
	if t.file, err = os.OpenFile(t.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return fileError("open", t.path, err)
	}
	return nil
}

// Open implements connectors.SinkTask. A file keeps no positions.
func (t *sinkTask) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	for _, p := range parts {
		if t.open[p] == nil {
			t.open[p] = &sinkPartition{synced: -1}
		}
	}
	return nil, nil
}

// Put implements connectors.SinkTask. What is kept is written when it is much, and when nothing more comes.
func (t *sinkTask) Put(_ context.Context, batch *connectors.Records) error {
	if batch.From.Topic == "" {
		return t.write()
	}
	p := t.open[batch.From]
	if p == nil {
		return fmt.Errorf("put of %s-%d, which is not open", batch.From.Topic, batch.From.Partition)
	}
	before := len(p.lines)
	for i := range batch.List {
		r := &batch.List[i]
		line, err := appendLine(t.line[:0], r.Value)
		if err != nil {
			p.lines = p.lines[:before]
			return &connectors.Error{Op: "print the value", Class: connectors.ClassData, Err: err,
				Record: &connectors.RecordRef{TopicPartition: batch.From, Offset: r.Offset}}
		}
		t.line = line
		p.lines = append(append(p.lines, line...), '\n')
	}
	t.kept += len(p.lines) - before
	p.put = max(p.put, batch.End)
	if t.kept >= keepBytes || len(batch.List) == 0 {
		return t.write()
	}
	return nil
}

// write brings the kept lines of all partitions to the file.
func (t *sinkTask) write() error {
	for _, key := range t.sorted() {
		p := t.open[key]
		if n, err := t.file.Write(p.lines); err != nil {
			p.lines = p.lines[:copy(p.lines, p.lines[n:])]
			t.kept -= n
			return fileError("append to", t.path, err)
		}
		t.kept -= len(p.lines)
		p.lines = p.lines[:0]
		p.written = p.put
	}
	return nil
}

// sorted returns the open partitions in a fixed order, so that the same records give the same file.
func (t *sinkTask) sorted() []connectors.TopicPartition {
	keys := make([]connectors.TopicPartition, 0, len(t.open))
	for key := range t.open {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b connectors.TopicPartition) int {
		if a.Topic != b.Topic {
			if a.Topic < b.Topic {
				return -1
			}
			return 1
		}
		return int(a.Partition) - int(b.Partition)
	})
	return keys
}

// Flush implements connectors.SinkTask. It costs one fsync, so it does not matter whether it is forced.
func (t *sinkTask) Flush(context.Context, bool) ([]connectors.Position, error) {
	if err := t.write(); err != nil {
		return nil, err
	}
	dirty := false
	for _, p := range t.open {
		dirty = dirty || p.written > max(p.synced, 0)
	}
	if dirty {
		if err := t.file.Sync(); err != nil {
			return nil, fileError("fsync", t.path, err)
		}
	}
	var positions []connectors.Position
	for _, key := range t.sorted() {
		p := t.open[key]
		if p.written > max(p.synced, 0) {
			p.synced = p.written
		}
		if p.synced >= 0 {
			positions = append(positions, connectors.Position{TopicPartition: key, Offset: p.synced})
		}
	}
	return positions, nil
}

// Close implements connectors.SinkTask.
func (t *sinkTask) Close(_ context.Context, parts []connectors.TopicPartition) error {
	for _, key := range parts {
		if p := t.open[key]; p != nil {
			t.kept -= len(p.lines)
			delete(t.open, key)
		}
	}
	return nil
}

// Stop implements connectors.SinkTask.
func (t *sinkTask) Stop(context.Context) error {
	if t.file == nil {
		return nil
	}
	err := t.file.Close()
	t.file = nil
	return err
}
