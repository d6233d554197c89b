package broker

import (
	"context"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnOffsetCommit answers TxnOffsetCommit when the offsets are durable. They count once the transaction is committed.
func (b *Broker) txnOffsetCommit(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.TxnOffsetCommitRequest)
	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	offsets := make(map[place]*committed)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewTxnOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			c := &committed{offset: p.Offset, leaderEpoch: p.LeaderEpoch}
			if p.Metadata != nil {
				c.metadata = *p.Metadata
			}
			rp.Partition = p.Partition
			if _, err := r.partition(mayRead, false, [16]byte{}, t.Topic, p.Partition); err != nil {
				rp.ErrorCode = errorCode(err)
			} else if len(c.metadata) > b.set.Load().maxOffsetMetadata {
				rp.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			} else {
				offsets[place{t.Topic, p.Partition}] = c
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	a, err := b.commitInTransaction(r, req, offsets)
	return func() kmsg.Response {
		if err == nil && a != nil {
			err = a.Wait(context.WithoutCancel(r.ctx))
		}
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == 0 {
					p.ErrorCode = errorCode(err)
				}
			}
		}
		return resp
	}, nil
}

// commitInTransaction writes the offsets. From version 5 on the offsets topic becomes part of the transaction by this
// (KIP-890); before, clients see to it with AddOffsetsToTxn.
func (b *Broker) commitInTransaction(r *request, req *kmsg.TxnOffsetCommitRequest, offsets map[place]*committed) (*log.Pending, error) {
	if err := r.transactional(mayWrite, req.TransactionalID); err != nil {
		return nil, err
	}
	if err := r.group(mayRead, req.Group); err != nil {
		return nil, err
	}
	may, err := b.mayCommit(r, req.Group, req.MemberID, req.InstanceID, req.Generation, true)
	if err != nil {
		return nil, err
	}
	for p := range offsets {
		if part, err := b.log.Partition(p.topic, p.partition); err != nil {
			return nil, err
		} else if err := may(groupPartition(part)); err != nil {
			return nil, err
		}
	}
	t, err := b.txns.owned(req.TransactionalID, req.ProducerID, req.ProducerEpoch)
	if err != nil {
		return nil, produceError(err, 12)
	}
	defer t.mu.Unlock()
	if r.version >= 5 {
		err = b.txns.add(t, []place{offsetsPlace()}, 2)
	} else if t.meta.state != txnOngoing || !t.meta.has(offsetsPlace()) {
		err = kerr.InvalidTxnState
	}
	if err != nil || len(offsets) == 0 {
		return nil, err
	}
	return b.groups.store.commitLater(req.Group, req.ProducerID, req.ProducerEpoch, offsets)
}
