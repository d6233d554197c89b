package hub

import (
	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/transforms"
)

// Names of the groups under which Connect shows the keys common to all connectors.
const (
	commonGroup    = "Common"
	transformGroup = "Transforms"
	predicateGroup = "Predicates"
	errorGroup     = "Error Handling"
	creationGroup  = "Topic Creation"
	onceGroup      = "Exactly Once Support"
	offsetsGroup   = "offsets.topic"
)

// ConnectorDefinition returns the keys that every connector of a kind understands, as Connect's ConnectorConfig,
// SourceConnectorConfig and SinkConnectorConfig declare them.
func ConnectorDefinition(kind connectors.Kind) *configs.Definition {
	if kind == connectors.Sink {
		return configs.Concat(commonDefinition(), sinkDefinition())
	}
	return configs.Concat(commonDefinition(), sourceDefinition())
}

func commonDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "name", Type: configs.String, Required: true, Importance: configs.High, Group: commonGroup, Width: configs.WidthMedium,
			DisplayName: "Connector name", Doc: "Globally unique name to use for this connector."},
		{Name: "connector.class", Type: configs.String, Required: true, Importance: configs.High, Group: commonGroup, Width: configs.WidthLong,
			DisplayName: "Connector class", Doc: "Name of the connector: its short name, or the Java class that it replaces."},
		{Name: "connector.plugin.version", Type: configs.String, Importance: configs.Medium, Group: commonGroup, Width: configs.WidthMedium,
			DisplayName: "Connector version", Doc: "Version of the connector; the newest without it."},
		{Name: "tasks.max", Type: configs.Int, Default: "1", Min: "1", Importance: configs.High, Group: commonGroup, Width: configs.WidthShort,
			DisplayName: "Tasks max", Doc: "Maximum number of tasks to use for this connector."},
		{Name: "tasks.max.enforce", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: commonGroup, Width: configs.WidthShort,
			DisplayName: "Enforce tasks max", Doc: "Whether a connector that asks for more tasks than tasks.max fails."},
		converterKey("key.converter", "Key converter class", "keys"),
		converterKey("value.converter", "Value converter class", "values"),
		converterKey("header.converter", "Header converter class", "header values"),
		converterVersion("key.converter"), converterVersion("value.converter"), converterVersion("header.converter"),
		{Name: "transforms", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: transformGroup, Width: configs.WidthLong,
			DisplayName: "Transforms", Doc: "Aliases for the transformations to be applied to records."},
		{Name: "predicates", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: predicateGroup, Width: configs.WidthLong,
			DisplayName: "Predicates", Doc: "Aliases for the predicates used by transformations."},
		{Name: "config.action.reload", Type: configs.String, Default: "restart", Enum: []string{"none", "restart"}, Importance: configs.Low,
			Group: commonGroup, Width: configs.WidthMedium, DisplayName: "Reload Action",
			Doc:    "What to do when a config provider's values change.",
			Notice: "config.action.reload has no effect: config providers do not tell when their values change; restart the connector with its tasks to read them anew."},
		{Name: "errors.retry.timeout", Type: configs.Long, Default: "0", Unit: "ms", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthMedium,
			DisplayName: "Retry Timeout for Errors", Doc: "How long a failed conversion or transform is tried again, in milliseconds; 0 not at all, -1 for ever."},
		{Name: "errors.retry.delay.max.ms", Type: configs.Long, Default: "60000", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthMedium,
			DisplayName: "Maximum Delay Between Retries for Errors", Doc: "The longest wait between two tries."},
		{Name: "errors.tolerance", Type: configs.String, Default: "none", Enum: []string{"none", "all"}, Importance: configs.Medium, Group: errorGroup,
			Width: configs.WidthShort, DisplayName: "Error Tolerance",
			Doc: "none: a record that cannot be handled fails the task. all: it is set aside, and the task goes on."},
		{Name: "errors.log.enable", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthShort,
			DisplayName: "Log Errors", Doc: "Whether each record that cannot be handled is logged."},
		{Name: "errors.log.include.messages", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthShort,
			DisplayName: "Log Error Details", Doc: "Whether the log line shows the record's topic, partition, offset and timestamp."},
	}}
}

func converterKey(name, display, what string) configs.Key {
	return configs.Key{Name: name, Type: configs.Class, Importance: configs.Low, Group: commonGroup, Width: configs.WidthShort,
		DisplayName: display, Doc: "Converter of " + what + "; the worker's without it, and then with the worker's settings only."}
}

func converterVersion(name string) configs.Key {
	return configs.Key{Name: name + ".plugin.version", Type: configs.String, Importance: configs.Low, Group: commonGroup,
		Width: configs.WidthShort, DisplayName: name + " version", Doc: "Version of the converter. Converters are part of the hub and have its version.",
		Notice: converterVersionUnused(name)}
}

func converterVersionUnused(name string) string {
	return name + ".plugin.version has no effect: converters are part of the hub and have its version."
}

func sourceDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "topic.creation.groups", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: creationGroup, Width: configs.WidthLong,
			DisplayName: "Topic Creation Groups", Doc: "Groups of configurations for topics created by source connectors."},
		{Name: "topic.creation.<group>.partitions", Type: configs.Int, Group: creationGroup, Width: configs.WidthShort, Check: partitionsOrDefault,
			Doc: "Partitions of the topics of the group; -1 leaves it to the broker."},
		{Name: "topic.creation.<group>.replication.factor", Type: configs.Short, Group: creationGroup, Width: configs.WidthShort, Check: partitionsOrDefault,
			Doc: "Replicas of the topics of the group; -1 leaves it to the broker."},
		{Name: "topic.creation.<group>.include", Type: configs.List, Group: creationGroup, Doc: "Regular expressions of the topics of the group."},
		{Name: "topic.creation.<group>.exclude", Type: configs.List, Group: creationGroup, Doc: "Regular expressions of topics that are not of the group."},
		{Name: "topic.creation.*", Type: configs.String, Group: creationGroup, Doc: "Any setting of a topic."},
		{Name: onceSupportKey, Type: configs.String, Default: "requested", Enum: []string{"requested", "required"}, Importance: configs.Medium,
			Group: onceGroup, Width: configs.WidthShort, DisplayName: "Exactly once support", Doc: "required: the connector is refused by a worker without exactly.once.source.support=enabled."},
		{Name: boundaryKey, Type: configs.String, Default: boundaryPoll, Enum: []string{boundaryPoll, boundaryConnector, boundaryInterval}, Importance: configs.Medium,
			Group: onceGroup, Width: configs.WidthShort, DisplayName: "Transaction Boundary",
			Doc: "With exactly.once.source.support=enabled of the worker: poll ends a transaction with a batch of the source, or several that come one after another; interval after transaction.boundary.interval.ms. No connector here defines boundaries of its own."},
		{Name: boundaryIntervalKey, Type: configs.Long, Min: "0", Importance: configs.Low, Group: onceGroup, Width: configs.WidthShort,
			DisplayName: "Transaction boundary interval", Doc: "With transaction.boundary=interval: how long a transaction is, in milliseconds; without it, offset.flush.interval.ms of the worker."},
		{Name: offsetsTopicKey, Type: configs.String, Importance: configs.Low, Group: offsetsGroup, Width: configs.WidthLong,
			DisplayName: "Offsets topic", Check: notEmpty,
			Doc: "A topic of its own for the connector's source offsets, made if it is missing. Those of the worker's topic hold where it has none; both are written."},
		{Name: "errors.deadletterqueue.*", Type: configs.String, Group: errorGroup,
			Doc: "The dead-letter topic, as of a sink: errors.deadletterqueue.topic.name and so on. Kafka Connect has none for sources."},
		{Name: "producer.override.*", Type: configs.String, Group: "Overrides", Doc: "Settings of the connector's producer, and of that of its dead-letter topic."},
		{Name: "admin.override.*", Type: configs.String, Group: "Overrides", Doc: "Settings of the client that creates the connector's topics, the dead-letter topic included."},
	}}
}

func sinkDefinition() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "topics", Type: configs.List, DefaultEmpty: true, Importance: configs.High, Group: commonGroup, Width: configs.WidthLong,
			DisplayName: "Topics", Doc: "List of topics to consume, separated by commas."},
		{Name: "topics.regex", Type: configs.String, DefaultEmpty: true, Importance: configs.High, Group: commonGroup, Width: configs.WidthLong,
			DisplayName: "Topics regex", Doc: "Regular expression of the topics to consume.", Check: transforms.CheckRegexp},
		{Name: "errors.deadletterqueue.topic.name", Type: configs.String, DefaultEmpty: true, Importance: configs.Medium, Group: errorGroup, Width: configs.WidthMedium,
			DisplayName: "Dead Letter Queue Topic Name", Doc: "Topic that takes the records that cannot be handled; none if it is empty."},
		{Name: "errors.deadletterqueue.topic.replication.factor", Type: configs.Short, Default: "3", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthMedium,
			DisplayName: "Dead Letter Queue Topic Replication Factor", Doc: "Replicas of that topic if it is created."},
		{Name: "errors.deadletterqueue.context.headers.enable", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: errorGroup, Width: configs.WidthMedium,
			DisplayName: "Enable Error Context Headers", Doc: "Whether records of that topic carry what went wrong in headers named __connect.errors.…."},
		{Name: "consumer.override.*", Type: configs.String, Group: "Overrides", Doc: "Settings of the connector's consumer."},
		{Name: "producer.override.*", Type: configs.String, Group: "Overrides", Doc: "Settings of the producer of the dead-letter topic."},
		{Name: "admin.override.*", Type: configs.String, Group: "Overrides", Doc: "Settings of the client that creates the dead-letter topic."},
	}, Rules: []configs.Rule{
		configs.ExactlyOne("topics", "topics.regex"),
		configs.Check("the dead-letter topic is not consumed", []string{"topics", "topics.regex", "errors.deadletterqueue.topic.name"}, deadLettersNotConsumed),
	}}
}
