package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	memoryDisk = "/dev/shm"
	// memoryNeeded is what must be free of the memory disk, in bytes. Of the machine's memory it is twice as much: the
	// processes want some, too.
	memoryNeeded = 6 << 30
	// Of statfs(2).
	tmpfsMagic  = 0x01021994
	mountNoExec = 0x0008
)

// useMemory lets tests and servers, of this process and of its children, put their files on a disk in memory until
// release is called. Databases that are made and dropped, logs and test folders cost a quarter of the processor time on
// a disk with a journal, and every fsync is a wait. A process that is killed leaves to the next one what it would leave
// on any disk; what a disk loses when the machine dies is for the log's crash tests, which have one of their own.
//
// Without such a disk, with too little memory, or where somebody has set TMPDIR, everything stays as it is. Programs
// that are built lie where they did in any case: they are large, and written once.
func useMemory(disk string) (release func() error, err error) {
	if os.Getenv("TMPDIR") != "" || !inMemory(disk, memoryNeeded) {
		return func() error { return nil }, nil
	}
	// The same folder for all runs: go test keeps a result only for the same TMPDIR.
	folder, err := takeFolder(filepath.Join(disk, "sluice-suite"))
	if err != nil {
		return nil, fmt.Errorf("make the folder for what tests write: %w", err)
	}
	if err := errors.Join(os.Setenv("GOTMPDIR", os.TempDir()), os.Setenv("TMPDIR", folder.Name())); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return func() error { return leaveFolder(folder) }, nil
}

// takeFolder makes a folder, if it is not there, and locks it. Several may do so at the same time; one that is alone
// clears it of what killed ones have left.
func takeFolder(dir string) (*os.File, error) {
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, os.ModeSticky|0o777)); err != nil { // as /tmp: some servers run as other users
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(clearIfAlone(folder), syscall.Flock(int(folder.Fd()), syscall.LOCK_SH)); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), folder.Close())
	}
	return folder, nil
}

// leaveFolder ends what takeFolder began. The last one clears the folder.
func leaveFolder(folder *os.File) error { return errors.Join(clearIfAlone(folder), folder.Close()) }

// clearIfAlone removes what is in a folder that nobody else has locked, and keeps it locked.
func clearIfAlone(folder *os.File) error {
	switch err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == syscall.EWOULDBLOCK:
		return nil
	case err != nil:
		return err
	}
	entries, err := os.ReadDir(folder.Name())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder.Name(), e.Name())))
	}
	return err
}

// inMemory reports whether dir is in memory, runs programs, and has so many bytes, twice as many of which the machine has.
func inMemory(dir string, bytes int64) bool {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil || s.Type != tmpfsMagic || s.Flags&mountNoExec != 0 {
		return false
	}
	return int64(s.Bavail)*s.Bsize >= bytes && memoryAvailable() >= 2*bytes
}

// memoryAvailable is what the kernel could give to processes now, in bytes; 0 where it does not say so.
func memoryAvailable() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}
