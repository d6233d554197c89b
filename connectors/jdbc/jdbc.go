package jdbc

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

const version = "1.0.0"

// validateTimeout bounds a question to the database while a configuration is checked.
const validateTimeout = 20 * time.Second

// Sink is the connector.
type Sink struct{}

// New returns the connector.
func New() Sink { return Sink{} }

var (
	_ connectors.SinkConnector = Sink{}
	_ connectors.Validator     = Sink{}
)

// Info implements connectors.Connector.
func (Sink) Info() connectors.Info {
	return connectors.Info{
		Name: "jdbc",
		Classes: []string{"io.confluent.connect.jdbc.JdbcSinkConnector", "io.aiven.connect.jdbc.JdbcSinkConnector",
			"io.debezium.connector.jdbc.JdbcSinkConnector"},
		Version: version, Kind: connectors.Sink, Config: definition,
	}
}

// NewSinkTask implements connectors.SinkConnector.
func (Sink) NewSinkTask() connectors.SinkTask { return &task{} }

// Validate implements connectors.Validator: it asks the database whether it is there and lets us in.
func (Sink) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	s, err := parseSettings(config)
	if err != nil {
		return nil // the definition has said so
	}
	problems := s.address.Warnings("connection.url")
	d, err := newDialect(&s)
	if err != nil {
		return append(problems, configs.KeyError("connection.url", err.Error()))
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	c, err := d.connect(ctx)
	if err != nil {
		key := "connection.url"
		if d.verdict(err) == refusedUser {
			key = "connection.user"
		}
		t := task{dialect: d}
		return append(problems, configs.KeyError(key, t.classed("connect to "+s.address.String(), err).Error()))
	}
	c.close()
	return problems
}

// newDialect returns the dialect of an address.
func newDialect(s *settings) (dialect, error) {
	switch s.address.Kind {
	case sqldb.PostgreSQL:
		config, err := s.address.Postgres(s.user, s.password)
		if err != nil {
			return nil, err
		}
		if s.zone != nil { // timestamptz becomes timestamp, and the other way round, in the session's zone
			config.RuntimeParams["timezone"] = s.zone.String()
		}
		return &postgres{config: config}, nil
	case sqldb.MySQL, sqldb.MariaDB:
		all, err := s.address.MySQL(s.user, s.password)
		if err != nil {
			return nil, err
		}
		return &mysqlDialect{configs: all, maria: s.address.Kind == sqldb.MariaDB, zone: s.zone}, nil
	case sqldb.SQLite:
		return &sqliteDialect{path: s.address.Database, synced: s.guarantee == guaranteeLeast}, nil
	}
	return nil, fmt.Errorf("no dialect for %s", s.address.Kind)
}
