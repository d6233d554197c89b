package vfs

import (
	"errors"
	"io"
)

// Op names an operation for a Fault.
type Op string

// Operations a Faulty file system asks about.
const (
	OpOpen     Op = "open"
	OpCreate   Op = "create"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpReadDir  Op = "readdir"
	OpSyncDir  Op = "syncdir"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpReserve  Op = "reserve"
)

// Fault is what happens to one operation. The zero value lets it through.
type Fault struct {
	Err error // returned in place of doing it
	// Short, for OpWrite with Err, is how many bytes are written before.
	Short int
}

// Faulty wraps a file system and fails the operations that hook says. hook is
// called for each operation with the file's name, n being the number of bytes
// of a read or write; it must be safe for concurrent use.
func Faulty(inner FS, hook func(op Op, name string, n int) Fault) FS {
	return &faulty{inner, hook}
}

type faulty struct {
	FS
	hook func(op Op, name string, n int) Fault
}

func (f *faulty) open(op Op, name string, do func(string) (File, error)) (File, error) {
	if fault := f.hook(op, name, 0); fault.Err != nil {
		return nil, fault.Err
	}
	inner, err := do(name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{inner, f.hook, name}, nil
}

func (f *faulty) Open(name string) (File, error)   { return f.open(OpOpen, name, f.FS.Open) }
func (f *faulty) Create(name string) (File, error) { return f.open(OpCreate, name, f.FS.Create) }

func (f *faulty) Rename(from, to string) error {
	if fault := f.hook(OpRename, from, 0); fault.Err != nil {
		return fault.Err
	}
	return f.FS.Rename(from, to)
}

func (f *faulty) one(op Op, name string, do func(string) error) error {
	if fault := f.hook(op, name, 0); fault.Err != nil {
		return fault.Err
	}
	return do(name)
}

func (f *faulty) Remove(name string) error   { return f.one(OpRemove, name, f.FS.Remove) }
func (f *faulty) MkdirAll(name string) error { return f.one(OpMkdir, name, f.FS.MkdirAll) }
func (f *faulty) SyncDir(name string) error  { return f.one(OpSyncDir, name, f.FS.SyncDir) }

func (f *faulty) ReadDir(name string) ([]Entry, error) {
	if fault := f.hook(OpReadDir, name, 0); fault.Err != nil {
		return nil, fault.Err
	}
	return f.FS.ReadDir(name)
}

func (f *faulty) Lock(name string) (io.Closer, error) { return f.FS.Lock(name) }

// Space implements Measured where the wrapped file system does.
func (f *faulty) Space(dir string) (Space, error) {
	if m, ok := f.FS.(Measured); ok {
		return m.Space(dir)
	}
	return Space{}, errors.ErrUnsupported
}

type faultyFile struct {
	File
	hook func(op Op, name string, n int) Fault
	name string
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if fault := f.hook(OpRead, f.name, len(p)); fault.Err != nil {
		return 0, fault.Err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	fault := f.hook(OpWrite, f.name, len(p))
	if fault.Err == nil {
		return f.File.WriteAt(p, off)
	}
	n, err := f.File.WriteAt(p[:min(fault.Short, len(p))], off)
	if err != nil {
		return n, err
	}
	return n, fault.Err
}

func (f *faultyFile) Sync() error {
	if fault := f.hook(OpSync, f.name, 0); fault.Err != nil {
		return fault.Err
	}
	return f.File.Sync()
}

// Reserve implements Reserver where the wrapped file does.
func (f *faultyFile) Reserve(size int64) error {
	if fault := f.hook(OpReserve, f.name, 0); fault.Err != nil {
		return fault.Err
	}
	if r, ok := f.File.(Reserver); ok {
		return r.Reserve(size)
	}
	return errors.ErrUnsupported
}

func (f *faultyFile) Truncate(size int64) error {
	if fault := f.hook(OpTruncate, f.name, 0); fault.Err != nil {
		return fault.Err
	}
	return f.File.Truncate(size)
}
