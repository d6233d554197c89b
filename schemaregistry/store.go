package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// store is the topic: it reads all of it into the state for as long as it is open, and writes to it while it has the
// right to. A write returns when the reader has taken it in, so what was written can be read (from this node).
type store struct {
	client  *kgo.Client
	topic   string
	log     *slog.Logger
	timeout time.Duration

	mu    sync.RWMutex
	state *state
	next  int64         // the offset that the reader is at
	moved chan struct{} // closed and replaced when next moves
	ill   error         // why the last attempt to read failed; nil: it did not

	self            peer
	transactionalID string
	writing         sync.Mutex // held while this node writes; it guards the next two
	held            *claim     // nil: somebody else may write
	leader          *topicLeader

	following rounds

	stop context.CancelFunc
	done chan struct{} // closed when the reader has ended
}

// openStore creates the topic if it is not there, and returns when everything in it has been read.
func openStore(ctx context.Context, opts Options) (*store, error) {
	if err := prepare(ctx, opts); err != nil {
		return nil, fmt.Errorf("schema registry: topic %s: %w", opts.Topic, err)
	}
	client, err := kgo.NewClient(append(opts.Kafka[:len(opts.Kafka):len(opts.Kafka)],
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{opts.Topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.KeepControlRecords(), // they move the offset, too
		kgo.MetadataMinAge(100*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: Kafka client: %w", err)
	}
	s := &store{client: client, topic: opts.Topic, log: opts.Logger, timeout: opts.Timeout,
		state: newState(), moved: make(chan struct{}), done: make(chan struct{}),
		self: newPeer(opts), transactionalID: opts.Group + "." + opts.Topic}
	readerCtx, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.read(readerCtx)
	if err := s.catchUp(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("schema registry: reading topic %s: %w", s.topic, err)
	}
	return s, nil
}

func (s *store) close() {
	s.stop()
	<-s.done
	s.following.end()
	s.client.Close()
}

// prepare creates the topic, or checks that the one there keeps its records. It has a client of its own: one that
// consumes a topic before it exists takes a second to find out that it does.
func prepare(ctx context.Context, opts Options) error {
	client, err := kgo.NewClient(opts.Kafka...)
	if err != nil {
		return fmt.Errorf("make the Kafka client: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx, opts.Topic)
	if err == nil {
		err = topics[opts.Topic].Err
	}
	compact := "compact"
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		_, err = admin.CreateTopic(ctx, 1, opts.Replication, map[string]*string{"cleanup.policy": &compact}, opts.Topic)
		if err == nil {
			return nil
		}
		if errors.Is(err, kerr.TopicAlreadyExists) { // another node was quicker; brokers know of the topic in a moment
			for topics, err = admin.ListTopics(ctx, opts.Topic); err == nil && len(topics[opts.Topic].Partitions) == 0; {
				if err = wait(ctx, retryDelay); err == nil {
					topics, err = admin.ListTopics(ctx, opts.Topic)
				}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("finding or creating it: %w", err)
	}
	if n := len(topics[opts.Topic].Partitions); n != 1 {
		return fmt.Errorf("it has %d partitions, but the order of all records matters: it must have one", n)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, opts.Topic)
	if err != nil {
		return fmt.Errorf("asking for its configuration: %w", err)
	}
	for _, c := range configs {
		for _, e := range c.Configs {
			if e.Key == "cleanup.policy" && e.Value != nil && *e.Value != compact {
				return fmt.Errorf("its cleanup.policy is %s, which loses schemas: set it to compact", *e.Value)
			}
		}
	}
	return nil
}

// read takes in records until ctx ends.
func (s *store) read(ctx context.Context) {
	defer close(s.done)
	for {
		fetches := s.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachError(func(topic string, _ int32, err error) {
			s.log.Warn("schema registry cannot read its topic, and tries again", "topic", topic, "err", err)
		})
		s.mu.Lock()
		s.ill = fetches.Err()
		before := s.next
		fetches.EachRecord(s.take)
		if s.next != before {
			close(s.moved)
			s.moved = make(chan struct{})
		}
		s.mu.Unlock()
	}
}

// take applies one record; a bad one is named in the log and passed over, because nothing else could be done with it.
func (s *store) take(r *kgo.Record) {
	s.next = r.Offset + 1
	if r.Attrs.IsControl() {
		return
	}
	for _, h := range r.Headers {
		if h.Key == writerHeader {
			s.state.writer = parsePeer(h.Value)
		}
		name, ok := strings.CutPrefix(h.Key, maxIDHeader)
		if id, err := strconv.Atoi(string(h.Value)); ok && err == nil {
			s.state.gave(contextOf(name), id)
		}
	}
	if err := s.state.apply(r.Key, r.Value, r.Timestamp.UnixMilli()); err != nil {
		s.log.Error("schema registry passes over a record", "topic", r.Topic, "offset", r.Offset, "err", err)
	}
}

// reached waits until the reader has taken in everything below offset.
func (s *store) reached(ctx context.Context, offset int64) error {
	for {
		s.mu.RLock()
		next, moved := s.next, s.moved
		s.mu.RUnlock()
		if next >= offset {
			return nil
		}
		select {
		case <-moved:
		case <-s.done:
			return errClosed
		case <-ctx.Done():
			return fmt.Errorf("offset %d of %d has been read: %w", next, offset, context.Cause(ctx))
		}
	}
}

// catchUp waits until the reader has taken in everything that is in the topic now.
func (s *store) catchUp(ctx context.Context) error {
	end, err := s.end(ctx)
	for err != nil && (errors.Is(err, errNoAnswer) || kerr.IsRetriable(err)) {
		// A topic that has just been created, or a partition whose leader has just moved.
		s.client.ForceMetadataRefresh()
		if wait(ctx, retryDelay) != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		end, err = s.end(ctx)
	}
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	if err := s.reached(soon, end); err == nil || soon.Err() == nil || ctx.Err() != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.claim(ctx)
}

// stall is how long the end of the topic may not be read before it is claimed, which writes a record behind it. The
// last offsets may have no record: compaction or a transaction left none, or a damaged disk took them.
const stall = 2 * time.Second

const retryDelay = 50 * time.Millisecond

var (
	errNoAnswer = errors.New("no answer for partition 0")
	errClosed   = errors.New("the registry is closed")
)

// end returns the offset behind the last record.
func (s *store) end(ctx context.Context) (int64, error) {
	ask := kmsg.NewPtrListOffsetsRequest()
	topic, partition := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp = -1 // the end
	topic.Topic, topic.Partitions = s.topic, append(topic.Partitions, partition)
	ask.ReplicaID, ask.Topics = -1, append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, s.client)
	switch {
	case err != nil:
	case len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1:
		err = errNoAnswer
	default:
		p := answer.Topics[0].Partitions[0]
		if err = kerr.ErrorForCode(p.ErrorCode); err == nil {
			return p.Offset, nil
		}
	}
	return 0, fmt.Errorf("asking for the end of the topic: %w", err)
}

// noop returns a record that keeps the highest ids, and says who writes. It has a value: compaction removes a record
// without one after a day (delete.retention.ms), and with it what its headers say.
func (s *state) noop(writer peer) *kgo.Record {
	r := &kgo.Record{Key: keyOfNoop(), Value: []byte("{}"), Headers: []kgo.RecordHeader{{Key: writerHeader, Value: writer.header()}}}
	for _, name := range slices.Sorted(maps.Keys(s.maxIDs)) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: maxIDHeader + joinSubject(name, ""), Value: strconv.AppendInt(nil, int64(s.maxIDs[name]), 10)})
	}
	return r
}
