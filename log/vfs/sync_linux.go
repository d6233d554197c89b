package vfs

import (
	"os"
	"syscall"
)

// datasync is fdatasync(2): one journal write less than fsync when the size
// did not change. Interrupted calls have synced nothing yet and are made again.
func datasync(f *os.File) error {
	return control(f, "fdatasync", syscall.Fdatasync)
}

const keepSize = 0x01 // FALLOC_FL_KEEP_SIZE

// reserve is fallocate(2). Its EOPNOTSUPP is an errors.ErrUnsupported.
func reserve(f *os.File, size int64) error {
	return control(f, "fallocate", func(fd int) error { return syscall.Fallocate(fd, keepSize, 0, size) })
}

// control does a system call on a file, again if a signal came between.
func control(f *os.File, op string, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		for {
			if serr = do(int(fd)); serr != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if serr != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: serr}
	}
	return nil
}
