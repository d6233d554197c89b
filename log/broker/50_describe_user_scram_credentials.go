package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeUserSCRAMCredentials answers DescribeUserScramCredentials: who can log in by what, without the secrets.
func (b *Broker) describeUserSCRAMCredentials(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if err := r.cluster(mayDescribe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		return now(resp), nil
	}
	all := b.users.list()
	var names []string
	for _, u := range req.Users {
		names = append(names, u.Name)
	}
	if len(names) == 0 {
		for _, c := range all {
			names = append(names, c.User)
		}
		names = slices.Compact(names)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		rr := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		rr.User = name
		for _, c := range all {
			if c.User == name {
				info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
				info.Mechanism, info.Iterations = mechanismNumber(c.Mechanism), int32(c.Iterations)
				rr.CredentialInfos = append(rr.CredentialInfos, info)
			}
		}
		switch {
		case slices.Contains(names[i+1:], name):
			rr.ErrorCode, rr.CredentialInfos = kerr.DuplicateResource.Code, nil
			rr.ErrorMessage = kmsg.StringPtr("Cannot describe SCRAM credentials for the same user twice in a single request: " + name)
		case len(rr.CredentialInfos) == 0:
			rr.ErrorCode = kerr.ResourceNotFound.Code
			rr.ErrorMessage = kmsg.StringPtr("Attempt to describe a user credential that does not exist: " + name)
		}
		resp.Results = append(resp.Results, rr)
	}
	return now(resp), nil
}
