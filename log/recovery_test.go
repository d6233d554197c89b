package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// logLines collects what is logged.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// prepared makes a directory on disk with ten batches of one record in three
// segments and returns the options to open it and the partition's folder.
func prepared(t *testing.T) (o Options, dir string, logged *logLines) {
	t.Helper()
	logged = &logLines{}
	o = testOptions(vfs.OS())
	o.Dir = t.TempDir()
	o.Logger = slog.New(slog.NewTextHandler(logged, nil))
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1200", "index.interval.bytes": "200"})
	for i := range 10 {
		b := segment.Builder{Idempotent: true, ProducerID: 1, BaseSequence: int32(i)}
		b.Add(testNow+int64(i), nil, fmt.Appendf(nil, "%0200d", i))
		mustAppend(t, p, b.Batch())
	}
	if n := p.Stats().Segments; n != 3 {
		t.Fatalf("%d segments, want 3", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return o, filepath.Join(o.Dir, "t-0"), logged
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRecovery(t *testing.T) {
	name := func(base int64, suffix string) string { return segment.FileName(base, suffix) }
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[at] ^= 0x40; return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	tests := []struct {
		name    string
		file    string
		change  func([]byte) []byte // nil: remove
		read    int                 // records that can be read
		refuses bool
		next    int64 // offset of the next append
		says    string
	}{
		{"untouched", name(8, ".log"), cut(0), 10, false, 10, ""},
		{"tail cut in the middle of a batch", name(8, ".log"), cut(10), 9, false, 10, "bytes=260"},
		{"tail cut at a batch", name(8, ".log"), cut(preparedBatch), 9, false, 10, "acknowledged records are missing"},
		{"garbage after the end", name(8, ".log"), func(b []byte) []byte { return append(b, "garbage"...) }, 10, false, 10, "bytes=7"},
		{"zeros after the end", name(8, ".log"), func(b []byte) []byte { return append(b, make([]byte, 9000)...) }, 10, false, 10, "bytes=9000"},
		{"bit flip in the active segment", name(8, ".log"), flip(100), 8, true, 0, "bytes 0 to 270"},
		{"bit flip in the last batch", name(8, ".log"), flip(preparedBatch + 100), 9, true, 0, "bytes 270 to 540"},
		{"bit flip in a sealed segment's last batch", name(4, ".log"), flip(3*preparedBatch + 100), 7, true, 0, "bytes 810 to 1080"},
		{"sealed segment cut", name(4, ".log"), cut(10), 7, true, 0, "damaged"},
		{"sealed segment cut at a batch", name(4, ".log"), cut(preparedBatch), 7, true, 0, "the segment ends at offset 7 and the next one begins at 8"},
		{"segment missing", name(4, ".log"), nil, 4, true, 0, "the segment ends at offset 4 and the next one begins at 8"},
		{"index missing", name(4, ".index"), nil, 10, false, 10, "index is made anew"},
		{"index cut", name(0, ".index"), cut(3), 10, false, 10, "index is made anew"},
		{"index wrong", name(0, ".index"), flip(7), 10, false, 10, ""},
		{"time index missing", name(0, ".timeindex"), nil, 10, false, 10, "index is made anew"},
		{"snapshot cut", name(8, ".snapshot"), cut(5), 10, false, 10, "producer snapshot is unreadable"},
		{"snapshot missing", name(8, ".snapshot"), nil, 10, false, 10, "producer snapshot is missing"},
		{"epochs missing", epochFile, nil, 10, false, 10, ""},
		{"epochs wrong", epochFile, cut(1), 10, false, 10, ""},
		{"epochs nonsense", epochFile, func([]byte) []byte { return []byte("hello") }, 10, false, 10, "leader epoch checkpoint is unreadable"},
		{"durable end nonsense", durableFile, cut(4), 10, false, 10, ""},
		{"partition.metadata missing", partitionFile, nil, 0, true, 0, "partition.metadata"},
	}
	for i := range 2 * len(tests) {
		tt, scanned := tests[i/2], i%2 == 0
		if !scanned {
			tt.name += ", state of the last segment known"
			if strings.HasSuffix(tt.file, segment.SnapshotSuffix) {
				tt.says = "" // it is not looked at
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			o, dir, logged := prepared(t)
			if scanned {
				if err := os.Remove(filepath.Join(dir, activeFile)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, tt.file)
			if tt.change == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				edit(t, path, tt.change)
			}
			l := mustOpen(t, o)
			p, err := l.Partition("t", 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tryReadAll(p, 0)
			if len(got) != tt.read || (err != nil) != (tt.refuses && tt.read > 0) {
				t.Errorf("read %d records, %v; want %d", len(got), err, tt.read)
			}
			b := segment.Builder{Idempotent: true, ProducerID: 1, BaseSequence: int32(tt.read)}
			b.Add(testNow, nil, nil)
			r, err := p.Append(context.Background(), b.Batch(), AppendOptions{})
			if tt.refuses != errors.Is(err, ErrStorage) || err == nil && r.BaseOffset != tt.next {
				t.Errorf("append: %+v, %v", r, err)
			}
			for at := int64(0); !tt.refuses && at < p.HighWatermark(); {
				// No reader stands still before the high watermark.
				r, err := p.Read(at, ReadOptions{MaxBytes: 300, MinOneBatch: true})
				if err != nil || len(r.Batches) == 0 {
					t.Fatalf("read at %d: %d bytes, %v", at, len(r.Batches), err)
				}
				h, err := segment.ParseHeader(r.Batches)
				if err != nil {
					t.Fatal(err)
				}
				at = h.NextOffset()
			}
			if tt.says != "" && !strings.Contains(logged.String(), tt.says) {
				t.Errorf("the log does not say %q:\n%s", tt.says, logged)
			}
			if err == nil {
				if got, err := tryReadAll(p, 0); err != nil || len(got) != tt.read+1 {
					t.Errorf("read %d records after the append, %v; want %d", len(got), err, tt.read+1)
				}
			}
			if e, end, ok := p.OffsetForLeaderEpoch(0); tt.read == 10 && (!ok || e != 0 || end != 10) {
				t.Errorf("epoch 0: %d, %d, %v", e, end, ok)
			}
		})
	}
}

// TestRotFoundByReading: a flipped bit in a sealed segment that no start looks
// at is found by the first reader, who does not get the batch.
func TestRotFoundByReading(t *testing.T) {
	o, dir, _ := prepared(t)
	edit(t, filepath.Join(dir, segment.FileName(0, ".log")), func(b []byte) []byte { b[preparedBatch+100] ^= 1; return b })
	l := mustOpen(t, o)
	p, _ := l.Partition("t", 0)
	got, err := tryReadAll(p, 0)
	if d := (*DamageError)(nil); !errors.As(err, &d) || d.From != preparedBatch || d.To != 2*preparedBatch || d.Offset != 1 || len(got) != 1 {
		t.Fatalf("read %d records, %v", len(got), err)
	}
	if !errors.Is(p.Err(), ErrStorage) {
		t.Errorf("the partition still takes writes: %v", p.Err())
	}
	if s := l.Stats(); s.FailedPartitions != 1 {
		t.Errorf("stats: %+v", s)
	}
}

func TestSecondOpener(t *testing.T) {
	o := testOptions(vfs.OS())
	o.Dir = t.TempDir()
	mustOpen(t, o)
	_, err := Open(o)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), o.Dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second open: %v", err)
	}
}

func TestLostMetadata(t *testing.T) {
	for _, name := range []string{metaFile, topicsFile} {
		for what, change := range map[string]func(string) error{
			"missing":   os.Remove,
			"truncated": func(path string) error { return os.Truncate(path, 20) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				o, _, _ := prepared(t)
				if err := change(filepath.Join(o.Dir, name)); err != nil {
					t.Fatal(err)
				}
				_, err := Open(o)
				if err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("open: %v", err)
				}
			})
		}
	}
}

