package vfs

import (
	"container/list"
	"errors"
	"io/fs"
	"sync"
	"syscall"
)

// Bounded wraps a file system so that about limit of its files are open at
// once: the one that was not used for the longest time is closed, and opened
// again by its name when it is used. More are open when more are in use, or
// were written and not synced: closed and opened again, such a file could not
// be told of an error of its write-back any more. A file whose sync failed stays
// open for that reason too.
//
// A file stays the one that was opened when its name is removed or given to
// another. A name must not be opened while it is removed, and directories must
// not be renamed.
func Bounded(inner FS, limit int) FS {
	return &bounded{FS: inner, limit: limit, idle: list.New(), names: map[string][]*boundedFile{}}
}

type bounded struct {
	FS
	limit int

	mu    sync.Mutex
	open  int
	idle  *list.List // of *boundedFile that can be closed, the longest unused first
	names map[string][]*boundedFile
}

// boundedFile is guarded by bounded.mu.
type boundedFile struct {
	b       *bounded
	name    string
	inner   File // nil while it is closed to make room
	users   int
	idle    *list.Element // its place in bounded.idle, or nil
	orphan  bool          // the name leads to no file or to another one
	gone    bool          // Close was called
	writers int
	writes  int // begun
	dirty   bool
}

func (b *bounded) Open(name string) (File, error)   { return b.add(name, b.FS.Open) }
func (b *bounded) Create(name string) (File, error) { return b.add(name, b.FS.Create) }

func (b *bounded) add(name string, open func(string) (File, error)) (File, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inner, err := b.openFile(name, open)
	if err != nil {
		return nil, err
	}
	f := &boundedFile{b: b, name: name, inner: inner}
	f.idle = b.idle.PushBack(f)
	b.names[name] = append(b.names[name], f)
	return f, nil
}

// openFile opens a file, with others closed as far as it takes. A process that
// may have no more descriptors may have fewer files open from then on: sockets
// need some too. Call with mu.
func (b *bounded) openFile(name string, open func(string) (File, error)) (File, error) {
	b.makeRoom()
	inner, err := open(name)
	if errors.Is(err, syscall.EMFILE) && b.idle.Len() > 0 {
		b.limit = max(1, b.open-max(1, b.open/10))
		b.makeRoom()
		inner, err = open(name)
	}
	if err != nil {
		return nil, err
	}
	b.open++
	return inner, nil
}

// makeRoom closes files until one more may be open. What its Close says matters
// to nobody: it was synced since it was written. Call with mu.
func (b *bounded) makeRoom() {
	for b.open >= b.limit && b.idle.Len() > 0 {
		f := b.idle.Remove(b.idle.Front()).(*boundedFile)
		_ = f.inner.Close()
		f.inner, f.idle = nil, nil
		b.open--
	}
}

// Remove implements FS. A large file takes long to remove, or to close when it
// has no name any more: the others can be used meanwhile.
func (b *bounded) Remove(name string) error {
	b.mu.Lock()
	err := b.orphan(name)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.FS.Remove(name)
}

// Rename implements FS.
func (b *bounded) Rename(from, to string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.orphan(to); err != nil {
		return err
	}
	if err := b.FS.Rename(from, to); err != nil {
		return err
	}
	for _, f := range b.names[from] {
		f.name = to
	}
	if moved := b.names[from]; len(moved) > 0 {
		b.names[to] = moved
	}
	delete(b.names, from)
	return nil
}

// orphan opens the files of a name that is about to lead elsewhere, to be closed
// by their owners only. Call with mu.
func (b *bounded) orphan(name string) error {
	for _, f := range b.names[name] {
		if err := f.wake(); err != nil {
			return err
		}
		f.orphan = true
	}
	delete(b.names, name)
	return nil
}

// Space implements Measured where the wrapped file system does.
func (b *bounded) Space(dir string) (Space, error) {
	if m, ok := b.FS.(Measured); ok {
		return m.Space(dir)
	}
	return Space{}, errors.ErrUnsupported
}

