package broker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fast lets groups of the consumer protocol beat often.
func fast(o *Options) {
	o.Settings = map[string]string{"group.consumer.heartbeat.interval.ms": "50", "group.consumer.min.heartbeat.interval.ms": "50"}
}

// TestServerAssignsPartitions: two members of franz-go share a topic, one leaves, the broker restarts under them.
func TestServerAssignsPartitions(t *testing.T) {
	s := start(t, t.TempDir(), fast)
	adm := kadm.NewClient(s.client(false))
	if _, err := adm.CreateTopic(context60(t), 4, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	owned := make(map[string]int)
	change := func(name string, by int) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			mu.Lock()
			defer mu.Unlock()
			owned[name] += by * len(m["t"])
		}
	}
	member := func(name string) *kgo.Client {
		cl := s.client(false, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ServerSideBalancer(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.OnPartitionsAssigned(change(name, 1)), kgo.OnPartitionsRevoked(change(name, -1)), kgo.OnPartitionsLost(change(name, -1)))
		ended := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				cl.PollFetches(ctx)
			}
		}()
		t.Cleanup(func() { cancel(); <-ended })
		return cl
	}
	share := func(want map[string]int) {
		t.Helper()
		for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			mu.Lock()
			have := maps.Clone(owned)
			mu.Unlock()
			if maps.Equal(have, want) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("owned: %v, want %v", have, want)
			}
		}
	}
	member("a")
	share(map[string]int{"a": 4})
	b := member("b")
	share(map[string]int{"a": 2, "b": 2})
	described := s.describe("g")
	if described.State != "Stable" || described.AssignorName != "uniform" || len(described.Members) != 2 || described.Epoch != described.AssignmentEpoch {
		t.Errorf("described as %+v", described)
	}
	listed, err := adm.ListGroups(context60(t))
	if err != nil || listed["g"].State != "Stable" {
		t.Errorf("listed as %+v, %v", listed, err)
	}
	b.Close()
	share(map[string]int{"a": 4, "b": 0})
}

