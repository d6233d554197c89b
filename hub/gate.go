package hub

import (
	"context"
	"sync"
)

// gate holds tasks while their connector is paused. The zero gate is open.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when the gate opens; nil while it is open
}

// set shuts or opens the gate and reports whether that was a change.
func (g *gate) set(shut bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if shut == (g.shut != nil) {
		return false
	}
	if shut {
		g.shut = make(chan struct{})
		return true
	}
	close(g.shut)
	g.shut = nil
	return true
}

// isShut reports whether the connector is paused.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// wait returns when the gate is open, or ctx's cause when ctx ends.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return context.Cause(ctx)
		}
		select {
		case <-shut:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
