package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/sluicehub/sluice/log/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets are kept for seven days of ten minutes, and looked at every minute.
const (
	day     = 10 * time.Minute
	checked = 2 * time.Minute // what is over is gone then
)

// expiryTest is a broker with the topics a and b, whose clock a synctest bubble has.
type expiryTest struct {
	t     *testing.T
	fs    vfs.FS
	l     *log.Log
	b     *Broker
	began time.Time
}

func newExpiryTest(t *testing.T) *expiryTest {
	e := &expiryTest{t: t, fs: vfs.NewMem(), began: time.Now()}
	e.start()
	for _, name := range []string{"a", "b"} {
		if _, err := e.l.CreateTopic(name, log.TopicID{}, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func (e *expiryTest) start() {
	e.t.Helper()
	var err error
	if e.l, err = log.Open(log.Options{Dir: "d", FS: e.fs}); err != nil {
		e.t.Fatal(err)
	}
	long := fmt.Sprint((30 * day).Milliseconds())
	if e.b, err = New(Options{Log: e.l, Settings: map[string]string{"offsets.retention.minutes": "70", "offsets.retention.check.interval.ms": "60000",
		"group.consumer.session.timeout.ms": long, "group.consumer.max.session.timeout.ms": long}}); err != nil {
		e.t.Fatal(err)
	}
}

func (e *expiryTest) stop() {
	e.t.Helper()
	if err := e.b.Close(); err != nil {
		e.t.Fatal(err)
	}
	if err := e.l.Close(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *expiryTest) restart() { e.t.Helper(); e.stop(); e.start() }

// at goes on until that long after the beginning.
func (e *expiryTest) at(since time.Duration) {
	time.Sleep(since - time.Since(e.began))
	synctest.Wait()
}

// commit commits an offset of the topics, which is to be kept for so long; 0 leaves that to the broker.
func (e *expiryTest) commit(group, member string, generation int32, keep time.Duration, topics ...string) {
	e.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	version := int16(9)
	if keep > 0 {
		version, req.RetentionTimeMillis = 4, keep.Milliseconds()
	}
	for _, topic := range topics {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Offset = 7
		req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{rp}})
	}
	answer, err := e.b.offsetCommit(&request{c: &conn{b: e.b}, ctx: context.Background(), version: version}, req)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, rt := range answer().(*kmsg.OffsetCommitResponse).Topics {
		if code := rt.Partitions[0].ErrorCode; code != 0 {
			e.t.Fatalf("commit of %s: %v", rt.Topic, kerr.ErrorForCode(code))
		}
	}
}

// join makes a stable classic group of one member, and returns its id and generation.
func (e *expiryTest) join(group, protocolType string, metadata []byte) (string, int32) {
	e.t.Helper()
	gt := &groupTest{t: e.t, g: e.b.groups.group(group, true)}
	m := gt.member("", "range")
	m.session, m.protocols[0].Metadata = 30*day, metadata
	j := gt.joined(gt.g.join(m, protocolType, 3))
	gt.want("sync", (<-gt.sync(j, j.MemberID, "all")).ErrorCode, 0)
	return j.MemberID, j.Generation
}

// subscription is the metadata of a consumer that subscribes to topics.
func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = topics
	return m.AppendTo(nil)
}

// want checks which topics a group has offsets of; "-" is that there is no such group.
func (e *expiryTest) want(group, topics string) {
	e.t.Helper()
	have := ""
	for _, p := range e.b.groups.store.places(group) {
		have += p.topic
	}
	if e.b.groups.group(group, false) == nil && e.b.groups.consumer(group) == nil {
		have += "-"
	}
	if have != topics {
		e.t.Errorf("%s after the beginning, group %s has offsets of %q, want %q", time.Since(e.began), group, have, topics)
	}
}

func expiring(t *testing.T, f func(e *expiryTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newExpiryTest(t)
		defer func() { e.stop() }()
		f(e)
	})
}

func TestOffsetsThatNobodyJoinedForExpire(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		e.commit("g", "", -1, 0, "a")
		e.at(3 * day)
		e.commit("g", "", -1, 0, "b")
		e.at(7*day - time.Minute)
		e.restart()
		e.want("g", "ab")
		e.at(7*day + checked)
		e.want("g", "b")
		e.restart()
		e.want("g", "b")
		e.at(10*day + checked)
		e.want("g", "-")
		e.restart()
		e.want("g", "-")
	})
}

