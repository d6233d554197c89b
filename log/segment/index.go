package segment

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/sluicehub/sluice/log/vfs"
)

// An offset index has one entry for about every index.interval.bytes of log:
//
//	+------------------------------+---------------------+
//	| last offset of a batch, less | position of the     |
//	| the segment's base, u32      | batch in .log, u32  |
//	+------------------------------+---------------------+
//
// A time index says up to where the timestamps stay at or below a value; both
// columns rise:
//
//	+--------------------------+------------------------------+
//	| largest timestamp so far | last offset of the batch that|
//	| ms, i64                  | has it, less the base, u32   |
//	+--------------------------+------------------------------+
//
// Both are caches: whatever looks wrong is made again from the log.
const (
	offsetEntry = 8
	timeEntry   = 12
)

// table is the entries of an index: in memory while the segment is written, in
// a file after that.
type table struct {
	width int
	mem   []byte   // used when file is nil
	file  vfs.File // sealed
	n     int
}

// at reads entry i into buf, which has the table's width at least.
func (t *table) at(i int, buf []byte) ([]byte, error) {
	if t.file == nil {
		return t.mem[i*t.width : (i+1)*t.width], nil
	}
	buf = buf[:t.width]
	if _, err := t.file.ReadAt(buf, int64(i*t.width)); err != nil {
		return nil, fmt.Errorf("read index entry %d: %w", i, err)
	}
	return buf, nil
}

// search returns the last entry whose key is at most the one sought; ok is
// false when all keys are larger.
func (t *table) search(notAbove func(entry []byte) bool) (entry []byte, ok bool, err error) {
	i, err := t.firstAbove(notAbove)
	if err != nil || i == 0 {
		return nil, false, err
	}
	var space [timeEntry]byte
	e, err := t.at(i-1, space[:])
	if err != nil {
		return nil, false, err
	}
	return append([]byte(nil), e...), true, nil
}

// firstAbove is the number of entries whose key is at most the one sought.
func (t *table) firstAbove(notAbove func(entry []byte) bool) (n int, err error) {
	var space [abortedEntry]byte
	n = sort.Search(t.n, func(i int) bool {
		e, rerr := t.at(i, space[:])
		if rerr != nil {
			err = rerr
			return true
		}
		return !notAbove(e)
	})
	return n, err
}

func (t *table) add(entry []byte) {
	t.mem = append(t.mem, entry...)
	t.n++
}

func (t *table) addOffset(rel uint32, pos int64) {
	var e [offsetEntry]byte
	binary.BigEndian.PutUint32(e[:], rel)
	binary.BigEndian.PutUint32(e[4:], uint32(pos))
	t.add(e[:])
}

func (t *table) addTime(ms int64, rel uint32) {
	var e [timeEntry]byte
	binary.BigEndian.PutUint64(e[:], uint64(ms))
	binary.BigEndian.PutUint32(e[8:], rel)
	t.add(e[:])
}

// close closes the file of a sealed index.
func (t *table) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

func offsetOf(e []byte) (rel uint32, pos int64) {
	return binary.BigEndian.Uint32(e), int64(binary.BigEndian.Uint32(e[4:]))
}

func timeOf(e []byte) (ms int64, rel uint32) {
	return int64(binary.BigEndian.Uint64(e)), binary.BigEndian.Uint32(e[8:])
}

// openTable takes an index file as it is, or fails when its size or order
// cannot be right. check sees the entries in order.
func openTable(f vfs.File, width int, check func(entry []byte) bool) (*table, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size%int64(width) != 0 {
		return nil, fmt.Errorf("index of %d bytes is not made of entries of %d", size, width)
	}
	raw := make([]byte, size)
	if size > 0 {
		if _, err := f.ReadAt(raw, 0); err != nil {
			return nil, err
		}
	}
	for i := 0; i < len(raw); i += width {
		if !check(raw[i : i+width]) {
			return nil, fmt.Errorf("index entry %d is out of order", i/width)
		}
	}
	return &table{width: width, file: f, n: len(raw) / width}, nil
}

// offsetOrder checks that an offset index rises and stays inside the log.
func offsetOrder(logSize int64) func([]byte) bool {
	lastRel, lastPos := int64(-1), int64(-1)
	return func(e []byte) bool {
		rel, pos := offsetOf(e)
		ok := int64(rel) > lastRel && pos > lastPos && pos+HeaderSize <= logSize
		lastRel, lastPos = int64(rel), pos
		return ok
	}
}

// timeOrder checks that a time index rises.
func timeOrder() func([]byte) bool {
	first, lastMs, lastRel := true, int64(0), uint32(0)
	return func(e []byte) bool {
		ms, rel := timeOf(e)
		ok := first || (ms > lastMs && rel >= lastRel)
		first, lastMs, lastRel = false, ms, rel
		return ok
	}
}
