package mysql

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// version is the connector's own version, as the source block and the hub show it.
const version = "0.1.0"

// connector is the MySQL or MariaDB source.
type connector struct{ flavor flavor }

// New returns the MySQL source connector.
func New() connectors.SourceConnector { return connector{mysqlFlavor()} }

// NewMariaDB returns the MariaDB source connector.
func NewMariaDB() connectors.SourceConnector { return connector{mariadbFlavor()} }

// Info describes the connector.
func (c connector) Info() connectors.Info {
	return connectors.Info{Name: c.flavor.name, Classes: []string{c.flavor.class}, Version: version, Kind: connectors.Source, Config: configuration}
}

// NewSourceTask returns a task that reads one server.
func (c connector) NewSourceTask() connectors.SourceTask { return &task{flavor: c.flavor} }

// AlterOffsets says whether offsets that a person wrote are well formed. There is no state beside them.
func (c connector) AlterOffsets(_ context.Context, config map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	s, err := parse(c.flavor, config)
	if err != nil {
		return false, err
	}
	for _, o := range offsets {
		var part map[string]any
		if err := json.Unmarshal(o.Partition, &part); err != nil {
			return false, fmt.Errorf("the source partition is not a JSON object: %w", err)
		}
		server, ok := part["server"].(string)
		table, isTable := part["table"].(string)
		if !ok || len(part) > 2 || len(part) == 2 && (!isTable || table == "") {
			return false, fmt.Errorf(`the source partition must be {"server":%q}, not %s`, s.prefix, o.Partition)
		}
		if server != s.prefix {
			return false, fmt.Errorf("the source partition is of %q, the connector's topic.prefix is %q", server, s.prefix)
		}
		if len(o.Offset) == 0 || string(o.Offset) == "null" || isTable {
			continue
		}
		p, err := readPosition(o.Offset)
		if err != nil {
			return false, err
		}
		if p.GTIDs != "" {
			if _, err := c.flavor.parseGTIDs(p.GTIDs); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}
