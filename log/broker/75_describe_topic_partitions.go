package broker

import (
	"slices"
	"strings"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxPartitionsDescribed bounds one answer (max.request.partition.size.limit).
const maxPartitionsDescribed = 2000

// describeTopicPartitions answers DescribeTopicPartitions: topics by name, so many partitions at a time, and where the
// next request goes on.
func (b *Broker) describeTopicPartitions(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeTopicPartitionsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	left := maxPartitionsDescribed
	if req.ResponsePartitionLimit > 0 {
		left = min(left, int(req.ResponsePartitionLimit))
	}
	first := int32(0)
	for _, name := range b.topicsToDescribe(req) {
		first = 0
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = max(0, req.Cursor.Partition)
		}
		if left == 0 {
			resp.NextCursor = cursorAt(name, first)
			break
		}
		var t *log.Topic
		err := r.topic(mayDescribe, name)
		if err == nil {
			if err = log.CheckTopicName(name); err == nil {
				t, err = b.log.Topic(name)
			}
		} else if len(req.Topics) == 0 {
			continue
		}
		if err != nil {
			rt := kmsg.NewDescribeTopicPartitionsResponseTopic()
			rt.Topic, rt.ErrorCode, rt.AuthorizedOperations = kmsg.StringPtr(name), errorCode(err), unknownOperations
			resp.Topics = append(resp.Topics, rt)
			continue
		}
		rt, next := describePartitions(t, first, left)
		rt.AuthorizedOperations = r.operations(topicResource, name, true)
		resp.Topics = append(resp.Topics, rt)
		left -= len(rt.Partitions)
		if next > 0 {
			resp.NextCursor = cursorAt(name, next)
			break
		}
	}
	return now(resp), nil
}

// topicsToDescribe are the names asked for, or all, in order and from the cursor on.
func (b *Broker) topicsToDescribe(req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(req.Topics) == 0 {
		for _, t := range b.log.Topics() {
			names = append(names, t.Name())
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor == nil {
		return names
	}
	at, _ := slices.BinarySearchFunc(names, req.Cursor.Topic, strings.Compare)
	return names[at:]
}

// describePartitions describes at most limit partitions of a topic. next is the first that is left, 0 for none.
func describePartitions(t *log.Topic, first int32, limit int) (rt kmsg.DescribeTopicPartitionsResponseTopic, next int32) {
	rt = kmsg.NewDescribeTopicPartitionsResponseTopic()
	rt.Topic, rt.TopicID, rt.AuthorizedOperations, rt.IsInternal = kmsg.StringPtr(t.Name()), t.ID(), unknownOperations, isInternal(t.Name())
	parts := t.Partitions()
	if int(first) >= len(parts) {
		rt.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return rt, 0
	}
	for _, p := range parts[first:] {
		if len(rt.Partitions) == limit {
			return rt, p.Number()
		}
		rp := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		rp.Partition, rp.LeaderID, rp.LeaderEpoch = p.Number(), nodeID, p.LeaderEpoch()
		rp.Replicas, rp.ISR, rp.OfflineReplicas = []int32{nodeID}, []int32{nodeID}, []int32{}
		rp.EligibleLeaderReplicas, rp.LastKnownELR = []int32{}, []int32{}
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt, 0
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	c.Topic, c.Partition = topic, partition
	return &c
}
