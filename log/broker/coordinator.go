package broker

import (
	"log/slog"
	"sort"
	"sync"
	"time"
)

// coordinator keeps all consumer groups of the classic protocol and their committed offsets. Groups live in memory:
// after a restart the members are unknown, join again, and find the committed offsets, which are durable.
type coordinator struct {
	store  *offsetStore
	logger *slog.Logger
	delay  time.Duration // of the first rebalance (group.initial.rebalance.delay.ms)

	mu     sync.Mutex
	groups map[string]*group
	closed bool
}

func newCoordinator(store *offsetStore, logger *slog.Logger, delay time.Duration) *coordinator {
	c := &coordinator{store: store, logger: logger, delay: delay, groups: make(map[string]*group)}
	for _, id := range store.groups() {
		c.groups[id] = newGroup(id, logger, delay)
	}
	return c
}

// group returns the group of that id; with create it makes it if need be, otherwise nil says there is none.
func (c *coordinator) group(id string, create bool) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[id]
	if g == nil && create && !c.closed {
		g = newGroup(id, c.logger, c.delay)
		c.groups[id] = g
	}
	return g
}

// list returns all groups by id.
func (c *coordinator) list() []*group {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*group, 0, len(c.groups))
	for _, g := range c.groups {
		all = append(all, g)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all
}

// forget removes a group that is dead.
func (c *coordinator) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, id)
}

// close ends all waiting requests and timers.
func (c *coordinator) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, g := range c.list() {
		g.close()
	}
}
