package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat answers Heartbeat: a sign of life, answered with word of a rebalance.
func (b *Broker) heartbeat(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.HeartbeatRequest)
	resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
	if err := r.group(mayRead, req.Group); err != nil {
		resp.ErrorCode = errorCode(err)
	} else if g := b.groups.consumer(req.Group); g != nil {
		resp.ErrorCode = errorCode(storeError(g.beat(req)))
	} else if g := b.groups.group(req.Group, false); g == nil {
		resp.ErrorCode = kerr.UnknownMemberID.Code
	} else {
		resp.ErrorCode = g.heartbeat(req)
	}
	return now(resp), nil
}

func (g *group) heartbeat(req *kmsg.HeartbeatRequest) int16 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if code := g.check(req.MemberID, req.InstanceID, req.Generation); code != 0 {
		return code
	}
	g.heard(g.members[req.MemberID])
	if g.state == statePreparing {
		return kerr.RebalanceInProgress.Code
	}
	return 0
}
