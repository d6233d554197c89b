package log

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// faults fails operations on files whose name ends in suffix, while on.
type faults struct {
	mu     sync.Mutex
	op     vfs.Op
	suffix string
	fault  vfs.Fault
	hits   int
}

func (f *faults) hook(op vfs.Op, name string, _ int) vfs.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op != f.op || !strings.HasSuffix(name, f.suffix) {
		return vfs.Fault{}
	}
	f.hits++
	return f.fault
}

func (f *faults) set(op vfs.Op, suffix string, fault vfs.Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.suffix, f.fault, f.hits = op, suffix, fault, 0
}

func TestNoSpace(t *testing.T) {
	tests := []struct {
		name   string
		op     vfs.Op
		suffix string
		fault  vfs.Fault
		roll   bool
	}{
		{"nothing written", vfs.OpWrite, ".log", vfs.Fault{Err: syscall.ENOSPC}, false},
		{"half written", vfs.OpWrite, ".log", vfs.Fault{Err: syscall.ENOSPC, Short: 40}, false},
		{"roll, index", vfs.OpCreate, ".index", vfs.Fault{Err: syscall.ENOSPC}, true},
		{"roll, time index", vfs.OpWrite, ".timeindex", vfs.Fault{Err: syscall.ENOSPC}, true},
		{"roll, snapshot", vfs.OpWrite, ".snapshot.tmp", vfs.Fault{Err: syscall.ENOSPC, Short: 3}, true},
		{"roll, next segment", vfs.OpCreate, ".log", vfs.Fault{Err: syscall.ENOSPC}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mem, f, logged := vfs.NewMem(), &faults{}, &logLines{}
			o := testOptions(vfs.Faulty(mem, f.hook))
			o.Logger = slog.New(slog.NewTextHandler(logged, nil))
			l := mustOpen(t, o)
			p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024"})
			b := batch(strings.Repeat("x", 200))
			mustAppend(t, p, b)
			if tt.roll {
				mustAppend(t, p, b)
			}
			end := p.LogEnd()
			f.set(tt.op, tt.suffix, tt.fault)
			for range 2 {
				if _, err := p.Append(context.Background(), b, AppendOptions{}); !errors.Is(err, ErrNoSpace) || !errors.Is(err, ErrStorage) {
					t.Fatalf("append on a full disk: %v", err)
				}
			}
			if got := readAll(t, p, 0); len(got) != int(end) || p.HighWatermark() != end {
				t.Fatalf("%d records, high watermark %d after the failure, want %d", len(got), p.HighWatermark(), end)
			}
			if n := strings.Count(logged.String(), "there is no space for records"); n != 1 || l.Stats().NoSpace != 2 {
				t.Errorf("said %d times, %d refused; want once and 2:\n%s", n, l.Stats().NoSpace, logged)
			}
			f.set("", "", vfs.Fault{})
			if r := mustAppend(t, p, b); r.BaseOffset != end {
				t.Errorf("append when space is back: %+v, want offset %d", r, end)
			}
			if err := p.Verify(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFailedSync(t *testing.T) {
	for _, name := range []string{"flush", "roll"} {
		t.Run(name, func(t *testing.T) {
			mem, f := vfs.NewMem(), &faults{}
			o := testOptions(vfs.Faulty(mem, f.hook))
			l, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024"})
			b := batch(strings.Repeat("x", 210))
			mustAppend(t, p, b)
			if name == "roll" {
				mustAppend(t, p, b)
			}
			hw := p.HighWatermark()
			w := NewWaiter()
			p.Watch(w)
			f.set(vfs.OpSync, ".log", vfs.Fault{Err: syscall.EIO})
			if _, err := p.Append(context.Background(), b, AppendOptions{}); !errors.Is(err, ErrStorage) {
				t.Fatalf("append with a failing fsync: %v", err)
			}
			<-w.C()
			f.set(vfs.OpSync, ".log", vfs.Fault{}) // the disk says it is well again
			if _, err := p.Append(context.Background(), b, AppendOptions{}); !errors.Is(err, ErrStorage) {
				t.Fatalf("append after a failed fsync: %v", err)
			}
			f.mu.Lock()
			if f.hits != 0 {
				t.Errorf("%d more fsyncs after the failed one", f.hits)
			}
			f.mu.Unlock()
			if p.HighWatermark() != hw || len(readAll(t, p, 0)) != int(hw) {
				t.Errorf("high watermark %d, want %d", p.HighWatermark(), hw)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, o)
			p, _ = l.Partition("t", 0)
			if r := mustAppend(t, p, b); r.BaseOffset < hw {
				t.Errorf("append after reopening: %+v", r)
			}
		})
	}
}

const preparedBatch = 61 + 9 + 200 // bytes of a batch that prepared writes
