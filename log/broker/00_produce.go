package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// produce answers Produce. The batches are written when it returns, so that the next request of the connection
// follows them; the reply waits until they are durable. With acks=0 there is no reply.
func (b *Broker) produce(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ProduceRequest)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	if r.version >= produceByID {
		for i := range req.Topics { // a topic that is gone has no name, and its partitions are not found below
			req.Topics[i].Topic, _ = b.nameOf(req.Topics[i].TopicID)
		}
	}
	txn := b.enterTransaction(r, req)
	defer txn.leave()
	var waits []func()
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		rt.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			if wait := b.append(r, req, txn, t, &t.Partitions[j], &rt.Partitions[j]); wait != nil {
				waits = append(waits, wait)
			}
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = r.used(producerByteRate, float64(r.size))
	return func() kmsg.Response {
		for _, wait := range waits {
			wait()
		}
		if req.Acks == 0 {
			return nil
		}
		return resp
	}, nil
}

// append writes one partition's batch and fills rp. What it returns waits for durability.
func (b *Broker) append(r *request, req *kmsg.ProduceRequest, txn *producing, t *kmsg.ProduceRequestTopic, p *kmsg.ProduceRequestTopicPartition, rp *kmsg.ProduceResponseTopicPartition) func() {
	rp.Default()
	rp.Partition, rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = p.Partition, -1, -1, -1
	fail := func(err error) {
		rp.ErrorCode, rp.ErrorMessage, rp.BaseOffset = errorCode(err), errorText(err), -1
		var bad log.RecordErrors
		errors.As(err, &bad)
		for _, re := range bad {
			er := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			er.RelativeOffset, er.ErrorMessage = int32(re.Index), kmsg.StringPtr(re.Reason)
			rp.ErrorRecords = append(rp.ErrorRecords, er)
		}
	}
	if req.Acks != 0 && req.Acks != 1 && req.Acks != -1 {
		rp.ErrorCode = kerr.InvalidRequiredAcks.Code
		return nil
	}
	part, err := r.partition(mayWrite, r.version >= produceByID, t.TopicID, t.Topic, p.Partition)
	if err != nil {
		fail(err)
		return nil
	}
	if isInternal(t.Topic) {
		fail(fmt.Errorf("%w: %q is written by the broker only", log.ErrInvalidTopic, t.Topic))
		return nil
	}
	if err := txn.may(place{t.Topic, p.Partition}, p.Records); err != nil {
		fail(err)
		return nil
	}
	if err := checkSoleBatch(p.Records); err != nil {
		fail(err)
		return nil
	}
	pending, err := part.Begin(p.Records, log.AppendOptions{CheckRecords: !r.c.inProcess})
	if err != nil {
		fail(err)
		return nil
	}
	rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = pending.Result.BaseOffset, pending.Result.AppendTime, pending.Result.LogStart
	if req.Acks != -1 {
		return nil
	}
	return func() {
		// Not bound to the connection: the bytes are written, and whether they became durable is the answer.
		if err := pending.Wait(context.WithoutCancel(r.ctx)); err != nil {
			fail(err)
		}
	}
}

// checkSoleBatch refuses what is not one batch of the present format at offset 0: Kafka's protocol allows a producer
// nothing else, and its clients send nothing else.
func checkSoleBatch(records []byte) error {
	h, err := segment.ParseHeader(records)
	switch {
	case errors.Is(err, segment.ErrShort), errors.Is(err, segment.ErrOldFormat):
		return fmt.Errorf("%w: %w", log.ErrInvalidRecord, err)
	case err != nil:
		return fmt.Errorf("%w: %w", log.ErrCorruptBatch, err)
	case h.Size() != len(records):
		return fmt.Errorf("%w: a batch of %d bytes in %d: a request has exactly one batch for each partition", log.ErrInvalidRecord, h.Size(), len(records))
	case h.BaseOffset != 0:
		return fmt.Errorf("%w: base offset %d of a producer, want 0", log.ErrInvalidRecord, h.BaseOffset)
	}
	return nil
}
