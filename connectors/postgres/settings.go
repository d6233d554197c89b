package postgres

import (
	"context"
	"encoding/hex"
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
	prefix string
	naming cdc.Naming

	schemas, tables, columns, messages cdc.Filter
	snapshotTables                     cdc.Patterns
	keys                               cdc.KeyColumns
	rules                              cdc.ColumnRules
	skip                               map[cdc.Op]bool

	maxBatch          int // records
	slot, publication string
	snapshotMode      string
	tombstones        bool
	unchangedToo      bool // false: leave out updates without a change
	convertFails      bool // false: null stands for what cannot be converted
	manualFlush       bool
	heartbeat, status time.Duration
	signals           cdc.Table // the signal table; empty is none
	readOnly          bool      // watermarks are not written
	deleteMarks       bool      // but removed again
	values            valueModes
}

// valueModes are the settings that decide how values are written.
type valueModes struct {
	decimals    cdc.DecimalHandling
	times       cdc.TimePrecision
	binary      cdc.BinaryHandling
	hstoreMap   bool
	intervalISO bool
	moneyDigits int
	unknownToo  bool
	comments    bool
	placeholder []byte
}

// parse reads a configuration. Its error lists every problem and has the class config.
func parse(config map[string]string) (*settings, error) {
	v, problems := definition.Parse(config)
	if err := configs.Err(problems); err != nil {
		return nil, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	s := &settings{
		v: v, prefix: v.String("topic.prefix"),
		maxBatch: v.Int("max.batch.size"),
		slot:     v.String("slot.name"), publication: v.String("publication.name"), snapshotMode: v.String("snapshot.mode"),
		tombstones: v.Bool("tombstones.on.delete"), unchangedToo: !v.Bool("skip.messages.without.change"),
		convertFails: v.String("event.converting.failure.handling.mode") == "fail",
		manualFlush:  v.String("lsn.flush.mode") == "manual" || !v.Bool("flush.lsn.source"),
		heartbeat:    v.Duration("heartbeat.interval.ms"), status: v.Duration("status.update.interval.ms"),
		readOnly: v.Bool("read.only"), deleteMarks: strings.EqualFold(v.String("incremental.snapshot.watermarking.strategy"), "INSERT_DELETE"),
		skip: map[cdc.Op]bool{},
		values: valueModes{
			decimals: cdc.DecimalHandling(v.String("decimal.handling.mode")), times: cdc.TimePrecision(v.String("time.precision.mode")),
			binary: cdc.BinaryHandling(v.String("binary.handling.mode")), hstoreMap: v.String("hstore.handling.mode") == "map",
			intervalISO: v.String("interval.handling.mode") == "string", moneyDigits: v.Int("money.fraction.digits"),
			unknownToo: v.Bool("include.unknown.datatypes"), comments: v.Bool("include.schema.comments"),
			placeholder: placeholder(v.String("unavailable.value.placeholder")),
		},
	}
	if slices.Contains(v.List("signal.enabled.channels"), "source") {
		// Debezium takes the database's name in front, too.
		name := strings.TrimPrefix(v.String("signal.data.collection"), v.String("database.dbname")+".")
		s.signals.Schema, s.signals.Name, _ = strings.Cut(name, ".")
	}
	switch s.snapshotMode {
	case "exported":
		s.snapshotMode = "initial"
	case "never":
		s.snapshotMode = "no_data"
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
	s.schemas, s.tables, s.columns, s.messages = filter("schema"), filter("table"), filter("column"), filter("message.prefix")
	s.snapshotTables = list("snapshot.include.collection.list")
	s.keys, _ = cdc.ParseKeyColumns(v.String("message.key.columns"))
	s.rules, _ = cdc.ParseColumnRules(config)
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

// captures reports whether the table is one to capture: the signal table always is.
func (s *settings) captures(t cdc.Table) bool { return t == s.signals && t.Name != "" || s.listed(t) }

// listed reports whether the include and exclude lists name the table.
func (s *settings) listed(t cdc.Table) bool {
	switch t.Schema {
	case "pg_catalog", "information_schema", "pg_toast":
		return false
	}
	return s.schemas.Allows(t.Schema) && s.tables.Allows(t.String())
}

// heartbeatTopic returns the name of the topic of heartbeats.
func (s *settings) heartbeatTopic() string {
	if name := s.v.String("topic.heartbeat.name"); name != "" {
		return name
	}
	return s.v.String("topic.heartbeat.prefix") + s.naming.Delimiter + s.prefix
}

// queryContext bounds a query of the catalog in time, and lets it end when its caller no longer waits: a query that is
// broken off breaks its session.
func (s *settings) queryContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if d := s.v.Duration("database.query.timeout.ms"); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return ctx, func() {}
}
