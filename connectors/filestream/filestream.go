// Package filestream is Kafka Connect's pair of example connectors, which its own tests and every tutorial start
// with: a source that reads a text file line by line and goes on when lines are appended, and a sink that appends
// each value to a file as a line.
package filestream

import (
	"context"
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// version is that of the connectors, shown in the list of plugins.
const version = "1.0.0"

// Source is the connector that reads a file. The zero value is ready.
type Source struct{}

// Sink is the connector that writes a file. The zero value is ready.
type Sink struct{}

var sourceDefinition = &configs.Definition{Keys: []configs.Key{
	{Name: "file", Type: configs.String, Required: true, Importance: configs.High, Group: "File", Width: configs.WidthLong,
		Example: "/var/log/orders.txt",
		Doc:     "Path of the file to read. It need not exist yet. Lines end with LF, CRLF or CR; a line without its end is not read."},
	{Name: "topic", Type: configs.String, Required: true, Importance: configs.High, Group: "File", Width: configs.WidthMedium,
		Example: "orders", Doc: "Topic to write the lines to."},
	{Name: "batch.size", Type: configs.Int, Default: "2000", Min: "1", Unit: "records", Importance: configs.Low, Group: "File",
		Doc: "Largest number of lines read at once."},
}}

var sinkDefinition = &configs.Definition{Keys: []configs.Key{
	{Name: "file", Type: configs.String, Required: true, Importance: configs.High, Group: "File", Width: configs.WidthLong,
		Example: "/tmp/orders.out", Doc: "Path of the file to append to. It is created if it does not exist."},
}}

// Info implements connectors.Connector.
func (Source) Info() connectors.Info {
	return connectors.Info{
		Name:    "filestream-source",
		Classes: []string{"org.apache.kafka.connect.file.FileStreamSourceConnector"},
		Version: version, Kind: connectors.Source, Config: sourceDefinition,
	}
}

// NewSourceTask implements connectors.SourceConnector.
func (Source) NewSourceTask() connectors.SourceTask { return &sourceTask{} }

// AlterOffsets accepts {"filename": text} with {"position": number of bytes}.
func (Source) AlterOffsets(_ context.Context, _ map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	for _, o := range offsets {
		if _, err := readPartition(o.Partition); err != nil {
			return false, err
		}
		if o.Offset == nil {
			continue
		}
		if _, err := readPosition(o.Offset); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Info implements connectors.Connector.
func (Sink) Info() connectors.Info {
	return connectors.Info{
		Name:    "filestream-sink",
		Classes: []string{"org.apache.kafka.connect.file.FileStreamSinkConnector"},
		Version: version, Kind: connectors.Sink, Config: sinkDefinition,
	}
}

// NewSinkTask implements connectors.SinkConnector.
func (Sink) NewSinkTask() connectors.SinkTask { return &sinkTask{} }

// configError says that the configuration cannot work.
func configError(err error) error {
	return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
}

// fileError says that the file system refused something.
func fileError(op, file string, err error) error {
	return &connectors.Error{
		Op: op + " " + file, Class: connectors.ClassEnvironment, Retriable: true, Err: fmt.Errorf("file system: %w", err),
		Remedy: "check that the path exists, the rights of the user that runs sluice, and the space on the disk",
	}
}

// errOf returns the errors among the problems of a configuration as one error.
func errOf(problems []configs.Problem) error {
	if err := configs.Err(problems); err != nil {
		return configError(err)
	}
	return nil
}
