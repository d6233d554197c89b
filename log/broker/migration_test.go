package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// application is some members of one group that share a topic. No two may own a partition at once.
type application struct {
	s      *started
	topic  string
	group  string
	mu     sync.Mutex
	owners map[int32]string
}

func (a *application) assigned(name string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range m[a.topic] {
			if owner, ok := a.owners[p]; ok {
				a.s.t.Errorf("%s is given partition %d, which %s has", name, p, owner)
			}
			a.owners[p] = name
		}
	}
}

func (a *application) revoked(name string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, p := range m[a.topic] {
			if a.owners[p] == name {
				delete(a.owners, p)
			}
		}
	}
}

// member starts a member, and returns what ends it.
func (a *application) member(name string, opts ...kgo.Opt) (leave func()) {
	cl := a.s.client(false, append([]kgo.Opt{kgo.ConsumerGroup(a.group), kgo.ConsumeTopics(a.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(50 * time.Millisecond), kgo.AutoCommitInterval(100 * time.Millisecond),
		kgo.OnPartitionsAssigned(a.assigned(name)), kgo.OnPartitionsRevoked(a.revoked(name)), kgo.OnPartitionsLost(a.revoked(name))}, opts...)...)
	ctx, cancel := context.WithCancel(a.s.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			cl.PollFetches(ctx)
		}
	}()
	leave = sync.OnceFunc(func() { cancel(); <-ended; cl.Close() })
	a.s.t.Cleanup(leave)
	return leave
}

// shares waits until these members share all partitions evenly, and have committed what there is.
func (a *application) shares(partitions int, end int64, names ...string) {
	a.s.t.Helper()
	adm := kadm.NewClient(a.s.client(true))
	state := func() error {
		a.mu.Lock()
		owners := maps.Clone(a.owners)
		a.mu.Unlock()
		each := make(map[string]int)
		for _, name := range owners {
			each[name]++
		}
		for _, name := range names {
			if each[name] != partitions/len(names) {
				return fmt.Errorf("%v is shared by %v", owners, names)
			}
		}
		offsets, err := adm.FetchOffsets(context60(a.s.t), a.group)
		for p := range int32(partitions) {
			if at := offsets[a.topic][p].At; at != end && err == nil {
				err = fmt.Errorf("partition %d is committed up to %d of %d", p, at, end)
			}
		}
		return err
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := state()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			a.s.t.Fatal(err)
		}
	}
}

func (s *started) groupType(group string) string {
	s.t.Helper()
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(context60(s.t), s.client(true))
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return g.Group == group })
	if i < 0 {
		return "none"
	}
	return resp.Groups[i].GroupType
}

