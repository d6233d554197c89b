package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// migrationExchanges have members of both protocols in one group: of the classic one in a group of the consumer protocol,
// which becomes a classic group, and is made one of the consumer protocol again.
func migrationExchanges(prefix, topic string) []exchange {
	g := &consumerExchange{group: prefix + "-mixed", topic: topic}
	const group, set = kmsg.ConfigResourceTypeGroupConfig, kmsg.IncrementalAlterConfigOpSet
	kafkasOwn := []string{"ErrorCode"}
	const old, first = "old", "generation"
	names := []string{"MemberID", "ClientHost", "LeaderID"}
	inAnyOrder := []string{"Members"}
	noteID := func(n *node, resp kmsg.Response) { n.words[old] = resp.(*kmsg.JoinGroupResponse).MemberID }
	noteGeneration := func(n *node, resp kmsg.Response) { n.bag[first] = int64(resp.(*kmsg.JoinGroupResponse).Generation) }
	return []exchange{
		{name: "Kafka: assign at once in a mixed group", version: 1, request: alterConfig(group, g.group, set, "consumer.assignment.interval.ms", "0"), differs: kafkasOwn},
		{name: "Kafka: do not assign a mixed group in the background", version: 1, request: alterConfig(group, g.group, set, "consumer.assignor.offload.enable", "false"), differs: kafkasOwn},
		{name: "the first of a mixed group", once: true, version: 1, request: g.join("m1")},
		{name: "a classic member of another type", version: 9, request: g.joinClassic("", "connect", "range"), differs: names},
		{name: "a classic member without an id", once: true, version: 9, request: g.joinClassic("", "consumer", "range"), differs: names, note: noteID},
		{name: "a classic member", once: true, version: 9, request: g.joinClassic(old, "consumer", "range"), differs: names, note: noteGeneration},
		{name: "a classic member with another assignor", version: 9, request: g.joinClassic("other", "consumer", "sticky"), differs: names},
		{name: "sync of another generation in a mixed group", version: 5, request: g.syncClassic(old, 7, "range")},
		{name: "sync with another assignor", version: 5, request: g.syncClassic(old, 0, "sticky")},
		{name: "sync of a consumer member", version: 5, request: g.syncClassic("m1", 0, "range")},
		{name: "sync of a classic member", version: 5, request: g.syncClassic(old, 0, "range")},
		{name: "heartbeat of a classic member", version: 4, request: g.beatClassic(old, 0)},
		{name: "heartbeat of another generation in a mixed group", version: 4, request: g.beatClassic(old, 7)},
		{name: "classic heartbeat of a consumer member", version: 4, request: g.beatClassic("m1", 0)},
		{name: "commit of a classic member", version: 8, request: g.commitClassic(0)},
		{name: "commit of an earlier generation", version: 8, request: g.commitClassic(-1)},
		{name: "commit of a later generation", version: 8, request: g.commitClassic(1)},
		{name: "describe a mixed group", version: 1, request: g.describe(), differs: inAnyOrder},
		{name: "describe a mixed group as a classic one", version: 6, request: always(describeGroup(g.group))},
		{name: "a consumer member leaves by the classic protocol", version: 5, request: g.leaveClassic("m1"), differs: names},
		// Kafka does it, and then says that there is no such group.
		{name: "the last consumer member leaves", once: true, version: 1, request: g.beat("m1", -1), differs: []string{"ErrorCode", "MemberEpoch", "MemberID"}},
		{name: "the group is classic again", version: 1, request: g.describe()},
		{name: "its member has to join again", version: 4, request: g.beatClassic(old, 0)},
		{name: "it joins", once: true, version: 9, request: g.joinClassic(old, "consumer", "range"), differs: names, note: noteGeneration},
		{name: "it leads", once: true, version: 5, request: g.syncClassic(old, 0, "range")},
		{name: "a consumer member joins a classic group", once: true, version: 1, request: g.join("m2")},
		{name: "the classic member has to join again", version: 4, request: g.beatClassic(old, 0)},
		{name: "describe the changed group", version: 1, request: g.describe(), differs: inAnyOrder},
		{name: "it joins the changed group", once: true, version: 9, request: g.joinClassic(old, "consumer", "range"), differs: names, note: noteGeneration},
		{name: "and syncs", version: 5, request: g.syncClassic(old, 0, "range")},
		{name: "the classic member leaves", once: true, version: 5, request: g.leaveClassic(old), differs: names},
		{name: "the changed group without it", version: 1, request: g.describe(), differs: names},
		{name: "the last member leaves", once: true, version: 1, request: g.beat("m2", -1)},
	}
}

func (g *consumerExchange) joinClassic(id, kind, assignor string) func(*node) kmsg.Request {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version, m.Topics = 1, []string{g.topic}
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = g.group, n.word(id), 30_000, 30_000, kind
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = assignor, m.AppendTo(nil)
		req.Protocols = append(req.Protocols, p)
		return req
	}
}

// syncClassic is of a generation that is so far from the member's. It gives a leader's assignment too.
func (g *consumerExchange) syncClassic(id string, off int32, assignor string) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation = g.group, n.word(id), int32(n.bag["generation"])+off
		req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), &assignor
		all := kmsg.NewConsumerMemberAssignment()
		all.Version, all.Topics = 1, []kmsg.ConsumerMemberAssignmentTopic{{Topic: g.topic, Partitions: []int32{0, 1}}}
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = req.MemberID, all.AppendTo(nil)
		req.GroupAssignment = append(req.GroupAssignment, a)
		return req
	}
}

func (g *consumerExchange) beatClassic(id string, off int32) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.Generation = g.group, n.word(id), int32(n.bag["generation"])+off
		return req
	}
}

func (g *consumerExchange) commitClassic(off int32) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		return g.commit(n.word("old"), int32(n.bag["generation"])+off)(n)
	}
}

func (g *consumerExchange) leaveClassic(id string) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group = g.group
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = n.word(id)
		req.Members = append(req.Members, m)
		return req
	}
}
