package log

import (
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"

	"github.com/sluicehub/sluice/log/vfs"
)

const (
	ballastFile = "ballast" // in the data directory
	ballastMax  = 32 << 20
)

// ballastSize is a hundredth of the disk, at most ballastMax: enough for days of
// committed offsets and topic configs. Call with disk.mu.
func (d *disk) ballastSize() int64 { return min(ballastMax, d.space.Total/100) }

// spare does something that the node needs, and does it again without the
// ballast when there was no space for it.
func (l *Log) spare(do func() error) error {
	err := do()
	if err != nil && noSpace(err) && l.disk.giveUp() {
		err = do()
	}
	return err
}

// save replaces a small file of the data directory.
func (l *Log) save(name string, content []byte) error {
	return l.spare(func() error { return writeAtomic(l.fs, l.dir, name, content) })
}

// giveUp frees the ballast and tells whether there was one to free.
func (d *disk) giveUp() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ballast == 0 {
		return false
	}
	d.dropBallast()
	if d.measure() {
		d.judge()
	}
	return d.ballast == 0
}

// findBallast takes over the file of an earlier start. One of another size was
// not finished, or the disk has grown.
func (d *disk) findBallast() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.log.fs.Open(filepath.Join(d.log.dir, ballastFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if d.measure() && size == d.ballastSize() {
		d.ballast = size
		return nil
	}
	return d.log.fs.Remove(filepath.Join(d.log.dir, ballastFile))
}

// dropBallast frees the ballast, if it can. Call with mu.
func (d *disk) dropBallast() {
	if err := d.log.fs.Remove(filepath.Join(d.log.dir, ballastFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.logger.Error("the disk is full, and the ballast file cannot be removed", slog.String("dir", d.log.dir), slog.Any("error", err))
		return
	}
	d.log.logger.Warn("the disk is full: the ballast file is given up, so that offsets and configs can be written", slog.Int64("bytes", d.ballast))
	d.ballast = 0
}

// makeBallast makes the file again. A crash may leave it short, which the next
// start sees. Call with mu.
func (d *disk) makeBallast() {
	path, size := filepath.Join(d.log.dir, ballastFile), d.ballastSize()
	f, err := d.log.fs.Create(path)
	if err == nil {
		err = errors.Join(reserve(f, size), f.Close())
	}
	if err == nil {
		d.ballast = size
		d.measure()
		return
	}
	d.log.logger.Warn("the ballast file cannot be made", slog.String("file", path), slog.Any("error", errors.Join(err, d.log.fs.Remove(path))))
}

// reserve makes a file take size bytes of the disk. Where the file system has no
// call for it, they are written, and so that it cannot leave them out, at random.
func reserve(f vfs.File, size int64) error {
	if r, ok := f.(vfs.Reserver); ok {
		err := r.Reserve(size)
		if err == nil {
			return f.Truncate(size)
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	block, random := make([]byte, 1<<20), rand.NewChaCha8([32]byte{})
	for at := int64(0); at < size; {
		_, _ = random.Read(block) // never fails
		n, err := f.WriteAt(block[:min(int64(len(block)), size-at)], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
