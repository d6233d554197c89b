package segment

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sluicehub/sluice/log/vfs"
)

// DamagedSuffix is of the copy of a damaged log that Mend leaves beside the
// mended one.
const DamagedSuffix = ".damaged"

// Inspection is what a scan of one log file found.
type Inspection struct {
	Path          string
	Base          int64
	Bytes         int64
	Batches       int64
	Records       int64
	Next          int64 // offset after the last good batch
	Damage        []Damage
	LastLeader    int32 // leader epoch of the last good batch, -1 for none
	LastTimestamp int64 // ms since 1970, the largest; NoTimestamp for none
}

// Damage is a range of a log file that is no batch.
type Damage struct {
	From, To    int64 // bytes; To is the next good batch, or the end of the file
	FirstOffset int64 // of the records that cannot be read
	NextOffset  int64 // of the next good batch; -1 at the end of the file
	Reason      string
}

// Inspect reads a whole log file and changes nothing. Every good batch goes to
// fn, which may be nil; its bytes are valid during the call.
func Inspect(fsys vfs.FS, dir string, base int64, fn func(h *Header, batch []byte, pos int64) error) (in Inspection, err error) {
	in = Inspection{Path: filepath.Join(dir, FileName(base, LogSuffix)), Base: base, Next: base, LastLeader: -1, LastTimestamp: NoTimestamp}
	f, err := fsys.Open(in.Path)
	if err != nil {
		return in, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if in.Bytes, err = f.Size(); err != nil {
		return in, err
	}
	return in, in.scan(f, fn)
}

func (in *Inspection) scan(f vfs.File, fn func(h *Header, batch []byte, pos int64) error) error {
	for pos := int64(0); pos < in.Bytes; {
		_, bad, err := Scan(f, pos, in.Bytes, in.Next, func(h *Header, batch []byte, at int64) error {
			if n := len(in.Damage); n > 0 && in.Damage[n-1].NextOffset < 0 {
				in.Damage[n-1].NextOffset = h.BaseOffset
			}
			in.Batches++
			in.Records += int64(h.Count)
			in.Next, in.LastLeader, in.LastTimestamp = h.NextOffset(), h.LeaderEpoch, max(in.LastTimestamp, h.MaxTimestamp)
			if fn == nil {
				return nil
			}
			return fn(h, batch, at)
		})
		if err != nil || bad == nil {
			return err
		}
		if pos, err = FindNext(f, bad.Pos+1, in.Bytes, in.Next); err != nil {
			return err
		}
		in.Damage = append(in.Damage, Damage{From: bad.Pos, To: pos, FirstOffset: in.Next, NextOffset: -1, Reason: bad.Err.Error()})
	}
	return nil
}

// Mend writes a log file anew without its damaged ranges. Batches without
// records take the offsets that are lost, so that readers get over them and no
// offset is given twice; end is the offset at which the file must end, -1 if it
// is the last one and may end anywhere. The damaged file is kept beside it
// under DamagedSuffix. A crash leaves the file as it was or mended.
func Mend(fsys vfs.FS, dir string, base, end int64) error {
	path := filepath.Join(dir, FileName(base, LogSuffix))
	out, err := fsys.Create(path + CleanedSuffix)
	if err != nil {
		return err
	}
	w := appender{f: out}
	next, epoch := base, int32(0)
	_, err = Inspect(fsys, dir, base, func(h *Header, batch []byte, _ int64) error {
		if err := w.fill(next, h.BaseOffset, epoch); err != nil {
			return err
		}
		next, epoch = h.NextOffset(), max(h.LeaderEpoch, 0)
		return w.write(batch)
	})
	if err == nil && end > next {
		err = w.fill(next, end, epoch)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("mend %s: %w", path, err)
	}
	if err := copyFile(fsys, path, path+DamagedSuffix); err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return replaceLog(fsys, dir, base)
}

// appender writes at the end of a new file.
type appender struct {
	f   vfs.File
	pos int64
}

func (w *appender) write(b []byte) error {
	n, err := w.f.WriteAt(b, w.pos)
	w.pos += int64(n)
	return err
}

// fill writes batches without records for the offsets from next up to end.
func (w *appender) fill(next, end int64, epoch int32) error {
	for next < end {
		last := min(end-1, next+1<<31-2)
		if err := w.write(EmptyBatch(next, last, epoch)); err != nil {
			return err
		}
		next = last + 1
	}
	return nil
}

// copyFile copies a file durably.
func copyFile(fsys vfs.FS, from, to string) (err error) {
	src, err := fsys.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	size, err := src.Size()
	if err != nil {
		return err
	}
	dst, err := fsys.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	w, buf := appender{f: dst}, make([]byte, scanBuffer)
	for w.pos < size {
		part := buf[:min(int64(len(buf)), size-w.pos)]
		if _, err := src.ReadAt(part, w.pos); err != nil {
			return err
		}
		if err := w.write(part); err != nil {
			return err
		}
	}
	return dst.Sync()
}
