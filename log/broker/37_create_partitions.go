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
	for i := range req.Topics {
		t := &req.Topics[i]
		if twice.has(t.Topic) && !twice.first(t.Topic) {
			continue
		}
		rt := kmsg.NewCreatePartitionsResponseTopic()
		rt.Topic = t.Topic
		more, err := b.morePartitions(r, t)
		if twice.has(t.Topic) {
			err = fmt.Errorf("%w: topic %s is named more than once", kerr.InvalidRequest, t.Topic)
		}
		if err == nil {
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

// morePartitions is by how many partitions a topic is to grow.
func (b *Broker) morePartitions(r *request, t *kmsg.CreatePartitionsRequestTopic) (int, error) {
	if err := r.topic(mayAlter, t.Topic); err != nil {
		return 0, err
	}
	topic, err := b.log.Topic(t.Topic)
	if err != nil {
		return 0, err
	}
	have := len(topic.Partitions())
	more := int(t.Count) - have
	switch {
	case more <= 0:
		return 0, fmt.Errorf("%w: topic %q has %d, asked for %d", log.ErrInvalidPartitions, t.Topic, have, t.Count)
	case more > maxPartitionsAtOnce:
		return 0, kerr.PolicyViolation
	case t.Assignment != nil && len(t.Assignment) != more:
		return 0, fmt.Errorf("%w: topic %q is to have %d more partitions, and the replicas of %d are given", kerr.InvalidReplicaAssignment, t.Topic, more, len(t.Assignment))
	}
	for _, a := range t.Assignment {
		if err := b.checkReplicas(t.Topic, a.Replicas); err != nil {
			return 0, err
		}
	}
	return more, nil
}
