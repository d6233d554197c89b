package schemaregistry

import (
	"cmp"
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// census remembers which schemas the records of topics carry, and how far each partition has been looked at. It begins
// with the newest records of a partition and goes on from there each time it is asked, by so much that who asks does not
// wait for long.
type census struct {
	mu     sync.Mutex // held while somebody looks
	topics map[string]*topicCensus
	read   int64 // records, altogether
}

const (
	// censusRecords is how many offsets of a partition are looked at when it is first seen.
	censusRecords = 10_000
	// censusBytes and censusTime are what one look at all topics may take; censusQuiet is how long it waits for more.
	// The last offsets of a partition may have no records; it cannot be told from a slow broker, so it is tried each time.
	censusBytes = 32 << 20
	censusTime  = 2 * time.Second
	censusQuiet = 500 * time.Millisecond
)

type topicCensus struct {
	id    kadm.TopicID
	parts map[int32]*partCensus
}

type partCensus struct {
	next, end int64
	seen      map[mark]sighting // the last one of each: when that is not there any more, none is
}

// mark is what a record says about its schema, in its key or its value: the id of Confluent's first wire format, or the
// guid of the second, which is in a header.
//
//	byte 0 | id int32 | data        the key or value
//	byte 1 | guid 16 bytes          the header __key_schema_id or __value_schema_id
type mark struct {
	key  bool
	id   int32
	guid hash
}

// sighting is the newest record that was seen with a mark.
type sighting struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Time      int64 `json:"timestamp"` // milliseconds since the epoch
}

// newer reports whether of two records s is the newer one. Those of one time have an order, too, so that answers do not
// change from one to the next.
func (s sighting) newer(than sighting) bool {
	return cmp.Or(cmp.Compare(s.Time, than.Time), cmp.Compare(s.Partition, than.Partition)) > 0
}

// marks calls do with all marks of a record.
func marks(r *kgo.Record, do func(mark)) {
	for i, data := range [][]byte{r.Key, r.Value} {
		if len(data) >= 5 && data[0] == 0 {
			do(mark{key: i == 0, id: int32(binary.BigEndian.Uint32(data[1:]))})
		}
	}
	for _, h := range r.Headers {
		if key := h.Key == "__key_schema_id"; (key || h.Key == "__value_schema_id") && len(h.Value) > len(hash{}) && h.Value[0] == 1 {
			do(mark{key: key, guid: hash(h.Value[1 : 1+len(hash{})])})
		}
	}
}

// looked is what a look has brought.
type looked struct {
	topics       map[string]map[mark]sighting // all there are, with the newest records of what is wanted
	read, behind int64                        // how many records have been looked at so far, and how many are still to be
}

// look goes on with the census. Marks of schemas that are not known are passed over: they are chance.
func (s *census) look(ctx context.Context, admin *kadm.Client, kafka []kgo.Opt, known func(mark) bool, wanted []mark) (*looked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := s.prepare(ctx, admin)
	for kerr.IsRetriable(err) && wait(ctx, retryDelay) == nil { // a topic that has just been created or deleted
		err = s.prepare(ctx, admin)
	}
	if err != nil {
		return nil, err
	}
	if err := s.readOn(ctx, kafka, known); err != nil {
		return nil, err
	}
	l := &looked{topics: make(map[string]map[mark]sighting), read: s.read}
	for name, topic := range s.topics {
		found := make(map[mark]sighting)
		for _, p := range topic.parts {
			l.behind += p.end - p.next
			for _, m := range wanted {
				at, ok := p.seen[m]
				if other, there := found[m]; ok && (!there || at.newer(other)) {
					found[m] = at
				}
			}
		}
		l.topics[name] = found
	}
	return l, nil
}

// prepare brings the list of partitions and their ends up to date, and forgets what is not there any more.
func (s *census) prepare(ctx context.Context, admin *kadm.Client) error {
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	names := topics.Names()
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return err
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return err
	}
	before := s.topics
	s.topics = make(map[string]*topicCensus)
	for name, detail := range topics {
		t := before[name]
		if t == nil || t.id != detail.ID {
			t = &topicCensus{id: detail.ID, parts: make(map[int32]*partCensus)}
		}
		s.topics[name] = t
		ends.Each(func(end kadm.ListedOffset) {
			start, ok := starts.Lookup(name, end.Partition)
			if end.Topic != name || end.Err != nil || !ok || start.Err != nil {
				return
			}
			p := t.parts[end.Partition]
			if p == nil {
				p = &partCensus{next: end.Offset - censusRecords, seen: make(map[mark]sighting)}
				t.parts[end.Partition] = p
			}
			p.next, p.end = min(max(p.next, start.Offset), end.Offset), end.Offset
			for m, at := range p.seen {
				// What retention removed carries nothing, nor what a new leader has not got.
				if at.Offset < start.Offset || at.Offset >= end.Offset {
					delete(p.seen, m)
				}
			}
		})
	}
	return nil
}

// places are partitions and where to read on in them.
type places = map[string]map[int32]kgo.Offset

// unread returns the partitions that have not been read to their ends.
func (s *census) unread() places {
	from := make(places)
	for name, t := range s.topics {
		for n, p := range t.parts {
			if p.next < p.end {
				if from[name] == nil {
					from[name] = make(map[int32]kgo.Offset)
				}
				from[name][n] = kgo.NewOffset().At(p.next)
			}
		}
	}
	return from
}

// readOn reads on in all partitions until their ends, or as far as one look may go.
func (s *census) readOn(ctx context.Context, kafka []kgo.Opt, known func(mark) bool) error {
	from := s.unread()
	if len(from) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(kafka[:len(kafka):len(kafka)], kgo.ConsumePartitions(from), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.FetchMaxBytes(4<<20), kgo.FetchMaxPartitionBytes(256<<10), kgo.KeepControlRecords())...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, censusTime)
	defer cancel()
	for bytes := 0; len(from) > 0 && bytes < censusBytes && ctx.Err() == nil; s.finish(client, from) {
		quiet, stop := context.WithTimeout(ctx, censusQuiet)
		fetches := client.PollFetches(quiet)
		stop()
		if fetches.NumRecords() == 0 && quiet.Err() != nil {
			break
		}
		fetches.EachError(func(topic string, n int32, _ error) { // which this registry may not read, perhaps
			delete(from[topic], n)
		})
		fetches.EachRecord(func(r *kgo.Record) {
			bytes += len(r.Key) + len(r.Value)
			s.take(r, known)
		})
	}
	return nil
}

// take takes in one record.
func (s *census) take(r *kgo.Record, known func(mark) bool) {
	p := s.topics[r.Topic].parts[r.Partition]
	if r.Offset < p.next || r.Offset >= p.end {
		return
	}
	p.next = r.Offset + 1
	s.read++
	if r.Attrs.IsControl() {
		return
	}
	marks(r, func(m mark) {
		if known(m) {
			p.seen[m] = sighting{r.Partition, r.Offset, r.Timestamp.UnixMilli()}
		}
	})
}

// finish takes the partitions away that have been read to their ends.
func (s *census) finish(client *kgo.Client, from places) {
	done := make(map[string][]int32)
	for name := range from {
		for n := range from[name] {
			if p := s.topics[name].parts[n]; p.next >= p.end {
				done[name] = append(done[name], n)
				delete(from[name], n)
			}
		}
		if len(from[name]) == 0 {
			delete(from, name)
		}
	}
	client.PauseFetchPartitions(done)
}
