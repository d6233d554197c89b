package log

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

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
	p.startMu.Lock()
	defer p.startMu.Unlock()
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
		if !is(r) {
			continue
		}
		for n := range r.Partitions {
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
