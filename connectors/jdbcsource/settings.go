package jdbcsource

import (
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// mode is how new rows are found.
type mode string

const (
	bulk                  mode = "bulk"
	incrementing          mode = "incrementing"
	timestamp             mode = "timestamp"
	timestampIncrementing mode = "timestamp+incrementing"
)

// stamped reports whether rows are found by a timestamp.
func (m mode) stamped() bool { return m == timestamp || m == timestampIncrementing }

// increments reports whether rows are found by a column that only grows.
func (m mode) increments() bool { return m == incrementing || m == timestampIncrementing }

// numerics is what becomes of numeric columns.
type numerics string

const (
	numericsDecimal       numerics = "none"
	numericsPrecision     numerics = "precision_only"
	numericsBestFit       numerics = "best_fit"
	numericsEagerlyDouble numerics = "best_fit_eager_double"
)

// granularity is what becomes of timestamp columns.
type granularity string

const (
	connectTimestamps granularity = "connect_logical"
	nanosLong         granularity = "nanos_long"
	nanosString       granularity = "nanos_string"
	nanosISO          granularity = "nanos_iso_datetime_string"
)

// settings are the configuration, typed.
type settings struct {
	address        sqldb.Address
	user, password string
	attempts       int
	attemptsPause  time.Duration

	filter filter

	mode        mode
	growing     string   // incrementing.column.name
	stamps      []string // timestamp.column.name
	initialID   int64
	initialTime *int64 // milliseconds; -1: now; nil: all
	nonNull     bool
	query       string
	suffix      string
	quoted      bool
	isolation   string // in SQL's words; "" is the database's own

	numerics    numerics
	granularity granularity
	zone        *time.Location

	prefix    string
	poll      time.Duration
	tablePoll time.Duration
	delay     time.Duration
	batchRows int
}

// parseSettings reads a configuration of the connector or of a task. The hub has validated it, so an error is rare and
// lists everything.
func parseSettings(config map[string]string) (settings, error) {
	v, problems := definition.Parse(config)
	err := configs.Err(problems)
	var a sqldb.Address
	if err == nil {
		a, err = sqldb.ParseURL(v.String(keyURL))
	}
	var zone *time.Location
	if err == nil {
		zone, err = sqldb.Zone(v.String(keyZone))
	}
	if err != nil {
		return settings{}, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	s := settings{
		address: a, user: v.String(keyUser), password: v.Password(keyPassword).Reveal(),
		attempts: v.Int("connection.attempts"), attemptsPause: v.Duration("connection.backoff.ms"),
		mode: mode(v.String(keyMode)), growing: v.String(keyIncrementing), stamps: v.List(keyTimestamp), initialID: v.Long("incrementing.initial"),
		nonNull: v.Bool("validate.non.null"), query: v.String(keyQuery), suffix: v.String("query.suffix"), quoted: v.String("quote.sql.identifiers") == "ALWAYS",
		numerics: numerics(v.String("numeric.mapping")), granularity: granularity(v.String("timestamp.granularity")), zone: zone,
		prefix: v.String(keyPrefix), poll: v.Duration("poll.interval.ms"), tablePoll: v.Duration("table.poll.interval.ms"),
		delay: v.Duration("timestamp.delay.interval.ms"), batchRows: v.Int("batch.max.rows"),
	}
	if s.user == "" {
		s.user = a.User
	}
	if s.password == "" {
		s.password = a.Password
	}
	if v.Has("timestamp.initial") {
		at := v.Long("timestamp.initial")
		s.initialTime = &at
	}
	if s.numerics == "" {
		s.numerics = numericsDecimal
		if v.Bool("numeric.precision.mapping") {
			s.numerics = numericsPrecision
		}
	}
	if level := v.String(keyIsolation); level != "DEFAULT" {
		s.isolation = strings.ReplaceAll(level, "_", " ")
	}
	s.filter = newFilter(v, a)
	return s, nil
}
