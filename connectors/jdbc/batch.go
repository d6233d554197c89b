package jdbc

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// slots is into how many parts the keys of a topic partition are divided. Each has a position of its own in the database
// (offsets.go), so however many lanes share them, and however that changes, it is known of each key how far it is. It
// must never change.
const slots = 8

// op is what a row does to its table.
type op uint8

const (
	opWrite op = iota
	opDelete
	opTruncate
)

// row is one change on its way into a table. Its cells are in the batch's arena, of each column:
//
//	length int32, big endian; -1 is null | that many bytes, as dialect.appendCell made them
type row struct {
	shape  *shape
	op     op
	slot   uint8
	gone   bool // set aside, or not to be written any more
	part   int32
	offset int64
	start  int // of the cells in the arena
	keyEnd int // the cells of the key are from start to here
	end    int
}

// part is a topic partition with something new in a batch.
type part struct {
	connectors.TopicPartition
	end   int64 // the offset below which everything is in this batch or before it
	epoch int64 // with which the partition was claimed
}

// batch is what is written at once: every lane writes its share in a transaction of its own.
type batch struct {
	rows    []row
	arena   []byte
	parts   []part
	last    int // index of the part used last
	since   time.Time
	serial  bool // one lane must write all of it, in order
	retried bool // an attempt may have been committed without our knowing
}

// maxKept bounds the memory of a batch that is kept for the next one.
const maxKept = 64 << 20

func (b *batch) reset() {
	if cap(b.arena) > maxKept {
		b.arena = nil
	}
	clear(b.rows)
	*b = batch{rows: b.rows[:0], arena: b.arena[:0], parts: b.parts[:0]}
}

func (b *batch) empty() bool { return len(b.parts) == 0 }

// partOf returns the index of a partition among the parts.
func (b *batch) partOf(at connectors.TopicPartition) int {
	if b.last >= len(b.parts) || b.parts[b.last].TopicPartition != at {
		b.last = slices.IndexFunc(b.parts, func(p part) bool { return p.TopicPartition == at })
		if b.last < 0 {
			b.last = len(b.parts)
			b.parts = append(b.parts, part{TopicPartition: at, end: -1})
		}
	}
	return b.last
}

// ref names the record of a row.
func (b *batch) ref(r *row) connectors.RecordRef {
	return connectors.RecordRef{TopicPartition: b.parts[r.part].TopicPartition, Offset: r.offset}
}

// key returns the cells of a row's key.
func (b *batch) key(r *row) []byte { return b.arena[r.start:r.keyEnd] }

// without takes out the rows of partitions that were closed.
func (b *batch) without(closed []connectors.TopicPartition) {
	for i := range b.rows {
		if slices.Contains(closed, b.parts[b.rows[i].part].TopicPartition) {
			b.rows[i].gone = true
		}
	}
	for i := range b.parts {
		if slices.Contains(closed, b.parts[i].TopicPartition) {
			b.parts[i] = part{end: -1}
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// slotOf says to which of a partition's slots a key belongs. Positions in the database are kept by it, so it must never
// change.
func slotOf(key []byte, offset int64) uint8 {
	if len(key) == 0 {
		return uint8(offset % slots)
	}
	return uint8(crc32.Checksum(key, castagnoli) % slots)
}

// null is the length of a cell that is null.
const null = 0xffffffff

// appendNull appends the cell of a null.
func appendNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

// nextCell returns the first of the cells, nil for null, and those behind it.
func nextCell(cells []byte) (cell, rest []byte) {
	n := binary.BigEndian.Uint32(cells)
	if n == null {
		return nil, cells[4:]
	}
	return cells[4 : 4+n : 4+n], cells[4+n:]
}
