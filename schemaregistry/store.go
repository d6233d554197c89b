package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
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

// store is the topic: it reads all of it into the state for as long as it is open, and writes to it. A write returns
// when the reader has taken it in, so what was written can be read (from this node).
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
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ManualFlushing(),
		kgo.MaxBufferedRecords(math.MaxInt32), // a deletion may have any number
		kgo.MetadataMinAge(100*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("schema registry: Kafka client: %w", err)
	}
	s := &store{client: client, topic: opts.Topic, log: opts.Logger, timeout: opts.Timeout,
		state: newState(), moved: make(chan struct{}), done: make(chan struct{})}
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
		if errors.Is(err, kerr.TopicAlreadyExists) { // another node was quicker
			topics, err = admin.ListTopics(ctx, opts.Topic)
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
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
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
	s.mu.RLock()
	noop := s.state.noop()
	s.mu.RUnlock()
	return s.write(ctx, noop)
}

// stall is how long the end of the topic may not be read before a record is written behind it, and waited for. The
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

// write appends records, in order, and waits until the reader has taken them in.
func (s *store) write(ctx context.Context, records ...*kgo.Record) error {
	return s.append(ctx, records)[0]
}

// append appends groups of records, in order and in as few batches as their sizes allow, and waits until the reader has
// taken them in. It returns an error for each group, and is for one goroutine at a time.
func (s *store) append(ctx context.Context, groups ...[]*kgo.Record) []error {
	type result struct {
		group  int
		offset int64
		err    error
	}
	errs, waiting := make([]error, len(groups)), 0
	for _, g := range groups {
		waiting += len(g)
	}
	results := make(chan result, waiting)
	for i, g := range groups {
		for _, r := range g {
			r.Topic, r.Partition = s.topic, 0
			s.client.Produce(ctx, r, func(r *kgo.Record, err error) { results <- result{i, r.Offset, err} })
		}
	}
	_ = s.client.Flush(ctx) // what it has not sent is among the results, or the context has ended
	last, open := int64(-1), make([]int, len(groups))
	for i, g := range groups {
		open[i] = len(g)
	}
	for range waiting {
		select {
		case r := <-results:
			open[r.group]--
			if r.err == nil {
				last = max(last, r.offset)
			} else if errs[r.group] == nil {
				errs[r.group] = r.err
			}
		case <-ctx.Done():
		}
	}
	err := s.reached(ctx, last+1)
	for i := range errs {
		if open[i] > 0 && errs[i] == nil {
			errs[i] = context.Cause(ctx)
		}
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return errs
}

// noop returns a record that keeps the highest ids.
func (s *state) noop() *kgo.Record {
	r := &kgo.Record{Key: keyOfNoop()}
	for _, name := range slices.Sorted(maps.Keys(s.maxIDs)) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: maxIDHeader + joinSubject(name, ""), Value: strconv.AppendInt(nil, int64(s.maxIDs[name]), 10)})
	}
	return r
}
