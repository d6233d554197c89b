package mysql

import (
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// Headings of the definition.
const (
	groupConnection = "Connection"
	groupWhat       = "What to capture"
	groupLog        = "Binary log"
	groupSnapshot   = "Snapshot"
	groupRecords    = "Records"
	groupSignals    = "Signals and incremental snapshots"
	groupErrors     = "Errors"
	groupTuning     = "Tuning"
	groupOthers     = "Others of Debezium's"
)

// noEffect is the notice of a key that is accepted so that existing configurations load, and changes nothing.
func noEffect(why string) string { return "has no effect here: " + why }

const noHistory = "no schema history is needed: the tables' definitions are kept beside the source offset, and the log describes itself with binlog_row_metadata=FULL"

// patterns checks a list of regular expressions.
func patterns(value string) error {
	_, err := cdc.ParsePatterns(value)
	return err
}

// configuration declares the connector's keys: Debezium's names and defaults, except where a default loses data.
var configuration = &configs.Definition{
	Keys: slices.Concat(cdc.ColumnKeys(groupRecords, "database.table.column"), cdc.SignalKeys(groupSignals), cdc.OptionKeys(groupOthers), []configs.Key{
		{Name: "topic.prefix", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthMedium,
			Aliases: []string{"database.server.name"}, Example: "shop", Pattern: `[A-Za-z0-9._-]+`,
			Doc: "First part of every topic name, and the name of this source in stored offsets. Changing it starts from the beginning."},
		{Name: "database.hostname", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthMedium,
			Doc: "Host name or address of the database server."},
		{Name: "database.port", Type: configs.Int, Default: "3306", Min: "1", Max: "65535", Importance: configs.High, Group: groupConnection, Width: configs.WidthShort,
			Doc: "Port of the database server."},
		{Name: "database.user", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthShort,
			Doc: "User to connect as; it needs SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE and REPLICATION CLIENT."},
		{Name: "database.password", Type: configs.Password, Importance: configs.High, Group: groupConnection, Width: configs.WidthShort, Doc: "Password of the user."},
		{Name: "database.server.id", Type: configs.Long, Min: "1", Max: "4294967295", Importance: configs.High, Group: groupConnection,
			Doc: "Number under which the connector reads the log as a replica. No other replica may have it. Without it one is made from topic.prefix."},
		{Name: "database.server.id.offset", Type: configs.Long, Group: groupConnection, Notice: noEffect("there is one reader of the log")},
		{Name: "database.ssl.mode", Type: configs.String, Default: "preferred", Enum: []string{"disabled", "disable", "preferred", "prefer", "required", "require", "verify_ca", "verify-ca", "verify_identity", "verify-full"},
			Importance: configs.Medium, Group: groupConnection, Doc: "Whether to encrypt the connection, and what to verify."},
		{Name: "database.ssl.ca", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the certificates (PEM) that the server's certificate is verified against; without it, the system's."},
		{Name: "database.ssl.cert", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the client's certificate (PEM)."},
		{Name: "database.ssl.key", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the client's private key (PEM)."},
		{Name: "database.ssl.truststore", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "As database.ssl.ca; the file may also be in JKS or PKCS#12."},
		{Name: "database.ssl.truststore.password", Type: configs.Password, Importance: configs.Medium, Group: groupConnection, Doc: "Password of the trust store."},
		{Name: "database.ssl.keystore", Type: configs.String, Importance: configs.Medium, Group: groupConnection, Doc: "File of the client's certificate and its key: JKS, PKCS#12 or PEM."},
		{Name: "database.ssl.keystore.password", Type: configs.Password, Importance: configs.Medium, Group: groupConnection, Doc: "Password of the key store and of the key in it."},
		{Name: "database.initial.statements", Type: configs.String, Group: groupConnection,
			Doc: "SQL statements, separated by semicolons (;; is a semicolon), run on each ordinary connection when it is made."},
		{Name: "database.jdbc.<name>", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "database.protocol", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "database.allowPublicKeyRetrieval", Type: configs.String, Group: groupConnection, Notice: noEffect("the server's public key is asked for where a login needs it")},
		{Name: "database.useSSL", Type: configs.String, Group: groupConnection, Notice: noEffect("database.ssl.mode says whether the connection is encrypted")},
		{Name: "database.serverTimezone", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "database.connectionTimeZone", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "database.characterEncoding", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "driver.<name>", Type: configs.String, Group: groupConnection, Notice: noEffect("it is an option of the Java driver")},
		{Name: "connect.timeout.ms", Type: configs.Long, Default: "30000", Min: "1", Group: groupConnection, Doc: "How long a server may take to answer."},
		{Name: "connect.keep.alive", Type: configs.Boolean, Default: "true", Group: groupConnection, Notice: noEffect("a lost connection is found by the server's heartbeats")},
		{Name: "connect.keep.alive.interval.ms", Type: configs.Long, Default: "60000", Min: "1000", Group: groupConnection,
			Doc: "The server is heard at least as often while the log is idle; after three times that long the connection counts as lost."},
		{Name: "connection.validation.timeout.ms", Type: configs.Long, Default: "60000", Group: groupConnection, Notice: noEffect("validation ends after 30 s")},

		{Name: "database.include.list", Aliases: []string{"database.whitelist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns,
			Doc: "Regular expressions of the databases to capture, separated by commas; each matches a whole name. Without it, all."},
		{Name: "database.exclude.list", Aliases: []string{"database.blacklist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the databases not to capture."},
		{Name: "table.include.list", Aliases: []string{"table.whitelist"}, Type: configs.String, Importance: configs.High, Group: groupWhat, Check: patterns, Example: "shop.orders,shop.customers",
			Doc: "Regular expressions of the tables to capture, written database.table and separated by commas. Without it, all."},
		{Name: "table.exclude.list", Aliases: []string{"table.blacklist"}, Type: configs.String, Importance: configs.High, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the tables not to capture."},
		{Name: "column.include.list", Aliases: []string{"column.whitelist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns,
			Doc: "Regular expressions of the columns to capture, written database.table.column. A key keeps its columns in any case."},
		{Name: "column.exclude.list", Aliases: []string{"column.blacklist"}, Type: configs.String, Importance: configs.Medium, Group: groupWhat, Check: patterns, Doc: "Regular expressions of the columns not to capture."},
		{Name: "message.key.columns", Type: configs.String, Importance: configs.Medium, Group: groupWhat,
			Check:   func(v string) error { _, err := cdc.ParseKeyColumns(v); return err },
			Example: "shop.orders:customer,currency;shop.audit:actor",
			Doc:     "Columns that make the record's key instead of the primary key, by table: TABLE-REGEX:COLUMN,COLUMN;…"},
		{Name: "skipped.operations", Type: configs.List, Default: "t", Enum: []string{"c", "u", "d", "t", "none"}, Importance: configs.Low, Group: groupWhat,
			Doc: "Kinds of changes that are left out: c inserts, u updates, d deletes, t truncates; none keeps all."},
		{Name: "skip.messages.without.change", Type: configs.Boolean, Default: "false", Group: groupWhat, Doc: "Leaves out updates that change no captured column."},
		{Name: "table.ignore.builtin", Type: configs.Boolean, Default: "true", Group: groupWhat, Notice: noEffect("system tables are never captured")},

		{Name: "gtid.source.includes", Type: configs.String, Group: groupLog, Check: patterns, Doc: "Regular expressions of the server UUIDs whose transactions count when the stored offset is compared with the server."},
		{Name: "gtid.source.excludes", Type: configs.String, Group: groupLog, Check: patterns, Doc: "Regular expressions of the server UUIDs whose transactions do not count."},
		{Name: "gtid.source.filter.dml.events", Type: configs.Boolean, Default: "true", Group: groupLog, Doc: "Leaves out the changes of transactions of servers that do not count."},
		{Name: "gtid.ignore.on.recovery", Type: configs.Boolean, Default: "false", Group: groupLog, Notice: noEffect("the stored GTIDs are always used")},
		{Name: "include.query", Type: configs.Boolean, Default: "false", Group: groupLog,
			Doc: "Writes the statement into the source block. The server needs binlog_rows_query_log_events=ON (MariaDB: binlog_annotate_row_events=ON)."},
		{Name: "include.schema.changes", Type: configs.Boolean, Default: "true", Importance: configs.Medium, Group: groupLog,
			Doc: "Writes each statement that changes a table to the topic named as topic.prefix."},
		{Name: "inconsistent.schema.handling.mode", Type: configs.String, Default: "fail", Enum: []string{"fail", "warn", "skip"}, Group: groupLog,
			Doc: "What to do with a change whose table's definition is not known: fail stops the task; warn and skip lose the change."},
		{Name: "binlog.buffer.size", Type: configs.Int, Default: "0", Group: groupLog, Notice: noEffect("a transaction is delivered as it is read")},
		{Name: "binlog.net.read.timeout", Type: configs.Long, Default: "0", Group: groupLog, Notice: noEffect("the server's own setting is kept")},
		{Name: "binlog.net.write.timeout", Type: configs.Long, Default: "0", Group: groupLog, Notice: noEffect("the server is told to wait for as long as the log is not read")},
		{Name: "binlog.retention.warning.ms", Type: configs.Long, Default: "3600000", Min: "0", Importance: configs.Medium, Group: groupLog,
			Doc: "A warning is logged when the file that is being read will be purged from the server within that time. The figures are always in the metrics."},
		{Name: "schema.history.internal", Type: configs.Class, Group: groupLog, Notice: noEffect(noHistory)},
		{Name: "schema.history.internal.<name>", Type: configs.String, Group: groupLog, Notice: noEffect(noHistory)},
		{Name: "database.history", Type: configs.Class, Group: groupLog, Notice: noEffect(noHistory)},
		{Name: "database.history.<name>", Type: configs.String, Group: groupLog, Notice: noEffect(noHistory)},
		{Name: "resolve.create.table.like.schema", Type: configs.Boolean, Group: groupLog, Notice: noEffect("the other table's definition is always taken")},
		{Name: "ddl.parser.type", Type: configs.String, Group: groupLog, Notice: noEffect("there is one parser")},
		{Name: "use.nongraceful.disconnect", Type: configs.Boolean, Default: "false", Group: groupLog, Notice: noEffect("the connection is always cut at once")},

		{Name: "snapshot.mode", Type: configs.String, Default: "initial", Enum: []string{"always", "initial", "initial_only", "no_data", "schema_only", "never", "when_needed", "recovery", "schema_only_recovery"},
			Importance: configs.High, Group: groupSnapshot,
			Doc: "When to read the tables' rows before the changes: initial does once, always at each start, initial_only once and then ends, no_data (schema_only, never) not at all, when_needed also when the log is purged. recovery is initial: there is no schema history to recover."},
		{Name: "snapshot.locking.mode", Type: configs.String, Default: "minimal", Enum: []string{"minimal", "extended", "minimal_percona", "minimal_percona_no_table_locks", "minimal_at_least_once", "none"},
			Importance: configs.Medium, Group: groupSnapshot,
			Doc: "Which lock makes all connections of the snapshot see one moment: minimal takes a global read lock for an instant (without the right RELOAD: locks on the captured tables), extended keeps it until the last row is read, none takes no lock, rows may come twice, and MySQL must have GTIDs. With each, an ALTER, RENAME or TRUNCATE of a table waits until the snapshot has ended."},
		{Name: "snapshot.include.collection.list", Type: configs.String, Group: groupSnapshot, Check: patterns, Doc: "Regular expressions of the tables to read in a snapshot; without it, all that are captured."},
		{Name: "snapshot.max.threads", Type: configs.Int, Default: "1", Min: "1", Max: "64", Importance: configs.Medium, Group: groupSnapshot,
			Doc: "Connections that read the snapshot. Large tables are read in pieces; the order of the rows stays the same."},
		{Name: "snapshot.chunk.rows", Type: configs.Int, Default: "100000", Min: "1", Unit: "rows", Group: groupSnapshot, Doc: "About as many rows are in one piece of a table. Pieces are read ahead by snapshot.max.threads sessions."},
		{Name: "snapshot.max.threads.multiplier", Type: configs.Int, Default: "1", Group: groupSnapshot, Notice: noEffect("pieces have about snapshot.chunk.rows rows")},
		{Name: "legacy.snapshot.max.threads", Type: configs.Boolean, Default: "false", Group: groupSnapshot, Notice: noEffect("large tables are always read in pieces")},
		{Name: "snapshot.fetch.size", Type: configs.Int, Default: "10240", Min: "1", Unit: "rows", Group: groupSnapshot, Notice: noEffect("rows are streamed")},
		{Name: "min.row.count.to.stream.results", Type: configs.Int, Default: "1000", Group: groupSnapshot, Notice: noEffect("rows are always streamed")},
		{Name: "snapshot.select.statement.overrides", Type: configs.List, Importance: configs.Medium, Group: groupSnapshot,
			Doc: "Tables, written database.table, for which snapshot.select.statement.overrides.TABLE gives the SELECT to read."},
		{Name: "snapshot.select.statement.overrides.<table>", Type: configs.String, Importance: configs.Medium, Group: groupSnapshot, Doc: "SELECT that reads the table in a snapshot."},
		{Name: "snapshot.delay.ms", Type: configs.Long, Default: "0", Min: "0", Group: groupSnapshot, Doc: "Time to wait before the snapshot."},
		{Name: "streaming.delay.ms", Type: configs.Long, Default: "0", Min: "0", Group: groupSnapshot, Doc: "Time to wait between the snapshot and the changes."},
		{Name: "snapshot.lock.timeout.ms", Type: configs.Long, Default: "10000", Min: "1000", Group: groupSnapshot, Doc: "How long to wait for the lock in all. While it waits, writers wait behind it, so it waits for a second, lets them write for four, and goes on with twice as much of both."},
		{Name: "snapshot.isolation.mode", Type: configs.String, Default: "repeatable_read", Group: groupSnapshot, Notice: noEffect("all connections read one consistent snapshot")},

		{Name: "tombstones.on.delete", Type: configs.Boolean, Default: "true", Importance: configs.Medium, Group: groupRecords,
			Doc: "Follows each delete with a record of the same key without a value, so that compaction can remove the key."},
		{Name: "decimal.handling.mode", Type: configs.String, Default: "precise", Enum: cdc.DecimalHandlings(), Importance: configs.Medium, Group: groupRecords,
			Doc: "How decimal is written: precise (bytes), double, or string. string is what most readers want."},
		{Name: "bigint.unsigned.handling.mode", Type: configs.String, Default: "long", Enum: []string{"long", "precise"}, Importance: configs.Medium, Group: groupRecords,
			Doc: "How bigint unsigned is written: long (values beyond 9223372036854775807 become negative) or precise (a Decimal)."},
		{Name: "time.precision.mode", Type: configs.String, Default: "adaptive_time_microseconds", Enum: cdc.TimePrecisions()[1:], Importance: configs.Medium, Group: groupRecords,
			Doc: "How date, time and datetime are written. adaptive is not there, as in Debezium: a time may be longer than a day."},
		{Name: "binary.handling.mode", Type: configs.String, Default: "bytes", Enum: cdc.BinaryHandlings(), Importance: configs.Low, Group: groupRecords, Doc: "How binary columns are written."},
		{Name: "enable.time.adjuster", Type: configs.Boolean, Default: "true", Group: groupRecords, Notice: noEffect("the server has adjusted years of two digits already")},
		{Name: "unavailable.value.placeholder", Type: configs.String, Default: "__debezium_unavailable_value", Importance: configs.Low, Group: groupRecords,
			Doc: "What stands for a value that an update did not change and that the server therefore did not log (binlog_row_image is not FULL). hex:… gives bytes."},
		{Name: "converters", Type: configs.List, Importance: configs.Low, Group: groupRecords, Example: "flags",
			Doc: "Names of converters of values; NAME.type says what each is. There is one: " + tinyToBoolean + "."},
		{Name: "<converter>.type", Type: configs.Class, Importance: configs.Low, Group: groupRecords, Doc: "Class of the converter."},
		{Name: "<converter>.selector", Type: configs.String, Importance: configs.Low, Group: groupRecords, Check: patterns,
			Doc: "Regular expressions of the columns that are converted, written database.table.column; without it, all."},
		{Name: "<converter>.length.checker", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupRecords,
			Doc: "Converts columns of the type tinyint(1) only. MySQL does not keep that length of unsigned columns."},
		{Name: "include.schema.comments", Type: configs.Boolean, Default: "false", Group: groupRecords, Doc: "Takes comments on columns into the schemas."},
		{Name: "provide.transaction.metadata", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupRecords,
			Doc: "Writes records at the begin and end of each transaction, and its place in it into each change."},
		{Name: "topic.transaction", Type: configs.String, Default: "transaction", Group: groupRecords, Doc: "Last part of the name of the topic of transactions."},
		{Name: "topic.delimiter", Type: configs.String, Default: ".", Pattern: `[._-]+`, Group: groupRecords, Doc: "What stands between the parts of a topic name."},
		{Name: "topic.naming.strategy", Type: configs.Class, Default: "io.debezium.schema.DefaultTopicNamingStrategy", Group: groupRecords,
			Enum: []string{"io.debezium.schema.SchemaTopicNamingStrategy", "io.debezium.schema.DefaultTopicNamingStrategy"},
			Doc:  "Topics are named PREFIX.DATABASE.TABLE; other strategies are transforms here."},
		{Name: "topic.cache.size", Type: configs.Int, Default: "10000", Group: groupRecords, Notice: noEffect("names are made once for each table")},
		{Name: "schema.name.adjustment.mode", Type: configs.String, Default: "none", Enum: cdc.Adjustments(), Group: groupRecords, Doc: "How names of schemas are made fit for Avro."},
		{Name: "field.name.adjustment.mode", Type: configs.String, Default: "none", Enum: cdc.Adjustments(), Group: groupRecords, Doc: "How names of fields are made fit for Avro."},
		{Name: "extended.headers.enabled", Type: configs.Boolean, Default: "true", Group: groupRecords, Doc: "Gives each change the headers __debezium.context.…"},
		{Name: "heartbeat.interval.ms", Type: configs.Long, Default: "0", Min: "0", Importance: configs.Medium, Group: groupRecords,
			Doc: "Time between two heartbeat records; 0 is off. The source offset of an idle source moves on also without."},
		{Name: "heartbeat.action.query", Type: configs.String, Importance: configs.Low, Group: groupRecords, Doc: "SQL statement to run in the database at each heartbeat."},
		{Name: "topic.heartbeat.prefix", Type: configs.String, Default: "__debezium-heartbeat", Group: groupRecords, Aliases: []string{"heartbeat.topics.prefix"},
			Doc: "First part of the name of the heartbeat topic."},
		{Name: "topic.heartbeat.name", Type: configs.String, Group: groupRecords, Doc: "Whole name of the heartbeat topic."},
		{Name: "status.update.interval.ms", Type: configs.Long, Default: "10000", Min: "1", Importance: configs.Low, Group: groupRecords,
			Doc: "How often the source offset moves on while no captured table changes."},

		{Name: "event.processing.failure.handling.mode", Type: configs.String, Default: "fail", Enum: []string{"fail", "warn", "skip", "ignore"}, Group: groupErrors,
			Aliases: []string{"event.deserialization.failure.handling.mode"},
			Notice:  noEffect("a change that cannot be decoded always stops the task"), Doc: "Accepted for compatibility."},
		{Name: "event.converting.failure.handling.mode", Type: configs.String, Default: "fail", Enum: []string{"fail", "warn", "skip", "ignore"}, Group: groupErrors,
			Doc: "What to do with a value that its schema cannot hold (a time of 100 hours as a time of day): fail takes the whole change to the dead-letter topic or stops the task, warn and skip write null in its place."},
		{Name: "errors.max.retries", Type: configs.Int, Default: "-1", Group: groupErrors, Notice: noEffect("the hub restarts tasks with back-off")},
		{Name: "retriable.restart.connector.wait.ms", Type: configs.Long, Default: "10000", Group: groupErrors, Notice: noEffect("the hub restarts tasks with back-off")},

		{Name: "max.batch.size", Type: configs.Int, Default: "2048", Min: "1", Unit: "records", Group: groupTuning,
			Doc: "A batch ends when it has so many records, or about 1 MiB. The rows of one event of the log stay together."},
		{Name: "max.queue.size", Type: configs.Int, Default: "8192", Unit: "rows", Group: groupTuning, Notice: noEffect("memory is bounded in bytes")},
		{Name: "max.queue.size.in.bytes", Type: configs.Long, Default: "0", Unit: "bytes", Group: groupTuning, Notice: noEffect("memory is always bounded in bytes")},
		{Name: "poll.interval.ms", Type: configs.Long, Default: "500", Min: "1", Group: groupTuning, Notice: noEffect("changes are read as soon as they arrive")},
		{Name: "database.query.timeout.ms", Type: configs.Long, Default: "600000", Min: "0", Group: groupTuning, Doc: "Longest time for a query of the catalog; 0 is without limit."},
	}),
	Rules: append(cdc.OptionRules(), []configs.Rule{
		cdc.ColumnRulesHold(),
		configs.AtMostOne("database.ssl.ca", "database.ssl.truststore"),
		configs.AtMostOne("database.ssl.cert", "database.ssl.keystore"),
		configs.Requires("database.ssl.cert", "database.ssl.key"),
		configs.Requires("database.ssl.key", "database.ssl.cert"),
		cdc.SignalRules(),
		configs.AtMostOne("table.include.list", "table.exclude.list"),
		configs.AtMostOne("database.include.list", "database.exclude.list"),
		configs.AtMostOne("column.include.list", "column.exclude.list"),
		configs.AtMostOne("gtid.source.includes", "gtid.source.excludes"),
		configs.Check("each converter is there", []string{"converters"}, func(v configs.Values) []configs.Problem {
			var out []configs.Problem
			for _, name := range v.List("converters") {
				switch class := v.String(name + ".type"); class {
				case tinyToBoolean, tinyToBooleanBefore:
				default:
					out = append(out, configs.KeyError(name+".type", fmt.Sprintf("The converter %s has the type %q; there is %s only. Others are transforms here.", name, class, tinyToBoolean)))
				}
			}
			return out
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
