package consumergroup

import (
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Check says what is wrong with a heartbeat whatever the group, as Kafka does.
func Check(req *kmsg.ConsumerGroupHeartbeatRequest, assignors []string) error {
	invalid := func(what string) error { return fmt.Errorf("%w: %s", kerr.InvalidRequest, what) }
	isEmpty := func(s *string) bool { return s != nil && strings.TrimSpace(*s) == "" }
	joins := req.MemberEpoch == 0
	switch {
	case strings.TrimSpace(req.MemberID) == "" && (req.Version >= 1 || req.MemberEpoch > 0 || req.MemberEpoch == -1):
		return invalid("a member names itself by an id")
	case strings.TrimSpace(req.Group) == "":
		return invalid("the group's name is empty")
	case len(req.MemberID) > maxKey || req.SubscribedTopicRegex != nil && len(*req.SubscribedTopicRegex) > maxKey:
		return invalid(fmt.Sprintf("a member's id and its expression have at most %d bytes", maxKey))
	case isEmpty(req.InstanceID):
		return invalid("the instance id is empty; leave it out")
	case isEmpty(req.RackID):
		return invalid("the rack is empty; leave it out")
	case joins && req.RebalanceTimeoutMillis == -1:
		return invalid("who joins says its rebalance timeout")
	case joins && (req.Topics == nil || len(req.Topics) > 0):
		return invalid("who joins has no partitions, and says so")
	case joins && req.SubscribedTopicNames == nil && req.SubscribedTopicRegex == nil:
		return invalid("who joins says what it subscribes to, by names or by an expression")
	case req.MemberEpoch == away && req.InstanceID == nil:
		return invalid("only a static member, with an instance id, can leave to come back")
	case req.MemberEpoch < away:
		return invalid("there is no such member epoch")
	case req.ServerAssignor != nil && !slices.Contains(assignors, *req.ServerAssignor):
		return fmt.Errorf("%w: no assignor %s here; there are %s", kerr.UnsupportedAssignor, *req.ServerAssignor, strings.Join(assignors, ", "))
	}
	return nil
}

// Heartbeat takes what a member says of itself and of what it has, and answers what it is to have. req is one that Check
// found nothing wrong with. After an error there may be changes; they are to be undone.
func (g *Group) Heartbeat(req *kmsg.ConsumerGroupHeartbeatRequest, from Client, cfg Config, topics Topics, now time.Time) (*kmsg.ConsumerGroupHeartbeatResponse, error) {
	if req.MemberEpoch < 0 {
		return g.leave(req, topics)
	}
	if len(g.members) >= cfg.MaxSize && g.members[req.MemberID] == nil {
		return nil, fullError(cfg)
	}
	id := req.MemberID
	if id == "" { // version 0: members do not name themselves
		id = rand.Text()
	}
	was, err := g.admit(id, req)
	if err != nil {
		return nil, err
	}
	before, after, err := g.advance(was, was.told(req, from), req.Topics, from, cfg, topics, now)
	if err != nil {
		return nil, err
	}
	return g.answer(req, id, before, after, cfg), nil
}

// advance takes over what a member says of itself, and takes it a step towards its target. said is what it says it has, nil
// if it does not say.
func (g *Group) advance(was, m *member, said []kmsg.ConsumerGroupHeartbeatRequestTopic, from Client, cfg Config, topics Topics, now time.Time) (before, after *held, err error) {
	if !same(g.members[m.id], m) {
		g.do(memberTo{m.id, m})
	}
	renew, err := g.resolve(was, m, from, cfg, topics, now)
	if err != nil {
		return nil, nil, err
	}
	resubscribed := !slices.Equal(was.topics, m.topics) || was.regex != m.regex
	g.renew(renew || resubscribed || g.epoch == 0, topics)
	if g.epoch > g.assigned {
		g.assign(cfg, topics)
	}
	before = g.holds(m.id)
	after = g.reconcile(m, before, resubscribed, said, topics)
	if after != before {
		g.do(heldTo{m.id, after})
	}
	g.await(m, before, after, cfg, now)
	return before, after, nil
}

// admit finds the member that a heartbeat is of. One that joins need not be there; a static one takes the place of its
// former self, which has left to come back.
func (g *Group) admit(id string, req *kmsg.ConsumerGroupHeartbeatRequest) (*member, error) {
	joins := req.MemberEpoch == 0
	if req.InstanceID != nil {
		former := g.members[g.instances[*req.InstanceID]]
		switch {
		case former == nil && !joins:
			return nil, unknownInstance(*req.InstanceID)
		case former != nil && joins && (former.id != id || g.holds(id).epoch == away):
			return g.replace(former, id, false)
		case former != nil && former.id != id:
			return nil, fenced(id, former)
		}
	}
	m := g.members[id]
	if m == nil {
		if !joins {
			return nil, unknownMember(g.id, id)
		}
		return &member{id: id, rebalance: -1}, nil
	}
	return m, g.current(g.holds(id), req)
}

func unknownMember(group, id string) error {
	return fmt.Errorf("%w: %s is not in group %s", kerr.UnknownMemberID, id, group)
}

func unknownInstance(instance string) error {
	return fmt.Errorf("%w: no member has the instance id %s", kerr.UnknownMemberID, instance)
}

func fenced(id string, by *member) error {
	return fmt.Errorf("%w: %s is not the member of instance id %s any more, that is %s", kerr.FencedInstanceID, id, by.instance, by.id)
}

// current checks the epoch that a member comes with. It may be the one before if the answer with the new one was lost.
func (g *Group) current(h *held, req *kmsg.ConsumerGroupHeartbeatRequest) error {
	came := req.MemberEpoch
	if came == 0 || came == h.epoch || came < h.epoch && came == h.previous && owns(req.Topics, h.assigned) {
		return nil
	}
	return fmt.Errorf("%w: it is %d, the member came with %d and has to give up everything and join again", kerr.FencedMemberEpoch, h.epoch, came)
}

// owns tells whether a member says what it has, and that is nothing but some of these.
func owns(said []kmsg.ConsumerGroupHeartbeatRequestTopic, these map[Partition]int32) bool {
	for _, t := range said {
		for _, n := range t.Partitions {
			if _, ok := these[Partition{t.TopicID, n}]; !ok {
				return false
			}
		}
	}
	return said != nil
}

// replace gives a static member that comes back what its former self had. That must have left, unless one of the two speaks
// the classic protocol, in which static members do not say that they leave.
func (g *Group) replace(former *member, id string, byClassic bool) (*member, error) {
	had, target := g.holds(former.id), g.targets[former.id]
	if had.epoch != away && former.classic == nil && !byClassic {
		return nil, fmt.Errorf("%w: %s cannot have the instance id %s before %s leaves or its session ends", kerr.UnreleasedInstanceID, id, former.instance, former.id)
	}
	now := *former
	now.id = id
	g.drop(former.id)
	g.do(memberTo{id, &now})
	if target != nil {
		g.do(targetTo{id, target})
	}
	g.do(heldTo{id, &held{state: had.state, assigned: had.assigned, revoking: had.revoking}})
	return &now, nil
}

// told is the member with what the heartbeat says. What is null there has not changed.
func (m *member) told(req *kmsg.ConsumerGroupHeartbeatRequest, from Client) *member {
	now := *m
	now.clientID, now.clientHost, now.classic = from.ID, from.Host, nil
	set := func(to *string, s *string) {
		if s != nil {
			*to = *s
		}
	}
	set(&now.instance, req.InstanceID)
	set(&now.rack, req.RackID)
	set(&now.assignor, req.ServerAssignor)
	set(&now.regex, req.SubscribedTopicRegex)
	if req.RebalanceTimeoutMillis != -1 {
		now.rebalance = req.RebalanceTimeoutMillis
	}
	if req.SubscribedTopicNames != nil {
		now.topics = ordered(req.SubscribedTopicNames)
	}
	return &now
}

func same(a, b *member) bool {
	if a == nil || !slices.Equal(a.topics, b.topics) {
		return false
	}
	x, y := *a, *b
	x.topics, y.topics = nil, nil
	return x.id == y.id && x.instance == y.instance && x.rack == y.rack && x.clientID == y.clientID && x.clientHost == y.clientHost &&
		x.regex == y.regex && x.rebalance == y.rebalance && x.assignor == y.assignor && sameClassic(x.classic, y.classic)
}

// firstEpoch is a group's first epoch. Kafka leaves 1 to members that wait for their first assignment.
const firstEpoch = 2

// renew begins a new epoch if it must, or if the topics that are subscribed to changed.
func (g *Group) renew(must bool, topics Topics) {
	if !must && g.topics == topics.Version() {
		return
	}
	version := topics.Version()
	if hash := g.hashTopics(topics); must || hash != g.hash {
		g.do(epochTo{max(g.epoch+1, firstEpoch), hash})
	}
	g.topics = version
}

// hashTopics is a number that changes with the topics that are subscribed to.
func (g *Group) hashTopics(topics Topics) int64 {
	names := make(map[string]struct{})
	for _, m := range g.members {
		for _, t := range g.subscription(m) {
			names[t] = struct{}{}
		}
	}
	sum := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if id, partitions, ok := topics.Topic(name); ok {
			fmt.Fprint(sum, len(name), name, partitions)
			sum.Write(id[:])
		}
	}
	return int64(sum.Sum64())
}

