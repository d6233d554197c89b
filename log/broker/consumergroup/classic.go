package consumergroup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/layout"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members of the classic protocol may be in a group beside those of the consumer protocol, so that the members of an
// application can be changed from one to the other one after another. What is a generation to them is their epoch. They
// ask by joining again, which a heartbeat tells them to, and are answered by SyncGroup; nobody leads them. In the
// metadata that they join with they say what they have: nothing, where their assignor makes them give up all before.

// consumerProtocol is the type of the classic protocol of which the metadata is known.
const consumerProtocol = "consumer"

// classic is what a member of the classic protocol says of itself beside the rest. It is never changed in place.
type classic struct {
	session   int32 // ms; it has a session timeout of its own
	protocols []kmsg.JoinGroupRequestProtocol
}

func (c *classic) supports(protocol string) bool {
	return slices.ContainsFunc(c.protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return p.Name == protocol })
}

func sameClassic(a, b *classic) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.session == b.session && slices.EqualFunc(a.protocols, b.protocols, func(p, q kmsg.JoinGroupRequestProtocol) bool {
		return p.Name == q.Name && bytes.Equal(p.Metadata, q.Metadata)
	})
}

// Join lets a member of the classic protocol join, or join again. id is the id of one that has none yet. After an error
// there may be changes; they are to be undone.
func (g *Group) Join(req *kmsg.JoinGroupRequest, id string, from Client, cfg Config, topics Topics, now time.Time) (*kmsg.JoinGroupResponse, error) {
	if req.MemberID != "" {
		id = req.MemberID
	}
	if len(g.members) >= cfg.MaxSize && g.members[id] == nil {
		return nil, fullError(cfg)
	}
	if req.ProtocolType != consumerProtocol || !slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return g.allSupport(p.Name, id) }) {
		return nil, fmt.Errorf("%w: the members of group %s that speak the classic protocol have no assignor in common with %s", kerr.InconsistentGroupProtocol, g.id, id)
	}
	metadata, err := subscriptionOf(req.Protocols)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.InconsistentGroupProtocol, err)
	}
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	if resp.MemberID = id; req.MemberID == "" && req.InstanceID == nil && req.Version >= 4 { // KIP-394: it is to come back with the id
		resp.ErrorCode, resp.Generation = kerr.MemberIDRequired.Code, -1
		return resp, nil
	}
	was, err := g.admitClassic(id, req)
	if err != nil {
		return nil, err
	}
	m := *was
	m.clientID, m.clientHost, m.topics, m.regex, m.assignor = from.ID, from.Host, ordered(metadata.Topics), "", ""
	m.rebalance, m.classic = req.RebalanceTimeoutMillis, &classic{req.SessionTimeoutMillis, req.Protocols}
	if req.InstanceID != nil {
		m.instance = *req.InstanceID
	}
	if metadata.Rack != nil {
		m.rack = *metadata.Rack
	}
	_, after, err := g.advance(was, &m, ownedBy(metadata, topics), from, cfg, topics, now)
	if err != nil {
		return nil, err
	}
	resp.Generation = after.epoch
	resp.ProtocolType, resp.Protocol = kmsg.StringPtr(consumerProtocol), &m.classic.protocols[0].Name
	return resp, nil
}

func fullError(cfg Config) error {
	return fmt.Errorf("%w: %d members are in it (group.consumer.max.size)", kerr.GroupMaxSizeReached, cfg.MaxSize)
}

// allSupport tells whether all members of the classic protocol but one support an assignor.
func (g *Group) allSupport(protocol, but string) bool {
	for id, m := range g.members {
		if id != but && m.classic != nil && !m.classic.supports(protocol) {
			return false
		}
	}
	return true
}

// What clients wrote for each other.
var (
	memberMetadata   = layout.NewMessage("[string] bytes [{string [i32]}]:1+ i32:2+ string:3+", 3, 4)
	memberAssignment = layout.NewMessage("[{string [i32]}] bytes", 3, 4)
)

// subscriptionOf reads what a member of the classic protocol subscribes to: its protocols all say the same of that.
func subscriptionOf(protocols []kmsg.JoinGroupRequestProtocol) (*kmsg.ConsumerMemberMetadata, error) {
	metadata := kmsg.NewConsumerMemberMetadata()
	if len(protocols) == 0 {
		return nil, fmt.Errorf("a member without protocols")
	}
	if err := memberMetadata.Decode(&metadata, protocols[0].Metadata); err != nil {
		return nil, fmt.Errorf("metadata of protocol %s: %w", protocols[0].Name, err)
	}
	return &metadata, nil
}

