package consumergroup

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leave lets a member go: for good, or, a static one, until it comes back.
func (g *Group) leave(req *kmsg.ConsumerGroupHeartbeatRequest, topics Topics) (*kmsg.ConsumerGroupHeartbeatResponse, error) {
	id := req.MemberID
	if req.InstanceID != nil {
		m := g.members[g.instances[*req.InstanceID]]
		if m == nil {
			return nil, unknownInstance(*req.InstanceID)
		}
		if m.id != id {
			return nil, fenced(id, m)
		}
	}
	if g.members[id] == nil {
		return nil, unknownMember(g.id, id)
	}
	if req.MemberEpoch == away {
		g.sendAway(id)
	} else {
		g.remove([]string{id}, topics)
	}
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch = &id, req.MemberEpoch
	return resp, nil
}

// sendAway keeps what a static member has for when it comes back, until its session ends.
func (g *Group) sendAway(id string) {
	h := *g.holds(id)
	h.epoch, h.revoking = away, nil
	kept := make(map[Partition]int32, len(h.assigned))
	for p := range h.assigned {
		kept[p] = 0 // who comes back begins at any epoch
	}
	h.assigned = kept
	g.do(heldTo{id, &h})
	d := g.deadlines[id]
	d.step = time.Time{}
	g.deadlines[id] = d
}

// remove deletes members. Those that stay get their partitions with the new epoch.
func (g *Group) remove(ids []string, topics Topics) {
	for _, id := range ids {
		g.drop(id)
	}
	for regex := range g.resolved {
		if !g.uses(regex) {
			g.do(resolvedTo{regex, nil})
		}
	}
	g.renew(true, topics)
}

// Deadline is the first time at which Expire has something to do; zero if nobody is in the group.
func (g *Group) Deadline() time.Time {
	var first time.Time
	for _, d := range g.deadlines {
		for _, t := range []time.Time{d.session, d.step} {
			if !t.IsZero() && (first.IsZero() || t.Before(first)) {
				first = t
			}
		}
	}
	return first
}

// Expire removes the members that were not heard of for too long, or did not give up partitions in time, and returns
// them by id.
func (g *Group) Expire(topics Topics, now time.Time) []string {
	var late []string
	for id, d := range g.deadlines {
		if !d.session.After(now) || !d.step.IsZero() && !d.step.After(now) {
			late = append(late, id)
		}
	}
	if len(late) > 0 {
		slices.Sort(late)
		g.remove(late, topics)
	}
	return late
}

// Resume makes a group that was loaded ready: its members must be heard of from now on. What is of no member is
// forgotten.
func (g *Group) Resume(cfg Config, now time.Time) {
	for id := range g.held {
		if g.members[id] == nil {
			heldTo{id, nil}.apply(g)
		}
	}
	for id := range g.targets {
		if g.members[id] == nil {
			delete(g.targets, id)
		}
	}
	for id, m := range g.members {
		d := deadline{session: now.Add(m.session(cfg))}
		if g.holds(id).state == unrevoked {
			d.step = now.Add(time.Duration(m.rebalance) * time.Millisecond)
		}
		g.deadlines[id] = d
	}
}

// MayCommit checks that a member may commit offsets with the epoch it comes with. The function it returns checks that for
// a partition: an epoch that is not the last is good for what the member has had since then (KIP-1251).
func (g *Group) MayCommit(id string, epoch int32) (func(Partition) error, error) {
	if g.members[id] == nil {
		return nil, unknownMember(g.id, id)
	}
	h := g.holds(id)
	if g.members[id].classic != nil {
		if epoch != h.epoch {
			return nil, kerr.IllegalGeneration
		}
		return func(Partition) error { return nil }, nil
	}
	if epoch > h.epoch || epoch < 0 {
		return nil, kerr.StaleMemberEpoch
	}
	return func(p Partition) error {
		since, ok := h.assigned[p]
		if !ok {
			since, ok = h.revoking[p]
		}
		if epoch < h.epoch && (!ok || epoch < since) {
			return kerr.StaleMemberEpoch
		}
		return nil
	}, nil
}

// SpeaksClassic tells whether a member speaks the classic protocol.
func (g *Group) SpeaksClassic(id string) bool {
	m := g.members[id]
	return m != nil && m.classic != nil
}

// MayFetch checks that a member may ask for offsets with the epoch it comes with.
func (g *Group) MayFetch(id string, epoch int32) error {
	switch {
	case g.members[id] == nil:
		return unknownMember(g.id, id)
	case g.holds(id).epoch != epoch:
		return kerr.StaleMemberEpoch
	}
	return nil
}
