package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncGroup answers SyncGroup: the leader brings the assignment of all members, everyone gets their own when all of it
// is durable.
func (b *Broker) syncGroup(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.SyncGroupRequest)
	if err := r.group(mayRead, req.Group); err != nil {
		return now(syncError(errorCode(err))), nil
	}
	if r.version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) { // they are mandatory from there on
		return now(syncError(kerr.InconsistentGroupProtocol.Code)), nil
	}
	if g := b.groups.consumer(req.Group); g != nil {
		return now(g.sync(req)), nil
	}
	g := b.groups.group(req.Group, false)
	if g == nil {
		return now(syncError(kerr.UnknownMemberID.Code)), nil
	}
	answer := g.syncMember(req)
	return func() kmsg.Response {
		select {
		case resp := <-answer:
			return resp
		case <-r.ctx.Done():
			return syncError(kerr.CoordinatorNotAvailable.Code)
		}
	}, nil
}

func (g *group) syncMember(req *kmsg.SyncGroupRequest) <-chan *kmsg.SyncGroupResponse {
	answer := make(chan *kmsg.SyncGroupResponse, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	code := g.check(req.MemberID, req.InstanceID, req.Generation)
	if code == 0 && (req.ProtocolType != nil && *req.ProtocolType != g.protocolType || req.Protocol != nil && *req.Protocol != g.protocol) {
		code = kerr.InconsistentGroupProtocol.Code
	}
	if code != 0 {
		answer <- syncError(code)
		return answer
	}
	m := g.members[req.MemberID]
	g.heard(m)
	switch g.state {
	case statePreparing:
		answer <- syncError(kerr.RebalanceInProgress.Code)
	case stateStable:
		answer <- g.assigned(m)
	case stateCompleting:
		m.answerSync(syncError(kerr.RebalanceInProgress.Code))
		m.sync = answer
		if m.id == g.leader {
			g.assign(req.GroupAssignment)
		}
	default:
		answer <- syncError(kerr.UnknownMemberID.Code)
	}
	return answer
}

// assign takes the leader's assignment. When it is durable, the group is stable and its members are told.
func (g *group) assign(assignments []kmsg.SyncGroupRequestGroupAssignment) {
	for _, m := range g.members {
		m.assignment = nil
	}
	for _, a := range assignments {
		if m := g.members[a.MemberID]; m != nil {
			m.assignment = a.MemberAssignment
		}
	}
	g.stopTimer()
	generation, d := g.generation, g.save()
	g.then(d, func(err error) {
		if g.state == stateCompleting && g.generation == generation && g.saved == d { // else this is history
			g.stabilize(err)
		}
	})
}

// stabilize makes the group stable with its assignment, unless that could not be written: then it is to be made anew.
func (g *group) stabilize(err error) {
	if err == nil {
		g.to(stateStable)
		for _, m := range g.members {
			m.told = m.assignment
			m.answerSync(g.assigned(m))
		}
		return
	}
	g.logger.Error("the assignment of a group cannot be written; its members have to join again", "group", g.id, "generation", g.generation, "error", err)
	for _, m := range g.members {
		m.assignment = nil
		m.answerSync(syncError(errorCode(storeError(err))))
	}
	g.rebalance()
}

func (g *group) assigned(m *member) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ProtocolType, r.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	r.MemberAssignment = m.assignment
	if r.MemberAssignment == nil {
		r.MemberAssignment = []byte{}
	}
	return r
}
