package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noAuthorizer is the message beside SECURITY_DISABLED, in Kafka's words: user interfaces ask for ACLs to find out
// whether there are any, and hide the page at this answer.
const noAuthorizer = "No Authorizer is configured."

// describeACLs answers DescribeAcls: there is no authorizer.
func (b *Broker) describeACLs(_ *request, kreq kmsg.Request) (reply, error) {
	resp := kreq.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.ErrorCode, resp.ErrorMessage = kerr.SecurityDisabled.Code, kmsg.StringPtr(noAuthorizer)
	return now(resp), nil
}
