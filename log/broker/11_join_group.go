package broker

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup answers JoinGroup. The answer comes when the rebalance that the join begins is complete.
func (b *Broker) joinGroup(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.JoinGroupRequest)
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	refused := errorCode(r.group(mayRead, req.Group))
	switch {
	case refused != 0:
		return now(joinError(refused, req.MemberID)), nil
	case req.Group == "":
		return now(joinError(kerr.InvalidGroupID.Code, req.MemberID)), nil
	case session < b.set.Load().minSession || session > b.set.Load().maxSession:
		return now(joinError(kerr.InvalidSessionTimeout.Code, req.MemberID)), nil
	case hasLongNames(req):
		return now(joinError(kerr.InvalidRequest.Code, req.MemberID)), nil
	case len(req.Protocols) == 0 || req.ProtocolType == "":
		return now(joinError(kerr.InconsistentGroupProtocol.Code, req.MemberID)), nil
	}
	if g := b.groups.mixed(req.Group); g != nil {
		return g.join(r, req), nil
	}
	if err := b.groups.makeClassic(req.Group); err != nil {
		return now(joinError(errorCode(storeError(err)), req.MemberID)), nil
	}
	g := b.groups.group(req.Group, req.MemberID == "" || req.InstanceID != nil)
	if g == nil {
		return now(joinError(kerr.UnknownMemberID.Code, req.MemberID)), nil
	}
	m := &member{id: req.MemberID, clientID: r.clientID, clientHost: "/" + r.c.host, instanceID: req.InstanceID,
		session: session, rebalance: session, protocols: req.Protocols}
	if r.version >= 1 {
		m.rebalance = time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond
	}
	answer := g.join(m, req.ProtocolType, r.version)
	return func() kmsg.Response {
		select {
		case resp := <-answer:
			return resp
		case <-r.ctx.Done():
			return joinError(kerr.CoordinatorNotAvailable.Code, req.MemberID)
		}
	}, nil
}

func hasLongNames(req *kmsg.JoinGroupRequest) bool {
	return tooLong(req.MemberID, req.ProtocolType) || req.InstanceID != nil && tooLong(*req.InstanceID) ||
		slices.ContainsFunc(req.Protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return tooLong(p.Name) })
}

// join lets want join, or join again, and returns where the answer will come.
func (g *group) join(want *member, protocolType string, version int16) <-chan *kmsg.JoinGroupResponse {
	answer := make(chan *kmsg.JoinGroupResponse, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	fail := func(code int16) <-chan *kmsg.JoinGroupResponse {
		answer <- joinError(code, want.id)
		return answer
	}
	if g.state == stateDead {
		return fail(kerr.CoordinatorNotAvailable.Code)
	}
	if !g.fits(want, protocolType) {
		return fail(kerr.InconsistentGroupProtocol.Code)
	}
	if want.id == "" {
		return g.joinNew(want, protocolType, version, answer)
	}
	m := g.members[want.id]
	if want.instanceID != nil {
		switch id, ok := g.static[*want.instanceID]; {
		case !ok:
			return fail(kerr.UnknownMemberID.Code)
		case id != want.id:
			return fail(kerr.FencedInstanceID.Code)
		}
	}
	if m == nil {
		if _, ok := g.pendingIDs[want.id]; !ok {
			return fail(kerr.UnknownMemberID.Code)
		}
		delete(g.pendingIDs, want.id)
		g.add(want, protocolType)
		return g.await(want, answer)
	}
	return g.rejoin(m, want, answer)
}

// fits reports whether a member with these protocols can be in the group.
func (g *group) fits(want *member, protocolType string) bool {
	if len(g.members) == 0 {
		return true
	}
	if len(g.members) == 1 && g.members[want.id] != nil {
		return protocolType == g.protocolType
	}
	if protocolType != g.protocolType {
		return false
	}
	for _, p := range want.protocols {
		if g.allSupport(p.Name) {
			return true
		}
	}
	return false
}

// joinNew handles a member that has no id yet.
func (g *group) joinNew(want *member, protocolType string, version int16, answer chan *kmsg.JoinGroupResponse) <-chan *kmsg.JoinGroupResponse {
	if want.instanceID != nil {
		want.id = newMemberID(*want.instanceID)
		if old := g.members[g.static[*want.instanceID]]; old != nil {
			return g.replaceStatic(old, want, answer)
		}
		g.add(want, protocolType)
		return g.await(want, answer)
	}
	want.id = newMemberID(want.clientID)
	if version >= 4 { // KIP-394: it must come back with the id, so that a lost answer leaves no ghost
		g.dropStaleIDs()
		g.pendingIDs[want.id] = time.Now().Add(want.session)
		answer <- joinError(kerr.MemberIDRequired.Code, want.id)
		return answer
	}
	g.add(want, protocolType)
	return g.await(want, answer)
}

// dropStaleIDs forgets ids that were handed out and not used in time.
func (g *group) dropStaleIDs() {
	for id, until := range g.pendingIDs {
		if time.Now().After(until) {
			delete(g.pendingIDs, id)
		}
	}
}

// replaceStatic puts a restarted static member in the place of its former self. As long as the members go on with the
// protocol they have, the group goes on undisturbed (KIP-345), and the member is answered when its new id is durable.
func (g *group) replaceStatic(old, want *member, answer chan *kmsg.JoinGroupResponse) <-chan *kmsg.JoinGroupResponse {
	assignment, wasLeader := old.assignment, g.leader == old.id
	old.answerJoin(joinError(kerr.FencedInstanceID.Code, old.id))
	old.answerSync(syncError(kerr.FencedInstanceID.Code))
	g.remove(old)
	g.add(want, g.protocolType)
	want.assignment, want.told = assignment, old.told
	if wasLeader {
		g.leader = want.id
	}
	if g.state != stateStable || g.vote() != g.protocol {
		return g.await(want, answer)
	}
	want.join = answer
	generation := g.generation
	g.then(g.save(), func(err error) {
		switch {
		case g.state != stateStable || g.generation != generation || want.join != answer:
			// it has been answered, or a rebalance will
		case err != nil:
			want.answerJoin(joinError(errorCode(storeError(err)), ""))
		default:
			want.answerJoin(g.joined(want, wasLeader))
		}
	})
	return answer
}

// add makes want a member.
func (g *group) add(want *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	g.members[want.id] = want
	if want.instanceID != nil {
		g.static[*want.instanceID] = want.id
	}
	g.watchMember(want)
}

// rejoin handles a member that is known.
func (g *group) rejoin(m, want *member, answer chan *kmsg.JoinGroupResponse) <-chan *kmsg.JoinGroupResponse {
	unchanged := sameProtocols(m.protocols, want.protocols)
	m.protocols, m.session, m.rebalance = want.protocols, want.session, want.rebalance
	g.heard(m)
	switch {
	case g.state == stateCompleting && unchanged: // the answer was lost: give it again
		answer <- g.joined(m, false)
		return answer
	case g.state == stateStable && unchanged && m.id != g.leader:
		answer <- g.joined(m, false)
		return answer
	}
	return g.await(m, answer)
}

// await lets m wait for the rebalance, which it begins if need be.
func (g *group) await(m *member, answer chan *kmsg.JoinGroupResponse) <-chan *kmsg.JoinGroupResponse {
	m.answerJoin(joinError(kerr.UnknownMemberID.Code, m.id)) // an older request of the same member
	m.join = answer
	g.rebalance()
	return answer
}
