package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// registryNodes are registries of workers that have nothing in common but the topic of the registry, on one cluster.
type registryNodes struct {
	t     *testing.T
	nodes []*worker.Worker

	mu    sync.Mutex
	texts map[int]string // what has been acknowledged, by id
}

func startRegistryNodes(t *testing.T, n int) *registryNodes {
	kafka := services.UseKafka(t)
	r := &registryNodes{t: t, texts: map[int]string{}}
	for i := range n {
		name := fmt.Sprintf("nodes-%d", i)
		r.nodes = append(r.nodes, newWorker(t, worker.Options{Settings: map[string]string{
			"kafkastore.bootstrap.servers": "PLAINTEXT://" + kafka.Bootstrap, "kafkastore.topic": "nodes_schemas", "group.id": name,
			"config.storage.topic": name + "-configs", "offset.storage.topic": name + "-offsets", "status.storage.topic": name + "-status",
			"offset.storage.partitions": "1", "status.storage.partitions": "1"}}))
	}
	for _, w := range r.nodes {
		must(t, w.Begin())
	}
	for _, w := range r.nodes {
		must(t, w.Ready(deadline(t)))
	}
	return r
}

// writer returns which node writes, by its metrics.
func (r *registryNodes) writer(ctx context.Context) (writer int, err error) {
	writer = -1
	for i, w := range r.nodes {
		_, body, err := w.Do(ctx, http.MethodGet, "/metrics", nil)
		if err != nil {
			return -1, err
		}
		if strings.Contains(string(body), "\nsluice_registry_writes 1\n") {
			if writer >= 0 {
				return -1, fmt.Errorf("nodes %d and %d say that they write", writer, i)
			}
			writer = i
		}
	}
	return writer, nil
}

// register registers a schema at a node, and again at the next ones until one answers, and reads it back at once: there
// and at another node.
func (r *registryNodes) register(ctx context.Context, at int, subject, text string) error {
	body, err := json.Marshal(map[string]string{"schema": text})
	if err != nil {
		return err
	}
	for ; ctx.Err() == nil; at++ {
		node := r.nodes[at%len(r.nodes)]
		status, answer, err := worker.Do(ctx, http.MethodPost, node.Registry+"/subjects/"+subject+"/versions", body)
		if err != nil || status >= 500 {
			continue // it is gone, or was told by one that went
		}
		var registered struct{ ID int }
		if err := json.Unmarshal(answer, &registered); err != nil || status != http.StatusOK {
			return fmt.Errorf("%s: %d %s", subject, status, answer)
		}
		r.mu.Lock()
		other, taken := r.texts[registered.ID]
		r.texts[registered.ID] = text
		r.mu.Unlock()
		if taken && other != text {
			return fmt.Errorf("the id %d is %s and %s", registered.ID, other, text)
		}
		for _, reader := range []*worker.Worker{node, r.nodes[(at+1)%len(r.nodes)]} {
			for _, path := range []string{fmt.Sprintf("/schemas/ids/%d/schema", registered.ID), "/subjects/" + subject + "/versions/latest/schema"} {
				status, got, err := worker.Do(ctx, http.MethodGet, reader.Registry+path, nil)
				if err == nil && (status != http.StatusOK || string(got) != text) {
					return fmt.Errorf("%s after %s: %d %s, want %s", path, answer, status, got, text)
				}
			}
		}
		return nil
	}
	return ctx.Err()
}

// registerAtAll registers n schemas at each node at the same time; while is called in the middle.
func (r *registryNodes) registerAtAll(name string, n int, while func()) {
	r.t.Helper()
	var wg sync.WaitGroup
	half := make(chan struct{}, len(r.nodes))
	ctx := deadline(r.t)
	for at := range r.nodes {
		wg.Go(func() {
			for i := range n {
				if i == n/2 {
					half <- struct{}{}
				}
				text := fmt.Sprintf(`{"type":"record","name":"%sN%dS%d","fields":[]}`, name, at, i)
				if err := r.register(ctx, at, fmt.Sprintf("%s-%d-%d", name, at, i), text); err != nil {
					r.t.Errorf("node %d, schema %d: %v", at, i, err)
				}
			}
		})
	}
	<-half
	while()
	wg.Wait()
}

// equal compares what the nodes answer.
func (r *registryNodes) equal() {
	r.t.Helper()
	ctx := deadline(r.t)
	var first string
	for i, w := range r.nodes {
		var all strings.Builder
		for _, path := range []string{"/subjects?deleted=true", "/schemas?deleted=true", "/config", "/mode", "/contexts"} {
			status, body, err := worker.Do(ctx, http.MethodGet, w.Registry+path, nil)
			must(r.t, err)
			fmt.Fprintf(&all, "%s: %d %s\n", path, status, body)
		}
		if i == 0 {
			first = all.String()
		} else if all.String() != first {
			r.t.Errorf("node %d answers otherwise than node 0:\n%s\n%s", i, all.String(), first)
		}
	}
	for id, text := range r.texts {
		if !strings.Contains(first, fmt.Sprintf(`"id":%d,`, id)) {
			r.t.Errorf("%s was acknowledged with the id %d, and is not there", text, id)
		}
	}
}

// Registries of several processes on one cluster elect one that writes, and forward to it. No id is given twice, and
// nothing that was acknowledged is lost, when it is killed while all of them are asked.
func TestRegistryNodesElectAWriter(t *testing.T) {
	t.Parallel()
	r := startRegistryNodes(t, 3)
	ctx := deadline(t)
	must(t, r.register(ctx, 1, "first", `"string"`))
	if writer, err := r.writer(ctx); err != nil || writer != 1 {
		t.Fatalf("the first that was asked to write is node 1, not %d: %v", writer, err)
	}
	r.registerAtAll("forwarded", 10, func() {})
	if writer, err := r.writer(ctx); err != nil || writer != 1 {
		t.Errorf("node 1 wrote; now it is %d: %v", writer, err)
	}
	r.equal()

	r.registerAtAll("killed", 20, func() { must(t, r.nodes[1].Kill()) })
	must(t, r.nodes[1].Start(ctx))
	r.equal()
	must(t, r.register(ctx, 1, "back", `"long"`)) // it forwards like any other
	if writer, err := r.writer(ctx); err != nil || writer == 1 || writer < 0 {
		t.Errorf("node 1 was killed and is back; the one that writes is %d: %v", writer, err)
	}
	r.equal()
}
