package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetForLeaderEpoch answers OffsetForLeaderEpoch: where an epoch ended, by which a client finds that what it read
// was taken back.
func (b *Broker) offsetForLeaderEpoch(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetForLeaderEpochRequest)
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewOffsetForLeaderEpochResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			rp.Partition, rp.LeaderEpoch, rp.EndOffset = p.Partition, -1, -1
			if part, err := r.partition(mayDescribe, false, [16]byte{}, t.Topic, p.Partition); err != nil {
				rp.ErrorCode = errorCode(err)
			} else if rp.ErrorCode = epochError(part, p.CurrentLeaderEpoch); rp.ErrorCode == 0 {
				if epoch, end, ok := part.OffsetForLeaderEpoch(p.LeaderEpoch); ok {
					rp.LeaderEpoch, rp.EndOffset = epoch, end
				}
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}
