package schemaregistry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// rounds let all who want to know what is in the topic now ask for its end together. Whoever comes while one round is
// asking waits for the next, which asks after that.
type rounds struct {
	mu      sync.Mutex
	next    *round // nil: nobody waits
	running bool
	failed  time.Time // when a round failed
	wg      sync.WaitGroup
}

type round struct{ done chan struct{} }

const (
	// roundTime is how long a read waits for the topic before it is answered from memory.
	roundTime = time.Second
	// roundRest is how long after such a failure reads do not ask.
	roundRest = 5 * time.Second
)

// follow waits until this node has read what was in the topic when it was called, so that an answer knows all that any
// node has acknowledged. While the topic cannot be read answers come from memory.
func (s *store) follow(ctx context.Context) {
	f := &s.following
	f.mu.Lock()
	if time.Since(f.failed) < roundRest {
		f.mu.Unlock()
		return
	}
	if f.next == nil {
		f.next = &round{make(chan struct{})}
	}
	r := f.next
	if !f.running {
		f.running = true
		f.wg.Go(s.followAll)
	}
	f.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

// followAll asks for as long as somebody waits.
func (s *store) followAll() {
	f := &s.following
	for {
		f.mu.Lock()
		r := f.next
		f.next = nil
		f.running = r != nil
		f.mu.Unlock()
		if r == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), roundTime)
		end, err := s.end(ctx)
		if err == nil {
			err = s.reached(ctx, end)
		}
		cancel()
		if err != nil && !errors.Is(err, errClosed) {
			s.log.Warn("schema registry answers from memory: it cannot follow its topic", "topic", s.topic, "err", err)
			f.mu.Lock()
			f.failed = time.Now()
			f.mu.Unlock()
		}
		close(r.done)
	}
}

// end waits for what is being asked.
func (f *rounds) end() { f.wg.Wait() }
