package broker

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// errorCodes are all codes in an answer that are not 0.
func errorCodes(v reflect.Value, into map[int16]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			errorCodes(v.Elem(), into)
		}
	case reflect.Slice:
		for i := range v.Len() {
			errorCodes(v.Index(i), into)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if name := v.Type().Field(i).Name; (name == "ErrorCode" || name == "ConfigErrorCode") && f.Kind() == reflect.Int16 {
				if f.Int() != 0 {
					into[int16(f.Int())] = true
				}
			} else if f.CanInterface() {
				errorCodes(f, into)
			}
		}
	}
}

// need is a rule that a request needs, and the error without it.
type need struct {
	kind kmsg.ACLResourceType
	name string
	op   kmsg.ACLOperation
	code *kerr.Error
}

var (
	noTopic, noGroup    = kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed
	noCluster, noTransa = kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed
)

// protected are requests on topic t, group g and transactional id x, and what they need, one after the other.
func protected(id [16]byte) map[string]struct {
	req   kmsg.Request
	needs []need
} {
	records := segment.Builder{}
	records.Add(1, []byte("k"), []byte("v"))
	inTransaction := segment.Builder{Idempotent: true, Transactional: true, ProducerID: 9}
	inTransaction.Add(1, []byte("k"), []byte("v"))
	t, g, x, c := "t", "g", "x", clusterName
	write := need{topicResource, t, mayWrite, noTopic}
	read := need{topicResource, t, mayRead, noTopic}
	seen := need{topicResource, t, mayDescribe, noTopic}
	member := need{groupResource, g, mayRead, noGroup}
	transactional := need{transactionalResource, x, mayWrite, noTransa}
	cluster := func(op kmsg.ACLOperation) need { return need{clusterResource, c, op, noCluster} }
	type protected = struct {
		req   kmsg.Request
		needs []need
	}
	return map[string]protected{
		"produce": {&kmsg.ProduceRequest{Acks: -1, TimeoutMillis: 1000, Topics: []kmsg.ProduceRequestTopic{{Topic: t, TopicID: id,
			Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records.Batch()}}}}}, []need{write}},
		"produce in transaction": {&kmsg.ProduceRequest{TransactionID: &x, Acks: -1, TimeoutMillis: 1000, Topics: []kmsg.ProduceRequestTopic{{Topic: t, TopicID: id,
			Partitions: []kmsg.ProduceRequestTopicPartition{{Records: inTransaction.Batch()}}}}}, []need{write, transactional}},
		"fetch": {&kmsg.FetchRequest{ReplicaID: -1, MaxBytes: 1000, SessionEpoch: -1, Topics: []kmsg.FetchRequestTopic{{Topic: t, TopicID: id,
			Partitions: []kmsg.FetchRequestTopicPartition{{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, PartitionMaxBytes: 1000}}}}}, []need{read}},
		"list offsets": {&kmsg.ListOffsetsRequest{ReplicaID: -1, Topics: []kmsg.ListOffsetsRequestTopic{{Topic: t,
			Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: -1, CurrentLeaderEpoch: -1}}}}}, []need{seen}},
		"metadata":       {&kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: &t}}}, []need{seen}},
		"metadata by id": {&kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{TopicID: id}}}, []need{seen}},
		"commit": {&kmsg.OffsetCommitRequest{Group: g, Generation: -1, Topics: []kmsg.OffsetCommitRequestTopic{{Topic: t, TopicID: id,
			Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1, LeaderEpoch: -1}}}}}, []need{member, read}},
		"committed": {&kmsg.OffsetFetchRequest{Groups: []kmsg.OffsetFetchRequestGroup{{Group: g,
			Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: t, TopicID: id, Partitions: []int32{0}}}}}}, []need{{groupResource, g, mayDescribe, noGroup}, seen}},
		"find group":       {&kmsg.FindCoordinatorRequest{CoordinatorKeys: []string{g}}, []need{{groupResource, g, mayDescribe, noGroup}}},
		"find transaction": {&kmsg.FindCoordinatorRequest{CoordinatorType: 1, CoordinatorKeys: []string{x}}, []need{{transactionalResource, x, mayDescribe, noTransa}}},
		"join":             {&kmsg.JoinGroupRequest{Group: g}, []need{member}},
		"heartbeat":        {&kmsg.HeartbeatRequest{Group: g}, []need{member}},
		"leave":            {&kmsg.LeaveGroupRequest{Group: g}, []need{member}},
		"sync":             {&kmsg.SyncGroupRequest{Group: g}, []need{member}},
		"describe group":   {&kmsg.DescribeGroupsRequest{Groups: []string{g}}, []need{{groupResource, g, mayDescribe, noGroup}}},
		"create topic": {&kmsg.CreateTopicsRequest{ValidateOnly: true, Topics: []kmsg.CreateTopicsRequestTopic{{Topic: "new", NumPartitions: 1, ReplicationFactor: 1}}},
			[]need{{topicResource, "new", mayCreate, noTopic}}},
		"delete topic":           {&kmsg.DeleteTopicsRequest{Topics: []kmsg.DeleteTopicsRequestTopic{{Topic: kmsg.StringPtr("other")}}}, []need{{topicResource, "other", mayDelete, noTopic}}},
		"delete records":         {&kmsg.DeleteRecordsRequest{Topics: []kmsg.DeleteRecordsRequestTopic{{Topic: t, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{}}}}}, []need{{topicResource, t, mayDelete, noTopic}}},
		"producer id":            {&kmsg.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1}, []need{cluster(mayWriteIdempotent)}},
		"transactional producer": {&kmsg.InitProducerIDRequest{TransactionalID: &x, TransactionTimeoutMillis: 1000, ProducerID: -1, ProducerEpoch: -1}, []need{transactional}},
		"leader epoch":           {&kmsg.OffsetForLeaderEpochRequest{Topics: []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: t, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{CurrentLeaderEpoch: -1}}}}}, []need{seen}},
		"add partitions": {&kmsg.AddPartitionsToTxnRequest{Transactions: []kmsg.AddPartitionsToTxnRequestTransaction{{TransactionalID: x,
			Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: t, Partitions: []int32{0}}}}}}, []need{write, transactional}},
		"add offsets": {&kmsg.AddOffsetsToTxnRequest{TransactionalID: x, Group: g}, []need{transactional, member}},
		"end":         {&kmsg.EndTxnRequest{TransactionalID: x}, []need{transactional}},
		"write markers": {&kmsg.WriteTxnMarkersRequest{Markers: []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: 99,
			Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: t, Partitions: []int32{0}}}}}}, []need{cluster(mayAlter)}},
		"commit in transaction": {&kmsg.TxnOffsetCommitRequest{TransactionalID: x, Group: g, Generation: -1, Topics: []kmsg.TxnOffsetCommitRequestTopic{{Topic: t,
			Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{LeaderEpoch: -1}}}}}, []need{read, transactional, member}},
		"describe ACLs":         {&kmsg.DescribeACLsRequest{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}, []need{cluster(mayDescribe)}},
		"create ACLs":           {&kmsg.CreateACLsRequest{Creations: []kmsg.CreateACLsRequestCreation{{}}}, []need{cluster(mayAlter)}},
		"delete ACLs":           {&kmsg.DeleteACLsRequest{Filters: []kmsg.DeleteACLsRequestFilter{{}}}, []need{cluster(mayAlter)}},
		"describe configs":      {&kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: t}}}, []need{{topicResource, t, mayDescribeConfigs, noTopic}}},
		"broker's configs":      {&kmsg.DescribeConfigsRequest{Resources: []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"}}}, []need{cluster(mayDescribeConfigs)}},
		"alter configs":         {&kmsg.AlterConfigsRequest{Resources: []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: t}}}, []need{{topicResource, t, mayAlterConfigs, noTopic}}},
		"alter some configs":    {&kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: t}}}, []need{{topicResource, t, mayAlterConfigs, noTopic}}},
		"log dirs":              {&kmsg.DescribeLogDirsRequest{}, []need{cluster(mayDescribe)}},
		"move":                  {&kmsg.AlterReplicaLogDirsRequest{Dirs: []kmsg.AlterReplicaLogDirsRequestDir{{Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: t, Partitions: []int32{0}}}}}}, []need{cluster(mayAlter)}},
		"partitions":            {&kmsg.CreatePartitionsRequest{ValidateOnly: true, Topics: []kmsg.CreatePartitionsRequestTopic{{Topic: t, Count: 2}}}, []need{{topicResource, t, mayAlter, noTopic}}},
		"delete group":          {&kmsg.DeleteGroupsRequest{Groups: []string{"nobody"}}, []need{{groupResource, "nobody", mayDelete, noGroup}}},
		"elect":                 {&kmsg.ElectLeadersRequest{}, []need{cluster(mayAlter)}},
		"reassign":              {&kmsg.AlterPartitionAssignmentsRequest{}, []need{cluster(mayAlter)}},
		"reassignments":         {&kmsg.ListPartitionReassignmentsRequest{}, []need{cluster(mayDescribe)}},
		"delete offsets":        {&kmsg.OffsetDeleteRequest{Group: "h", Topics: []kmsg.OffsetDeleteRequestTopic{{Topic: t, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}}, []need{{groupResource, "h", mayDelete, noGroup}, read}},
		"quotas":                {&kmsg.DescribeClientQuotasRequest{}, []need{cluster(mayDescribeConfigs)}},
		"alter quotas":          {&kmsg.AlterClientQuotasRequest{Entries: []kmsg.AlterClientQuotasRequestEntry{{}}}, []need{cluster(mayAlterConfigs)}},
		"users":                 {&kmsg.DescribeUserSCRAMCredentialsRequest{}, []need{cluster(mayDescribe)}},
		"alter users":           {&kmsg.AlterUserSCRAMCredentialsRequest{Deletions: []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}}}, []need{cluster(mayAlter)}},
		"quorum":                {&kmsg.DescribeQuorumRequest{}, []need{cluster(mayDescribe)}},
		"producers":             {&kmsg.DescribeProducersRequest{Topics: []kmsg.DescribeProducersRequestTopic{{Topic: t, Partitions: []int32{0}}}}, []need{read}},
		"describe transactions": {&kmsg.DescribeTransactionsRequest{TransactionalIDs: []string{x}}, []need{{transactionalResource, x, mayDescribe, noTransa}}},
		"consumer group heartbeat": {&kmsg.ConsumerGroupHeartbeatRequest{Group: g, MemberID: "m", RebalanceTimeoutMillis: 1000, SubscribedTopicNames: []string{t},
			MemberEpoch: 1}, []need{member, seen}},
		"describe consumer group": {&kmsg.ConsumerGroupDescribeRequest{Groups: []string{"k"}}, []need{{groupResource, "k", mayDescribe, noGroup}, seen}},
		"config resources":        {&kmsg.ListConfigResourcesRequest{}, []need{cluster(mayDescribeConfigs)}},
		"describe topic":          {&kmsg.DescribeTopicPartitionsRequest{Topics: []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: t}}}, []need{seen}},
	}
}

