package protocol

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func commit(topic, group string, id [16]byte, offset int64, metadata string) kmsg.Request {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic, t.TopicID = topic, id
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch, p.Metadata = offset, -1, kmsg.StringPtr(metadata)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func offsets(group string, topics ...kmsg.OffsetFetchRequestGroupTopic) kmsg.Request {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, topics
	req.Groups = append(req.Groups, g)
	return req
}

func offsetExchanges(a, group string) []exchange {
	topic := func(n *node, id [16]byte) kmsg.OffsetFetchRequestGroupTopic {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = a, id, []int32{0, 1}
		return t
	}
	coordinator := kmsg.NewPtrFindCoordinatorRequest()
	coordinator.CoordinatorKeys = []string{group}
	return []exchange{
		{name: "find coordinator", version: 4, request: always(coordinator)},
		{name: "commit by id", version: 10, request: func(n *node) kmsg.Request { return commit(a, group, n.ids[a], 3, "note") }},
		{name: "commit by unknown id", version: 10, request: func(n *node) kmsg.Request { return commit(a, group, [16]byte{1}, 3, "") }},
		{name: "commit by name", version: 9, request: func(n *node) kmsg.Request { return commit(a, group, n.ids[a], 4, "note") }},
		{name: "commit for no topic", version: 9, request: func(n *node) kmsg.Request { return commit("none", group, n.ids[a], 4, "") }},
		{name: "commit with too long a note", version: 9, request: func(n *node) kmsg.Request { return commit(a, group, n.ids[a], 4, string(make([]byte, 5000))) }},
		{name: "offsets by id", version: 10, request: func(n *node) kmsg.Request { return offsets(group, topic(n, n.ids[a])) }},
		{name: "offsets by unknown id", version: 10, request: func(n *node) kmsg.Request { return offsets(group, topic(n, [16]byte{1})) }},
		{name: "offsets by name", version: 9, request: func(n *node) kmsg.Request { return offsets(group, topic(n, n.ids[a])) }},
		{name: "all offsets by id", version: 10, request: always(offsets(group))},
		{name: "all offsets by name", version: 8, request: always(offsets(group))},
		{name: "describe group", version: 6, request: always(describeGroup(group))},
		{name: "describe group with operations", version: 6, request: func(*node) kmsg.Request {
			req := describeGroup(group).(*kmsg.DescribeGroupsRequest)
			req.IncludeAuthorizedOperations = true
			return req
		}},
		{name: "describe no group", version: 6, request: always(describeGroup(group + "-none"))},
		{name: "describe no group v5", version: 5, request: always(describeGroup(group + "-none"))},
		{name: "delete offset", version: 0, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = a
			t.Partitions = append(t.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "delete offset of no group", version: 0, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group + "-none"
			return req
		}},
		{name: "delete groups", once: true, version: 2, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{group, group + "-none"}
			return req
		}, differs: []string{"Groups"}},
	}
}

func describeGroup(group string) kmsg.Request {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	return req
}

func alterConfig(kind kmsg.ConfigResourceType, resource string, op kmsg.IncrementalAlterConfigOp, name, value string) func(*node) kmsg.Request {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = name, op, kmsg.StringPtr(value)
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return always(req)
}

