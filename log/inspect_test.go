package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
)

// threeSegments makes a topic with 30 records in three segments, of ten
// batches each, and returns its folder.
func threeSegments(t *testing.T, dir string) string {
	t.Helper()
	l, err := Open(Options{Dir: dir, TopicDefaults: map[string]string{"segment.bytes": "4096"}})
	if err != nil {
		t.Fatal(err)
	}
	topic, err := l.CreateTopic("t", TopicID{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := topic.Partition(0)
	for i := range 30 {
		var b segment.Builder
		b.Add(int64(i), nil, fmt.Appendf(make([]byte, 300), "%d", i))
		if _, err := p.Append(t.Context(), b.Batch(), AppendOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.Stats().Segments; n != 3 {
		t.Fatalf("%d segments, want 3", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "t-0")
}

func checkFolders(t *testing.T, dir string) *PartitionFiles {
	t.Helper()
	f, err := OpenFolders(nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var found *PartitionFiles
	if err := f.Check(t.Context(), func(p *PartitionFiles) error { found = p; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// flip inverts bytes of a file.
func flip(t *testing.T, path string, at int64, n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b[at+int64(i)] ^= 0xff
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCheckAndRepair(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, logs []segment.Inspection)
		lost   map[int64]bool // offsets
		kept   int            // damaged files that are kept
	}{
		{"nothing", func(*testing.T, []segment.Inspection) {}, nil, 0},
		{"a record in the middle", func(t *testing.T, logs []segment.Inspection) {
			flip(t, logs[1].Path, logs[1].Bytes/2, 1)
		}, map[int64]bool{logs1Middle: true}, 1},
		{"the end of a closed segment", func(t *testing.T, logs []segment.Inspection) {
			if err := os.Truncate(logs[0].Path, logs[0].Bytes-100); err != nil {
				t.Fatal(err)
			}
		}, map[int64]bool{logs1First - 1: true}, 1},
		{"the head of the last segment", func(t *testing.T, logs []segment.Inspection) {
			flip(t, logs[2].Path, 0, 30)
		}, map[int64]bool{logs2First: true}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			folder := threeSegments(t, dir)
			whole := checkFolders(t, dir)
			if !whole.Healthy() || whole.Next != 30 || whole.Durable != 30 {
				t.Fatalf("before the damage: %+v", whole)
			}
			tt.damage(t, whole.Segments)
			found := checkFolders(t, folder)
			if found.Healthy() != (tt.lost == nil) {
				t.Fatalf("healthy is %t: %+v", found.Healthy(), found)
			}
			f, err := OpenFolders(nil, dir)
			if err != nil {
				t.Fatal(err)
			}
			n, err := f.Repair(t.Context(), found)
			if err := errors.Join(err, f.Close()); err != nil || n != tt.kept {
				t.Fatalf("%d mended, %v", n, err)
			}
			if after := checkFolders(t, dir); !after.Healthy() || after.Next != 30 {
				t.Fatalf("after the repair: %+v", after)
			}
			if damaged, _ := filepath.Glob(filepath.Join(folder, "*"+segment.DamagedSuffix)); len(damaged) != tt.kept {
				t.Errorf("%d damaged files are kept, want %d", len(damaged), tt.kept)
			}
			readsAllBut(t, dir, tt.lost)
		})
	}
}

// Where the segments of threeSegments begin, and a batch in the middle of the
// second.
const (
	logs1First  = 11
	logs1Middle = 16
	logs2First  = 22
)

// readsAllBut opens the log and reads records 0 to 29 without the lost ones.
func readsAllBut(t *testing.T, dir string, lost map[int64]bool) {
	t.Helper()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := l.Partition("t", 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for at := int64(0); at < p.HighWatermark(); {
		res, err := p.Read(at, ReadOptions{MaxBytes: 1 << 20, MinOneBatch: true})
		if err != nil {
			t.Fatalf("read at %d: %v", at, err)
		}
		for b := res.Batches; len(b) > 0; {
			h, batch, err := segment.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			for rec, err := range segment.Records(&h, batch) {
				if err != nil {
					t.Fatal(err)
				}
				seen[rec.Offset] = true
			}
			b, at = b[len(batch):], h.NextOffset()
		}
	}
	for i := range int64(30) {
		if seen[i] == lost[i] {
			t.Errorf("record %d: read %t, lost %t", i, seen[i], lost[i])
		}
	}
	var b segment.Builder
	b.Add(1, nil, []byte("goes on"))
	if res, err := p.Append(t.Context(), b.Batch(), AppendOptions{}); err != nil || res.BaseOffset != 30 {
		t.Errorf("append: %+v, %v", res, err)
	}
}

func TestFoldersWithoutPartitionsAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if f, err := OpenFolders(nil, dir); err == nil {
		t.Errorf("an empty directory is %+v", f)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%s was left in it", left[0].Name())
	}
}

func TestFoldersKeepOthersOut(t *testing.T) {
	dir := t.TempDir()
	threeSegments(t, dir)
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, d := range []string{dir, filepath.Join(dir, "t-0")} {
		if f, err := OpenFolders(nil, d); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: %v, %v", d, f, err)
		}
	}
}