func TestOffsetsExpireAfterTheLastMemberLeft(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		id, generation := e.join("g", "consumer", subscription("a"))
		other, n := e.join("connect", "connect", []byte("whatever"))
		odd, o := e.join("odd", "consumer", []byte{0})
		e.commit("g", id, generation, 0, "a", "b")
		e.commit("connect", other, n, 0, "a")
		e.commit("odd", odd, o, 0, "a")
		e.at(6 * day)
		e.restart() // the members are watched anew
		e.want("g", "ab")
		e.at(8 * day)
		e.want("g", "a") // nobody subscribes to b
		e.want("connect", "a")
		e.want("odd", "a")
		for group, member := range map[string]string{"g": id, "connect": other, "odd": odd} {
			if code := e.b.groups.group(group, false).leave(member, nil); code != 0 {
				e.t.Fatal(kerr.ErrorForCode(code))
			}
		}
		e.at(12 * day)
		e.restart()
		e.at(15*day - time.Minute)
		for _, g := range []string{"g", "connect", "odd"} {
			e.want(g, "a")
		}
		e.at(15*day + checked)
		for _, g := range []string{"g", "connect", "odd"} {
			e.want(g, "-")
		}
	})
}

func TestOffsetsOfTheConsumerProtocolExpire(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		beat := func(epoch int32) int32 {
			req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			req.Group, req.MemberID, req.MemberEpoch = "g", "m", epoch
			req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 30_000, []string{"a"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			resp, _, err := e.b.groups.heartbeat(req, consumergroup.Client{})
			if err != nil {
				e.t.Fatal(err)
			}
			return resp.MemberEpoch
		}
		e.commit("g", "m", beat(0), 0, "a", "b")
		e.at(6 * day)
		e.restart()
		e.want("g", "ab")
		e.at(8 * day)
		e.want("g", "a")
		beat(-1)
		e.at(8*day + checked)
		e.want("g", "-") // since the commit, not since the member left
		e.restart()
		e.want("g", "-")
	})
}

func TestOffsetsWithATimeOfTheirOwn(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		e.commit("g", "", -1, day, "a")
		e.commit("g", "", -1, 20*day, "b")
		e.at(day - time.Minute)
		e.restart()
		e.want("g", "ab")
		e.at(day + checked)
		e.want("g", "b")
		e.at(20*day - time.Minute)
		e.restart()
		e.want("g", "b")
		e.at(20*day + checked)
		e.want("g", "-")
	})
}

// TestTransactionsHoldOffsets: what a transaction may replace stays until it is decided, and so does the group.
func TestTransactionsHoldOffsets(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		for i, group := range []string{"committed", "aborted", "new"} {
			if group != "new" {
				e.commit(group, "", -1, 0, "a")
			}
			e.b.groups.group(group, true)
			if _, err := e.b.groups.store.commitLater(group, int64(i), 0, map[place]*committed{{"a", 0}: {offset: 8}}); err != nil {
				e.t.Fatal(err)
			}
		}
		e.at(8 * day)
		e.want("committed", "a")
		e.want("aborted", "a")
		e.want("new", "")
		for i, commit := range []bool{true, false, false} {
			e.b.groups.store.decide(int64(i), commit)
		}
		e.want("committed", "a")
		e.at(8*day + checked)
		for _, group := range []string{"committed", "aborted", "new"} {
			e.want(group, "-")
		}
	})
}

// TestEmptyGroupsGo: a group with neither members nor offsets does not wait for the retention, one that somebody is about to
// join stays.
func TestEmptyGroupsGo(t *testing.T) {
	expiring(t, func(e *expiryTest) {
		id, _ := e.join("left", "consumer", subscription("a"))
		e.join("joined", "consumer", subscription("a"))
		e.b.groups.group("left", false).leave(id, nil)
		m := (&groupTest{}).member("", "range")
		m.session = day
		<-e.b.groups.group("coming", true).join(m, "consumer", 9)
		e.at(checked)
		e.want("left", "-")
		e.want("joined", "")
		e.want("coming", "")
		e.at(day + checked)
		e.want("coming", "-")
	})
}

// TestCommitDuringExpiry: an offset that is committed while the old one expires stays.
func TestCommitDuringExpiry(t *testing.T) {
	l, err := log.Open(log.Options{Dir: "d", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := openOffsetStore(l)
	if err != nil {
		t.Fatal(err)
	}
	old := func(_ place, c committed) bool { return c.offset == 1 }
	want := make(map[string]int64)
	for i := range 1000 {
		group := fmt.Sprint("g", i)
		want[group] = 2
		for offset := range int64(2) {
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := s.commit(group, map[place]*committed{{"t", 0}: {offset: offset + 1}}); err != nil {
					t.Error(err)
				}
			})
			if offset == 1 {
				if _, _, err := s.expire(group, old); err != nil {
					t.Error(err)
				}
			}
			wg.Wait()
		}
	}
	check := func(what string, s *offsetStore) {
		have := make(map[string]int64)
		for _, g := range s.groups() {
			c, _ := s.get(g, place{"t", 0})
			have[g] = c.offset
		}
		if !maps.Equal(have, want) {
			t.Errorf("%s: %d groups, want all %d with offset 2; others: %s", what, len(have), len(want),
				strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(g string) bool { return have[g] == 2 }), " "))
		}
	}
	check("in memory", s)
	again, err := openOffsetStore(l)
	if err != nil {
		t.Fatal(err)
	}
	check("read again", again)
}
