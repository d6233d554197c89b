package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// endTxn answers EndTxn when the decision is durable and readers see it. From version 5 on it gives the producer the
// epoch of its next transaction (KIP-890).
func (b *Broker) endTxn(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.EndTxnRequest)
	resp := req.ResponseKind().(*kmsg.EndTxnResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if resp.ErrorCode = errorCode(r.transactional(mayWrite, req.TransactionalID)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	version := int16(0)
	if r.version >= 5 {
		version = 2
	}
	id, epoch, err := b.txns.end(req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit, version)
	if resp.ErrorCode = fencedCode(err, r.version >= 2); err == nil {
		resp.ProducerID, resp.ProducerEpoch = id, epoch
	}
	return now(resp), nil
}

// end ends the transaction of a producer. A request that comes again is answered as the first time; which one that is
// can be told from the epoch where ending raises it.
func (c *txnCoordinator) end(id string, producer int64, epoch int16, commit bool, version int16) (int64, int16, error) {
	t := c.lock(id)
	if t == nil {
		return 0, 0, kerr.InvalidProducerIDMapping
	}
	defer t.mu.Unlock()
	m := &t.meta
	raises := m.version >= 2
	overflowed := raises && m.prevProducer == producer && epoch == lastEpoch && m.epoch == 0
	again := raises && (m.epoch == epoch+1 || overflowed)
	if m.producer != producer && !overflowed {
		return 0, 0, kerr.InvalidProducerIDMapping
	}
	decided := m.state == txnPrepareCommit || m.state == txnPrepareAbort
	ended := m.state == txnCompleteCommit || m.state == txnCompleteAbort
	switch {
	case m.epoch == epoch && !(raises && decided):
	case again && (decided || ended):
	default:
		return 0, 0, kerr.ProducerFenced
	}
	err := c.transition(t, commit, again, version)
	if m.nextProducer >= 0 { // decided, not complete yet
		return m.nextProducer, 0, err
	}
	return m.producer, m.epoch, err
}

// transition does what ending means in the present state. Call with t locked.
func (c *txnCoordinator) transition(t *txn, commit, again bool, version int16) error {
	state := t.meta.state
	same := commit && (state == txnPrepareCommit || state == txnCompleteCommit) || !commit && (state == txnPrepareAbort || state == txnCompleteAbort)
	ended := state == txnCompleteCommit || state == txnCompleteAbort
	switch {
	case state == txnOngoing:
		return c.decide(t, commit, version)
	case ended && same && (again || version < 2):
		return nil
	case (ended || state == txnEmpty) && !commit && !again && version >= 2:
		// A producer that has sent nothing may abort, to get the next epoch.
		return c.decide(t, false, version)
	case same && !ended:
		return kerr.ConcurrentTransactions
	}
	return kerr.InvalidTxnState
}
