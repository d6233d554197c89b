package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteACLs answers DeleteAcls: each filter removes all rules that it matches, and says which.
func (b *Broker) deleteACLs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DeleteACLsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	code, message := r.refuseACLs(mayAlter)
	for _, c := range req.Filters {
		rr := kmsg.NewDeleteACLsResponseResult()
		rr.ErrorCode, rr.ErrorMessage = code, message
		f := aclFilter{c.ResourceType, c.ResourcePatternType, c.ResourceName, c.Principal, c.Host, c.Operation, c.PermissionType}
		if wrong := f.wrong(); code == 0 && wrong != "" {
			rr.ErrorCode, rr.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(wrong)
		}
		if rr.ErrorCode == 0 {
			removed, err := b.acls.remove(f.match)
			rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
			for _, a := range removed {
				m := kmsg.NewDeleteACLsResponseResultMatchingACL()
				m.ResourceType, m.ResourcePatternType, m.ResourceName = a.Type, a.Pattern, a.Name
				m.Principal, m.Host, m.Operation, m.PermissionType = a.Principal, a.Host, a.Operation, a.Permission
				m.ErrorCode = rr.ErrorCode
				rr.MatchingACLs = append(rr.MatchingACLs, m)
			}
		}
		resp.Results = append(resp.Results, rr)
	}
	return now(resp), nil
}
