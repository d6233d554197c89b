package broker

import (
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timestamps of ListOffsets that are questions of their own.
const (
	offsetLatest        = -1
	offsetEarliest      = -2
	offsetMaxTimestamp  = -3 // v7+
	offsetEarliestLocal = -4 // v8+
	offsetLatestTiered  = -5 // v9+
	offsetNextUpload    = -6 // v11+, KIP-1023
)

// listOffsets answers ListOffsets.
func (b *Broker) listOffsets(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ListOffsetsRequest)
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		twice := repeated(t.Partitions, func(p *kmsg.ListOffsetsRequestTopicPartition) int32 { return p.Partition })
		for j := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			if n := t.Partitions[j].Partition; twice.has(n) {
				if twice.first(n) {
					rp.Partition, rp.Timestamp, rp.Offset, rp.ErrorCode = n, -1, -1, kerr.InvalidRequest.Code
					rt.Partitions = append(rt.Partitions, rp)
				}
				continue
			}
			b.listOffset(r, t.Topic, &t.Partitions[j], req.IsolationLevel, &rp)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}

func (b *Broker) listOffset(r *request, topic string, p *kmsg.ListOffsetsRequestTopicPartition, isolation int8, rp *kmsg.ListOffsetsResponseTopicPartition) {
	rp.Partition, rp.Timestamp, rp.Offset = p.Partition, -1, -1
	part, err := r.partition(mayDescribe, false, [16]byte{}, topic, p.Partition)
	if err != nil {
		rp.ErrorCode = errorCode(err)
		return
	}
	if rp.ErrorCode = epochError(part, p.CurrentLeaderEpoch); rp.ErrorCode != 0 {
		return
	}
	switch {
	case p.Timestamp == offsetLatest:
		rp.Offset, rp.LeaderEpoch = bound(part, isolation), part.LeaderEpoch()
	case p.Timestamp == offsetEarliest, p.Timestamp == offsetEarliestLocal && r.version >= 8:
		rp.Offset, rp.LeaderEpoch = part.LogStart(), epochAt(part, part.LogStart())
	case p.Timestamp == offsetMaxTimestamp && r.version >= 7:
		at, ok, err := part.MaxTimestamp()
		foundOffset(rp, at, ok && at.Offset < bound(part, isolation), err)
	case p.Timestamp == offsetLatestTiered && r.version >= 9, p.Timestamp == offsetNextUpload && r.version >= 11:
		// nothing is tiered
	case p.Timestamp < 0:
		rp.ErrorCode = kerr.UnsupportedVersion.Code
	default:
		at, ok, err := part.OffsetForTimestamp(p.Timestamp)
		foundOffset(rp, at, ok && at.Offset < bound(part, isolation), err)
	}
}

// bound is the first offset that a reader cannot read yet.
func bound(p *log.Partition, isolation int8) int64 {
	if isolation == int8(log.ReadCommitted) {
		return p.LastStable()
	}
	return p.HighWatermark()
}

func foundOffset(rp *kmsg.ListOffsetsResponseTopicPartition, at log.TimeOffset, ok bool, err error) {
	rp.ErrorCode = errorCode(err)
	if err == nil && ok {
		rp.Offset, rp.Timestamp, rp.LeaderEpoch = at.Offset, at.Timestamp, at.LeaderEpoch
	}
}

// epochAt returns the leader epoch in which the record at offset was appended.
func epochAt(p *log.Partition, offset int64) int32 {
	epoch := int32(-1)
	for _, e := range p.Epochs() {
		if e.Offset > offset {
			break
		}
		epoch = e.Epoch
	}
	return epoch
}
