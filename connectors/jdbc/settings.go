package jdbc

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// insertMode is how rows are written.
type insertMode string

const (
	modeInsert insertMode = "insert"
	modeUpsert insertMode = "upsert"
	modeUpdate insertMode = "update"
)

// keyMode is where the primary key of a row is from.
type keyMode string

const (
	keyNone   keyMode = "none"
	keyKafka  keyMode = "kafka"
	keyRecord keyMode = "record_key"
	keyValue  keyMode = "record_value"
	keyHeader keyMode = "record_header"
)

// guarantee is the wish of delivery.guarantee.
type guarantee string

const (
	guaranteeAuto  guarantee = "auto"
	guaranteeOnce  guarantee = "exactly_once"
	guaranteeLeast guarantee = "at_least_once"
)

// settings are the configuration, typed.
type settings struct {
	address        sqldb.Address
	user, password string

	mode          insertMode
	keys          keyMode
	headers       bool // the record's key is made of its headers
	keyFields     []string
	deletes       bool
	truncates     bool
	guarantee     guarantee
	create        bool
	evolve        bool
	quoted        bool // identifiers keep their case
	debezium      bool // the configuration is one of Debezium's sink
	tableFormat   string
	underscores   bool // dots of the topic become underscores
	tables        map[string]string
	include       []string
	exclude       []string
	nullDefaults  bool
	placeholder   string
	stamps        []string       // fields that are timestamps, whatever their schema says
	perSecond     int            // units of those in a second
	zone          *time.Location // of instants in columns without a zone; nil is UTC
	lanes         int
	batchRows     int
	batchBytes    int
	linger        time.Duration
	maxRetries    int
	retryBackoff  time.Duration
	attempts      int
	attemptsPause time.Duration
}

// parseSettings reads a task's configuration. The hub has validated it, so an error is rare and lists everything.
func parseSettings(config map[string]string) (settings, error) {
	v, problems := definition.Parse(config)
	err := configs.Err(problems)
	var a sqldb.Address
	if err == nil {
		a, err = sqldb.ParseURL(v.String("connection.url"))
	}
	if err != nil {
		return settings{}, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	s := settings{
		address: a, user: v.String("connection.user"), password: v.Password("connection.password").Reveal(),
		mode: insertMode(v.String("insert.mode")), keys: keyMode(v.String("pk.mode")), keyFields: v.List("pk.fields"),
		deletes: v.Bool("delete.enabled"), truncates: v.Bool("truncate.enabled"), guarantee: guarantee(v.String("delivery.guarantee")),
		create: v.Bool("auto.create"), evolve: v.Bool("auto.evolve"), quoted: v.String("quote.sql.identifiers") == "ALWAYS",
		debezium:    strings.HasPrefix(config["connector.class"], "io.debezium."),
		tableFormat: v.String("table.name.format"), tables: map[string]string{},
		include: slices.Concat(v.List("fields.whitelist"), v.List("field.include.list")), exclude: v.List("field.exclude.list"),
		nullDefaults: v.Bool("replace.null.with.default"), placeholder: v.String("unavailable.value.placeholder"),
		stamps: v.List("timestamp.fields.list"), perSecond: 1e6,
		lanes: v.Int("connection.lanes"), batchRows: v.Int("batch.size"), batchBytes: v.Int("batch.bytes"), linger: v.Duration("linger.ms"),
		maxRetries: v.Int("max.retries"), retryBackoff: v.Duration("retry.backoff.ms"),
		attempts: v.Int("connection.attempts"), attemptsPause: v.Duration("connection.backoff.ms"),
	}
	if s.user == "" {
		s.user = a.User
	}
	if s.password == "" {
		s.password = a.Password
	}
	if s.keys == keyHeader {
		s.keys, s.headers = keyRecord, true
	}
	if zone, err := sqldb.Zone(v.String("db.timezone")); err == nil && zone != time.UTC {
		s.zone = zone
	}
	if v.String("timestamp.precision.mode") == "nanoseconds" {
		s.perSecond = 1e9
	}
	if s.mode == "multi" {
		s.mode = modeInsert
	}
	if s.address.Kind == sqldb.SQLite {
		s.lanes = 1
	}
	switch v.String("schema.evolution") {
	case "basic":
		s.create, s.evolve = true, true
	case "none", "validate-only":
		s.create, s.evolve = false, false
	}
	switch {
	case v.Has("quote.identifiers"):
		s.quoted = v.Bool("quote.identifiers")
	case s.debezium && !v.Has("quote.sql.identifiers"):
		s.quoted = false
	}
	s.underscores = s.debezium
	if format := v.String("collection.name.format"); format != "" {
		s.tableFormat, s.underscores = format, true
	}
	if v.String("collection.naming.strategy") == passthroughNaming {
		s.underscores = false
	}
	for _, pair := range v.List("topics.to.tables.mapping") {
		topic, table, _ := strings.Cut(pair, ":")
		s.tables[strings.TrimSpace(topic)] = strings.TrimSpace(table)
	}
	return s, nil
}

// wants reports whether a field of a topic's values becomes a column.
func (s *settings) wants(topic, field string) bool {
	if len(s.include) > 0 && !slices.Contains(s.include, field) && !slices.Contains(s.include, topic+":"+field) {
		return false
	}
	return !slices.Contains(s.exclude, field) && !slices.Contains(s.exclude, topic+":"+field)
}
