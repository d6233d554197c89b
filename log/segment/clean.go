package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sluicehub/sluice/log/vfs"
)

// Verdict is what compaction decides about one record.
type Verdict int

// Verdicts.
const (
	Keep Verdict = iota
	// KeepUntil keeps a tombstone whose batch has no delete horizon yet and
	// asks to give it one.
	KeepUntil
	Drop
)

// Filter appends to dst the batch without the records that judge drops. A
// batch that keeps everything is copied as it is, one that keeps nothing is
// left out; otherwise offsets, producer fields and leader epoch stay, and
// checksum and count are made anew. When judge says KeepUntil, the batch gets
// horizon (ms since 1970) as its delete horizon (KIP-534: the base timestamp
// is the horizon, and the records' deltas count from it).
func Filter(dst []byte, h *Header, batch []byte, horizon int64, judge func(*Record) Verdict) (out []byte, changed bool, err error) {
	var kept []Record
	stamp := false
	n := 0
	for rec, err := range Records(h, batch) {
		if err != nil {
			return dst, false, err
		}
		n++
		switch judge(&rec) {
		case Keep:
			kept = append(kept, rec)
		case KeepUntil:
			kept = append(kept, rec)
			stamp = true
		case Drop:
		}
	}
	switch {
	case len(kept) == n && !stamp:
		return append(dst, batch...), false, nil
	case len(kept) == 0:
		return dst, true, nil
	}
	nh := *h
	nh.Count = int32(len(kept))
	if stamp {
		nh.Attributes |= AttrDeleteHorizon
		nh.BaseTimestamp = horizon
	}
	var body []byte
	if !h.LogAppendTime() {
		nh.MaxTimestamp = NoTimestamp
	}
	for i := range kept {
		body = appendRecord(body, &nh, &kept[i])
		nh.MaxTimestamp = max(nh.MaxTimestamp, kept[i].Timestamp)
	}
	if body, err = compress(body, h.Codec()); err != nil {
		return dst, false, err
	}
	at := len(dst)
	dst = append(dst, batch[:HeaderSize]...)
	dst = append(dst, body...)
	putHeader(dst[at:], &nh)
	return dst, true, nil
}

// appendRecord encodes a record against a batch header.
func appendRecord(dst []byte, h *Header, r *Record) []byte {
	ts, off := r.Timestamp-h.BaseTimestamp, r.Offset-h.BaseOffset
	size := 1 + varintLen(ts) + varintLen(off) + bytesLen(r.Key) + bytesLen(r.Value) + len(r.Headers)
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0)
	dst = binary.AppendVarint(dst, ts)
	dst = binary.AppendVarint(dst, off)
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	return append(dst, r.Headers...)
}

func compress(body []byte, codec int) ([]byte, error) {
	c, err := NewCompressor(codec, DefaultLevel)
	if err != nil {
		return nil, err
	}
	return c.compress(body)
}

// Clean writes the batches of a sealed segment, as fn returns them, to a new
// file beside it and syncs that. fn appends to dst what a batch becomes. When
// no batch changed there is no file and the result is nil. The old segment is
// untouched until Replace.
func (s *Segment) Clean(fn func(dst []byte, h *Header, batch []byte) (out []byte, changed bool, err error)) (*Segment, error) {
	path := s.Path() + CleanedSuffix
	f, err := s.fs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	n := newSegment(s.fs, s.dir, s.base, f, s.interval)
	changed, err := n.copyFrom(s, fn)
	if err == nil && changed {
		err = f.Sync()
	}
	if err == nil && changed {
		return n, nil
	}
	return nil, errors.Join(err, f.Close(), s.fs.Remove(path))
}

func (s *Segment) copyFrom(old *Segment, fn func(dst []byte, h *Header, batch []byte) ([]byte, bool, error)) (changed bool, err error) {
	var buf []byte
	flush := func() error {
		if err := s.Write(buf); err != nil {
			return fmt.Errorf("write %s: %w", s.Path()+CleanedSuffix, err)
		}
		for at := 0; at < len(buf); {
			h, err := ParseHeader(buf[at:])
			if err != nil {
				return err
			}
			s.Commit(&h)
			at += h.Size()
		}
		buf = buf[:0]
		return nil
	}
	_, bad, err := Scan(old.log, 0, old.Size(), old.base, func(h *Header, batch []byte, _ int64) error {
		out, ch, err := fn(buf, h, batch)
		if err != nil {
			return err
		}
		changed = changed || ch
		if buf = out; len(buf) >= scanBuffer {
			return flush()
		}
		return nil
	})
	if bad != nil {
		err = fmt.Errorf("%s at %d: %w", old.Path(), bad.Pos, bad.Err)
	}
	if err == nil && len(buf) > 0 {
		err = flush()
	}
	return changed, err
}

// Replace gives the file that Clean wrote the name of the old segment. The old
// indexes go first and durably: a crash leaves the old or the new log, and no
// index that belongs to the other one. The receiver is the new segment; the
// old one stays readable until its Close.
func (s *Segment) Replace() error { return replaceLog(s.fs, s.dir, s.base) }

func replaceLog(fsys vfs.FS, dir string, base int64) error {
	for _, suffix := range []string{IndexSuffix, TimeIndexSuffix, TxnIndexSuffix} {
		if err := removeIfThere(fsys, filepath.Join(dir, FileName(base, suffix))); err != nil {
			return err
		}
	}
	if err := fsys.SyncDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, FileName(base, LogSuffix))
	if err := fsys.Rename(path+CleanedSuffix, path); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// Discard removes the file that Clean wrote.
func (s *Segment) Discard() error {
	return errors.Join(s.Close(), removeIfThere(s.fs, s.Path()+CleanedSuffix))
}
