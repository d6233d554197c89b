package jdbc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

const (
	// laneRows is how many rows of a batch make another lane worth its transaction.
	laneRows = 1000
	// troubleAfter is how long nothing gets done before that is shown, whatever max.retries is.
	troubleAfter = 3 * time.Second
	// maxBackOff bounds the wait between two attempts.
	maxBackOff = 10 * time.Second
	// positionsLinger is how long positions wait to be written that moved without a row.
	positionsLinger = time.Second
)

// writer writes batches, one after another: first all lanes at once, each the rows of its slots in a transaction of its
// own. What a lane could not write because of a row is then written by one transaction, in the order of the topic.
//
// A writer never gives up on an outage. When it gets nothing done it says so (task.trouble) and goes on trying.
type writer struct {
	t     *task
	lanes []*lane
}

func newWriter(t *task) *writer {
	w := &writer{t: t}
	for range t.settings.lanes {
		w.lanes = append(w.lanes, &lane{segmenter: newSegmenter(t.mode)})
	}
	return w
}

// run is the writer's goroutine. It ends with ctx, or with an error that ends the task.
func (w *writer) run(ctx context.Context) {
	defer func() {
		for _, l := range w.lanes {
			l.drop()
		}
	}()
	t := w.t
	spare := &batch{}
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		b, wait := t.takeBatch(spare)
		if b == nil {
			linger.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-t.wake:
			case <-linger.C:
			}
			continue
		}
		err := w.deliver(ctx, b)
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			t.fail(err)
			return
		}
		t.delivered(b)
		b.reset()
		spare = b
	}
}

// takeBatch makes the batch in the making the one under way, if it is due; otherwise it says how long to wait.
func (t *task) takeBatch(spare *batch) (b *batch, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.filling.empty() {
		t.flush = false
		return nil, time.Hour
	}
	linger := t.linger
	if len(t.filling.rows) == 0 {
		linger = positionsLinger
	}
	if wait = linger - time.Since(t.filling.since); wait > 0 && !t.flush && !t.full() {
		return nil, wait
	}
	t.flush = false
	t.underway, t.filling = t.filling, spare
	signal(t.progress)
	return t.underway, 0
}

// delivered says that a batch is in the database.
func (t *task) delivered(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range b.parts {
		if open := t.partitions[p.TopicPartition]; open != nil && open.epoch == p.epoch && p.end >= 0 {
			open.done = max(open.done, p.end)
		}
	}
	t.underway, t.closed, t.closing, t.trouble, t.stale = nil, nil, false, nil, false
	signal(t.progress)
}

// attempt begins an attempt at b: it takes out what was closed meanwhile, and returns a context that Close can end.
func (t *task) attempt(ctx context.Context, b *batch) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.closed) > 0 {
		b.without(t.closed)
		t.closed, t.closing = nil, false
		signal(t.progress)
	}
	t.abort = cancel
	return ctx, cancel
}

// deliver writes a batch until all of it is in the database. Its errors are those of ctx, and those that end the task.
func (w *writer) deliver(ctx context.Context, b *batch) error {
	pending, care := allSlots, bulk
	var failing failing
	stale := 0
	for {
		try, cancel := w.t.attempt(ctx, b)
		errs := w.write(try, b, &pending, care)
		if pending == 0 {
			cancel()
			return nil
		}
		w.t.figures.retries.Add(1)
		var cause error
		before, refresh := care, false
		for _, err := range errs {
			switch verdict, broken := w.t.judge(err), try.Err() != nil; {
			case ctx.Err() != nil:
				cancel()
				return ctx.Err()
			case broken || verdict == passing || verdict == refusedUser:
				cause = err
			case verdict == refusedRow && before == bulk:
				care = bisected
			case verdict == refusedRow && before == bisected: // at the commit: everything before passed
				care = immediate
			case verdict == staleTable && stale < 3:
				refresh = true // once for all lanes
			default:
				cancel()
				return w.t.classed("write rows", err)
			}
		}
		if refresh {
			stale++
			if err := w.t.awaitRefresh(ctx); err != nil {
				cancel()
				return err
			}
		}
		if cause != nil {
			b.retried = true
			if failing.add(w.t.maxRetries) && try.Err() == nil {
				w.t.setTrouble(w.t.classed("write rows", cause))
			}
			failing.wait(try, w.t.retryBackoff)
		}
		cancel()
	}
}

// judge says what an error means to the batch.
func (t *task) judge(err error) verdict {
	var ce *connectors.Error
	if errors.As(err, &ce) {
		return unknownError // it has a class, and ends the task
	}
	return t.dialect.verdict(err)
}

// setTrouble says why nothing gets done.
func (t *task) setTrouble(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = err
	signal(t.progress)
}

// awaitRefresh asks the caller of Put, which has the tables, to look at them again, and waits until it has.
func (t *task) awaitRefresh(ctx context.Context) error {
	t.mu.Lock()
	t.stale = true
	t.mu.Unlock()
	for {
		signal(t.progress)
		select {
		case <-t.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		t.mu.Lock()
		waiting := t.stale
		t.mu.Unlock()
		if !waiting {
			return nil
		}
	}
}

// write writes the pending slots of a batch, and takes from pending those that are in the database then.
func (w *writer) write(ctx context.Context, b *batch, pending *slotSet, care care) []error {
	n := min(len(w.lanes), 1+len(b.rows)/laneRows)
	if b.serial || care > bulk {
		n = 1
	}
	shares := make([]slotSet, n)
	for slot := range uint8(slots) {
		if pending.has(slot) {
			shares[int(slot)%n] |= 1 << slot
		}
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	for i, of := range shares {
		if of == 0 {
			continue
		}
		all.Go(func() { errs[i] = w.lanes[i].write(ctx, w.t, b, of, care) })
	}
	all.Wait()
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, err)
		} else {
			*pending &^= shares[i]
		}
	}
	return failed
}

// failing are attempts of which none got anything done.
type failing struct {
	attempts int
	since    time.Time
}

// add counts one more, and reports whether that is trouble: after so many retries, or so long a time.
func (f *failing) add(maxRetries int) bool {
	if f.attempts == 0 {
		f.since = time.Now()
	}
	f.attempts++
	return f.attempts > maxRetries || time.Since(f.since) > troubleAfter
}

// wait waits before a retry: at random up to retry.backoff.ms doubled each time.
func (f *failing) wait(ctx context.Context, backoff time.Duration) {
	wait := min(backoff<<min(f.attempts-1, 20), maxBackOff)
	if wait > 0 {
		_ = connectors.Sleep(ctx, rand.N(wait)+1) // whoever waits looks at ctx next
	}
}
