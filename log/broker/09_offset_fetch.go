package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch answers OffsetFetch: one group up to version 7, several from version 8. A topic partition without a
// committed offset has offset -1.
func (b *Broker) offsetFetch(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetFetchRequest)
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if r.version >= 8 {
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, b.fetchOffsets(&req.Groups[i], r.version >= offsetFetchByID))
		}
		return now(resp), nil
	}
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group = req.Group
	for _, t := range req.Topics {
		gt := kmsg.NewOffsetFetchRequestGroupTopic()
		gt.Topic, gt.Partitions = t.Topic, t.Partitions
		one.Topics = append(one.Topics, gt)
	}
	if req.Topics != nil && one.Topics == nil {
		one.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, gt := range b.fetchOffsets(&one, false).Topics {
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = gt.Topic
		for _, gp := range gt.Partitions {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = gp.Partition, gp.Offset, gp.LeaderEpoch, gp.Metadata, gp.ErrorCode
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}

// fetchOffsets answers for one group; no list of topics means all.
func (b *Broker) fetchOffsets(req *kmsg.OffsetFetchRequestGroup, byID bool) kmsg.OffsetFetchResponseGroup {
	rg := kmsg.NewOffsetFetchResponseGroup()
	rg.Group = req.Group
	if req.Topics == nil {
		rg.Topics = b.allOffsets(req.Group, byID)
		return rg
	}
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		name, err := t.Topic, error(nil)
		if byID {
			name, err = b.nameOf(t.TopicID)
		}
		for _, n := range t.Partitions {
			rp := b.fetchOffset(req.Group, place{name, n})
			rp.ErrorCode = errorCode(err)
			rt.Partitions = append(rt.Partitions, rp)
		}
		rg.Topics = append(rg.Topics, rt)
	}
	return rg
}

// allOffsets are all that a group has committed. Offsets of a topic that is gone have no id to be told by.
func (b *Broker) allOffsets(group string, byID bool) []kmsg.OffsetFetchResponseGroupTopic {
	var all []kmsg.OffsetFetchResponseGroupTopic
	for _, p := range b.groups.store.places(group) {
		if n := len(all); n == 0 || all[n-1].Topic != p.topic {
			rt := kmsg.NewOffsetFetchResponseGroupTopic()
			rt.Topic = p.topic
			if t, err := b.log.Topic(p.topic); err == nil {
				rt.TopicID = t.ID()
			}
			all = append(all, rt)
		}
		rt := &all[len(all)-1]
		rt.Partitions = append(rt.Partitions, b.fetchOffset(group, p))
	}
	if byID {
		all = slices.DeleteFunc(all, func(t kmsg.OffsetFetchResponseGroupTopic) bool { return t.TopicID == [16]byte{} })
	}
	return all
}

func (b *Broker) fetchOffset(group string, p place) kmsg.OffsetFetchResponseGroupTopicPartition {
	rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.partition, -1, -1, kmsg.StringPtr("")
	if c, ok := b.groups.store.get(group, p); ok {
		rp.Offset, rp.LeaderEpoch, rp.Metadata = c.offset, c.leaderEpoch, kmsg.StringPtr(c.metadata)
	}
	return rp
}
