package log

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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

// CreateTopic makes a topic and returns when it is durable. A zero id is
// replaced by a random one. Fails with ErrTopicExists, ErrInvalidTopic,
// ErrInvalidPartitions, ErrInvalidConfig.
func (l *Log) CreateTopic(name string, id TopicID, partitions int32, configs map[string]string) (*Topic, error) {
	l.ddl.Lock()
	defer l.ddl.Unlock()
	if err := l.openForDDL(); err != nil {
		return nil, err
	}
	if err := l.CheckTopic(name, partitions, configs); err != nil {
		return nil, err
	}
	if id == (TopicID{}) {
		id = TopicID(randomID())
	}
	t, err := l.newTopic(topicRecord{Name: name, ID: id.String(), Partitions: partitions, Configs: configs})
	if err != nil {
		return nil, err
	}
	if err := l.finishDeletion(name); err != nil {
		return nil, fmt.Errorf("create topic %q: a topic of that name is not gone yet: %w", name, err)
	}
	if err := t.grow(partitions); err != nil {
		return nil, fmt.Errorf("create topic %q: %w", name, err)
	}
	if err := l.saveTopics(append(l.topicRecords(), t.record())); err != nil {
		t.leave(0)
		return nil, fmt.Errorf("create topic %q: %w", name, err)
	}
	l.mu.Lock()
	l.byName[name], l.byID[id] = t, t
	l.mu.Unlock()
	l.topicsVersion.Add(1)
	return t, nil
}

func (l *Log) openForDDL() error {
	select {
	case <-l.closing:
		return ErrClosed
	default:
		return nil
	}
}

// grow makes the folders of partitions up to total. They count only once the
// topics file says so; a crash before that leaves empty folders, which Open
// removes.
func (t *Topic) grow(total int32) error {
	had := int32(len(t.Partitions()))
	made := make([]*Partition, 0, total-had)
	for n := had; n < total; n++ {
		made = append(made, newPartition(t, n))
	}
	for _, p := range made {
		if err := t.log.clearFolder(p.dir); err != nil {
			return storageError("create partition "+p.String(), err)
		}
	}
	err := eachPartition(made, (*Partition).createFiles)
	if err == nil {
		err = t.log.fs.SyncDir(t.log.dir)
	}
	t.setParts(append(t.Partitions(), made...))
	if err != nil {
		return errors.Join(storageError("create partitions", err), t.undoGrow(had))
	}
	return nil
}

// atOnce is how many partitions are made or opened at the same time: more than
// there are processors, because each waits for the disk.
const atOnce = 16

