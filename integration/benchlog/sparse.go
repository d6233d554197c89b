package main

import (
	"bytes"
	"context"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

const sparseTopic = "sparse"

// makeSparse makes a data directory with so many GB in one partition: records of a megabyte of zeros, which the disk does not hold.
// All else is as the log makes it.
func makeSparse(dir string, gb int) error {
	l, err := log.Open(log.Options{Dir: dir, FS: sparse{vfs.OS(), make([]byte, 4096)}, Durability: log.DurabilityOS})
	if err != nil {
		return err
	}
	err = fillSparse(l, int64(gb)*1e9)
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	return err
}

func fillSparse(l *log.Log, size int64) error {
	topic, err := l.CreateTopic(sparseTopic, log.TopicID{}, 1, map[string]string{"segment.bytes": "1073741824"})
	if err != nil {
		return err
	}
	p, err := topic.Partition(0)
	if err != nil {
		return err
	}
	var b segment.Builder
	b.Add(time.Now().UnixMilli(), nil, make([]byte, 1_000_000))
	batch := b.Batch()
	for written := int64(0); written < size; written += int64(len(batch)) {
		if _, err := p.Append(context.Background(), batch, log.AppendOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// sparse is a file system that leaves out blocks of zeros.
type sparse struct {
	vfs.FS
	zeros []byte // a block
}

func (s sparse) Open(name string) (vfs.File, error)   { return s.file(s.FS.Open(name)) }
func (s sparse) Create(name string) (vfs.File, error) { return s.file(s.FS.Create(name)) }

func (s sparse) file(f vfs.File, err error) (vfs.File, error) { return sparseFile{f, s.zeros}, err }

type sparseFile struct {
	vfs.File
	zeros []byte
}

// WriteAt writes p but for the whole blocks of zeros in it. The last byte is written in any case, for the size.
func (f sparseFile) WriteAt(p []byte, off int64) (int, error) {
	block := len(f.zeros)
	for done := 0; done < len(p); {
		n := min(len(p)-done, block-int(off+int64(done))%block) // to the end of the block
		if n == block && done+n < len(p) && bytes.Equal(p[done:done+n], f.zeros) {
			done += n
			continue
		}
		if m, err := f.File.WriteAt(p[done:done+n], off+int64(done)); err != nil {
			return done + m, err
		}
		done += n
	}
	return len(p), nil
}
