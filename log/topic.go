package log

import (
	"encoding/base64"
	"fmt"
)

// TopicID is the UUID of a topic. A topic made again under the same name has
// another one.
type TopicID [16]byte

// String is the id as Kafka prints it: URL-safe base64 without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseTopicID reads what String prints.
func ParseTopicID(s string) (TopicID, error) {
	var id TopicID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("topic id %q is not 16 bytes in base64", s)
	}
	return TopicID(b), nil
}

// Topic is one topic. It stays usable as a value after it was deleted, but its
// partitions then fail with ErrUnknownTopic.
type Topic struct{}

// Name of the topic.
func (t *Topic) Name() string { return "" }

// ID of the topic.
func (t *Topic) ID() TopicID { return TopicID{} }

// Config is the present configuration.
func (t *Topic) Config() *TopicConfig { return nil }

// ConfigEntries lists every known config with value and source, sorted by name.
func (t *Topic) ConfigEntries() []ConfigEntry { return nil }

// Partitions in order of their number.
func (t *Topic) Partitions() []*Partition { return nil }

// Partition by number, or ErrUnknownTopic.
func (t *Topic) Partition(n int32) (*Partition, error) { return nil, errStub }
