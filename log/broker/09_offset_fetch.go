package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch answers OffsetFetch: one group up to version 7, several from version 8. A topic partition without a
// committed offset has offset -1.
func (b *Broker) offsetFetch(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetFetchRequest)
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if r.version >= 8 {
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, b.fetchOffsets(&req.Groups[i], req.RequireStable))
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
	for _, gt := range b.fetchOffsets(&one, req.RequireStable).Topics {
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

// fetchOffsets answers for one group; no list of topics means all. With stable, an offset that an open transaction is
// about to replace is an error that the client waits out.
func (b *Broker) fetchOffsets(req *kmsg.OffsetFetchRequestGroup, stable bool) kmsg.OffsetFetchResponseGroup {
	rg := kmsg.NewOffsetFetchResponseGroup()
	rg.Group = req.Group
	if req.Topics == nil {
		for _, p := range b.groups.store.places(req.Group) {
			if n := len(rg.Topics); n == 0 || rg.Topics[n-1].Topic != p.topic {
				rt := kmsg.NewOffsetFetchResponseGroupTopic()
				rt.Topic = p.topic
				rg.Topics = append(rg.Topics, rt)
			}
			rt := &rg.Topics[len(rg.Topics)-1]
			rt.Partitions = append(rt.Partitions, b.fetchOffset(req.Group, p, stable))
		}
		return rg
	}
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic = t.Topic
		for _, n := range t.Partitions {
			rt.Partitions = append(rt.Partitions, b.fetchOffset(req.Group, place{t.Topic, n}, stable))
		}
		rg.Topics = append(rg.Topics, rt)
	}
	return rg
}

func (b *Broker) fetchOffset(group string, p place, stable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
	rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.partition, -1, -1, kmsg.StringPtr("")
	if stable && b.groups.store.unstable(group, p) {
		rp.ErrorCode = kerr.UnstableOffsetCommit.Code
		return rp
	}
	if c, ok := b.groups.store.get(group, p); ok {
		rp.Offset, rp.LeaderEpoch, rp.Metadata = c.offset, c.leaderEpoch, kmsg.StringPtr(c.metadata)
	}
	return rp
}
