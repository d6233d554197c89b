package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// internalTopic is one of the three compacted topics that hold the hub's state, in Kafka Connect's own formats.
type internalTopic struct {
	name        string
	partitions  int32
	replication int16             // 0: as many as there are brokers, at most 3
	configs     map[string]string // what *.storage.* of the worker configuration adds
	read        func(r *kgo.Record)

	reading sync.Mutex
	next    map[int32]int64 // by partition: what was read up to
}

// ensure creates the topic if it is missing, and refuses one whose old records would be deleted: with another clean-up
// policy than compact, offsets and configurations vanish after a while.
func (t *internalTopic) ensure(ctx context.Context, admin *kadm.Client) error {
	details, err := admin.ListTopics(ctx, t.name)
	if err != nil {
		return fmt.Errorf("look up topic %s: %w", t.name, err)
	}
	if d := details[t.name]; d.Err == nil && len(d.Partitions) > 0 {
		return t.checkPolicy(ctx, admin)
	}
	replication := t.replication
	if replication == 0 {
		brokers, err := admin.ListBrokers(ctx)
		if err != nil {
			return fmt.Errorf("count brokers for topic %s: %w", t.name, err)
		}
		replication = int16(min(3, max(1, len(brokers))))
	}
	settings := map[string]*string{}
	for k, v := range t.configs {
		settings[k] = &v
	}
	compact := "compact"
	settings["cleanup.policy"] = &compact
	_, err = admin.CreateTopic(ctx, t.partitions, replication, settings, t.name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s with %d partitions and %d replicas: %w", t.name, t.partitions, replication, err)
	}
	return nil
}

func (t *internalTopic) checkPolicy(ctx context.Context, admin *kadm.Client) error {
	configs, err := admin.DescribeTopicConfigs(ctx, t.name)
	if err != nil {
		return nil //nolint:nilerr // Brokers may forbid the question; Connect goes on then too.
	}
	for _, rc := range configs {
		for _, c := range rc.Configs {
			if c.Key == "cleanup.policy" && c.Value != nil && *c.Value != "compact" {
				return fmt.Errorf("topic %s has cleanup.policy=%s: records of it would be deleted in time, and with them offsets and configurations; set it to compact", t.name, *c.Value)
			}
		}
	}
	return nil
}

// stall is how long the end of an internal topic may not come nearer before the last offsets of it are taken to be
// without records: compaction may leave an empty batch at the end.
const stall = 5 * time.Second

// readToEnd reads the topics from where they were read to, at first their beginning, to the end that they have now,
// calling each topic's read in the order of each partition.
func readToEnd(ctx context.Context, admin *kadm.Client, opts []kgo.Opt, log *slog.Logger, topics ...*internalTopic) error {
	byName := map[string]*internalTopic{}
	for _, t := range topics {
		byName[t.name] = t
	}
	left, from, err := unread(ctx, admin, byName)
	if err != nil || len(left) == 0 {
		return err
	}
	client, err := kgo.NewClient(append(slices.Clone(opts), kgo.ConsumePartitions(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return fmt.Errorf("read the internal topics: %w", err)
	}
	defer client.Close()
	moved := time.Now()
	for len(left) > 0 {
		pollCtx, cancel := context.WithTimeout(ctx, stall)
		fetches := client.PollFetches(pollCtx)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("read the internal topics: %w", context.Cause(ctx))
		}
		for _, e := range fetches.Errors() {
			if !errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("read topic %s, partition %d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		fetches.EachRecord(func(r *kgo.Record) {
			moved = time.Now()
			t := byName[r.Topic]
			if !r.Attrs.IsControl() {
				t.read(r)
			}
			t.next[r.Partition] = r.Offset + 1
			at := topicPartition{r.Topic, r.Partition}
			if end, ok := left[at]; ok && r.Offset+1 >= end {
				delete(left, at)
			}
		})
		if len(left) > 0 && time.Since(moved) > stall && client.Ping(ctx) == nil {
			log.Warn("the internal topics have no record at their end; going on with what was read", "partitions", len(left))
			return nil
		}
	}
	return nil
}

// settlePause is how often it is looked whether the transactions in a topic have ended.
const settlePause = 20 * time.Millisecond

// refresh reads the topic on to the end that it has now, after all transactions before that have ended: what is
// committed there is known then, whoever committed it.
func (t *internalTopic) refresh(ctx context.Context, admin *kadm.Client, opts []kgo.Opt, log *slog.Logger) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	ends, err := admin.ListEndOffsets(ctx, t.name)
	if err == nil {
		err = ends.Error()
	}
	for err == nil {
		var stable kadm.ListedOffsets
		if stable, err = admin.ListCommittedOffsets(ctx, t.name); err == nil {
			err = stable.Error()
		}
		open := 0
		ends.Each(func(end kadm.ListedOffset) {
			if o, ok := stable.Lookup(end.Topic, end.Partition); !ok || o.Offset < end.Offset {
				open++
			}
		})
		if err == nil && open == 0 {
			break
		}
		if err == nil {
			err = sleep(ctx, settlePause)
		}
	}
	if err != nil {
		return fmt.Errorf("wait for the end of the transactions in topic %s: %w", t.name, err)
	}
	return readToEnd(ctx, admin, opts, log, t)
}

type topicPartition struct {
	topic     string
	partition int32
}

// unread returns the end offsets of all partitions in which there is something to read, and from where.
func unread(ctx context.Context, admin *kadm.Client, topics map[string]*internalTopic) (left map[topicPartition]int64, from map[string]map[int32]kgo.Offset, err error) {
	names := slices.Collect(maps.Keys(topics))
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list the start offsets of the internal topics: %w", err)
	}
	stops, err := admin.ListCommittedOffsets(ctx, names...)
	if err == nil {
		err = stops.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list the end offsets of the internal topics: %w", err)
	}
	left, from = map[topicPartition]int64{}, map[string]map[int32]kgo.Offset{}
	stops.Each(func(o kadm.ListedOffset) {
		t := topics[o.Topic]
		if t.next == nil {
			t.next = map[int32]int64{}
		}
		start, ok := starts.Lookup(o.Topic, o.Partition)
		if at := max(start.Offset, t.next[o.Partition]); ok && o.Offset > at {
			left[topicPartition{o.Topic, o.Partition}] = o.Offset
			if from[o.Topic] == nil {
				from[o.Topic] = map[int32]kgo.Offset{}
			}
			from[o.Topic][o.Partition] = kgo.NewOffset().At(at)
		}
	})
	return left, from, nil
}

// produceAll appends records and returns when all are durable.
func produceAll(ctx context.Context, client *kgo.Client, records ...*kgo.Record) error {
	return client.ProduceSync(ctx, records...).FirstErr()
}