// TestIndexThatLies flips every bit of an index: no reader is given anything but
// what it asked for, and the partition goes on.
func TestIndexThatLies(t *testing.T) {
	o, dir, _ := prepared(t)
	path := filepath.Join(dir, segment.FileName(0, segment.IndexSuffix))
	index, err := os.ReadFile(path)
	if err != nil || len(index) == 0 {
		t.Fatal(len(index), err)
	}
	for bit := range 8 * len(index) {
		edit(t, path, func([]byte) []byte {
			b := bytes.Clone(index)
			b[bit/8] ^= 1 << (bit % 8)
			return b
		})
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		for at := range int64(4) {
			r, err := readPieces(p, at, ReadOptions{MaxBytes: 1 << 20, Piece: 1})
			if err != nil || p.Err() != nil {
				t.Fatalf("bit %d, offset %d: %v; %v", bit, at, err, p.Err())
			}
			if h, err := segment.ParseHeader(r.Batches); err != nil || h.BaseOffset != at {
				t.Errorf("bit %d: who asks for %d is given %d, %v", bit, at, h.BaseOffset, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// openReading opens a log and counts the bytes of records that are read for it.
func openReading(t *testing.T, fs *vfs.Mem) (l *Log, read int) {
	t.Helper()
	var mu sync.Mutex
	l, err := Open(testOptions(vfs.Faulty(fs, func(op vfs.Op, name string, n int) vfs.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op == vfs.OpRead && strings.HasSuffix(name, segment.LogSuffix) {
			read += n
		}
		return vfs.Fault{}
	})))
	if err != nil {
		t.Fatal(err)
	}
	return l, read
}

// TestStartReadsNoRecords: after an orderly end a start reads the end of the last
// segment and no more, also if nothing was written in between.
func TestStartReadsNoRecords(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := openReading(t, fs)
	p := mustCreate(t, l, "t", nil)
	for i := range int32(50) {
		mustAppend(t, p, txnBatch(1, 0, i, "key", strings.Repeat("x", 2000)))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, written := range []bool{false, false, true} {
		l, read := openReading(t, fs)
		p, err := l.Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		if read > 5000 || p.HighWatermark() != 50 || p.LastStable() != 0 || len(readAll(t, p, 0)) != 50 {
			t.Errorf("%d bytes were read; high watermark %d, last stable offset %d", read, p.HighWatermark(), p.LastStable())
		}
		if written {
			mustAppend(t, p, txnBatch(1, 0, 50, "key", "x"))
		}
		crashed := fs.CrashClone(rand.New(rand.NewPCG(1, 1)))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if written {
			fs = crashed
		}
	}
	if l, read := openReading(t, fs); read < 100_000 {
		t.Errorf("%d bytes were read after a crash, the segment has more", read)
	} else if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStateIsOfTheLastSegment: a start after a roll reads no records either, although the last segment is as large as the
// one was at the end before.
func TestStateIsOfTheLastSegment(t *testing.T) {
	fs := vfs.NewMem()
	l, _ := openReading(t, fs)
	one := batch(strings.Repeat("x", 20_000))
	mustCreate(t, l, "t", map[string]string{"segment.bytes": fmt.Sprint(len(one))}) // each batch has its own
	for closed := range 3 {
		p, err := l.Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, p, bytes.Clone(one))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		read := 0
		if l, read = openReading(t, fs); read > closed*len(one)+10_000 { // those before are checked, the last one is not
			t.Errorf("%d bytes were read", read)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
