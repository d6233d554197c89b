package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// call makes a request that must be answered with a status, and returns the body.
func call(t *testing.T, w *worker.Worker, want int, method, path string, body any) string {
	t.Helper()
	status, answer, err := w.Do(deadline(t), method, path, body)
	must(t, err)
	if status != want {
		t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, want)
	}
	return string(answer)
}

// state waits until a connector, and each of its tasks, is in a state.
func state(t *testing.T, w *worker.Worker, name, want string, tasks int) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Wait(ctx, name+" to be "+want, func() error {
		s, err := w.Status(ctx, name)
		if err == nil && (s.Connector.State != want || len(s.Tasks) != tasks) {
			err = fmt.Errorf("%+v", s)
		}
		for _, task := range s.Tasks {
			if task.State != want {
				err = fmt.Errorf("%+v", s)
			}
		}
		return err
	}))
}

// What an operator does to a connector with Connect's REST API, on a table that changes meanwhile.
func TestLifeCycleOfASource(t *testing.T) {
	t.Parallel()
	s := newShop(t, services.PostgresOptions{})
	w := startWorker(t, worker.Options{})
	ctx := deadline(t)
	topic := "shop.public.orders"
	ops := func(want string) {
		t.Helper()
		records, err := w.Records(ctx, topic, len(want))
		must(t, err)
		var got strings.Builder
		for _, r := range records {
			var v struct{ Payload envelope }
			must(t, json.Unmarshal(r.Value, &v))
			got.WriteString(v.Payload.Op)
		}
		if got.String() != want {
			t.Fatalf("operations %s, want %s", got.String(), want)
		}
	}
	const c = "/connectors/orders"
	call(t, w, 201, http.MethodPost, "/connectors", map[string]any{"name": "orders", "config": s.source(nil)})
	call(t, w, 409, http.MethodPost, "/connectors", map[string]any{"name": "orders", "config": s.source(nil)})
	ops("rr")

	call(t, w, 202, http.MethodPut, c+"/pause", nil)
	state(t, w, "orders", "PAUSED", 1)
	s.exec("INSERT INTO orders (customer) VALUES ('while paused')")
	call(t, w, 202, http.MethodPut, c+"/resume", nil)
	state(t, w, "orders", "RUNNING", 1)
	ops("rrc")

	call(t, w, 400, http.MethodDelete, c+"/offsets", nil) // only of a stopped one
	call(t, w, 204, http.MethodPut, c+"/stop", nil)
	state(t, w, "orders", "STOPPED", 0)
	s.exec("INSERT INTO orders (customer) VALUES ('while stopped')")
	var stored struct {
		Offsets []struct {
			Partition, Offset json.RawMessage
		} `json:"offsets"`
	}
	before := call(t, w, 200, http.MethodGet, c+"/offsets", nil)
	must(t, json.Unmarshal([]byte(before), &stored))
	has := func(partition string) bool {
		return slices.ContainsFunc(stored.Offsets, func(o struct{ Partition, Offset json.RawMessage }) bool { return string(o.Partition) == partition })
	}
	if len(stored.Offsets) != 2 || !has(`{"server":"shop"}`) || !has(`{"server":"shop","of":"server"}`) {
		t.Fatalf("offsets %s", before)
	}
	call(t, w, 200, http.MethodDelete, c+"/offsets", nil)
	if none := call(t, w, 200, http.MethodGet, c+"/offsets", nil); strings.TrimSpace(none) != `{"offsets":[]}` {
		t.Errorf("after DELETE: %s", none)
	}
	// What the connector itself refuses is, as in Connect, not the request's form.
	if answer := call(t, w, 500, http.MethodPatch, c+"/offsets", `{"offsets":[{"partition":{"server":"shop"},"offset":{"lsn":"x"}}]}`); !strings.Contains(answer, "lsn") {
		t.Errorf("a wrong offset: %s", answer)
	}
	call(t, w, 200, http.MethodPatch, c+"/offsets", before)
	if after := call(t, w, 200, http.MethodGet, c+"/offsets", nil); after != before {
		t.Errorf("after PATCH: %s, want %s", after, before)
	}
	call(t, w, 202, http.MethodPut, c+"/resume", nil)
	ops("rrcc")

	// Without offsets it begins anew.
	call(t, w, 204, http.MethodPut, c+"/stop", nil)
	state(t, w, "orders", "STOPPED", 0)
	call(t, w, 200, http.MethodDelete, c+"/offsets", nil)
	call(t, w, 202, http.MethodPut, c+"/resume", nil)
	ops("rrccrrrr")

	children, err := w.Children()
	must(t, err)
	call(t, w, 202, http.MethodPost, c+"/restart?includeTasks=true", nil)
	state(t, w, "orders", "RUNNING", 1)
	must(t, w.Wait(ctx, "another child", func() error {
		now, err := w.Children()
		if err == nil && (len(now) != 1 || slices.Equal(now, children)) {
			err = fmt.Errorf("children %v, before %v", now, children)
		}
		return err
	}))
	call(t, w, 204, http.MethodPost, c+"/tasks/0/restart", nil)
	state(t, w, "orders", "RUNNING", 1)
	call(t, w, 200, http.MethodPatch, c+"/config", map[string]any{"tombstones.on.delete": "false"})
	state(t, w, "orders", "RUNNING", 1)
	s.exec("DELETE FROM orders WHERE id = 2", "UPDATE orders SET paid = true WHERE id = 1")
	ops("rrccrrrrdu")

	if topics := call(t, w, 200, http.MethodGet, c+"/topics", nil); !strings.Contains(topics, topic) {
		t.Errorf("topics %s", topics)
	}
	call(t, w, 204, http.MethodDelete, c, nil)
	call(t, w, 404, http.MethodGet, c+"/status", nil)
	must(t, w.Wait(ctx, "the child to end", func() error {
		if now, err := w.Children(); err != nil || len(now) > 0 {
			return fmt.Errorf("%v %w", now, err)
		}
		return nil
	}))
}
