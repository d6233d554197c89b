// Package plugintest lets the tests of connectors reach a connector in all three ways there are: in process, over a
// pipe in memory, and in a child process, which is the test's own executable started again.
package plugintest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
)

// Main is the body of a TestMain: it serves one of the connectors if the executable was started to do that, and runs
// the tests otherwise.
func Main(m *testing.M, all ...connectors.Connector) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		for _, c := range all {
			if c.Info().Name == os.Args[2] {
				plugins.Serve(c)
			}
		}
		fmt.Fprintf(os.Stderr, "the test knows no connector %q\n", os.Args[2])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Options returns the options of a Dir whose children are the test's own executable. Its TestMain must be Main.
func Options(t testing.TB, all ...connectors.Connector) plugins.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return plugins.Options{Builtins: all, Self: []string{self, "plugin"}, Log: Log(t)}
}

// Log returns a logger to the test's output.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// Walls runs a test for the connector as it is, behind a pipe, and in a child.
func Walls(t *testing.T, c connectors.Connector, test func(t *testing.T, c connectors.Connector)) {
	t.Run("in process", func(t *testing.T) { test(t, c) })
	t.Run("pipe", func(t *testing.T) {
		child, err := plugins.Pipe(c, 0, Log(t))
		if err != nil {
			t.Fatal(err)
		}
		defer end(t, child)
		test(t, child.Connector())
	})
	t.Run("child", func(t *testing.T) {
		child := Launch(t, Options(t, c), c.Info().Name)
		defer end(t, child)
		test(t, child.Connector())
	})
}

// Launch starts a connector in a child. The caller ends it.
func Launch(t testing.TB, o plugins.Options, class string) *plugins.Child {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	child, err := plugins.NewDir(o).Launch(ctx, class, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return child
}

func end(t *testing.T, child *plugins.Child) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	child.Stop(ctx)
	if err := child.Err(); err != nil {
		t.Errorf("the child did not end well: %v", err)
	}
}