// describe asks ConsumerGroupDescribe about one group.
func (s *started) describe(group string) kmsg.ConsumerGroupDescribeResponseGroup {
	s.t.Helper()
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{group}
	resp, err := req.RequestWith(context60(s.t), s.client(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.Groups[0]
}

// beat sends a heartbeat that says everything, and returns the answer.
func (s *started) beat(group, id string, epoch int32, topics ...string) *kmsg.ConsumerGroupHeartbeatResponse {
	s.t.Helper()
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch = group, id, epoch
	if epoch >= 0 {
		req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 30_000, append([]string{}, topics...), []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	resp, err := req.RequestWith(context60(s.t), s.client(true))
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *started) wantCode(what string, got int16, want *kerr.Error) {
	s.t.Helper()
	if err := kerr.ErrorForCode(got); err != error(want) && (want != nil || err != nil) {
		s.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// TestConsumerGroupSurvivesRestart: epochs and members are the same, so nobody has to give up anything.
func TestConsumerGroupSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	if _, err := kadm.NewClient(s.client(true)).CreateTopic(context60(t), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	joined := s.beat("g", "m", 0, "t")
	s.wantCode("join", joined.ErrorCode, nil)
	s.wantCode("a group that comes and goes", s.beat("passing", "m", 0).ErrorCode, nil)
	s.wantCode("leave", s.beat("passing", "m", -1).ErrorCode, nil)
	before := s.describe("g")
	s.stop()
	s = start(t, dir)
	after := s.describe("g")
	if after.Epoch != before.Epoch || after.AssignmentEpoch != before.AssignmentEpoch || len(after.Members) != 1 || after.Members[0].MemberEpoch != joined.MemberEpoch ||
		len(after.Members[0].Assignment.TopicPartitions) != 1 || len(after.Members[0].Assignment.TopicPartitions[0].Partitions) != 2 {
		t.Errorf("after a restart %+v, before %+v", after, before)
	}
	s.wantCode("the member goes on", s.beat("g", "m", joined.MemberEpoch, "t").ErrorCode, nil)
	s.wantCode("a group without members and offsets is forgotten", s.describe("passing").ErrorCode, kerr.GroupIDNotFound)
}

// TestKindsOfGroups: a name belongs to one protocol as long as somebody is in the group.
func TestKindsOfGroups(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(true)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(context60(t), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	join := func(group string) *kmsg.JoinGroupResponse {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, 10_000, 10_000, "consumer"
		req.InstanceID, req.Protocols = kmsg.StringPtr("static"), protocols("range")
		resp, err := req.RequestWith(context60(t), cl)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	offset := kadm.Offsets{"t": {0: {Topic: "t", At: 7}}}
	commit := func(group string) error {
		_, err := adm.CommitOffsets(context60(t), group, offset)
		return err
	}
	s.wantCode("a classic group", join("classic").ErrorCode, nil)
	s.wantCode("it refuses the other kind", s.beat("classic", "m", 0, "t").ErrorCode, kerr.GroupIDNotFound)
	s.wantCode("and is no such group", s.describe("classic").ErrorCode, kerr.GroupIDNotFound)

	s.wantCode("a consumer group", s.beat("new", "m", 0, "t").ErrorCode, nil)
	s.wantCode("it refuses the other kind", join("new").ErrorCode, kerr.InconsistentGroupProtocol)
	if err := adm.CommitAllOffsets(context60(t), "new", offset); err == nil {
		t.Error("who is no member may commit")
	}
	deleted, err := adm.DeleteGroups(context60(t), "new")
	if err != nil || deleted["new"].Err != kerr.NonEmptyGroup {
		t.Errorf("deleting a group with a member: %v, %v", deleted, err)
	}
	gone, err := adm.DeleteOffsets(context60(t), "new", kadm.TopicsSet{"t": {0: {}}})
	if err != nil || gone["t"][0] != kerr.GroupSubscribedToTopic {
		t.Errorf("deleting an offset that is used: %v, %v", gone, err)
	}
	s.wantCode("leave", s.beat("new", "m", -1).ErrorCode, nil)
	if err := commit("new"); err != nil {
		t.Errorf("commit to an empty group: %v", err)
	}
	s.wantCode("empty, it becomes classic", join("new").ErrorCode, nil)
	offsets, err := adm.FetchOffsets(context60(t), "new")
	if err != nil || offsets["t"][0].At != 7 {
		t.Errorf("its offsets: %v, %v", offsets, err)
	}
	if err := commit("by-hand"); err != nil {
		t.Errorf("commit: %v", err)
	}
	s.wantCode("a group with offsets alone", s.beat("by-hand", "m", 0, "t").ErrorCode, nil)
	s.wantCode("a stranger", s.beat("nobody", "m", 5, "t").ErrorCode, kerr.GroupIDNotFound)
	s.wantCode("leave", s.beat("by-hand", "m", -1).ErrorCode, nil)
	if deleted, err = adm.DeleteGroups(context60(t), "by-hand"); err != nil || deleted["by-hand"].Err != nil {
		t.Errorf("deleting an empty group: %v, %v", deleted, err)
	}
	listed, err := adm.ListGroups(context60(t))
	if err != nil || !slices.Equal(listed.Groups(), []string{"classic", "new"}) {
		t.Errorf("listed %v, %v", listed.Groups(), err)
	}
}

// TestSilentConsumerExpires: the session ends by the broker's clock, also of a member that was there before a restart.
func TestSilentConsumerExpires(t *testing.T) {
	dir := t.TempDir()
	short := func(o *Options) {
		fast(o)
		o.Settings["group.consumer.session.timeout.ms"], o.Settings["group.consumer.min.session.timeout.ms"] = "300", "300"
	}
	s := start(t, dir) // it will not expire here
	s.wantCode("join", s.beat("g", "m", 0, "t").ErrorCode, nil)
	s.stop()
	s = start(t, dir, short)
	s.wantCode("another joins", s.beat("h", "m", 0, "t").ErrorCode, nil)
	for _, group := range []string{"g", "h"} {
		for until := time.Now().Add(time.Minute); s.describe(group).State != "Empty"; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s is %+v", group, s.describe(group))
			}
		}
	}
	s.wantCode("who comes too late", s.beat("g", "m", 2, "t").ErrorCode, kerr.UnknownMemberID)
}

// Offsets go with their topic: another one of the same name is read from its beginning, also after a restart.
func TestOffsetsGoWithTheirTopic(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	adm := kadm.NewClient(s.client(false))
	if _, err := adm.CreateTopics(t.Context(), 2, 1, nil, "gone", "stays"); err != nil {
		t.Fatal(err)
	}
	var offsets kadm.Offsets
	for _, topic := range []string{"gone", "stays"} {
		for partition := range int32(2) {
			offsets.AddOffset(topic, partition, 7, -1)
		}
	}
	for _, group := range []string{"g", "h"} {
		if err := adm.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := adm.DeleteTopic(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "gone"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, group := range []string{"g", "h"} {
			got, err := adm.FetchOffsets(t.Context(), group)
			if err != nil {
				t.Fatal(err)
			}
			if len(got["gone"]) != 0 || len(got["stays"]) != 2 {
				t.Errorf("offsets of %s: %v", group, got)
			}
		}
		s.stop()
		s = start(t, dir)
		adm = kadm.NewClient(s.client(false))
	}
}
