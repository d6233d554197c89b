package protocol

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// exchanges is what both brokers are asked, in this order. Topic names begin with the prefix.
func exchanges(prefix string) []exchange {
	a, gone, group := prefix+".a", prefix+".gone", prefix+"-group"
	return slices.Concat(
		topicExchanges(prefix, a, gone),
		dataExchanges(a, gone),
		offsetExchanges(a, group),
		configExchanges(a),
		clusterExchanges(a),
		quotaExchanges(prefix),
		validationExchanges(prefix),
		groupExchanges(prefix),
		consumerExchanges(prefix, a),
		migrationExchanges(prefix, a),
		dynamicExchanges(prefix, a),
		refusedExchanges(prefix),
		oddExchanges(prefix),
		deleteExchanges(a),
	)
}

// always is a request that does not depend on the broker.
func always(r kmsg.Request) func(*node) kmsg.Request { return func(*node) kmsg.Request { return r } }

func createTopic(name string, partitions int32, configs ...string) kmsg.Request {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	return req
}

func metadata(names ...string) func(*node) kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return always(req)
}

// noteIDs remembers the ids of topics.
func noteIDs(n *node, resp kmsg.Response) {
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		n.ids[*t.Topic] = t.TopicID
	}
}

// ownDefaults are fields of configs in which the log has its own defaults.
var ownDefaults = []string{"Configs"}

func topicExchanges(prefix, a, gone string) []exchange {
	list := []exchange{
		{name: "create", once: true, version: 7, request: always(createTopic(a, 2, "retention.ms", "1000000")), differs: ownDefaults},
		{name: "create again", version: 7, request: always(createTopic(a, 2)), differs: ownDefaults},
		{name: "create to be deleted", once: true, version: 7, request: always(createTopic(gone, 1)), differs: ownDefaults},
		{name: "metadata", version: 12, request: metadata(a, gone, prefix+".none"), note: noteIDs, differs: []string{"LeaderEpoch"}},
		{name: "metadata v13", version: 13, request: metadata(a), differs: []string{"LeaderEpoch"}},
		{name: "metadata by unknown id", version: 12, request: func(*node) kmsg.Request {
			req := kmsg.NewPtrMetadataRequest()
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = [16]byte{1}
			req.Topics = append(req.Topics, t)
			return req
		}},
		{name: "collision of dot and underscore", version: 7, request: always(createTopic(prefix+"_a", 1))},
		{name: "unknown config", version: 7, request: always(createTopic(prefix+".bad", 1, "no.such", "1"))},
		{name: "bad config", version: 7, request: always(createTopic(prefix+".bad", 1, "retention.ms", "soon"))},
		{name: "no partitions", version: 7, request: always(createTopic(prefix+".bad", 0))},
		{name: "more partitions", once: true, version: 3, request: createPartitions(a, 3)},
		{name: "fewer partitions", version: 3, request: createPartitions(a, 1)},
		{name: "partitions of no topic", version: 3, request: createPartitions(prefix+".none", 3)},
		{name: "delete", once: true, version: 6, request: deleteTopics(gone)},
		{name: "delete again by id", version: 6, request: deleteTopics(gone)},
	}
	for i, name := range []string{"", ".", "..", "a/b", "ä", "with space", string(make([]byte, 250))} {
		list = append(list, exchange{name: fmt.Sprintf("illegal name %d", i), version: 7, request: always(createTopic(name, 1))})
	}
	return list
}

func createPartitions(name string, count int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, count
	req.Topics = append(req.Topics, t)
	return always(req)
}

