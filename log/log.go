package log

import (
	"context"
	"errors"
)

var errStub = errors.ErrUnsupported

// Log is a data directory with its topics.
type Log struct{}

// Open opens or creates the data directory, locks it, recovers every partition
// and starts the background work. The second opener of a directory gets an
// ErrLocked that names the directory and, if known, the process that has it.
// Damage in a partition is no error here: that partition refuses writes and
// its Err tells why. Close releases everything.
func Open(o Options) (*Log, error) { return nil, errStub }

// Close ends the background work, lets running appends finish, syncs, and
// releases the lock. Appends and reads after it fail with ErrClosed, waiters
// are woken.
func (l *Log) Close() error { return errStub }

// ClusterID is the id of this log as Kafka's clients know it: made at the first
// Open, kept in meta.properties.
func (l *Log) ClusterID() string { return "" }

// LeaderEpoch is the leader epoch of every partition. It rises with each Open.
func (l *Log) LeaderEpoch() int32 { return 0 }

// CreateTopic makes a topic and returns when it is durable. A zero id is
// replaced by a random one. Fails with ErrTopicExists, ErrInvalidTopic,
// ErrInvalidPartitions, ErrInvalidConfig.
func (l *Log) CreateTopic(name string, id TopicID, partitions int32, configs map[string]string) (*Topic, error) {
	return nil, errStub
}

// CheckTopic fails as CreateTopic would, and changes nothing (validate_only).
func (l *Log) CheckTopic(name string, partitions int32, configs map[string]string) error {
	return errStub
}

// DeleteTopic deletes a topic and its files. Once it returned nil, the topic
// does not come back. Waiters on its partitions are woken; their reads and
// appends fail with ErrUnknownTopic.
func (l *Log) DeleteTopic(name string) error { return errStub }

// CreatePartitions raises the number of partitions to total.
func (l *Log) CreatePartitions(name string, total int32) error { return errStub }

// AlterTopicConfig applies changes in order, all or none, durably. With
// validateOnly it only checks.
func (l *Log) AlterTopicConfig(name string, changes []ConfigChange, validateOnly bool) error {
	return errStub
}

// ReplaceTopicConfig replaces everything the topic sets itself (Kafka's old
// AlterConfigs).
func (l *Log) ReplaceTopicConfig(name string, configs map[string]string, validateOnly bool) error {
	return errStub
}

// Topic finds a topic by name, or fails with ErrUnknownTopic.
func (l *Log) Topic(name string) (*Topic, error) { return nil, errStub }

// TopicByID finds a topic by id, or fails with ErrUnknownTopic.
func (l *Log) TopicByID(id TopicID) (*Topic, error) { return nil, errStub }

// Topics lists the topics by name.
func (l *Log) Topics() []*Topic { return nil }

// Partition finds a partition, or fails with ErrUnknownTopic.
func (l *Log) Partition(topic string, partition int32) (*Partition, error) { return nil, errStub }

// NextProducerID returns a producer id that no producer of this log was given
// before, over restarts and crashes too.
func (l *Log) NextProducerID() (int64, error) { return 0, errStub }

// ApplyRetention applies retention to all partitions now.
func (l *Log) ApplyRetention(ctx context.Context) error { return errStub }

// Compact compacts every partition of compacted topics that is due now.
func (l *Log) Compact(ctx context.Context) error { return errStub }

// Stats sums up all partitions.
func (l *Log) Stats() Stats { return Stats{} }