func replaceConfigs(kind kmsg.ConfigResourceType, resource string, values ...string) func(*node) kmsg.Request {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	for i := 0; i < len(values); i += 2 {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = values[i], kmsg.StringPtr(values[i+1])
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return always(req)
}

func describeConfigs(kind kmsg.ConfigResourceType, resource string, names ...string) func(*node) kmsg.Request {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, names
	req.Resources = append(req.Resources, r)
	return always(req)
}

func configExchanges(a string) []exchange {
	const topic, broker = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	return []exchange{
		{name: "describe a config that is set", version: 4, request: describeConfigs(topic, a, "retention.ms")},
		{name: "describe configs with their synonyms", version: 4, request: describeConfigs(topic, a, "max.message.bytes"), differs: []string{"Documentation"}},
		{name: "describe a config without a synonym", version: 4, request: describeConfigs(topic, a, "flush.ms"), differs: []string{"Documentation"}},
		{name: "describe configs of no topic", version: 4, request: describeConfigs(topic, a+".none")},
		{name: "describe configs of an illegal topic", version: 4, request: describeConfigs(topic, "a/b")},
		{name: "describe configs of no broker", version: 4, request: describeConfigs(broker, "99")},
		{name: "describe configs of a broker without a number", version: 4, request: describeConfigs(broker, "x")},
		{name: "describe the brokers' configs", version: 4, request: describeConfigs(broker, "", "num.partitions")},
		{name: "describe a broker's config", version: 4, request: describeConfigs(broker, "1", "log.index.interval.bytes"), differs: []string{"Documentation"}},
		{name: "append to a list", version: 1, request: alterConfig(topic, a, kmsg.IncrementalAlterConfigOpAppend, "cleanup.policy", "compact")},
		{name: "the list", version: 4, request: describeConfigs(topic, a, "cleanup.policy")},
		{name: "subtract from a list", version: 1, request: alterConfig(topic, a, kmsg.IncrementalAlterConfigOpSubtract, "cleanup.policy", "compact")},
		{name: "append to a number", version: 1, request: alterConfig(topic, a, kmsg.IncrementalAlterConfigOpAppend, "retention.ms", "1")},
		{name: "alter to a bad value", version: 1, request: alterConfig(topic, a, kmsg.IncrementalAlterConfigOpSet, "retention.ms", "soon")},
		{name: "alter what is not known", version: 1, request: alterConfig(topic, a, kmsg.IncrementalAlterConfigOpSet, "no.such", "1")},
		{name: "alter configs of no topic", version: 1, request: alterConfig(topic, a+".none", kmsg.IncrementalAlterConfigOpSet, "retention.ms", "1")},
		{name: "alter what cannot be changed", version: 1, request: alterConfig(broker, "1", kmsg.IncrementalAlterConfigOpSet, "num.partitions", "4")},
		{name: "replace configs", version: 2, request: replaceConfigs(topic, a, "segment.ms", "123456")},
		{name: "replaced", version: 4, request: describeConfigs(topic, a, "retention.bytes"), differs: []string{"Documentation"}},
		{name: "replace with what is not known", version: 2, request: replaceConfigs(topic, a, "no.such", "1")},
		{name: "replace configs of no topic", version: 2, request: replaceConfigs(topic, a+".none", "segment.ms", "123456")},
	}
}

func describePartitions(limit int32, names ...string) func(*node) kmsg.Request {
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.ResponsePartitionLimit = limit
	for _, name := range names {
		t := kmsg.NewDescribeTopicPartitionsRequestTopic()
		t.Topic = name
		req.Topics = append(req.Topics, t)
	}
	return always(req)
}

func electLeaders(topic string, partition int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	req.Topics = append(req.Topics, t)
	return always(req)
}

func reassign(topic string, partition int32, replicas []int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = topic
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Partition, p.Replicas = partition, replicas
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return always(req)
}

func logDirs(topic string) func(*node) kmsg.Request {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	t := kmsg.NewDescribeLogDirsRequestTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	req.Topics = append(req.Topics, t)
	return always(req)
}

func moveReplica(dir, topic string) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
		t.Topic, t.Partitions = topic, []int32{0}
		d := kmsg.NewAlterReplicaLogDirsRequestDir()
		d.Dir, d.Topics = n.word(dir), append(d.Topics, t)
		req := kmsg.NewPtrAlterReplicaLogDirsRequest()
		req.Dirs = append(req.Dirs, d)
		return req
	}
}