// await sets by when the member must come again, and by when it must have taken its next step.
func (g *Group) await(m *member, before, after *held, cfg Config, now time.Time) {
	d := g.deadlines[m.id]
	d.session = now.Add(m.session(cfg))
	switch {
	case m.classic == nil && after.state != unrevoked:
		d.step = time.Time{}
	case m.classic != nil || after != before || d.step.IsZero(): // it joined, or has partitions to give up
		d.step = now.Add(time.Duration(m.rebalance) * time.Millisecond)
	}
	g.deadlines[m.id] = d
}

// answer tells the member what it has if it joined, asked for it by saying all of itself, or has something else now.
func (g *Group) answer(req *kmsg.ConsumerGroupHeartbeatRequest, id string, before, after *held, cfg Config) *kmsg.ConsumerGroupHeartbeatResponse {
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis = &id, after.epoch, int32(cfg.Heartbeat/time.Millisecond)
	whole := req.RebalanceTimeoutMillis != -1 && (req.SubscribedTopicNames != nil || req.SubscribedTopicRegex != nil) && req.Topics != nil
	if req.MemberEpoch != 0 && !whole && maps.EqualFunc(before.assigned, after.assigned, func(int32, int32) bool { return true }) {
		return resp
	}
	a := kmsg.NewConsumerGroupHeartbeatResponseAssignment()
	ids, numbers := byTopic(sorted(after.assigned))
	for i := range ids {
		t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
		t.TopicID, t.Partitions = ids[i], numbers[i]
		a.Topics = append(a.Topics, t)
	}
	resp.Assignment = &a
	return resp
}
