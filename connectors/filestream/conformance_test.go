package filestream_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, filestream.Source{}, filestream.Sink{}) }

func TestSourceConformance(t *testing.T) {
	plugintest.Walls(t, filestream.Source{}, func(t *testing.T, c connectors.Connector) {
		connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{
			Fresh: func(t *testing.T, rows int) connectortest.SourceWorld {
				path := filepath.Join(t.TempDir(), "in")
				written := 0
				grow := func(n int) {
					f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					for range n {
						fmt.Fprintf(f, "row %d\n", written)
						written++
					}
				}
				grow(rows)
				return connectortest.SourceWorld{Config: map[string]string{"file": path, "topic": "t", "batch.size": "7"}, Grow: grow}
			},
			// The file comes after the task has started, and is a link that leads to itself while reads are to fail.
			// Once it is open there is no fault to be had.
			Faulty: func(t *testing.T, rows int) connectortest.FaultyWorld {
				dir := t.TempDir()
				path, content := filepath.Join(dir, "in"), filepath.Join(dir, "rows")
				var text []byte
				for i := range rows {
					text = fmt.Appendf(text, "row %d\n", i)
				}
				must(t, os.WriteFile(content, text, 0o600))
				link := func(to string) {
					must(t, os.Symlink(to, path+".new"))
					must(t, os.Rename(path+".new", path))
				}
				return connectortest.FaultyWorld{
					SourceWorld: connectortest.SourceWorld{Config: map[string]string{"file": path, "topic": "t", "batch.size": "7"}},
					Fail:        func() { link(path) }, Mend: func() { link(content) },
				}
			},
			Broken: func(t *testing.T) []connectortest.Broken {
				dir := t.TempDir()
				return []connectortest.Broken{
					{Name: "no file", Config: map[string]string{"topic": "t"}, Class: connectors.ClassConfig},
					{Name: "no topic", Config: map[string]string{"file": dir}, Class: connectors.ClassConfig},
					{Name: "no batch", Config: map[string]string{"file": dir, "topic": "t", "batch.size": "0"}, Class: connectors.ClassConfig},
				}
			},
		})
	})
}

func TestSinkConformance(t *testing.T) {
	plugintest.Walls(t, filestream.Sink{}, func(t *testing.T, c connectors.Connector) {
		connectortest.RunSink(t, c.(connectors.SinkConnector), connectortest.Sink{
			Fresh: func(t *testing.T) connectortest.SinkWorld {
				path := filepath.Join(t.TempDir(), "out")
				return connectortest.SinkWorld{
					Config: map[string]string{"file": path},
					Record: func(part connectors.TopicPartition, i int) connectors.Record {
						return connectors.Record{Value: text(fmt.Sprintf("%d %d", part.Partition, i))}
					},
					Bad: func() connectors.Record {
						return connectors.Record{Value: connectors.Data{Schema: connectors.StringSchema, Bytes: []byte{8, 'x'}}}
					},
					Delivered: func(t *testing.T, part connectors.TopicPartition) []int {
						content, err := os.ReadFile(path)
						if err != nil {
							t.Fatal(err)
						}
						var numbers []int
						for line := range bytes.Lines(content) {
							p, i, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
							n, err := strconv.Atoi(string(i))
							if !ok || err != nil {
								t.Fatalf("a line that nobody put: %q", line)
							}
							if string(p) == strconv.Itoa(int(part.Partition)) {
								numbers = append(numbers, n)
							}
						}
						return numbers
					},
				}
			},
			Broken: func(t *testing.T) []connectortest.Broken {
				return []connectortest.Broken{
					{Name: "no file", Config: map[string]string{}, Class: connectors.ClassConfig},
					{Name: "a folder", Config: map[string]string{"file": t.TempDir()}, Class: connectors.ClassEnvironment},
				}
			},
		})
	})
}

func text(s string) connectors.Data {
	return connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, s)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
