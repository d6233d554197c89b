// Package segment is the file format of the log: record batches, the segment
// files made of them, their offset and time indexes, and the scan that finds
// out how much of a file can be trusted. It is Kafka's format, byte for byte.
package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A record batch, format v2, big-endian. "crc" covers bytes 21 to the end, so
// base offset and leader epoch can be written in place.
//
//	 0         8      12     16    17     21     23     27         35
//	+---------+------+------+-----+------+------+------+----------+----------+
//	| base    | len  |leader|magic| crc  |attri-|last  | base     | max      |
//	| offset  |      |epoch | = 2 |      |butes |offset| time-    | time-    |
//	| i64     | i32  |i32   | i8  | u32  |i16   |delta | stamp i64| stamp i64|
//	+---------+------+------+-----+------+------+------+----------+----------+
//	43         51     53       57      61
//	+---------+------+--------+-------+----------------------------------+
//	|producer |prod. | base   |record | records, compressed as a whole   |
//	|id i64   |epoch |sequence|count  | when attributes say so           |
//	|         |i16   |i32     |i32    |                                  |
//	+---------+------+--------+-------+----------------------------------+
//
// "len" counts the bytes after itself. Attributes: bits 0-2 codec, 3 timestamp
// type (1 = LogAppendTime), 4 transactional, 5 control, 6 delete horizon (the
// base timestamp then is the horizon, KIP-534).
const (
	HeaderSize = 61 // bytes before the first record

	atBaseOffset    = 0
	atLength        = 8
	atLeaderEpoch   = 12
	atMagic         = 16
	atCRC           = 17
	atAttributes    = 21
	atLastDelta     = 23
	atBaseTimestamp = 27
	atMaxTimestamp  = 35
	atProducerID    = 43
	atProducerEpoch = 51
	atBaseSequence  = 53
	atCount         = 57

	lengthOverhead = 12 // base offset and length field, not counted by length
	minLength      = HeaderSize - lengthOverhead
	magicV2        = 2
)

// Bits of a batch's attributes.
const (
	CodecMask         = 0x07
	AttrLogAppendTime = 0x08
	AttrTransactional = 0x10
	AttrControl       = 0x20
	AttrDeleteHorizon = 0x40
)

// NoProducerID is the producer id of a batch without sequence numbers.
const NoProducerID = -1

// NoSequence is the base sequence of a batch without sequence numbers.
const NoSequence = -1

// NoTimestamp is the timestamp of a record without one.
const NoTimestamp = -1

// ErrBadBatch: the bytes are not a record batch.
var ErrBadBatch = errors.New("not a record batch")

// ErrShort: the bytes end before the batch does.
var ErrShort = fmt.Errorf("%w: cut short", ErrBadBatch)

// ErrOldFormat: a message set of magic 0 or 1.
var ErrOldFormat = fmt.Errorf("%w: message format before v2", ErrBadBatch)

// Header is the decoded header of a batch.
type Header struct {
	BaseOffset      int64
	Length          int32 // as stored; Size is the whole
	LeaderEpoch     int32
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64 // ms since 1970, or the delete horizon
	MaxTimestamp    int64 // ms since 1970
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32
}

// Size is the batch's size in bytes with its header.
func (h *Header) Size() int { return lengthOverhead + int(h.Length) }

