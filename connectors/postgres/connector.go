package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// version is the connector's own version, as the source block and the hub show it.
const version = "0.1.0"

// connector is the PostgreSQL source.
type connector struct{}

// New returns the PostgreSQL source connector.
func New() connectors.SourceConnector { return connector{} }

// Info describes the connector.
func (connector) Info() connectors.Info {
	return connectors.Info{Name: "postgres", Classes: []string{"io.debezium.connector.postgresql.PostgresConnector"},
		Version: version, Kind: connectors.Source, Config: definition}
}

// NewSourceTask returns a task that reads one database.
func (connector) NewSourceTask() connectors.SourceTask { return &task{} }

// AlterOffsets says whether offsets that a person wrote are well formed. The slot is not moved with them: an offset
// ahead of it skips changes, one behind it makes the task fail.
func (connector) AlterOffsets(_ context.Context, config map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	s, err := parse(config)
	if err != nil {
		return false, err
	}
	for _, o := range offsets {
		var part map[string]any
		if err := json.Unmarshal(o.Partition, &part); err != nil {
			return false, fmt.Errorf("the source partition is not a JSON object: %w", err)
		}
		server, ok := part["server"].(string)
		named := part["of"] == ofServer
		if !ok || len(part) != 1 && !(named && len(part) == 2) {
			return false, fmt.Errorf(`the source partition must be {"server":%q}, not %s`, s.prefix, o.Partition)
		}
		if server != s.prefix {
			return false, fmt.Errorf("the source partition is of %q, the connector's topic.prefix is %q", server, s.prefix)
		}
		if len(o.Offset) == 0 || string(o.Offset) == "null" {
			continue
		}
		if named {
			err = checkIdentity(o.Offset)
		} else {
			_, err = readPosition(o.Offset)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}
