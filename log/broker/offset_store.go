package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/sluicehub/sluice/log/broker/layout"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetsTopic holds the committed offsets in Kafka's own record format: key version 1 (group, topic, partition),
// value version 3 (offset, leader epoch, metadata, commit time) or 1 (offset, metadata, commit time, when it expires), a null
// value for a deleted one. The groups are in it too:
// group_store.go has the records of those of the classic protocol, consumergroup those of the consumer protocol.
const offsetsTopic = "__consumer_offsets"

// committed is one committed offset.
type committed struct {
	offset      int64
	leaderEpoch int32
	metadata    string
	at          int64 // ms since 1970
	expires     int64 // ms since 1970; 0: as the group has it (offset_expiry.go)
	written     int64 // offset of the batch in the offsets topic: of two commits, the later one counts
}

// place is a topic partition.
type place struct {
	topic     string
	partition int32
}

// offsetStore keeps committed offsets: in memory to be read, in the offsets topic to survive. What it returns was
// durable first. It may be used from several goroutines.
type offsetStore struct {
	part  *log.Partition
	waits sync.WaitGroup // of then
	// commits is held for reading from before an offset is written until it is here.
	commits sync.RWMutex

	mu sync.Mutex
	by map[string]map[place]committed // by group
	// pending are the offsets of open transactions, by producer: they count when the transaction is committed.
	pending map[int64]map[groupPlace]committed
	// loaded are the groups as the topic has them, of the consumer and of the classic protocol. The coordinator takes them
	// over.
	loaded        map[string]*consumergroup.Group
	loadedClassic map[string]*kmsg.GroupMetadataValue
}

// groupPlace is a topic partition as seen by a group.
type groupPlace struct {
	group string
	place place
}

// openOffsetStore makes the offsets topic if need be, and reads it.
func openOffsetStore(l *log.Log) (*offsetStore, error) {
	t, err := l.Topic(offsetsTopic)
	if errors.Is(err, log.ErrUnknownTopic) {
		t, err = l.CreateTopic(offsetsTopic, log.TopicID{}, 1, map[string]string{"cleanup.policy": "compact", "compression.type": "producer"})
	}
	if err != nil {
		return nil, err
	}
	s := &offsetStore{by: make(map[string]map[place]committed), pending: make(map[int64]map[groupPlace]committed),
		loaded: make(map[string]*consumergroup.Group), loadedClassic: make(map[string]*kmsg.GroupMetadataValue)}
	if s.part, err = t.Partition(0); err != nil {
		return nil, err
	}
	return s, eachBatch(s.part, s.loadBatch)
}

// eachBatch reads an internal topic to its end.
func eachBatch(part *log.Partition, fn func(h *segment.Header, batch []byte) error) error {
	for offset := part.LogStart(); offset < part.HighWatermark(); {
		res, err := part.Read(offset, log.ReadOptions{MaxBytes: 1 << 20, MinOneBatch: true})
		if err != nil {
			return err
		}
		if len(res.Batches) == 0 {
			return nil
		}
		for b := res.Batches; len(b) > 0; {
			h, batch, err := segment.ParseBatch(b)
			if err != nil {
				return fmt.Errorf("%s at offset %d: %w", part, offset, err)
			}
			if err := fn(&h, batch); err != nil {
				return fmt.Errorf("%s at offset %d: %w", part, h.BaseOffset, err)
			}
			b, offset = b[len(batch):], h.NextOffset()
		}
	}
	return nil
}

func (s *offsetStore) loadBatch(h *segment.Header, batch []byte) error {
	if h.Control() {
		m, ok, err := segment.ParseMarker(h, batch)
		if ok {
			s.decide(h.ProducerID, m.Commit)
		}
		return err
	}
	for rec, err := range segment.Records(h, batch) {
		if err == nil {
			err = s.load(h, &rec)
		}
		if err != nil {
			return fmt.Errorf("record of offset %d: %w", rec.Offset, err)
		}
	}
	return nil
}

var offsetLayout = layout.NewMessage("i64 i32:3+ string i64 i64:1", 4, 4)

func (s *offsetStore) load(h *segment.Header, rec *segment.Record) error {
	if ok, err := consumergroup.Load(s.loaded, consumergroup.Record{Key: rec.Key, Value: rec.Value}); ok {
		return err
	}
	if ok, err := loadGroup(s.loadedClassic, rec.Key, rec.Value); ok {
		return err
	}
	if len(rec.Key) < 2 || rec.Key[0] != 0 || rec.Key[1] > 1 {
		return nil // of a kind that only Kafka's brokers have
	}
	key := kmsg.NewOffsetCommitKey()
	if err := key.ReadFrom(rec.Key); err != nil {
		return fmt.Errorf("key of an offset: %w", err)
	}
	if rec.Value == nil {
		s.drop(key.Group, place{key.Topic, key.Partition}, rec.Offset)
		return nil
	}
	value := kmsg.NewOffsetCommitValue()
	if err := offsetLayout.Decode(&value, rec.Value); err != nil {
		return fmt.Errorf("value of an offset: %w", err)
	}
	if value.Version < 3 {
		value.LeaderEpoch = -1
	}
	c := committed{offset: value.Offset, leaderEpoch: value.LeaderEpoch, metadata: value.Metadata, at: value.CommitTimestamp, written: rec.Offset}
	if value.Version == 1 && value.ExpireTimestamp != -1 {
		c.expires = value.ExpireTimestamp
	}
	if h.Transactional() {
		s.wait(h.ProducerID, groupPlace{key.Group, place{key.Topic, key.Partition}}, c)
	} else {
		s.keep(key.Group, place{key.Topic, key.Partition}, c)
	}
	return nil
}

