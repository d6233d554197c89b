package hub

import (
	"context"
	"sync"
)

// gate holds tasks while their connector is paused. The zero gate is open.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when the gate opens; nil while it is open
	open chan struct{} // closed when the gate shuts; nil if nobody waits for that
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
		if g.open != nil {
			close(g.open)
			g.open = nil
		}
		return true
	}
	close(g.shut)
	g.shut = nil
	return true
}

// shutting returns a channel that is closed when the gate shuts, or because it is shut.
func (g *gate) shutting() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		now := make(chan struct{})
		close(now)
		return now
	}
	if g.open == nil {
		g.open = make(chan struct{})
	}
	return g.open
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