// wake opens the file if it was closed to make room, and keeps it from being
// closed. Call with mu.
func (f *boundedFile) wake() error {
	if f.gone {
		return &fs.PathError{Op: "use", Path: f.name, Err: fs.ErrClosed}
	}
	if f.inner == nil {
		inner, err := f.b.openFile(f.name, f.b.FS.Open)
		if err != nil {
			return err
		}
		f.inner = inner
	}
	if f.idle != nil {
		f.b.idle.Remove(f.idle)
		f.idle = nil
	}
	return nil
}

// use does something with the open file.
func (f *boundedFile) use(do func(File) error) error {
	inner, err := f.begin()
	if err != nil {
		return err
	}
	err = do(inner)
	if eerr := f.end(); err == nil {
		err = eerr
	}
	return err
}

func (f *boundedFile) begin() (File, error) {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	if err := f.wake(); err != nil {
		return nil, err
	}
	f.users++
	return f.inner, nil
}

func (f *boundedFile) end() error {
	f.b.mu.Lock()
	f.users--
	last := f.rest()
	f.b.mu.Unlock()
	return closeIf(last)
}

// rest lets the file be closed when nobody uses it, or returns it to be closed
// by the caller, without mu. Call with mu.
func (f *boundedFile) rest() (last File) {
	switch {
	case f.users > 0 || f.inner == nil:
	case f.gone:
		last, f.inner = f.inner, nil
		f.b.open--
	case f.idle == nil && !f.dirty && !f.orphan:
		f.idle = f.b.idle.PushBack(f)
	}
	return last
}

func closeIf(f File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// Close implements File.
func (f *boundedFile) Close() error {
	last, err := f.leave()
	if err != nil {
		return err
	}
	return closeIf(last)
}

// leave ends the use of the file by its owner.
func (f *boundedFile) leave() (last File, err error) {
	b := f.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.gone {
		return nil, &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.gone = true
	if f.idle != nil {
		b.idle.Remove(f.idle)
		f.idle = nil
	}
	if !f.orphan {
		b.forget(f)
	}
	return f.rest(), nil
}

// forget takes a file out of the names. Call with mu.
func (b *bounded) forget(f *boundedFile) {
	same := b.names[f.name]
	for i := range same {
		if same[i] == f {
			same = append(same[:i:i], same[i+1:]...)
			break
		}
	}
	if b.names[f.name] = same; len(same) == 0 {
		delete(b.names, f.name)
	}
}

func (f *boundedFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.use(func(inner File) error {
		n, err = inner.ReadAt(p, off)
		return err
	})
	return n, err
}

func (f *boundedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.write(func(inner File) error {
		n, err = inner.WriteAt(p, off)
		return err
	})
	return n, err
}

// Truncate implements File.
func (f *boundedFile) Truncate(size int64) error {
	return f.write(func(inner File) error { return inner.Truncate(size) })
}

// Reserve implements Reserver where the wrapped file does.
func (f *boundedFile) Reserve(size int64) error {
	return f.write(func(inner File) error {
		if r, ok := inner.(Reserver); ok {
			return r.Reserve(size)
		}
		return errors.ErrUnsupported
	})
}

// write does something that a sync must follow.
func (f *boundedFile) write(do func(File) error) error {
	return f.use(func(inner File) error {
		f.b.mu.Lock()
		f.writers++
		f.writes++
		f.dirty = true
		f.b.mu.Unlock()
		err := do(inner)
		f.b.mu.Lock()
		f.writers--
		f.b.mu.Unlock()
		return err
	})
}

// Sync implements File. The file counts as synced when nothing was written
// since it began.
func (f *boundedFile) Sync() error {
	return f.use(func(inner File) error {
		f.b.mu.Lock()
		quiet, writes := f.writers == 0, f.writes
		f.b.mu.Unlock()
		if err := inner.Sync(); err != nil {
			return err
		}
		f.b.mu.Lock()
		defer f.b.mu.Unlock()
		if quiet && f.writes == writes {
			f.dirty = false
		}
		return nil
	})
}

// Size implements File.
func (f *boundedFile) Size() (size int64, err error) {
	err = f.use(func(inner File) error {
		size, err = inner.Size()
		return err
	})
	return size, err
}
