package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// counting counts the open files of a file system, and fails on command.
type counting struct {
	FS
	mu    sync.Mutex
	open  int
	most  int
	limit int   // of the process, 0: none
	fails error // of Sync
}

type countedFile struct {
	File
	c *counting
}

func (c *counting) count(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += by
	c.most = max(c.most, c.open)
}

func (c *counting) add(f File, err error) (File, error) {
	if c.limit > 0 && c.open == c.limit {
		return nil, &fs.PathError{Op: "open", Path: "f", Err: syscall.EMFILE}
	}
	if err != nil {
		return nil, err
	}
	c.count(1)
	return &countedFile{f, c}, nil
}

func (c *counting) Open(name string) (File, error)   { return c.add(c.FS.Open(name)) }
func (c *counting) Create(name string) (File, error) { return c.add(c.FS.Create(name)) }

func (f *countedFile) Close() error { f.c.count(-1); return f.File.Close() }

func (f *countedFile) Sync() error {
	if f.c.fails != nil {
		return f.c.fails
	}
	return f.File.Sync()
}

func TestBoundedIsAFileSystem(t *testing.T) {
	for _, limit := range []int{1, 2, 100} {
		suite(t, Bounded(OS(), limit), t.TempDir())
		suite(t, Bounded(NewMem(), limit), "dir")
	}
}

// TestBoundedOpens: files that are synced count, those that are not stay open.
func TestBoundedOpens(t *testing.T) {
	c := &counting{FS: NewMem()}
	b := Bounded(c, 3)
	var files []File
	for i := range 10 {
		f, err := b.Create(fmt.Sprint("f", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{byte(i)}, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	buf := make([]byte, 1)
	for i, f := range files {
		if _, err := f.ReadAt(buf, 0); err != nil || buf[0] != byte(i) {
			t.Errorf("file %d: %v, %v", i, buf, err)
		}
	}
	if c.most > 3 {
		t.Errorf("%d files were open at once, limit 3", c.most)
	}
	c.fails = syscall.EIO
	for i, f := range files[:5] {
		if _, err := f.WriteAt([]byte{100}, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); i > 0 && !errors.Is(err, syscall.EIO) {
			t.Errorf("sync: %v", err)
		}
	}
	if c.open < 5 {
		t.Errorf("%d files are open, 5 are not synced", c.open)
	}
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err == nil {
			t.Error("closed twice")
		}
	}
	if c.open != 0 {
		t.Errorf("%d files are open after all were closed", c.open)
	}
}

// TestBoundedNames: an open file is the same one whatever happens to its name.
func TestBoundedNames(t *testing.T) {
	dir := t.TempDir()
	for name, inner := range map[string]FS{"os": OS(), "mem": NewMem()} {
		t.Run(name, func(t *testing.T) {
			b := Bounded(inner, 1)
			if err := b.MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
			// other makes sure that no file but it is open.
			other, err := b.Create(filepath.Join(dir, "other"))
			if err != nil {
				t.Fatal(err)
			}
			use := func(f File, want string) {
				t.Helper()
				buf := make([]byte, len(want))
				if _, err := f.ReadAt(buf, 0); err != nil || string(buf) != want {
					t.Errorf("read %q, %v, want %q", buf, err, want)
				}
				if _, err := other.Size(); err != nil {
					t.Error(err)
				}
			}
			made := func(name string) File {
				t.Helper()
				f, err := b.Create(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt([]byte(name), 0); err != nil {
					t.Fatal(err)
				}
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
				use(f, name)
				return f
			}
			one, two, three := made("one"), made("two"), made("three")
			if err := b.Rename(filepath.Join(dir, "two"), filepath.Join(dir, "one")); err != nil {
				t.Fatal(err)
			}
			use(one, "one") // has no name any more
			use(two, "two") // is called one
			use(two, "two")
			if err := b.Remove(filepath.Join(dir, "three")); err != nil {
				t.Fatal(err)
			}
			use(three, "three")
			again := made("three")
			use(three, "three")
			use(again, "three")
			for _, f := range []File{one, two, three, again, other} {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestBoundedAtOnce uses more files than there is room for from several
// goroutines.
func TestBoundedAtOnce(t *testing.T) {
	b := Bounded(NewMem(), 3)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			f, err := b.Create(fmt.Sprint("f", g))
			if err != nil {
				t.Error(err)
				return
			}
			var want []byte
			for range 500 {
				switch rng.IntN(3) {
				case 0:
					want = append(want, byte(rng.Uint32()))
					_, err = f.WriteAt(want[len(want)-1:], int64(len(want)-1))
				case 1:
					err = f.Sync()
				default:
					got := make([]byte, len(want))
					if _, err = f.ReadAt(got, 0); len(want) == 0 {
						err = nil
					}
					if !slices.Equal(got, want) {
						t.Error("read something else than was written")
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// slow is a file system that takes its time to remove files and to close them: on a disk, the last who has a removed file
// frees its blocks.
type slow struct {
	FS
	began chan string
	goOn  chan struct{}
}

type slowFile struct {
	File
	s *slow
}

func (s *slow) wait(what string) {
	s.began <- what
	<-s.goOn
}

func (s *slow) Create(name string) (File, error) {
	f, err := s.FS.Create(name)
	return slowFile{f, s}, err
}

func (s *slow) Remove(name string) error { s.wait("remove"); return s.FS.Remove(name) }
func (f slowFile) Close() error          { f.s.wait("close"); return f.File.Close() }

// TestBoundedWaitsForNobody: while one file is removed or closed, the others can be used.
func TestBoundedWaitsForNobody(t *testing.T) {
	s := &slow{FS: NewMem(), began: make(chan string), goOn: make(chan struct{})}
	b := Bounded(s, 10)
	gone, err := b.Create("gone")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Create("other")
	if err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() error{func() error { return b.Remove("gone") }, gone.Close} {
		ended := make(chan error)
		go func() { ended <- do() }()
		what := <-s.began
		used := make(chan error)
		go func() {
			_, err := other.WriteAt([]byte("x"), 0)
			used <- err
		}()
		select {
		case err := <-used:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing could be written during a %s of another file", what)
		}
		s.goOn <- struct{}{}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestBoundedByTheProcess: who may have fewer files open than the limit says, gets along with fewer.
func TestBoundedByTheProcess(t *testing.T) {
	c := &counting{FS: NewMem(), limit: 20}
	b := Bounded(c, 1000)
	for i := range 100 {
		f, err := b.Create(fmt.Sprint("f", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if i >= 20 && c.open > 18 {
			t.Fatalf("%d of 20 files are open: none is left for others", c.open)
		}
	}
}
