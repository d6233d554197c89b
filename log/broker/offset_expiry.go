package broker

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kbin"
)

// Committed offsets expire as in Kafka (KIP-211), and a group that is left with neither offsets nor members goes. An offset
// expires offsets.retention.minutes after
//
//	the group became empty   in a classic group that somebody was in
//	it was committed         where nobody ever joined the group; in a stable classic group of consumers, and in one of the
//	                         consumer protocol, if no member subscribes to the topic
//
// In other classic groups none does. One that was committed with a time of its own (OffsetCommit 2 to 4) expires by that,
// where it expires at all. One that an open transaction may replace stays.

// expiry says which offsets of a group are over.
type expiry struct {
	now, retention int64 // ms
	since          int64 // ms since 1970 that count for all offsets; negative: the time of each commit
	reads          func(topic string) bool
}

func (e *expiry) over(p place, c committed) bool {
	switch {
	case e.reads != nil && e.reads(p.topic):
		return false
	case c.expires != 0:
		return e.now >= c.expires
	case e.since >= 0:
		return e.now-e.since >= e.retention
	}
	return e.now-c.at >= e.retention
}

// expiresAt is when an offset expires that is to be kept for so many ms; -1 leaves it to the broker.
func expiresAt(retention int64) int64 {
	if retention == -1 {
		return 0
	}
	now := time.Now().UnixMilli()
	return now + min(retention, math.MaxInt64-now)
}

// maxExpired is how many bytes of tombstones are written at once.
const maxExpired = 256 << 10

// expireEvery expires offsets every so often until ctx ends. The retention is in ms.
func (c *coordinator) expireEvery(ctx context.Context, interval time.Duration, retention int64) {
	every(ctx, interval, func() { c.expire(time.Now().UnixMilli(), retention) })
}

// expire deletes what is over.
func (c *coordinator) expire(now, retention int64) {
	c.adopt()
	for _, g := range c.list() {
		n, gone, err := g.expireOffsets(c, &expiry{now: now, retention: retention, since: -1})
		c.expired(g.id, n, gone, err)
	}
	for _, g := range c.listConsumers() {
		n, gone, err := g.expireOffsets(&expiry{now: now, retention: retention, since: -1, reads: g.g.Subscribes})
		c.expired(g.g.ID(), n, gone, err)
	}
}

func (c *coordinator) expired(group string, offsets int, gone bool, err error) {
	if err != nil {
		c.logger.Error("offsets of a group have expired and cannot be deleted; it is tried again (offsets.retention.check.interval.ms)", "group", group, "error", err)
	}
	if offsets > 0 {
		c.logger.Info("offsets of a group expired (offsets.retention.minutes)", "group", group, "offsets", offsets, "group.deleted", gone)
	}
}

// expireOffsets returns how many offsets it deleted, and whether the group.
func (g *group) expireOffsets(c *coordinator, e *expiry) (n int, gone bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.protocolType == "":
	case g.state == stateEmpty:
		e.since = g.since.UnixMilli()
	case g.state == stateStable && g.protocolType == "consumer":
		e.reads = g.reads()
	default:
		return 0, false, nil
	}
	n, left, err := c.store.expire(g.id, e.over)
	if g.dropStaleIDs(); err != nil || left || g.state != stateEmpty || len(g.pendingIDs) > 0 {
		return n, false, err
	}
	if gone, err = g.retire(); gone {
		c.forget(g.id)
	}
	return n, gone, err
}

// reads tells which topics consumers may be reading: all, if one of them does not say what it subscribes to.
func (g *group) reads() func(topic string) bool {
	topics, ok := g.subscribed()
	return func(topic string) bool { return !ok || topics[topic] }
}

// subscribed are the topics that members subscribe to; false if one of them does not say it as consumers do. All versions of
// their metadata begin so:
//
//	version i16 · [] topic string
func (g *group) subscribed() (map[string]bool, bool) {
	topics := make(map[string]bool)
	for _, m := range g.members {
		r := kbin.Reader{Src: m.metadata(g.protocol)}
		r.Int16()
		for range r.ArrayLen() {
			topics[r.String()] = true
		}
		if r.Complete() != nil {
			return nil, false
		}
	}
	return topics, true
}

// expireOffsets returns how many offsets it deleted, and whether the group.
func (g *consumerGroup) expireOffsets(e *expiry) (n int, gone bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return 0, false, nil
	}
	n, left, err := g.c.store.expire(g.g.ID(), e.over)
	if err != nil || left || g.g.Size() > 0 {
		return n, false, err
	}
	_, err = g.delete()
	return n, err == nil, err
}

// expire deletes the offsets of a group that are over, and says how many there were and whether there are or may be others.
// It does not wait until that is durable: what comes back after a crash is over still. No commit can get between the look and
// the write, which would delete it.
func (s *offsetStore) expire(group string, over func(place, committed) bool) (n int, left bool, err error) {
	if gone, left := s.over(group, over); len(gone) == 0 {
		return 0, left, nil
	}
	s.commits.Lock()
	defer s.commits.Unlock()
	gone, left := s.over(group, over)
	if len(gone) == 0 {
		return 0, left, nil
	}
	var b segment.Builder
	addOffsets(&b, group, gone)
	a, err := s.part.Begin(b.Batch(), log.AppendOptions{})
	if err != nil {
		return 0, true, fmt.Errorf("write to %s: %w", offsetsTopic, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range gone {
		s.drop(group, p, a.Result.BaseOffset)
	}
	return len(gone), left, nil
}

// over are the offsets that expire, with what is written of them.
func (s *offsetStore) over(group string, over func(place, committed) bool) (gone map[place]*committed, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	replaced := s.replaced(group)
	gone, size := make(map[place]*committed), 0
	for p, c := range s.by[group] {
		if !over(p, c) || replaced[p] || size > maxExpired {
			left = true
			continue
		}
		gone[p] = nil
		size += len(group) + len(p.topic)
	}
	return gone, left || len(replaced) > 0
}

// replaced are the places for which open transactions have an offset.
func (s *offsetStore) replaced(group string) map[place]bool {
	places := make(map[place]bool)
	for _, offsets := range s.pending {
		for p := range offsets {
			if p.group == group {
				places[p.place] = true
			}
		}
	}
	return places
}
