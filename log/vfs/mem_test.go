package vfs

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// suite is what every FS must do.
func suite(t *testing.T, f FS, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sub := filepath.Join(dir, "a", "b")
	must(f.MkdirAll(sub))
	must(f.MkdirAll(sub))
	name := filepath.Join(sub, "one")
	if _, err := f.Open(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
	file, err := f.Create(name)
	must(err)
	_, err = file.WriteAt([]byte("hello"), 3)
	must(err)
	must(file.Sync())
	buf := make([]byte, 10)
	if n, err := file.ReadAt(buf, 0); n != 8 || err == nil || !bytes.Equal(buf[:n], []byte("\x00\x00\x00hello")) {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	must(file.Truncate(4))
	must(file.Truncate(6))
	if n, _ := file.ReadAt(buf, 0); !bytes.Equal(buf[:n], []byte("\x00\x00\x00h\x00\x00")) {
		t.Errorf("after truncation %q", buf[:n])
	}
	if size, err := file.Size(); size != 6 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	must(f.Rename(name, filepath.Join(sub, "two")))
	must(f.SyncDir(sub))
	list, err := f.ReadDir(sub)
	must(err)
	if len(list) != 1 || list[0] != (Entry{Name: "two"}) {
		t.Errorf("list %v", list)
	}
	if err := f.Remove(sub); err == nil {
		t.Error("a directory that is not empty was removed")
	}
	must(f.Remove(filepath.Join(sub, "two")))
	if n, err := file.ReadAt(buf[:1], 3); n != 1 || err != nil {
		t.Errorf("an open file that was removed: %v", err)
	}
	must(file.Close())
	if _, err := file.ReadAt(buf, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read of a closed file: %v", err)
	}
	must(f.Remove(sub))

	lock, err := f.Lock(filepath.Join(dir, "lock"))
	must(err)
	le := (*LockedError)(nil)
	if _, err := f.Lock(filepath.Join(dir, "lock")); !errors.As(err, &le) {
		t.Errorf("second lock: %v", err)
	}
	must(lock.Close())
	lock, err = f.Lock(filepath.Join(dir, "lock"))
	must(err)
	must(lock.Close())
}

func TestOS(t *testing.T)  { suite(t, OS(), t.TempDir()) }
func TestMem(t *testing.T) { suite(t, NewMem(), "x") }

func TestFaultyPassesThrough(t *testing.T) {
	suite(t, Faulty(NewMem(), func(Op, string, int) Fault { return Fault{} }), "x")
}

// TestCrashClone: what was synced is always there; what was not is there
// sometimes and missing sometimes.
func TestCrashClone(t *testing.T) {
	m := NewMem()
	write := func(name, text string, at int64, sync bool) {
		t.Helper()
		f, err := m.Open(name)
		if err != nil {
			f, err = m.Create(name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	write("d/kept", "old", 0, true)
	for _, dir := range []string{"d", "."} {
		if err := m.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	write("d/kept", "new", 3, false)
	write("d/unnamed", "x", 0, true)
	if err := m.Rename("d/kept", "d/renamed"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(200) {
		c := m.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		list, err := c.ReadDir("d")
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, e := range list {
			seen[e.Name]++
			f, err := c.Open("d/" + e.Name)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 6)
			n, _ := f.ReadAt(b, 0)
			if e.Name == "unnamed" {
				if string(b[:n]) != "x" {
					t.Fatalf("synced bytes %q", b[:n])
				}
				continue
			}
			found++
			if n < 3 || string(b[:3]) != "old" {
				t.Fatalf("synced bytes %q", b[:n])
			}
			seen[string(b[:n])]++
		}
		if found != 1 {
			t.Fatalf("the renamed file is there %d times: %v", found, list)
		}
	}
	for _, what := range []string{"kept", "renamed", "unnamed", "old", "oldnew"} {
		if n := seen[what]; n == 0 || n == 200 {
			t.Errorf("%q was seen %d times of 200", what, n)
		}
	}
}
