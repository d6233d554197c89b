package plugins

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"
)

// DefaultWindow is the number of bytes of records that may be on their way between a task and the hub.
const DefaultWindow = 8 << 20

const (
	// minCharge is what the smallest message costs: the memory around it, so that many empty ones are bounded too.
	minCharge = 2 << 10
	// maxMessage is the largest message either side takes. Records have to be smaller by what is around them.
	maxMessage = 64 << 20
	maxBatch   = maxMessage - 1<<20
)

// charge returns the credit that a message costs. Both sides compute it.
func charge(m proto.Message) int64 { return int64(proto.Size(m)) + minCharge }

// credit counts the bytes that the other side is ready to take. A message may go while there is any credit left, so
// one that is larger than the window goes too, alone.
// Any goroutine may take and give.
type credit struct {
	mu   sync.Mutex
	free int64
	wake chan struct{}
}

func newCredit(window int64) *credit { return &credit{free: window, wake: make(chan struct{}, 1)} }

// take waits until there is credit, and uses n of it. stop ends the waiting, and take then returns false.
func (c *credit) take(ctx context.Context, n int64, stop <-chan struct{}) (bool, error) {
	for {
		c.mu.Lock()
		if c.free > 0 {
			c.free -= n
			more := c.free > 0
			c.mu.Unlock()
			if more {
				signal(c.wake) // for whoever else waits
			}
			return true, nil
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-stop:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// give returns n bytes.
func (c *credit) give(n int64) {
	c.mu.Lock()
	c.free += n
	c.mu.Unlock()
	signal(c.wake)
}

// grants collects credit to give back, so that it goes back in few messages.
type grants struct {
	window  int64
	pending int64
}

// add takes what was consumed, and returns what is to be granted now: nothing, or all so far.
func (g *grants) add(n int64) int64 {
	g.pending += n
	if g.pending < g.window/8 {
		return 0
	}
	n, g.pending = g.pending, 0
	return n
}