// eachPartition does something with partitions, several at a time.
func eachPartition(parts []*Partition, do func(*Partition) error) error {
	errs := make([]error, len(parts))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, p := range parts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(p); err != nil {
				errs[i] = fmt.Errorf("partition %s: %w", p, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (t *Topic) setParts(parts []*Partition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.parts = parts
}

// leave lets go of partitions from number keep on, of which the topics file may
// say that they are there: it was replaced, and its directory not synced. Their
// empty folders stay; a start that does not find them named removes them.
func (t *Topic) leave(keep int32) {
	parts := t.Partitions()
	t.setParts(parts[:keep])
	for _, p := range parts[keep:] {
		p.stop(fmt.Errorf("%w: %s was not created", ErrUnknownTopic, p))
	}
}

// stop ends the partition and leaves its folder.
func (p *Partition) stop(why error) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.shut(why)
}

// undoGrow removes partitions from number keep on.
func (t *Topic) undoGrow(keep int32) error {
	parts := t.Partitions()
	t.setParts(parts[:keep])
	var errs []error
	for _, p := range parts[keep:] {
		errs = append(errs, p.destroy())
	}
	return errors.Join(errs...)
}

// destroy ends the partition and deletes its folder.
func (p *Partition) destroy() error {
	p.stop(fmt.Errorf("%w: %s was deleted", ErrUnknownTopic, p))
	return p.log.removeFolder(p.dir)
}

// DeleteTopic deletes a topic and its files. Once it returned nil, the topic
// does not come back. Waiters on its partitions are woken; their reads and
// appends fail with ErrUnknownTopic.
func (l *Log) DeleteTopic(name string) error {
	l.ddl.Lock()
	defer l.ddl.Unlock()
	if err := l.openForDDL(); err != nil {
		return err
	}
	t, err := l.Topic(name)
	if err != nil {
		return err
	}
	records := l.topicRecords()
	i := slices.IndexFunc(records, func(r topicRecord) bool { return r.Name == name })
	records[i].Deleting = true
	if err := l.saveTopics(records); err != nil {
		return fmt.Errorf("delete topic %q: %w", name, err)
	}
	l.mu.Lock()
	delete(l.byName, name)
	delete(l.byID, t.id)
	l.mu.Unlock()
	l.topicsVersion.Add(1)
	for _, p := range t.Partitions() {
		s := p.Stats()
		l.goneRecords.Add(s.AppendedRecords)
		l.goneAppended.Add(s.AppendedBytes)
		l.goneReadBytes.Add(s.ReadBytes)
		p.stop(fmt.Errorf("%w: %s was deleted", ErrUnknownTopic, p))
	}
	l.unfinished = append(l.unfinished, records[i])
	if err := l.finishDeletion(name); err != nil {
		// The decision is durable; Open removes what is left.
		l.logger.Error("files of a deleted topic are left until the next start", slog.String("topic", name), slog.Any("error", err))
	}
	return nil
}

// finishDeletion removes the files of deleted topics with a name. They stay in
// the topics file, as being deleted, until nothing can come back: neither their
// folders nor their log starts, which a new topic of the name would take over.
// Call with ddl.
func (l *Log) finishDeletion(name string) error {
	is := func(r topicRecord) bool { return r.Name == name }
	if !slices.ContainsFunc(l.unfinished, is) {
		return nil
	}
	for _, r := range l.unfinished {
		for n := range r.Partitions {
			if !is(r) {
				break
			}
			if err := l.removeFolder(l.partitionDir(name, n)); err != nil {
				return storageError("remove "+name, err)
			}
		}
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return storageError("remove "+name, err)
	}
	if err := l.saveLogStarts(); err != nil {
		return storageError("save log starts", err)
	}
	left := slices.DeleteFunc(slices.Clone(l.unfinished), is)
	if err := l.saveTopics(append(l.liveRecords(), left...)); err != nil {
		return err
	}
	l.unfinished = left
	return nil
}

// CreatePartitions raises the number of partitions to total.
func (l *Log) CreatePartitions(name string, total int32) error {
	l.ddl.Lock()
	defer l.ddl.Unlock()
	if err := l.openForDDL(); err != nil {
		return err
	}
	t, err := l.Topic(name)
	if err != nil {
		return err
	}
	had := int32(len(t.Partitions()))
	if total <= had {
		return fmt.Errorf("%w: topic %q has %d, asked for %d", ErrInvalidPartitions, name, had, total)
	}
	if err := t.grow(total); err != nil {
		return fmt.Errorf("create partitions of %q: %w", name, err)
	}
	if err := l.saveTopics(l.topicRecords()); err != nil {
		t.leave(had)
		return fmt.Errorf("create partitions of %q: %w", name, err)
	}
	l.topicsVersion.Add(1)
	return nil
}

// AlterTopicConfig applies changes in order, all or none, durably. With
// validateOnly it only checks.
func (l *Log) AlterTopicConfig(name string, changes []ConfigChange, validateOnly bool) error {
	return l.alter(name, validateOnly, func(now map[string]string) (map[string]string, error) {
		return l.configs.Load().apply(now, changes)
	})
}

// ReplaceTopicConfig replaces everything the topic sets itself (Kafka's old
// AlterConfigs).
func (l *Log) ReplaceTopicConfig(name string, configs map[string]string, validateOnly bool) error {
	return l.alter(name, validateOnly, func(map[string]string) (map[string]string, error) {
		return maps.Clone(configs), nil
	})
}

func (l *Log) alter(name string, validateOnly bool, change func(map[string]string) (map[string]string, error)) error {
	l.ddl.Lock()
	defer l.ddl.Unlock()
	if err := l.openForDDL(); err != nil {
		return err
	}
	t, err := l.Topic(name)
	if err != nil {
		return err
	}
	before := t.Config()
	values, err := change(before.Values)
	if err != nil {
		return err
	}
	cfg, err := l.configs.Load().parse(values)
	if err != nil || validateOnly {
		return err
	}
	t.config.Store(cfg)
	if err := l.saveTopics(l.topicRecords()); err != nil {
		t.config.Store(before)
		return fmt.Errorf("alter configs of %q: %w", name, err)
	}
	return nil
}
