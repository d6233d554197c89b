package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"

	"github.com/sluicehub/sluice/log/vfs"
)

// The state of a segment that is still appended to is what Recover finds by
// reading all of it, big-endian:
//
//	+----------+----------+----------+------------+-----------------------+
//	| base i64 | size i64 | next i64 | crc32c of  | largest timestamp     |
//	|          |          |          | the tail   | i64, its offset less  |
//	|          |          |          | u32        | the base u32          |
//	+----------+----------+----------+------------+-----------------------+
//	| timestamp of | bytes since    | entries of the three indexes: for    |
//	| the first    | the last index | each their number u32, then as in    |
//	| batch i64    | entry i64      | the files: offset, time, transaction |
//	+--------------+----------------+--------------------------------------+
//
// It has no checksum of its own.
const (
	stateHead = 8 + 8 + 8 + 4 + 8 + 4 + 8 + 8
	stateTail = 4096 // bytes at the end of the log that must be the same
)

// AppendState appends the state of a segment that is not sealed.
func (s *Segment) AppendState(dst []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tail, err := tailSum(s.log, s.size)
	if err != nil {
		return dst, err
	}
	be := binary.BigEndian
	dst = be.AppendUint64(dst, uint64(s.base))
	dst = be.AppendUint64(dst, uint64(s.size))
	dst = be.AppendUint64(dst, uint64(s.next))
	dst = be.AppendUint32(dst, tail)
	dst = be.AppendUint64(dst, uint64(s.maxTS))
	dst = be.AppendUint32(dst, s.maxTSRel)
	dst = be.AppendUint64(dst, uint64(s.firstTS))
	dst = be.AppendUint64(dst, uint64(s.sinceEntry))
	for _, t := range []*table{s.offsets, s.times, s.aborted} {
		dst = be.AppendUint32(dst, uint32(t.n))
		dst = append(dst, t.mem...)
	}
	return dst, nil
}

func tailSum(f vfs.File, size int64) (uint32, error) {
	b := make([]byte, min(size, stateTail))
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil && len(b) > 0 {
		return 0, err
	}
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)), nil
}

// OpenWithState opens the segment with a base offset as it was when the state
// was taken, without reading it; rest is what follows the state. An error
// wrapping ErrStale says that the state is not of this file as it is.
func OpenWithState(fsys vfs.FS, dir string, base, indexInterval int64, state []byte) (s *Segment, rest []byte, err error) {
	be := binary.BigEndian
	if len(state) < stateHead || int64(be.Uint64(state)) != base {
		return nil, nil, fmt.Errorf("%w: state of another segment", ErrStale)
	}
	f, err := fsys.Open(filepath.Join(dir, FileName(base, LogSuffix)))
	if err != nil {
		return nil, nil, fmt.Errorf("open segment: %w", err)
	}
	s = newSegment(fsys, dir, base, f, indexInterval)
	rest, err = s.setState(state)
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, rest, nil
}

func (s *Segment) setState(b []byte) (rest []byte, err error) {
	be := binary.BigEndian
	s.size, s.next = int64(be.Uint64(b[8:])), int64(be.Uint64(b[16:]))
	s.maxTS, s.maxTSRel = int64(be.Uint64(b[28:])), be.Uint32(b[36:])
	s.firstTS, s.sinceEntry = int64(be.Uint64(b[40:])), int64(be.Uint64(b[48:]))
	size, err := s.log.Size()
	if err != nil {
		return nil, err
	}
	if size != s.size || s.next < s.base {
		return nil, fmt.Errorf("%w: the log has %d bytes, its state %d", ErrStale, size, s.size)
	}
	tail, err := tailSum(s.log, size)
	if err != nil {
		return nil, err
	}
	if want := be.Uint32(b[24:]); tail != want {
		return nil, fmt.Errorf("%w: the log ends otherwise than its state says", ErrStale)
	}
	b = b[stateHead:]
	for _, t := range []*table{s.offsets, s.times, s.aborted} {
		if len(b) < 4 || int64(len(b)-4) < int64(be.Uint32(b))*int64(t.width) {
			return nil, fmt.Errorf("%w: state is cut short", ErrStale)
		}
		t.n = int(be.Uint32(b))
		b = b[4:]
		t.mem, b = append(t.mem, b[:t.n*t.width]...), b[t.n*t.width:]
	}
	return b, nil
}
