package cdc

import (
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// OptionKeys declares Debezium's keys that no database source here needs or has, each with what is there in its place, so
// that whoever sets one is told. group is the heading that they stand under.
func OptionKeys(group string) []configs.Key {
	key := func(name string, t configs.Type, why string) configs.Key {
		return configs.Key{Name: name, Type: t, Group: group, Notice: "has no effect here: " + why}
	}
	const (
		java     = "it names a Java class"
		internal = "it is for the insides of Debezium or Kafka Connect"
		metrics  = "metrics have the names of connector and task as labels; add others where they are collected"
		lineage  = "no events of OpenLineage are sent"
		notices  = "no notifications are written; how far a snapshot is, the log, the metrics and the source offset say"
		guard    = "the number of tables is not limited"
		mode     = "snapshot.mode has neither configuration_based nor custom"
	)
	return []configs.Key{
		{Name: "post.processors", Type: configs.List, Importance: configs.Low, Group: group, Doc: "Debezium's post processors, of which there are none here."},
		key("notification.enabled.channels", configs.List, notices),
		key("notification.<name>", configs.String, notices),
		key("custom.metric.tags", configs.String, metrics),
		key("statistics.metrics.enabled", configs.String, metrics),
		key("custom.sanitize.pattern", configs.String, "what is secret is known by its key and never shown"),
		key("openlineage.<name>", configs.String, lineage),
		key("guardrail.collections.max", configs.String, guard),
		key("guardrail.collections.limit.action", configs.String, guard),
		key("executor.shutdown.timeout.ms", configs.String, "the hub bounds the time that a task has for its end"),
		key("query.fetch.size", configs.String, "rows are streamed"),
		key("poll.dispatch.interval.ms", configs.String, "changes are read as soon as they arrive"),
		key("queue.provider.<name>", configs.String, "there is no queue"),
		key("snapshot.mode.configuration.based.<name>", configs.String, mode),
		key("snapshot.mode.custom.name", configs.String, mode),
		key("snapshot.locking.mode.custom.name", configs.String, java),
		key("snapshot.query.mode", configs.String, "snapshot.select.statement.overrides gives a table a SELECT of its own"),
		key("snapshot.query.mode.custom.name", configs.String, java),
		key("snapshot.tables.order.by.row.count", configs.String, "tables are read in the order of their names"),
		key("incremental.snapshot.allow.schema.changes", configs.String, "a table may always be altered; the chunk is then read again"),
		key("signal.emit.failure.<name>", configs.String, "an incremental snapshot whose watermarks cannot be written waits for resume-snapshot"),
		key("sourceinfo.struct.maker", configs.String, java),
		key("transaction.metadata.factory", configs.String, java),
		key("internal.<name>", configs.String, internal),
	}
}

// OptionRules refuses what would change records if it were passed over, and says of keys that are of no use by themselves.
func OptionRules() []configs.Rule {
	return []configs.Rule{
		configs.Check("there are no post processors", []string{"post.processors"}, func(v configs.Values) []configs.Problem {
			if len(v.List("post.processors")) == 0 {
				return nil
			}
			return []configs.Problem{configs.KeyError("post.processors", "Debezium's post processors are Java classes, which cannot be loaded. "+
				"In place of ReselectColumnsPostProcessor, let the log have whole rows: REPLICA IDENTITY FULL in PostgreSQL, binlog_row_image=FULL in MySQL.")}
		}),
		configs.Check("there is one signal table", []string{"signal.data.collection"}, func(v configs.Values) []configs.Problem {
			if !strings.Contains(v.String("signal.data.collection"), ",") {
				return nil
			}
			return []configs.Problem{configs.KeyError("signal.data.collection", "It names several tables; signals come by one.")}
		}),
		configs.Check("a statement of heartbeats is run", []string{"heartbeat.action.query", "heartbeat.interval.ms"}, func(v configs.Values) []configs.Problem {
			if v.String("heartbeat.action.query") == "" || v.Long("heartbeat.interval.ms") > 0 {
				return nil
			}
			return []configs.Problem{configs.KeyWarning("heartbeat.action.query", "It is never run: heartbeat.interval.ms is 0.")}
		}),
	}
}
