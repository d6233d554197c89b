package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetDelete answers OffsetDelete. Offsets of topics that a member of the group may be reading stay: consumers say what
// they subscribe to, a group of other members of the classic protocol must be empty.
func (b *Broker) offsetDelete(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetDeleteRequest)
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	if resp.ErrorCode = errorCode(r.group(mayDelete, req.Group)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	var reads func(topic string) bool
	if g := b.groups.consumer(req.Group); g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		reads = g.g.Subscribes
	} else if g := b.groups.group(req.Group, false); g == nil {
		resp.ErrorCode = kerr.GroupIDNotFound.Code
		return now(resp), nil
	} else {
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.members) > 0 && g.protocolType != "consumer" {
			resp.ErrorCode = kerr.NonEmptyGroup.Code
			return now(resp), nil
		}
		reads = g.reads()
	}
	var gone []place
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetDeleteResponseTopic()
		rt.Topic = t.Topic
		refused := r.topic(mayRead, t.Topic)
		if refused == nil {
			_, refused = b.log.Topic(t.Topic)
		}
		if refused == nil && reads(t.Topic) {
			refused = kerr.GroupSubscribedToTopic
		}
		for _, p := range t.Partitions {
			rp := kmsg.NewOffsetDeleteResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, errorCode(refused)
			rt.Partitions = append(rt.Partitions, rp)
			if refused == nil {
				gone = append(gone, place{t.Topic, p.Partition})
			}
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if err := b.deleteOffsets(req.Group, gone); err != nil {
		resp.ErrorCode = errorCode(storeError(err))
	}
	return now(resp), nil
}
