package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// dynamicExchanges change configs of the broker, of all brokers and of groups while it runs, and put them back.
func dynamicExchanges(prefix, topic string) []exchange {
	const broker, group, topics = kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeGroupConfig, kmsg.ConfigResourceTypeTopic
	const set, remove, add = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend
	doc := []string{"Documentation"}
	session, beat := "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"
	g := prefix + "-configured"
	return []exchange{
		{name: "set a config of the broker", version: 1, request: alterConfig(broker, "1", set, "log.cleaner.delete.retention.ms", "1234567")},
		{name: "the broker's config", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "the topic's config", version: 4, request: describeConfigs(topics, topic, "delete.retention.ms"), differs: doc},
		{name: "set it for all brokers", version: 1, request: alterConfig(broker, "", set, "log.cleaner.delete.retention.ms", "2345678")},
		{name: "all brokers' configs", version: 4, request: describeConfigs(broker, "", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "the broker's config and that of all", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "the topic's config and both", version: 4, request: describeConfigs(topics, topic, "delete.retention.ms"), differs: doc},
		{name: "delete a config of the broker", version: 1, request: alterConfig(broker, "1", remove, "log.cleaner.delete.retention.ms", "")},
		{name: "that of all brokers", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "delete that of all brokers", version: 1, request: alterConfig(broker, "", remove, "log.cleaner.delete.retention.ms", "")},
		{name: "the default", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "set the broker's connections", version: 1, request: alterConfig(broker, "1", set, "max.connections", "900")},
		{name: "delete the broker's connections", version: 1, request: alterConfig(broker, "1", remove, "max.connections", "")},
		{name: "set a bad value", version: 1, request: alterConfig(broker, "1", set, "log.cleaner.delete.retention.ms", "soon")},
		{name: "set what is read-only", version: 1, request: alterConfig(broker, "1", set, "num.partitions", "4")},
		{name: "set what is read-only for all", version: 1, request: alterConfig(broker, "", set, "offset.metadata.max.bytes", "4")},
		{name: "append to what is no list", version: 1, request: alterConfig(broker, "1", add, "log.cleaner.delete.retention.ms", "4")},
		{name: "set a config of another broker", version: 1, request: alterConfig(broker, "99", set, "log.cleaner.delete.retention.ms", "4")},
		{name: "replace the broker's configs", version: 2, request: replaceConfigs(broker, "1", "log.cleaner.delete.retention.ms", "3456789")},
		{name: "the replaced one", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},
		{name: "replace by nothing", version: 2, request: replaceConfigs(broker, "1")},
		{name: "nothing", version: 4, request: describeConfigs(broker, "1", "log.cleaner.delete.retention.ms"), differs: doc},

		{name: "a group's config", version: 4, request: describeConfigs(group, g, session), differs: doc},
		{name: "set a group's config", version: 1, request: alterConfig(group, g, set, session, "50000")},
		{name: "the group's config", version: 4, request: describeConfigs(group, g, session, beat), differs: doc},
		{name: "set it out of bounds", version: 1, request: alterConfig(group, g, set, session, "1")},
		{name: "set it to no number", version: 1, request: alterConfig(group, g, set, session, "soon")},
		{name: "set what groups do not have", version: 1, request: alterConfig(group, g, set, "no.such", "1")},
		{name: "set a config of no group", version: 1, request: alterConfig(group, "", set, session, "50000")},
		{name: "configs of no group", version: 4, request: describeConfigs(group, "", session), differs: doc},
		{name: "replace a group's configs", version: 2, request: replaceConfigs(group, g, beat, "6000")},
		{name: "the group's replaced configs", version: 4, request: describeConfigs(group, g, session, beat), differs: doc},
		{name: "delete a group's config", version: 1, request: alterConfig(group, g, remove, beat, "")},
		{name: "the group's configs again", version: 4, request: describeConfigs(group, g, session, beat), differs: doc},
	}
}
