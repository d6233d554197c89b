package consumergroup

import (
	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The types of members, as DescribeConsumerGroup numbers them.
const (
	memberIsClassic  = 0
	memberIsConsumer = 1
)

// Describe fills in what DescribeConsumerGroup answers. name gives the topics' names; those of which it knows none are
// left out.
func (g *Group) Describe(rg *kmsg.ConsumerGroupDescribeResponseGroup, cfg Config, name func(log.TopicID) (string, bool)) {
	rg.State, rg.Epoch, rg.AssignmentEpoch, rg.AssignorName = g.State(), g.epoch, g.assigned, g.Assignor(cfg)
	for _, id := range g.memberIDs() {
		m, h := g.members[id], g.holds(id)
		rm := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.RackID, rm.MemberEpoch = id, orNull(m.instance), orNull(m.rack), h.epoch
		rm.ClientID, rm.ClientHost, rm.MemberType = m.clientID, m.clientHost, memberIsConsumer
		if m.classic != nil {
			rm.MemberType = memberIsClassic
		}
		rm.SubscribedTopics, rm.SubscribedTopicRegex = append([]string{}, m.topics...), &m.regex
		rm.Assignment = describe(sorted(h.assigned), name)
		rm.TargetAssignment = describe(g.targets[id], name)
		rg.Members = append(rg.Members, rm)
	}
}

func describe(parts []Partition, name func(log.TopicID) (string, bool)) kmsg.Assignment {
	a := kmsg.NewAssignment()
	ids, numbers := byTopic(parts)
	for i, id := range ids {
		if topic, ok := name(id); ok {
			t := kmsg.NewAssignmentTopicPartition()
			t.TopicID, t.Topic, t.Partitions = id, topic, numbers[i]
			a.TopicPartitions = append(a.TopicPartitions, t)
		}
	}
	return a
}
