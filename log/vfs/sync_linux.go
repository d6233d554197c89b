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

const dontNeed = 4 // POSIX_FADV_DONTNEED

// forget makes the kernel drop the pages of a file that it holds for clean.
// They include those that it could not write: after a failed fdatasync they
// would be read, by this process and the next one, as if the disk had them.
func forget(f *os.File) error {
	return control(f, "fadvise", func(fd int) error {
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, uintptr(fd), 0, 0, dontNeed, 0, 0); errno != 0 {
			return errno
		}
		return nil
	})
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
