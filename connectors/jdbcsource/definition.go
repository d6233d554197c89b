package jdbcsource

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// Groups of keys, as in Confluent's documentation.
const (
	groupDatabase  = "Database"
	groupMode      = "Mode"
	groupConnector = "Connector"
)

// Keys that are named more than once.
const (
	keyURL          = "connection.url"
	keyUser         = "connection.user"
	keyPassword     = "connection.password"
	keyMode         = "mode"
	keyIncrementing = "incrementing.column.name"
	keyTimestamp    = "timestamp.column.name"
	keyQuery        = "query"
	keyWhitelist    = "table.whitelist"
	keyBlacklist    = "table.blacklist"
	keyPrefix       = "topic.prefix"
	keyZone         = "db.timezone"
	keyIsolation    = "transaction.isolation.mode"
	keyTypes        = "table.types"
)

// definition declares the keys of Confluent's source, and two that only Aiven's has.
var definition = &configs.Definition{
	Keys: []configs.Key{
		{Name: keyURL, Type: configs.String, Required: true, Importance: configs.High, Group: groupDatabase, Width: configs.WidthLong, DisplayName: "JDBC URL",
			Example: "jdbc:postgresql://localhost:5432/shop", Check: checkURL, Dependents: []string{keyWhitelist, keyBlacklist},
			Doc: "Address of the database: jdbc:postgresql, jdbc:mysql, jdbc:mariadb or jdbc:sqlite, as a JDBC driver takes it, or the same without jdbc:. Put the password into connection.password, which is never shown."},
		{Name: keyUser, Type: configs.String, Importance: configs.High, Group: groupDatabase, DisplayName: "JDBC User", Doc: "User to connect as."},
		{Name: keyPassword, Type: configs.Password, Importance: configs.High, Group: groupDatabase, DisplayName: "JDBC Password", Doc: "The user's password."},
		{Name: "connection.attempts", Type: configs.Int, Default: "3", Min: "1", Importance: configs.Low, Group: groupDatabase, DisplayName: "JDBC connection attempts",
			Doc: "How often connecting is tried before a start fails."},
		{Name: "connection.backoff.ms", Type: configs.Long, Default: "10000", Min: "0", Unit: "ms", Importance: configs.Low, Group: groupDatabase,
			DisplayName: "JDBC connection backoff", Doc: "Wait between two attempts to connect."},
		{Name: keyWhitelist, Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupDatabase, DisplayName: "Table Whitelist",
			Example: "customers,public.orders", Doc: "Tables to read, by name, SCHEMA.NAME or CATALOG.SCHEMA.NAME. Empty means all of the table types that the user sees."},
		{Name: keyBlacklist, Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupDatabase, DisplayName: "Table Blacklist",
			Doc: "Tables not to read, named as in table.whitelist."},
		{Name: "catalog.pattern", Type: configs.String, Importance: configs.Medium, Group: groupDatabase, DisplayName: "Catalog pattern",
			Doc: "Catalogs to look for tables in, as a pattern of LIKE: MySQL's and MariaDB's databases. Unset means the database of connection.url, or all if it has none."},
		{Name: "schema.pattern", Type: configs.String, Importance: configs.High, Group: groupDatabase, DisplayName: "Schema pattern",
			Doc: "Schemas to look for tables in, as a pattern of LIKE. Unset means all but the system's."},
		{Name: "numeric.precision.mapping", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupDatabase, DisplayName: "Map Numeric Values By Precision (deprecated)",
			Doc: "Older spelling of numeric.mapping=precision_only, without effect where numeric.mapping is set."},
		{Name: "numeric.mapping", Type: configs.String, Enum: []string{"none", "precision_only", "best_fit", "best_fit_eager_double"}, Importance: configs.Low, Group: groupDatabase,
			DisplayName: "Map Numeric Values, Integral or Decimal, By Precision and Scale",
			Doc:         "What numeric columns become: none leaves them decimals; precision_only makes integers of those without scale that fit; best_fit also floats of those with a scale and up to 18 digits; best_fit_eager_double floats of all with a scale."},
		{Name: "dialect.name", Type: configs.String, DefaultEmpty: true, Importance: configs.Low, Group: groupDatabase, DisplayName: "Database Dialect",
			Notice: "dialect.name has no effect: the dialect is that of connection.url."},

		{Name: keyMode, Type: configs.String, Required: true, Enum: []string{string(bulk), string(timestamp), string(incrementing), string(timestampIncrementing)},
			Importance: configs.High, Group: groupMode, DisplayName: "Table Loading Mode", Dependents: []string{keyIncrementing, keyTimestamp, "validate.non.null"},
			Doc: "How changes are found: bulk reads whole tables at each poll; incrementing finds new rows by a column that only grows; timestamp finds new and changed rows by a column that each write sets; timestamp+incrementing does so by both, and so tells rows of the same timestamp apart."},
		{Name: keyIncrementing, Type: configs.String, DefaultEmpty: true, Importance: configs.Medium, Group: groupMode, DisplayName: "Incrementing Column Name",
			Doc: "The column that only grows. Empty means the column that the database numbers by itself."},
		{Name: "incrementing.initial", Type: configs.Long, Default: "-1", Importance: configs.Low, Group: groupMode, DisplayName: "Incrementing Column Initial Value",
			Doc: "Rows above this value are read, when there is no source offset yet."},
		{Name: keyTimestamp, Type: configs.List, DefaultEmpty: true, Importance: configs.Medium, Group: groupMode, DisplayName: "Timestamp Column Name",
			Doc: "The columns that say when a row was written; the first that is not null counts. At least one should not be nullable."},
		{Name: "timestamp.initial", Aliases: []string{"timestamp.initial.ms"}, Type: configs.Long, Importance: configs.Low, Group: groupMode, Unit: "ms",
			DisplayName: "Unix time value of initial timestamp", Doc: "Rows behind this time (milliseconds since 1970) are read, when there is no source offset yet; -1 is now. Unset means all."},
		{Name: "validate.non.null", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupMode, DisplayName: "Validate Non Null",
			Doc: "Whether tables are refused whose incrementing column is nullable, or all of whose timestamp columns are. A row that is null there is never read."},
		{Name: keyQuery, Type: configs.String, DefaultEmpty: true, Importance: configs.Medium, Group: groupMode, DisplayName: "Query",
			Doc: "A SELECT to read instead of tables. The conditions of the mode are put behind it, so it must take a WHERE, unless the mode is bulk."},
		{Name: "query.suffix", Type: configs.String, DefaultEmpty: true, Importance: configs.Low, Group: groupMode, DisplayName: "Query suffix",
			Doc: "Text to put behind each query. A LIMIT here loses rows of the same timestamp in mode timestamp."},
		{Name: "quote.sql.identifiers", Type: configs.String, Default: "ALWAYS", Enum: []string{"ALWAYS", "NEVER"}, Importance: configs.Medium, Group: groupMode,
			DisplayName: "Quote Identifiers", Doc: "Whether tables and columns stand in quotes in queries."},
		{Name: keyIsolation, Type: configs.String, Default: "DEFAULT", Enum: []string{"DEFAULT", "READ_UNCOMMITTED", "READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE", "SQL_SERVER_SNAPSHOT"},
			Importance: configs.Low, Group: groupMode, DisplayName: "Transaction Isolation Mode", Doc: "Isolation level of the queries; DEFAULT is the database's."},
		{Name: "query.retry.attempts", Type: configs.Int, Default: "-1", Importance: configs.Low, Group: groupMode, DisplayName: "Query Retry Attempts",
			Notice: "query.retry.attempts has no effect: a query is tried again until the database answers, and the trouble shows in the status."},

		{Name: keyTypes, Type: configs.List, Default: "TABLE", Importance: configs.Low, Group: groupConnector, DisplayName: "Table Types", Check: checkTypes,
			Doc: "What counts as a table: " + strings.Join(tableTypes(), ", ") + "."},
		{Name: "poll.interval.ms", Type: configs.Int, Default: "5000", Min: "1", Unit: "ms", Importance: configs.High, Group: groupConnector, DisplayName: "Poll Interval (ms)",
			Doc: "How long a table is left alone after its rows were read."},
		{Name: "batch.max.rows", Type: configs.Int, Default: "1000", Min: "1", Max: "1000000", Unit: "rows", Importance: configs.Low, Group: groupConnector, DisplayName: "Max Rows Per Batch",
			Doc: "Largest number of rows handed on at once. A batch also ends at about 1 MiB."},
		{Name: "table.poll.interval.ms", Type: configs.Long, Default: "60000", Min: "1", Unit: "ms", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Metadata Change Monitoring Interval (ms)", Doc: "How often new and dropped tables are looked for."},
		{Name: keyPrefix, Type: configs.String, DefaultEmpty: true, Importance: configs.High, Group: groupConnector, DisplayName: "Topic Prefix", Check: checkPrefix,
			Example: "shop-", Doc: "First part of the topics' names; the table's name follows. With query it is the whole name."},
		{Name: "timestamp.delay.interval.ms", Type: configs.Long, Default: "0", Min: "0", Unit: "ms", Importance: configs.High, Group: groupConnector, DisplayName: "Delay Interval (ms)",
			Doc: "How old a timestamp must be before its row is read, so that transactions with older timestamps have the time to commit. What commits later is never read."},
		{Name: keyZone, Type: configs.String, Default: "UTC", Importance: configs.Medium, Group: groupConnector, DisplayName: "DB time zone", Check: sqldb.CheckZone,
			Doc: "Zone of timestamps that have none: PostgreSQL's timestamp, MySQL's datetime."},
		{Name: "timestamp.granularity", Type: configs.String, Default: "connect_logical", Enum: []string{"connect_logical", "nanos_long", "nanos_string", "nanos_iso_datetime_string"},
			Importance: configs.Low, Group: groupConnector, DisplayName: "Timestamp granularity for timestamp columns",
			Doc: "What timestamp columns become: Connect's Timestamp of milliseconds, or nanoseconds since 1970 as int64 or text, or YYYY-MM-DDThh:mm:ss.nnnnnnnnn in db.timezone."},
	},
	Rules: []configs.Rule{
		configs.AtMostOne(keyWhitelist, keyBlacklist),
		configs.Check("a query has no tables to choose, and names the whole topic", []string{keyQuery, keyWhitelist, keyBlacklist, keyPrefix}, checkQuery),
		configs.Check("each mode has its columns", []string{keyMode, keyIncrementing, keyTimestamp, keyQuery}, checkColumns),
		configs.Check("SQL Server is not read", []string{keyIsolation}, checkIsolation),
		configs.Check("SQLite's timestamps are UTC", []string{keyURL, keyZone}, checkSQLite),
	},
}

func checkURL(text string) error {
	_, err := sqldb.ParseURL(text)
	return err
}

func checkTypes(list string) error {
	known := tableTypes()
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.ToUpper(strings.TrimSpace(name)); !slices.Contains(known, name) && !slices.Contains(foreignTypes(), name) {
			return errors.New("must be of " + strings.Join(known, ", "))
		}
	}
	return nil
}

