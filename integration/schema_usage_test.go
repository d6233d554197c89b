package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
)

// The registry knows which topics and connectors use a schema: it asks the log, whose records carry its id, and the hub.
func TestSchemaUsageNamesTopicsAndConnectors(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	ctx := deadline(t)
	in := filepath.Join(t.TempDir(), "in")
	must(t, os.WriteFile(in, []byte("a line\n"), 0o600))
	const avro = "io.confluent.connect.avro.AvroConverter"
	must(t, w.Put(ctx, "lines-source", map[string]string{"connector.class": "FileStreamSource", "file": in, "topic": "lines", "value.converter": avro}))
	must(t, w.Put(ctx, "lines-sink", map[string]string{"connector.class": "FileStreamSink", "file": in + ".out", "topics": "lines", "value.converter": avro}))
	must(t, w.Wait(ctx, "the use of the schema to be known", func() error {
		status, body, err := worker.Do(ctx, http.MethodGet, w.Registry+"/api/v1/registry/schemas/ids/1/usage", nil)
		if err != nil {
			return err
		}
		var usage struct {
			Topics []struct {
				Topic, Role string
				Exists      bool
				Record      *struct{ Offset int64 }
			}
			Connectors []struct{ Connector, Type string }
		}
		if err := json.Unmarshal(body, &usage); err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s: %w", status, body, err)
		}
		var kinds []string
		for _, c := range usage.Connectors {
			kinds = append(kinds, c.Type)
		}
		slices.Sort(kinds)
		if len(usage.Topics) != 1 || !usage.Topics[0].Exists || usage.Topics[0].Topic != "lines" || usage.Topics[0].Record == nil || !slices.Equal(kinds, []string{"sink", "source"}) {
			return fmt.Errorf("not yet, or wrong: %s", body)
		}
		return nil
	}))
}
