package elasticsearch

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// troubleAfter is how long a lane gets nothing done before its trouble is shown, whatever max.retries is.
const troubleAfter = 3 * time.Second

// maxBackOff bounds the wait between two attempts.
const maxBackOff = 10 * time.Second

// lane sends bulk requests one after another. Put fills the bulk in the making while another one is under way; the
// lane's goroutine takes it when it is full, or has lingered, or is wanted at once.
//
// A lane never gives up. When it gets nothing done, it says so (trouble) and goes on trying: calls to the task then
// fail with the cause, and work again as soon as the cluster does, with nothing put lost.
type lane struct {
	t    *task
	wake chan struct{} // something has changed for the goroutine
	room chan struct{} // a bulk was taken, or trouble has begun: Put looks again

	mu       sync.Mutex
	filling  *bulk
	underway *bulk // nil: none
	since    time.Time
	flush    bool
	trouble  error
	closed   []connectors.TopicPartition // what the bulk under way is not to be sent again of
	waiting  bool                        // Close waits until the goroutine has looked at closed
	abort    context.CancelFunc          // ends the attempt or the wait in hand

	exchange exchange // of the goroutine
}

func newLane(t *task) *lane {
	return &lane{t: t, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), filling: &bulk{}}
}

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add appends an operation, or reports that there is no room. A token in room says when to ask again.
func (l *lane) add(lines []byte, doc uint64, at connectors.TopicPartition, offset int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(len(lines)) {
		l.flush = true
		signal(l.wake)
		return false
	}
	if len(l.filling.ops) == 0 {
		l.since = time.Now()
	}
	l.filling.add(lines, doc, at, offset)
	if len(l.filling.ops) == 1 || l.full(0) {
		signal(l.wake)
	}
	return true
}

// fills reports whether the bulk in the making has begun and has room for more, or would be sent without waiting for
// another one.
func (l *lane) fills(more int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.ops) == 0 {
		return l.underway == nil
	}
	return !l.full(more)
}

// full reports whether the bulk in the making cannot take more bytes. An operation larger than the limit goes alone.
func (l *lane) full(more int) bool {
	n := len(l.filling.ops)
	return n >= l.t.batchRecords || n > 0 && len(l.filling.body)+more >= l.t.batchBytes
}

// force makes the lane send what it has without lingering, and reports whether everything is settled already.
func (l *lane) force() (idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.ops) == 0 {
		return l.underway == nil
	}
	l.flush = true
	signal(l.wake)
	return false
}

// inTrouble returns why the lane gets nothing done, or nil.
func (l *lane) inTrouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// setTrouble says why the lane gets nothing done; nil says that it does.
func (l *lane) setTrouble(err error) {
	l.mu.Lock()
	changed := (l.trouble == nil) != (err == nil)
	l.trouble = err
	l.mu.Unlock()
	if changed {
		signal(l.room)
		signal(l.t.progress)
	}
}

// first lowers offset to the first one of the partition that is not settled in this lane.
func (l *lane) first(at connectors.TopicPartition, offset int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range [2]*bulk{l.filling, l.underway} {
		if b == nil {
			continue
		}
		for i := range b.parts {
			if b.parts[i].TopicPartition == at {
				offset = min(offset, b.parts[i].first)
			}
		}
	}
	return offset
}

// drop takes partitions out of what is not under way yet, and asks the goroutine to do so with the rest.
func (l *lane) drop(parts []connectors.TopicPartition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.filling.without(parts)
	l.filling.parts = forget(l.filling, parts)
	if l.underway == nil {
		return
	}
	l.closed = append(l.closed, parts...)
	l.waiting = true
}

// forget returns the parts of a bulk with those that were closed emptied: they hold no position back any more, and
// the operations that are left keep their indices.
func forget(b *bulk, closed []connectors.TopicPartition) []part {
	if len(b.ops) == 0 {
		return b.parts[:0]
	}
	for i := range b.parts {
		if slices.Contains(closed, b.parts[i].TopicPartition) {
			b.parts[i] = part{}
		}
	}
	return b.parts
}

// dropped reports whether the goroutine has done what drop asked for. With hurry, what it is doing is broken off.
func (l *lane) dropped(hurry bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting && hurry && l.abort != nil {
		l.abort()
	}
	return !l.waiting
}

// run is the lane's goroutine. It ends with ctx, or when a record was refused that the hub does not set aside.
func (l *lane) run(ctx context.Context) {
	spare := &bulk{}
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		b, wait := l.take(spare)
		if b == nil {
			linger.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-l.wake:
			case <-linger.C:
			}
			continue
		}
		if err := l.deliver(ctx, b); err != nil {
			l.t.fail(err)
			return
		}
		l.mu.Lock()
		l.underway, l.closed, l.waiting, l.trouble = nil, nil, false, nil
		l.mu.Unlock()
		b.reset()
		spare = b
		signal(l.t.progress)
	}
}

