package plugins_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/filestream"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// TestFileToFileThroughTwoChildren is the thinnest row that crosses the whole house, without the log in its middle.
func TestFileToFileThroughTwoChildren(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	var lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	if err := os.WriteFile(in, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	o := plugintest.Options(t, filestream.Source{}, filestream.Sink{})
	from := plugintest.Launch(t, o, "FileStreamSource")
	to := plugintest.Launch(t, o, "org.apache.kafka.connect.file.FileStreamSinkConnector")
	source := from.Connector().(connectors.SourceConnector).NewSourceTask()
	sink := to.Connector().(connectors.SinkConnector).NewSinkTask()
	must(t, source.Start(ctx, connectors.SourceStart{Connector: "in", Config: map[string]string{"file": in, "topic": "t"}}))
	must(t, sink.Start(ctx, connectors.SinkStart{Connector: "out", Config: map[string]string{"file": out}}))
	part := connectors.TopicPartition{Topic: "t"}
	if _, err := sink.Open(ctx, []connectors.TopicPartition{part}); err != nil {
		t.Fatal(err)
	}
	var batch connectors.Batch
	var offset int64
	for offset < 10_000 {
		batch.Reset()
		must(t, source.Read(ctx, &batch))
		for i := range batch.Records {
			batch.Records[i].Offset = offset
			offset++
		}
		must(t, sink.Put(ctx, &connectors.Records{From: part, List: batch.Records, End: offset}))
		must(t, source.Commit(ctx, batch.Offsets))
	}
	positions, err := sink.Flush(ctx, true)
	if err != nil || len(positions) != 1 || positions[0] != (connectors.Position{TopicPartition: part, Offset: 10_000}) {
		t.Fatalf("flushed to %v, %v", positions, err)
	}
	got, err := os.ReadFile(out)
	if err != nil || string(got) != lines.String() {
		t.Fatalf("the sink wrote %d bytes (%v), the source has %d", len(got), err, lines.Len())
	}
	must(t, source.Stop(ctx))
	must(t, sink.Stop(ctx))
	from.Stop(ctx)
	to.Stop(ctx)
	must(t, from.Err())
	must(t, to.Err())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
