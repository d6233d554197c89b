package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// consumerExchanges drive a group of the consumer protocol by hand, and ask what must not be.
func consumerExchanges(prefix, topic string) []exchange {
	g := &consumerExchange{group: prefix + "-consumer", topic: topic}
	// By default Kafka lets some time pass between two assignments, and makes them in the background.
	const v, group, set = 1, kmsg.ConfigResourceTypeGroupConfig, kmsg.IncrementalAlterConfigOpSet
	kafkasOwn := []string{"ErrorCode"}
	who := []string{"ClientHost"}
	return []exchange{
		{name: "Kafka: assign at once", version: 1, request: alterConfig(group, g.group, set, "consumer.assignment.interval.ms", "0"), differs: kafkasOwn},
		{name: "Kafka: do not assign in the background", version: 1, request: alterConfig(group, g.group, set, "consumer.assignor.offload.enable", "false"), differs: kafkasOwn},
		{name: "heartbeat to no group", version: v, request: g.beat("m1", 1)},
		{name: "leave no group", version: v, request: g.beat("m1", -1)},
		{name: "join a consumer group without an id", version: v, request: g.join("")},
		{name: "join without a timeout", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.RebalanceTimeoutMillis = -1 })},
		{name: "join without partitions", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.Topics = nil })},
		{name: "join without a subscription", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = nil })},
		{name: "join with an assignor there is not", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr("sticky") })},
		{name: "join with a bad expression", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicRegex = kmsg.StringPtr("a(") })},
		{name: "join with an empty instance", version: v, request: g.joining("m1", func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("") })},
		{name: "leave as a static member without an instance", version: v, request: g.beat("m1", -2)},
		{name: "an epoch there is not", version: v, request: g.beat("m1", -3)},
		{name: "join a consumer group", version: v, request: g.join("m1")},
		{name: "heartbeat of a member", version: v, request: g.beat("m1", 2)},
		{name: "heartbeat with a later epoch", version: v, request: g.beat("m1", 9)},
		{name: "heartbeat of a stranger", version: v, request: g.beat("m9", 1)},
		{name: "describe the consumer group", version: v, request: g.describe(), differs: who},
		{name: "describe the consumer group v0", version: 0, request: g.describe(), differs: who},
		{name: "describe it as a classic group", version: 6, request: always(describeGroup(g.group))},
		{name: "describe it as a classic group v5", version: 5, request: always(describeGroup(g.group))},
		{name: "describe a classic group as a consumer group", version: v, request: (&consumerExchange{group: prefix + "-classic"}).describe()},
		{name: "describe no group as a consumer group", version: v, request: (&consumerExchange{group: prefix + "-none"}).describe()},
		{name: "commit as a member", version: 9, request: g.commit("m1", 2)},
		{name: "commit with a later epoch", version: 9, request: g.commit("m1", 5)},
		{name: "commit with an earlier epoch", version: 9, request: g.commit("m1", 0)},
		{name: "commit as a stranger", version: 9, request: g.commit("m9", 2)},
		{name: "commit as nobody", version: 9, request: g.commit("", -1)},
		{name: "commit as a member of old", version: 8, request: g.commit("m1", 2)},
		{name: "commit to no group", version: 9, request: (&consumerExchange{group: prefix + "-none", topic: topic}).commit("m1", 1)},
		{name: "offsets for a member", version: 9, request: g.fetch("m1", 2)},
		{name: "offsets for a later epoch", version: 9, request: g.fetch("m1", 5)},
		{name: "offsets for a stranger", version: 9, request: g.fetch("m9", 1)},
		{name: "offsets for nobody", version: 9, request: g.fetch("", -1)},
		{name: "delete an offset that is subscribed to", version: 0, request: g.deleteOffset()},
		{name: "delete a group with a consumer", version: 2, request: g.delete()},
		{name: "leave the consumer group", once: true, version: v, request: g.beat("m1", -1)},
		{name: "leave it again", version: v, request: g.beat("m1", -1)},
		{name: "describe the empty consumer group", version: v, request: g.describe()},
		{name: "commit to the empty consumer group", version: 9, request: g.commit("", -1)},
		{name: "join as a static member", once: true, version: v, request: g.static("s1", 0)},
		{name: "another one of that name", version: v, request: g.static("s2", 0)},
		{name: "heartbeat of another one of that name", version: v, request: g.static("s2", 1)},
		{name: "a static member leaves to come back", version: v, request: g.static("s1", -2)},
		{name: "describe it while it is away", version: v, request: g.describe(), differs: who},
		{name: "it comes back by another id", once: true, version: v, request: g.static("s2", 0)},
		{name: "a static member leaves", once: true, version: v, request: g.static("s2", -1)},
		{name: "a static member leaves again", version: v, request: g.static("s2", -1)},
		{name: "delete records of the offsets topic", version: 2, request: deleteRecords("__consumer_offsets", 0)},
		{name: "delete the consumer group", once: true, version: 2, request: g.delete()},
	}
}

type consumerExchange struct{ group, topic string }

func (g *consumerExchange) joining(id string, change func(*kmsg.ConsumerGroupHeartbeatRequest)) func(*node) kmsg.Request {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.RebalanceTimeoutMillis = g.group, id, 10_000
	req.SubscribedTopicNames, req.Topics = []string{g.topic}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	change(req)
	return always(req)
}

func (g *consumerExchange) join(id string) func(*node) kmsg.Request {
	return g.joining(id, func(*kmsg.ConsumerGroupHeartbeatRequest) {})
}

func (g *consumerExchange) beat(id string, epoch int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = g.group, id, epoch, -1
	return always(req)
}

// static is a heartbeat of a static member; with epoch 0 it joins.
func (g *consumerExchange) static(id string, epoch int32) func(*node) kmsg.Request {
	if epoch == 0 {
		return g.joining(id, func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.InstanceID = kmsg.StringPtr("static") })
	}
	return func(n *node) kmsg.Request {
		req := g.beat(id, epoch)(n).(*kmsg.ConsumerGroupHeartbeatRequest)
		req.InstanceID = kmsg.StringPtr("static")
		return req
	}
}

func (g *consumerExchange) describe() func(*node) kmsg.Request {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups, req.IncludeAuthorizedOperations = []string{g.group}, true
	return always(req)
}

func (g *consumerExchange) commit(id string, epoch int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = g.group, id, epoch
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = g.topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Offset = 1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return always(req)
}

func (g *consumerExchange) fetch(id string, epoch int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrOffsetFetchRequest()
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group, rg.MemberEpoch = g.group, epoch
	if id != "" {
		rg.MemberID = &id
	}
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = g.topic, []int32{0, 1}
	rg.Topics = append(rg.Topics, t)
	req.Groups = append(req.Groups, rg)
	return always(req)
}

func (g *consumerExchange) deleteOffset() func(*node) kmsg.Request {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = g.group
	t := kmsg.NewOffsetDeleteRequestTopic()
	t.Topic = g.topic
	t.Partitions = append(t.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	return always(req)
}

func (g *consumerExchange) delete() func(*node) kmsg.Request {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{g.group}
	return always(req)
}
