package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// A producer snapshot is Kafka's, version 1, big-endian:
//
//	+---------+-----+---------+----------------------------------------------+
//	| version | crc | entries | per entry: producer id i64, epoch i16, last  |
//	| i16 = 1 | u32 | i32     | sequence i32, last offset i64, offset delta  |
//	|         |     |         | i32, timestamp i64, coordinator epoch i32,   |
//	|         |     |         | first offset of open transaction i64         |
//	+---------+-----+---------+----------------------------------------------+
//
// The checksum covers everything after itself. Kafka's form has only the last
// batch of each producer; one whose epoch began with a marker has none, its
// sequence and offset are -1. What follows is ours, ignored by Kafka's reader: the
// older remembered batches, so that a retry over a restart is recognised.
//
//	+------------+---------------------------------------------------------+
//	| "SLU1"     | per producer, in the same order: count u8, then oldest  |
//	|            | first: last sequence i32, last offset i64, offset delta |
//	|            | i32, timestamp i64                                      |
//	+------------+---------------------------------------------------------+
const (
	snapshotVersion = 1
	snapshotHead    = 6
	snapshotEntry   = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
	snapshotOlder   = "SLU1"
	olderEntry      = 4 + 8 + 4 + 8
)

var errSnapshot = errors.New("not a producer snapshot")

func encodeSnapshot(ps producers) []byte {
	be := binary.BigEndian
	b := make([]byte, snapshotHead, snapshotHead+4+len(ps)*(snapshotEntry+1))
	be.PutUint16(b, snapshotVersion)
	b = be.AppendUint32(b, uint32(len(ps)))
	ids := slices.Sorted(maps.Keys(ps))
	for _, id := range ids {
		p := ps[id]
		last := p.last()
		b = be.AppendUint64(b, uint64(id))
		b = be.AppendUint16(b, uint16(p.epoch))
		b = be.AppendUint32(b, uint32(last.lastSeq))
		b = be.AppendUint64(b, uint64(last.lastOffset))
		b = be.AppendUint32(b, uint32(last.offsetDelta))
		b = be.AppendUint64(b, uint64(p.seen))
		b = be.AppendUint32(b, uint32(p.coordinator()))
		first := int64(-1)
		if p.open {
			first = p.txnFirst
		}
		b = be.AppendUint64(b, uint64(first))
	}
	b = append(b, snapshotOlder...)
	for _, id := range ids {
		p := ps[id]
		older := p.sent[:max(p.n-1, 0)]
		b = append(b, byte(len(older)))
		for _, s := range older {
			b = be.AppendUint32(b, uint32(s.lastSeq))
			b = be.AppendUint64(b, uint64(s.lastOffset))
			b = be.AppendUint32(b, uint32(s.offsetDelta))
			b = be.AppendUint64(b, uint64(s.timestamp))
		}
	}
	be.PutUint32(b[2:], crc32.Checksum(b[snapshotHead:], castagnoli()))
	return b
}

func decodeSnapshot(b []byte) (producers, error) {
	be := binary.BigEndian
	if len(b) < snapshotHead+4 {
		return nil, fmt.Errorf("%w: %d bytes", errSnapshot, len(b))
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d", errSnapshot, v)
	}
	if sum := crc32.Checksum(b[snapshotHead:], castagnoli()); sum != be.Uint32(b[2:]) {
		return nil, fmt.Errorf("%w: checksum %08x, computed %08x", errSnapshot, be.Uint32(b[2:]), sum)
	}
	n := int64(be.Uint32(b[snapshotHead:]))
	b = b[snapshotHead+4:]
	if n*snapshotEntry > int64(len(b)) {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", errSnapshot, n, len(b))
	}
	ps := make(producers, n)
	ids := make([]int64, 0, n)
	for range n {
		id := int64(be.Uint64(b))
		if _, twice := ps[id]; twice || id < 0 {
			return nil, fmt.Errorf("%w: producer id %d", errSnapshot, id)
		}
		p := producer{epoch: int16(be.Uint16(b[8:])), seen: int64(be.Uint64(b[26:])), marked: int32(be.Uint32(b[34:])) + 1}
		if first := int64(be.Uint64(b[38:])); first >= 0 {
			p.open, p.txnFirst = true, first
		}
		if last := int64(be.Uint64(b[14:])); last >= 0 {
			p.sent[0], p.n = sentBatch{int32(be.Uint32(b[10:])), last, int32(be.Uint32(b[22:])), p.seen}, 1
		}
		ps[id] = p
		ids = append(ids, id)
		b = b[snapshotEntry:]
	}
	if len(b) < len(snapshotOlder) || string(b[:len(snapshotOlder)]) != snapshotOlder {
		return ps, nil // written by Kafka
	}
	return ps, decodeOlder(ps, ids, b[len(snapshotOlder):])
}

func decodeOlder(ps producers, ids []int64, b []byte) error {
	be := binary.BigEndian
	for _, id := range ids {
		if len(b) < 1 || b[0] >= remembered || len(b) < 1+int(b[0])*olderEntry {
			return fmt.Errorf("%w: older batches", errSnapshot)
		}
		n := int8(b[0])
		b = b[1:]
		p := ps[id]
		if p.n == 0 {
			if n > 0 {
				return fmt.Errorf("%w: older batches of a producer without one", errSnapshot)
			}
			continue
		}
		last := p.last()
		for i := range n {
			p.sent[i] = sentBatch{int32(be.Uint32(b)), int64(be.Uint64(b[4:])), int32(be.Uint32(b[12:])), int64(be.Uint64(b[16:]))}
			b = b[olderEntry:]
		}
		p.sent[n], p.n = last, n+1
		ps[id] = p
	}
	return nil
}
