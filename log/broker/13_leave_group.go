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
	members := req.Members
	if r.version < 3 {
		members = []kmsg.LeaveGroupRequestMember{{MemberID: req.MemberID}}
	}
	codes, left, err := b.groups.leave(req.Group, members)
	for i, m := range members {
		if r.version < 3 && err == nil {
			resp.ErrorCode = codes[i]
		} else if err == nil {
			rm := kmsg.NewLeaveGroupResponseMember()
			rm.MemberID, rm.InstanceID, rm.ErrorCode = m.MemberID, m.InstanceID, codes[i]
			resp.Members = append(resp.Members, rm)
		}
	}
	return func() kmsg.Response {
		if err == nil {
			err = wait(left)
		}
		if err != nil {
			resp.ErrorCode = errorCode(storeError(err))
		}
		return resp
	}, nil
}

// leave lets members of a group go. What is returned says for each of them whether it did, and what has to be durable
// before they are told.
func (c *coordinator) leave(group string, members []kmsg.LeaveGroupRequestMember) (codes []int16, d durable, err error) {
	if g := c.consumer(group); g != nil {
		return g.leave(members)
	}
	g := c.group(group, false)
	for _, m := range members {
		code := kerr.UnknownMemberID.Code
		if g != nil {
			code = g.leave(m.MemberID, m.InstanceID)
		}
		codes = append(codes, code)
	}
	return codes, g.emptied(), nil
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
