package consumergroup

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicClient is a member of the classic protocol as clients are. An eager one gives up all it has before it joins.
type classicClient struct {
	gt         *groupTest
	id         string
	instance   string
	topics     []string
	eager      bool
	generation int32
	has        []Partition
	rejoin     bool // it gave something up, and says so by joining again
}

func (gt *groupTest) classic(topics ...string) *classicClient {
	return &classicClient{gt: gt, topics: topics, eager: true, generation: -1}
}

// name is the name of a topic, which may be gone.
func (gt *groupTest) name(id log.TopicID) (string, bool) {
	for name, t := range gt.topics.by {
		if t.id == id {
			return name, true
		}
	}
	return "", false
}

func (c *classicClient) protocols() []kmsg.JoinGroupRequestProtocol {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics, m.Generation = 3, c.topics, c.generation
	ids, numbers := byTopic(c.has)
	for i, id := range ids {
		if name, ok := c.gt.name(id); ok && !c.eager {
			m.OwnedPartitions = append(m.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: name, Partitions: numbers[i]})
		}
	}
	all := []kmsg.JoinGroupRequestProtocol{{Name: "cooperative-sticky", Metadata: m.AppendTo(nil)}}
	if c.eager {
		all = slices.Insert(all, 0, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: all[0].Metadata})
	}
	return all
}

// join joins and asks for the assignment. lost: the answer does not arrive.
func (c *classicClient) join(lost bool) error {
	gt := c.gt
	if c.eager {
		c.has = nil
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.MemberID, req.InstanceID, req.ProtocolType, req.Protocols = 9, c.id, orNull(c.instance), "consumer", c.protocols()
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 30_000
	gt.made++
	resp, err := gt.g.Join(req, fmt.Sprintf("classic-%03d", gt.made), Client{ID: "c", Host: "/h", MayDescribe: func(string) bool { return true }}, gt.cfg, gt.topics, gt.now)
	if err != nil {
		gt.g.Undo()
		return err
	}
	if !gt.write() {
		return kerr.NotCoordinator
	}
	if lost {
		return nil
	}
	if c.id = resp.MemberID; resp.ErrorCode == kerr.MemberIDRequired.Code {
		return c.join(false)
	}
	c.generation, c.rejoin = resp.Generation, false
	return c.sync()
}

func (c *classicClient) sync() error {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.MemberID, req.InstanceID, req.Generation = 5, c.id, orNull(c.instance), c.generation
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), &c.protocols()[0].Name
	resp, err := c.gt.g.Sync(req, c.gt.topics, c.gt.now)
	if err != nil {
		c.rejoin = true
		return err
	}
	a := kmsg.NewConsumerMemberAssignment()
	c.gt.must(a.ReadFrom(resp.MemberAssignment))
	var now []Partition
	for _, t := range a.Topics {
		id, _, ok := c.gt.topics.Topic(t.Topic)
		if !ok {
			c.gt.Fatalf("%s is assigned %s, which is gone", c.id, t.Topic)
		}
		for _, n := range t.Partitions {
			now = append(now, Partition{id, n})
		}
	}
	slices.SortFunc(now, comparePartitions)
	c.rejoin = slices.ContainsFunc(c.has, func(p Partition) bool { return !slices.Contains(now, p) })
	c.has = now
	return nil
}

// beat sends a heartbeat, and joins again if it is told to.
func (c *classicClient) beat() error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.MemberID, req.InstanceID, req.Generation = c.id, orNull(c.instance), c.generation
	rejoin, err := c.gt.g.Beat(req, c.gt.topics, c.gt.now)
	if err != nil {
		c.gt.g.Undo()
		return err
	}
	if !c.gt.write() {
		return kerr.NotCoordinator
	}
	if rejoin || c.rejoin {
		return c.join(false)
	}
	return nil
}

