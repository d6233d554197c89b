package vfs

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReserve: room is taken behind the end of a file, whose size stays, and
// given back by Truncate to that size.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := OS().Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	taken := func() int64 {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * 512
	}
	if _, err := f.WriteAt(make([]byte, 1000), 0); err != nil {
		t.Fatal(err)
	}
	const room = 1 << 20
	err = f.(Reserver).Reserve(room)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the file system of ", path, " cannot reserve: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := taken(); got < room {
		t.Errorf("%d bytes are taken, want %d", got, room)
	}
	if err := f.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if got := taken(); got >= room {
		t.Errorf("%d bytes are taken after Truncate", got)
	}
	if size, err := f.Size(); err != nil || size != 1000 {
		t.Errorf("%d bytes, %v; want 1000", size, err)
	}
}
