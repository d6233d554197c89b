package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// saslAuthenticate answers SaslAuthenticate: one message of the exchange that SaslHandshake began.
func (b *Broker) saslAuthenticate(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.SASLAuthenticateRequest)
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	resp.SASLAuthBytes = []byte{}
	if r.c.exchange == nil {
		resp.ErrorCode, resp.ErrorMessage = kerr.IllegalSaslState.Code, kmsg.StringPtr("SaslAuthenticate request received after successful authentication")
		if r.c.locked() {
			resp.ErrorMessage = kmsg.StringPtr("SaslAuthenticate request received before SaslHandshake")
		}
		return now(resp), nil
	}
	answer, user, err := r.c.exchange(req.SASLAuthBytes)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr(loginFailed)
		r.c.end("a login failed: " + err.Error())
		return now(resp), nil
	}
	resp.SASLAuthBytes = answer
	if user != "" {
		r.c.who, r.c.exchange = "User:"+user, nil
	}
	return now(resp), nil
}
