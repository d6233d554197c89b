package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// initProducerID answers InitProducerID: an id nobody had before. With a transactional id, it is that of the id, in its next
// epoch, its open transaction is aborted, and earlier producers of that id are fenced.
func (b *Broker) initProducerID(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.InitProducerIDRequest)
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if resp.ErrorCode = errorCode(b.mayInit(r, req)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	if (req.ProducerID == -1) != (req.ProducerEpoch == -1) {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return now(resp), nil
	}
	if req.TransactionalID != nil {
		id, epoch, err := b.txns.init(*req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch)
		if resp.ErrorCode = fencedCode(err, r.version >= 4); err == nil {
			resp.ProducerID, resp.ProducerEpoch = id, epoch
		}
		return now(resp), nil
	}
	id, err := b.log.NextProducerID()
	if err != nil {
		resp.ErrorCode = errorCode(err)
		return now(resp), nil
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return now(resp), nil
}

// mayInit lets who may write a topic, any topic, have a producer id.
func (b *Broker) mayInit(r *request, req *kmsg.InitProducerIDRequest) error {
	if req.TransactionalID != nil {
		return r.transactional(mayWrite, *req.TransactionalID)
	}
	if r.c.inProcess || b.acls.allowSome(r.c.who, r.c.host, mayWrite, topicResource) {
		return nil
	}
	return r.cluster(mayWriteIdempotent)
}

// fencedCode is errorCode, with the code for a fenced producer that older clients know.
func fencedCode(err error, knowsFenced bool) int16 {
	code := errorCode(err)
	if code == kerr.ProducerFenced.Code && !knowsFenced {
		return kerr.InvalidProducerEpoch.Code
	}
	return code
}

// init gives a transactional id its producer id and next epoch. producer and epoch are what the client has, or -1: a
// client that has something else than the coordinator is fenced.
func (c *txnCoordinator) init(id string, timeout int32, producer int64, epoch int16) (int64, int16, error) {
	if id == "" {
		return 0, 0, kerr.InvalidRequest
	}
	if timeout <= 0 || int64(timeout) > maxTxnTimeout.Milliseconds() {
		return 0, 0, kerr.InvalidTransactionTimeout
	}
	t := c.lockOrMake(id)
	defer t.mu.Unlock()
	m := t.meta
	if m.producer < 0 {
		return c.first(t, timeout)
	}
	if producer >= 0 && producer != m.producer && !(producer == m.prevProducer && epoch >= lastEpoch) {
		return 0, 0, kerr.ProducerFenced
	}
	if m.state == txnOngoing {
		if err := c.abort(t); err != nil {
			return 0, 0, err
		}
	}
	m = t.meta
	if m.state == txnPrepareCommit || m.state == txnPrepareAbort {
		return 0, 0, kerr.ConcurrentTransactions
	}
	m.state, m.parts, m.start, m.timeout, m.prevProducer = txnEmpty, nil, -1, timeout, m.producer
	switch {
	case epoch >= 0 && epoch != m.epoch && epoch != m.lastEpoch:
		return 0, 0, kerr.ProducerFenced
	case epoch >= 0 && epoch == m.lastEpoch: // asked again
	case m.epoch >= lastEpoch:
		next, err := c.log.NextProducerID()
		if err != nil {
			return 0, 0, kerr.CoordinatorNotAvailable
		}
		m.producer, m.epoch, m.lastEpoch = next, 0, epoch
	default:
		m.lastEpoch = epoch
		m.epoch++
	}
	err := c.save(t, m)
	return m.producer, m.epoch, err
}

// lockOrMake returns the transactional id of that name, locked. A new one has no producer yet.
func (c *txnCoordinator) lockOrMake(id string) *txn {
	for {
		if t := c.lock(id); t != nil {
			return t
		}
		c.mu.Lock()
		if c.byID[id] == nil {
			t := &txn{id: id, meta: txnMeta{producer: -1}}
			t.mu.Lock()
			c.byID[id] = t
			c.mu.Unlock()
			return t
		}
		c.mu.Unlock()
	}
}

// first gives a new transactional id its producer id. Call with t locked.
func (c *txnCoordinator) first(t *txn, timeout int32) (int64, int16, error) {
	id, err := c.log.NextProducerID()
	if err == nil {
		err = c.save(t, txnMeta{producer: id, lastEpoch: -1, prevProducer: id, nextProducer: -1, timeout: timeout, start: -1, updated: time.Now().UnixMilli()})
	}
	if err != nil {
		c.forget(t)
		return 0, 0, kerr.CoordinatorNotAvailable
	}
	return id, 0, nil
}