// take makes the bulk in the making the one under way, if it is due; otherwise it says how long to wait.
func (l *lane) take(spare *bulk) (b *bulk, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.filling.ops) == 0 {
		l.flush = false
		return nil, time.Hour
	}
	if wait = l.t.linger - time.Since(l.since); wait > 0 && !l.flush && !l.full(0) {
		return nil, wait
	}
	l.flush = false
	l.underway, l.filling = l.filling, spare
	signal(l.room)
	return l.underway, 0
}

// attempt begins an attempt at b: it takes out what was closed meanwhile, and returns a context that Close can end.
func (l *lane) attempt(ctx context.Context, b *bulk) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.closed) > 0 {
		b.without(l.closed)
		if l.waiting {
			l.waiting = false
			signal(l.t.progress)
		}
	}
	l.abort = cancel
	return ctx, cancel
}

// deliver sends a bulk until every operation of it is settled or reported. Its errors are those of ctx and of
// reporting.
func (l *lane) deliver(ctx context.Context, b *bulk) error {
	var failing failing
	for {
		try, cancel := l.attempt(ctx, b)
		before := len(b.ops)
		if before == 0 {
			cancel()
			return nil
		}
		cause, err := l.send(ctx, try, b)
		if err != nil || cause == nil {
			cancel()
			return err
		}
		l.t.figures.retries.Add(1)
		if len(b.ops) < before {
			failing.attempts = 0
			l.setTrouble(nil)
		}
		if failing.add(cause, l.t.maxRetries) && try.Err() == nil {
			l.setTrouble(classed("write to Elasticsearch", cause))
		}
		failing.wait(try, l.t.retryBackoff, cause)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// send makes one attempt, which ends with try. It leaves in the bulk what must be sent again, with the cause. An error
// ends the task.
func (l *lane) send(ctx, try context.Context, b *bulk) (cause, err error) {
	l.t.figures.requests.Add(1)
	if cause = l.t.client.bulk(try, b.body, &l.exchange); cause != nil {
		if unfit(cause) {
			return nil, l.split(ctx, b, cause)
		}
		return cause, nil
	}
	all, cause := outcomes(l.exchange.answer.Bytes(), len(b.ops), l.t.upsert)
	if cause != nil {
		return cause, nil
	}
	return l.settle(ctx, b, all)
}

// settle reports what was refused, and leaves in the bulk what must be sent again, with the reason.
func (l *lane) settle(ctx context.Context, b *bulk, all []outcome) (cause, err error) {
	if all == nil {
		return nil, nil
	}
	indices := retries(b.ops, all)
	for i, o := range all {
		switch o.verdict {
		case again:
			cause = o.reason
		case refused:
			if err := l.t.refused(ctx, b.ref(b.ops[i]), o.reason); err != nil {
				return nil, err
			}
		}
	}
	b.keep(indices)
	return cause, nil
}

// split sends a bulk that the server does not take as a whole in two halves; a single operation is refused.
func (l *lane) split(ctx context.Context, b *bulk, cause error) error {
	if len(b.ops) == 1 {
		return l.t.refused(ctx, b.ref(b.ops[0]), cause)
	}
	for _, half := range b.halves() {
		if err := l.deliver(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// unfit reports whether it is a request's content that the server does not take: it is too large, or something in it
// breaks the request as a whole.
func unfit(err error) bool {
	var he *httpError
	return errors.As(err, &he) && (he.status == http.StatusRequestEntityTooLarge || he.status == http.StatusBadRequest && he.isElasticsearch())
}

// failing are attempts of which none got anything done.
type failing struct {
	attempts int
	since    time.Time
}

// add counts one more, and reports whether that is trouble: after so many retries, or so long a time, or if the cause
// does not look as if it passed by itself.
func (f *failing) add(cause error, maxRetries int) bool {
	if f.attempts == 0 {
		f.since = time.Now()
	}
	f.attempts++
	var he *httpError
	lasting := errors.As(cause, &he) && he.status < 500 && he.status != http.StatusTooManyRequests && he.status != http.StatusRequestTimeout
	return lasting || f.attempts > maxRetries || time.Since(f.since) > troubleAfter
}

// wait waits before a retry: at random up to retry.backoff.ms doubled each time, or as long as the server asks for.
func (f *failing) wait(ctx context.Context, backoff time.Duration, cause error) {
	wait := min(backoff<<min(f.attempts-1, 20), maxBackOff)
	if wait > 0 {
		wait = rand.N(wait) + 1
	}
	var he *httpError
	if errors.As(cause, &he) {
		if seconds, err := strconv.Atoi(he.retryAfter); err == nil {
			wait = max(wait, min(time.Duration(seconds)*time.Second, maxBackOff))
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
