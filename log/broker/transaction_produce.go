package broker

import (
	"errors"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producing is what a Produce request may do in its transaction. The transactional id stays locked until leave, so
// that the records are appended before the transaction can end, or not at all.
type producing struct {
	t       *txn // nil: none
	version int16
	err     error // why no transactional batch is taken
}

// enterTransaction checks the producer of a request's transactional batches. From version 12 on it makes their
// partitions part of the transaction (KIP-890); before, clients do that with AddPartitionsToTxn.
func (b *Broker) enterTransaction(r *request, req *kmsg.ProduceRequest) *producing {
	p := &producing{version: r.version, err: kerr.TransactionalIDAuthorizationFailed}
	if req.TransactionID == nil {
		return p
	}
	var first *segment.Header
	var parts []place
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			h, ok := transactional(t.Partitions[j].Records)
			if !ok {
				continue
			}
			if first == nil {
				first = &h
			}
			if _, err := b.log.Partition(t.Topic, t.Partitions[j].Partition); err == nil && !isInternal(t.Topic) {
				parts = append(parts, place{t.Topic, t.Partitions[j].Partition})
			}
		}
	}
	if first == nil || r.transactional(mayWrite, *req.TransactionID) != nil {
		return p
	}
	p.t, p.err = b.txns.owned(*req.TransactionID, first.ProducerID, first.ProducerEpoch)
	if p.err == nil && r.version >= 12 {
		p.err = b.txns.add(p.t, parts, 2)
	}
	p.err = produceError(p.err, r.version)
	return p
}

// produceError says an error of the coordinator as producers of a version know it.
func produceError(err error, version int16) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced):
		return kerr.InvalidProducerEpoch
	case errors.Is(err, kerr.ConcurrentTransactions) && version < 12:
		return kerr.NotEnoughReplicas // is tried again
	}
	return err
}

// may says why batches may not be appended to a partition.
func (p *producing) may(at place, records []byte) error {
	for len(records) > 0 {
		h, err := segment.ParseHeader(records)
		if err != nil || h.Size() > len(records) {
			return nil // the log says what is wrong with them
		}
		records = records[h.Size():]
		switch {
		case !h.Transactional():
		case p.err != nil:
			return p.err
		case p.t.meta.producer != h.ProducerID:
			return kerr.InvalidProducerIDMapping
		case p.t.meta.epoch != h.ProducerEpoch:
			return kerr.InvalidProducerEpoch
		case p.t.meta.state == txnOngoing && p.t.meta.has(at):
		case p.version >= 11:
			return kerr.TransactionAbortable
		default:
			return kerr.InvalidTxnState
		}
	}
	return nil
}

func (p *producing) leave() {
	if p.t != nil {
		p.t.mu.Unlock()
	}
}

// transactional finds the first transactional batch.
func transactional(records []byte) (segment.Header, bool) {
	for len(records) > 0 {
		h, err := segment.ParseHeader(records)
		if err != nil || h.Size() > len(records) {
			break
		}
		if h.Transactional() {
			return h, true
		}
		records = records[h.Size():]
	}
	return segment.Header{}, false
}
