package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// Headings of the definition.
const (
	groupConnection = "Connection"
	groupWhat       = "What to capture"
	groupSlot       = "Replication slot"
	groupSnapshot   = "Snapshot"
	groupRecords    = "Records"
	groupSignals    = "Signals and incremental snapshots"
	groupErrors     = "Errors"
	groupTuning     = "Tuning"
	groupOthers     = "Others of Debezium's"
)

// noEffect is the notice of a key that is accepted so that existing configurations load, and changes nothing.
func noEffect(why string) string { return "has no effect here: " + why }

// ofMySQL is said of keys that tutorials copy from MySQL's connector to this one. Debezium passes over them, too.
const ofMySQL = "it is of the MySQL connector"

// patterns checks a list of regular expressions.
func patterns(value string) error {
	_, err := cdc.ParsePatterns(value)
	return err
}

// definition declares the connector's keys: Debezium's names and defaults, except where a default loses data.
var definition = &configs.Definition{
	Keys: slices.Concat(cdc.ColumnKeys(groupRecords, "schema.table.column"), cdc.SignalKeys(groupSignals), cdc.OptionKeys(groupOthers), []configs.Key{
		{Name: "topic.prefix", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthMedium,
			Aliases: []string{"database.server.name"}, Example: "shop", Pattern: `[A-Za-z0-9._-]+`,
			Doc: "First part of every topic name, and the name of this source in stored offsets. Changing it starts from the beginning."},
		{Name: "database.hostname", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthMedium,
			Doc: "Host name or address of the database server, or the folder of its Unix socket."},
		{Name: "database.port", Type: configs.Int, Default: "5432", Min: "0", Max: "65535", Importance: configs.High, Group: groupConnection, Width: configs.WidthShort,
			Doc: "Port of the database server."},
		{Name: "database.user", Type: configs.String, Importance: configs.High, Group: groupConnection, Width: configs.WidthShort,
			Doc: "Role to connect as; it needs REPLICATION. Without it PGUSER is used."},
		{Name: "database.password", Type: configs.Password, Importance: configs.High, Group: groupConnection, Width: configs.WidthShort,
			Doc: "Password of the role. Without it PGPASSWORD or the password file of libpq is used."},
		{Name: "database.dbname", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthMedium,
			Doc: "Database to capture; one connector captures one database."},
		{Name: "database.sslmode", Type: configs.String, Default: "prefer", Enum: []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
			Importance: configs.Medium, Group: groupConnection, Doc: "Whether to encrypt the connection, and what to verify, as in libpq."},
		{Name: "database.sslcert", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the client's certificate."},
		{Name: "database.sslkey", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the client's private key."},
		{Name: "database.sslpassword", Type: configs.Password, Importance: configs.Medium, Group: groupConnection, Doc: "Password of the private key."},
		{Name: "database.sslrootcert", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the certificates that the server's certificate is verified against."},
		{Name: "database.server.id", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "schema.history.internal", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "schema.history.internal.<name>", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "database.history", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "database.history.<name>", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "include.schema.changes", Type: configs.String, Group: groupConnection, Notice: noEffect(ofMySQL)},
		{Name: "database.sslfactory", Type: configs.String, Group: groupConnection, Notice: noEffect("it names a Java class")},
		{Name: "database.tcpKeepAlive", Type: configs.Boolean, Default: "true", Group: groupConnection, Notice: noEffect("TCP keep-alive is always on")},
		{Name: "connection.validation.timeout.ms", Type: configs.Long, Group: groupConnection, Notice: noEffect("validation ends after 30 s")},
		{Name: "database.initial.statements", Type: configs.String, Group: groupConnection,
			Doc: "SQL statements, separated by semicolons (;; is a semicolon), run on each ordinary connection when it is made."},

		{Name: "schema.include.list", Aliases: []string{"schema.whitelist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns,
			Doc: "Regular expressions of the schemas to capture, separated by commas; each matches a whole name. Without it, all."},
		{Name: "schema.exclude.list", Aliases: []string{"schema.blacklist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the schemas not to capture."},
		{Name: "table.include.list", Aliases: []string{"table.whitelist"}, Type: configs.String, Importance: configs.High, Group: groupWhat, Check: patterns, Example: "public.orders,public.customers",
			Doc: "Regular expressions of the tables to capture, written schema.table and separated by commas. Without it, all."},
		{Name: "table.exclude.list", Aliases: []string{"table.blacklist"}, Type: configs.String, Importance: configs.High, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the tables not to capture."},
		{Name: "column.include.list", Aliases: []string{"column.whitelist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns,
			Doc: "Regular expressions of the columns to capture, written schema.table.column. A key keeps its columns in any case."},
		{Name: "column.exclude.list", Aliases: []string{"column.blacklist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the columns not to capture."},
		{Name: "message.prefix.include.list", Type: configs.String, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the prefixes of logical decoding messages to capture."},
		{Name: "message.prefix.exclude.list", Type: configs.String, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the prefixes of logical decoding messages not to capture."},
		{Name: "message.key.columns", Type: configs.String, Importance: configs.Medium, Group: groupWhat,
			Check:   func(v string) error { _, err := cdc.ParseKeyColumns(v); return err },
			Example: "public.orders:customer,currency;public.audit:actor",
			Doc:     "Columns that make the record's key instead of the primary key, by table: TABLE-REGEX:COLUMN,COLUMN;…"},
		{Name: "skipped.operations", Type: configs.List, Default: "t", Enum: []string{"c", "u", "d", "t", "none"}, Importance: configs.Low, Group: groupWhat,
			Doc: "Kinds of changes that are left out: c inserts, u updates, d deletes, t truncates; none keeps all."},
		{Name: "skip.messages.without.change", Type: configs.Boolean, Default: "false", Group: groupWhat,
			Doc: "Leaves out updates that change no captured column. The table needs REPLICA IDENTITY FULL."},
		{Name: "table.ignore.builtin", Type: configs.Boolean, Default: "true", Group: groupWhat, Notice: noEffect("system tables are never captured")},

		{Name: "plugin.name", Type: configs.String, Default: "pgoutput", Importance: configs.Medium, Group: groupSlot,
			Doc: "Output plug-in of the server. Only pgoutput is used, whatever is given."},
		{Name: "slot.name", Type: configs.String, Default: "debezium", Importance: configs.High, Group: groupSlot, Pattern: `[a-z0-9_]{1,63}`,
			Doc: "Name of the replication slot. It must be the connector's own: two connectors on one slot take each other's changes."},
		{Name: "slot.drop.on.stop", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupSlot,
			Doc: "Drops the slot when the task stops. Changes until the next start are then lost: for tests only."},
		{Name: "slot.failover", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupSlot,
			Doc: "Creates the slot such that standbys keep a copy of it (PostgreSQL 17 and newer)."},
		{Name: "slot.stream.params", Type: configs.String, Group: groupSlot, Doc: "Further options of START_REPLICATION, written name=value and separated by semicolons."},
		{Name: "slot.max.retries", Type: configs.Int, Default: "6", Min: "0", Group: groupSlot, Doc: "How often to try again when the slot is in use."},
		{Name: "slot.retry.delay.ms", Type: configs.Long, Default: "10000", Min: "0", Group: groupSlot, Doc: "Time between two attempts to take the slot."},
		{Name: "slot.max.retained.bytes", Type: configs.Long, Default: "10737418240", Min: "0", Unit: "bytes", Importance: configs.Medium, Group: groupSlot,
			Doc: "WAL kept for the slot above which a warning is logged; 0 never warns. The amount is always in the metrics."},
		{Name: "publication.name", Type: configs.String, Default: "dbz_publication", Importance: configs.High, Group: groupSlot,
			Doc: "Name of the publication that says which tables the server sends."},
		{Name: "publication.autocreate.mode", Type: configs.String, Default: "all_tables", Enum: []string{"all_tables", "filtered", "disabled", "no_tables"},
			Importance: configs.Medium, Group: groupSlot,
			Doc: "What to do when the publication is missing: create it for all tables (needs a superuser), for the captured tables (filtered; it is then kept up to date), without tables, or fail (disabled)."},
		{Name: "publish.via.partition.root", Type: configs.Boolean, Default: "false", Group: groupSlot,
			Doc: "Publishes changes of partitions as changes of their root table, when the connector creates the publication."},
		{Name: "replica.identity.autoset.values", Type: configs.String, Group: groupSlot, Notice: noEffect("set the replica identity with ALTER TABLE; validation prints the statement")},
		{Name: "status.update.interval.ms", Type: configs.Long, Default: "10000", Min: "1", Importance: configs.Low, Group: groupSlot,
			Doc: "Longest time between two messages that tell the server how far the source has come."},
		{Name: "offset.mismatch.strategy", Type: configs.String, Default: "trust_offset", Enum: []string{"no_validation", "trust_offset", "trust_slot", "trust_greater_lsn"},
			Group: groupSlot, Doc: "What to do when the slot is ahead of the stored offset, so that changes are missing: fail (trust_offset, and no_validation), or go on at the slot and accept the gap (trust_slot, trust_greater_lsn)."},
		{Name: "lsn.flush.mode", Type: configs.String, Default: "connector", Enum: []string{"connector", "manual", "connector_and_driver"}, Group: groupSlot,
			Doc: "manual never tells the server that it may forget; the other two do so as soon as the records are durable."},
		{Name: "lsn.flush.timeout.ms", Type: configs.Long, Group: groupSlot, Notice: noEffect("the server is told beside the reading, which waits for nothing")},
		{Name: "lsn.flush.timeout.action", Type: configs.String, Group: groupSlot, Notice: noEffect("the server is told beside the reading, which waits for nothing")},
		{Name: "flush.lsn.source", Type: configs.Boolean, Default: "true", Group: groupSlot, Doc: "Older form of lsn.flush.mode: false is manual."},

		{Name: "snapshot.mode", Type: configs.String, Default: "initial", Enum: []string{"always", "initial", "initial_only", "no_data", "never", "when_needed", "exported"},
			Importance: configs.High, Group: groupSnapshot,
			Doc: "When to read the tables' rows before the changes: initial (exported) does once, always at each start, initial_only once and then ends, no_data (never) not at all, when_needed also when the slot is lost."},
		{Name: "snapshot.include.collection.list", Type: configs.String, Group: groupSnapshot, Check: patterns, Doc: "Regular expressions of the tables to read in a snapshot; without it, all that are captured."},
		{Name: "snapshot.max.threads", Type: configs.Int, Default: "1", Min: "1", Max: "64", Importance: configs.Medium, Group: groupSnapshot,
			Doc: "Connections that read the snapshot. Large tables are read in pieces; the order of the rows stays the same."},
		{Name: "snapshot.chunk.pages", Type: configs.Int, Default: "1024", Min: "1", Max: "4194304", Group: groupSnapshot, Doc: "Pages of 8 KiB in one piece of a table. A snapshot that was interrupted goes on with the piece that it was in."},
		{Name: "snapshot.max.threads.multiplier", Type: configs.Int, Group: groupSnapshot, Notice: noEffect("pieces have snapshot.chunk.pages pages")},
		{Name: "legacy.snapshot.max.threads", Type: configs.Boolean, Group: groupSnapshot, Notice: noEffect("large tables are always read in pieces")},
		{Name: "snapshot.fetch.size", Type: configs.Int, Default: "10240", Min: "1", Unit: "rows", Group: groupSnapshot, Notice: noEffect("rows are streamed with COPY")},
		{Name: "snapshot.select.statement.overrides", Type: configs.List, Importance: configs.Medium, Group: groupSnapshot,
			Doc: "Tables, written schema.table, for which snapshot.select.statement.overrides.TABLE gives the SELECT to read."},
		{Name: "snapshot.select.statement.overrides.<table>", Type: configs.String, Importance: configs.Medium, Group: groupSnapshot, Doc: "SELECT that reads the table in a snapshot."},
		{Name: "snapshot.delay.ms", Type: configs.Long, Default: "0", Min: "0", Group: groupSnapshot, Doc: "Time to wait before the snapshot."},
		{Name: "streaming.delay.ms", Type: configs.Long, Default: "0", Min: "0", Group: groupSnapshot, Doc: "Time to wait between the snapshot and the changes."},
		{Name: "snapshot.lock.timeout.ms", Type: configs.Long, Default: "10000", Min: "0", Group: groupSnapshot, Doc: "How long to wait for the lock that keeps tables from being rewritten while they are read; 0 is without limit."},
		{Name: "snapshot.locking.mode", Type: configs.String, Default: "none", Group: groupSnapshot, Notice: noEffect("tables are locked against being rewritten only (ACCESS SHARE)")},
		{Name: "snapshot.isolation.mode", Type: configs.String, Default: "serializable", Group: groupSnapshot, Notice: noEffect("all connections read one exported snapshot")},

		{Name: "tombstones.on.delete", Type: configs.Boolean, Default: "true", Importance: configs.Medium, Group: groupRecords,
			Doc: "Follows each delete with a record of the same key without a value, so that compaction can remove the key."},
		{Name: "decimal.handling.mode", Type: configs.String, Default: "precise", Enum: cdc.DecimalHandlings(), Importance: configs.Medium, Group: groupRecords,
			Doc: "How numeric and money are written: precise (bytes), double, or string. string is what most readers want."},
		{Name: "time.precision.mode", Type: configs.String, Default: "adaptive", Enum: cdc.TimePrecisions(), Importance: configs.Medium, Group: groupRecords,
			Doc: "How date, time and timestamp are written."},
		{Name: "binary.handling.mode", Type: configs.String, Default: "bytes", Enum: cdc.BinaryHandlings(), Importance: configs.Low, Group: groupRecords, Doc: "How bytea is written."},
		{Name: "hstore.handling.mode", Type: configs.String, Default: "json", Enum: []string{"json", "map"}, Importance: configs.Low, Group: groupRecords, Doc: "How hstore is written."},
		{Name: "interval.handling.mode", Type: configs.String, Default: "numeric", Enum: []string{"numeric", "string"}, Importance: configs.Low, Group: groupRecords,
			Doc: "How interval is written: microseconds, a month being 30.4375 days, or as ISO 8601."},
		{Name: "money.fraction.digits", Type: configs.Short, Default: "2", Min: "0", Max: "20", Group: groupRecords, Doc: "Digits behind the point of money."},
		{Name: "include.unknown.datatypes", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupRecords,
			Doc: "Writes columns of types without a mapping as the bytes of their text, instead of leaving them out."},
		{Name: "converters", Type: configs.List, Importance: configs.Low, Group: groupRecords, Doc: "Debezium's custom converters, of which there are none here."},
		{Name: "unavailable.value.placeholder", Type: configs.String, Default: "__debezium_unavailable_value", Importance: configs.Low, Group: groupRecords,
			Doc: "What stands for a large value that an update did not change and that the server therefore did not send. hex:… gives bytes."},
		{Name: "include.schema.comments", Type: configs.Boolean, Default: "false", Group: groupRecords, Doc: "Takes comments on columns into the schemas."},
		{Name: "provide.transaction.metadata", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupRecords,
			Doc: "Writes records at the begin and end of each transaction, and its place in it into each change."},
		{Name: "topic.transaction", Type: configs.String, Default: "transaction", Group: groupRecords, Doc: "Last part of the name of the topic of transactions."},
		{Name: "topic.delimiter", Type: configs.String, Default: ".", Pattern: `[._-]+`, Group: groupRecords, Doc: "What stands between the parts of a topic name."},
		{Name: "topic.naming.strategy", Type: configs.Class, Default: "io.debezium.schema.SchemaTopicNamingStrategy", Group: groupRecords,
			Enum: []string{"io.debezium.schema.SchemaTopicNamingStrategy", "io.debezium.schema.DefaultTopicNamingStrategy"},
			Doc:  "Topics are named PREFIX.SCHEMA.TABLE; other strategies are transforms here."},
		{Name: "topic.cache.size", Type: configs.Int, Default: "10000", Group: groupRecords, Notice: noEffect("names are made once for each table")},
		{Name: "schema.name.adjustment.mode", Type: configs.String, Default: "none", Enum: cdc.Adjustments(), Group: groupRecords, Doc: "How names of schemas are made fit for Avro."},
		{Name: "field.name.adjustment.mode", Type: configs.String, Default: "none", Enum: cdc.Adjustments(), Group: groupRecords, Doc: "How names of fields are made fit for Avro."},
		{Name: "extended.headers.enabled", Type: configs.Boolean, Default: "true", Group: groupRecords, Doc: "Gives each change the headers __debezium.context.…"},
		{Name: "heartbeat.interval.ms", Type: configs.Long, Default: "0", Min: "0", Importance: configs.Medium, Group: groupRecords,
			Doc: "Time between two heartbeat records; 0 is off. An idle source moves its slot on also without."},
		{Name: "heartbeat.action.query", Type: configs.String, Importance: configs.Low, Group: groupRecords, Doc: "SQL statement to run in the database at each heartbeat."},
		{Name: "topic.heartbeat.prefix", Type: configs.String, Default: "__debezium-heartbeat", Group: groupRecords, Aliases: []string{"heartbeat.topics.prefix"},
			Doc: "First part of the name of the heartbeat topic."},
		{Name: "topic.heartbeat.name", Type: configs.String, Group: groupRecords, Doc: "Whole name of the heartbeat topic."},
		{Name: "schema.refresh.mode", Type: configs.String, Group: groupRecords, Notice: noEffect("the log says when a table has another form")},
		{Name: "xmin.fetch.interval.ms", Type: configs.Long, Default: "0", Min: "0", Group: groupRecords, Notice: noEffect("xmin is not written")},

		{Name: "event.processing.failure.handling.mode", Type: configs.String, Default: "fail", Enum: []string{"fail", "warn", "skip", "ignore"}, Group: groupErrors,
			Notice: noEffect("a change that cannot be decoded always stops the task"), Doc: "Accepted for compatibility."},
		{Name: "event.converting.failure.handling.mode", Type: configs.String, Default: "fail", Enum: []string{"fail", "warn", "skip", "ignore"}, Group: groupErrors,
			Doc: "What to do with a value that its schema cannot hold (NaN as a precise decimal): fail takes the whole change to the dead-letter topic or stops the task, warn and skip write null in its place."},
		{Name: "errors.max.retries", Type: configs.Int, Default: "-1", Group: groupErrors, Notice: noEffect("the hub restarts tasks with back-off")},
		{Name: "retriable.restart.connector.wait.ms", Type: configs.Long, Default: "10000", Group: groupErrors, Notice: noEffect("the hub restarts tasks with back-off")},

		{Name: "max.batch.size", Type: configs.Int, Default: "2048", Min: "1", Unit: "records", Group: groupTuning,
			Doc: "Most records in a batch; it also ends at about 1 MiB. The records of one change stay together."},
		{Name: "max.queue.size", Type: configs.Int, Default: "8192", Unit: "rows", Group: groupTuning, Notice: noEffect("memory is bounded in bytes")},
		{Name: "max.queue.size.in.bytes", Type: configs.Long, Default: "0", Unit: "bytes", Group: groupTuning, Notice: noEffect("memory is always bounded in bytes")},
		{Name: "poll.interval.ms", Type: configs.Long, Default: "500", Min: "1", Group: groupTuning, Notice: noEffect("changes are read as soon as they arrive")},
		{Name: "database.query.timeout.ms", Type: configs.Long, Default: "600000", Min: "0", Group: groupTuning, Doc: "Longest time for a query of the catalog; 0 is without limit."},
	}),
	Rules: append(cdc.OptionRules(), []configs.Rule{
		cdc.ColumnRulesHold(),
		cdc.SignalRules(),
		configs.AtMostOne("table.include.list", "table.exclude.list"),
		configs.AtMostOne("schema.include.list", "schema.exclude.list"),
		configs.AtMostOne("column.include.list", "column.exclude.list"),
		configs.AtMostOne("message.prefix.include.list", "message.prefix.exclude.list"),
		configs.Check("plugin.name is pgoutput", []string{"plugin.name"}, func(v configs.Values) []configs.Problem {
			if name := v.String("plugin.name"); !strings.EqualFold(name, "pgoutput") {
				return []configs.Problem{configs.KeyWarning("plugin.name", fmt.Sprintf("%s is not supported; pgoutput is used, which every PostgreSQL since 10 has.", name))}
			}
			return nil
		}),
		configs.Check("there are no converters", []string{"converters"}, func(v configs.Values) []configs.Problem {
			if len(v.List("converters")) == 0 {
				return nil
			}
			return []configs.Problem{configs.KeyError("converters", "Debezium's custom converters are Java classes, which cannot be loaded. Convert with transforms instead.")}
		}),
		configs.Check("each override has its SELECT", []string{"snapshot.select.statement.overrides"}, func(v configs.Values) []configs.Problem {
			var out []configs.Problem
			for _, t := range v.List("snapshot.select.statement.overrides") {
				if key := "snapshot.select.statement.overrides." + t; v.String(key) == "" {
					out = append(out, configs.KeyError("snapshot.select.statement.overrides", key+" is missing."))
				}
			}
			return out
		}),
	}...),
}