// goOn does what a client does after an error: it gives up what it has where it lost it, and joins.
func (c *classicClient) goOn(err error) error {
	switch {
	case errors.Is(err, kerr.UnknownMemberID):
		c.id, c.has, c.generation = "", nil, -1
		return c.join(false)
	case errors.Is(err, kerr.IllegalGeneration):
		c.has, c.generation = nil, -1
		return c.join(false)
	case errors.Is(err, kerr.RebalanceInProgress):
		return c.join(false)
	case errors.Is(err, kerr.NotCoordinator):
		return nil
	}
	return err
}

// stepClassic lets a member of the classic protocol do something.
func (m *model) stepClassic() {
	ids := slices.Sorted(maps.Keys(m.classics))
	dice := m.rnd.IntN(100)
	if len(ids) == 0 || dice < 10 && len(ids) < 6 {
		m.next++
		c := m.classic(m.subscription()...)
		c.eager = m.rnd.IntN(2) == 0
		if m.rnd.IntN(4) == 0 {
			c.instance = fmt.Sprintf("i%d", m.rnd.IntN(3))
		}
		m.fail = m.rnd.IntN(10) == 0
		if c.join(false) == nil && c.id != "" {
			m.classics[fmt.Sprint(m.next)] = c
		}
		return
	}
	key := ids[m.rnd.IntN(len(ids))]
	c := m.classics[key]
	m.fail = m.rnd.IntN(20) == 0
	var err error
	switch {
	case dice < 15:
		delete(m.classics, key)
		if m.rnd.IntN(2) == 0 { // else it dies
			_ = m.g.LeaveClassic(c.id, nil, m.topics) // it may be gone already
		}
		return
	case dice < 20:
		c.topics = m.subscription()
		err = c.join(false)
	case dice < 25:
		err = c.join(true)
	default:
		err = c.beat()
	}
	for range 3 {
		if err == nil {
			break
		}
		err = c.goOn(err)
	}
	if err != nil && !errors.Is(err, kerr.RebalanceInProgress) {
		delete(m.classics, key) // its instance id is another's
	}
}

// checkClassic looks for a member of the classic protocol that reads what is another's. One of an old generation does not
// know yet that it lost what it had, and cannot commit.
func (m *model) checkClassic(owner map[Partition]string, seed uint64, step int) {
	for _, c := range m.classics {
		for _, p := range c.has {
			if o, ok := owner[p]; ok && o != c.id && m.g.SpeaksClassic(c.id) && c.generation == m.g.holds(c.id).epoch {
				m.Fatalf("seed %d, step %d: %s, eager %v, reads %v, which is %s's", seed, step, c.id, c.eager, p, o)
			}
		}
	}
}

func (m *model) calmClassic() {
	for _, key := range slices.Sorted(maps.Keys(m.classics)) {
		c := m.classics[key]
		err := c.beat()
		for range 3 {
			if err != nil {
				err = c.goOn(err)
			}
		}
		if err != nil && !errors.Is(err, kerr.RebalanceInProgress) {
			delete(m.classics, key)
		}
	}
}

func TestClassicMemberInAConsumerGroup(t *testing.T) {
	gt := newGroupTest(t)
	id := gt.topics.make("t", 4)
	a := gt.client("a", "t").join()
	c := gt.classic("t")
	if err := c.join(false); err != nil || len(c.has) != 0 {
		t.Fatalf("the member has %v before it is free, %v", c.has, err)
	}
	gt.must(c.beat())
	a.beat() // learns that it must give up two
	a.beat() // and says that it has
	gt.must(c.beat())
	gt.want("the member of the classic protocol has", len(c.has), 2)
	gt.want("the other one has", len(a.has), 2)
	gt.restart()
	gt.must(c.beat())
	if !gt.g.SpeaksClassic(c.id) || gt.g.SpeaksClassic("a") {
		t.Error("after a restart it is not known who speaks which protocol")
	}
	_, err := gt.g.MayCommit(c.id, c.generation-1)
	gt.refused("a commit of another generation", err, kerr.IllegalGeneration)
	mayCommit, err := gt.g.MayCommit(c.id, c.generation)
	gt.must(err)
	gt.must(mayCommit(Partition{id, 0}))

	stranger := gt.classic("t")
	stranger.eager = false
	gt.must(stranger.join(false)) // cooperative-sticky is supported by all
	gt.must(gt.g.LeaveClassic(stranger.id, nil, gt.topics))
	gt.write()
	gt.now = gt.now.Add(9 * time.Second)
	gt.must(c.beat())
	a.beat()
	gt.now = gt.now.Add(11 * time.Second)
	gt.want("whose session of its own is over", fmt.Sprint(gt.g.Expire(gt.topics, gt.now)), fmt.Sprint([]string{c.id}))
	gt.write()
	gt.refused("who is gone", c.beat(), kerr.UnknownMemberID)
}

