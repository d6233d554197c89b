package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteRecords answers DeleteRecords: it raises the log start of partitions.
func (b *Broker) deleteRecords(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DeleteRecordsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			rp.Partition, rp.LowWatermark = p.Partition, -1
			part, err := r.partition(mayDelete, false, [16]byte{}, t.Topic, p.Partition)
			if err == nil && isInternal(t.Topic) { // the broker reads them from their beginning
				err = fmt.Errorf("%w: the records of %s are the broker's own", log.ErrInvalidTopic, t.Topic)
			}
			if err == nil && !part.Topic().Config().Delete {
				err = fmt.Errorf("%w: cleanup.policy of %s does not have delete", kerr.PolicyViolation, t.Topic)
			}
			if err == nil {
				rp.LowWatermark, err = part.DeleteRecords(p.Offset)
			}
			if rp.ErrorCode = errorCode(err); err != nil {
				rp.LowWatermark = -1
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}
