package broker

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memoryStore keeps records of groups. What is put while it is held becomes durable, or fails, when it is let go.
type memoryStore struct {
	mu      sync.Mutex
	records []consumergroup.Record
	refuse  error // what put answers
	held    *heldWrite
	waits   sync.WaitGroup
}

func (s *memoryStore) then(d durable, f func(error)) {
	s.waits.Go(func() { f(d.Wait(context.Background())) })
}

type heldWrite struct {
	done chan struct{}
	err  error
}

func (h *heldWrite) Wait(context.Context) error {
	<-h.done
	return h.err
}

func (s *memoryStore) put(records []consumergroup.Record) (durable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.records = append(s.records, records...)
	if s.held != nil {
		return s.held, nil
	}
	return &failed{nil}, nil
}

func (s *memoryStore) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = &heldWrite{done: make(chan struct{})}
}

func (s *memoryStore) letGo(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held.err = err
	close(s.held.done)
	s.held = nil
}

// restart ends the group and makes it again from its records.
func (gt *groupTest) restart() {
	gt.t.Helper()
	gt.g.close()
	gt.store.waits.Wait()
	loaded := make(map[string]*kmsg.GroupMetadataValue)
	for _, r := range gt.store.records {
		if ok, err := loadGroup(loaded, r.Key, r.Value); !ok || err != nil {
			gt.t.Fatalf("load: %v, %v", ok, err)
		}
	}
	gt.g = newGroup("g", gt.g.logger, 0, gt.store)
	if v := loaded["g"]; v != nil {
		gt.g.resume(v)
	}
	gt.g.watch()
	gt.t.Cleanup(gt.g.close)
}

func (gt *groupTest) staticMember(instance string, names ...string) *member {
	m := gt.member("", names...)
	m.instanceID = kmsg.StringPtr(instance)
	return m
}

// pair is a stable group of a static leader and another member.
func (gt *groupTest) pair() (a, b *kmsg.JoinGroupResponse) {
	gt.t.Helper()
	a = gt.joined(gt.g.join(gt.staticMember("one", "range", "sticky"), "consumer", 9))
	second := gt.join("", "range", "sticky")
	a = gt.joined(gt.g.join(&member{id: a.MemberID, instanceID: kmsg.StringPtr("one"), clientID: "c", clientHost: "/h", session: 10 * time.Second,
		rebalance: 30 * time.Second, protocols: protocols("range", "sticky")}, "consumer", 9))
	b = gt.joined(second)
	waiting := gt.sync(b)
	<-gt.sync(a, a.MemberID, "half", b.MemberID, "other")
	<-waiting
	return a, b
}

func TestGroupGoesOnAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a, b := gt.pair()
		before := kmsg.NewDescribeGroupsResponseGroup()
		gt.g.describe(&before)
		time.Sleep(9 * time.Second) // nearly a session
		gt.restart()
		after := kmsg.NewDescribeGroupsResponseGroup()
		gt.g.describe(&after)
		if !reflect.DeepEqual(after, before) {
			t.Errorf("after a restart\n%+v, before\n%+v", after, before)
		}
		time.Sleep(9 * time.Second)
		gt.want("the leader's heartbeat", gt.beat(a), 0)
		gt.want("a heartbeat", gt.beat(b), 0)
		if r := <-gt.sync(b); string(r.MemberAssignment) != "other" {
			t.Errorf("assignment %q", r.MemberAssignment)
		}
		again := gt.joined(gt.g.join(gt.staticMember("one", "range", "sticky"), "consumer", 9))
		if again.Generation != a.Generation || !again.SkipAssignment || again.LeaderID != again.MemberID {
			t.Errorf("the static leader joined again as %+v", again)
		}
		gt.restart()
		gt.want("its new id is kept", gt.beat(again), 0)
		gt.want("and the old one is not", gt.beat(a), kerr.UnknownMemberID.Code)
		time.Sleep(11 * time.Second)
		gt.want("who is silent after a restart", gt.beat(b), kerr.UnknownMemberID.Code)
	})
}

func TestEmptyGroupKeepsItsGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a, b := gt.pair()
		gt.want("leave", gt.g.leave(a.MemberID, nil), 0)
		gt.want("leave", gt.g.leave(b.MemberID, nil), 0)
		synctest.Wait()
		empty := time.Now()
		time.Sleep(time.Minute)
		gt.restart()
		if gt.g.state != stateEmpty || !gt.g.since.Equal(empty.Truncate(time.Millisecond)) {
			t.Errorf("%s since %s, want empty since %s", gt.g.state, gt.g.since, empty)
		}
		if c := gt.joined(gt.join("", "range")); c.Generation != a.Generation+2 {
			t.Errorf("generation %d after %d and an empty one", c.Generation, a.Generation)
		}
		if _, err := gt.g.tombstone(); err != nil {
			t.Fatal(err)
		}
		gt.restart()
		if gt.g.generation != 0 {
			t.Errorf("generation %d of a group that was deleted", gt.g.generation)
		}
	})
}

func TestAssignmentIsToldWhenItIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range"))
		gt.store.hold()
		answer := gt.sync(a, a.MemberID, "all")
		synctest.Wait()
		if len(answer) > 0 || gt.g.state != stateCompleting {
			t.Fatalf("answered before it is durable; the group is %s", gt.g.state)
		}
		gt.store.letGo(nil)
		if r := <-answer; r.ErrorCode != 0 || string(r.MemberAssignment) != "all" || gt.g.state != stateStable {
			t.Fatalf("%+v in state %s", r, gt.g.state)
		}
	})
}

func TestAssignmentThatCannotBeWritten(t *testing.T) {
	for name, fail := range map[string]func(*memoryStore){
		"refused": func(s *memoryStore) { s.refuse = log.ErrStorage },
		"lost":    func(s *memoryStore) { s.hold() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gt := newGroupTest(t)
				a := gt.joined(gt.join("", "range"))
				fail(gt.store)
				answer := gt.sync(a, a.MemberID, "all")
				if gt.store.held != nil {
					gt.store.letGo(log.ErrStorage)
				}
				gt.want("sync", (<-answer).ErrorCode, kerr.NotCoordinator.Code)
				gt.want("the next heartbeat", gt.beat(a), kerr.RebalanceInProgress.Code)
				gt.store.refuse = nil
				a = gt.joined(gt.g.join(gt.member(a.MemberID, "range"), "consumer", 3))
				gt.want("the next sync", (<-gt.sync(a, a.MemberID, "all")).ErrorCode, 0)
			})
		})
	}
}

// TestRebalanceDuringWrite: what is written then is of a generation that nobody has.
func TestRebalanceDuringWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range"))
		gt.store.hold()
		answer := gt.sync(a, a.MemberID, "all")
		second := gt.join("", "range")
		gt.want("sync", (<-answer).ErrorCode, kerr.RebalanceInProgress.Code)
		gt.store.letGo(nil)
		synctest.Wait()
		if gt.g.state != statePreparing {
			t.Fatalf("the group is %s", gt.g.state)
		}
		gt.joined(gt.g.join(gt.member(a.MemberID, "range"), "consumer", 3))
		gt.joined(second)
	})
}

func TestStaticMemberIsAnsweredWhenItsIDIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a, _ := gt.pair()
		gt.store.hold()
		answer := gt.g.join(gt.staticMember("one", "range", "sticky"), "consumer", 9)
		synctest.Wait()
		if len(answer) > 0 {
			t.Fatal("answered before the member's new id is durable")
		}
		gt.store.letGo(errors.Join(log.ErrStorage))
		gt.want("join", (<-answer).ErrorCode, kerr.NotCoordinator.Code)
		again := gt.joined(gt.g.join(gt.staticMember("one", "range", "sticky"), "consumer", 9))
		if again.Generation != a.Generation {
			t.Errorf("generation %d, was %d", again.Generation, a.Generation)
		}
	})
}

func TestGroupThatCannotBecomeEmptyDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range"))
		<-gt.sync(a, a.MemberID, "all")
		gt.store.refuse = log.ErrStorage
		gt.want("leave", gt.g.leave(a.MemberID, nil), 0)
		gt.want("the answer", errorCode(storeError(wait(gt.g.emptied()))), kerr.NotCoordinator.Code)
	})
}

// FuzzLoadGroup: whatever is accepted as a group is one that goes on, and that is written as it was read.
func FuzzLoadGroup(f *testing.F) {
	g := newGroup("g", nil, 0, &memoryStore{})
	for _, instance := range []*string{nil, kmsg.StringPtr("one")} {
		m := &member{id: "m", instanceID: instance, clientID: "c", clientHost: "/h", session: time.Second, rebalance: time.Second, protocols: protocols("range"), assignment: []byte("all")}
		g.members = map[string]*member{"m": m}
		g.protocol, g.protocolType, g.leader, g.generation = "range", "consumer", "m", 3
		r := g.record()
		f.Add(r.Key, r.Value)
	}
	f.Add(groupKey("g"), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		loaded := make(map[string]*kmsg.GroupMetadataValue)
		if _, err := loadGroup(loaded, key, value); err != nil {
			return
		}
		for id, v := range loaded {
			g := newGroup(id, nil, 0, &memoryStore{})
			g.resume(v)
			once := g.record()
			if _, err := loadGroup(loaded, once.Key, once.Value); err != nil {
				t.Fatal(err)
			}
			again := newGroup(id, nil, 0, &memoryStore{})
			again.resume(loaded[id])
			if twice := again.record(); !slices.Equal(once.Value, twice.Value) {
				t.Fatalf("%x is written as %x", once.Value, twice.Value)
			}
		}
	})
}
