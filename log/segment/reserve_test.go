package segment

import (
	"math/rand/v2"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// TestRoomAhead: a segment that grows takes room ahead of what is written, a part
// of what it holds, and its file has the size of what was written. What was not
// used is given back when it is sealed, closed, or recovered after a crash.
func TestRoomAhead(t *testing.T) {
	for _, end := range []struct {
		name string
		how  func(t *testing.T, fs *vfs.Mem, s *Segment) *vfs.Mem
	}{
		{"seal", func(t *testing.T, fs *vfs.Mem, s *Segment) *vfs.Mem {
			if _, err := s.Seal(); err != nil {
				t.Fatal(err)
			}
			return fs
		}},
		{"close", func(t *testing.T, fs *vfs.Mem, s *Segment) *vfs.Mem {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return fs
		}},
		{"crash", func(t *testing.T, fs *vfs.Mem, s *Segment) *vfs.Mem {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			fs = fs.CrashClone(rand.New(rand.NewPCG(1, 2)))
			if took := taken(t, fs); took <= s.Size() {
				t.Fatalf("%d bytes are taken after the crash: nothing to be given back", took)
			}
			r, err := Open(fs, "d", 0, 4096)
			if err != nil {
				t.Fatal(err)
			}
			if _, bad, err := r.Recover(nil); bad != nil || err != nil {
				t.Fatal(bad, err)
			}
			if err := r.Truncate(); err != nil {
				t.Fatal(err)
			}
			if r.Size() != s.Size() {
				t.Errorf("%d bytes after the crash, had %d", r.Size(), s.Size())
			}
			return fs
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			fs := vfs.NewMem()
			fs.Limit(64 << 20)
			if err := fs.MkdirAll("d"); err != nil {
				t.Fatal(err)
			}
			s, err := Create(fs, "d", 0, 4096)
			if err != nil {
				t.Fatal(err)
			}
			if err := fs.SyncDir("."); err != nil {
				t.Fatal(err)
			}
			if err := fs.SyncDir("d"); err != nil {
				t.Fatal(err)
			}
			if !growsAhead(t, fs, s) {
				t.Error("no room was taken ahead")
			}
			const indexes = 64 << 10
			if took := taken(t, end.how(t, fs, s)); took > s.Size()+indexes {
				t.Errorf("%d bytes are taken at the end, by %d written", took, s.Size())
			}
		})
	}
}

// growsAhead writes some megabytes and tells whether more was taken at the end.
func growsAhead(t *testing.T, fs *vfs.Mem, s *Segment) bool {
	t.Helper()
	var b Builder
	b.Add(1000, nil, make([]byte, 100_000))
	batch := b.Batch()
	for range 50 {
		SetPlace(batch, s.Next(), 0)
		h, _, err := ParseBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(batch); err != nil {
			t.Fatal(err)
		}
		s.Commit(&h)
		if size, err := s.log.Size(); err != nil || size != s.Size() {
			t.Fatalf("the file has %d bytes, %v; written were %d", size, err, s.Size())
		}
		if took := taken(t, fs); took > s.Size()+s.Size()/aheadPart {
			t.Fatalf("%d bytes are taken for %d", took, s.Size())
		}
	}
	return taken(t, fs) > s.Size()
}

func taken(t *testing.T, fs *vfs.Mem) int64 {
	t.Helper()
	space, err := fs.Space(".")
	if err != nil {
		t.Fatal(err)
	}
	return space.Total - space.Free
}
