package vfs

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"
)

// TestForget: pages that are on the disk are not in memory any more.
func TestForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := OS().Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 64 << 10
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	held := func() (n int) {
		file := f.(*osFile).File
		mem, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Munmap(mem)
		pages := make([]byte, size/4096)
		if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), size, uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
			t.Fatal(errno)
		}
		for _, p := range pages {
			n += int(p & 1)
		}
		return n
	}
	if err := forget(f.(*osFile).File); err != nil {
		t.Fatal(err)
	}
	const tmpfs = 0x01021994 // what it has in memory is all there is
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	if n := held(); n > 0 && st.Type != tmpfs {
		t.Errorf("%d pages are held still", n)
	}
}

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
