package jdbc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// Groups of keys, as in Confluent's documentation.
const (
	groupConnection = "Connection"
	groupWrites     = "Writes"
	groupMapping    = "Data Mapping"
	groupDDL        = "DDL Support"
	groupRetries    = "Retries"
)

// passthroughNaming is the class of Debezium's that names tables as topics.
const passthroughNaming = "io.debezium.sink.naming.PassthroughCollectionNamingStrategy"

// definition declares the keys of the three sinks that people come from. Confluent's name is the key's, Aiven has the
// same, Debezium's is an alias where it means the same. Where a default differs between them, settings.go decides by
// the connector's class.
var definition = &configs.Definition{
	Keys: []configs.Key{
		{Name: "connection.url", Type: configs.String, Required: true, Importance: configs.High, Group: groupConnection, Width: configs.WidthLong,
			DisplayName: "JDBC URL", Example: "jdbc:postgresql://localhost:5432/warehouse", Check: checkURL,
			Doc: "Address of the database: jdbc:postgresql, jdbc:mysql, jdbc:mariadb or jdbc:sqlite, as a JDBC driver takes it, or the same without jdbc:. Put the password into connection.password, which is never shown."},
		{Name: "connection.user", Aliases: []string{"connection.username"}, Type: configs.String, Importance: configs.High, Group: groupConnection,
			DisplayName: "JDBC User", Doc: "User to connect as."},
		{Name: "connection.password", Type: configs.Password, Importance: configs.High, Group: groupConnection, DisplayName: "JDBC Password", Doc: "The user's password."},
		{Name: "dialect.name", Type: configs.String, Importance: configs.Low, Group: groupConnection, DisplayName: "Database Dialect",
			Notice: "dialect.name has no effect: the dialect is that of connection.url.", Doc: "Confluent's choice of a dialect."},
		{Name: "connection.attempts", Type: configs.Int, Default: "3", Min: "1", Importance: configs.Low, Group: groupConnection, DisplayName: "Connection Attempts",
			Doc: "How often connecting is tried before a start fails."},
		{Name: "connection.backoff.ms", Type: configs.Long, Default: "1000", Min: "0", Importance: configs.Low, Group: groupConnection, DisplayName: "Connection Backoff",
			Doc: "Wait between two attempts to connect."},
		{Name: "connection.lanes", Type: configs.Int, Default: "4", Min: "1", Max: fmt.Sprint(slots), Importance: configs.Medium, Group: groupConnection,
			DisplayName: "Lanes", Doc: "Connections that a task writes on at once, each with the rows of its own keys. Rows of one key keep their order. SQLite has one."},

		{Name: "insert.mode", Type: configs.String, Default: "insert", Enum: []string{"insert", "upsert", "update", "multi"}, Importance: configs.High, Group: groupWrites,
			DisplayName: "Insert Mode", Doc: "How rows are written: upsert is an insert, or an update of the row with the same key; update leaves keys alone that are not there; multi is Aiven's name for insert."},
		{Name: "batch.size", Type: configs.Int, Default: "20000", Min: "1", Max: "1000000", Importance: configs.Medium, Group: groupWrites, DisplayName: "Batch Size",
			Unit: "rows", Doc: "Rows that are written at once at most, by all lanes together. While the database is busy the next batch grows to this size."},
		{Name: "batch.bytes", Type: configs.Int, Default: "16777216", Min: "1024", Unit: "bytes", Importance: configs.Low, Group: groupWrites, DisplayName: "Batch Bytes",
			Doc: "Bytes of rows that are written at once at most. Twice this is what a task keeps in memory."},
		{Name: "linger.ms", Type: configs.Long, Default: "10", Min: "0", Importance: configs.Low, Group: groupWrites, DisplayName: "Linger",
			Doc: "How long rows wait for others to share a transaction, when the database is idle."},
		{Name: "delete.enabled", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupWrites, DisplayName: "Enable Deletes",
			Doc: "Whether a tombstone, and a delete in a change event, deletes the row with its key. Needs pk.mode=record_key."},
		{Name: "truncate.enabled", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupWrites, DisplayName: "Enable Truncates",
			Doc: "Whether a change event of a TRUNCATE empties the table."},
		{Name: "delivery.guarantee", Type: configs.String, Default: "auto", Enum: []string{"auto", "exactly_once", "at_least_once"}, Importance: configs.Medium, Group: groupWrites,
			DisplayName: "Delivery Guarantee", Doc: "exactly_once keeps the task's positions in the table _sluice_offsets of the database, written in the same transaction as the rows. auto does so if the user may create that table or it is there, and says in the log when it cannot."},

		{Name: "table.name.format", Type: configs.String, Default: "${topic}", Importance: configs.Medium, Group: groupMapping, DisplayName: "Table Name Format",
			Doc: "Name of the table: ${topic}, and of a change event ${source.db}, ${source.schema}, ${source.table}. A dot parts schema and table."},
		{Name: "collection.name.format", Type: configs.String, Importance: configs.Medium, Group: groupMapping, DisplayName: "Collection Name Format",
			Doc: "Debezium's name of the table, as table.name.format, but dots of the topic become underscores."},
		{Name: "topics.to.tables.mapping", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupMapping, DisplayName: "Topics To Tables Mapping",
			Example: "orders:shop.orders", Check: checkMapping, Doc: "Pairs topic:table, which take precedence over the formats."},
		{Name: "pk.mode", Aliases: []string{"primary.key.mode"}, Type: configs.String, Default: "none", Enum: []string{"none", "kafka", "record_key", "record_value", "record_header"},
			Importance: configs.High, Group: groupMapping, DisplayName: "Primary Key Mode",
			Doc: "Where the primary key is from: nowhere, topic, partition and offset of the record, fields of its key, fields of its value, or its headers."},
		{Name: "pk.fields", Aliases: []string{"primary.key.fields"}, Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupMapping,
			DisplayName: "Primary Key Fields", Doc: "Columns of the primary key. Empty means all fields of the key or value, all headers, or __connect_topic, __connect_partition, __connect_offset. A key that is not a struct needs the one name of its column."},
		{Name: "fields.whitelist", Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupMapping, DisplayName: "Fields Whitelist",
			Doc: "Fields of the value that become columns besides the key; empty means all."},
		{Name: "field.include.list", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupMapping, DisplayName: "Field Include List",
			Doc: "Debezium's whitelist: FIELD, or TOPIC:FIELD for one topic."},
		{Name: "field.exclude.list", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupMapping, DisplayName: "Field Exclude List",
			Doc: "Fields that become no columns: FIELD, or TOPIC:FIELD for one topic."},
		{Name: "replace.null.with.default", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupMapping, DisplayName: "Replace Null With Default",
			Doc: "Whether a null becomes the default of its schema. Confluent's default is true, which changes rows whose column is null and has a default."},
		{Name: "unavailable.value.placeholder", Type: configs.String, Default: "__debezium_unavailable_value", Importance: configs.Low, Group: groupMapping,
			DisplayName: "Unavailable Value Placeholder", Doc: "What Debezium writes for a large value that a change did not touch. Such a column keeps what it has."},
		{Name: "db.timezone", Aliases: []string{"use.time.zone", "database.time_zone"}, Type: configs.String, Default: "UTC", Importance: configs.Low, Group: groupMapping, DisplayName: "DB Time Zone",
			Example: "Europe/Paris", Check: sqldb.CheckZone, Doc: "Zone in which instants are written into columns that have none: io.debezium.time.ZonedTimestamp, and Connect's Timestamp but for Debezium's class. Timestamps without a zone are written as they are."},
		{Name: "date.timezone", Type: configs.String, Enum: []string{"DB_TIMEZONE", "UTC"}, Importance: configs.Low, Group: groupMapping, DisplayName: "Date Time Zone",
			Notice: "date.timezone has no effect: a date is written as it is, whatever db.timezone is.", Doc: "Confluent's choice whether db.timezone moves dates to the day before."},
		{Name: "timestamp.fields.list", Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupMapping, DisplayName: "Timestamp Fields List",
			Doc: "Fields of the value that are timestamps, though their schema does not say so: int64 and text of so many microseconds or nanoseconds since 1970, by timestamp.precision.mode, or text as YYYY-MM-DDThh:mm:ss.nnnnnnnnn in db.timezone."},
		{Name: "timestamp.precision.mode", Type: configs.String, Default: "microseconds", Enum: []string{"microseconds", "nanoseconds"}, Importance: configs.Medium,
			Group: groupMapping, DisplayName: "Timestamp Precision Mode", Doc: "Unit of the numbers in the fields of timestamp.fields.list."},
		{Name: "collection.naming.strategy", Aliases: []string{"table.naming.strategy"}, Type: configs.String, Importance: configs.Low, Group: groupMapping,
			DisplayName: "Collection Naming Strategy", Check: checkClass("tables are named by collection.name.format, and the transform org.apache.kafka.connect.transforms.RegexRouter changes the topic in it",
				"io.debezium.sink.naming.DefaultCollectionNamingStrategy", passthroughNaming, "io.debezium.connector.jdbc.naming.DefaultCollectionNamingStrategy", "io.debezium.connector.jdbc.naming.DefaultTableNamingStrategy"),
			Doc: "Debezium's class that names tables: its default, which is what collection.name.format says, or PassthroughCollectionNamingStrategy, which leaves the dots of the topic."},
		{Name: "column.naming.strategy", Type: configs.String, Importance: configs.Low, Group: groupMapping, DisplayName: "Column Naming Strategy",
			Check: checkClass("columns are named as the fields, which the transform org.apache.kafka.connect.transforms.ReplaceField$Value renames",
				"io.debezium.sink.naming.DefaultColumnNamingStrategy", "io.debezium.connector.jdbc.naming.DefaultColumnNamingStrategy"),
			Doc: "Debezium's class that names columns: only its default, the fields' names."},

		{Name: "auto.create", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupDDL, DisplayName: "Auto-Create",
			Doc: "Whether a table that is not there is made from the record's schema."},
		{Name: "auto.evolve", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupDDL, DisplayName: "Auto-Evolve",
			Doc: "Whether columns that the table lacks are added. Nothing is ever dropped or changed."},
		{Name: "schema.evolution", Type: configs.String, Enum: []string{"none", "validate-only", "basic"}, Importance: configs.Medium, Group: groupDDL, DisplayName: "Schema Evolution",
			Doc: "Debezium's switch for both: basic creates tables and adds columns."},
		{Name: "quote.sql.identifiers", Type: configs.String, Default: "ALWAYS", Enum: []string{"ALWAYS", "NEVER"}, Importance: configs.Low, Group: groupDDL,
			DisplayName: "Quote Identifiers", Doc: "NEVER names tables and columns as the database does without quotes: PostgreSQL in lower case."},
		{Name: "quote.identifiers", Type: configs.Boolean, Importance: configs.Low, Group: groupDDL, DisplayName: "Quote Identifiers (Debezium)",
			Doc: "Debezium's switch for the same; there the default is false."},

		{Name: "max.retries", Aliases: []string{"flush.max.retries"}, Type: configs.Int, Default: "10", Min: "0", Importance: configs.Low, Group: groupRetries, DisplayName: "Maximum Retries",
			Doc: "How often a write is tried again before the trouble shows in the status, at the latest after 3 seconds. It is tried until the database takes it."},
		{Name: "retry.backoff.ms", Aliases: []string{"flush.retry.delay.ms"}, Type: configs.Long, Default: "200", Min: "0", Importance: configs.Low, Group: groupRetries,
			DisplayName: "Retry Backoff", Doc: "Wait before the first retry; it doubles with each, up to 10 seconds."},

		inert("use.reduction.buffer", configs.Boolean, "the last change of a key in a batch stands for all of them, always"),
		inert("connection.pool.min_size", configs.Int, "connection.lanes says how many connections a task has"),
		inert("connection.pool.max_size", configs.Int, "connection.lanes says how many connections a task has"),
		inert("connection.pool.acquire_increment", configs.Int, "connection.lanes says how many connections a task has"),
		inert("connection.pool.timeout", configs.Int, "connection.lanes says how many connections a task has"),
		inert("connection.restart.on.errors", configs.Boolean, "a broken connection is always made again"),
		inert("dialect.postgres.unnest.insert.enabled", configs.Boolean, "arrays or COPY are chosen by the size of a batch"),
		inert("dialect.postgres.postgis.schema", configs.String, "a geometry is cast to its column's type, which the catalog names with its schema"),
		inert("table.types", configs.List, "tables, partitioned tables and views are all written to"),
		inert("connection.provider", configs.String, "it names a part of Hibernate"),
	},
	Rules: []configs.Rule{
		configs.Check("deletes need a key", []string{"delete.enabled", "pk.mode"}, func(v configs.Values) []configs.Problem {
			if v.Bool("delete.enabled") && v.String("pk.mode") != "record_key" {
				return []configs.Problem{configs.KeyError("delete.enabled", "delete.enabled=true needs pk.mode=record_key: a tombstone has nothing but its key to delete by")}
			}
			return nil
		}),
		configs.Check("upsert and update need a key", []string{"insert.mode", "pk.mode"}, func(v configs.Values) []configs.Problem {
			mode := v.String("insert.mode")
			if (mode == "upsert" || mode == "update") && v.String("pk.mode") == "none" {
				return []configs.Problem{configs.KeyError("pk.mode", "insert.mode="+mode+" needs a primary key: set pk.mode to record_key, record_value or kafka")}
			}
			return nil
		}),
		configs.Check("a key of topic, partition and offset has three columns", []string{"pk.mode", "pk.fields"}, func(v configs.Values) []configs.Problem {
			if n := len(v.List("pk.fields")); v.String("pk.mode") == "kafka" && n != 0 && n != 3 {
				return []configs.Problem{configs.KeyError("pk.fields", "pk.mode=kafka needs no pk.fields, or three: the columns for topic, partition and offset")}
			}
			return nil
		}),
	},
}

// inert declares a key that needs no obeying.
func inert(name string, t configs.Type, why string) configs.Key {
	return configs.Key{Name: name, Type: t, Importance: configs.Low, Group: groupConnection, Notice: name + " has no effect: " + why + "."}
}

func checkURL(text string) error {
	_, err := sqldb.ParseURL(text)
	return err
}

// checkMapping accepts a list of topic:table.
func checkMapping(list string) error {
	if list == "" {
		return nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		topic, table, ok := strings.Cut(pair, ":")
		if !ok || strings.TrimSpace(topic) == "" || strings.TrimSpace(table) == "" {
			return errors.New("must be pairs topic:table")
		}
	}
	return nil
}

// checkClass accepts the names of classes whose behaviour is built in. Others would be programs of the user's.
func checkClass(instead string, known ...string) func(string) error {
	return func(class string) error {
		if class == "" || slices.Contains(known, class) {
			return nil
		}
		return errors.New("must be " + strings.Join(known, " or ") + ": other classes are programs for Java; " + instead)
	}
}
