package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/history"
	"github.com/sluicehub/sluice/integration/worker"
)

const (
	chronicleTopic      = "history"
	chroniclePartitions = 3
	chronicleGroup      = "group"
)

// TestKillLog kills the hub with its log again and again under producers, with transactions and without, readers of
// both isolation levels and a group whose members come and go. Each of them records what it asked and what it was
// answered, and nothing of that may be untrue at the end: nothing that was acknowledged is lost, nothing is there
// twice, nothing aborted is read. There are four kills for each of SLUICE_TEST_ROUNDS.
func TestKillLog(t *testing.T) {
	t.Parallel()
	c := newChronicle(t)
	stopProducers, stopReaders := c.begin()
	kills := 4 * killRounds(t)
	for range kills {
		c.progress()
		must(t, c.w.Kill())
		must(t, c.w.Start(deadline(t)))
	}
	c.progress()
	stopProducers()
	c.endTransactions()
	c.readAll(false)
	c.readAll(true)
	arrived := c.w.Wait(t.Context(), "all readers to have read all", c.allRead)
	stopReaders()
	found := c.Check()
	for _, a := range found[:min(20, len(found))] {
		t.Error(a)
	}
	if len(found) > 20 {
		t.Errorf("and %d more", len(found)-20)
	}
	must(t, arrived)
	t.Logf("%d kills; %d records sent, %d acknowledged; of %d transactions %d were to be ended, %d ends answered; %d polled; a group went on %d times and committed %d times",
		kills, c.Count(history.Sent), c.Count(history.Acked), c.txns.Load(), c.Count(history.Ending), c.Count(history.Ended), c.Count(history.Polled),
		c.Count(history.Resumed), c.Count(history.Committed))
}

// chronicle is a history and those who write it.
type chronicle struct {
	history.History
	t      *testing.T
	w      *worker.Worker
	values atomic.Int64
	txns   atomic.Int64
	all    [2]int // how many records there are at the end: all, and those committed
}

func newChronicle(t *testing.T) *chronicle {
	t.Helper()
	c := &chronicle{t: t, w: startWorker(t, worker.Options{Settings: map[string]string{"sluice.kafka.broker.group.min.session.timeout.ms": "1000"}})}
	createTopics(t, c.w, chroniclePartitions, chronicleTopic)
	return c
}

// begin starts all of them. Producers and readers are stopped by what it returns, which waits for them.
func (c *chronicle) begin() (stopProducers, stopReaders func()) {
	stopReaders = c.start(map[string]func(context.Context) error{
		"reads all":       func(ctx context.Context) error { return c.read(ctx, false) },
		"reads committed": func(ctx context.Context) error { return c.read(ctx, true) },
		"member 1":        func(ctx context.Context) error { return c.member(ctx, "1", 0) },
		"member 2":        func(ctx context.Context) error { return c.member(ctx, "2", 0) },
		"member 3":        func(ctx context.Context) error { return c.member(ctx, "3", 30) },
	})
	return c.start(map[string]func(context.Context) error{
		"produces 1": c.produce,
		"produces 2": c.produce,
		"commits 1":  func(ctx context.Context) error { return c.transact(ctx, transactionalID(1)) },
		"commits 2":  func(ctx context.Context) error { return c.transact(ctx, transactionalID(2)) },
	}), stopReaders
}

func transactionalID(n int) string { return fmt.Sprintf("history-%d", n) }

// start runs each of them again and again, as long as it returns nil: a client that is made anew, or fails for good.
func (c *chronicle) start(actors map[string]func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var wg sync.WaitGroup
	for name, act := range actors {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := act(ctx); err != nil && ctx.Err() == nil {
					c.t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	c.t.Cleanup(stop)
	return stop
}

// progress waits until everybody has done something, and a little longer.
func (c *chronicle) progress() {
	c.t.Helper()
	more := map[history.Kind]int{history.Acked: 50 + rand.IntN(200), history.Ended: 1 + rand.IntN(5), history.Polled: 50 + rand.IntN(500), history.Committed: rand.IntN(3)}
	for kind := range more {
		more[kind] += c.Count(kind)
	}
	must(c.t, c.w.Wait(c.t.Context(), "everybody to go on", func() error {
		for kind, n := range more {
			if c.Count(kind) < n {
				return fmt.Errorf("%d of kind %d, not %d", c.Count(kind), kind, n)
			}
		}
		return nil
	}))
}

func (c *chronicle) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.w.Kafka), kgo.MetadataMinAge(20 * time.Millisecond), kgo.DefaultProduceTopic(chronicleTopic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.DisableClientMetrics()}, opts...)...)
}

