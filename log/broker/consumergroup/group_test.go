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

// fakeTopics are topics in memory.
type fakeTopics struct {
	by      map[string]topic
	version int64
	made    byte
}

type topic struct {
	id         log.TopicID
	partitions int32
}

func (f *fakeTopics) Topic(name string) (log.TopicID, int32, bool) {
	t, ok := f.by[name]
	return t.id, t.partitions, ok
}
func (f *fakeTopics) Names() []string { return slices.Collect(maps.Keys(f.by)) }
func (f *fakeTopics) Version() int64  { return f.version }

func (f *fakeTopics) make(name string, partitions int32) log.TopicID {
	f.made++
	f.version++
	f.by[name] = topic{log.TopicID{f.made}, partitions}
	return log.TopicID{f.made}
}

func (f *fakeTopics) delete(name string) {
	f.version++
	delete(f.by, name)
}

// groupTest drives a group as a broker does, with a clock of its own and a log of what was written.
type groupTest struct {
	testing.TB
	g      *Group
	topics *fakeTopics
	cfg    Config
	now    time.Time
	log    []Record
	fail   bool // the next write fails
	made   int  // ids of members
}

func newGroupTest(t testing.TB) *groupTest {
	return &groupTest{TB: t, g: New("g"), topics: &fakeTopics{by: make(map[string]topic)}, now: time.UnixMilli(1_700_000_000_000),
		cfg: Config{Session: 45 * time.Second, Heartbeat: 5 * time.Second, MaxSize: 100, Assignors: []string{Uniform, Range}, RegexRefresh: 10 * time.Minute}}
}

// write keeps the changes, or loses them.
func (gt *groupTest) write() bool {
	if gt.fail {
		gt.g.Undo()
		gt.fail = false
		return false
	}
	gt.log = append(gt.log, gt.g.Records()...)
	gt.g.Keep()
	return true
}

// restart is the group as its records say.
func (gt *groupTest) restart() {
	gt.Helper()
	groups := make(map[string]*Group)
	for _, r := range gt.log {
		if ok, err := Load(groups, r); !ok || err != nil {
			gt.Fatalf("load %x: %v, %v", r, ok, err)
		}
	}
	if gt.g = groups["g"]; gt.g == nil {
		gt.g = New("g")
	}
	gt.g.Resume(gt.cfg, gt.now)
}

// client is a member as clients are: it has what it was told to have.
type client struct {
	gt       *groupTest
	id       string
	instance string
	topics   []string
	regex    string
	assignor string
	epoch    int32
	has      []Partition
}

func (gt *groupTest) client(id string, topics ...string) *client {
	return &client{gt: gt, id: id, topics: topics}
}

func (c *client) request() *kmsg.ConsumerGroupHeartbeatRequest {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = 1, "g", c.id, c.epoch
	req.InstanceID = orNull(c.instance)
	return req
}

// whole is a heartbeat that says everything.
func (c *client) whole() *kmsg.ConsumerGroupHeartbeatRequest {
	req := c.request()
	req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.SubscribedTopicRegex, req.ServerAssignor = 30_000, append([]string{}, c.topics...), orNull(c.regex), orNull(c.assignor)
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if c.epoch != 0 {
		c.report(req)
	}
	return req
}

// report says what the member has.
func (c *client) report(req *kmsg.ConsumerGroupHeartbeatRequest) {
	req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	ids, numbers := byTopic(c.has)
	for i := range ids {
		req.Topics = append(req.Topics, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: ids[i], Partitions: numbers[i]})
	}
}

// send puts a heartbeat to the group and does what the answer says.
func (c *client) send(req *kmsg.ConsumerGroupHeartbeatRequest) error {
	if err := Check(req, c.gt.cfg.Assignors); err != nil {
		return err
	}
	resp, err := c.gt.g.Heartbeat(req, Client{ID: "c", Host: "/h", MayDescribe: func(string) bool { return true }}, c.gt.cfg, c.gt.topics, c.gt.now)
	if err != nil {
		c.gt.g.Undo()
		return err
	}
	if !c.gt.write() {
		return kerr.KafkaStorageError
	}
	c.epoch = resp.MemberEpoch
	if resp.Assignment != nil {
		c.has = nil
		for _, t := range resp.Assignment.Topics {
			for _, n := range t.Partitions {
				c.has = append(c.has, Partition{t.TopicID, n})
			}
		}
	}
	return nil
}

// join, beat and leave fail the test if the group refuses.
func (c *client) join() *client {
	c.gt.Helper()
	c.epoch, c.has = 0, nil
	c.gt.must(c.send(c.whole()))
	return c
}

// beat says what the member has.
func (c *client) beat() {
	c.gt.Helper()
	req := c.request()
	req.RebalanceTimeoutMillis = -1
	c.report(req)
	c.gt.must(c.send(req))
}

