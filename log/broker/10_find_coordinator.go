package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// findCoordinator answers FindCoordinator: this broker, for groups (type 0) and transactional ids (type 1).
func (b *Broker) findCoordinator(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	refused := func(key string) error {
		switch req.CoordinatorType {
		case 0:
			return r.group(mayDescribe, key)
		case 1:
			return r.transactional(mayDescribe, key)
		}
		return fmt.Errorf("%w: only groups and transactional ids have a coordinator here", kerr.InvalidRequest)
	}
	if r.version < 4 {
		err := refused(req.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID = errorCode(err), errorText(err), -1
		if err == nil {
			resp.NodeID, resp.Host, resp.Port = nodeID, r.c.adv.Host, r.c.adv.Port
		}
		return now(resp), nil
	}
	for _, key := range req.CoordinatorKeys {
		rc := kmsg.NewFindCoordinatorResponseCoordinator()
		err := refused(key)
		rc.Key, rc.ErrorCode, rc.ErrorMessage, rc.NodeID = key, errorCode(err), errorText(err), -1
		if err == nil {
			rc.NodeID, rc.Host, rc.Port = nodeID, r.c.adv.Host, r.c.adv.Port
		}
		resp.Coordinators = append(resp.Coordinators, rc)
	}
	return now(resp), nil
}