func (s *offsetStore) keep(group string, p place, c committed) {
	if s.by[group] == nil {
		s.by[group] = make(map[place]committed)
	}
	s.by[group][p] = c
}

// drop deletes an offset, and those that wait for a transaction and were written before.
func (s *offsetStore) drop(group string, p place, before int64) {
	for _, offsets := range s.pending {
		if c, ok := offsets[groupPlace{group, p}]; ok && c.written < before {
			delete(offsets, groupPlace{group, p})
		}
	}
	delete(s.by[group], p)
	if len(s.by[group]) == 0 {
		delete(s.by, group)
	}
}

// commit makes the offsets of a group durable and then visible. A nil value deletes. It is not bound to a connection: what
// is written counts after a restart, so it must count before.
func (s *offsetStore) commit(group string, offsets map[place]*committed) error {
	if len(offsets) == 0 {
		return nil
	}
	s.commits.RLock()
	defer s.commits.RUnlock()
	var b segment.Builder
	addOffsets(&b, group, offsets)
	res, err := s.part.Append(context.Background(), b.Batch(), log.AppendOptions{})
	if err != nil {
		return fmt.Errorf("write to %s: %w", offsetsTopic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, c := range offsets {
		if have, ok := s.by[group][p]; ok && have.written > res.BaseOffset {
			continue // a later commit was seen durable first
		}
		if c == nil {
			s.drop(group, p, res.BaseOffset)
			continue
		}
		c.written = res.BaseOffset
		s.keep(group, p, *c)
	}
	return nil
}

// put writes records of groups. They are durable when the result's Wait returns.
func (s *offsetStore) put(records []consumergroup.Record) (durable, error) {
	var b segment.Builder
	at := time.Now().UnixMilli()
	for _, r := range records {
		b.Add(at, r.Key, r.Value)
	}
	a, err := s.part.Begin(b.Batch(), log.AppendOptions{})
	if err != nil {
		return nil, fmt.Errorf("write to %s: %w", offsetsTopic, err)
	}
	return a, nil
}

// then calls f when d is durable or has failed. It is not bound to a connection: others wait for it too.
func (s *offsetStore) then(d durable, f func(error)) {
	s.waits.Go(func() { f(d.Wait(context.Background())) })
}

// addOffsets adds the records of committed offsets to a batch.
func addOffsets(b *segment.Builder, group string, offsets map[place]*committed) {
	at := time.Now().UnixMilli()
	for p, c := range offsets {
		key := kmsg.NewOffsetCommitKey()
		key.Version, key.Group, key.Topic, key.Partition = 1, group, p.topic, p.partition
		if c == nil {
			b.Add(at, key.AppendTo(nil), nil)
			continue
		}
		c.at = at
		value := kmsg.NewOffsetCommitValue()
		value.Version, value.Offset, value.LeaderEpoch, value.Metadata, value.CommitTimestamp = 3, c.offset, c.leaderEpoch, c.metadata, at
		if c.expires != 0 {
			value.Version, value.ExpireTimestamp = 1, c.expires
		}
		b.Add(at, key.AppendTo(nil), value.AppendTo(nil))
	}
}

// commitLater writes the offsets of a group into the transaction of a producer. They count once that is committed.
func (s *offsetStore) commitLater(group string, producer int64, epoch int16, offsets map[place]*committed) (*log.Pending, error) {
	b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: producer, ProducerEpoch: epoch, BaseSequence: segment.NoSequence}
	s.commits.RLock()
	defer s.commits.RUnlock()
	addOffsets(&b, group, offsets)
	a, err := s.part.Begin(b.Batch(), log.AppendOptions{Unsequenced: true})
	if err != nil {
		return nil, fmt.Errorf("write to %s: %w", offsetsTopic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, c := range offsets {
		c.written = a.Result.BaseOffset
		s.wait(producer, groupPlace{group, p}, *c)
	}
	return a, nil
}

func (s *offsetStore) wait(producer int64, p groupPlace, c committed) {
	if s.pending[producer] == nil {
		s.pending[producer] = make(map[groupPlace]committed)
	}
	s.pending[producer][p] = c
}

// decide ends the transaction of a producer. Of two commits of a partition, the one counts that was written later.
func (s *offsetStore) decide(producer int64, commit bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, c := range s.pending[producer] {
		if have, ok := s.by[p.group][p.place]; commit && (!ok || have.written < c.written) {
			s.keep(p.group, p.place, c)
		}
	}
	delete(s.pending, producer)
}

// unstable tells whether an open transaction has an offset for a place.
func (s *offsetStore) unstable(group string, p place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, offsets := range s.pending {
		if _, ok := offsets[groupPlace{group, p}]; ok {
			return true
		}
	}
	return false
}

// get returns a committed offset.
func (s *offsetStore) get(group string, p place) (committed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.by[group][p]
	return c, ok
}

// places returns where a group has offsets, in order.
func (s *offsetStore) places(group string) []place {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]place, 0, len(s.by[group]))
	for p := range s.by[group] {
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].topic < all[j].topic || all[i].topic == all[j].topic && all[i].partition < all[j].partition
	})
	return all
}

// groups returns the groups that have offsets, or may get some from an open transaction.
func (s *offsetStore) groups() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]bool, len(s.by))
	for g := range s.by {
		all[g] = true
	}
	for _, offsets := range s.pending {
		for p := range offsets {
			all[p.group] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}