func (c *client) leave(epoch int32) {
	c.gt.Helper()
	req := c.request()
	req.MemberEpoch = epoch
	c.gt.must(c.send(req))
	c.has = nil
}

func (gt *groupTest) must(err error) {
	gt.Helper()
	if err != nil {
		gt.Fatal(err)
	}
}

func (gt *groupTest) refused(what string, err error, want *kerr.Error) {
	gt.Helper()
	if !errors.Is(err, want) {
		gt.Errorf("%s: %v, want %v", what, err, want)
	}
}

// settle lets all members beat until the group is stable.
func (gt *groupTest) settle(all ...*client) {
	gt.Helper()
	for range 20 {
		for _, c := range all {
			c.beat()
		}
		if gt.g.State() == Stable {
			return
		}
	}
	gt.Fatalf("the group does not settle: %s", gt.g.State())
}

func (gt *groupTest) want(what string, got, want any) {
	gt.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		gt.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestPartitionsAreGivenUpBeforeTheyAreGiven(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 4)
	a := gt.client("a", "t").join()
	gt.want("alone", len(a.has), 4)
	gt.want("epoch", a.epoch, 2)
	b := gt.client("b", "t").join()
	gt.want("the second gets nothing yet", len(b.has), 0)
	gt.want("state", gt.g.State(), Reconciling)
	b.beat()
	gt.want("before the first knows", len(b.has), 0)
	had := a.has
	req := a.request()
	req.RebalanceTimeoutMillis = -1
	gt.must(a.send(req)) // it is told to give up two
	gt.want("the first keeps", len(a.has), 2)
	gt.want("the first's epoch stays", a.epoch, 2)
	b.beat()
	gt.want("before the first says so", len(b.has), 0)
	kept := a.has
	a.has = had
	a.beat() // it still has them
	b.beat()
	gt.want("while the first has them", len(b.has), 0)
	a.has = kept
	a.beat()
	gt.want("the first's epoch", a.epoch, 3)
	b.beat()
	gt.want("the second has", len(b.has), 2)
	gt.want("state", gt.g.State(), Stable)
}

func TestEpochs(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 1)
	a := gt.client("a", "t").join()
	for _, c := range []struct {
		name  string
		epoch int32
		has   bool
		want  *kerr.Error
	}{
		{"one that never was", 7, true, kerr.FencedMemberEpoch},
		{"the last", 2, true, nil},
	} {
		req := a.request()
		req.MemberEpoch, req.RebalanceTimeoutMillis = c.epoch, -1
		if c.has {
			a.report(req)
		}
		if _, err := gt.g.Heartbeat(req, Client{}, gt.cfg, gt.topics, gt.now); c.want != nil || err != nil {
			gt.refused(c.name, err, c.want)
		}
	}
	gt.client("b", "none").join() // the epoch rises, a's with its next heartbeat
	a.beat()
	gt.want("epoch", a.epoch, 3)
	req := a.request()
	req.MemberEpoch, req.RebalanceTimeoutMillis = 2, -1
	_, err := gt.g.Heartbeat(req, Client{}, gt.cfg, gt.topics, gt.now)
	gt.refused("the one before without what it has", err, kerr.FencedMemberEpoch)
	a.report(req)
	gt.must(a.send(req))
	gt.want("the one before, with it", a.epoch, 3)
	gt.refused("a stranger", gt.client("x", "t").send(&kmsg.ConsumerGroupHeartbeatRequest{Version: 1, Group: "g", MemberID: "x", MemberEpoch: 3}), kerr.UnknownMemberID)

	id, _, _ := gt.topics.Topic("t")
	mine, other := Partition{id, 0}, Partition{id, 9}
	for _, c := range []struct {
		epoch int32
		p     Partition
		want  *kerr.Error
	}{{3, mine, nil}, {2, mine, nil}, {1, mine, kerr.StaleMemberEpoch}, {3, other, nil}, {2, other, kerr.StaleMemberEpoch}, {4, mine, kerr.StaleMemberEpoch}} {
		check, err := gt.g.MayCommit("a", c.epoch)
		if err == nil {
			err = check(c.p)
		}
		if c.want != nil || err != nil {
			gt.refused(fmt.Sprintf("commit of %d with epoch %d", c.p.Number, c.epoch), err, c.want)
		}
	}
	gt.refused("fetch of offsets", gt.g.MayFetch("a", 2), kerr.StaleMemberEpoch)
	gt.refused("fetch of offsets of a stranger", gt.g.MayFetch("x", 1), kerr.UnknownMemberID)
}

