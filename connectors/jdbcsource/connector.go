package jdbcsource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

const version = "1.0.0"

// validateTimeout bounds the questions to the database while a configuration is checked.
const validateTimeout = 20 * time.Second

// Source is the connector.
type Source struct{}

// New returns the connector.
func New() Source { return Source{} }

var (
	_ connectors.SourceConnector = Source{}
	_ connectors.Validator       = Source{}
	_ connectors.Planner         = Source{}
	_ connectors.OffsetAlterer   = Source{}
)

// Info implements connectors.Connector.
func (Source) Info() connectors.Info {
	return connectors.Info{
		Name:    "jdbc-source",
		Classes: []string{"io.confluent.connect.jdbc.JdbcSourceConnector", "io.aiven.connect.jdbc.JdbcSourceConnector"},
		Version: version, Kind: connectors.Source, Config: definition,
	}
}

// NewSourceTask implements connectors.SourceConnector.
func (Source) NewSourceTask() connectors.SourceTask { return &task{} }

// Plan implements connectors.Planner: the tables that are there are given out to the tasks. Those that come later are
// found by the tasks.
func (Source) Plan(ctx context.Context, config map[string]string, maxTasks int) ([]map[string]string, error) {
	s, err := parseSettings(config)
	if err != nil {
		return nil, err
	}
	if s.query != "" {
		return []map[string]string{maps.Clone(config)}, nil
	}
	d, err := newDialect(&s)
	if err != nil {
		return nil, wrong("read the configuration", "", "%w", err)
	}
	c, err := connect(ctx, &s, d)
	if err != nil {
		return nil, err
	}
	defer c.close()
	all, err := c.tables(ctx)
	if err != nil {
		return nil, trouble("list the tables", err)
	}
	tables, err := s.filter.chosen(all, s.home())
	if err != nil {
		return nil, err
	}
	given := spread(tables, maxTasks)
	tasks := make([]map[string]string, len(given))
	for i := range tasks {
		tasks[i] = maps.Clone(config)
		tasks[i][keyTables] = given.String()
	}
	return tasks, nil
}

// Validate implements connectors.Validator: it asks the database whether it lets us in, and whether the tables have the
// columns of the mode.
func (Source) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	s, err := parseSettings(config)
	if err != nil {
		return nil // the definition has said so
	}
	problems := s.address.Warnings(keyURL)
	d, err := newDialect(&s)
	if err != nil {
		return append(problems, configs.KeyError(keyURL, err.Error()))
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	c, err := d.connect(ctx)
	if err != nil {
		return append(problems, configs.KeyError(judge(err).key(), trouble("connect to "+s.address.String(), err).Error()))
	}
	defer c.close()
	if s.query != "" {
		return append(problems, s.inspect(ctx, c, d, nil)...)
	}
	return append(problems, s.inspectTables(ctx, c, d)...)
}

// mostInspected is how many tables are looked at while a configuration is checked.
const mostInspected = 200

func (s *settings) inspectTables(ctx context.Context, c conn, d dialect) []configs.Problem {
	all, err := c.tables(ctx)
	if err != nil {
		return []configs.Problem{configs.KeyError(judge(err).key(), trouble("list the tables", err).Error())}
	}
	tables, err := s.filter.chosen(all, s.home())
	if err != nil {
		return []configs.Problem{configs.KeyError(keyWhitelist, err.Error())}
	}
	var problems []configs.Problem
	if missing := s.filter.missing(tables); len(missing) > 0 {
		problems = append(problems, configs.KeyWarning(keyWhitelist, fmt.Sprintf("There is no %s of this name (of %s) yet: %s.",
			strings.ToLower(strings.Join(s.filter.types, " or ")), keyTypes, strings.Join(missing, ", "))))
	} else if len(tables) == 0 {
		problems = append(problems, configs.KeyWarning(keyWhitelist, "There is no table to read yet."))
	}
	for i := range tables[:min(len(tables), mostInspected)] {
		problems = append(problems, s.inspect(ctx, c, d, &tables[i])...)
	}
	return problems
}

// inspect looks at the columns of a table, or of the query.
func (s *settings) inspect(ctx context.Context, c conn, d dialect, t *table) []configs.Problem {
	q := &querier{s: s, table: t}
	columns, err := c.describe(ctx, s.ask(d, t))
	if err != nil {
		key := judge(err).key()
		if t != nil && key == keyQuery {
			key = keyWhitelist
		}
		return []configs.Problem{configs.KeyError(key, trouble("describe "+q.String(), err).Error())}
	}
	if s.mode == bulk {
		return nil
	}
	_, problems := s.criteria(q, columns)
	return problems
}

// AlterOffsets accepts what Confluent's connector and this one store.
func (Source) AlterOffsets(_ context.Context, config map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	s, err := parseSettings(config)
	if err != nil {
		return false, err
	}
	for _, o := range offsets {
		p, err := readPartition(o.Partition)
		if err != nil {
			return false, err
		}
		if (p.Query != "") != (s.query != "") {
			return false, offsetError(errors.New("a query has the partition of a query, and tables have those of tables"))
		}
		if o.Offset == nil {
			continue
		}
		if _, err := readOffset(o.Offset); err != nil {
			return false, err
		}
	}
	return true, nil
}