// TestRollingChangeOfProtocol changes three members of franz-go from the classic to the consumer protocol one by one, and
// back, while records come. No partition has two owners, and everything is committed after each step.
func TestRollingChangeOfProtocol(t *testing.T) {
	const partitions, group = 6, "rolling"
	s := start(t, t.TempDir(), fast)
	cl := s.client(false, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if _, err := kadm.NewClient(cl).CreateTopic(context60(t), partitions, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	a := &application{s: s, topic: "t", group: group, owners: make(map[int32]string)}
	end := int64(0)
	settled := func(kind string, names ...string) {
		t.Helper()
		end++
		for p := range int32(partitions) {
			if err := cl.ProduceSync(context60(t), &kgo.Record{Topic: "t", Partition: p, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		a.shares(partitions, end, names...)
		if got := s.groupType(group); got != kind {
			t.Errorf("the group of %v is %s, want %s", names, got, kind)
		}
	}
	names := []string{"classic 0", "classic 1", "classic 2"}
	var leave [3]func()
	for i, name := range names {
		// Of one kind the client gives up all at a rebalance, of the other what it must.
		balancer := []kgo.GroupBalancer{kgo.CooperativeStickyBalancer(), kgo.RangeBalancer()}[:1+i%2]
		leave[i] = a.member(name, kgo.Balancers(balancer...))
	}
	settled("classic", names...)
	for i := range leave {
		leave[i]()
		names[i] = fmt.Sprint("consumer ", i)
		leave[i] = a.member(names[i], kgo.ServerSideBalancer())
		settled("consumer", names...)
	}
	for i := range leave {
		leave[i]()
		names[i] = fmt.Sprint("back ", i)
		leave[i] = a.member(names[i], kgo.Balancers(kgo.CooperativeStickyBalancer()))
		settled([]string{"consumer", "consumer", "classic"}[i], names...)
	}
}

// joinClassic joins a group as a member of the classic protocol and asks for the assignment.
func (s *started) joinClassic(group, instance string) (*kmsg.JoinGroupResponse, *kmsg.SyncGroupResponse) {
	s.t.Helper()
	cl := s.client(true)
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, []string{"t"}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType, join.InstanceID = group, 10_000, 10_000, "consumer", &instance
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: m.AppendTo(nil)}}
	joined, err := join.RequestWith(context60(s.t), cl)
	if err != nil {
		s.t.Fatal(err)
	}
	if joined.ErrorCode != 0 {
		return joined, nil
	}
	all := kmsg.NewConsumerMemberAssignment()
	all.Topics = []kmsg.ConsumerMemberAssignmentTopic{{Topic: "t", Partitions: []int32{0, 1}}}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.Generation, sync.MemberID, sync.InstanceID, sync.ProtocolType, sync.Protocol = group, joined.Generation, joined.MemberID, &instance, joined.ProtocolType, joined.Protocol
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: all.AppendTo(nil)}}
	synced, err := sync.RequestWith(context60(s.t), cl)
	if err != nil {
		s.t.Fatal(err)
	}
	return joined, synced
}

func (s *started) beatClassic(group, instance string, j *kmsg.JoinGroupResponse) int16 {
	s.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.InstanceID, req.Generation = group, j.MemberID, &instance, j.Generation
	resp, err := req.RequestWith(context60(s.t), s.client(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.ErrorCode
}

// TestMigrationPolicy: what each policy lets a group with members do, and that the broker knows it after a restart.
func TestMigrationPolicy(t *testing.T) {
	for policy, want := range map[string]struct {
		upgrade *kerr.Error
		after   string // the kind when the member of the consumer protocol has left
	}{
		"bidirectional": {nil, "classic"},
		"upgrade":       {nil, "consumer"},
		"downgrade":     {kerr.GroupIDNotFound, "classic"},
		"disabled":      {kerr.GroupIDNotFound, "classic"},
	} {
		t.Run(policy, func(t *testing.T) {
			dir := t.TempDir()
			set := func(o *Options) { o.Settings = map[string]string{"group.consumer.migration.policy": policy} }
			s := start(t, dir, set)
			if _, err := kadm.NewClient(s.client(true)).CreateTopic(context60(t), 2, 1, nil, "t"); err != nil {
				t.Fatal(err)
			}
			joined, _ := s.joinClassic("g", "old")
			s.wantCode("join", joined.ErrorCode, nil)
			s.wantCode("a member of the other protocol", s.beat("g", "new", 0, "t").ErrorCode, want.upgrade)
			if want.upgrade == nil {
				s.wantCode("the old member", s.beatClassic("g", "old", joined), kerr.RebalanceInProgress)
				s.stop()
				s = start(t, dir, set)
				described := s.describe("g")
				if len(described.Members) != 2 || described.Members[0].MemberType+described.Members[1].MemberType != 1 {
					t.Errorf("after a restart the group is %+v", described)
				}
				joined, _ = s.joinClassic("g", "old")
				s.wantCode("the old member joins again", joined.ErrorCode, nil)
				s.wantCode("leave", s.beat("g", "new", -1).ErrorCode, nil)
			}
			if got := s.groupType("g"); got != want.after {
				t.Errorf("the group is %s, want %s", got, want.after)
			}
			s.stop()
			s = start(t, dir, set)
			if got := s.groupType("g"); got != want.after {
				t.Errorf("after a restart the group is %s, want %s", got, want.after)
			}
			if want.upgrade == nil { // what the one that left had is nobody's yet
				s.wantCode("the old member", s.beatClassic("g", "old", joined), kerr.RebalanceInProgress)
			} else {
				s.wantCode("the old member", s.beatClassic("g", "old", joined), nil)
			}
			joined, synced := s.joinClassic("g", "old")
			s.wantCode("join again", joined.ErrorCode, nil)
			a := kmsg.NewConsumerMemberAssignment()
			if err := a.ReadFrom(synced.MemberAssignment); err != nil || len(a.Topics) != 1 || len(a.Topics[0].Partitions) != 2 {
				t.Errorf("it has %+v, %v", a, err)
			}
		})
	}
}

// TestClassicMemberOfAConsumerGroup: the requests of the classic protocol, put to a group of the other.
func TestClassicMemberOfAConsumerGroup(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(true)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(context60(t), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	s.wantCode("the first member", s.beat("g", "new", 0, "t").ErrorCode, nil)
	joined, synced := s.joinClassic("g", "old")
	s.wantCode("join", joined.ErrorCode, nil)
	s.wantCode("sync", synced.ErrorCode, nil)
	if joined.LeaderID != "" || *joined.Protocol != "range" {
		t.Errorf("joined as %+v", joined)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.MemberID, commit.InstanceID, commit.Generation = "g", joined.MemberID, kmsg.StringPtr("old"), joined.Generation
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 5}}}}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(8, 8) // before members of the consumer protocol could commit
	old := s.client(true, kgo.MaxVersions(versions))
	for _, c := range []struct {
		generation int32
		want       *kerr.Error
	}{{joined.Generation, nil}, {joined.Generation - 1, kerr.IllegalGeneration}} {
		commit.Generation = c.generation
		resp, err := commit.RequestWith(context60(t), old)
		if err != nil {
			t.Fatal(err)
		}
		s.wantCode("commit", resp.Topics[0].Partitions[0].ErrorCode, c.want)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.Members = "g", []kmsg.LeaveGroupRequestMember{{InstanceID: kmsg.StringPtr("old")}, {MemberID: "new"}}
	left, err := leave.RequestWith(context60(t), cl)
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("leave", left.Members[0].ErrorCode, nil)
	s.wantCode("a member of the other protocol", left.Members[1].ErrorCode, kerr.UnknownMemberID)
	s.wantCode("who is gone", s.beatClassic("g", "old", joined), kerr.UnknownMemberID)
}