func TestClassicMemberMustTakeTheNextStepInTime(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 2)
	c := gt.classic("t")
	gt.must(c.join(false))
	gt.client("a", "t").join()
	for range 6 { // it lives, but does not join again
		gt.now = gt.now.Add(5 * time.Second)
		req := kmsg.NewPtrHeartbeatRequest()
		req.MemberID, req.Generation = c.id, c.generation
		if rejoin, err := gt.g.Beat(req, gt.topics, gt.now); !rejoin || err != nil {
			t.Fatalf("told to join again: %v, %v", rejoin, err)
		}
		gt.want("late", len(gt.g.Expire(gt.topics, gt.now)), 0)
		gt.write()
	}
	gt.now = gt.now.Add(5 * time.Second)
	gt.want("late", fmt.Sprint(gt.g.Expire(gt.topics, gt.now)), fmt.Sprint([]string{c.id}))
}

func TestStaticMemberChangesItsProtocol(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 2)
	old := gt.classic("t")
	old.instance = "one"
	gt.must(old.join(false))
	now := gt.client("new", "t")
	now.instance = "one"
	now.join()
	gt.want("it has what its former self had", len(now.has), 2)
	gt.refused("the former self", old.beat(), kerr.FencedInstanceID)
	back := gt.classic("t")
	back.instance = "one"
	gt.must(back.join(false))
	gt.want("and back", len(back.has), 2)
}

// TestUpgradeAndDowngrade: a group of the classic protocol and the same as one of this protocol.
func TestUpgradeAndDowngrade(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 2)
	assigned := func(userData string, parts ...int32) []byte {
		a := kmsg.NewConsumerMemberAssignment()
		a.Version, a.Topics = 3, []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: parts}}
		if userData != "" {
			a.UserData = []byte(userData)
		}
		return a.AppendTo(nil)
	}
	c := gt.classic("t")
	member := func(id string, assignment []byte) ClassicMember {
		return ClassicMember{ID: id, ClientID: "c", ClientHost: "/h", Session: time.Second, Rebalance: time.Minute, Protocols: c.protocols(), Assignment: assignment}
	}
	for what, members := range map[string][]ClassicMember{
		"data of an assignor's own": {member("a", assigned("x", 0))},
		"no assignment":             {member("a", []byte{1})},
		"two owners":                {member("a", assigned("", 0)), member("b", assigned("", 0, 1))},
		"no metadata":               {{ID: "a", Protocols: []kmsg.JoinGroupRequestProtocol{{Name: "range"}}}},
	} {
		if _, err := Upgrade("g", 7, members, gt.topics, gt.now); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	g, err := Upgrade("g", 7, []ClassicMember{member("a", assigned("", 0)), member("b", assigned("", 1)), member("new", nil)}, gt.topics, gt.now)
	gt.must(err)
	gt.g = g
	gt.write()
	generation, members, ok := g.Downgrade(gt.topics)
	if !ok || generation != 7 || len(members) != 3 || string(members[0].Assignment) != string(assigned("", 0)) || members[0].Session != time.Second || members[0].Rebalance != time.Minute {
		t.Errorf("back: %v, generation %d, %+v", ok, generation, members)
	}
	gt.client("d", "t").join()
	if _, _, ok := g.Downgrade(gt.topics); ok {
		t.Error("a group with a member of the consumer protocol went back")
	}
	gt.restart()
	gt.want("members after a restart", gt.g.Size(), 4)
}
