package plugins

import (
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// commits merges commits that wait: of each source partition only the last offset counts.
type commits struct {
	mu   sync.Mutex
	list []connectors.SourceOffset // replaced ones have no partition
	at   map[string]int            // by partition
	wake chan struct{}
}

func newCommits() commits { return commits{at: map[string]int{}, wake: make(chan struct{}, 1)} }

func (c *commits) add(offsets []*pluginpb.SourceOffset) {
	c.mu.Lock()
	for _, o := range offsetsFromWall(nil, offsets) {
		if i, ok := c.at[string(o.Partition)]; ok {
			c.list[i] = connectors.SourceOffset{}
		}
		c.at[string(o.Partition)] = len(c.list)
		c.list = append(c.list, o)
	}
	if len(c.list) > 2*len(c.at)+64 {
		c.list = c.compact(nil)
		for i, o := range c.list {
			c.at[string(o.Partition)] = i
		}
	}
	c.mu.Unlock()
	signal(c.wake)
}

func (c *commits) take() []connectors.SourceOffset {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.compact(make([]connectors.SourceOffset, 0, len(c.at)))
	c.list = c.list[:0]
	clear(c.at)
	return out
}

func (c *commits) compact(dst []connectors.SourceOffset) []connectors.SourceOffset {
	for _, o := range c.list {
		if o.Partition != nil {
			dst = append(dst, o)
		}
	}
	return dst
}
