package mysql

import (
	"context"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// settings is a parsed configuration.
type settings struct {
	v      configs.Values
	flavor flavor
	prefix string
	naming cdc.Naming

	databases, tables, columns, sources cdc.Filter
	snapshotTables                      cdc.Patterns
	keys                                cdc.KeyColumns
	rules                               cdc.ColumnRules
	truths                              []truthRule
	skip                                map[cdc.Op]bool

	serverID          uint32
	maxBatch          int // records
	snapshotMode      string
	locking           string
	tombstones        bool
	unchangedToo      bool // false: leave out updates without a change
	convertFails      bool // false: null stands for what cannot be converted
	schemaChanges     bool
	query             bool
	heartbeat, status time.Duration
	signals           cdc.Table // the signal table; empty is none
	readOnly          bool      // watermarks are not written
	deleteMarks       bool      // but removed again
	values            valueModes
}

// valueModes are the settings that decide how values are written.
type valueModes struct {
	decimals        cdc.DecimalHandling
	times           cdc.TimePrecision
	binary          cdc.BinaryHandling
	unsignedPrecise bool
	comments        bool
	placeholder     []byte
}

// parse reads a configuration. Its error lists every problem and has the class config.
func parse(f flavor, config map[string]string) (*settings, error) {
	v, problems := configuration.Parse(config)
	if err := configs.Err(problems); err != nil {
		return nil, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	s := &settings{
		v: v, flavor: f, prefix: v.String("topic.prefix"),
		serverID: uint32(v.Long("database.server.id")), locking: v.String("snapshot.locking.mode"), maxBatch: v.Int("max.batch.size"),
		tombstones: v.Bool("tombstones.on.delete"), unchangedToo: !v.Bool("skip.messages.without.change"),
		convertFails:  v.String("event.converting.failure.handling.mode") == "fail",
		schemaChanges: v.Bool("include.schema.changes"), query: v.Bool("include.query"),
		heartbeat: v.Duration("heartbeat.interval.ms"), status: v.Duration("status.update.interval.ms"),
		readOnly: v.Bool("read.only"), deleteMarks: strings.EqualFold(v.String("incremental.snapshot.watermarking.strategy"), "INSERT_DELETE"),
		skip: map[cdc.Op]bool{},
		values: valueModes{
			decimals: cdc.DecimalHandling(v.String("decimal.handling.mode")), times: cdc.TimePrecision(v.String("time.precision.mode")),
			binary: cdc.BinaryHandling(v.String("binary.handling.mode")), unsignedPrecise: v.String("bigint.unsigned.handling.mode") == "precise",
			comments: v.Bool("include.schema.comments"), placeholder: placeholder(v.String("unavailable.value.placeholder")),
		},
	}
	switch s.snapshotMode = v.String("snapshot.mode"); s.snapshotMode {
	case "never", "schema_only":
		s.snapshotMode = "no_data"
	case "recovery", "schema_only_recovery":
		s.snapshotMode = "initial"
	}
	if slices.Contains(v.List("signal.enabled.channels"), "source") {
		s.signals.Schema, s.signals.Name, _ = strings.Cut(v.String("signal.data.collection"), ".")
	}
	if s.serverID == 0 {
		h := fnv.New32a()
		h.Write([]byte(s.prefix))
		s.serverID = h.Sum32()>>1 | 1<<30 // far from the numbers that people give
	}
	s.naming = cdc.Naming{Prefix: s.prefix, Delimiter: v.String("topic.delimiter"),
		Schemas: cdc.Adjustment(v.String("schema.name.adjustment.mode")), Fields: cdc.Adjustment(v.String("field.name.adjustment.mode"))}
	for _, op := range v.List("skipped.operations") {
		if op != "none" {
			s.skip[cdc.Op(op[0])] = true
		}
	}
	// The definition has checked these, so their errors cannot happen.
	list := func(key string) cdc.Patterns { p, _ := cdc.ParsePatterns(v.String(key)); return p }
	filter := func(name string) cdc.Filter {
		return cdc.Filter{Include: list(name + ".include.list"), Exclude: list(name + ".exclude.list")}
	}
	s.databases, s.tables, s.columns = filter("database"), filter("table"), filter("column")
	s.sources = cdc.Filter{Include: list("gtid.source.includes"), Exclude: list("gtid.source.excludes")}
	s.rules, _ = cdc.ParseColumnRules(config)
	s.parseTruth()
	s.snapshotTables = list("snapshot.include.collection.list")
	s.keys, _ = cdc.ParseKeyColumns(v.String("message.key.columns"))
	return s, nil
}

func placeholder(text string) []byte {
	if h, ok := strings.CutPrefix(text, "hex:"); ok {
		if b, err := hex.DecodeString(h); err == nil {
			return b
		}
	}
	return []byte(text)
}

// capturesDatabase reports whether tables of the database may be captured.
func (s *settings) capturesDatabase(name string) bool {
	switch strings.ToLower(name) {
	case "mysql", "information_schema", "performance_schema", "sys", "":
		return false
	}
	return s.databases.Allows(name)
}

// captures reports whether the table is one to capture: the signal table always is.
func (s *settings) captures(t cdc.Table) bool { return t == s.signals && t.Name != "" || s.listed(t) }

// listed reports whether the include and exclude lists name the table.
func (s *settings) listed(t cdc.Table) bool {
	return s.capturesDatabase(t.Schema) && s.tables.Allows(t.String())
}

// heartbeatTopic returns the name of the topic of heartbeats.
func (s *settings) heartbeatTopic() string {
	if name := s.v.String("topic.heartbeat.name"); name != "" {
		return name
	}
	return s.v.String("topic.heartbeat.prefix") + s.naming.Delimiter + s.prefix
}

// queryContext bounds a query of the catalog in time.
func (s *settings) queryContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := s.v.Duration("database.query.timeout.ms"); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return ctx, func() {}
}
