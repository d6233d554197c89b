package broker

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNamesThatAreTooLong: newer versions of requests could carry names that the records of groups and transactions cannot.
// They are refused, and a start reads what is there.
func TestNamesThatAreTooLong(t *testing.T) {
	dir, long := t.TempDir(), strings.Repeat("x", 40_000)
	s := start(t, dir)
	cl := s.client(true)
	if _, err := kadm.NewClient(cl).CreateTopic(context60(t), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	topic, err := s.log.Topic("t")
	if err != nil {
		t.Fatal(err)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = long, -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "t", TopicID: topic.ID(), Partitions: []kmsg.OffsetCommitRequestTopicPartition{{}}}}
	at := cl.Broker(int(nodeID)) // who asks for a coordinator first is refused there
	committed, err := commit.RequestWith(context60(t), at)
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("commit", committed.Topics[0].Partitions[0].ErrorCode, kerr.InvalidGroupID)
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis, init.ProducerID, init.ProducerEpoch = &long, 1000, -1, -1
	producer, err := init.RequestWith(context60(t), at)
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("a transactional id", producer.ErrorCode, kerr.InvalidRequest)
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beat.Group, beat.MemberID, beat.RebalanceTimeoutMillis, beat.SubscribedTopicNames, beat.Topics = long, "m", 1000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	beaten, err := beat.RequestWith(context60(t), at)
	if err != nil {
		t.Fatal(err)
	}
	s.wantCode("a consumer group", beaten.ErrorCode, kerr.InvalidGroupID)
	s.wantCode("a member", s.beat("g", long, 0, "t").ErrorCode, kerr.InvalidRequest)
	for name, change := range map[string]func(*kmsg.JoinGroupRequest){
		"group":         func(r *kmsg.JoinGroupRequest) { r.Group = long },
		"instance":      func(r *kmsg.JoinGroupRequest) { r.InstanceID = &long },
		"protocol":      func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = long },
		"protocol type": func(r *kmsg.JoinGroupRequest) { r.ProtocolType = long },
		"no protocol":   func(r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = "" }, // which is allowed
	} {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType, req.InstanceID = "by "+name, 10_000, 10_000, "other", kmsg.StringPtr("one")
		req.Protocols = protocols("range")
		change(req)
		joined, err := req.RequestWith(context60(t), at)
		if err != nil {
			t.Fatal(err)
		}
		want := kerr.InvalidRequest
		switch name {
		case "group":
			want = kerr.InvalidGroupID
		case "no protocol":
			want = nil
		}
		s.wantCode("join by "+name, joined.ErrorCode, want)
		if joined.ErrorCode != 0 {
			continue
		}
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.Generation, sync.MemberID, sync.ProtocolType, sync.Protocol = req.Group, joined.Generation, joined.MemberID, &req.ProtocolType, &req.Protocols[0].Name
		synced, err := sync.RequestWith(context60(t), at)
		if err != nil {
			t.Fatal(err)
		}
		s.wantCode("sync by "+name, synced.ErrorCode, nil)
	}
	s.stop()
	s = start(t, dir)
	if got := s.groupType("by no protocol"); got != "classic" {
		t.Errorf("after a restart there is %s group", got)
	}
}