func ordered(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// ownedBy are the partitions that a member says it has, as a heartbeat of the consumer protocol says it.
func ownedBy(metadata *kmsg.ConsumerMemberMetadata, topics Topics) []kmsg.ConsumerGroupHeartbeatRequestTopic {
	said := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for _, o := range metadata.OwnedPartitions {
		if id, _, ok := topics.Topic(o.Topic); ok {
			said = append(said, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: id, Partitions: o.Partitions})
		}
	}
	return said
}

// admitClassic finds the member that joins. A static one that has no id takes the place of its former self, whichever
// protocol that speaks.
func (g *Group) admitClassic(id string, req *kmsg.JoinGroupRequest) (*member, error) {
	if req.InstanceID != nil {
		former := g.members[g.instances[*req.InstanceID]]
		switch {
		case former != nil && req.MemberID == "":
			return g.replace(former, id, true)
		case former == nil && req.MemberID != "":
			return nil, unknownInstance(*req.InstanceID)
		case former != nil && former.id != id:
			return nil, fenced(id, former)
		}
	}
	if m := g.members[id]; m != nil {
		return m, nil
	}
	return &member{id: id, rebalance: -1}, nil
}

// classicMember is the member of the classic protocol of that id, which must be of that generation.
func (g *Group) classicMember(id string, instance *string, generation int32) (*member, *held, error) {
	if instance != nil {
		if m := g.members[g.instances[*instance]]; m == nil {
			return nil, nil, unknownInstance(*instance)
		} else if m.id != id {
			return nil, nil, fenced(id, m)
		}
	}
	m := g.members[id]
	if m == nil || m.classic == nil {
		return nil, nil, unknownMember(g.id, id)
	}
	h := g.holds(id)
	if h.epoch != generation {
		return nil, nil, fmt.Errorf("%w: %s is in %d, not in %d", kerr.IllegalGeneration, id, h.epoch, generation)
	}
	return m, h, nil
}

// Sync answers what a member of the classic protocol is to have.
func (g *Group) Sync(req *kmsg.SyncGroupRequest, topics Topics, now time.Time) (*kmsg.SyncGroupResponse, error) {
	m, h, err := g.classicMember(req.MemberID, req.InstanceID, req.Generation)
	if err != nil {
		return nil, err
	}
	if req.ProtocolType != nil && *req.ProtocolType != consumerProtocol || req.Protocol != nil && *req.Protocol != m.classic.protocols[0].Name {
		return nil, kerr.InconsistentGroupProtocol
	}
	if g.epoch > h.epoch && h.state != unrevoked {
		g.heardClassic(m, true, now)
		return nil, kerr.RebalanceInProgress
	}
	g.heardClassic(m, false, now)
	resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
	resp.ProtocolType, resp.Protocol = req.ProtocolType, req.Protocol
	resp.MemberAssignment = g.assignment(m, sorted(h.assigned), topics)
	return resp, nil
}

// Beat takes a heartbeat of a member of the classic protocol, and says whether it has to join again: there is a new epoch,
// it must say that it gave up what it must, or what it waits for is free.
func (g *Group) Beat(req *kmsg.HeartbeatRequest, topics Topics, now time.Time) (rejoin bool, err error) {
	m, h, err := g.classicMember(req.MemberID, req.InstanceID, req.Generation)
	if err != nil {
		return false, err
	}
	g.renew(false, topics)
	rejoin = h.epoch < g.epoch || h.state == unrevoked || h.state == unreleased && !g.waits(m, topics)
	g.heardClassic(m, rejoin, now)
	return rejoin, nil
}

// waits tells whether others have what a member should have.
func (g *Group) waits(m *member, topics Topics) bool {
	return slices.ContainsFunc(g.wanted(m, topics), func(p Partition) bool {
		owner, ok := g.owners[p]
		return ok && owner != m.id
	})
}

// heardClassic winds the session of a member of the classic protocol anew. One that has to join again must do so in time,
// and the time runs from when it was first told.
func (g *Group) heardClassic(m *member, rejoin bool, now time.Time) {
	d := g.deadlines[m.id]
	d.session = now.Add(m.session(Config{}))
	if !rejoin {
		d.step = time.Time{}
	} else if d.step.IsZero() {
		d.step = now.Add(time.Duration(m.rebalance) * time.Millisecond)
	}
	g.deadlines[m.id] = d
}

// session is after how long the member is gone if it is silent.
func (m *member) session(cfg Config) time.Duration {
	if m.classic != nil {
		return time.Duration(m.classic.session) * time.Millisecond
	}
	return cfg.Session
}

