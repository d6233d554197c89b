package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeProducers answers DescribeProducers: which producers a partition knows, and since which offset their
// transactions are open.
func (b *Broker) describeProducers(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.DescribeProducersRequest)
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewDescribeProducersResponseTopic()
		rt.Topic = t.Topic
		for _, n := range t.Partitions {
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = n
			part, err := r.partition(mayRead, false, [16]byte{}, t.Topic, n)
			if err != nil {
				rp.ErrorCode, rp.ErrorMessage = errorCode(err), errorText(err)
				rt.Partitions = append(rt.Partitions, rp)
				continue
			}
			for _, p := range part.Producers() {
				ra := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
				ra.ProducerID, ra.ProducerEpoch, ra.LastSequence, ra.LastTimestamp = p.ProducerID, int32(p.Epoch), p.LastSequence, p.LastTimestamp
				ra.CoordinatorEpoch, ra.CurrentTxnStartOffset = p.CoordinatorEpoch, p.TxnFirst
				rp.ActiveProducers = append(rp.ActiveProducers, ra)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return now(resp), nil
}
