package hub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topicLimits are what the topics of a source task take. The log refuses batches, not records: with one that it does not
// take, everything else that the producer holds for the partition has failed, and nobody can tell any more which record
// was the reason. So a record that no batch could hold is found before it is sent, and batches are kept as small as
// their topic wants them.
type topicLimits struct {
	request int  // max.request.size of the producer
	packed  bool // batches are compressed: how large they become is not known before

	mu  sync.Mutex // the producer asks, too
	all map[string]topicLimit
}

// topicLimit is what one topic takes.
type topicLimit struct {
	batch int  // bytes of a batch at most
	keyed bool // records need a key
}

const (
	// defaultRequestSize is the default of max.request.size in Kafka's producer.
	defaultRequestSize = 1 << 20
	// batchHeader is what a batch has beside its records (record batch v2).
	batchHeader = 61
	// uncounted are the bytes that franz-go counts of a batch and brokers do not: the length in front of it.
	uncounted = 4
	// least and most of what franz-go takes for a size of batches.
	leastBatch, mostBatch = 512, 1 << 30
)

func newTopicLimits(of ...clientSettings) *topicLimits {
	l := &topicLimits{request: defaultRequestSize, all: map[string]topicLimit{}}
	for _, s := range of {
		if s.maxRequest > 0 {
			l.request = s.maxRequest
		}
		if s.codec != "" {
			l.packed = s.codec != "none"
		}
	}
	return l
}

// learn asks for the settings of a topic. If they are not to be had, its records are bound by the producer's only.
func (l *topicLimits) learn(ctx context.Context, admin *kadm.Client, topic string) (topicLimit, error) {
	limit := topicLimit{batch: l.request}
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err == nil {
		var of kadm.ResourceConfig
		if of, err = configs.On(topic, nil); err == nil {
			err = of.Err
		}
		for _, c := range of.Configs {
			switch c.Key {
			case "max.message.bytes":
				if n, err := strconv.Atoi(c.MaybeValue()); err == nil && !l.packed {
					limit.batch = min(limit.batch, n)
				}
			case "cleanup.policy":
				limit.keyed = strings.Contains(c.MaybeValue(), "compact")
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[topic] = limit
	return limit, err
}

// of returns what a topic takes, if that was asked for.
func (l *topicLimits) of(topic string) (limit topicLimit, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, known = l.all[topic]
	return limit, known
}

// producerBatch is how large franz-go may make the batches of a topic. It asks once, before the first of them.
func (l *topicLimits) producerBatch(topic string) int32 {
	limit, known := l.of(topic)
	if !known {
		limit.batch = l.request
	}
	return int32(min(max(limit.batch+uncounted, leastBatch), mostBatch))
}

// refuses says why a topic would not take a record, however it is sent.
func (l topicLimit) refuses(r *kgo.Record) error {
	if l.keyed && r.Key == nil {
		return fmt.Errorf("%w: a record of a compacted topic needs a key", kerr.InvalidRecord)
	}
	if size := batchHeader + recordSize(r); size > l.batch {
		return fmt.Errorf("%w: alone in a batch it has %d bytes, which may have %d", kerr.MessageTooLarge, size, l.batch)
	}
	return nil
}

// recordSize is the size of a record that is the first of its batch:
//
//	length varint · attributes i8 · time, offset since the first varint = 0 · key, value: length varint, bytes ·
//	headers: number varint, [ name, value: length varint, bytes ]
func recordSize(r *kgo.Record) int {
	n := 3 + field(len(r.Key)) + field(len(r.Value)) + kbin.VarintLen(int32(len(r.Headers)))
	for i := range r.Headers {
		n += field(len(r.Headers[i].Key)) + field(len(r.Headers[i].Value))
	}
	return kbin.VarintLen(int32(n)) + n
}

// field is the size of n bytes behind their length; null is as long as nothing.
func field(n int) int { return kbin.VarintLen(int32(n)) + n }

// tooMuch reports whether the log refused a batch for what is in it.
func tooMuch(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) || errors.Is(err, kerr.InvalidRecord)
}
