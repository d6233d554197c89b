package hub

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
)

// rig is a hub with fake connectors on a fake log.
type rig struct {
	t       *testing.T
	world   *fakeWorld
	cluster *kfake.Cluster
	name    string // in the log
	worker  map[string]string
	client  []kgo.Opt // more options of the hub's clients
	hub     *Hub
	ended   chan error
}

func newRig(t *testing.T, worker map[string]string, client ...kgo.Opt) *rig {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(1), kfake.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return newRigOn(t, worker, append(client, kgo.SeedBrokers(cluster.ListenAddrs()...)), cluster)
}

// newRigOn is newRig on a log of the test's own.
func newRigOn(t *testing.T, worker map[string]string, client []kgo.Opt, cluster *kfake.Cluster) *rig {
	t.Helper()
	r := &rig{t: t, world: newFakeWorld(), cluster: cluster, client: client, worker: map[string]string{
		"key.converter": "string", "value.converter": "string", "offset.flush.interval.ms": "50", "offset.storage.partitions": "2"}}
	for k, v := range worker {
		r.worker[k] = v
	}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) start() {
	r.t.Helper()
	redactor := &configs.Redactor{}
	h, err := New(Options{Worker: r.worker, Client: r.client, Launcher: r.world,
		Formats: DefaultFormats(nil, nil), Redactor: redactor, WorkerID: "127.0.0.1:8083", Version: "test",
		Log: slog.New(redactor.Handler(slog.NewTextHandler(testWriter{r.t}, nil))).With("rig", r.name)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.hub, r.ended = h, make(chan error, 1)
	go func() { r.ended <- h.Run(context.Background()) }()
	select {
	case <-h.Up():
	case err := <-r.ended:
		r.t.Fatalf("run: %v", err)
	case <-time.After(time.Minute):
		r.t.Fatal("the hub did not start within a minute")
	}
	if ok, err := h.Ready(); !ok || err != nil {
		r.t.Fatalf("ready %v, %v", ok, err)
	}
}

func (r *rig) stop() {
	if r.hub == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := r.hub.Close(ctx); err != nil {
		r.t.Errorf("close: %v", err)
	}
	if err := <-r.ended; err != nil {
		r.t.Errorf("run: %v", err)
	}
	r.hub = nil
}

// testWriter sends log lines to the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

func (r *rig) until(what string, condition func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (r *rig) create(name string, config map[string]string) {
	r.t.Helper()
	if _, err := r.hub.Create(r.t.Context(), name, config, ""); err != nil {
		r.t.Fatalf("create %s: %v", name, err)
	}
}

func (r *rig) state(name string) (connector State, tasks []State, trace string) {
	st, err := r.hub.Status(context.Background(), name)
	if err != nil {
		return "", nil, err.Error()
	}
	trace = st.Connector.Trace
	for _, t := range st.Tasks {
		tasks = append(tasks, t.State)
		trace += t.Trace
	}
	return st.Connector.State, tasks, trace
}

func (r *rig) untilState(name string, connector State, tasks ...State) string {
	r.t.Helper()
	var trace string
	var was State
	var wasTasks []State
	r.until(name+" is "+string(connector), func() bool {
		was, wasTasks, trace = r.state(name)
		return was == connector && slices.Equal(wasTasks, tasks)
	})
	return trace
}

func source(more ...string) map[string]string {
	config := map[string]string{"connector.class": "fakesource", "topic": "lines"}
	for i := 0; i < len(more); i += 2 {
		config[more[i]] = more[i+1]
	}
	return config
}

func sink(more ...string) map[string]string {
	config := map[string]string{"connector.class": "com.example.FakeSinkConnector", "topics": "lines"}
	for i := 0; i < len(more); i += 2 {
		config[more[i]] = more[i+1]
	}
	return config
}

func TestRowsFlowFromSourceToSink(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one", "two", "three", "four")
	r.create("in", source())
	r.create("out", sink())
	r.untilState("in", Running, Running)
	r.untilState("out", Running, Running)
	want := []string{"one", "two", "three", "four"}
	r.until("the sink has all lines", func() bool { return slices.Equal(r.world.values(), want) })
	r.until("the source may forget all", func() bool {
		return look(r.world, func() bool { return slices.Contains(r.world.commits, 4) })
	})
}

func TestGoesOnAfterRestartOfTheHub(t *testing.T) {
	r := newRig(t, nil)
	r.world.write("one", "two")
	r.create("in", source())
	r.create("out", sink())
	r.until("the sink has both lines", func() bool { return len(r.world.values()) == 2 })
	r.until("the source may forget both", func() bool {
		return look(r.world, func() bool { return slices.Contains(r.world.commits, 2) })
	})
	r.stop()
	r.world.write("three")
	r.start()
	r.untilState("in", Running, Running)
	r.untilState("out", Running, Running)
	want := []string{"one", "two", "three"}
	r.until("the sink has the third line", func() bool { return len(r.world.values()) >= 3 })
	if got := r.world.values(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: an orderly restart repeats nothing", got, want)
	}
}
