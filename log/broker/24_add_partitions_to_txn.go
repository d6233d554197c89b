package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addPartitionsToTxn answers AddPartitionsToTxn: the partitions are part of the transaction, durably. Up to version 3
// producers send it, for one transaction; from version 4 on brokers do, for several, or to ask what is part of them.
func (b *Broker) addPartitionsToTxn(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AddPartitionsToTxnRequest)
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if r.version < 4 {
		one := kmsg.NewAddPartitionsToTxnRequestTransaction()
		one.TransactionalID, one.ProducerID, one.ProducerEpoch = req.TransactionalID, req.ProducerID, req.ProducerEpoch
		for _, t := range req.Topics {
			one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: t.Topic, Partitions: t.Partitions})
		}
		for _, t := range b.addPartitions(r, &one) {
			rt := kmsg.NewAddPartitionsToTxnResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, p.ErrorCode
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return now(resp), nil
	}
	for i := range req.Transactions {
		rt := kmsg.NewAddPartitionsToTxnResponseTransaction()
		rt.TransactionalID, rt.Topics = req.Transactions[i].TransactionalID, b.addPartitions(r, &req.Transactions[i])
		resp.Transactions = append(resp.Transactions, rt)
	}
	return now(resp), nil
}

// addPartitions answers for one transaction. If one partition is unknown, none is added.
func (b *Broker) addPartitions(r *request, req *kmsg.AddPartitionsToTxnRequestTransaction) []kmsg.AddPartitionsToTxnResponseTransactionTopic {
	var parts []place
	known := true
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			_, err := r.partition(mayWrite, false, [16]byte{}, t.Topic, p)
			known = known && err == nil
			parts = append(parts, place{t.Topic, p})
		}
	}
	code := func(place) int16 { return kerr.OperationNotAttempted.Code }
	if err := r.transactional(mayWrite, req.TransactionalID); err != nil {
		code = func(place) int16 { return errorCode(err) }
	} else if known {
		code = b.txns.addOrVerify(r.version, req, parts)
	}
	var out []kmsg.AddPartitionsToTxnResponseTransactionTopic
	for _, t := range req.Topics {
		rt := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			rp.Partition = p
			if _, err := r.partition(mayWrite, false, [16]byte{}, t.Topic, p); err != nil {
				rp.ErrorCode = errorCode(err)
			} else {
				rp.ErrorCode = code(place{t.Topic, p})
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		out = append(out, rt)
	}
	return out
}

// addOrVerify returns the code of each partition.
func (c *txnCoordinator) addOrVerify(version int16, req *kmsg.AddPartitionsToTxnRequestTransaction, parts []place) func(place) int16 {
	t, err := c.owned(req.TransactionalID, req.ProducerID, req.ProducerEpoch)
	if err != nil {
		return func(place) int16 { return fencedCode(err, version >= 2) }
	}
	defer t.mu.Unlock()
	if req.VerifyOnly {
		m := t.meta
		return func(p place) int16 {
			if m.state != txnOngoing || !m.has(p) {
				return kerr.TransactionAbortable.Code
			}
			return 0
		}
	}
	of := int16(0)
	if version >= 5 {
		of = 2
	}
	err = c.add(t, parts, of)
	return func(place) int16 { return errorCode(err) }
}
