package plugins

import (
	"context"
	"sync"
)

// queue hands items from any number of goroutines to one. It has no bound of its own: what goes through it is bounded
// by credit, or by being the answer to something. So putting never blocks, and the goroutine that receives from a
// stream never waits for those that work.
type queue[T any] struct {
	mu    sync.Mutex
	items []T
	err   error
	wake  chan struct{}
}

func newQueue[T any]() *queue[T] { return &queue[T]{wake: make(chan struct{}, 1)} }

// put appends an item. After close it is dropped.
func (q *queue[T]) put(item T) {
	q.mu.Lock()
	if q.err == nil {
		q.items = append(q.items, item)
	}
	q.mu.Unlock()
	signal(q.wake)
}

// close lets take return err once the queue is empty. The first error counts.
func (q *queue[T]) close(err error) {
	q.mu.Lock()
	if q.err == nil {
		q.err = err
	}
	q.mu.Unlock()
	signal(q.wake)
}

// take waits for an item. Only one goroutine may take at a time.
func (q *queue[T]) take(ctx context.Context) (T, error) {
	for {
		item, ok, err := q.poll()
		if ok || err != nil {
			return item, err
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return item, ctx.Err()
		}
	}
}

// poll returns the next item if there is one, and the error of close once there is none.
func (q *queue[T]) poll() (item T, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return item, false, q.err
	}
	item = q.items[0]
	var none T
	q.items[0] = none
	if q.items = q.items[1:]; len(q.items) == 0 {
		q.items = nil
	}
	return item, true, nil
}
