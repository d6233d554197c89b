// Package vfs is the log's file-system seam. Every file operation of the log
// goes through FS, so that tests can put a memory file system that forgets
// what was not synced (Mem), or one that fails on command (Faulty), in the
// place of the operating system (OS).
package vfs

import "io"

// FS is what the log needs of a file system. Paths are as for package os.
//
// A new name, a removal and a rename are durable only after SyncDir of the
// directory that holds the name; the bytes of a file only after File.Sync.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Create makes an empty file for reading and writing; it cuts an existing
	// one to nothing.
	Create(name string) (File, error)
	// Rename gives a file or directory a new name in the same directory,
	// replacing a file that has it. It is atomic.
	Rename(from, to string) error
	// Remove deletes a file or an empty directory.
	Remove(name string) error
	// MkdirAll makes a directory and those above it; an existing one is no error.
	MkdirAll(name string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]Entry, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock named by a file, which is created when
	// missing, until the closer is closed or the process dies. When somebody
	// else has it, the error is a *LockedError.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the file's bytes and size durable (fdatasync).
	Sync() error
	// Truncate changes the size.
	Truncate(size int64) error
	// Size is the present size in bytes.
	Size() (int64, error)
}

// Measured is an FS that knows how full it is.
type Measured interface {
	// Space of the file system that holds the directory; errors.ErrUnsupported
	// where it has no end.
	Space(dir string) (Space, error)
}

// Space is the room of a file system, in bytes.
type Space struct {
	Total  int64
	Free   int64
	Usable int64 // by this process; less than what is free where some is kept back
}

// Reserver is a File that can take its room on the disk before it is written.
type Reserver interface {
	// Reserve takes the room of size bytes from the file's beginning. The file
	// has the size that it had; Truncate, also to that, gives back what is behind
	// it. An error that is errors.ErrUnsupported asks for writing in its place.
	Reserve(size int64) error
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	Dir  bool
}

// LockedError says who has a lock.
type LockedError struct {
	Name string
	PID  int // 0: unknown
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return e.Name + " is locked"
	}
	return e.Name + " is locked by process " + itoa(e.PID)
}
