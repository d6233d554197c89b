package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroup is a group of the consumer protocol (KIP-848). What the group is, consumergroup says; here are the lock,
// the clock and the disk. A change is begun to be written before it counts, and is answered when it is durable.
type consumerGroup struct {
	c *coordinator

	mu    sync.Mutex
	g     *consumergroup.Group
	gone  bool // deleted, or the broker is closed: ask the coordinator again
	timer *time.Timer
	wake  time.Time // when timer ends
}

// retryExpiry is how long to wait until the end of a member's session is tried to be written again.
const retryExpiry = time.Second

// logTopics shows the log's topics to groups.
type logTopics struct{ *log.Log }

func (l logTopics) Topic(name string) (log.TopicID, int32, bool) {
	t, err := l.Log.Topic(name)
	if err != nil {
		return log.TopicID{}, 0, false
	}
	return t.ID(), int32(len(t.Partitions())), true
}

func (l logTopics) Names() []string {
	topics := l.Topics()
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name()
	}
	return names
}

func (l logTopics) Version() int64 { return l.TopicsVersion() }

// resume takes over the groups that were read. Those that have neither members nor offsets are forgotten: the random
// names of tools would otherwise pile up.
func (c *coordinator) resume(groups map[string]*consumergroup.Group) error {
	withOffsets := c.store.groups()
	for id, g := range groups {
		if g.Size() == 0 && !slices.Contains(withOffsets, id) {
			g.Delete()
			if _, err := c.store.put(g.Records()); err != nil {
				return err
			}
			continue
		}
		g.Resume(c.config(id), time.Now())
		c.consumers[id] = &consumerGroup{c: c, g: g}
	}
	return nil
}

// start begins to watch the members that were there before the start.
func (c *coordinator) start() {
	for _, g := range c.list() {
		g.watch()
	}
	for _, g := range c.listConsumers() {
		g.mu.Lock()
		g.arm(g.g.Deadline())
		g.mu.Unlock()
	}
}

// consumer returns the group of the consumer protocol of that name, nil if there is none.
func (c *coordinator) consumer(id string) *consumerGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.consumers[id]
}

// joinConsumer returns the group of that name for a member that joins it. A group of the classic protocol that is empty
// becomes one of this; nil says that somebody is in it.
func (c *coordinator) joinConsumer(id string) (*consumerGroup, error) {
	for {
		classic := c.group(id, false)
		if classic != nil {
			classic.mu.Lock()
			retired, err := classic.retire()
			classic.mu.Unlock()
			if err != nil || !retired {
				return nil, err
			}
		}
		c.mu.Lock()
		if classic != nil && c.groups[id] == classic {
			delete(c.groups, id)
		}
		if c.closed {
			c.mu.Unlock()
			return nil, kerr.CoordinatorNotAvailable
		}
		if c.groups[id] != nil { // somebody was faster
			c.mu.Unlock()
			continue
		}
		g := c.consumers[id]
		if g == nil {
			g = &consumerGroup{c: c, g: consumergroup.New(id)}
			c.consumers[id] = g
		}
		c.mu.Unlock()
		return g, nil
	}
}

// retire ends a group of the classic protocol, which is locked, if it is empty.
func (g *group) retire() (bool, error) {
	switch g.state {
	case stateDead:
		return true, nil
	case stateEmpty: // what follows it is written after this, so it need not be waited for
		if _, err := g.tombstone(); err != nil {
			return false, err
		}
		g.to(stateDead)
		return true, nil
	}
	return false, nil
}

// makeClassic makes a group of the consumer protocol, if there is one of that name, one of the classic protocol. It must
// be empty; its offsets stay.
func (c *coordinator) makeClassic(id string) error {
	g := c.consumer(id)
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil
	}
	if g.g.Size() > 0 {
		return fmt.Errorf("%w: somebody joined group %s by the consumer protocol meanwhile", kerr.CoordinatorNotAvailable, id)
	}
	if _, err := g.delete(); err != nil {
		return err
	}
	c.group(id, true)
	return nil
}

// delete deletes the group, which is locked.
func (g *consumerGroup) delete() (durable, error) {
	g.g.Delete()
	gone, err := g.save()
	if err != nil {
		return nil, err
	}
	g.end()
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	delete(g.c.consumers, g.g.ID())
	return gone, nil
}

// listConsumers returns all groups of the consumer protocol by id.
func (c *coordinator) listConsumers() []*consumerGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	return byName(c.consumers)
}

func (g *consumerGroup) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end()
}

func (g *consumerGroup) end() {
	g.gone = true
	if g.timer != nil {
		g.timer.Stop()
	}
}

