package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// offsetStore is the topic connect-offsets, or a connector's own. The key of a record is the JSON array of the connector's name and the
// source partition, the value is the source offset, both as the connector wrote them; null removes. The hub never
// looks into either (I6), but for one thing: two source partitions are the same if they are equal as JSON, so that a
// partition which Java wrote with its members in another order is found again.
type offsetStore struct {
	name   string
	client *kgo.Client
	log    *slog.Logger

	mu  sync.Mutex
	all map[string]map[string]*storedOffset // by connector, by canonical partition
}

type storedOffset struct {
	place     topicPartition // of the record
	at        int64
	key       []byte // as it stands in the topic: compaction compares bytes
	partition json.RawMessage
	offset    json.RawMessage
}

func newOffsetStore(topic string, client *kgo.Client, log *slog.Logger) *offsetStore {
	return &offsetStore{name: topic, client: client, log: log, all: map[string]map[string]*storedOffset{}}
}

// canonical returns JSON with its members in alphabetical order and no blanks. Numbers keep their text.
func canonical(raw json.RawMessage) (string, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}

// read takes one record of the topic into memory.
func (s *offsetStore) read(r *kgo.Record) {
	var key []json.RawMessage
	var connector string
	err := json.Unmarshal(r.Key, &key)
	if err == nil && len(key) != 2 {
		err = fmt.Errorf("the key is not an array of a connector and a source partition")
	}
	if err == nil {
		err = json.Unmarshal(key[0], &connector)
	}
	if err == nil {
		err = s.apply(connector, r, key[1])
	}
	if err != nil {
		s.log.Error("a record of the offset topic is not understood and left out", "topic", s.name,
			"partition", r.Partition, "offset", r.Offset, "error", err)
	}
}

// apply takes a record into memory, unless a later one of the same partition is there: the topic is read again while
// tasks go on writing to it.
func (s *offsetStore) apply(connector string, r *kgo.Record, partition json.RawMessage) error {
	id, err := canonical(partition)
	if err != nil {
		return err
	}
	offset := r.Value
	if bytes.Equal(bytes.TrimSpace(offset), []byte("null")) {
		offset = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.all[connector]
	if list == nil {
		list = map[string]*storedOffset{}
		s.all[connector] = list
	}
	place := topicPartition{s.name, r.Partition}
	if was := list[id]; was != nil && was.place == place && was.at > r.Offset {
		return nil
	}
	list[id] = &storedOffset{place: place, at: r.Offset, key: slices.Clone(r.Key), partition: slices.Clone(partition), offset: slices.Clone(offset)}
	return nil
}

// records returns what stands for the offsets in the topic.
func (s *offsetStore) records(connector string, offsets []connectors.SourceOffset) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, len(offsets))
	for i, o := range offsets {
		key, err := s.key(connector, o.Partition)
		if err != nil {
			return nil, fmt.Errorf("source partition %s of connector %s: %w", o.Partition, connector, err)
		}
		records[i] = &kgo.Record{Topic: s.name, Partition: connectors.AnyPartition, Key: key, Value: compact(o.Offset)}
	}
	return records, nil
}

// remember takes offsets into memory whose records, the first ones of the list, are in the topic.
func (s *offsetStore) remember(connector string, offsets []connectors.SourceOffset, records []*kgo.Record) error {
	for i, o := range offsets {
		if err := s.apply(connector, records[i], o.Partition); err != nil {
			return err
		}
	}
	return nil
}

// compact returns JSON without blanks; nil and null are nil, which is a tombstone.
func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if raw == nil || json.Compact(&b, raw) != nil || b.String() == "null" {
		return nil
	}
	return b.Bytes()
}

// key returns the key under which the partition stands in the topic, or will.
func (s *offsetStore) key(connector string, partition json.RawMessage) ([]byte, error) {
	id, err := canonical(partition)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.all[connector][id]; o != nil {
		return o.key, nil
	}
	var b bytes.Buffer
	b.WriteByte('[')
	b.Write(connectors.AppendJSONString(nil, []byte(connector))) // byte for byte as Kafka Connect: compaction compares bytes
	b.WriteByte(',')
	if err := json.Compact(&b, partition); err != nil {
		return nil, err
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}

// each calls do for every source partition of a connector that the topic knows, also for those without an offset.
func (s *offsetStore) each(connector string, do func(id string, at *storedOffset)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range s.all[connector] {
		do(id, at)
	}
}
