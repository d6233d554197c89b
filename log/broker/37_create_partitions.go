package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions answers CreatePartitions.
func (b *Broker) createPartitions(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.CreatePartitionsRequest)
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	twice := repeated(req.Topics, func(t *kmsg.CreatePartitionsRequestTopic) string { return t.Topic })
	for _, t := range req.Topics {
		if twice.has(t.Topic) && !twice.first(t.Topic) {
			continue
		}
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		var topic *log.Topic
		err := r.topic(mayAlter, t.Topic)
		if twice.has(t.Topic) {
			err = fmt.Errorf("%w: topic %s is named more than once", kerr.InvalidRequest, t.Topic)
		}
		if err == nil {
			topic, err = b.log.Topic(t.Topic)
		}
		more := 0
		if err == nil {
			more = int(t.Count) - len(topic.Partitions())
		}
		if more > 0 && t.Assignment != nil {
			err = checkAssigned(t.Assignment, more)
		}
		if err == nil && more > maxPartitionsAtOnce {
			err = kerr.PolicyViolation
		}
		if err == nil && more > 0 {
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

// checkAssigned checks where new partitions are to be: each has one replica, on the only broker.
func checkAssigned(all []kmsg.CreatePartitionsRequestTopicAssignment, partitions int) error {
	if len(all) != partitions {
		return fmt.Errorf("%w: %d partitions are assigned, %d are to be made", kerr.InvalidReplicaAssignment, len(all), partitions)
	}
	for _, a := range all {
		if len(a.Replicas) != 1 || a.Replicas[0] != nodeID {
			return fmt.Errorf("%w: the only broker is %d", kerr.InvalidReplicaAssignment, nodeID)
		}
	}
	return nil
}
