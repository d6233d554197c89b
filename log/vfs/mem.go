package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Mem is a file system in memory that knows what a crash may take back.
// CrashClone gives a copy as a machine could find it after a power cut.
// The zero value is not usable; call NewMem.
type Mem struct {
	mu    sync.Mutex
	root  *node
	locks map[string]bool
	limit int64 // bytes of all files; 0: no end
}

// NewMem makes an empty file system.
func NewMem() *Mem { return &Mem{root: newDir(), locks: map[string]bool{}} }

// Limit makes the file system hold so many bytes in all, and no more; 0 takes the end away.
func (m *Mem) Limit(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
}

// Space implements Measured.
func (m *Mem) Space(string) (Space, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit == 0 {
		return Space{}, errors.ErrUnsupported
	}
	free := max(0, m.limit-m.root.bytes())
	return Space{Total: m.limit, Free: free, Usable: free}, nil
}

// bytes of the files in n.
func (n *node) bytes() int64 {
	sum := n.room()
	for _, c := range n.names {
		sum += c.bytes()
	}
	return sum
}

// room is how much of n more bytes there is space for, and an error if that is not all.
func (m *Mem) room(op, name string, n int) (int, error) {
	if m.limit == 0 || n <= 0 {
		return n, nil
	}
	if free := max(0, m.limit-m.root.bytes()); int64(n) > free {
		return int(free), &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return n, nil
}

// node is a file or a directory. A directory remembers its durable names and
// the changes since; a file its durable bytes and the range changed since.
type node struct {
	names   map[string]*node // nil for a file
	durable map[string]*node
	changes []change

	data   []byte
	synced []byte
	lo, hi int // bytes of data that may differ from synced
	dirty  bool

	reserved int64 // bytes that have room
}

// room is how much of the disk a file takes.
func (n *node) room() int64 { return max(int64(len(n.data)), n.reserved) }

// change is one operation on a directory: to gets node (nil: the name goes
// away) and from, when not empty, goes away in the same step.
type change struct {
	from, to string
	node     *node
}

func newDir() *node { return &node{names: map[string]*node{}, durable: map[string]*node{}} }

func (d *node) apply(names map[string]*node, c change) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.node == nil {
		delete(names, c.to)
	} else {
		names[c.to] = c.node
	}
}

func (d *node) do(c change) {
	d.apply(d.names, c)
	d.changes = append(d.changes, c)
}

func parts(name string) []string {
	return strings.FieldsFunc(filepath.Clean(name), func(r rune) bool { return r == '/' })
}

func (m *Mem) walk(name string) *node {
	n := m.root
	for _, p := range parts(name) {
		if p == "." {
			continue
		}
		if n == nil || n.names == nil {
			return nil
		}
		n = n.names[p]
	}
	return n
}

func notExist(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

func (m *Mem) parent(op, name string) (*node, string, error) {
	d := m.walk(filepath.Dir(name))
	if d == nil || d.names == nil {
		return nil, "", notExist(op, name)
	}
	return d, filepath.Base(name), nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.walk(name)
	if n == nil || n.names != nil {
		return nil, notExist("open", name)
	}
	return &memFile{m: m, n: n, name: name}, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("create", name)
	if err != nil {
		return nil, err
	}
	n := d.names[base]
	switch {
	case n == nil:
		n = &node{}
		d.do(change{to: base, node: n})
	case n.names != nil:
		return nil, &fs.PathError{Op: "create", Path: name, Err: syscall.EISDIR}
	default:
		n.resize(0)
	}
	return &memFile{m: m, n: n, name: name}, nil
}

// Rename implements FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, a, err := m.parent("rename", from)
	if err != nil {
		return err
	}
	d2, b, err := m.parent("rename", to)
	if err != nil {
		return err
	}
	if d != d2 {
		return &fs.PathError{Op: "rename", Path: to, Err: fmt.Errorf("in another directory than %s", from)}
	}
	n := d.names[a]
	if n == nil {
		return notExist("rename", from)
	}
	d.do(change{from: a, to: b, node: n})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.parent("remove", name)
	if err != nil {
		return err
	}
	n := d.names[base]
	if n == nil {
		return notExist("remove", name)
	}
	if len(n.names) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	d.do(change{to: base})
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, p := range parts(name) {
		if p == "." {
			continue
		}
		next := n.names[p]
		if next == nil {
			next = newDir()
			n.do(change{to: p, node: next})
		}
		if next.names == nil {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		n = next
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.walk(name)
	if d == nil || d.names == nil {
		return nil, notExist("readdir", name)
	}
	out := make([]Entry, 0, len(d.names))
	for k, n := range d.names {
		out = append(out, Entry{Name: k, Dir: n.names != nil})
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.walk(name)
	if d == nil || d.names == nil {
		return notExist("sync", name)
	}
	for _, c := range d.changes {
		d.apply(d.durable, c)
	}
	d.changes = nil
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.Create(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, &LockedError{Name: name}
	}
	m.locks[name] = true
	return &memLock{m, name, f}, nil
}

type memLock struct {
	m    *Mem
	name string
	f    File
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

func (n *node) resize(size int) {
	n.touch(min(size, len(n.data)), max(size, len(n.data)))
	if size <= len(n.data) {
		clear(n.data[size:])
		n.data = n.data[:size]
		return
	}
	n.data = append(n.data, make([]byte, size-len(n.data))...)
}

func (n *node) touch(lo, hi int) {
	if !n.dirty {
		n.lo, n.hi, n.dirty = lo, hi, true
		return
	}
	n.lo, n.hi = min(n.lo, lo), max(n.hi, hi)
}

type memFile struct {
	m    *Mem
	n    *node
	name string
	shut bool
}

func (f *memFile) use() error {
	f.m.mu.Lock()
	if f.shut {
		f.m.mu.Unlock()
		return &fs.PathError{Op: "use", Path: f.name, Err: fs.ErrClosed}
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.use(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.use(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	more := int(off) + len(p) - int(f.n.room())
	fits, err := f.m.room("write", f.name, more)
	if err != nil {
		p = p[:max(0, len(p)-(more-fits))]
	}
	end := int(off) + len(p)
	if end > len(f.n.data) && len(p) > 0 {
		f.n.resize(end)
	}
	if len(p) == 0 {
		return 0, err
	}
	f.n.touch(int(off), end)
	return copy(f.n.data[off:], p), err
}

func (f *memFile) Sync() error {
	if err := f.use(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	n := f.n
	if !n.dirty {
		return nil
	}
	if len(n.synced) > len(n.data) {
		n.synced = n.synced[:len(n.data)]
	}
	n.synced = append(n.synced, make([]byte, len(n.data)-len(n.synced))...)
	if hi := min(n.hi, len(n.data)); n.lo < hi {
		copy(n.synced[n.lo:hi], n.data[n.lo:hi])
	}
	n.dirty = false
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.use(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.n.resize(int(size))
	f.n.reserved = 0
	return nil
}

// Reserve implements Reserver.
func (f *memFile) Reserve(size int64) error {
	if err := f.use(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if _, err := f.m.room("reserve", f.name, int(size-f.n.room())); err != nil {
		return err
	}
	f.n.reserved = max(f.n.reserved, size)
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.use(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error {
	if err := f.use(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.shut = true
	return nil
}
