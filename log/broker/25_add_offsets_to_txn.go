package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addOffsetsToTxn answers AddOffsetsToTxn: the committed offsets of a group become part of the transaction.
func (b *Broker) addOffsetsToTxn(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AddOffsetsToTxnRequest)
	resp := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	err := r.transactional(mayWrite, req.TransactionalID)
	if err == nil {
		err = r.group(mayRead, req.Group)
	}
	if err != nil {
		resp.ErrorCode = errorCode(err)
		return now(resp), nil
	}
	t, err := b.txns.owned(req.TransactionalID, req.ProducerID, req.ProducerEpoch)
	if err == nil {
		err = b.txns.add(t, []place{offsetsPlace()}, 0)
		t.mu.Unlock()
	}
	resp.ErrorCode = fencedCode(err, r.version >= 2)
	return now(resp), nil
}

// offsetsPlace is where the committed offsets of all groups are.
func offsetsPlace() place { return place{offsetsTopic, 0} }
