package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehub/sluice/connectors"
)

// unlimited lifts the client's own limit of records that wait: the writer bounds bytes, and the client would start a
// goroutine per record that waits.
const unlimited = 1 << 40

// durableOptions are of every producer: idempotent and acknowledged by all replicas, so that an answer means durable
// and the order of a partition is the order of the calls (I3, I4). They stand last and cannot be overridden.
func durableOptions() []kgo.Opt {
	return []kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks()), kgo.MaxBufferedRecords(unlimited)}
}

// storeOptions are of the client that writes the internal topics and dead letters.
func (h *Hub) storeOptions() []kgo.Opt {
	opts := append([]kgo.Opt{kgo.ClientID("sluice-hub")}, h.base...)
	// Topics come and go at requests here: what was known seconds ago (that there is none) must not decide.
	opts = append(opts, kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.ProducerBatchMaxBytes(defaultRequestSize+uncounted))
	return append(opts, durableOptions()...)
}

// unknownTopicTries is how often the log may say that a topic does not exist before the record fails.
const unknownTopicTries = 10

// producerOptions are of a source task's own producer. Nothing lingers: a record is sent at once, and what comes
// while a request is on its way goes with the next.
func (h *Hub) producerOptions(ctx context.Context, s settings, task int, limits *topicLimits) ([]kgo.Opt, error) {
	opts, err := h.brokers(ctx, clientProducer, s)
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.ClientID(fmt.Sprintf("connector-producer-%s-%d", s.name, task)), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.AllowAutoTopicCreation(),
		kgo.UnknownTopicRetries(unknownTopicTries))
	if h.exactlyOnce {
		opts = append(opts, h.transactionOptions(s)...)
	}
	opts = append(opts, h.producer.options...)
	opts = append(opts, s.producer.options...)
	if h.exactlyOnce {
		opts = append(opts, kgo.TransactionalID(h.transactionalID(s.name, task)))
	}
	opts = append(opts, kgo.ProducerBatchMaxBytesFn(limits.producerBatch), kgo.RecordPartitioner(newPartitioner()))
	return append(opts, durableOptions()...), nil
}

// deadLetterClient returns the producer of a task's dead letters and what ends it. As in Connect, it has the settings
// of the worker's producers and the connector's overrides; without any it is the hub's own.
func (h *Hub) deadLetterClient(ctx context.Context, s settings, task int, limits *topicLimits) (client *kgo.Client, end func(), err error) {
	if h.producer.empty() && s.producer.empty() {
		return h.client, func() {}, nil
	}
	opts, err := h.brokers(ctx, clientProducer, s)
	if err != nil {
		return nil, nil, err
	}
	opts = append(opts, kgo.ClientID(fmt.Sprintf("connector-dlq-producer-%s-%d", s.name, task)), kgo.ProducerLinger(0), kgo.MetadataMinAge(50*time.Millisecond))
	opts = append(append(opts, h.producer.options...), s.producer.options...)
	opts = append(opts, kgo.ProducerBatchMaxBytesFn(limits.producerBatch))
	if client, err = kgo.NewClient(append(opts, durableOptions()...)...); err != nil {
		return nil, nil, &connectors.Error{Op: "make the producer of the dead-letter topic", Class: connectors.ClassConfig, Err: err}
	}
	return client, client.Close, nil
}

// adminClient returns the client that creates a connector's topics and what ends it. It has the worker's admin
// settings and the connector's overrides; without any it is the hub's own.
func (h *Hub) adminClient(ctx context.Context, s settings, task int) (admin *kadm.Client, end func(), err error) {
	client, end, err := h.adminConnection(ctx, s, task)
	if err != nil || client == h.client {
		return h.admin, end, err
	}
	return kadm.NewClient(client), end, nil
}

// adminConnection is the client under adminClient.
func (h *Hub) adminConnection(ctx context.Context, s settings, task int) (client *kgo.Client, end func(), err error) {
	if h.adminSettings.empty() && s.admin.empty() {
		return h.client, func() {}, nil
	}
	opts, err := h.brokers(ctx, clientAdmin, s)
	if err != nil {
		return nil, nil, err
	}
	opts = append(opts, kgo.ClientID(fmt.Sprintf("connector-adminclient-%s-%d", s.name, task)))
	opts = append(append(append(opts, kgo.MetadataMinAge(50*time.Millisecond)), h.adminSettings.options...), s.admin.options...)
	if client, err = kgo.NewClient(opts...); err != nil {
		return nil, nil, &connectors.Error{Op: "make the client that creates topics", Class: connectors.ClassConfig, Err: err}
	}
	return client, client.Close, nil
}

// Bounds of what a sink's consumer holds that the sink has not taken yet.
const (
	fetchBytes          = 16 << 20
	fetchPartitionBytes = 4 << 20
)

// sessionTimeout is how long the partitions of a sink task whose hub is gone wait for that hub before other tasks get
// them. Kafka's consumers wait 45 s.
const sessionTimeout = 10 * time.Second