// deleteTopics deletes by id.
func deleteTopics(names ...string) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrDeleteTopicsRequest()
		for _, name := range names {
			t := kmsg.NewDeleteTopicsRequestTopic()
			t.TopicID = n.ids[name]
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

func produce(topic string, partition int32, acks int16, records []byte) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = acks, 10_000
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = topic, n.ids[topic]
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = partition, slices.Clone(records)
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

// records are n records from a fixed time on, one a second.
func records(n int) []byte {
	var b segment.Builder
	for i := range n {
		b.Add(1_700_000_000_000+int64(i)*1000, fmt.Appendf(nil, "k%d", i), []byte("value"))
	}
	return b.Batch()
}

func fetch(topic string, partition int32, offset int64, session string, epoch int32) func(*node) kmsg.Request {
	return func(n *node) kmsg.Request {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
		req.SessionID, req.SessionEpoch = int32(n.bag[session]), epoch
		if topic == "" {
			return req
		}
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = topic, n.ids[topic]
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func noteSession(n *node, resp kmsg.Response) {
	n.bag["session"] = int64(resp.(*kmsg.FetchResponse).SessionID)
}

func listOffset(topic string, at int64) func(*node) kmsg.Request {
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = 0, at, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.ReplicaID = -1
	return always(req)
}

func dataExchanges(a, gone string) []exchange {
	const fetched = "RecordBatches" // the leader epoch is in them
	list := []exchange{
		{name: "produce v12", once: true, version: 12, request: produce(a, 0, -1, records(3))},
		{name: "produce v13", once: true, version: 13, request: produce(a, 0, -1, records(2))},
		{name: "produce to a deleted topic's id", version: 13, request: produce(gone, 0, -1, records(2))},
		{name: "produce to a deleted topic's name", version: 12, request: produce(gone, 0, -1, records(2))},
		{name: "produce to no partition", version: 13, request: produce(a, 9, -1, records(2))},
		{name: "produce garbage", version: 12, request: produce(a, 0, -1, []byte("no batch at all, but long enough for a header of one, one would think, is it not"))},
		{name: "produce with a bad acks", version: 12, request: produce(a, 0, 2, records(1))},
		{name: "fetch by id", version: 18, request: fetch(a, 0, 0, "", -1), differs: []string{fetched}},
		{name: "fetch by name", version: 12, request: fetch(a, 0, 3, "", -1), differs: []string{fetched}},
		{name: "fetch out of range", version: 18, request: fetch(a, 0, 99, "", -1)},
		{name: "fetch of a deleted topic's id", version: 18, request: fetch(gone, 0, 0, "", -1)},
		{name: "fetch of a deleted topic's name", version: 12, request: fetch(gone, 0, 0, "", -1)},
		{name: "fetch opens a session", once: true, version: 17, request: fetch(a, 0, 5, "", 0), note: noteSession, differs: []string{"SessionID"}},
		{name: "fetch of a session without news", once: true, version: 17, request: fetch("", 0, 0, "session", 1), differs: []string{"SessionID"}},
		{name: "produce for the session", once: true, version: 13, request: produce(a, 0, -1, records(1))},
		{name: "fetch of a session with news", once: true, version: 17, request: fetch("", 0, 0, "session", 2), differs: []string{"SessionID", fetched}},
		{name: "fetch of a session with another partition", once: true, version: 17, request: fetch(a, 1, 0, "session", 3), differs: []string{"SessionID", fetched}},
		{name: "fetch with a wrong session epoch", version: 17, request: fetch("", 0, 0, "session", 9)},
		{name: "fetch of a session by name", version: 12, request: fetch("", 0, 0, "session", 4)},
		{name: "fetch of no session", version: 17, request: func(n *node) kmsg.Request {
			n.bag["none"] = 12345
			return fetch("", 0, 0, "none", 1)(n)
		}},
	}
	for _, at := range []int64{-1, -2, -3, -4, -5, -6, -7, 1_700_000_001_000, 1_900_000_000_000} {
		list = append(list, exchange{name: fmt.Sprintf("list offset at %d", at), version: 11, request: listOffset(a, at), differs: []string{"LeaderEpoch"}})
	}
	return append(list,
		exchange{name: "end of an epoch", version: 4, request: epochEnd(a, 0, 0, -1), differs: []string{"LeaderEpoch", "EndOffset"}},
		exchange{name: "end of an epoch to come", version: 4, request: epochEnd(a, 0, 99, -1)},
		exchange{name: "end of an epoch for one who is ahead", version: 4, request: epochEnd(a, 0, 0, 99)},
		exchange{name: "end of an epoch of no partition", version: 4, request: epochEnd(a, 9, 0, -1)},
		exchange{name: "list offset at -6 before its version", version: 9, request: listOffset(a, -6), differs: []string{"LeaderEpoch"}},
		exchange{name: "list offset of no topic", version: 10, request: listOffset(gone, -1)},
		exchange{name: "delete records", once: true, version: 2, request: deleteRecords(a, 2)},
		exchange{name: "delete records beyond the end", version: 2, request: deleteRecords(a, 99)},
		exchange{name: "delete all records", once: true, version: 2, request: deleteRecords(a, -1)},
		exchange{name: "delete records again", version: 2, request: deleteRecords(a, 1)},
	)
}

func epochEnd(topic string, partition, epoch, current int32) func(*node) kmsg.Request {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	t := kmsg.NewOffsetForLeaderEpochRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	p.Partition, p.LeaderEpoch, p.CurrentLeaderEpoch = partition, epoch, current
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return always(req)
}

func deleteRecords(topic string, offset int64) func(*node) kmsg.Request {
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = offset
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return always(req)
}