// heartbeat puts a heartbeat to the group. The answer counts when what it says is durable.
func (c *coordinator) heartbeat(req *kmsg.ConsumerGroupHeartbeatRequest, from consumergroup.Client) (*kmsg.ConsumerGroupHeartbeatResponse, durable, error) {
	for {
		g := c.consumer(req.Group)
		switch {
		case g == nil && req.MemberEpoch == 0:
			if classic := c.group(req.Group, false); classic != nil {
				if resp, d, err, ok := c.upgrade(classic, req, from); ok {
					return resp, d, err
				}
			}
			var err error
			if g, err = c.joinConsumer(req.Group); err != nil {
				return nil, nil, err
			} else if g == nil {
				continue
			}
		case g == nil && c.group(req.Group, false) != nil:
			return nil, nil, fmt.Errorf("%w: %s is a group of the classic protocol", kerr.GroupIDNotFound, req.Group)
		case g == nil:
			return nil, nil, fmt.Errorf("%w: there is no group %s", kerr.GroupIDNotFound, req.Group)
		}
		if resp, a, err, ok := g.heartbeat(req, from); ok {
			return resp, a, err
		}
		if c.isClosed() {
			return nil, nil, kerr.CoordinatorNotAvailable
		}
	}
}

func (c *coordinator) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// heartbeat is false if the group is gone.
func (g *consumerGroup) heartbeat(req *kmsg.ConsumerGroupHeartbeatRequest, from consumergroup.Client) (resp *kmsg.ConsumerGroupHeartbeatResponse, d durable, err error, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil, nil, nil, false
	}
	d, err = g.apply(func(now time.Time) (err error) {
		resp, err = g.g.Heartbeat(req, from, g.c.config(req.Group), g.c.topics, now)
		return err
	})
	if err != nil && g.g.New() {
		g.end()
		g.c.mu.Lock()
		delete(g.c.consumers, req.Group)
		g.c.mu.Unlock()
	}
	return resp, d, err, true
}

// apply lets do change the group, and writes that. Changes of a do that fails are taken back.
func (g *consumerGroup) apply(do func(now time.Time) error) (d durable, err error) {
	if err = do(time.Now()); err != nil {
		g.g.Undo()
	} else {
		d, err = g.save()
	}
	g.arm(g.g.Deadline())
	return d, err
}

// save writes what changed, or takes it back. Nothing changed: nothing to wait for. With that the group may become a
// classic one.
func (g *consumerGroup) save() (durable, error) {
	records := g.g.Records()
	if len(records) == 0 {
		return nil, nil
	}
	classic := g.downgraded()
	if classic != nil {
		g.g.Delete()
		records = append(g.g.Records(), classic.record())
	}
	a, err := g.c.store.put(records)
	if err != nil {
		g.g.Undo()
		return nil, err
	}
	g.g.Keep()
	if classic != nil {
		g.become(classic)
	}
	return a, nil
}

// arm sees to it that expire is called at a time, or before.
func (g *consumerGroup) arm(at time.Time) {
	if g.gone || at.IsZero() || g.timer != nil && !g.wake.After(at) {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.wake = at
	g.timer = time.AfterFunc(time.Until(at), g.expire)
}

// expire removes the members whose time is over.
func (g *consumerGroup) expire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return
	}
	g.timer = nil
	late := g.g.Expire(g.c.topics, time.Now())
	_, err := g.save()
	next := g.g.Deadline()
	switch {
	case err != nil:
		g.c.logger.Error("the end of group members' sessions cannot be written; it is tried again", "group", g.g.ID(), "members", late, "error", err)
		next = time.Now().Add(retryExpiry)
	case len(late) > 0:
		g.c.logger.Info("group members expired", "group", g.g.ID(), "members", late)
	}
	g.arm(next)
}

// checkCommit checks that the sender of a commit is a member with an epoch that may commit. Who has no member id may
// commit while the group is empty. It returns what checks each partition.
func (g *consumerGroup) checkCommit(member string, epoch int32, byHand, transactional bool, version int16) (func(consumergroup.Partition) error, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.gone:
		return nil, kerr.CoordinatorNotAvailable
	case epoch < 0 && g.g.Size() == 0 || byHand && transactional:
		return allPartitions, nil
	}
	check, err := g.g.MayCommit(member, epoch)
	if err == nil && !transactional && version < 9 && !g.g.SpeaksClassic(member) {
		return nil, fmt.Errorf("%w: members of the consumer protocol commit by version 9 or later", kerr.UnsupportedVersion)
	}
	return check, err
}

// wait waits for what was written; nil is nothing.
func wait(a durable) error {
	if a == nil {
		return nil
	}
	return a.Wait(context.Background())
}