// TestAuthorization sends each request with none, a part, and all of the rules that it needs.
func TestAuthorization(t *testing.T) {
	s := start(t, t.TempDir(), func(o *Options) { o.ACLs = ACLOptions{Enabled: true, SuperUsers: []string{anonymous}} })
	s.addUser("alice", "secret", kadm.ScramSha256)
	at := s.door(Listener{SASL: []string{ScramSHA256}})
	adm := kadm.NewClient(s.client(false))
	for _, name := range []string{"t", "other"} {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range []string{"g", "h"} { // they are there
		if err := adm.CommitAllOffsets(t.Context(), group, kadm.Offsets{"t": {0: {Topic: "t"}}}); err != nil {
			t.Fatal(err)
		}
	}
	join := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	join.Group, join.MemberID, join.RebalanceTimeoutMillis, join.SubscribedTopicNames = "k", "m", 1000, []string{"t"}
	join.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if resp, err := join.RequestWith(t.Context(), s.client(false)); err != nil || resp.ErrorCode != 0 { // its description shows the topic
		t.Fatalf("%+v, %v", resp, err)
	}
	topic, err := s.log.Topic("t")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := kgo.NewClient(kgo.SeedBrokers(at), kgo.SASL(scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	refused := []int16{noTopic.Code, noGroup.Code, noCluster.Code, noTransa.Code}
	all := protected(topic.ID())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c := all[name]
		t.Run(name, func(t *testing.T) {
			var rules []acl
			for i := range len(c.needs) + 1 {
				if _, err := s.b.acls.remove(func(*acl) bool { return true }); err != nil {
					t.Fatal(err)
				}
				if err := s.b.acls.add(rules); err != nil {
					t.Fatal(err)
				}
				resp, err := alice.SeedBrokers()[0].Request(context60(t), c.req)
				if err != nil {
					t.Fatal(err)
				}
				codes := map[int16]bool{}
				errorCodes(reflect.ValueOf(resp), codes)
				maps.DeleteFunc(codes, func(code int16, _ bool) bool { return !slices.Contains(refused, code) })
				want := map[int16]bool{}
				if i < len(c.needs) {
					n := c.needs[i]
					want[n.code.Code] = true
					rules = append(rules, acl{n.kind, literal, n.name, "User:alice", anything, n.op, allow})
				}
				if !maps.Equal(codes, want) {
					t.Errorf("with %d of %d rules it is refused by %v, want %v", i, len(c.needs), codes, want)
				}
			}
		})
	}
}

// TestEveryAPIIsProtected: a request that is not in the table of TestAuthorization is one that everybody may send.
func TestEveryAPIIsProtected(t *testing.T) {
	open := map[int16]bool{16: true, 17: true, 18: true, 36: true, 60: true, 66: true} // lists show what may be seen
	for _, c := range protected([16]byte{}) {
		open[c.req.Key()] = true
	}
	s := start(t, t.TempDir())
	for key, a := range s.b.apis {
		if a.handle != nil && !open[int16(key)] {
			t.Errorf("nobody says who may send %s", kmsg.NameForKey(int16(key)))
		}
	}
}

// TestListsShowWhatMayBeSeen: topics, groups and transactions that a client may not describe are not there for it.
func TestListsShowWhatMayBeSeen(t *testing.T) {
	s := start(t, t.TempDir(), func(o *Options) { o.ACLs = ACLOptions{Enabled: true, SuperUsers: []string{"User:root"}} })
	cl := s.client(true) // this process may do everything
	adm := kadm.NewClient(cl)
	for _, name := range []string{"seen", "hidden"} {
		if _, err := adm.CreateTopic(t.Context(), 1, 1, nil, name); err != nil {
			t.Fatal(err)
		}
		if err := adm.CommitAllOffsets(t.Context(), name, kadm.Offsets{name: {0: {Topic: name}}}); err != nil {
			t.Fatal(err)
		}
		init := kmsg.NewPtrInitProducerIDRequest()
		init.TransactionalID, init.TransactionTimeoutMillis = &name, 1000
		if resp, err := init.RequestWith(t.Context(), cl); err != nil || resp.ErrorCode != 0 {
			t.Fatalf("%+v, %v", resp, err)
		}
	}
	var rules []acl
	for _, kind := range []kmsg.ACLResourceType{topicResource, groupResource, transactionalResource} {
		rules = append(rules, acl{kind, prefixed, "see", anonymous, anything, mayDescribe, allow})
	}
	if err := s.b.acls.add(rules); err != nil {
		t.Fatal(err)
	}
	adm = kadm.NewClient(s.client(false))
	topics, err := adm.ListTopics(t.Context())
	if err != nil || !slices.Equal(topics.Names(), []string{"seen"}) {
		t.Errorf("topics %v, %v", topics.Names(), err)
	}
	groups, err := adm.ListGroups(t.Context())
	if err != nil || !slices.Equal(groups.Groups(), []string{"seen"}) {
		t.Errorf("groups %v, %v", groups.Groups(), err)
	}
	transactions, err := adm.ListTransactions(t.Context(), nil, nil)
	if err != nil || !slices.Equal(transactions.TransactionalIDs(), []string{"seen"}) {
		t.Errorf("transactions %v, %v", transactions.TransactionalIDs(), err)
	}
	offsets, err := adm.FetchOffsets(t.Context(), "seen")
	if err != nil || len(offsets) != 1 {
		t.Errorf("offsets %v, %v", offsets, err)
	}
}
