package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTransactions answers DescribeTransactions.
func (b *Broker) describeTransactions(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeTransactionsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	for _, id := range req.TransactionalIDs {
		rt := kmsg.NewDescribeTransactionsResponseTransactionState()
		rt.TransactionalID = id
		rt.ErrorCode = errorCode(r.transactional(mayDescribe, id))
		var t *txn
		if rt.ErrorCode == 0 {
			if t = b.txns.lock(id); t == nil {
				rt.ErrorCode = kerr.TransactionalIDNotFound.Code
			}
		}
		if t == nil {
			resp.TransactionStates = append(resp.TransactionStates, rt)
			continue
		}
		m := t.meta
		t.mu.Unlock()
		rt.State, rt.TimeoutMillis, rt.StartTimestamp, rt.ProducerID, rt.ProducerEpoch = m.state.String(), m.timeout, m.start, m.producer, m.epoch
		for _, p := range m.parts {
			if n := len(rt.Topics); n == 0 || rt.Topics[n-1].Topic != p.topic {
				topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
				topic.Topic = p.topic
				rt.Topics = append(rt.Topics, topic)
			}
			topic := &rt.Topics[len(rt.Topics)-1]
			topic.Partitions = append(topic.Partitions, p.partition)
		}
		resp.TransactionStates = append(resp.TransactionStates, rt)
	}
	return now(resp), nil
}
