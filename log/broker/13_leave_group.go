package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveGroup answers LeaveGroup: one member up to version 2, several from version 3, static ones by instance id. If nobody
// is left, it is answered when that is durable.
func (b *Broker) leaveGroup(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.LeaveGroupRequest)
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	if resp.ErrorCode = errorCode(r.group(mayRead, req.Group)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	g := b.groups.group(req.Group, false)
	if r.version < 3 {
		resp.ErrorCode = kerr.UnknownMemberID.Code
		if g != nil {
			resp.ErrorCode = g.leave(req.MemberID, nil)
		}
		return left(resp, g), nil
	}
	for _, m := range req.Members {
		rm := kmsg.NewLeaveGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ErrorCode = m.MemberID, m.InstanceID, kerr.UnknownMemberID.Code
		if g != nil {
			rm.ErrorCode = g.leave(m.MemberID, m.InstanceID)
		}
		resp.Members = append(resp.Members, rm)
	}
	return left(resp, g), nil
}

// left answers when it is durable that the group is empty, if it is.
func left(resp *kmsg.LeaveGroupResponse, g *group) reply {
	emptied := g.emptied()
	return func() kmsg.Response {
		if err := wait(emptied); err != nil {
			resp.ErrorCode = errorCode(storeError(err))
		}
		return resp
	}
}

// emptied is what says that nobody is in the group; nil if somebody is, or nobody ever was.
func (g *group) emptied() durable {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != stateEmpty {
		return nil
	}
	return g.saved
}

func (g *group) leave(memberID string, instanceID *string) int16 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if instanceID != nil {
		id, ok := g.static[*instanceID]
		switch {
		case !ok:
			return kerr.UnknownMemberID.Code
		case memberID != "" && memberID != id:
			return kerr.FencedInstanceID.Code
		}
		memberID = id
	}
	if _, ok := g.pendingIDs[memberID]; ok {
		delete(g.pendingIDs, memberID)
		return 0
	}
	m := g.members[memberID]
	if m == nil {
		return kerr.UnknownMemberID.Code
	}
	g.remove(m)
	g.rebalance()
	return 0
}
