package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch answers OffsetFetch: one group up to version 7, several from version 8. A topic partition without a
// committed offset has offset -1.
func (b *Broker) offsetFetch(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.OffsetFetchRequest)
	resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	f := offsetFetching{b: b, r: r, byID: r.version >= offsetFetchByID, stable: req.RequireStable}
	if r.version >= 8 {
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, f.group(&req.Groups[i]))
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
	of := f.group(&one)
	resp.ErrorCode = of.ErrorCode
	for _, gt := range of.Topics {
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

// offsetFetching is one OffsetFetch.
type offsetFetching struct {
	b      *Broker
	r      *request
	byID   bool // topics are named by their ids
	stable bool // an offset that an open transaction is about to replace is an error that the client waits out
}

// group answers for one group; no list of topics means all.
func (f *offsetFetching) group(req *kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	rg := kmsg.NewOffsetFetchResponseGroup()
	rg.Group = req.Group
	if rg.ErrorCode = errorCode(f.r.group(mayDescribe, req.Group)); rg.ErrorCode != 0 {
		return rg
	}
	if rg.ErrorCode = errorCode(f.b.mayFetch(req)); rg.ErrorCode != 0 {
		return rg
	}
	if req.Topics == nil {
		rg.Topics = f.all(req.Group)
		return rg
	}
	for _, t := range req.Topics {
		rt := kmsg.NewOffsetFetchResponseGroupTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		name, err := t.Topic, error(nil)
		if f.byID {
			name, err = f.b.nameOf(t.TopicID)
		}
		if err == nil {
			err = f.r.topic(mayDescribe, name)
		}
		for _, n := range t.Partitions {
			rp := noOffset(n)
			if rp.ErrorCode = errorCode(err); err == nil {
				rp = f.offset(req.Group, place{name, n})
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		rg.Topics = append(rg.Topics, rt)
	}
	return rg
}

// mayFetch checks who says who it is: a member of a group of the consumer protocol with an epoch that is not the last
// may have lost the partitions whose offsets it wants.
func (b *Broker) mayFetch(req *kmsg.OffsetFetchRequestGroup) error {
	g := b.groups.consumer(req.Group)
	if g == nil || req.MemberID == nil && req.MemberEpoch < 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	id := ""
	if req.MemberID != nil {
		id = *req.MemberID
	}
	return g.g.MayFetch(id, req.MemberEpoch)
}

// all are all offsets that a group has committed, of topics that the client may know of. Offsets of a topic that is gone
// have no id to be told by.
func (f *offsetFetching) all(group string) []kmsg.OffsetFetchResponseGroupTopic {
	var all []kmsg.OffsetFetchResponseGroupTopic
	for _, p := range f.b.groups.store.places(group) {
		if n := len(all); n == 0 || all[n-1].Topic != p.topic {
			rt := kmsg.NewOffsetFetchResponseGroupTopic()
			rt.Topic = p.topic
			if t, err := f.b.log.Topic(p.topic); err == nil {
				rt.TopicID = t.ID()
			}
			all = append(all, rt)
		}
		rt := &all[len(all)-1]
		rt.Partitions = append(rt.Partitions, f.offset(group, p))
	}
	return slices.DeleteFunc(all, func(t kmsg.OffsetFetchResponseGroupTopic) bool {
		return f.byID && t.TopicID == [16]byte{} || f.r.topic(mayDescribe, t.Topic) != nil
	})
}

func (f *offsetFetching) offset(group string, p place) kmsg.OffsetFetchResponseGroupTopicPartition {
	rp := noOffset(p.partition)
	if f.stable && f.b.groups.store.unstable(group, p) {
		rp.ErrorCode = kerr.UnstableOffsetCommit.Code
		return rp
	}
	if c, ok := f.b.groups.store.get(group, p); ok {
		rp.Offset, rp.LeaderEpoch, rp.Metadata = c.offset, c.leaderEpoch, kmsg.StringPtr(c.metadata)
	}
	return rp
}

func noOffset(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = partition, -1, -1, kmsg.StringPtr("")
	return rp
}
