package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// claim is the right to write to the topic. All registries of a group share one transactional id, and with it one
// producer id; whoever asks the transaction coordinator for it gets the next epoch. From the first batch of an epoch on
// the partition refuses all earlier ones, and that first batch is the claim itself: a NOOP record whose header says who
// writes from now on. So what follows a claim in the topic is by its holder alone, and a writer that was stopped and
// wakes up cannot add anything. No transaction is ever begun.
type claim struct {
	producer int64
	epoch    int16
	sequence int32 // of the next record
	used     time.Time
}

const (
	// claimLasts is how long a claim is good without being used. Brokers forget a producer after a day
	// (producer.id.expiration.ms) and a transactional id after a week; an epoch from before that would be let in again.
	claimLasts = time.Hour
	// claimTimeout is the timeout of transactions that there never are; it must be one that brokers take.
	claimTimeout = time.Minute
)

// errDeposed says that another node has claimed the topic. Nothing of what was to be written was.
var errDeposed = errors.New("another node of the registry writes to the topic now")

// hold makes sure that this node has the right to write, and that it has read everything that was written before it
// got that.
func (s *store) hold(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	ours := s.state.writer.id == s.self.id
	s.mu.RUnlock()
	if ours && s.held != nil && time.Since(s.held.used) < claimLasts {
		return nil
	}
	return s.claim(ctx)
}

// claim takes the right to write from whoever has it. Call with writing locked.
func (s *store) claim(ctx context.Context) error {
	s.held = nil
	c, err := s.nextEpoch(ctx)
	if err != nil {
		return fmt.Errorf("claiming the topic (InitProducerId of the transactional id %s): %w", s.transactionalID, err)
	}
	for whole := false; !whole; {
		s.mu.RLock()
		ids := maps.Clone(s.state.maxIDs)
		noop := s.state.noop(s.self)
		s.mu.RUnlock()
		next, err := s.send(ctx, c, []*kgo.Record{noop})
		if err == nil {
			err = s.reached(ctx, next)
		}
		if err != nil {
			return fmt.Errorf("claiming the topic: %w", err)
		}
		// What came before the first record may have raised the highest ids, which the last such record must have.
		s.mu.RLock()
		whole = maps.Equal(ids, s.state.maxIDs)
		s.mu.RUnlock()
	}
	s.log.Info("schema registry writes to its topic from now on", "topic", s.topic, "epoch", c.epoch)
	s.held = c
	return nil
}

// nextEpoch asks the transaction coordinator for the next epoch.
func (s *store) nextEpoch(ctx context.Context) (*claim, error) {
	ask := kmsg.NewPtrInitProducerIDRequest()
	ask.TransactionalID, ask.TransactionTimeoutMillis = &s.transactionalID, int32(claimTimeout.Milliseconds())
	for {
		answer, err := ask.RequestWith(ctx, s.client)
		if err == nil {
			err = kerr.ErrorForCode(answer.ErrorCode)
		}
		if err == nil {
			return &claim{producer: answer.ProducerID, epoch: answer.ProducerEpoch, used: time.Now()}, nil
		}
		if !kerr.IsRetriable(err) {
			return nil, err
		}
		if wait(ctx, retryDelay) != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// wait returns after that time, or with an error when the context has ended.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
