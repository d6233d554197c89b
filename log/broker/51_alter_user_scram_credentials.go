package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterUserSCRAMCredentials answers AlterUserScramCredentials. Of a user, all is done or nothing. The password comes
// salted: the broker never sees it.
func (b *Broker) alterUserSCRAMCredentials(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AlterUserSCRAMCredentialsRequest)
	resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	refused := map[string]*kerr.Error{}
	why := map[string]string{}
	seen := map[login]bool{}
	var users []string // in the order of the request
	check := func(user string, mechanism int8, wrong *kerr.Error, reason string) {
		name := mechanismName(mechanism)
		l := login{user, name}
		switch {
		case user == "":
			wrong, reason = kerr.UnacceptableCredential, "Username must not be empty"
		case name == "":
			wrong, reason = kerr.UnsupportedSaslMechanism, "Unknown SCRAM mechanism"
		case seen[l]:
			wrong, reason = kerr.DuplicateResource, "A user credential cannot be altered twice in the same request"
		}
		seen[l] = true
		if _, known := why[user]; !known {
			users, why[user] = append(users, user), ""
		}
		if err := r.cluster(mayAlter); err != nil {
			wrong, reason = kerr.ClusterAuthorizationFailed, err.Error()
		}
		if wrong != nil && refused[user] == nil {
			refused[user], why[user] = wrong, reason
		}
	}
	for _, d := range req.Deletions {
		var wrong *kerr.Error
		if _, ok := b.users.find(login{d.Name, mechanismName(d.Mechanism)}); !ok {
			wrong = kerr.ResourceNotFound
		}
		check(d.Name, d.Mechanism, wrong, "Attempt to delete a user credential that does not exist")
	}
	for _, u := range req.Upsertions {
		switch {
		case u.Iterations < minIterations:
			check(u.Name, u.Mechanism, kerr.UnacceptableCredential, "Too few iterations")
		case u.Iterations > maxIterations:
			check(u.Name, u.Mechanism, kerr.UnacceptableCredential, "Too many iterations")
		default:
			check(u.Name, u.Mechanism, nil, "")
		}
	}
	var remove []login
	var add []credential
	for _, d := range req.Deletions {
		if refused[d.Name] == nil {
			remove = append(remove, login{d.Name, mechanismName(d.Mechanism)})
		}
	}
	for _, u := range req.Upsertions {
		if refused[u.Name] == nil {
			add = append(add, newCredential(login{u.Name, mechanismName(u.Mechanism)}, int(u.Iterations), u.Salt, u.SaltedPassword))
		}
	}
	var err error
	if len(remove)+len(add) > 0 {
		err = b.users.change(remove, add)
	}
	for _, user := range users {
		rr := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		rr.User = user
		if e := refused[user]; e != nil {
			rr.ErrorCode, rr.ErrorMessage = e.Code, kmsg.StringPtr(why[user])
		} else {
			rr.ErrorCode, rr.ErrorMessage = errorCode(err), errorText(err)
		}
		resp.Results = append(resp.Results, rr)
	}
	return now(resp), nil
}
