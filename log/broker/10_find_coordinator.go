package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// findCoordinator answers FindCoordinator: this broker, for groups (type 0) and transactional ids (type 1).
func (b *Broker) findCoordinator(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	code, message := int16(0), (*string)(nil)
	if req.CoordinatorType != 0 && req.CoordinatorType != 1 {
		code, message = kerr.InvalidRequest.Code, kmsg.StringPtr("only groups and transactional ids have a coordinator here")
	}
	if r.version < 4 {
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID = code, message, -1
		if code == 0 {
			resp.NodeID, resp.Host, resp.Port = nodeID, r.c.adv.Host, r.c.adv.Port
		}
		return now(resp), nil
	}
	for _, key := range req.CoordinatorKeys {
		rc := kmsg.NewFindCoordinatorResponseCoordinator()
		rc.Key, rc.ErrorCode, rc.ErrorMessage, rc.NodeID = key, code, message, -1
		if code == 0 {
			rc.NodeID, rc.Host, rc.Port = nodeID, r.c.adv.Host, r.c.adv.Port
		}
		resp.Coordinators = append(resp.Coordinators, rc)
	}
	return now(resp), nil
}
