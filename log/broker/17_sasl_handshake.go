package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// saslHandshake answers SaslHandshake: the client names the mechanism, and SaslAuthenticate carries its messages.
func (b *Broker) saslHandshake(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.SASLHandshakeRequest)
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	resp.SupportedMechanisms = r.c.listener.SASL
	switch {
	case !r.c.locked():
		resp.ErrorCode = kerr.IllegalSaslState.Code
	case !r.c.offers(req.Mechanism):
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		r.c.end("the client wants to log in by " + req.Mechanism + ", which is not enabled")
	default:
		var err error
		if r.c.exchange, err = b.users.begin(req.Mechanism); err != nil {
			return nil, err
		}
	}
	return now(resp), nil
}
