package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createACLs answers CreateAcls. Rules that are right are made, whatever the others are.
func (b *Broker) createACLs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.CreateACLsRequest)
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	code, message := r.refuseACLs(mayAlter)
	var rules []acl
	for _, c := range req.Creations {
		rr := kmsg.NewCreateACLsResponseResult()
		rr.ErrorCode, rr.ErrorMessage = code, message
		a := acl{c.ResourceType, c.ResourcePatternType, c.ResourceName, c.Principal, c.Host, c.Operation, c.PermissionType}
		if wrong := a.check(); code == 0 && wrong != "" {
			rr.ErrorCode, rr.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(wrong)
		}
		if rr.ErrorCode == 0 {
			rules = append(rules, a)
		}
		resp.Results = append(resp.Results, rr)
	}
	if err := b.acls.add(rules); err != nil {
		for i := range resp.Results {
			if rr := &resp.Results[i]; rr.ErrorCode == 0 {
				rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
			}
		}
	}
	return now(resp), nil
}
