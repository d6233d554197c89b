package broker

import (
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions answers CreatePartitions.
func (b *Broker) createPartitions(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.CreatePartitionsRequest)
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		var topic *log.Topic
		err := r.topic(mayAlter, t.Topic)
		if err == nil {
			topic, err = b.log.Topic(t.Topic)
		}
		more := 0
		if err == nil {
			more = int(t.Count) - len(topic.Partitions())
		}
		if more > maxPartitionsAtOnce {
			err = kerr.PolicyViolation
		} else if more > 0 {
			err = r.mutates(more, 3)
		}
		if err == nil && !req.ValidateOnly {
			err = b.log.CreatePartitions(t.Topic, t.Count)
		}
		rt.ErrorCode, rt.ErrorMessage = errorCode(err), errorText(err)
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = r.throttled
	return now(resp), nil
}
