package elasticsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// lane sends bulk requests one after another. Put fills the bulk in the making while another one is under way; the
// lane's goroutine takes it when it is full, or has lingered, or is wanted at once.
type lane struct {
	t    *task
	wake chan struct{} // something has changed for the goroutine
	room chan struct{} // a bulk was taken: Put may go on

	mu       sync.Mutex
	filling  *bulk
	underway *bulk // nil: none
	since    time.Time
	flush    bool
}

func newLane(t *task) *lane {
	return &lane{t: t, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), filling: newBulk()}
}

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add appends an operation, or reports that there is no room.
func (l *lane) add(lines []byte, doc uint64, at connectors.TopicPartition, offset int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(len(lines)) {
		return false
	}
	if len(l.filling.ops) == 0 {
		l.since = time.Now()
	}
	start := len(l.filling.body)
	l.filling.body = append(l.filling.body, lines...)
	l.filling.add(start, doc, at, offset)
	if len(l.filling.ops) == 1 || l.full(0) {
		signal(l.wake)
	}
	return true
}

// full reports whether the bulk in the making cannot take more bytes. An operation larger than the limit goes alone.
func (l *lane) full(more int) bool {
	n := len(l.filling.ops)
	return n >= l.t.batchRecords || n > 0 && len(l.filling.body)+more >= l.t.batchBytes
}

// force makes the lane send what it has without lingering.
func (l *lane) force() {
	l.mu.Lock()
	l.flush = true
	l.mu.Unlock()
	signal(l.wake)
}

// idle reports whether everything is settled.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.filling.ops) == 0 && l.underway == nil
}

// first lowers offset to the first one of the partition that is not settled in this lane.
func (l *lane) first(at connectors.TopicPartition, offset int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range []*bulk{l.filling, l.underway} {
		if b == nil {
			continue
		}
		if first, ok := b.first[at]; ok {
			offset = min(offset, first)
		}
	}
	return offset
}

// run is the lane's goroutine. It ends with ctx, or with an error that it leaves to the task.
func (l *lane) run(ctx context.Context) {
	spare := newBulk()
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
		l.underway = nil
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

// deliver sends a bulk until every operation of it is settled or reported.
func (l *lane) deliver(ctx context.Context, b *bulk) error {
	var answer bytes.Buffer
	var cause error
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			l.t.figures.retries.Add(1)
			if err := l.t.backOff(ctx, attempt, cause); err != nil {
				return err
			}
		}
		l.t.figures.requests.Add(1)
		cause = l.t.client.bulk(ctx, b.body, &answer)
		if tooLarge(cause) {
			return l.split(ctx, b, cause)
		}
		if cause != nil {
			if !retriable(cause) {
				return classed("bulk request", cause)
			}
			continue
		}
		all, err := outcomes(answer.Bytes(), len(b.ops))
		if err != nil {
			return classed("bulk request", err)
		}
		if cause, err = l.settle(ctx, b, all); err != nil || cause == nil {
			return err
		}
	}
}

// settle reports what was refused, and leaves in the bulk what must be sent again, with the reason.
func (l *lane) settle(ctx context.Context, b *bulk, all []outcome) (cause, err error) {
	indices := retries(b.ops, all)
	for i, o := range all {
		switch o.verdict {
		case again:
			cause = o.reason
		case refused:
			if err := l.t.refused(ctx, b.ops[i].at, o.reason); err != nil {
				return nil, err
			}
		}
	}
	b.keep(indices)
	return cause, nil
}

// split sends a bulk that the server finds too large in two halves; one operation that is too large is refused.
func (l *lane) split(ctx context.Context, b *bulk, cause error) error {
	if len(b.ops) == 1 {
		return l.t.refused(ctx, b.ops[0].at, cause)
	}
	half := len(b.ops) / 2
	for _, ops := range [][]operation{b.ops[:half], b.ops[half:]} {
		part := newBulk()
		for _, op := range ops {
			start := len(part.body)
			part.body = append(part.body, b.body[op.start:op.end]...)
			part.add(start, op.doc, op.at.TopicPartition, op.at.Offset)
		}
		if err := l.deliver(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func tooLarge(err error) bool {
	var he *httpError
	return errors.As(err, &he) && he.status == http.StatusRequestEntityTooLarge
}

// retriable reports whether a request may succeed later. What is no answer of the cluster may.
func retriable(err error) bool {
	var he *httpError
	if !errors.As(err, &he) {
		return !errors.Is(err, context.Canceled)
	}
	return he.status == http.StatusTooManyRequests || he.status >= 500 || he.status == http.StatusRequestTimeout
}

// backOff waits before a retry: at random up to retry.backoff.ms doubled each time, or as long as the server asks for.
// With the retries used up it returns the cause; the hub then starts the task again, with its own back-off.
func (t *task) backOff(ctx context.Context, attempt int, cause error) error {
	if attempt > t.maxRetries {
		return classed(fmt.Sprintf("bulk request, tried %d times", attempt), cause)
	}
	wait := t.retryBackoff << min(attempt-1, 20)
	if wait > 0 {
		wait = rand.N(min(wait, time.Minute)) + 1
	}
	var he *httpError
	if errors.As(cause, &he) {
		if seconds, err := strconv.Atoi(he.retryAfter); err == nil {
			wait = max(wait, min(time.Duration(seconds)*time.Second, time.Minute))
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
