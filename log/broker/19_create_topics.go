package broker

import (
	"fmt"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxPartitionsAtOnce bounds what one topic may be made or grown by, as Kafka's controller does.
const maxPartitionsAtOnce = 10_000

// createTopics answers CreateTopics when the topics are durable. There is one replica: a higher replication factor,
// which many clients ask for by default, is granted as 1 and said in the log.
func (b *Broker) createTopics(r *request, kreq kmsg.Request) (reply, error) {
	req := kreq.(*kmsg.CreateTopicsRequest)
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	twice := repeated(req.Topics, func(t *kmsg.CreateTopicsRequestTopic) string { return t.Topic })
	for i := range req.Topics {
		t := &req.Topics[i]
		if twice.has(t.Topic) && !twice.first(t.Topic) {
			continue
		}
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Topic, -1, -1
		if twice.has(t.Topic) {
			rt.ErrorCode, rt.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr("Duplicate topic name.")
		} else if err := b.createTopic(r, t, req.ValidateOnly, &rt); err != nil {
			rt.ErrorCode, rt.ErrorMessage = errorCode(err), errorText(err)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	resp.ThrottleMillis = r.throttled
	return now(resp), nil
}

func (b *Broker) createTopic(r *request, t *kmsg.CreateTopicsRequestTopic, validateOnly bool, rt *kmsg.CreateTopicsResponseTopic) error {
	if err := r.create(t.Topic); err != nil {
		return err
	}
	partitions, err := b.partitionsOf(t)
	if err != nil {
		return err
	}
	configs := make(map[string]string)
	for _, c := range t.Configs {
		if c.Value == nil {
			return fmt.Errorf("%w: config %s has a null value", kerr.InvalidConfig, c.Name)
		}
		configs[c.Name] = *c.Value
	}
	if err := b.log.CheckTopic(t.Topic, partitions, configs); err != nil {
		return err
	}
	if err := r.mutates(int(partitions), 6); err != nil || validateOnly { // a check counts too, as in Kafka
		return err
	}
	topic, err := b.log.CreateTopic(t.Topic, log.TopicID{}, partitions, configs)
	if err != nil {
		return err
	}
	if t.ReplicationFactor > 1 {
		b.sayOneReplica(t.Topic)
	}
	rt.TopicID, rt.NumPartitions, rt.ReplicationFactor = topic.ID(), partitions, 1
	if r.topic(mayDescribeConfigs, t.Topic) != nil {
		rt.ConfigErrorCode = kerr.TopicAuthorizationFailed.Code
		return nil
	}
	for _, e := range topic.ConfigEntries() {
		rc := kmsg.NewCreateTopicsResponseTopicConfig()
		rc.Name, rc.Value, rc.Source = e.Def.Name, kmsg.StringPtr(e.Value), int8(e.Source)
		rt.Configs = append(rt.Configs, rc)
	}
	return nil
}

// partitionsOf is the number of partitions asked for, by number or by listing their replicas.
func (b *Broker) partitionsOf(t *kmsg.CreateTopicsRequestTopic) (int32, error) {
	switch {
	case len(t.ReplicaAssignment) > 0 && (t.NumPartitions != -1 || t.ReplicationFactor != -1):
		return 0, fmt.Errorf("%w: both a replica assignment and numbers were given", kerr.InvalidRequest)
	case len(t.ReplicaAssignment) > 0:
		return b.assignedPartitions(t.Topic, t.ReplicaAssignment)
	case t.ReplicationFactor < -1 || t.ReplicationFactor == 0:
		return 0, fmt.Errorf("%w: replication factor must be larger than 0, or -1", kerr.InvalidReplicationFactor)
	case t.ReplicationFactor > 1 && b.opts.OneReplicaOnly:
		return 0, fmt.Errorf("%w: %d replicas were asked for, and there is one broker; ask for 1 or -1, or set sluice.kafka.replication.factor.lenient=true",
			kerr.InvalidReplicationFactor, t.ReplicationFactor)
	case t.NumPartitions == -1:
		return b.set.Load().partitions, nil
	case t.NumPartitions > maxPartitionsAtOnce:
		return 0, fmt.Errorf("%w: at most %d partitions can be made at once", kerr.PolicyViolation, maxPartitionsAtOnce)
	}
	return t.NumPartitions, nil
}

// assignedPartitions is how many partitions a list of their replicas makes: each once, from 0 on.
func (b *Broker) assignedPartitions(topic string, list []kmsg.CreateTopicsRequestTopicReplicaAssignment) (int32, error) {
	seen := make([]bool, len(list))
	for _, a := range list {
		if err := b.checkReplicas(topic, a.Replicas); err != nil {
			return 0, err
		}
		if a.Partition < 0 || int(a.Partition) >= len(list) || seen[a.Partition] {
			return 0, fmt.Errorf("%w: %d partitions are numbered from 0 to %d, each once", kerr.InvalidReplicaAssignment, len(list), len(list)-1)
		}
		seen[a.Partition] = true
	}
	return int32(len(list)), nil
}

// checkReplicas refuses replicas of a partition other than the one that there can be, if topics are to ask for no others.
func (b *Broker) checkReplicas(topic string, replicas []int32) error {
	switch {
	case onlyHere(replicas):
	case len(replicas) == 0 || b.opts.OneReplicaOnly:
		return errElsewhere
	default:
		b.sayOneReplica(topic)
	}
	return nil
}

var errElsewhere = fmt.Errorf("%w: the only broker is %d", kerr.InvalidReplicaAssignment, nodeID)

func onlyHere(replicas []int32) bool { return len(replicas) == 1 && replicas[0] == nodeID }

// sayOneReplica says once that topics get less than was asked for.
func (b *Broker) sayOneReplica(topic string) {
	if b.saidOneReplica.CompareAndSwap(false, true) {
		b.logger.Warn("topics have one replica, on this broker: this log is one machine; sluice.kafka.replication.factor.lenient=false refuses topics that ask for more, or for others",
			"topic", topic)
	}
}
