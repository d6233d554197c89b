package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is where a Kafka cluster keeps its metadata.
const metadataTopic = "__cluster_metadata"

// describeQuorum answers DescribeQuorum, by which tools show who keeps the metadata: a quorum of this broker alone. The
// metadata is a file here and no log, so its offsets are 0.
func (b *Broker) describeQuorum(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeQuorumRequest)
	resp := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	if err := r.cluster(mayDescribe); err != nil {
		resp.ErrorCode, resp.ErrorMessage = errorCode(err), errorText(err)
		return now(resp), nil
	}
	known := false
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeQuorumResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDescribeQuorumResponseTopicPartition()
			rp.Partition = p.Partition
			if t.Topic == metadataTopic && p.Partition == 0 {
				known = true
				rp.LeaderID, rp.LeaderEpoch, rp.CurrentVoters = nodeID, b.log.LeaderEpoch(), quorumOfOne()
			} else {
				rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if known {
		node := kmsg.NewDescribeQuorumResponseNode()
		node.NodeID = nodeID
		resp.Nodes = append(resp.Nodes, node)
	}
	return now(resp), nil
}

func quorumOfOne() []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	voter.ReplicaID, voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = nodeID, -1, -1
	return []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{voter}
}