// send sends a value of its own.
func (c *chronicle) send(cl *kgo.Client, txn int64, failed func(error)) {
	value, partition := c.values.Add(1), rand.Int32N(chroniclePartitions)
	c.Add(history.Event{Kind: history.Sent, Value: value, Txn: txn, Partition: partition})
	// A record that is given up may still arrive. So none is, until the test ends.
	cl.Produce(c.t.Context(), &kgo.Record{Partition: partition, Value: fmt.Append(nil, value)}, func(r *kgo.Record, err error) {
		if err != nil {
			failed(err)
			return
		}
		c.Add(history.Event{Kind: history.Acked, Value: value, Partition: r.Partition, Offset: r.Offset})
	})
}

// produce sends without transactions. That a producer's sequence is no longer known would be an error.
func (c *chronicle) produce(ctx context.Context) error {
	cl, err := c.client(kgo.StopProducerOnDataLossDetected(), kgo.MaxBufferedRecords(100))
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, _, err := cl.ProducerID(ctx); err != nil {
		return nil // the broker is away
	}
	var failed atomic.Value
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		c.send(cl, 0, func(err error) { failed.Store(err) })
		if err, ok := failed.Load().(error); ok {
			return err
		}
	}
	return cl.Flush(c.t.Context())
}

// transact sends transactions, of which some are aborted and some are left alone, until one fails or is left alone.
func (c *chronicle) transact(ctx context.Context, id string) error {
	cl, err := c.client(kgo.TransactionalID(id))
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		if ok, err := c.transaction(ctx, cl); !ok || err != nil {
			return err
		}
	}
	return nil
}

// transaction says whether the client can go on.
func (c *chronicle) transaction(ctx context.Context, cl *kgo.Client) (ok bool, err error) {
	if err := cl.BeginTransaction(); err != nil {
		return false, nil // the broker is away; the client that comes next tries again
	}
	id, pace := c.txns.Add(1), time.NewTicker(time.Millisecond)
	defer pace.Stop()
	var failures atomic.Int64
	for range 1 + rand.IntN(20) {
		<-pace.C
		c.send(cl, id, func(error) { failures.Add(1) })
	}
	if err := cl.Flush(c.t.Context()); err != nil {
		return false, err
	}
	if rand.IntN(10) == 0 {
		return false, nil
	}
	commit := kgo.TransactionEndTry(failures.Load() == 0 && rand.IntN(3) > 0)
	c.Add(history.Event{Kind: history.Ending, Txn: id, Commit: bool(commit)})
	if err := cl.EndTransaction(c.t.Context(), commit); err != nil {
		return false, nil // nobody knows how it ended; the client that comes next finds out, or aborts it
	}
	c.Add(history.Event{Kind: history.Ended, Txn: id, Commit: bool(commit)})
	return true, nil
}

// endTransactions makes the coordinator end those that were left alone, and waits for it.
func (c *chronicle) endTransactions() {
	c.t.Helper()
	for n := range 2 {
		cl, err := c.client(kgo.TransactionalID(transactionalID(n + 1)))
		must(c.t, err)
		_, _, err = cl.ProducerID(deadline(c.t))
		must(c.t, err)
		cl.Close()
	}
	adm := kadm.NewClient(newClient(c.t, c.w))
	must(c.t, c.w.Wait(c.t.Context(), "no transaction to be open", func() error {
		ends, err := adm.ListEndOffsets(deadline(c.t), chronicleTopic)
		stable, serr := adm.ListCommittedOffsets(deadline(c.t), chronicleTopic)
		ends.Each(func(o kadm.ListedOffset) {
			if s, _ := stable.Lookup(o.Topic, o.Partition); s.Offset != o.Offset {
				err = fmt.Errorf("partition %d is stable up to %d of %d", o.Partition, s.Offset, o.Offset)
			}
		})
		return errors.Join(err, serr)
	}))
}