// LeaveClassic lets a member of the classic protocol go. A static one can be named by its instance id alone.
func (g *Group) LeaveClassic(id string, instance *string, topics Topics) error {
	if instance != nil {
		m := g.members[g.instances[*instance]]
		if m == nil {
			return unknownInstance(*instance)
		}
		if id != "" && m.id != id {
			return fenced(id, m)
		}
		id = m.id
	}
	if m := g.members[id]; m == nil || m.classic == nil {
		return unknownMember(g.id, id)
	}
	g.remove([]string{id}, topics)
	return nil
}

// assignment are partitions as the classic protocol says them, in the version in which the member spoke.
func (g *Group) assignment(m *member, parts []Partition, topics Topics) []byte {
	names := make(map[log.TopicID]string)
	for _, name := range g.subscription(m) {
		if id, _, ok := topics.Topic(name); ok {
			names[id] = name
		}
	}
	a := kmsg.NewConsumerMemberAssignment()
	a.Version = int16(binary.BigEndian.Uint16(m.classic.protocols[0].Metadata)) // it was read, so it is there
	ids, numbers := byTopic(parts)
	for i, id := range ids {
		if name, ok := names[id]; ok {
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: name, Partitions: numbers[i]})
		}
	}
	return a.AppendTo(nil)
}

// ClassicMember is a member of a group of the classic protocol.
type ClassicMember struct {
	ID, ClientID, ClientHost string
	Instance                 *string
	Session, Rebalance       time.Duration
	Protocols                []kmsg.JoinGroupRequestProtocol
	Assignment               []byte // the last that it was told, nil none
}

// Upgrade is a group of the members of one of the classic protocol, which are in a generation. What they were told to have
// is what they have and should have. It fails for members whose metadata is not the one of Kafka's consumers.
func Upgrade(id string, generation int32, members []ClassicMember, topics Topics, now time.Time) (*Group, error) {
	g := New(id)
	epoch := max(generation, 1)
	g.do(epochTo{epoch: epoch})
	g.do(assignedTo{epoch})
	for i := range members {
		c := &members[i]
		metadata, err := subscriptionOf(c.Protocols)
		if err != nil {
			return nil, err
		}
		m := &member{id: c.ID, instance: orEmpty(c.Instance), rack: orEmpty(metadata.Rack), clientID: c.ClientID, clientHost: c.ClientHost,
			topics: ordered(metadata.Topics), rebalance: int32(c.Rebalance.Milliseconds()), classic: &classic{int32(c.Session.Milliseconds()), c.Protocols}}
		has, err := g.told(c, topics)
		if err != nil {
			return nil, err
		}
		g.do(memberTo{m.id, m})
		g.do(targetTo{m.id, sorted(has)})
		g.do(heldTo{m.id, &held{epoch: epoch, previous: epoch, assigned: has}})
		g.heardClassic(m, false, now)
	}
	return g, nil
}

// told is what a member of the classic protocol was told to have.
func (g *Group) told(c *ClassicMember, topics Topics) (map[Partition]int32, error) {
	has := make(map[Partition]int32)
	if len(c.Assignment) == 0 {
		return has, nil
	}
	a := kmsg.NewConsumerMemberAssignment()
	if err := memberAssignment.Decode(&a, c.Assignment); err != nil {
		return nil, fmt.Errorf("assignment of %s: %w", c.ID, err)
	}
	if len(a.UserData) > 0 {
		return nil, fmt.Errorf("the assignment of %s is of an assignor that adds data of its own", c.ID)
	}
	for _, t := range a.Topics {
		topic, partitions, ok := topics.Topic(t.Topic)
		for _, n := range t.Partitions {
			if !ok || n < 0 || n >= partitions {
				continue
			}
			p := Partition{topic, n}
			if owner, taken := g.owners[p]; taken {
				return nil, fmt.Errorf("partition %d of %s is assigned to %s and to %s", n, t.Topic, owner, c.ID)
			}
			has[p] = g.epoch
		}
	}
	return has, nil
}

// Downgrade are the members and the generation with which the group goes on as one of the classic protocol: the one that
// the members know, not one that began since Keep. It is false unless all members speak that protocol.
func (g *Group) Downgrade(topics Topics) (generation int32, members []ClassicMember, ok bool) {
	for _, m := range g.members {
		if m.classic == nil {
			return 0, nil, false
		}
	}
	generation = g.epoch
	for _, c := range g.undo {
		if e, ok := c.(epochTo); ok {
			generation = e.epoch
			break
		}
	}
	for _, id := range g.memberIDs() {
		m := g.members[id]
		members = append(members, ClassicMember{ID: id, ClientID: m.clientID, ClientHost: m.clientHost, Instance: orNull(m.instance), Session: m.session(Config{}),
			Rebalance: time.Duration(m.rebalance) * time.Millisecond, Protocols: m.classic.protocols, Assignment: g.assignment(m, g.targets[id], topics)})
	}
	return generation, members, len(members) > 0
}