// consumerOptions are of a sink task's consumer.
func (h *Hub) consumerOptions(ctx context.Context, name string, task int, s settings) ([]kgo.Opt, error) {
	opts, err := h.brokers(ctx, clientConsumer, s)
	if err != nil {
		return nil, err
	}
	// Control records are kept so that the position behind them is known: else a sink would lag by one for ever.
	opts = append(opts, kgo.ClientID(fmt.Sprintf("connector-consumer-%s-%d", name, task)), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes), kgo.MaxConcurrentFetches(1), kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MetadataMaxAge(5*time.Second), kgo.RebalanceTimeout(5*time.Minute), kgo.SessionTimeout(sessionTimeout))
	// Not a cooperative one, which moves partitions in two rebalances: if all tasks die between them, the group is stable as
	// the first has left it, they come back as its static members, and nobody reads what was to be moved.
	opts = append(opts, kgo.Balancers(kgo.StickyBalancer()))
	if h.exactlyOnce { // what a source takes back must not get into a target
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	opts = append(opts, h.consumer.options...)
	opts = append(opts, s.consumer.options...)
	if s.topicsRegex != "" {
		opts = append(opts, kgo.ConsumeRegex())
	}
	return append(opts, kgo.ConsumerGroup(h.group(name, s)), kgo.InstanceID(h.groupInstance(name, task, s)),
		kgo.ConsumeTopics(consumed(s)...), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll()), nil
}

// groupInstance returns the group.instance.id of a sink task: static membership (KIP-345). A task that starts again
// after its hub was killed takes the place of its former self at once. Without that, its partitions would wait until
// the session of the dead one is over. It is the same on whatever worker the task runs.
func (h *Hub) groupInstance(name string, task int, s settings) string {
	own := instanceID(h.values.String("group.id")+"-"+name, fmt.Sprintf("-%d", task))
	return cmp.Or(s.consumer.instance, h.consumer.instance, own)
}

// instanceID brings a name into the form of a group.instance.id, for which Kafka's clients allow the characters and
// the length of topic names. What is too long is cut before the suffix.
func instanceID(name, suffix string) string {
	const longest = 249
	legal := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}
	name = strings.Map(legal, name)
	return name[:min(len(name), longest-len(suffix))] + suffix
}

// group returns the consumer group of a sink.
func (h *Hub) group(name string, s settings) string {
	return cmp.Or(s.consumer.group, h.consumer.group, "connect-"+name)
}

// commitSync commits offsets of the client's group.
func commitSync(ctx context.Context, client *kgo.Client, offsets map[string]map[int32]kgo.EpochOffset) error {
	var failed error
	client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		failed = err
		if err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && failed == nil {
					failed = fmt.Errorf("topic %s, partition %d: %w", t.Topic, p.Partition, err)
				}
			}
		}
	})
	return failed
}

// leaveGroup takes a static member out of its group, unless another one has its place by now.
func leaveGroup(ctx context.Context, client *kgo.Client, group, member, instance string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, member // the member alone up to version 2
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID = member, &instance
	req.Members = append(req.Members, m)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	codes := []int16{resp.ErrorCode}
	for _, m := range resp.Members {
		codes = append(codes, m.ErrorCode)
	}
	for _, code := range codes {
		switch err := kerr.ErrorForCode(code); err {
		case nil, kerr.UnknownMemberID, kerr.FencedInstanceID: // it is out already
		default:
			return err
		}
	}
	return nil
}

// readRecordTimeout bounds the reading of one record.
const readRecordTimeout = 30 * time.Second

// readRecord reads one record of the log again, as the sink's consumer did.
func (h *Hub) readRecord(ctx context.Context, s settings, at connectors.TopicPartition, offset int64) (*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, readRecordTimeout)
	defer cancel()
	opts, err := h.brokers(ctx, clientConsumer, s)
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		at.Topic: {at.Partition: kgo.NewOffset().At(offset)}}), kgo.FetchMaxPartitionBytes(1<<20))
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("read %s-%d@%d again: %w", at.Topic, at.Partition, offset, err)
	}
	defer client.Close()
	for {
		fetches := client.PollRecords(ctx, 1)
		for _, e := range fetches.Errors() {
			return nil, fmt.Errorf("read %s-%d@%d again: %w", at.Topic, at.Partition, offset, e.Err)
		}
		for _, r := range fetches.Records() {
			if r.Offset == offset {
				return r, nil
			}
			return nil, fmt.Errorf("read %s-%d@%d again: %w", at.Topic, at.Partition, offset, errGone)
		}
	}
}

var errGone = errors.New("the record is not in the log any more")

// consumed returns what a sink subscribes to: names of topics, or one regular expression of whole names.
func consumed(s settings) []string {
	if s.topicsRegex != "" {
		return []string{"^(?:" + s.topicsRegex + ")$"}
	}
	out := make([]string, 0, len(s.topics))
	for _, t := range s.topics {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}