func TestStaticMembers(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 4)
	static := func(id, instance string) *client {
		c := gt.client(id, "t")
		c.instance = instance
		return c
	}
	a, b := static("a", "one").join(), static("b", "two").join()
	gt.settle(a, b)
	had, epoch := slices.Clone(a.has), gt.g.epoch
	gt.refused("its name is taken", static("c", "one").send(static("c", "one").whole()), kerr.UnreleasedInstanceID)
	c := static("c", "one")
	c.epoch = 1
	gt.refused("another's name", c.send(c.request()), kerr.FencedInstanceID)
	c = static("c", "three")
	c.epoch = 1
	gt.refused("nobody's name", c.send(c.request()), kerr.UnknownMemberID)

	a.leave(away)
	gt.want("nobody gets what it has", len(gt.g.targets["a"]), 2)
	again := static("a2", "one").join()
	gt.want("it comes back to what it had", again.has, had)
	gt.want("and nobody notices", gt.g.epoch, epoch)
	gt.restart()
	gt.settle(again, b)
	gt.want("after a restart", again.has, had)
	again.leave(-1)
	gt.settle(b)
	gt.want("it left for good", len(b.has), 4)
}

func TestSilentMembersGo(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("t", 2)
	a, b := gt.client("a", "t").join(), gt.client("b", "t").join()
	gt.now = gt.now.Add(gt.cfg.Session - time.Second)
	a.beat() // gives up nothing: it was not told before
	gt.now = gt.now.Add(2 * time.Second)
	gt.want("b is silent", gt.g.Expire(gt.topics, gt.now), "[b]")
	gt.fail = true
	gt.write()
	gt.want("that could not be written, and is tried again", gt.g.Expire(gt.topics, gt.now), "[b]")
	gt.write()
	gt.settle(a)
	gt.want("a has all", len(a.has), 2)

	b.join()
	req := a.request()
	req.RebalanceTimeoutMillis = -1
	gt.must(a.send(req)) // it is to give up one and does not
	gt.now = gt.now.Add(29 * time.Second)
	gt.must(a.send(req))
	gt.want("within the rebalance timeout", len(gt.g.Expire(gt.topics, gt.now)), 0)
	gt.now = gt.now.Add(2 * time.Second)
	gt.want("who gives up nothing goes", gt.g.Expire(gt.topics, gt.now), "[a]")
	gt.write()
	gt.settle(b)
	gt.want("b has all", len(b.has), 2)
}

func TestRegularExpressions(t *testing.T) {
	gt := newGroupTest(t)
	gt.topics.make("orders-eu", 1)
	gt.topics.make("others", 1)
	a := gt.client("a")
	a.regex = "orders-.*"
	a.join()
	gt.want("those that match", len(a.has), 1)
	gt.topics.make("orders-us", 2)
	gt.topics.make("my-orders-us", 2) // the whole name must match
	a.beat()
	gt.want("not at once", len(a.has), 1)
	gt.now = gt.now.Add(regexPause)
	gt.settle(a)
	gt.want("a topic came", len(a.has), 3)
	gt.restart()
	gt.topics.delete("orders-us")
	gt.now = gt.now.Add(regexPause)
	gt.settle(a)
	gt.want("a topic went", len(a.has), 1)
	bad := gt.client("b")
	bad.regex = "orders-("
	gt.refused("no expression", bad.send(bad.whole()), kerr.InvalidRegularExpression)
	bad.regex = "orders)|(?:" // only within another group
	gt.refused("half an expression", bad.send(bad.whole()), kerr.InvalidRegularExpression)
	gt.want("who is refused is no member", gt.g.Size(), 1)
	a.regex, a.topics = "", []string{"others"}
	req := a.whole()
	req.SubscribedTopicRegex = new(string)
	gt.must(a.send(req))
	gt.settle(a)
	gt.want("no expressions are kept", len(gt.g.resolved), 0)
	gt.want("by name", len(a.has), 1)
}

func TestAssignorsAndBounds(t *testing.T) {
	gt := newGroupTest(t)
	gt.cfg.MaxSize = 3
	x, y := gt.topics.make("x", 3), gt.topics.make("y", 3)
	a, b := gt.client("a", "x", "y"), gt.client("b", "x", "y")
	a.assignor, b.assignor = Range, Range
	a.join()
	b.join()
	gt.settle(a, b)
	gt.want("range", a.has, []Partition{{x, 0}, {x, 1}, {y, 0}, {y, 1}})
	c := gt.client("c", "x", "y")
	c.assignor = "sticky"
	gt.refused("an assignor that is not there", c.send(c.whole()), kerr.UnsupportedAssignor)
	c.assignor = Uniform
	c.join()
	gt.want("most ask for", gt.g.Assignor(gt.cfg), Range)
	gt.refused("full", gt.client("d", "x").send(gt.client("d", "x").whole()), kerr.GroupMaxSizeReached)
	gt.topics.make("x2", 1)
	gt.topics.by["x"] = topic{x, 6}
	gt.topics.version++
	gt.settle(a, b, c)
	gt.want("a topic grew", len(a.has)+len(b.has)+len(c.has), 9)
}
