package log

// brokerName is the broker config of Kafka that sets a topic config's default, "" for none. unset: it has no value
// of its own in Kafka, where others stand in for it (log.retention.hours for log.retention.ms).
func brokerName(topicConfig string) (name string, unset bool) {
	switch topicConfig {
	case "cleanup.policy", "index.interval.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
		"message.timestamp.type", "preallocate", "retention.bytes", "segment.bytes", "local.retention.bytes", "local.retention.ms":
		return "log." + topicConfig, false
	case "retention.ms":
		return "log.retention.ms", true
	case "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
		"min.insync.replicas", "unclean.leader.election.enable":
		return topicConfig, false
	case "delete.retention.ms", "max.compaction.lag.ms", "min.compaction.lag.ms":
		return "log.cleaner." + topicConfig, false
	case "min.cleanable.dirty.ratio":
		return "log.cleaner.min.cleanable.ratio", false
	case "file.delete.delay.ms":
		return "log.segment.delete.delay.ms", false
	case "flush.messages":
		return "log.flush.interval.messages", false
	case "flush.ms":
		return "log.flush.interval.ms", true
	case "max.message.bytes":
		return "message.max.bytes", false
	case "segment.index.bytes":
		return "log.index.size.max.bytes", false
	case "segment.jitter.ms":
		return "log.roll.jitter.ms", true
	case "segment.ms":
		return "log.roll.ms", true
	}
	return "", false
}

// DefaultConfigEntries lists every topic config with the value that a topic has which sets nothing.
func (l *Log) DefaultConfigEntries() []ConfigEntry { return l.configs.Load().entries(nil) }
