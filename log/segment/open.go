package segment

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sluicehub/sluice/log/vfs"
)

// Open opens the file of a segment that is to be scanned by Recover.
func Open(fsys vfs.FS, dir string, base, indexInterval int64) (*Segment, error) {
	f, err := fsys.Open(filepath.Join(dir, FileName(base, LogSuffix)))
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	return newSegment(fsys, dir, base, f, indexInterval), nil
}

// Recover scans the log file from its start, makes the indexes anew in memory,
// and calls fn for each good batch. It stops at the first bad batch; size and
// next offset are then those of the good part. fileSize is the file's. The
// batches after damage can be counted with Resume.
func (s *Segment) Recover(fn func(h *Header, batch []byte) error) (fileSize int64, bad *Bad, err error) {
	if fileSize, err = s.log.Size(); err != nil {
		return 0, nil, err
	}
	bad, err = s.scanOn(s.size, fileSize, fn)
	return fileSize, bad, err
}

// Resume goes on after damage, at the position of a good batch that FindNext
// found. The damaged bytes count as part of the segment.
func (s *Segment) Resume(pos, fileSize int64, fn func(h *Header, batch []byte) error) (*Bad, error) {
	s.mu.Lock()
	s.size = pos
	s.mu.Unlock()
	return s.scanOn(pos, fileSize, fn)
}

func (s *Segment) scanOn(from, fileSize int64, fn func(h *Header, batch []byte) error) (*Bad, error) {
	_, bad, err := Scan(s.log, from, fileSize, s.Next(), func(h *Header, batch []byte, _ int64) error {
		s.Commit(h)
		if fn != nil {
			return fn(h, batch)
		}
		return nil
	})
	return bad, err
}

// Truncate cuts the file to what counts as appended, gives back the room behind
// it and syncs it.
func (s *Segment) Truncate() error {
	if err := s.Undo(); err != nil {
		return err
	}
	return s.log.Sync()
}

// OpenSealed opens a segment that was sealed, trusting its indexes after a
// check of their order and of the batches after the last entry. An error
// wrapping ErrStale asks for Recover instead.
func OpenSealed(fsys vfs.FS, dir string, base, indexInterval int64) (*Segment, error) {
	s, err := Open(fsys, dir, base, indexInterval)
	if err != nil {
		return nil, err
	}
	if err := s.loadIndexes(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ErrStale: the indexes are missing or do not fit the log.
var ErrStale = errors.New("index is missing or stale")

func (s *Segment) loadIndexes() error {
	size, err := s.log.Size()
	if err != nil {
		return err
	}
	offsets, err := s.openIndex(IndexSuffix, offsetEntry, offsetOrder(size))
	if err != nil {
		return err
	}
	s.offsets = offsets
	times, err := s.openIndex(TimeIndexSuffix, timeEntry, timeOrder())
	if err != nil {
		return err
	}
	s.times = times
	if s.aborted, err = s.openTxnIndex(); err != nil {
		s.aborted = &table{width: abortedEntry}
		return err
	}
	return s.checkTail(size)
}

func (s *Segment) openIndex(suffix string, width int, check func([]byte) bool) (*table, error) {
	f, err := s.fs.Open(s.path(suffix))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrStale, err)
	}
	t, err := openTable(f, width, check)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %v", ErrStale, s.path(suffix), err), f.Close())
	}
	return t, nil
}

// checkTail reads the first header and the batches from the last index entry
// on, to know the segment's end.
func (s *Segment) checkTail(size int64) error {
	from := int64(0)
	if s.offsets.n > 0 {
		var space [offsetEntry]byte
		e, err := s.offsets.at(s.offsets.n-1, space[:])
		if err != nil {
			return fmt.Errorf("%w: %v", ErrStale, err)
		}
		var rel uint32
		if rel, from = offsetOf(e); rel >= 1<<31 {
			return fmt.Errorf("%w: relative offset %d", ErrStale, rel)
		}
	}
	last := s.base
	_, bad, err := Scan(s.log, from, size, s.base, func(h *Header, _ []byte, _ int64) error {
		last = h.NextOffset()
		s.noteTail(h)
		return nil
	})
	if err != nil {
		return err
	}
	if bad != nil {
		return fmt.Errorf("%w: %s: at %d: %v", ErrStale, s.Path(), bad.Pos, bad.Err)
	}
	s.size, s.next, s.sealed = size, last, true
	if size == 0 {
		return nil
	}
	return s.noteFirst()
}

// noteTail keeps the tail's largest timestamp; an older one is in the time index.
func (s *Segment) noteTail(h *Header) {
	if h.MaxTimestamp > s.maxTS {
		s.maxTS, s.maxTSRel = h.MaxTimestamp, uint32(h.LastOffset()-s.base)
	}
}

func (s *Segment) noteFirst() error {
	var space [HeaderSize]byte
	if _, err := s.log.ReadAt(space[:], 0); err != nil {
		return err
	}
	h, err := ParseHeader(space[:])
	if err != nil {
		return fmt.Errorf("%w: %s: first batch: %v", ErrStale, s.Path(), err)
	}
	s.firstTS = h.MaxTimestamp
	if s.times.n == 0 {
		return nil
	}
	var entry [timeEntry]byte
	e, err := s.times.at(s.times.n-1, entry[:])
	if err != nil {
		return fmt.Errorf("%w: %v", ErrStale, err)
	}
	if ms, rel := timeOf(e); ms >= s.maxTS {
		s.maxTS, s.maxTSRel = ms, rel
	}
	return nil
}
