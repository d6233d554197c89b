package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// lineStream is a worker that carries a file's lines through the log into another file.
type lineStream struct {
	*worker.Worker
	t       *testing.T
	in, out string
}

func newLineStream(t *testing.T, settings map[string]string) *lineStream {
	dir := t.TempDir()
	l := &lineStream{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	must(t, os.WriteFile(l.in, nil, 0o600))
	l.Worker = startWorker(t, worker.Options{Settings: settings,
		Files: []string{"../configs/examples/filestream-source.properties", "../configs/examples/filestream-sink.properties"},
		Env:   []string{"LINES_IN=" + l.in, "LINES_OUT=" + l.out}})
	return l
}

func (l *lineStream) write(line string) {
	l.t.Helper()
	f, err := os.OpenFile(l.in, os.O_APPEND|os.O_WRONLY, 0)
	must(l.t, err)
	_, err = f.WriteString(line + "\n")
	must(l.t, err)
	must(l.t, f.Close())
}

func (l *lineStream) arrives(line string) {
	l.t.Helper()
	must(l.t, l.Wait(deadline(l.t), line+" to arrive", func() error {
		got, err := os.ReadFile(l.out)
		if err == nil && !slices.Contains(strings.Split(string(got), "\n"), line) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}))
}

// Two workers on one cluster would run every connector twice. The second does not start, and says why in a line.
func TestASecondHubOnTheSameCluster(t *testing.T) {
	t.Parallel()
	first := newLineStream(t, map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "500"})
	first.write("one")
	first.arrives("one")

	second := newWorker(t, worker.Options{Settings: map[string]string{"bootstrap.servers": first.Kafka, "session.timeout.ms": "6000"}})
	must(t, second.Begin())
	code, err := second.Exit(deadline(t))
	must(t, err)
	said := strings.Split(strings.TrimSpace(second.Log()), "\n")
	if last := said[len(said)-1]; code != 1 || !strings.HasPrefix(last, "sluice: another worker runs with ") {
		t.Errorf("the second hub ended with %d and said %s", code, last)
	}
	first.write("two")
	first.arrives("two")
}

// On a cluster that outlives the hub, a hub that is started after a SIGKILL takes the places of its former self: in
// its own group and in those of its sinks, whose sessions here last longer than any wait of this test.
func TestAKilledHubWaitsForNoSession(t *testing.T) {
	t.Parallel()
	kafka, err := services.StartKafka(t.Context(), services.KafkaOptions{})
	must(t, err)
	t.Cleanup(func() {
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	l := newLineStream(t, map[string]string{"bootstrap.servers": kafka.Bootstrap, "session.timeout.ms": "1000000", "consumer.session.timeout.ms": "1000000",
		"config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1"})
	l.write("one")
	l.arrives("one")
	for i := range 2 {
		must(t, l.Kill())
		line := fmt.Sprintf("after kill %d", i)
		l.write(line)
		must(t, l.Start(deadline(t)))
		l.arrives(line)
	}

	// An orderly stop of the sink leaves its group at once: offsets can be changed.
	code, body, err := l.Do(deadline(t), http.MethodPut, "/connectors/lines-sink/stop", nil)
	must(t, err)
	if code != http.StatusNoContent {
		t.Fatalf("stop answered %d: %s", code, body)
	}
	must(t, l.Wait(deadline(t), "the sink's offsets to be reset", func() error {
		code, body, err := l.Do(deadline(t), http.MethodDelete, "/connectors/lines-sink/offsets", nil)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%d: %s", code, body)
		}
		return err
	}))

	// So does an orderly end of the hub: one of another name need not wait.
	must(t, l.Stop())
	other := newWorker(t, worker.Options{Settings: map[string]string{"bootstrap.servers": kafka.Bootstrap}})
	must(t, other.Start(deadline(t)))
	code, body, err = other.Do(deadline(t), http.MethodGet, "/connectors", nil)
	must(t, err)
	var names []string
	must(t, json.Unmarshal(body, &names))
	if slices.Sort(names); code != http.StatusOK || !slices.Equal(names, []string{"lines-sink", "lines-source"}) {
		t.Errorf("%d: %s", code, body)
	}
}
