package log

import "context"

// Partition is one ordered log of record batches.
type Partition struct{}

// Topic the partition belongs to.
func (p *Partition) Topic() *Topic { return nil }

// Number of the partition in its topic.
func (p *Partition) Number() int32 { return 0 }

// Err is nil while the partition takes writes; otherwise why it does not:
// damage found (*DamageError), a failed fsync (ErrStorage), ErrUnknownTopic
// after deletion, ErrClosed.
func (p *Partition) Err() error { return errStub }

// LogStart is the first offset that can be read.
func (p *Partition) LogStart() int64 { return 0 }

// HighWatermark is the first offset that cannot be read yet. Under
// DurabilitySync everything below it is durable.
func (p *Partition) HighWatermark() int64 { return 0 }

// LastStable is the first offset that a reader of committed records cannot
// read yet; the high watermark as long as there are no transactions.
func (p *Partition) LastStable() int64 { return 0 }

// LogEnd is the offset of the next record; records from HighWatermark to
// LogEnd are written but not durable.
func (p *Partition) LogEnd() int64 { return 0 }

// LeaderEpoch is the epoch appends get.
func (p *Partition) LeaderEpoch() int32 { return 0 }

// Epochs lists leader epochs with the offset each began at, in order.
func (p *Partition) Epochs() []EpochStart { return nil }

// EpochStart is a leader epoch and its first offset.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// OffsetForLeaderEpoch answers Kafka's OffsetForLeaderEpoch: the largest epoch
// not above the one asked for, and the offset after its last record (the high
// watermark for the present epoch). ok is false when no such epoch is known or
// the epoch lies in the future.
func (p *Partition) OffsetForLeaderEpoch(epoch int32) (found int32, end int64, ok bool) {
	return 0, 0, false
}

// TimeOffset is an offset found by time.
type TimeOffset struct {
	Offset      int64
	Timestamp   int64 // of the record at Offset, ms since 1970
	LeaderEpoch int32
}

// OffsetForTimestamp finds the first record below the high watermark whose
// timestamp is at least ms. ok is false when there is none.
func (p *Partition) OffsetForTimestamp(ms int64) (at TimeOffset, ok bool, err error) {
	return TimeOffset{}, false, errStub
}

// MaxTimestamp finds the record with the largest timestamp (ListOffsets -3).
// ok is false when the partition is empty.
func (p *Partition) MaxTimestamp() (at TimeOffset, ok bool, err error) {
	return TimeOffset{}, false, errStub
}

// DeleteRecords raises the log start to offset, durably, and deletes segments
// that fell out; -1 means the high watermark. It returns the new log start.
// Above the high watermark it fails with ErrOffsetOutOfRange; an offset below
// the log start changes nothing.
func (p *Partition) DeleteRecords(offset int64) (logStart int64, err error) { return 0, errStub }

// Verify reads the whole partition and checks every batch. The first damage is
// returned as a *DamageError and makes the partition refuse writes.
func (p *Partition) Verify(ctx context.Context) error { return errStub }

// Producers lists the idempotent producers the partition remembers.
func (p *Partition) Producers() []ProducerInfo { return nil }

// ProducerInfo is the sequence state of one producer.
type ProducerInfo struct {
	ProducerID    int64
	Epoch         int16
	LastSequence  int32
	LastOffset    int64
	LastTimestamp int64 // ms since 1970
}
