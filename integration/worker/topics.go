package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Consume reads a topic from its beginning, over the network, until take says that it has enough. It fails when the
// deadline passes first.
func (w *Worker) Consume(ctx context.Context, topic string, take func(*kgo.Record) (enough bool)) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer cl.Close()
	n := 0
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("consume %s: %w after %d records\n%s", topic, ctx.Err(), n, w.LogTail())
		}
		for it := fetches.RecordIter(); !it.Done(); n++ {
			if take(it.Next()) {
				return nil
			}
		}
	}
}

// Records returns the first n records of a topic.
func (w *Worker) Records(ctx context.Context, topic string, n int) ([]*kgo.Record, error) {
	var all []*kgo.Record
	err := w.Consume(ctx, topic, func(r *kgo.Record) bool {
		all = append(all, r)
		return len(all) == n
	})
	return all, err
}
