package broker

import (
	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupHeartbeat answers ConsumerGroupHeartbeat (KIP-848): a member joins, lives, gives up partitions and leaves
// by it. It is answered when what it changed is durable.
func (b *Broker) consumerGroupHeartbeat(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ConsumerGroupHeartbeatRequest)
	resp, pending, err := b.memberHeartbeat(r, req)
	return func() kmsg.Response {
		if err == nil {
			err = wait(pending)
		}
		if err = storeError(err); err != nil {
			resp = req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
			resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		}
		return resp
	}, nil
}

func (b *Broker) memberHeartbeat(r *request, req *kmsg.ConsumerGroupHeartbeatRequest) (*kmsg.ConsumerGroupHeartbeatResponse, durable, error) {
	if err := r.group(mayRead, req.Group); err != nil {
		return nil, nil, err
	}
	for _, topic := range req.SubscribedTopicNames {
		if err := r.topic(mayDescribe, topic); err != nil {
			return nil, nil, err
		}
	}
	if err := consumergroup.Check(req, b.consumerConfig(req.Group).Assignors); err != nil {
		return nil, nil, err
	}
	return b.groups.heartbeat(req, r.consumer())
}
