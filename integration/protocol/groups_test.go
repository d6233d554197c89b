package protocol

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupExchanges drive a group of the classic protocol with one member, and ask what a member must not.
func groupExchanges(prefix string) []exchange {
	group := prefix + "-classic"
	const nobody, me, stranger = "", "me", "stranger"
	join := func(session int32, id, protocol string) func(*node) kmsg.Request {
		return func(n *node) kmsg.Request {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.ProtocolType = group, session, 30_000, "a protocol of its own"
			req.MemberID = n.word(id)
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = protocol, []byte("metadata")
			req.Protocols = append(req.Protocols, p)
			return req
		}
	}
	sync := func(id string, generation int32) func(*node) kmsg.Request {
		return func(n *node) kmsg.Request {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group, req.Generation, req.MemberID = group, generation, n.word(id)
			req.ProtocolType, req.Protocol = kmsg.StringPtr("a protocol of its own"), kmsg.StringPtr("range")
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = n.word(id), []byte("assignment")
			req.GroupAssignment = append(req.GroupAssignment, a)
			return req
		}
	}
	beat := func(id string, generation int32) func(*node) kmsg.Request {
		return func(n *node) kmsg.Request {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.Generation, req.MemberID = group, generation, n.word(id)
			return req
		}
	}
	leave := func(id string) func(*node) kmsg.Request {
		return func(n *node) kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = group
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = n.word(id)
			req.Members = append(req.Members, m)
			return req
		}
	}
	list := kmsg.NewPtrListGroupsRequest()
	list.StatesFilter = []string{"NoSuchState"}
	names := []string{"MemberID", "LeaderID", "ClientHost"}
	return []exchange{
		{name: "join with too short a session", version: 9, request: join(1, nobody, "range"), differs: names},
		{name: "join as nobody knows", version: 9, request: join(10_000, stranger, "range"), differs: names},
		{name: "join for an id", once: true, version: 9, request: join(10_000, nobody, "range"), differs: names, note: func(n *node, resp kmsg.Response) {
			n.words["me"] = resp.(*kmsg.JoinGroupResponse).MemberID
		}},
		{name: "join", once: true, version: 9, request: join(10_000, me, "range"), differs: names},
		{name: "join with another protocol only", version: 5, request: join(10_000, stranger, "sticky"), differs: names},
		{name: "sync without a protocol", version: 5, request: func(n *node) kmsg.Request {
			req := sync(me, 1)(n).(*kmsg.SyncGroupRequest)
			req.ProtocolType, req.Protocol = nil, nil
			return req
		}},
		{name: "sync of another generation", version: 5, request: sync(me, 9)},
		{name: "sync of nobody", version: 5, request: sync(stranger, 1)},
		{name: "sync", once: true, version: 5, request: sync(me, 1)},
		{name: "heartbeat", version: 4, request: beat(me, 1)},
		{name: "heartbeat of another generation", version: 4, request: beat(me, 2)},
		{name: "heartbeat of nobody", version: 4, request: beat(stranger, 1)},
		{name: "the group", version: 6, request: always(describeGroup(group)), differs: names},
		{name: "groups in a state that there is not", version: 5, request: always(list)},
		{name: "delete a group with a member", version: 2, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{group}
			return req
		}},
		{name: "leave as nobody", version: 5, request: leave("stranger"), differs: names},
		{name: "leave", once: true, version: 5, request: leave("me"), differs: names},
		{name: "the empty group", version: 6, request: always(describeGroup(group)), differs: names},
	}
}
