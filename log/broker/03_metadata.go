package broker

import (
	"errors"
	"slices"

	"github.com/sluicehub/sluice/log"
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
	resp.AuthorizedOperations = r.operations(clusterResource, clusterName, req.IncludeClusterAuthorizedOperations)
	if req.Topics == nil || r.version == 0 && len(req.Topics) == 0 {
		for _, t := range b.log.Topics() {
			if r.topic(mayDescribe, t.Name()) == nil {
				resp.Topics = append(resp.Topics, describeTopic(t))
			}
		}
	}
	byID := slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != [16]byte{} })
	for _, want := range req.Topics {
		if byID { // Java's clients leave the names empty then, others null
			want.Topic = nil
		}
		resp.Topics = append(resp.Topics, b.topicMetadata(r, want, b.set.Load().autoCreate && (r.version < 4 || req.AllowAutoTopicCreation)))
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.ErrorCode == 0 {
			t.AuthorizedOperations = r.operations(topicResource, *t.Topic, req.IncludeTopicAuthorizedOperations)
		}
	}
	resp.ThrottleMillis = r.throttled
	return now(resp), nil
}

// topicMetadata describes one topic, which it creates if it may.
func (b *Broker) topicMetadata(r *request, want kmsg.MetadataRequestTopic, create bool) kmsg.MetadataResponseTopic {
	var t *log.Topic
	var err error
	switch {
	case want.Topic != nil:
		if err = r.topic(mayDescribe, *want.Topic); err == nil {
			t, err = b.topicOrNew(r, *want.Topic, create)
		}
	default:
		if t, err = b.topicByID(want.TopicID); err == nil {
			err = r.topic(mayDescribe, t.Name())
		}
	}
	if err == nil {
		return describeTopic(t)
	}
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.ErrorCode, rt.AuthorizedOperations = want.Topic, want.TopicID, errorCode(err), unknownOperations
	return rt
}

// topicOrNew finds a topic, and makes it if that is wanted and allowed.
func (b *Broker) topicOrNew(r *request, name string, create bool) (*log.Topic, error) {
	t, err := b.log.Topic(name)
	if !errors.Is(err, log.ErrUnknownTopic) || !create {
		return t, err
	}
	if err := r.create(name); err != nil {
		return nil, err
	}
	t, err = b.log.CreateTopic(name, log.TopicID{}, b.set.Load().partitions, nil)
	switch {
	case errors.Is(err, log.ErrTopicExists): // somebody was faster
		return b.log.Topic(name)
	case err == nil:
		err = r.mutates(len(t.Partitions()), never)
	}
	return t, err
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
