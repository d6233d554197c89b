package log

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

// TestState keeps, replaces and loses bytes under a name.
func TestState(t *testing.T) {
	fs := vfs.NewMem()
	open := func(fs vfs.FS) *Log {
		l, err := Open(Options{Dir: "data", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open(fs)
	if b, err := l.LoadState("users"); b != nil || err != nil {
		t.Fatalf("before anything was kept: %q, %v", b, err)
	}
	for _, content := range []string{"one", "", "three\nlines\n"} {
		if err := l.SaveState("users", []byte(content)); err != nil {
			t.Fatal(err)
		}
		crashed := open(fs.CrashClone(rand.New(rand.NewPCG(1, 2))))
		if b, err := crashed.LoadState("users"); string(b) != content || b == nil || err != nil {
			t.Errorf("after a crash: %q, %v; want %q", b, err, content)
		}
		crashed.Close()
	}
	f, err := fs.Open(filepath.Join("data", "state-users"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("T"), 24); err != nil {
		t.Fatal(err)
	}
	if b, err := l.LoadState("users"); err == nil {
		t.Errorf("a damaged file was read as %q", b)
	}
	l.Close()
}
