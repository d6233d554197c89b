// Package s3 is the sink that writes topics as objects into a bucket of Amazon S3, or of whatever else speaks its
// protocol. Keys, object names and file contents are those of Confluent's S3 sink; see DESIGN.md for what is done
// differently inside, and why.
package s3

import (
	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// version is that of the connector, shown in the list of plugins.
const version = "1.0.0"

type connector struct {
	definition *configs.Definition
	memory     *memory // shared by all tasks of the process
}

// New returns the connector. All tasks made by one connector share one budget of bytes for what is not yet uploaded.
func New() connectors.SinkConnector {
	return &connector{definition: newDefinition(), memory: newMemory(defaultMemory)}
}

// Info implements connectors.Connector.
func (c *connector) Info() connectors.Info {
	return connectors.Info{
		Name:    "s3",
		Classes: []string{"io.confluent.connect.s3.S3SinkConnector"},
		Version: version, Kind: connectors.Sink, Config: c.definition,
	}
}

// NewSinkTask implements connectors.SinkConnector.
func (c *connector) NewSinkTask() connectors.SinkTask {
	return &task{definition: c.definition, memory: c.memory, dial: dial}
}
