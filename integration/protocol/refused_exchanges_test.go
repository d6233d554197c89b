package protocol

import (
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusedExchanges are what clients' own tests ask of an administrator's requests besides what they are for.
func refusedExchanges(prefix string) []exchange {
	made, compacted, assigned := prefix+"-r-made", prefix+"-r-compacted", prefix+"-r-assigned"
	return append([]exchange{
		{name: "create to be asked for", once: true, version: 7, request: always(createTopic(made, 2)), differs: ownDefaults, note: noteMade},
		{name: "create to be compacted only", once: true, version: 7, request: always(createTopic(compacted, 1, "cleanup.policy", "compact")), differs: ownDefaults},
		{name: "metadata of what was made", version: 12, request: metadata(made, compacted), differs: []string{"LeaderEpoch"}},
		{name: "metadata by id as Java's clients ask", version: 12, request: metadataByID("", made), differs: []string{"LeaderEpoch"}},
		{name: "metadata by id, and a name", version: 12, request: metadataByID(compacted, made), differs: []string{"LeaderEpoch"}},
		{name: "create with replicas of a partition that is not there", version: 7, request: createAssigned(assigned, 1)},
		{name: "create with replicas of a partition twice", version: 7, request: createAssigned(assigned, 0, 0)},
		{name: "create with replicas of partitions in any order", once: true, version: 7, request: createAssigned(assigned, 1, 0), differs: ownDefaults},
		{name: "more partitions elsewhere", version: 3, request: growTo(made, 3, []int32{7})},
		{name: "more partitions than places for them", version: 3, request: growTo(made, 4, []int32{1})},
		{name: "more partitions, places for none", version: 3, request: growTo(made, 4)},
		{name: "check for fewer partitions", version: 3, request: func(n *node) kmsg.Request {
			req := createPartitions(made, 1)(n).(*kmsg.CreatePartitionsRequest)
			req.ValidateOnly = true
			return req
		}},
		{name: "more partitions where they can be", once: true, version: 3, request: growTo(made, 3, []int32{1})},
		{name: "alter a config twice", version: 1, request: alterTwice(made, kmsg.StringPtr("1000000"), "retention.ms", "retention.ms")},
		{name: "alter a config to null", version: 1, request: alterTwice(made, nil, "retention.ms")},
		{name: "replace a config twice", version: 2, request: replaceConfigs(kmsg.ConfigResourceTypeTopic, made, "segment.ms", "100000", "segment.ms", "200000")},
		{name: "delete records of a compacted topic", version: 2, request: deleteRecords(compacted, 0)},
		{name: "describe partitions of an illegal topic", version: 0, request: describePartitions(10, "a/b"), differs: []string{"AuthorizedOperations"}},
	}, readersExchanges(prefix, made, compacted)...)
}

// readersExchanges are about the offsets of a group of the classic protocol with a consumer in it.
func readersExchanges(prefix, reads, other string) []exchange {
	group := prefix + "-r-group"
	join := func(n *node) kmsg.Request {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType, req.MemberID = group, 30_000, 30_000, "consumer", n.words["reader"]
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = "range", kbin.AppendInt32(kbin.AppendString(kbin.AppendArrayLen(kbin.AppendInt16(nil, 0), 1), reads), -1)
		req.Protocols = append(req.Protocols, p)
		return req
	}
	forget := func(topic string) func(*node) kmsg.Request {
		req := kmsg.NewPtrOffsetDeleteRequest()
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic, t.Partitions = topic, append(t.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
		req.Group, req.Topics = group, append(req.Topics, t)
		return always(req)
	}
	names := []string{"MemberID", "LeaderID"}
	return []exchange{
		{name: "consumer joins for an id", once: true, version: 9, request: join, differs: names, note: func(n *node, resp kmsg.Response) {
			n.words["reader"] = resp.(*kmsg.JoinGroupResponse).MemberID
		}},
		{name: "consumer joins", once: true, version: 9, request: join, differs: append(names, "Members")},
		{name: "consumer syncs", once: true, version: 5, request: func(n *node) kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group, req.Generation, req.MemberID = group, 1, n.words["reader"]
			req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
			return req
		}},
		{name: "delete offset that is being read on from", version: 0, request: forget(reads)},
		{name: "delete offset of another topic", version: 0, request: forget(other)},
		{name: "delete offset of no topic", version: 0, request: forget(prefix + ".none")},
		{name: "consumer leaves", once: true, version: 5, request: func(n *node) kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = n.words["reader"]
			req.Group, req.Members = group, append(req.Members, m)
			return req
		}, differs: names},
		{name: "delete offset that was read on from", version: 0, request: forget(reads)},
	}
}

// metadataByID asks for a topic by id, with a name that is not looked at.
func metadataByID(name string, topics ...string) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrMetadataRequest()
		for _, topic := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic, t.TopicID = kmsg.StringPtr(name), n.ids[topic]
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

// createAssigned makes a topic with the replicas of each partition on broker 1.
func createAssigned(name string, partitions ...int32) func(*node) kmsg.Request {
	req := createTopic(name, -1).(*kmsg.CreateTopicsRequest)
	req.Topics[0].ReplicationFactor = -1
	for _, p := range partitions {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = p, []int32{1}
		req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, a)
	}
	return always(req)
}

// growTo asks for more partitions, with the replicas of each new one.
func growTo(name string, count int32, replicas ...[]int32) func(*node) kmsg.Request {
	req := createPartitions(name, count)(nil).(*kmsg.CreatePartitionsRequest)
	req.Topics[0].Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
	for _, r := range replicas {
		a := kmsg.NewCreatePartitionsRequestTopicAssignment()
		a.Replicas = r
		req.Topics[0].Assignment = append(req.Topics[0].Assignment, a)
	}
	return always(req)
}

// alterTwice sets configs of a topic, each to the same value.
func alterTwice(topic string, value *string, names ...string) func(*node) kmsg.Request {
	req := alterConfig(kmsg.ConfigResourceTypeTopic, topic, kmsg.IncrementalAlterConfigOpSet, names[0], "")(nil).(*kmsg.IncrementalAlterConfigsRequest)
	r := &req.Resources[0]
	r.Configs = nil
	for _, name := range names {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, value
		r.Configs = append(r.Configs, c)
	}
	return always(req)
}