func clusterExchanges(a string) []exchange {
	quorum := kmsg.NewPtrDescribeQuorumRequest()
	qt := kmsg.NewDescribeQuorumRequestTopic()
	qt.Topic, qt.Partitions = "__cluster_metadata", append(qt.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	quorum.Topics = append(quorum.Topics, qt)
	other := kmsg.NewPtrDescribeQuorumRequest()
	ot := kmsg.NewDescribeQuorumRequestTopic()
	ot.Topic, ot.Partitions = a, qt.Partitions
	other.Topics = append(other.Topics, ot)
	acls := kmsg.NewPtrDescribeACLsRequest()
	acls.ResourceType, acls.Operation, acls.PermissionType, acls.ResourcePatternType = 1, 1, 1, 1
	createACL := kmsg.NewPtrCreateACLsRequest()
	creation := kmsg.NewCreateACLsRequestCreation()
	creation.ResourceType, creation.ResourceName, creation.ResourcePatternType, creation.Principal, creation.Host = 2, "t", 3, "User:u", "*"
	creation.Operation, creation.PermissionType = 3, 3
	createACL.Creations = append(createACL.Creations, creation)
	deleteACL := kmsg.NewPtrDeleteACLsRequest()
	filter := kmsg.NewDeleteACLsRequestFilter()
	filter.ResourceType, filter.Operation, filter.PermissionType, filter.ResourcePatternType = 1, 1, 1, 1
	deleteACL.Filters = append(deleteACL.Filters, filter)
	offsets := []string{"LeaderEpoch", "HighWatermark", "LogEndOffset", "LastFetchTimestamp", "LastCaughtUpTimestamp", "ReplicaDirectoryID", "Listeners"}
	return []exchange{
		{name: "describe topic partitions", version: 0, request: describePartitions(2, a, a+".none"), differs: []string{"LeaderEpoch"}},
		{name: "describe the partitions from a cursor on", version: 0, request: func(*node) kmsg.Request {
			req := describePartitions(2000, a)(nil).(*kmsg.DescribeTopicPartitionsRequest)
			cursor := kmsg.NewDescribeTopicPartitionsRequestCursor()
			cursor.Topic, cursor.Partition = a, 2
			req.Cursor = &cursor
			return req
		}, differs: []string{"LeaderEpoch"}},
		{name: "describe all partitions of a topic", version: 0, request: describePartitions(2000, a), differs: []string{"LeaderEpoch"}},
		{name: "describe cluster", version: 2, request: always(kmsg.NewPtrDescribeClusterRequest())},
		{name: "describe cluster with operations", version: 2, request: always(&kmsg.DescribeClusterRequest{IncludeClusterAuthorizedOperations: true, EndpointType: 1})},
		{name: "metadata with operations", version: 10, request: func(*node) kmsg.Request {
			req := metadata(a)(nil).(*kmsg.MetadataRequest)
			req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = true, true
			return req
		}, differs: []string{"LeaderEpoch"}},
		{name: "describe quorum", version: 2, request: always(quorum), differs: offsets},
		{name: "describe quorum of another topic", version: 2, request: always(other), differs: offsets},
		{name: "elect leaders", version: 2, request: electLeaders(a, 0)},
		{name: "elect leaders of no partition", version: 2, request: electLeaders(a, 9)},
		{name: "reassign", version: 1, request: reassign(a, 0, []int32{1})},
		{name: "reassign to no broker", version: 1, request: reassign(a, 0, []int32{1, 2})},
		{name: "reassign to nowhere", version: 1, request: reassign(a, 0, []int32{})},
		{name: "cancel a reassignment", version: 1, request: reassign(a, 0, nil)},
		{name: "reassign no partition", version: 1, request: reassign(a, 9, []int32{1})},
		{name: "list reassignments", version: 0, request: always(kmsg.NewPtrListPartitionReassignmentsRequest())},
		{name: "log dirs", version: 5, request: logDirs(a), differs: []string{"Dir", "TotalBytes", "UsableBytes", "Size"}, note: func(n *node, resp kmsg.Response) {
			n.words["where it is"] = resp.(*kmsg.DescribeLogDirsResponse).Dirs[0].Dir
		}},
		{name: "move a replica to where it is", version: 2, request: moveReplica("where it is", a)},
		{name: "move a replica elsewhere", version: 2, request: moveReplica("/nowhere", a)},
		{name: "move no replica", version: 1, request: moveReplica("where it is", a+".none")},
		{name: "log dirs of no topic", version: 5, request: logDirs(a + ".none"), differs: []string{"Dir", "TotalBytes", "UsableBytes", "Size"}},
		{name: "describe ACLs", version: 3, request: always(acls)},
		{name: "create ACLs", version: 3, request: always(createACL)},
		{name: "delete ACLs", version: 3, request: always(deleteACL)},
		{name: "list config resources v0", version: 0, request: always(kmsg.NewPtrListConfigResourcesRequest())},
		{name: "list brokers' configs", version: 1, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrListConfigResourcesRequest()
			req.ResourceTypes = []int8{4}
			return req
		}},
	}
}

func deleteExchanges(a string) []exchange {
	return []exchange{
		{name: "delete by id", once: true, version: 6, request: deleteTopics(a)},
		{name: "metadata by the id of a deleted topic", version: 12, request: func(n *node) kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = n.ids[a]
			req.Topics = append(req.Topics, t)
			return req
		}},
	}
}
