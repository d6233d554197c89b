package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noAuthorizer is the message beside SECURITY_DISABLED, in Kafka's words: user interfaces ask for ACLs to find out
// whether there are any, and hide the page at this answer.
const noAuthorizer = "No Authorizer is configured."

// refuseACLs is why the client may not look at or change rules, 0 if it may.
func (r *request) refuseACLs(op kmsg.ACLOperation) (code int16, message *string) {
	if !r.c.b.acls.opts.Enabled {
		return kerr.SecurityDisabled.Code, kmsg.StringPtr(noAuthorizer)
	}
	err := r.cluster(op)
	return errorCode(err), errorText(err)
}

// describeACLs answers DescribeAcls.
func (b *Broker) describeACLs(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeACLsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
	if resp.ErrorCode, resp.ErrorMessage = r.refuseACLs(mayDescribe); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	f := aclFilter{req.ResourceType, req.ResourcePatternType, req.ResourceName, req.Principal, req.Host, req.Operation, req.PermissionType}
	if wrong := f.wrong(); wrong != "" {
		resp.ErrorCode, resp.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(wrong)
		return now(resp), nil
	}
	type resource struct {
		kind    kmsg.ACLResourceType
		pattern kmsg.ACLResourcePatternType
		name    string
	}
	at := map[resource]int{}
	for _, a := range b.acls.list(f.match) {
		of := resource{a.Type, a.Pattern, a.Name}
		i, known := at[of]
		if !known {
			i = len(resp.Resources)
			at[of] = i
			rr := kmsg.NewDescribeACLsResponseResource()
			rr.ResourceType, rr.ResourcePatternType, rr.ResourceName = a.Type, a.Pattern, a.Name
			resp.Resources = append(resp.Resources, rr)
		}
		entry := kmsg.NewDescribeACLsResponseResourceACL()
		entry.Principal, entry.Host, entry.Operation, entry.PermissionType = a.Principal, a.Host, a.Operation, a.Permission
		resp.Resources[i].ACLs = append(resp.Resources[i].ACLs, entry)
	}
	return now(resp), nil
}
