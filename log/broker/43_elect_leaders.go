package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// electLeaders answers ElectLeaders: every partition is led by its only replica, so no election is needed.
func (b *Broker) electLeaders(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.ElectLeadersRequest)
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	if resp.ErrorCode = errorCode(r.cluster(mayAlter)); resp.ErrorCode != 0 {
		return now(resp), nil
	}
	for _, t := range req.Topics { // without topics it means all that need an election: none
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = t.Topic
		for _, n := range t.Partitions {
			rp := kmsg.NewElectLeadersResponseTopicPartition()
			rp.Partition = n
			if _, err := b.log.Partition(t.Topic, n); err != nil {
				rp.ErrorCode, rp.ErrorMessage = errorCode(err), errorText(err)
			} else {
				rp.ErrorCode, rp.ErrorMessage = kerr.ElectionNotNeeded.Code, kmsg.StringPtr("The only replica is the leader.")
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}
