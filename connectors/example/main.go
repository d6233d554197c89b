// Command sluice-connector-example is a connector as a third party would write it: a source that counts. It shows all
// that is needed, and nothing else:
//
//	go build -o /opt/plugins/sluice-connector-example ./connectors/example
//	plugin.path=/opt/plugins            in the worker's properties
//	connector.class=example             in the connector's
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
)

func main() { plugins.Serve(counter{}) }

// counter is the connector.
type counter struct{}

// Info implements connectors.Connector.
func (counter) Info() connectors.Info {
	return connectors.Info{
		Name: "example", Classes: []string{"com.example.CounterConnector"}, Version: "0.1.0", Kind: connectors.Source,
		Config: &configs.Definition{Keys: []configs.Key{
			{Name: "topic", Type: configs.String, Required: true, Importance: configs.High, Doc: "Topic to count into."},
			{Name: "interval.ms", Type: configs.Long, Default: "1000", Min: "1", Importance: configs.Medium, Doc: "Time between two numbers."},
		}},
	}
}

// NewSourceTask implements connectors.SourceConnector.
func (counter) NewSourceTask() connectors.SourceTask { return &counting{} }

// counting is the task. Its source partition is always the same, its source offset is the last number.
type counting struct {
	topic string
	tick  *time.Ticker
	last  offset
}

type offset struct {
	Number int64 `json:"number"`
}

// Start implements connectors.SourceTask.
func (t *counting) Start(_ context.Context, start connectors.SourceStart) error {
	values, problems := counter{}.Info().Config.Parse(start.Config)
	if err := configs.Err(problems); err != nil {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	for _, o := range start.Offsets {
		if err := json.Unmarshal(o.Offset, &t.last); err != nil {
			return &connectors.Error{Op: "read the source offset", Class: connectors.ClassConfig, Err: err}
		}
	}
	t.topic, t.tick = values.String("topic"), time.NewTicker(values.Duration("interval.ms"))
	start.Log.Info("counting", "from", t.last.Number+1)
	return nil
}

// Read implements connectors.SourceTask.
func (t *counting) Read(ctx context.Context, b *connectors.Batch) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case now := <-t.tick.C:
		t.last.Number++
		b.Buf = fmt.Appendf(b.Buf, `{"number":%d}`, t.last.Number)
		b.Records = append(b.Records, connectors.Record{Topic: t.topic, Partition: connectors.AnyPartition,
			Timestamp: now.UnixMilli(), Value: connectors.Data{Bytes: b.Buf}})
		b.Offsets = append(b.Offsets, connectors.SourceOffset{
			Partition: connectors.MarshalOffset(struct{}{}), Offset: connectors.MarshalOffset(t.last)})
		b.EventTime = now.UnixMilli()
		return nil
	}
}

// Commit implements connectors.SourceTask.
func (t *counting) Commit(context.Context, []connectors.SourceOffset) error { return nil }

// Stop implements connectors.SourceTask.
func (t *counting) Stop(context.Context) error {
	if t.tick != nil {
		t.tick.Stop()
	}
	return nil
}
