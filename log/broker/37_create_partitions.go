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
		if err == nil && int(t.Count)-len(topic.Partitions()) > maxPartitionsAtOnce {
			err = kerr.PolicyViolation
		}
		if err == nil && !req.ValidateOnly {
			err = b.log.CreatePartitions(t.Topic, t.Count)
		}
		rt.ErrorCode, rt.ErrorMessage = errorCode(err), errorText(err)
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}
