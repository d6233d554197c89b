package plugins

import (
	"context"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// sinkItem is one thing the hub wants of a sink task: a put or a call.
type sinkItem struct {
	call       *pluginpb.SinkCall
	putDropped bool // of a close: the failed put was among what it dropped

	put     *pluginpb.Put
	from    connectors.TopicPartition
	schemas []*connectors.Schema
	records *connectors.Records // once decoded; without the records that were set aside
	charge  int64
}

// sinkLine is what waits for a sink task, in order.
//
// When a put fails, the line stands: the put stays at its head, and the opens and flushes behind it are dropped,
// because the hub takes the failure as their answer. Two things move it on: again, and a close of the partition.
type sinkLine struct {
	mu      sync.Mutex
	items   []*sinkItem
	running *sinkItem
	stop    context.CancelFunc // of the running item
	failed  bool               // items[0] is a put that failed
	grants  grants
	wake    chan struct{}
}

func newSinkLine(window int64) *sinkLine {
	return &sinkLine{grants: grants{window: window}, wake: make(chan struct{}, 1)}
}

// add puts an item at the end.
func (l *sinkLine) add(item *sinkItem) {
	l.mu.Lock()
	if item.put != nil || !l.failed {
		l.items = append(l.items, item)
	}
	l.mu.Unlock()
	signal(l.wake)
}

// again lets a put that failed be tried again.
func (l *sinkLine) again() {
	l.mu.Lock()
	l.failed = false
	l.mu.Unlock()
	signal(l.wake)
}

// close adds a close, and drops the puts of its partitions that are not being worked on: they will be given to
// whoever opens the partition next. It returns the credit to grant for them.
func (l *sinkLine) close(item *sinkItem) (granted int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := partsFromWall(item.call.GetParts())
	var kept []*sinkItem
	for i, other := range l.items {
		if other.put == nil || other == l.running || !slices.Contains(parts, other.from) {
			kept = append(kept, other)
			continue
		}
		granted += l.grants.add(other.charge)
		if i == 0 && l.failed {
			l.failed, item.putDropped = false, true
		}
	}
	if l.failed {
		l.items = append([]*sinkItem{item}, kept...) // the put that failed is not in its way
	} else {
		l.items = append(kept, item)
	}
	signal(l.wake)
	return granted
}

// next waits for the next item that may run, and returns it with its context. It reports false when ctx ends.
func (l *sinkLine) next(ctx context.Context) (*sinkItem, context.Context, bool) {
	for {
		l.mu.Lock()
		if len(l.items) > 0 && (!l.failed || l.items[0].call != nil) && ctx.Err() == nil {
			item := l.items[0]
			var itemCtx context.Context
			itemCtx, l.stop = context.WithCancel(ctx)
			l.running = item
			l.mu.Unlock()
			return item, itemCtx, true
		}
		l.mu.Unlock()
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil, nil, false
		}
	}
}

// done removes the item that ran, and returns the credit to grant.
func (l *sinkLine) done(item *sinkItem) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ran()
	l.items = slices.DeleteFunc(l.items, func(i *sinkItem) bool { return i == item })
	if item.put == nil {
		return 0
	}
	return l.grants.add(item.charge)
}

func (l *sinkLine) ran() {
	l.stop()
	l.running = nil
}

// fail stops the line at a put. It reports false, and does nothing, if the put's partition is being closed.
func (l *sinkLine) fail(item *sinkItem) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, other := range l.items {
		if other.call.GetWhat() == pluginpb.SinkCall_CLOSE && slices.Contains(partsFromWall(other.call.GetParts()), item.from) {
			return false
		}
	}
	l.ran()
	l.failed = true
	var closes, kept []*sinkItem
	for _, other := range l.items {
		switch {
		case other.put != nil:
			kept = append(kept, other)
		case other.call.GetWhat() == pluginpb.SinkCall_CLOSE:
			closes = append(closes, other)
		}
	}
	l.items = append(closes, kept...)
	return true
}

// cancel ends a call that runs, and forgets one that waits.
func (l *sinkLine) cancel(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil && l.running.call != nil && l.running.call.GetId() == id {
		l.stop()
		return
	}
	l.items = slices.DeleteFunc(l.items, func(i *sinkItem) bool { return i.call != nil && i.call.GetId() == id })
}
