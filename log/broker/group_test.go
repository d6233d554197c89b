package broker

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupTest drives one group as clients do.
type groupTest struct {
	t     *testing.T
	g     *group
	store *memoryStore
}

func newGroupTest(t *testing.T) *groupTest {
	store := &memoryStore{}
	gt := &groupTest{t, newGroup("g", slog.New(slog.DiscardHandler), 0, store), store}
	t.Cleanup(func() { gt.g.close(); store.waits.Wait() })
	return gt
}

func protocols(names ...string) []kmsg.JoinGroupRequestProtocol {
	var all []kmsg.JoinGroupRequestProtocol
	for _, n := range names {
		all = append(all, kmsg.JoinGroupRequestProtocol{Name: n, Metadata: []byte("meta-" + n)})
	}
	return all
}

func (gt *groupTest) member(id string, names ...string) *member {
	return &member{id: id, clientID: "c", session: 10 * time.Second, rebalance: 30 * time.Second, protocols: protocols(names...)}
}

// join joins a member that has no id yet, by an old version that needs no second round.
func (gt *groupTest) join(id string, names ...string) <-chan *kmsg.JoinGroupResponse {
	return gt.g.join(gt.member(id, names...), "consumer", 3)
}

func (gt *groupTest) joined(answer <-chan *kmsg.JoinGroupResponse) *kmsg.JoinGroupResponse {
	gt.t.Helper()
	synctest.Wait()
	select {
	case r := <-answer:
		if r.ErrorCode != 0 {
			gt.t.Fatalf("join: %v", kerr.ErrorForCode(r.ErrorCode))
		}
		return r
	default:
		gt.t.Fatal("join is not answered")
		return nil
	}
}

func (gt *groupTest) sync(j *kmsg.JoinGroupResponse, assignments ...string) <-chan *kmsg.SyncGroupResponse {
	req := kmsg.NewPtrSyncGroupRequest()
	req.MemberID, req.Generation = j.MemberID, j.Generation
	for i := 0; i < len(assignments); i += 2 {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: assignments[i], MemberAssignment: []byte(assignments[i+1])})
	}
	return gt.g.syncMember(req)
}

func (gt *groupTest) beat(j *kmsg.JoinGroupResponse) int16 {
	req := kmsg.NewPtrHeartbeatRequest()
	req.MemberID, req.Generation = j.MemberID, j.Generation
	return gt.g.heartbeat(req)
}

func (gt *groupTest) want(what string, got, want int16) {
	gt.t.Helper()
	if got != want {
		gt.t.Fatalf("%s: got %v, want %v", what, kerr.ErrorForCode(got), kerr.ErrorForCode(want))
	}
}

func TestGroupOfTwoRebalances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range", "sticky"))
		if a.LeaderID != a.MemberID || a.Generation != 1 || len(a.Members) != 1 || *a.Protocol != "range" {
			t.Fatalf("first member: %+v", a)
		}
		if r := <-gt.sync(a, a.MemberID, "all"); string(r.MemberAssignment) != "all" {
			t.Fatalf("assignment %q", r.MemberAssignment)
		}
		gt.want("heartbeat", gt.beat(a), 0)

		second := gt.join("", "sticky")
		gt.want("heartbeat in rebalance", gt.beat(a), kerr.RebalanceInProgress.Code)
		a = gt.joined(gt.g.join(gt.member(a.MemberID, "range", "sticky"), "consumer", 3))
		b := gt.joined(second)
		if a.Generation != 2 || b.Generation != 2 || len(a.Members) != 2 || len(b.Members) != 0 || *b.Protocol != "sticky" {
			t.Fatalf("second generation: %+v, %+v", a, b)
		}
		waiting := gt.sync(b)
		<-gt.sync(a, a.MemberID, "half", b.MemberID, "other")
		if r := <-waiting; string(r.MemberAssignment) != "other" {
			t.Fatalf("follower's assignment %q", r.MemberAssignment)
		}
		gt.want("old generation", gt.beat(&kmsg.JoinGroupResponse{MemberID: a.MemberID, Generation: 1}), kerr.IllegalGeneration.Code)
		gt.want("leave", gt.g.leave(b.MemberID, nil), 0)
		gt.want("heartbeat after a leave", gt.beat(a), kerr.RebalanceInProgress.Code)
	})
}

func TestGroupSilentMemberExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range"))
		<-gt.sync(a, a.MemberID, "all")
		time.Sleep(9 * time.Second)
		gt.want("heartbeat in time", gt.beat(a), 0)
		time.Sleep(11 * time.Second)
		gt.want("heartbeat too late", gt.beat(a), kerr.UnknownMemberID.Code)
		if gt.g.state != stateEmpty {
			t.Fatalf("state %s", gt.g.state)
		}
	})
}

func TestGroupGoesOnWithoutWhoDoesNotJoinAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		a := gt.joined(gt.join("", "range"))
		<-gt.sync(a, a.MemberID, "all")
		second := gt.join("", "range")
		for range 4 { // a lives, but never joins again
			time.Sleep(7 * time.Second)
			gt.want("heartbeat", gt.beat(a), kerr.RebalanceInProgress.Code)
		}
		time.Sleep(3 * time.Second)
		if b := gt.joined(second); b.LeaderID != b.MemberID || len(b.Members) != 1 {
			t.Fatalf("after the rebalance timeout: %+v", b)
		}
		gt.want("the one that stayed away", gt.beat(a), kerr.UnknownMemberID.Code)
	})
}

func TestGroupMemberIDIsRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		r := <-gt.g.join(gt.member("", "range"), "consumer", 4)
		gt.want("join without id", r.ErrorCode, kerr.MemberIDRequired.Code)
		if j := gt.joined(gt.g.join(gt.member(r.MemberID, "range"), "consumer", 4)); j.MemberID != r.MemberID {
			t.Fatalf("joined as %s, was given %s", j.MemberID, r.MemberID)
		}
		gt.want("an id that nobody gave", (<-gt.g.join(gt.member("made-up", "range"), "consumer", 4)).ErrorCode, kerr.UnknownMemberID.Code)
	})
}

func TestGroupStaticMemberRestartsUndisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		static := func() *member {
			m := gt.member("", "range")
			m.instanceID = kmsg.StringPtr("one")
			return m
		}
		a := gt.joined(gt.g.join(static(), "consumer", 5))
		<-gt.sync(a, a.MemberID, "all")
		again := gt.joined(gt.g.join(static(), "consumer", 5))
		if again.Generation != a.Generation || again.MemberID == a.MemberID {
			t.Fatalf("restarted: %+v, before: %+v", again, a)
		}
		if r := <-gt.sync(again); string(r.MemberAssignment) != "all" {
			t.Fatalf("assignment %q", r.MemberAssignment)
		}
		req := kmsg.NewPtrHeartbeatRequest()
		req.MemberID, req.Generation, req.InstanceID = a.MemberID, a.Generation, kmsg.StringPtr("one")
		gt.want("the former self", gt.g.heartbeat(req), kerr.FencedInstanceID.Code)
	})
}

func TestGroupRefusesWhoDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		gt.joined(gt.join("", "range"))
		for name, answer := range map[string]<-chan *kmsg.JoinGroupResponse{
			"other protocol":      gt.join("", "sticky"),
			"other protocol type": gt.g.join(gt.member("", "range"), "connect", 3),
		} {
			gt.want(name, (<-answer).ErrorCode, kerr.InconsistentGroupProtocol.Code)
		}
	})
}

func TestFirstRebalanceWaitsForMoreMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		gt.g.delay = 3 * time.Second
		a := gt.join("", "range")
		time.Sleep(2 * time.Second)
		b := gt.join("", "range")
		time.Sleep(2 * time.Second) // the first wait is over, but somebody joined in it
		synctest.Wait()
		if len(a)+len(b) > 0 {
			t.Fatal("the rebalance did not wait for more")
		}
		time.Sleep(2 * time.Second)
		if ja, jb := gt.joined(a), gt.joined(b); ja.Generation != 1 || jb.Generation != 1 {
			t.Errorf("generations %d and %d, want one rebalance", ja.Generation, jb.Generation)
		}
	})
}

func TestFirstRebalanceDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gt := newGroupTest(t)
		gt.g.delay = 20 * time.Second // the members' rebalance timeout is 30 s
		a := gt.join("", "range")
		time.Sleep(10 * time.Second)
		b := gt.join("", "range")
		time.Sleep(15 * time.Second)
		c := gt.join("", "range")
		time.Sleep(6 * time.Second)
		for _, answer := range []<-chan *kmsg.JoinGroupResponse{a, b, c} {
			gt.joined(answer)
		}
	})
}
