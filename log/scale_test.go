package log

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// unsyncedFS leaves out what only a power cut would miss: thousands of syncs on a shared disk take minutes.
type unsyncedFS struct{ vfs.FS }

func (unsyncedFS) SyncDir(string) error { return nil }

func (u unsyncedFS) Open(name string) (vfs.File, error) { return unsynced(u.FS.Open(name)) }

func (u unsyncedFS) Create(name string) (vfs.File, error) { return unsynced(u.FS.Create(name)) }

type unsyncedFile struct{ vfs.File }

func unsynced(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

func (unsyncedFile) Sync() error { return nil }

// openIn counts the open files of this process that are in a directory.
func openIn(t *testing.T, dir string) (n int) {
	t.Helper()
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatalf("this test counts open files and needs Linux's /proc: %v", err)
	}
	for _, e := range entries {
		to, err := os.Readlink(filepath.Join(fds, e.Name()))
		if rel, rerr := filepath.Rel(dir, to); err == nil && rerr == nil && filepath.IsLocal(rel) {
			n++
		}
	}
	return n
}

// TestThousandsOfPartitions makes many partitions, writes to them all and opens
// them again: open files stay bounded, goroutines few, memory small and the
// start quick. SLUICE_TEST_PARTITIONS is how many.
func TestThousandsOfPartitions(t *testing.T) {
	n, limit := 2000, 100
	if s := os.Getenv("SLUICE_TEST_PARTITIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Dir: t.TempDir(), FS: unsyncedFS{vfs.OS()}, MaxOpenFiles: limit}
	before := runtime.NumGoroutine()
	heap := heapBytes()
	bounded := func(when string) {
		t.Helper()
		if files := openIn(t, o.Dir); files > limit+atOnce+1 { // and the lock
			t.Errorf("%s: %d open files, limit %d", when, files, limit)
		}
		eventually(t, when+": few goroutines", func() bool { return runtime.NumGoroutine() <= before+6 })
		each := (heapBytes() - heap) / int64(n)
		if each > 8<<10 {
			t.Errorf("%s: %d bytes of memory for each partition", when, each)
		}
		t.Logf("%s: %d open files, %d goroutines, %d bytes of memory for each partition", when, openIn(t, o.Dir), runtime.NumGoroutine()-before, each)
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := l.CreateTopic("t", TopicID{}, int32(n), nil)
	if err != nil {
		t.Fatal(err)
	}
	bounded("made")
	reopen := func() {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if left := openIn(t, o.Dir); left != 0 {
			t.Errorf("%d files are open after Close", left)
		}
		began := time.Now()
		if l, err = Open(o); err != nil {
			t.Fatal(err)
		}
		t.Logf("opened in %v", time.Since(began))
		if topic, err = l.Topic("t"); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	bounded("opened empty")
	for _, p := range topic.Partitions() {
		mustAppend(t, p, batch(p.String()))
	}
	bounded("written")
	reopen()
	for _, p := range topic.Partitions() {
		if got := readAll(t, p, 0); len(got) != 1 || got[0].value != p.String() {
			t.Fatalf("%s has %v", p, got)
		}
	}
	bounded("read")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}
