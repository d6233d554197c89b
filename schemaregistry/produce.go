package schemaregistry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxBatch is how many bytes of keys and values go into one batch, but for a record that has more: less than what
// brokers take by default (message.max.bytes, 1048588).
const maxBatch = 900_000

// batchOf returns records as a batch of the claim, in Kafka's format:
//
//	base offset int64 | length int32 | leader epoch int32 | magic int8 = 2 | CRC-32C of all behind it | attributes int16 |
//	last offset delta int32 | first and max timestamp int64 | producer id int64 | epoch int16 | sequence int32 |
//	count int32 | records
//
// kgo's own producer cannot do it: it writes under an epoch of a transactional id in transactions only.
func (c *claim) batchOf(records []*kgo.Record, now int64) []byte {
	const behindLength, crcAt, behindCRC = 12, 17, 21
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(records) - 1), FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: c.producer, ProducerEpoch: c.epoch, FirstSequence: c.sequence, NumRecords: int32(len(records))}
	for i, r := range records {
		m := kmsg.Record{OffsetDelta: int32(i), Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		m.Length = int32(len(m.AppendTo(nil)) - 1) // the length itself, as 0, takes one byte
		b.Records = m.AppendTo(b.Records)
	}
	batch := b.AppendTo(nil)
	binary.BigEndian.PutUint32(batch[behindLength-4:], uint32(len(batch)-behindLength))
	binary.BigEndian.PutUint32(batch[crcAt:], crc32.Checksum(batch[behindCRC:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// send appends records as one batch and returns the offset behind them. It tries for as long as the outcome is not
// known, which the sequence makes safe. errDeposed: the epoch has passed. Call with writing locked.
func (s *store) send(ctx context.Context, c *claim, records []*kgo.Record) (next int64, err error) {
	batch := c.batchOf(records, time.Now().UnixMilli())
	for {
		var offset int64
		offset, err = s.produce(ctx, batch)
		switch {
		case err == nil:
			c.sequence, c.used = int32((int64(c.sequence)+int64(len(records)))&math.MaxInt32), time.Now()
			return offset + int64(len(records)), nil
		case isAnswer(err, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerIDMapping):
			return 0, errDeposed
		case isAnswer(err) && !kerr.IsRetriable(err):
			return 0, err
		}
		s.leader = nil
		s.client.ForceMetadataRefresh()
		if wait(ctx, retryDelay) != nil {
			return 0, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// isAnswer reports whether an error is one of a broker's, if none is named: any.
func isAnswer(err error, among ...*kerr.Error) bool {
	var code *kerr.Error
	if !errors.As(err, &code) {
		return false
	}
	for _, e := range among {
		if e == code {
			return true
		}
	}
	return len(among) == 0
}

// topicLeader is where the topic's partition is.
type topicLeader struct {
	broker int
	topic  [16]byte
}

// produce asks the partition's leader to append a batch and returns its first offset.
func (s *store) produce(ctx context.Context, batch []byte) (int64, error) {
	if s.leader == nil {
		var err error
		if s.leader, err = s.findLeader(ctx); err != nil {
			return 0, err
		}
	}
	ask := kmsg.NewPtrProduceRequest()
	ask.Acks, ask.TimeoutMillis = -1, int32(s.timeout.Milliseconds())
	topic, partition := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	partition.Records = batch
	topic.Topic, topic.TopicID, topic.Partitions = s.topic, s.leader.topic, append(topic.Partitions, partition)
	ask.Topics = append(ask.Topics, topic)
	answer, err := s.client.Broker(s.leader.broker).Request(ctx, ask)
	if err != nil {
		return 0, err
	}
	topics := answer.(*kmsg.ProduceResponse).Topics
	if len(topics) != 1 || len(topics[0].Partitions) != 1 {
		return 0, errNoAnswer
	}
	p := topics[0].Partitions[0]
	return p.BaseOffset, kerr.ErrorForCode(p.ErrorCode)
}

func (s *store) findLeader(ctx context.Context) (*topicLeader, error) {
	ask := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(s.topic)
	ask.Topics = append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, s.client)
	if err != nil {
		return nil, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, errNoAnswer
	}
	if err := kerr.ErrorForCode(answer.Topics[0].ErrorCode); err != nil {
		return nil, err
	}
	p := answer.Topics[0].Partitions[0]
	return &topicLeader{int(p.Leader), answer.Topics[0].TopicID}, kerr.ErrorForCode(p.ErrorCode)
}

// write appends records, in order, and waits until the reader has taken them in.
func (s *store) write(ctx context.Context, records ...*kgo.Record) error {
	return s.append(ctx, records)[0]
}

// append appends groups of records, in order and in as few batches as their sizes allow, and waits until the reader has
// taken them in. It returns an error for each group: errDeposed if this node has not the right to write (any more).
func (s *store) append(ctx context.Context, groups ...[]*kgo.Record) []error {
	s.writing.Lock()
	defer s.writing.Unlock()
	errs, last := make([]error, len(groups)), int64(0)
	p := packing{flush: func(records []*kgo.Record, from, to int) {
		next, err := int64(0), errDeposed
		if s.held != nil {
			next, err = s.send(ctx, s.held, records)
		}
		if err != nil && (errors.Is(err, errDeposed) || !isAnswer(err)) {
			s.held = nil // what becomes of the batch is known when the topic is claimed again
		}
		last = max(last, next)
		for i := from; i <= to; i++ {
			errs[i] = errors.Join(errs[i], err)
		}
	}}
	for i, g := range groups {
		p.add(i, g)
	}
	p.end()
	if err := s.reached(ctx, last); err != nil {
		for i := range errs {
			errs[i] = errors.Join(errs[i], err)
		}
	}
	return errs
}

// packing puts the records of groups into batches.
type packing struct {
	flush    func(records []*kgo.Record, from, to int) // of these groups
	records  []*kgo.Record
	size     int
	from, to int
}

func (p *packing) add(group int, records []*kgo.Record) {
	for _, r := range records {
		size := len(r.Key) + len(r.Value)
		if p.size+size > maxBatch {
			p.end()
		}
		if len(p.records) == 0 {
			p.from = group
		}
		p.records, p.size, p.to = append(p.records, r), p.size+size, group
	}
}

func (p *packing) end() {
	if len(p.records) > 0 {
		p.flush(p.records, p.from, p.to)
	}
	p.records, p.size = nil, 0
}
