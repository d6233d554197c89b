package schemaregistry

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// writer makes changes: one goroutine that takes all that wait, catches up with the topic once for them, decides on
// each, and writes what they come to in one go, which costs one fsync. Registrations share a turn, others have one for
// themselves. What another node is to write it gives back.
type writer struct {
	store  *store
	barred bool // others are to write

	mu    sync.Mutex
	queue []*change
	more  chan struct{} // has a token when the queue has grown

	ctx  context.Context
	stop context.CancelFunc
	done chan struct{} // closed when the goroutine has ended
}

// change is a decision, and what follows from it.
type change struct {
	ctx    context.Context
	decide func(*draft) ([]*kgo.Record, error)
	// settled looks at the state after the writing, and returns the records that mend the topic if another node's
	// record won; the decision is made again then. nil: nothing can contradict the records.
	settled func(*state) (mend []*kgo.Record, ok bool)
	// shared says that decide looks at the whole draft, not only at the state, so others may have decided before it.
	shared bool
	// forwardable says that who waits can have another node make the change.
	forwardable bool

	records []*kgo.Record
	result  chan error
}

// errLater says that a decision depends on one that has been made in the same turn.
var errLater = errors.New("decide in the next turn")

// A turn ends when it has this many changes, or has taken so long to decide: readers of the topic wait for it.
const (
	maxTurn  = 500
	longTurn = 20 * time.Millisecond
)

func startWriter(s *store, barred bool) *writer {
	w := &writer{store: s, barred: barred, more: make(chan struct{}, 1), done: make(chan struct{})}
	w.ctx, w.stop = context.WithCancel(context.Background())
	go w.run()
	return w
}

func (w *writer) close() {
	w.stop()
	<-w.done
}

// do makes a change and waits for it. A change whose context ends before its turn is not made.
func (w *writer) do(c *change) error {
	c.result = make(chan error, 1)
	w.enqueue(c)
	select {
	case err := <-c.result:
		return err
	case <-c.ctx.Done():
	case <-w.done:
	}
	if w.withdraw(c) {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		return errClosed
	}
	return <-c.result // it is being made; that is bounded
}

func (w *writer) enqueue(list ...*change) {
	w.mu.Lock()
	w.queue = append(w.queue, list...)
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// withdraw takes a change back, and reports whether its turn had not come.
func (w *writer) withdraw(c *change) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.queue {
		if other == c {
			w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
			return true
		}
	}
	return false
}

func (w *writer) run() {
	defer close(w.done)
	late := 0 // turns in which another node was quicker, or took over, in a row
	for {
		select {
		case <-w.more:
		case <-w.ctx.Done():
			return
		}
		for {
			w.mu.Lock()
			turn := w.queue
			w.queue = nil
			w.mu.Unlock()
			if len(turn) == 0 {
				break
			}
			again := w.turn(turn)
			if len(again) == 0 {
				late = 0
				continue
			}
			late++
			w.enqueue(again...)
			w.pause(late)
		}
	}
}

// pause waits before another attempt, longer each time and differently on each node, so that one of them gets through.
func (w *writer) pause(late int) {
	select {
	case <-time.After(rand.N(time.Millisecond << min(late, 8))):
	case <-w.ctx.Done():
	}
}

// turn makes the changes that can be made together. The others stay in the queue, before all that has come meanwhile.
// It returns those that came too late, which must decide again.
func (w *writer) turn(list []*change) (again []*change) {
	ctx, cancel := context.WithTimeout(w.ctx, w.store.timeout)
	defer cancel()
	if err := w.store.catchUp(ctx); err != nil {
		if w.ctx.Err() != nil {
			err = errClosed
		}
		answerAll(list, err)
		return nil
	}
	if list = w.giveBack(list); len(list) == 0 {
		return nil
	}
	if err := w.store.hold(ctx); errors.Is(err, errDeposed) {
		return list // while it claimed the topic, another did
	} else if err != nil {
		answerAll(list, storeError("getting the right to write", err))
		return nil
	}
	made, rest := w.decide(list)
	w.mu.Lock()
	w.queue = append(rest, w.queue...)
	w.mu.Unlock()
	if len(made) == 0 {
		return nil
	}
	again, mend := w.settle(made, w.write(ctx, made))
	if len(mend) == 0 {
		return again
	}
	if err := w.store.write(ctx, mend...); err != nil {
		answerAll(again, err)
		return nil
	}
	return again
}

// giveBack answers the changes that another node is to make, and those that none can make.
func (w *writer) giveBack(list []*change) (rest []*change) {
	w.store.mu.RLock()
	to := w.store.state.writer
	w.store.mu.RUnlock()
	if to.id == w.store.self.id && !w.barred {
		return list
	}
	reachable := w.store.self.reaches(to)
	for _, c := range list {
		switch {
		case reachable && c.forwardable:
			c.result <- &elsewhere{to}
		case w.barred:
			c.result <- unknownWriter()
		default:
			rest = append(rest, c)
		}
	}
	return rest
}

func answerAll(list []*change, err error) {
	for _, c := range list {
		c.result <- err
	}
}

// decide decides on changes in their order, and answers those that come to nothing.
func (w *writer) decide(list []*change) (made, rest []*change) {
	began := time.Now()
	w.store.mu.RLock()
	defer w.store.mu.RUnlock()
	d := newDraft(w.store.state)
	for i, c := range list {
		if c.ctx.Err() != nil {
			c.result <- context.Cause(c.ctx)
			continue
		}
		if len(made) > 0 && (!c.shared || !made[0].shared || len(made) == maxTurn || time.Since(began) > longTurn) {
			return made, append(rest, list[i:]...)
		}
		var err error
		c.records, err = c.decide(d)
		switch {
		case errors.Is(err, errLater):
			rest = append(rest, c)
		case err != nil || len(c.records) == 0:
			c.result <- err
		default:
			made = append(made, c)
		}
	}
	return made, rest
}

// write writes the records of changes and returns an error for each.
func (w *writer) write(ctx context.Context, made []*change) []error {
	groups := make([][]*kgo.Record, len(made))
	for i, c := range made {
		groups[i] = c.records
	}
	return w.store.append(ctx, groups...)
}

// settle answers the changes that were written and count. It returns the others, and the records that mend what they
// wrote.
func (w *writer) settle(made []*change, errs []error) (again []*change, mend []*kgo.Record) {
	w.store.mu.RLock()
	defer w.store.mu.RUnlock()
	for i, c := range made {
		if errors.Is(errs[i], errDeposed) {
			again = append(again, c)
			continue
		}
		if errs[i] != nil || c.settled == nil {
			c.result <- errs[i]
			continue
		}
		records, ok := c.settled(w.store.state)
		if ok {
			c.result <- nil
			continue
		}
		again, mend = append(again, c), append(mend, records...)
	}
	return again, mend
}
