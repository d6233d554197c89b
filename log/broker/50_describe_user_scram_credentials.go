package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeUserSCRAMCredentials answers DescribeUserScramCredentials: who can log in by what, without the secrets.
func (b *Broker) describeUserSCRAMCredentials(_ *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
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
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		r.User = name
		for _, c := range all {
			if c.User == name {
				info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
				info.Mechanism, info.Iterations = mechanismNumber(c.Mechanism), int32(c.Iterations)
				r.CredentialInfos = append(r.CredentialInfos, info)
			}
		}
		switch {
		case slices.Contains(names[i+1:], name):
			r.ErrorCode, r.CredentialInfos = kerr.DuplicateResource.Code, nil
			r.ErrorMessage = kmsg.StringPtr("Cannot describe SCRAM credentials for the same user twice in a single request: " + name)
		case len(r.CredentialInfos) == 0:
			r.ErrorCode = kerr.ResourceNotFound.Code
			r.ErrorMessage = kmsg.StringPtr("Attempt to describe a user credential that does not exist: " + name)
		}
		resp.Results = append(resp.Results, r)
	}
	return now(resp), nil
}
