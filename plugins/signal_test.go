package plugins_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// quiet is a source that gives nothing, with tasks that take signals or not.
type quiet struct{ task connectors.SourceTask }

func (quiet) Info() connectors.Info {
	return connectors.Info{Name: "quiet", Version: "1", Kind: connectors.Source, Config: &configs.Definition{}}
}
func (q quiet) NewSourceTask() connectors.SourceTask { return q.task }

type silent struct{}

func (silent) Start(context.Context, connectors.SourceStart) error { return nil }
func (silent) Read(ctx context.Context, _ *connectors.Batch) error {
	<-ctx.Done()
	return ctx.Err()
}
func (silent) Commit(context.Context, []connectors.SourceOffset) error { return nil }
func (silent) Stop(context.Context) error                              { return nil }

type attentive struct{ silent }

func (attentive) Signal(_ context.Context, s connectors.Signal) error {
	if s == (connectors.Signal{ID: "1", Type: "log", Data: `{"message": "ä"}`}) {
		return nil
	}
	return &connectors.Error{Op: "take a signal", Class: connectors.ClassConfig, Err: errors.New("it is another one")}
}

// TestSignals asks a task for something, over the wall.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name string
		task connectors.SourceTask
		s    connectors.Signal
		ok   bool
	}{
		{"understood", attentive{}, connectors.Signal{ID: "1", Type: "log", Data: `{"message": "ä"}`}, true},
		{"refused", attentive{}, connectors.Signal{ID: "2"}, false},
		{"not taken", silent{}, connectors.Signal{ID: "1", Type: "log", Data: `{"message": "ä"}`}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			child, err := plugins.Pipe(quiet{c.task}, 0, plugintest.Log(t))
			if err != nil {
				t.Fatal(err)
			}
			defer child.Stop(t.Context())
			task := child.Connector().(connectors.SourceConnector).NewSourceTask()
			asked := task.(connectors.Signaller)
			if asked.Signal(t.Context(), c.s) == nil {
				t.Error("a task that was not started took a signal")
			}
			if err := task.Start(t.Context(), connectors.SourceStart{Log: plugintest.Log(t)}); err != nil {
				t.Fatal(err)
			}
			err = asked.Signal(t.Context(), c.s)
			if c.ok != (err == nil) || !c.ok && connectors.ClassOf(err) != connectors.ClassConfig {
				t.Error(err)
			}
			if err := task.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if asked.Signal(t.Context(), c.s) == nil {
				t.Error("a task that was stopped took a signal")
			}
		})
	}
}