// topicText is what may be in a topic's name (Kafka's rule).
var topicText = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)

func checkPrefix(prefix string) error {
	if len(prefix) > 249 || !topicText.MatchString(prefix) {
		return errors.New("must be at most 249 letters, digits, '.', '_' and '-'")
	}
	return nil
}

func checkQuery(v configs.Values) []configs.Problem {
	if v.String(keyQuery) == "" {
		return nil
	}
	var problems []configs.Problem
	for _, key := range []string{keyWhitelist, keyBlacklist} {
		if len(v.List(key)) > 0 {
			problems = append(problems, configs.KeyError(key, key+" chooses tables, and "+keyQuery+" reads none: remove one of them"))
		}
	}
	if v.String(keyPrefix) == "" {
		problems = append(problems, configs.KeyError(keyPrefix, keyPrefix+" is the whole name of the topic of a query, so it must not be empty"))
	}
	return problems
}

func checkColumns(v configs.Values) []configs.Problem {
	var problems []configs.Problem
	m := mode(v.String(keyMode))
	given := map[string]bool{keyIncrementing: v.String(keyIncrementing) != "", keyTimestamp: len(v.List(keyTimestamp)) > 0}
	if m.stamped() && !given[keyTimestamp] {
		problems = append(problems, configs.KeyError(keyTimestamp, fmt.Sprintf("%s=%s needs %s", keyMode, m, keyTimestamp)))
	}
	if m.increments() && !given[keyIncrementing] && v.String(keyQuery) != "" {
		problems = append(problems, configs.KeyError(keyIncrementing, fmt.Sprintf("%s=%s with a %s needs %s: it cannot be found by itself there", keyMode, m, keyQuery, keyIncrementing)))
	}
	if m != "" && !m.stamped() && given[keyTimestamp] {
		problems = append(problems, configs.KeyWarning(keyTimestamp, fmt.Sprintf("%s has no effect with %s=%s", keyTimestamp, keyMode, m)))
	}
	if m != "" && !m.increments() && given[keyIncrementing] {
		problems = append(problems, configs.KeyWarning(keyIncrementing, fmt.Sprintf("%s has no effect with %s=%s", keyIncrementing, keyMode, m)))
	}
	return problems
}

func checkIsolation(v configs.Values) []configs.Problem {
	if v.String(keyIsolation) != "SQL_SERVER_SNAPSHOT" {
		return nil
	}
	return []configs.Problem{configs.KeyError(keyIsolation, "SQL_SERVER_SNAPSHOT is SQL Server's, which is not read here")}
}

func checkSQLite(v configs.Values) []configs.Problem {
	a, err := sqldb.ParseURL(v.String(keyURL))
	if err != nil || a.Kind != sqldb.SQLite {
		return nil
	}
	if zone, err := sqldb.Zone(v.String(keyZone)); err != nil || zone == time.UTC {
		return nil // a wrong name has its own error
	}
	return []configs.Problem{configs.KeyError(keyZone, "SQLite's timestamps are UTC: "+keyZone+" must be UTC")}
}
