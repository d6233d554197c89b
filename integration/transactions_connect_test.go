package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// TestKafkaConnectDeliversExactlyOnce runs a worker of Apache Kafka Connect with exactly.once.source.support on our
// broker, and kills the broker while a file grows: each line arrives once.
func TestKafkaConnectDeliversExactlyOnce(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	rest := startConnect(t, w)
	file := filepath.Join(t.TempDir(), "in")
	written := 0
	grow := func(n int) {
		t.Helper()
		var b bytes.Buffer
		for range n {
			fmt.Fprintln(&b, written)
			written++
		}
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(t, err)
		_, err = f.Write(b.Bytes())
		must(t, err)
		must(t, f.Close())
	}
	grow(500)
	must(t, w.Wait(deadline(t), "the connector is accepted", func() error {
		return rest("PUT", "/connectors/file/config", map[string]string{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector",
			"file": file, "topic": "lines", "exactly.once.support": "required"})
	}))
	times := map[string]int{}
	read := func(n int) {
		t.Helper()
		reader := newClient(t, w, kgo.ConsumeTopics("lines"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
			kgo.UnknownTopicRetries(-1))
		clear(times)
		ctx := deadline(t)
		for len(times) < n {
			fetches := reader.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatalf("%d of %d lines arrived", len(times), n)
			}
			for it := fetches.RecordIter(); !it.Done(); {
				times[string(it.Next().Value)]++
			}
		}
	}
	read(written)
	for range 2 {
		grow(300)
		must(t, w.Kill())
		grow(300)
		must(t, w.Start(deadline(t)))
		read(written)
	}
	for line, n := range times {
		if n != 1 {
			t.Errorf("line %s arrived %d times", line, n)
		}
	}
}

// startConnect starts a distributed worker with the broker of w and returns how to ask its REST API.
func startConnect(t *testing.T, w *worker.Worker) (ask func(method, path string, body any) error) {
	t.Helper()
	libs, err := services.FetchKafka(deadline(t))
	must(t, err)
	port, err := services.ReservePort()
	must(t, err)
	t.Cleanup(port.Release)
	config := filepath.Join(t.TempDir(), "connect.properties")
	settings := []string{"bootstrap.servers=" + w.Kafka, "listeners=http://" + port.Addr(), "plugin.path=" + libs, "plugin.discovery=service_load",
		"group.id=java", "key.converter=org.apache.kafka.connect.storage.StringConverter", "value.converter=org.apache.kafka.connect.storage.StringConverter",
		"exactly.once.source.support=enabled", "offset.storage.partitions=1", "status.storage.partitions=1"}
	for _, name := range []string{"config", "offset", "status"} {
		settings = append(settings, name+".storage.topic=java-"+name, name+".storage.replication.factor=1")
	}
	must(t, os.WriteFile(config, []byte(strings.Join(settings, "\n")), 0o600))
	cmd, err := services.KafkaTool(t.Context(), "org.apache.kafka.connect.cli.ConnectDistributed", config)
	must(t, err)
	startForeign(t, "Kafka Connect", cmd)
	return func(method, path string, body any) error {
		ctx := deadline(t)
		code, answer, err := worker.Do(ctx, method, "http://"+port.Addr()+path, body)
		if err == nil && code >= 300 {
			err = fmt.Errorf("%s %s: %d %s", method, path, code, answer)
		}
		return err
	}
}
