package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupDescribe answers ConsumerGroupDescribe, for groups of the consumer protocol. Tools that are told that a
// group is none of those ask again with DescribeGroups.
func (b *Broker) consumerGroupDescribe(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ConsumerGroupDescribeRequest)
	resp := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	for _, id := range req.Groups {
		rg := kmsg.NewConsumerGroupDescribeResponseGroup()
		err := r.group(mayDescribe, id)
		if err == nil {
			err = b.describeConsumerGroup(r, id, &rg)
		}
		if err != nil {
			rg = kmsg.NewConsumerGroupDescribeResponseGroup()
			rg.ErrorCode, rg.ErrorMessage = errorCode(err), errorText(err)
		} else {
			rg.AuthorizedOperations = r.operations(groupResource, id, req.IncludeAuthorizedOperations)
		}
		rg.Group = id
		resp.Groups = append(resp.Groups, rg)
	}
	return now(resp), nil
}

func (b *Broker) describeConsumerGroup(r *request, id string, rg *kmsg.ConsumerGroupDescribeResponseGroup) error {
	if id == "" {
		return kerr.InvalidGroupID
	}
	g := b.groups.consumer(id)
	if g == nil {
		if b.groups.group(id, false) != nil {
			return fmt.Errorf("%w: %s is a group of the classic protocol", kerr.GroupIDNotFound, id)
		}
		return fmt.Errorf("%w: there is no group %s", kerr.GroupIDNotFound, id)
	}
	var hidden error // a topic that the client must not know of
	g.mu.Lock()
	defer g.mu.Unlock()
	g.g.Describe(rg, b.consumerConfig(id), func(topic log.TopicID) (string, bool) {
		name, err := b.nameOf(topic)
		if err == nil && r.topic(mayDescribe, name) != nil {
			hidden = fmt.Errorf("%w: its members read topics that you may not describe", kerr.TopicAuthorizationFailed)
		}
		return name, err == nil
	})
	return hidden
}
