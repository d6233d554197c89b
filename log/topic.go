package log

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
type Topic struct {
	log       *Log
	name      string
	id        TopicID
	config    atomic.Pointer[TopicConfig]
	compacted atomic.Bool // compaction has or may have removed records
	vital     bool        // Options.Vital

	mu    sync.RWMutex
	parts []*Partition
}

// Name of the topic.
func (t *Topic) Name() string { return t.name }

// ID of the topic.
func (t *Topic) ID() TopicID { return t.id }

// Config is the present configuration.
func (t *Topic) Config() *TopicConfig { return t.config.Load() }

// ConfigEntries lists every known config with value and source, sorted by name.
func (t *Topic) ConfigEntries() []ConfigEntry {
	return t.log.configs.Load().entries(t.Config().Values)
}

// Partitions in order of their number.
func (t *Topic) Partitions() []*Partition {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.parts)
}

// Partition by number, or ErrUnknownTopic.
func (t *Topic) Partition(n int32) (*Partition, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n < 0 || int(n) >= len(t.parts) {
		return nil, fmt.Errorf("%w: partition %d of %q", ErrUnknownTopic, n, t.name)
	}
	return t.parts[n], nil
}

func (t *Topic) record() topicRecord {
	return topicRecord{
		Name: t.name, ID: t.id.String(), Partitions: int32(len(t.Partitions())),
		Configs: t.Config().Values, Compacted: t.compacted.Load(),
	}
}

func (l *Log) newTopic(rec topicRecord) (*Topic, error) {
	id, err := ParseTopicID(rec.ID)
	if err != nil {
		return nil, err
	}
	cfg, err := l.configs.Load().parse(rec.Configs)
	if err != nil {
		return nil, err
	}
	t := &Topic{log: l, name: rec.Name, id: id, vital: slices.Contains(l.opts.Vital, rec.Name)}
	t.config.Store(cfg)
	t.compacted.Store(rec.Compacted)
	return t, nil
}

// CheckTopic fails as CreateTopic would, and changes nothing (validate_only).
func (l *Log) CheckTopic(name string, partitions int32, configs map[string]string) error {
	if err := checkTopicName(name); err != nil {
		return err
	}
	if partitions < 1 {
		return fmt.Errorf("%w: %d for topic %q", ErrInvalidPartitions, partitions, name)
	}
	if _, err := l.configs.Load().parse(configs); err != nil {
		return err
	}
	if _, err := l.Topic(name); err == nil {
		return fmt.Errorf("%w: %q", ErrTopicExists, name)
	}
	return l.checkCollision(name)
}

// checkCollision refuses a name that differs from a topic's only by . and _: in the names of metrics, where Kafka
// and its tools write _ for both, they would be one.
func (l *Log) checkCollision(name string) error {
	flat := func(s string) string { return strings.ReplaceAll(s, ".", "_") }
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for have := range l.byName {
		if flat(have) == flat(name) {
			return fmt.Errorf("%w: %q collides with the topic %q: the two differ only by . and _", ErrInvalidTopic, name, have)
		}
	}
	return nil
}

// CheckTopicName fails with ErrInvalidTopic for a name that no topic can have.
func CheckTopicName(name string) error { return checkTopicName(name) }

// checkTopicName follows Kafka's Topic.validate.
func checkTopicName(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "it is empty"
	case name == "." || name == "..":
		reason = "it is a directory's"
	case len(name) > 249:
		reason = "it is longer than 249 characters"
	case strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}):
		reason = "it has characters other than letters, digits, dot, underscore and dash"
	default:
		return nil
	}
	return fmt.Errorf("%w: %q: %s", ErrInvalidTopic, name, reason)
}

// atOnce is how many partitions are made or opened at the same time: more than
// there are processors, because each waits for the disk.
const atOnce = 16
