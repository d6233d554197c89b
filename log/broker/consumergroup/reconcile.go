package consumergroup

import (
	"slices"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// reconcile takes a member a step towards its target, and returns what it has then; h itself if that is no step. said
// is what the member says it has, nil if it does not say.
func (g *Group) reconcile(m *member, h *held, resubscribed bool, said []kmsg.ConsumerGroupHeartbeatRequestTopic, topics Topics) *held {
	if !resubscribed && h.state == stable && h.epoch == g.assigned {
		return h
	}
	epoch := h.epoch
	switch h.state {
	case stable:
		if h.epoch == g.assigned {
			return h // its new subscription changes nothing
		}
	case unrevoked:
		if has(said, h.revoking) {
			return h
		}
		epoch = min(h.epoch+1, g.assigned)
	}
	return g.next(m, h, epoch, said, topics)
}

// has tells whether a member may have one of these partitions still: it says so, or says nothing.
func has(said []kmsg.ConsumerGroupHeartbeatRequestTopic, these map[Partition]int32) bool {
	if said == nil {
		return true
	}
	for _, t := range said {
		for _, n := range t.Partitions {
			if _, ok := these[Partition{t.TopicID, n}]; ok {
				return true
			}
		}
	}
	return false
}

// next is what a member has after the step: first it gives up what is not in its target, then it gets what nobody has.
func (g *Group) next(m *member, h *held, epoch int32, said []kmsg.ConsumerGroupHeartbeatRequestTopic, topics Topics) *held {
	target := g.wanted(m, topics)
	keep, revoke := make(map[Partition]int32), make(map[Partition]int32)
	for p, since := range h.assigned {
		if _, ok := slices.BinarySearchFunc(target, p, comparePartitions); ok {
			keep[p] = since
		} else {
			revoke[p] = since
		}
	}
	if len(revoke) > 0 && has(said, revoke) {
		return &held{epoch: epoch, previous: h.epoch, state: unrevoked, assigned: keep, revoking: revoke}
	}
	after := &held{epoch: g.assigned, previous: h.epoch, state: stable, assigned: keep}
	for _, p := range target {
		if _, ok := keep[p]; ok {
			continue
		}
		if owner, ok := g.owners[p]; ok && owner != m.id {
			after.state = unreleased
			continue
		}
		keep[p] = g.assigned
	}
	if h.state == after.state && h.epoch == after.epoch && len(h.assigned) == len(keep) && len(revoke)+len(h.revoking) == 0 {
		return h // it waits on
	}
	return after
}

// wanted is the member's target without topics that it does not subscribe to any more.
func (g *Group) wanted(m *member, topics Topics) []Partition {
	target := g.targets[m.id]
	subscribed := make(map[log.TopicID]bool)
	for _, name := range g.subscription(m) {
		if id, _, ok := topics.Topic(name); ok {
			subscribed[id] = true
		}
	}
	if !slices.ContainsFunc(target, func(p Partition) bool { return !subscribed[p.Topic] }) {
		return target
	}
	return slices.DeleteFunc(slices.Clone(target), func(p Partition) bool { return !subscribed[p.Topic] })
}
