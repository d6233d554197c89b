package broker

import (
	"fmt"
	"time"

	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group can change its protocol while members are in it, so that those of an application can be changed one after
// another. The first member of the consumer protocol makes it a group of that, in which members of the classic protocol
// go on (consumergroup.Join); when the last one has left it is a classic group again.

// migration says which ways a group with members may change (group.consumer.migration.policy).
type migration struct{ up, down bool }

// upgrade makes a classic group one of the consumer protocol, for a member of that which joins it. All of it is one write,
// which happens or does not. It is false if nobody is in the group: then it need not be.
func (c *coordinator) upgrade(old *group, req *kmsg.ConsumerGroupHeartbeatRequest, from consumergroup.Client) (*kmsg.ConsumerGroupHeartbeatResponse, durable, error, bool) {
	old.mu.Lock()
	defer old.mu.Unlock()
	if old.state == stateDead || len(old.members) == 0 {
		return nil, nil, nil, false
	}
	if !c.migration.up || old.protocolType != "consumer" {
		return nil, nil, fmt.Errorf("%w: the members of group %s speak the classic protocol of %s; they have to leave first (group.consumer.migration.policy)", kerr.GroupIDNotFound, old.id, old.protocolType), true
	}
	now := time.Now()
	g, err := consumergroup.Upgrade(old.id, old.generation, old.classicMembers(), c.topics, now)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: group %s cannot leave the classic protocol: %w", kerr.GroupIDNotFound, old.id, err), true
	}
	resp, err := g.Heartbeat(req, from, c.config(old.id), c.topics, now)
	if err != nil {
		return nil, nil, err, true
	}
	d, err := c.store.put(append([]consumergroup.Record{{Key: groupKey(old.id)}}, g.Records()...))
	if err != nil {
		return nil, nil, err, true
	}
	g.Keep()
	members := g.Size() // from replace on, others may lock it
	c.replace(old, &consumerGroup{c: c, g: g})
	old.dissolve(kerr.RebalanceInProgress.Code)
	c.logger.Info("a group changes to the consumer protocol", "group", old.id, "members", members)
	return resp, d, nil, true
}

// replace puts a group of the consumer protocol in the place of a classic one, unless the coordinator is closed.
func (c *coordinator) replace(old *group, g *consumerGroup) {
	c.mu.Lock()
	delete(c.groups, old.id)
	c.consumers[old.id] = g
	closed := c.closed
	c.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if closed {
		g.end()
	}
	g.arm(g.g.Deadline())
}

// classicMembers are the members with what they were last told to have.
func (g *group) classicMembers() []consumergroup.ClassicMember {
	var all []consumergroup.ClassicMember
	for _, id := range g.memberIDs() {
		m := g.members[id]
		all = append(all, consumergroup.ClassicMember{ID: id, ClientID: m.clientID, ClientHost: m.clientHost, Instance: m.instanceID,
			Session: m.session, Rebalance: m.rebalance, Protocols: m.protocols, Assignment: m.told})
	}
	return all
}

// downgraded is the group as a classic one, nil if it is to stay: it has a member of the consumer protocol, or the policy
// says so. Its members have to join again, since what has gone left partitions.
func (g *consumerGroup) downgraded() *group {
	if !g.c.migration.down {
		return nil
	}
	generation, members, ok := g.g.Downgrade(g.c.topics)
	if !ok {
		return nil
	}
	classic := newGroup(g.g.ID(), g.c.logger, g.c.delay, g.c.store)
	classic.generation, classic.protocolType = generation, "consumer"
	for _, m := range members {
		classic.members[m.ID] = &member{id: m.ID, clientID: m.ClientID, clientHost: m.ClientHost, instanceID: m.Instance,
			session: m.Session, rebalance: m.Rebalance, protocols: m.Protocols, assignment: m.Assignment, told: m.Assignment}
		if m.Instance != nil {
			classic.static[*m.Instance] = m.ID
		}
	}
	if classic.protocol = classic.vote(); classic.protocol == "" {
		return nil
	}
	classic.to(stateStable)
	return classic
}

// become puts the classic group in this one's place.
func (g *consumerGroup) become(classic *group) {
	g.end()
	classic.kept = true
	g.c.mu.Lock()
	delete(g.c.consumers, classic.id)
	g.c.groups[classic.id] = classic
	g.c.mu.Unlock()
	classic.watch()
	g.c.logger.Info("a group changes back to the classic protocol", "group", classic.id, "members", len(classic.members))
}

// mixed is the group of the consumer protocol of that name, if somebody is in it.
func (c *coordinator) mixed(id string) *consumerGroup {
	g := c.consumer(id)
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone || g.g.Size() == 0 {
		return nil
	}
	return g
}

// change is apply, for who has not locked the group yet. Who is told that it is gone looks for it again.
func (g *consumerGroup) change(do func(now time.Time) error) (durable, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil, kerr.CoordinatorNotAvailable
	}
	return g.apply(do)
}

// join lets a member of the classic protocol join.
func (g *consumerGroup) join(r *request, req *kmsg.JoinGroupRequest) reply {
	id := r.clientID
	if req.InstanceID != nil {
		id = *req.InstanceID
	}
	var resp *kmsg.JoinGroupResponse
	d, err := g.change(func(now time.Time) (err error) {
		resp, err = g.g.Join(req, newMemberID(id), r.consumer(), g.c.config(req.Group), g.c.topics, now)
		return err
	})
	return func() kmsg.Response {
		if err == nil {
			err = wait(d)
		}
		if err != nil {
			return joinError(errorCode(storeError(err)), req.MemberID)
		}
		return resp
	}
}

// consumer is the client of a request as groups of the consumer protocol see it.
func (r *request) consumer() consumergroup.Client {
	return consumergroup.Client{ID: r.clientID, Host: "/" + r.c.host,
		MayDescribe: func(topic string) bool { return r.topic(mayDescribe, topic) == nil }}
}

// sync answers a member of the classic protocol what it is to have. That is durable: the member was told of its generation.
func (g *consumerGroup) sync(req *kmsg.SyncGroupRequest) *kmsg.SyncGroupResponse {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return syncError(kerr.CoordinatorNotAvailable.Code)
	}
	resp, err := g.g.Sync(req, g.c.topics, time.Now())
	g.arm(g.g.Deadline())
	if err != nil {
		return syncError(errorCode(err))
	}
	return resp
}

// beat takes the heartbeat of a member of the classic protocol.
func (g *consumerGroup) beat(req *kmsg.HeartbeatRequest) error {
	rejoin := false
	_, err := g.change(func(now time.Time) (err error) {
		rejoin, err = g.g.Beat(req, g.c.topics, now)
		return err
	})
	if err == nil && rejoin {
		err = kerr.RebalanceInProgress
	}
	return err
}

// leave lets members of the classic protocol go.
func (g *consumerGroup) leave(members []kmsg.LeaveGroupRequestMember) (codes []int16, d durable, err error) {
	d, err = g.change(func(time.Time) error {
		for _, m := range members {
			codes = append(codes, errorCode(g.g.LeaveClassic(m.MemberID, m.InstanceID, g.c.topics)))
		}
		return nil
	})
	return codes, d, err
}
