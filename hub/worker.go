package hub

import (
	"github.com/sluicehub/sluice/configs"
)

// WorkerDefinition returns the keys of the worker's configuration that the hub understands, spelled and with the
// defaults of Kafka Connect's distributed worker. The caller adds its own.
func WorkerDefinition() *configs.Definition {
	security := &configs.Definition{Keys: securityDefinition().Keys, Rules: []configs.Rule{workerSecurity()}}
	return configs.Concat(workerKeys(), security)
}

func workerKeys() *configs.Definition {
	return &configs.Definition{Keys: []configs.Key{
		{Name: "bootstrap.servers", Type: configs.List, Importance: configs.High, Group: "Log",
			Doc: "Brokers of a Kafka cluster to use as the log, host:port. Without it the log is embedded."},
		{Name: "group.id", Type: configs.String, Default: "sluice", Importance: configs.High, Group: "Worker",
			Doc: "Name of the cluster of workers that this one belongs to. For now a cluster has one: a second worker of the same name does not start."},
		{Name: "session.timeout.ms", Type: configs.Int, Default: "10000", Min: "1", Group: "Worker",
			Doc: "How long the log waits for a sign of life of this worker before another one may take its place."},
		{Name: "heartbeat.interval.ms", Type: configs.Int, Default: "3000", Min: "1", Group: "Worker",
			Doc: "How often this worker gives a sign of life; at most a third of session.timeout.ms."},
		{Name: "key.converter", Type: configs.Class, Default: "org.apache.kafka.connect.json.JsonConverter", Importance: configs.High,
			Group: "Converters", Doc: "Converter of keys for connectors that name none."},
		{Name: "value.converter", Type: configs.Class, Default: "org.apache.kafka.connect.json.JsonConverter", Importance: configs.High,
			Group: "Converters", Doc: "Converter of values for connectors that name none."},
		{Name: "header.converter", Type: configs.Class, Default: "org.apache.kafka.connect.storage.SimpleHeaderConverter",
			Group: "Converters", Doc: "Converter of header values for connectors that name none."},
		{Name: "key.converter.*", Type: configs.String, Group: "Converters", Doc: "Settings of the converter of keys."},
		{Name: "value.converter.*", Type: configs.String, Group: "Converters", Doc: "Settings of the converter of values."},
		{Name: "header.converter.*", Type: configs.String, Group: "Converters", Doc: "Settings of the converter of header values."},
		{Name: "config.storage.topic", Type: configs.String, Default: "connect-configs", Importance: configs.High, Group: "Worker",
			Doc: "Topic that holds the connectors' configurations."},
		{Name: "config.storage.replication.factor", Type: configs.Short, Group: "Worker",
			Doc: "Replicas of that topic if it is created. Without it, 3 or as many as there are brokers."},
		{Name: "offset.storage.topic", Type: configs.String, Default: "connect-offsets", Importance: configs.High, Group: "Worker",
			Doc: "Topic that holds the source offsets."},
		{Name: "offset.storage.partitions", Type: configs.Int, Default: "25", Min: "1", Group: "Worker",
			Doc: "Partitions of that topic if it is created."},
		{Name: "offset.storage.replication.factor", Type: configs.Short, Group: "Worker",
			Doc: "Replicas of that topic if it is created. Without it, 3 or as many as there are brokers."},
		{Name: "status.storage.topic", Type: configs.String, Default: "connect-status", Importance: configs.High, Group: "Worker",
			Doc: "Topic that holds the statuses of connectors and tasks."},
		{Name: "status.storage.partitions", Type: configs.Int, Default: "5", Min: "1", Group: "Worker",
			Doc: "Partitions of that topic if it is created."},
		{Name: "status.storage.replication.factor", Type: configs.Short, Group: "Worker",
			Doc: "Replicas of that topic if it is created. Without it, 3 or as many as there are brokers."},
		{Name: "config.storage.*", Type: configs.String, Group: "Worker", Doc: "Other settings of the configuration topic if it is created."},
		{Name: "offset.storage.*", Type: configs.String, Group: "Worker", Doc: "Other settings of the offset topic if it is created."},
		{Name: "status.storage.*", Type: configs.String, Group: "Worker", Doc: "Other settings of the status topic if it is created."},
		{Name: "offset.flush.interval.ms", Type: configs.Long, Default: "60000", Min: "1", Group: "Worker",
			Doc: "How often sinks are asked how far they are, and their consumer groups' offsets are committed. Source offsets are written as soon as the records are durable."},
		{Name: "offset.flush.timeout.ms", Type: configs.Long, Default: "5000", Min: "1", Group: "Worker",
			Doc:    "Understood for compatibility.",
			Notice: "offset.flush.timeout.ms has no effect: source offsets are written as soon as the records are durable, and task.shutdown.graceful.timeout.ms bounds what is left when a task stops."},
		{Name: "task.shutdown.graceful.timeout.ms", Type: configs.Long, Default: "5000", Min: "0", Group: "Worker",
			Doc: "How long a stopping task may take to bring what it has in hand to its end."},
		{Name: onceKey, Type: configs.String, Default: onceDisabled, Enum: []string{onceDisabled, oncePreparing, onceEnabled}, Importance: configs.High, Group: "Worker",
			Doc: "enabled: sources write records and source offsets in transactions, so that a reader of committed records sees each record once. preparing: only the configurations are written in transactions, a step on the way of a cluster that has run without."},
		{Name: "topic.creation.enable", Type: configs.Boolean, Default: "true", Group: "Topics",
			Doc: "Whether the hub creates the topics of sources by the connectors' topic.creation keys."},
		{Name: "topic.tracking.enable", Type: configs.Boolean, Default: "true", Group: "Topics",
			Doc: "Whether the hub keeps which topics a connector uses."},
		{Name: "topic.tracking.allow.reset", Type: configs.Boolean, Default: "true", Group: "Topics",
			Doc: "Whether that may be reset by a request."},
		{Name: "connector.client.config.override.policy", Type: configs.String, Default: policyAll, Check: isPolicy, Group: "Worker",
			Doc: "Which keys with producer.override., consumer.override. and admin.override. connectors may set: All, None, Principal or Allowlist."},
		{Name: "connector.client.config.override.allowlist", Type: configs.List, Group: "Worker",
			Doc: "The keys that the policy Allowlist allows, without the prefix."},
		{Name: "producer.*", Type: configs.String, Group: "Log", Doc: "Settings of the producers of all sources and dead-letter topics."},
		{Name: "consumer.*", Type: configs.String, Group: "Log", Doc: "Settings of the consumers of all sinks."},
		{Name: "admin.*", Type: configs.String, Group: "Log", Doc: "Settings of the clients that create topics for connectors."},
		{Name: "config.providers", Type: configs.List, Group: "Secrets", Doc: "Names of the config providers for placeholders."},
		{Name: "config.providers.*", Type: configs.String, Group: "Secrets", Doc: "Class and parameters of a config provider."},
		{Name: "listeners", Type: configs.List, Default: "http://127.0.0.1:8083", Importance: configs.Medium, Group: "REST",
			Doc: "Where the REST API listens."},
		{Name: "rest.advertised.host.name", Type: configs.String, Group: "REST", Doc: "Host name by which this worker is known in statuses."},
		{Name: "rest.advertised.port", Type: configs.Int, Group: "REST", Doc: "Port by which this worker is known in statuses."},
		{Name: "plugin.path", Type: configs.List, Importance: configs.Medium, Group: "Plugins",
			Doc: "Directories with further connectors: executables named sluice-connector-NAME."},
		notUsed("plugin.discovery"), notUsed("rebalance.timeout.ms"),
		notUsed("worker.sync.timeout.ms"), notUsed("worker.unsync.backoff.ms"), notUsed("scheduled.rebalance.max.delay.ms"),
		notUsed("connect.protocol"), notUsed("metric.reporters"), notUsed("offset.storage.file.filename"),
		notUsed("rest.extension.classes"), notUsed("inter.worker.key.ttl.ms"), notUsed("rest.advertised.listener"), notUsed("admin.listeners"),
		workerConverterVersion("key.converter"), workerConverterVersion("value.converter"), workerConverterVersion("header.converter"),
	}}
}

func workerConverterVersion(name string) configs.Key {
	k := notUsed(name + ".plugin.version")
	k.Notice = converterVersionUnused(name)
	return k
}

// notUsed declares a key of Kafka Connect that means nothing here.
func notUsed(name string) configs.Key {
	return configs.Key{Name: name, Type: configs.String, Group: "Not used", Doc: "Understood for compatibility.",
		Notice: name + " has no effect: this hub has no use for it."}
}
