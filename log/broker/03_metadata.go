package broker

import (
	"errors"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadata answers Metadata: this broker, and the topics asked for.
func (b *Broker) metadata(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.MetadataRequest)
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = nodeID, r.c.adv.Host, r.c.adv.Port
	resp.Brokers = append(resp.Brokers, broker)
	resp.ClusterID, resp.ControllerID = kmsg.StringPtr(b.log.ClusterID()), nodeID
	resp.AuthorizedOperations = operations(clusterOperations, req.IncludeClusterAuthorizedOperations)
	if req.Topics == nil || r.version == 0 && len(req.Topics) == 0 {
		for _, t := range b.log.Topics() {
			resp.Topics = append(resp.Topics, describeTopic(t))
		}
	}
	for _, want := range req.Topics {
		resp.Topics = append(resp.Topics, b.topicMetadata(want, b.set.autoCreate && (r.version < 4 || req.AllowAutoTopicCreation)))
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.ErrorCode == 0 {
			t.AuthorizedOperations = operations(topicOperations, req.IncludeTopicAuthorizedOperations)
		}
	}
	return now(resp), nil
}

// topicMetadata describes one topic, which it creates if it may.
func (b *Broker) topicMetadata(want kmsg.MetadataRequestTopic, create bool) kmsg.MetadataResponseTopic {
	var t *log.Topic
	var err error
	if want.Topic == nil {
		t, err = b.log.TopicByID(log.TopicID(want.TopicID))
	} else if t, err = b.log.Topic(*want.Topic); errors.Is(err, log.ErrUnknownTopic) && create {
		t, err = b.log.CreateTopic(*want.Topic, log.TopicID{}, b.set.partitions, nil)
		if errors.Is(err, log.ErrTopicExists) { // somebody was faster
			t, err = b.log.Topic(*want.Topic)
		}
	}
	if err == nil {
		return describeTopic(t)
	}
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.ErrorCode, rt.AuthorizedOperations = want.Topic, want.TopicID, errorCode(err), unknownOperations
	if want.Topic == nil {
		rt.ErrorCode = kerr.UnknownTopicID.Code
	}
	return rt
}

// isInternal tells whether a topic is the broker's own.
func isInternal(topic string) bool { return topic == offsetsTopic || topic == transactionsTopic }

func describeTopic(t *log.Topic) kmsg.MetadataResponseTopic {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.AuthorizedOperations = kmsg.StringPtr(t.Name()), t.ID(), unknownOperations
	rt.IsInternal = isInternal(t.Name())
	for _, p := range t.Partitions() {
		rp := kmsg.NewMetadataResponseTopicPartition()
		rp.Partition, rp.Leader, rp.LeaderEpoch = p.Number(), nodeID, p.LeaderEpoch()
		rp.Replicas, rp.ISR, rp.OfflineReplicas = []int32{nodeID}, []int32{nodeID}, []int32{}
		rt.Partitions = append(rt.Partitions, rp)
	}
	return rt
}
