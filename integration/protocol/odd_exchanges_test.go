package protocol

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oddExchanges are requests that say a thing twice, in part, or in two ways.
func oddExchanges(prefix string) []exchange {
	const topic, set = kmsg.ConfigResourceTypeTopic, kmsg.IncrementalAlterConfigOpSet
	a := prefix + "-odd"
	list := []exchange{
		{name: "create to be asked oddly", once: true, version: 7, request: always(createTopic(a, 1)), differs: ownDefaults},
		{name: "metadata of odd topics", version: 12, request: metadata(a), note: noteIDs, differs: []string{"LeaderEpoch"}},
		{name: "create twice", version: 7, request: twice(createTopic(prefix+"-odd-twice", 1)), differs: ownDefaults},
		{name: "list offset twice", version: 9, request: func(*node) kmsg.Request {
			req := listOffset(a, -1)(nil).(*kmsg.ListOffsetsRequest)
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
			return req
		}},
		{name: "alter a topic's config twice", version: 1, request: twice(alterConfig(topic, a, set, "retention.ms", "1000")(nil))},
		{name: "the odd topic's config", version: 4, request: describeConfigs(topic, a, "retention.ms"), differs: []string{"ConfigSynonyms"}},
		{name: "more partitions twice", once: true, version: 3, request: twice(createPartitions(a, 3)(nil))},
		{name: "more partitions, one of them assigned", once: true, version: 3, request: growTo(a, 3, []int32{1})},
		{name: "more partitions, assigned to none", once: true, version: 3, request: growTo(a, 2, []int32{99})},
		{name: "metadata of the odd topic", version: 12, request: metadata(a), differs: []string{"LeaderEpoch"}},
	}
	for name, in := range map[string][2]int64{"a producer without its epoch": {5, -1}, "an epoch without its producer": {-1, 5}} {
		list = append(list,
			exchange{name: name, version: 4, request: initProducer(nil, in[0], int16(in[1]))},
			exchange{name: name + ", transactional", version: 4, request: initProducer(&a, in[0], int16(in[1]))})
	}
	list = append(list, exchange{name: "a producer without transactions and its epoch", version: 4, request: initProducer(nil, 1<<40, 3), differs: []string{"ProducerID"}})
	deletes := func(name string, topics func(n *node) []kmsg.DeleteTopicsRequestTopic) {
		list = append(list, exchange{name: name, once: true, version: 6, request: func(n *node) kmsg.Request {
			return &kmsg.DeleteTopicsRequest{TimeoutMillis: 10_000, Topics: topics(n)}
		}})
	}
	byName := kmsg.DeleteTopicsRequestTopic{Topic: &a}
	byID := func(n *node) kmsg.DeleteTopicsRequestTopic { return kmsg.DeleteTopicsRequestTopic{TopicID: n.ids[a]} }
	deletes("delete nothing", func(*node) []kmsg.DeleteTopicsRequestTopic { return []kmsg.DeleteTopicsRequestTopic{{}} })
	deletes("delete twice", func(*node) []kmsg.DeleteTopicsRequestTopic { return []kmsg.DeleteTopicsRequestTopic{byName, byName} })
	deletes("delete by name and id", func(n *node) []kmsg.DeleteTopicsRequestTopic {
		return []kmsg.DeleteTopicsRequestTopic{{Topic: &a, TopicID: n.ids[a]}}
	})
	deletes("delete twice by id", func(n *node) []kmsg.DeleteTopicsRequestTopic {
		return slices.Repeat([]kmsg.DeleteTopicsRequestTopic{byID(n)}, 2)
	})
	deletes("delete by name, and by id", func(n *node) []kmsg.DeleteTopicsRequestTopic {
		return []kmsg.DeleteTopicsRequestTopic{byName, byID(n)}
	})
	return append(list, exchange{name: "metadata of what was not deleted", version: 12, request: metadata(a), differs: []string{"LeaderEpoch"}})
}

// twice repeats what a request is about.
func twice(r kmsg.Request) func(*node) kmsg.Request {
	switch req := r.(type) {
	case *kmsg.CreateTopicsRequest:
		req.Topics = slices.Repeat(req.Topics, 2)
	case *kmsg.CreatePartitionsRequest:
		req.Topics = slices.Repeat(req.Topics, 2)
	case *kmsg.IncrementalAlterConfigsRequest:
		req.Resources = slices.Repeat(req.Resources, 2)
	}
	return always(r)
}

func initProducer(transactional *string, id int64, epoch int16) func(*node) kmsg.Request {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = transactional, 60_000, id, epoch
	return always(req)
}
