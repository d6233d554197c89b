package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartitionAssignments answers AlterPartitionReassignments: the only replica can be told to stay where it is, and
// there is never a move to cancel.
func (b *Broker) alterPartitionAssignments(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.AlterPartitionAssignmentsRequest)
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	if err := r.cluster(mayAlter); err != nil {
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		return now(resp), nil
	}
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			err := b.checkAssignment(t.Topic, p.Partition, p.Replicas)
			rp.Partition, rp.ErrorCode, rp.ErrorMessage = p.Partition, errorCode(err), errorText(err)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}

// checkAssignment accepts the replicas a partition has. Null replicas cancel a move.
func (b *Broker) checkAssignment(topic string, partition int32, replicas []int32) error {
	if _, err := b.log.Partition(topic, partition); err != nil {
		return err
	}
	if replicas == nil {
		return kerr.NoReassignmentInProgress
	}
	if !onlyHere(replicas) {
		return errElsewhere
	}
	return nil
}
