package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log/broker/consumergroup"
)

// coordinator keeps all consumer groups and their committed offsets, those of the classic protocol (group.go) and those of
// the consumer protocol (consumer_groups.go). Both are in the offsets topic, so after a restart their members go on. A name
// belongs to one of either kind.
type coordinator struct {
	store  *offsetStore
	logger *slog.Logger
	delay  time.Duration // of the first rebalance (group.initial.rebalance.delay.ms)
	topics consumergroup.Topics
	config func(group string) consumergroup.Config
	// migration says how groups with members may change their protocol.
	migration migration

	mu        sync.Mutex
	groups    map[string]*group
	consumers map[string]*consumerGroup
	closed    bool
}

func newCoordinator(store *offsetStore, logger *slog.Logger, delay time.Duration, topics consumergroup.Topics, config func(string) consumergroup.Config, policy migration) (*coordinator, error) {
	c := &coordinator{store: store, logger: logger, delay: delay, topics: topics, config: config, migration: policy,
		groups: make(map[string]*group), consumers: make(map[string]*consumerGroup)}
	if err := c.resume(store.loaded); err != nil {
		return nil, err
	}
	if err := c.resumeClassic(store.loadedClassic); err != nil {
		return nil, err
	}
	store.loaded, store.loadedClassic = nil, nil
	return c, nil
}

// group returns the group of that id; with create it makes it if need be, otherwise nil says there is none of the classic
// protocol.
func (c *coordinator) group(id string, create bool) *group {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.groups[id]
	if g == nil && create && !c.closed && c.consumers[id] == nil {
		g = newGroup(id, c.logger, c.delay, c.store)
		c.groups[id] = g
	}
	return g
}

// list returns all groups by id.
func (c *coordinator) list() []*group {
	c.mu.Lock()
	defer c.mu.Unlock()
	return byName(c.groups)
}

// byName are groups in the order of their names.
func byName[G any](groups map[string]G) []G {
	all := make([]G, 0, len(groups))
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		all = append(all, groups[id])
	}
	return all
}

// forget removes a group that is dead.
func (c *coordinator) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, id)
}

// every calls do at intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		do()
	}
}

// close ends all waiting requests and timers, and what waits for a write.
func (c *coordinator) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, g := range c.list() {
		g.close()
	}
	for _, g := range c.listConsumers() {
		g.close()
	}
	c.store.waits.Wait()
}
