package elasticsearch

import (
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

// operation is one operation of a bulk request.
type operation struct {
	start, end int    // its lines in the request's body
	doc        uint64 // hash of index and document id
	offset     int64
	part       int // index into the bulk's parts
}

// part is a topic partition with records in a bulk.
type part struct {
	connectors.TopicPartition
	// first is the lowest offset in this bulk: as long as it is not settled, the partition's position is not beyond it.
	first int64
}

// bulk is a request in the making or under way. It belongs to one lane.
type bulk struct {
	body  []byte
	ops   []operation
	parts []part
	last  int // index of the part that an operation was added to last
}

// add appends an operation.
func (b *bulk) add(lines []byte, doc uint64, at connectors.TopicPartition, offset int64) {
	start := len(b.body)
	b.body = append(b.body, lines...)
	b.ops = append(b.ops, operation{start, len(b.body), doc, offset, b.partOf(at, offset)})
}

// partOf returns the index of a partition among the parts. Records come in runs of one partition, so it is mostly the
// last one.
func (b *bulk) partOf(at connectors.TopicPartition, offset int64) int {
	if b.last >= len(b.parts) || b.parts[b.last].TopicPartition != at {
		b.last = slices.IndexFunc(b.parts, func(p part) bool { return p.TopicPartition == at })
		if b.last < 0 {
			b.last = len(b.parts)
			b.parts = append(b.parts, part{at, offset})
		}
	}
	p := &b.parts[b.last]
	p.first = min(p.first, offset)
	return b.last
}

// ref names the record of an operation.
func (b *bulk) ref(op operation) connectors.RecordRef {
	return connectors.RecordRef{TopicPartition: b.parts[op.part].TopicPartition, Offset: op.offset}
}

// maxKept bounds the memory of a bulk that is kept for the next one, after a document that was far larger.
const maxKept = 16 << 20

func (b *bulk) reset() {
	if cap(b.body) > maxKept {
		b.body = nil
	}
	b.body, b.ops, b.parts, b.last = b.body[:0], b.ops[:0], b.parts[:0], 0
}

// keep leaves only those of the operations in the request that are named, by index in ascending order. The parts stay.
func (b *bulk) keep(indices []int) {
	body, ops := b.body[:0], b.ops[:0]
	for _, i := range indices {
		op := b.ops[i]
		start := len(body)
		body = append(body, b.body[op.start:op.end]...) // moves towards the front only
		op.start, op.end = start, len(body)
		ops = append(ops, op)
	}
	b.body, b.ops = body, ops
}

// without takes out the operations of partitions that were closed.
func (b *bulk) without(closed []connectors.TopicPartition) {
	var indices []int
	for i, op := range b.ops {
		if !slices.Contains(closed, b.parts[op.part].TopicPartition) {
			indices = append(indices, i)
		}
	}
	if len(indices) < len(b.ops) {
		b.keep(indices)
	}
}

// halves returns the operations as two bulks.
func (b *bulk) halves() [2]*bulk {
	var two [2]*bulk
	middle := len(b.ops) / 2
	for i, ops := range [2][]operation{b.ops[:middle], b.ops[middle:]} {
		two[i] = &bulk{}
		for _, op := range ops {
			two[i].add(b.body[op.start:op.end], op.doc, b.parts[op.part].TopicPartition, op.offset)
		}
	}
	return two
}
