package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, counter{}) }

func TestConformance(t *testing.T) {
	plugintest.Walls(t, counter{}, conformance)
}

func conformance(t *testing.T, c connectors.Connector) {
	connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{
		Rows: 30,
		Fresh: func(*testing.T, int) connectortest.SourceWorld {
			return connectortest.SourceWorld{Config: map[string]string{"topic": "t", "interval.ms": "1"}}
		},
		Broken: func(*testing.T) []connectortest.Broken {
			return []connectortest.Broken{{Name: "no topic", Config: map[string]string{}, Class: connectors.ClassConfig}}
		},
	})
}

// TestExecutableOnPluginPath builds the connector as its user would, and finds and runs it as a hub would.
func TestExecutableOnPluginPath(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "sluice-connector-example"), ".")
	build.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, class := range []string{"example", "com.example.CounterConnector", "CounterConnector", "Counter"} {
		child := plugintest.Launch(t, plugins.Options{Path: []string{dir}, Log: plugintest.Log(t)}, class)
		if info := child.Info(); info.Name != "example" || info.Version != "0.1.0" || info.Kind != connectors.Source {
			t.Fatalf("%s is %+v", class, info)
		}
		child.Kill()
	}
	child := plugintest.Launch(t, plugins.Options{Path: []string{dir}, Log: plugintest.Log(t)}, "example")
	defer child.Kill()
	conformance(t, child.Connector())
}
