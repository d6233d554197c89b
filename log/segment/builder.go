package segment

import "encoding/binary"

// Builder makes an uncompressed record batch, for the topics a broker writes
// itself and for tests. The zero value is ready; Reset makes it ready again
// and keeps its memory. Not for concurrent use.
type Builder struct {
	// ProducerID, ProducerEpoch and BaseSequence are written when Idempotent.
	Idempotent    bool
	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32
	// Transactional says that the batch belongs to a transaction.
	Transactional bool
	control       bool

	buf    []byte
	count  int32
	baseTS int64
	maxTS  int64
}

// RecordHeader is one record header; a nil value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// Add appends a record. A nil key or value is null. Timestamps are ms since 1970.
func (b *Builder) Add(timestamp int64, key, value []byte, headers ...RecordHeader) {
	if b.count == 0 {
		b.buf = append(b.buf[:0], make([]byte, HeaderSize)...)
		b.baseTS, b.maxTS = timestamp, timestamp
	}
	b.maxTS = max(b.maxTS, timestamp)
	tsDelta, offDelta := timestamp-b.baseTS, int64(b.count)
	size := 1 + varintLen(tsDelta) + varintLen(offDelta) + bytesLen(key) + bytesLen(value) + varintLen(int64(len(headers)))
	for _, h := range headers {
		size += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	b.buf = binary.AppendVarint(b.buf, int64(size))
	b.buf = append(b.buf, 0)
	b.buf = binary.AppendVarint(b.buf, tsDelta)
	b.buf = binary.AppendVarint(b.buf, offDelta)
	b.buf = appendBytes(b.buf, key)
	b.buf = appendBytes(b.buf, value)
	b.buf = binary.AppendVarint(b.buf, int64(len(headers)))
	for _, h := range headers {
		b.buf = binary.AppendVarint(b.buf, int64(len(h.Key)))
		b.buf = append(b.buf, h.Key...)
		b.buf = appendBytes(b.buf, h.Value)
	}
	b.count++
}

// EmptyBatch makes a batch without records that takes the offsets from first to
// last.
func EmptyBatch(first, last int64, epoch int32) []byte {
	b := make([]byte, HeaderSize)
	putHeader(b, &Header{
		LastOffsetDelta: int32(last - first), BaseTimestamp: NoTimestamp, MaxTimestamp: NoTimestamp,
		ProducerID: NoProducerID, ProducerEpoch: -1, BaseSequence: -1,
	})
	SetPlace(b, first, epoch)
	return b
}

// Len is the size of the batch so far in bytes; 0 without records.
func (b *Builder) Len() int {
	if b.count == 0 {
		return 0
	}
	return len(b.buf)
}

// Count is the number of records added.
func (b *Builder) Count() int { return int(b.count) }

// Batch finishes the batch at base offset 0. The bytes are the builder's until
// Reset; nil without records.
func (b *Builder) Batch() []byte {
	if b.count == 0 {
		return nil
	}
	h := Header{
		LeaderEpoch: -1, LastOffsetDelta: b.count - 1, BaseTimestamp: b.baseTS, MaxTimestamp: b.maxTS,
		ProducerID: NoProducerID, ProducerEpoch: -1, BaseSequence: -1, Count: b.count,
	}
	if b.Idempotent {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = b.ProducerID, b.ProducerEpoch, b.BaseSequence
	}
	if b.Transactional {
		h.Attributes |= AttrTransactional
	}
	if b.control {
		h.Attributes |= AttrControl
	}
	putHeader(b.buf, &h)
	return b.buf
}

// Reset forgets the records.
func (b *Builder) Reset() { b.count = 0 }

// putHeader writes h at the start of a whole batch and sets length and checksum.
func putHeader(batch []byte, h *Header) {
	be := binary.BigEndian
	be.PutUint64(batch[atBaseOffset:], uint64(h.BaseOffset))
	be.PutUint32(batch[atLength:], uint32(len(batch)-lengthOverhead))
	be.PutUint32(batch[atLeaderEpoch:], uint32(h.LeaderEpoch))
	batch[atMagic] = magicV2
	be.PutUint16(batch[atAttributes:], uint16(h.Attributes))
	be.PutUint32(batch[atLastDelta:], uint32(h.LastOffsetDelta))
	be.PutUint64(batch[atBaseTimestamp:], uint64(h.BaseTimestamp))
	be.PutUint64(batch[atMaxTimestamp:], uint64(h.MaxTimestamp))
	be.PutUint64(batch[atProducerID:], uint64(h.ProducerID))
	be.PutUint16(batch[atProducerEpoch:], uint16(h.ProducerEpoch))
	be.PutUint32(batch[atBaseSequence:], uint32(h.BaseSequence))
	be.PutUint32(batch[atCount:], uint32(h.Count))
	setCRC(batch)
}

func varintLen(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}
