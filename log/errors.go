package log

import (
	"errors"
	"fmt"
)

// The errors of this package. Every error returned wraps one of them, or is an
// error of the file system; ask with errors.Is. The comment names the Kafka
// error code a broker answers.
var (
	// ErrClosed: the log is closed or closing (NOT_LEADER_OR_FOLLOWER 6).
	ErrClosed = errors.New("log is closed")
	// ErrLocked: another process, or another Log in this one, has the directory.
	ErrLocked = errors.New("data directory is in use")
	// ErrStorage: the partition's files cannot be trusted or written
	// (KAFKA_STORAGE_ERROR 56).
	ErrStorage = errors.New("storage error")
	// ErrNoSpace: the disk is full. The append left nothing behind and may be
	// tried again. It is an ErrStorage too (KAFKA_STORAGE_ERROR 56).
	ErrNoSpace = fmt.Errorf("%w: no space left on device", ErrStorage)

	// ErrUnknownTopic: no such topic or partition (UNKNOWN_TOPIC_OR_PARTITION 3,
	// UNKNOWN_TOPIC_ID 100).
	ErrUnknownTopic = errors.New("unknown topic or partition")
	// ErrTopicExists: (TOPIC_ALREADY_EXISTS 36).
	ErrTopicExists = errors.New("topic already exists")
	// ErrInvalidTopic: the name cannot be a topic's (INVALID_TOPIC_EXCEPTION 17).
	ErrInvalidTopic = errors.New("invalid topic name")
	// ErrInvalidPartitions: the partition count is not positive, or not larger
	// than the present one (INVALID_PARTITIONS 37).
	ErrInvalidPartitions = errors.New("invalid number of partitions")
	// ErrInvalidConfig: unknown config name or a value out of range
	// (INVALID_CONFIG 40). errors.As finds the *ConfigError.
	ErrInvalidConfig = errors.New("invalid topic config")

	// ErrOffsetOutOfRange: below the log start or above the high watermark
	// (OFFSET_OUT_OF_RANGE 1). errors.As finds the *OffsetError.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCorruptBatch: length, magic or checksum are wrong (CORRUPT_MESSAGE 2).
	ErrCorruptBatch = errors.New("corrupt record batch")
	// ErrUnsupportedFormat: a message set older than v2
	// (UNSUPPORTED_FOR_MESSAGE_FORMAT 43).
	ErrUnsupportedFormat = errors.New("unsupported message format")
	// ErrInvalidRecord: the batch is well formed but breaks a rule: counts,
	// control bit, key missing on a compacted topic (INVALID_RECORD 87).
	// errors.As finds the RecordErrors when records are to blame.
	ErrInvalidRecord = errors.New("invalid record")
	// ErrInvalidTimestamp: outside message.timestamp.{before,after}.max.ms
	// (INVALID_TIMESTAMP 32).
	ErrInvalidTimestamp = errors.New("invalid timestamp")
	// ErrMessageTooLarge: larger than max.message.bytes (MESSAGE_TOO_LARGE 10).
	ErrMessageTooLarge = errors.New("record batch too large")
	// ErrOutOfOrderSequence: a gap in a producer's sequence numbers
	// (OUT_OF_ORDER_SEQUENCE_NUMBER 45).
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrInvalidProducerEpoch: older than the newest one seen
	// (INVALID_PRODUCER_EPOCH 47).
	ErrInvalidProducerEpoch = errors.New("invalid producer epoch")
	// ErrInvalidTxnState: a batch outside of the producer's open transaction
	// (INVALID_TXN_STATE 48).
	ErrInvalidTxnState = errors.New("invalid transaction state")
	// ErrCoordinatorFenced: a marker of a transaction coordinator that another
	// one has replaced (TRANSACTION_COORDINATOR_FENCED 52).
	ErrCoordinatorFenced = errors.New("transaction coordinator is fenced")
)

// ConfigError names a topic config that was refused.
type ConfigError struct {
	Name   string // as given
	Value  string
	Reason string // what is wrong and what would be right
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%v: %s=%q: %s", ErrInvalidConfig, e.Name, e.Value, e.Reason)
}

// Unwrap makes the error an ErrInvalidConfig.
func (e *ConfigError) Unwrap() error { return ErrInvalidConfig }

// OffsetError tells which offsets would have been right.
type OffsetError struct {
	Offset        int64 // asked for
	LogStart      int64 // first offset that can be read
	HighWatermark int64 // first offset that cannot
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("%v: %d, the partition holds %d to %d", ErrOffsetOutOfRange, e.Offset, e.LogStart, e.HighWatermark)
}

// Unwrap makes the error an ErrOffsetOutOfRange.
func (e *OffsetError) Unwrap() error { return ErrOffsetOutOfRange }

// RecordError blames one record of a batch.
type RecordError struct {
	Index  int // in the batch, from 0
	Reason string
	Kind   error // ErrInvalidRecord or ErrInvalidTimestamp
}

// RecordErrors blames records of one batch, in order: at least one, at most
// maxBlamed. Clients tell those who sent the others that they may try again.
type RecordErrors []RecordError

// maxBlamed bounds what a batch of many small records takes in memory and in
// the answer.
const maxBlamed = 10_000

func (e *RecordErrors) blame(i int, kind error, reason string) {
	if len(*e) < maxBlamed {
		*e = append(*e, RecordError{i, reason, kind})
	}
}

func (e RecordErrors) Error() string {
	more := ""
	if len(e) > 1 {
		more = fmt.Sprintf(", and %d more", len(e)-1)
	}
	return fmt.Sprintf("%v: record %d of the batch: %s%s", e.Unwrap(), e[0].Index, e[0].Reason, more)
}

// Unwrap is ErrInvalidTimestamp if one of them is, as Kafka has it.
func (e RecordErrors) Unwrap() error {
	for _, r := range e {
		if r.Kind == ErrInvalidTimestamp {
			return ErrInvalidTimestamp
		}
	}
	return ErrInvalidRecord
}

// DamageError describes bytes of a segment that are not a record batch while
// good batches follow, or that a checksum contradicts. It is an ErrStorage.
type DamageError struct {
	Path     string // of the segment file
	From, To int64  // byte range [From, To); To is the next good batch or the end of the file
	Offset   int64  // first offset that cannot be read
	Reason   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%v: %s: bytes %d to %d are damaged (%s): offsets from %d on cannot be read and the partition takes no writes; restore the file from a copy, stop and run 'sluice log repair', or delete the topic",
		ErrStorage, e.Path, e.From, e.To, e.Reason, e.Offset)
}

// Unwrap makes the error an ErrStorage.
func (e *DamageError) Unwrap() error { return ErrStorage }