// LastOffset is the offset of the last record, which compaction may have removed.
func (h *Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// NextOffset is LastOffset + 1.
func (h *Header) NextOffset() int64 { return h.LastOffset() + 1 }

// LastSequence is the sequence number of the last record. Sequences wrap to 0
// after the largest int32.
func (h *Header) LastSequence() int32 {
	if h.BaseSequence < 0 {
		return NoSequence
	}
	return AddSequence(h.BaseSequence, h.LastOffsetDelta)
}

// Codec is the compression codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func (h *Header) Codec() int { return int(h.Attributes & CodecMask) }

// LogAppendTime tells that all records have MaxTimestamp as timestamp.
func (h *Header) LogAppendTime() bool { return h.Attributes&AttrLogAppendTime != 0 }

// Transactional tells that the batch belongs to a transaction.
func (h *Header) Transactional() bool { return h.Attributes&AttrTransactional != 0 }

// Control tells that the batch is a transaction marker.
func (h *Header) Control() bool { return h.Attributes&AttrControl != 0 }

// AddSequence adds to a sequence number as Kafka does: after 2^31-1 comes 0.
func AddSequence(seq, n int32) int32 {
	if seq > (1<<31-1)-n {
		return n - ((1<<31 - 1) - seq) - 1
	}
	return seq + n
}

// ParseHeader decodes the header at the start of b. It checks magic and length
// but reads no further than the header, so the batch may be longer than b. It
// fails with ErrShort, ErrOldFormat or ErrBadBatch.
func ParseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) < atMagic+1 {
		return h, ErrShort
	}
	if m := b[atMagic]; m != magicV2 {
		if m < magicV2 {
			return h, ErrOldFormat
		}
		return h, fmt.Errorf("%w: magic %d", ErrBadBatch, m)
	}
	if len(b) < HeaderSize {
		return h, ErrShort
	}
	be := binary.BigEndian
	h = Header{
		BaseOffset:      int64(be.Uint64(b[atBaseOffset:])),
		Length:          int32(be.Uint32(b[atLength:])),
		LeaderEpoch:     int32(be.Uint32(b[atLeaderEpoch:])),
		CRC:             be.Uint32(b[atCRC:]),
		Attributes:      int16(be.Uint16(b[atAttributes:])),
		LastOffsetDelta: int32(be.Uint32(b[atLastDelta:])),
		BaseTimestamp:   int64(be.Uint64(b[atBaseTimestamp:])),
		MaxTimestamp:    int64(be.Uint64(b[atMaxTimestamp:])),
		ProducerID:      int64(be.Uint64(b[atProducerID:])),
		ProducerEpoch:   int16(be.Uint16(b[atProducerEpoch:])),
		BaseSequence:    int32(be.Uint32(b[atBaseSequence:])),
		Count:           int32(be.Uint32(b[atCount:])),
	}
	if h.Length < minLength || h.Length > 1<<31-1-lengthOverhead {
		return h, fmt.Errorf("%w: length %d", ErrBadBatch, h.Length)
	}
	if h.BaseOffset < 0 || h.LastOffsetDelta < 0 || h.BaseOffset > 1<<63-1-int64(h.LastOffsetDelta)-1 {
		return h, fmt.Errorf("%w: base offset %d, last offset delta %d", ErrBadBatch, h.BaseOffset, h.LastOffsetDelta)
	}
	if h.Count < 0 {
		return h, fmt.Errorf("%w: record count %d", ErrBadBatch, h.Count)
	}
	return h, nil
}

// ParseBatch decodes and checks the batch at the start of b, its checksum
// included, and returns its header and its bytes, a slice of b.
func ParseBatch(b []byte) (Header, []byte, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return h, nil, err
	}
	if h.Size() > len(b) {
		return h, nil, ErrShort
	}
	batch := b[:h.Size():h.Size()]
	if got := checksum(batch[atAttributes:]); got != h.CRC {
		return h, nil, fmt.Errorf("%w: checksum %08x, computed %08x", ErrBadBatch, h.CRC, got)
	}
	return h, batch, nil
}

// SetPlace writes what the broker decides into a batch: its base offset and
// leader epoch. The checksum does not cover them.
func SetPlace(batch []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(batch[atBaseOffset:], uint64(baseOffset))
	binary.BigEndian.PutUint32(batch[atLeaderEpoch:], uint32(leaderEpoch))
}

// SetAppendTime makes a batch LogAppendTime: one bit and the maximum timestamp
// change, the records stay. The checksum is made anew.
func SetAppendTime(batch []byte, ms int64) {
	be := binary.BigEndian
	be.PutUint16(batch[atAttributes:], be.Uint16(batch[atAttributes:])|AttrLogAppendTime)
	be.PutUint64(batch[atMaxTimestamp:], uint64(ms))
	setCRC(batch)
}

// SetMaxTimestamp corrects a maximum timestamp that the records contradict.
func SetMaxTimestamp(batch []byte, ms int64) {
	binary.BigEndian.PutUint64(batch[atMaxTimestamp:], uint64(ms))
	setCRC(batch)
}

func setCRC(batch []byte) {
	binary.BigEndian.PutUint32(batch[atCRC:], checksum(batch[atAttributes:]))
}
