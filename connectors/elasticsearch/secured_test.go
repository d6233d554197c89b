package elasticsearch

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// ownServer is what needs a server with settings of its own, which may be killed: it wants passwords from whoever
// gives one, and takes requests of 1 MB at most.
func ownServer(t *testing.T) {
	t.Parallel()
	server, err := services.StartElasticsearch(context.Background(), services.ElasticsearchOptions{Settings: map[string]string{
		"xpack.security.enabled": "true", "xpack.security.http.ssl.enabled": "false", "xpack.security.transport.ssl.enabled": "false",
		"xpack.security.autoconfiguration.enabled": "false", "xpack.security.authc.anonymous.roles": "remote_monitoring_collector",
		"http.max_content_length": "1mb", "resource.reload.interval.high": "200ms",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(server.LogTail())
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	writeUsers(t, server, "correct-horse")
	admin := &services.Elasticsearch{Server: server.Server, URL: strings.Replace(server.URL, "http://", "http://admin:"+adminPassword+"@", 1)}
	t.Run("passwords and rights", func(t *testing.T) {
		w := newWorld(t, admin)
		w.url = server.URL
		passwords(t, w)
	})
	t.Run("a request too large", func(t *testing.T) { tooLarge(t, newWorld(t, admin)) })
	t.Run("no shards are left", func(t *testing.T) { noShardsLeft(t, newWorld(t, admin)) })
	t.Run("a server killed under load", func(t *testing.T) { killed(t, newWorld(t, admin)) })
}

const adminPassword = "staple-battery"

// writeUsers writes the files that the server knows its users from, and waits until it has read them. A writer may
// only write, and a watcher only watch. Whoever comes without a name may ask for the cluster's health.
func writeUsers(t *testing.T, server *services.Elasticsearch, password string) {
	t.Helper()
	for _, file := range [][2]string{
		{"roles.yml", `
writer:
  indices: [{names: ['t-*'], privileges: [create_index, view_index_metadata, index, delete]}]
watcher:
  cluster: [monitor]
  indices: [{names: ['t-*'], privileges: [read, view_index_metadata]}]
`},
		{"users_roles", "superuser:admin\nwriter:writer\nwatcher:watcher\n"},
		{"users", "admin:" + adminPassword + "\nwriter:" + password + "\nwatcher:" + password + "\n"},
	} {
		if err := os.WriteFile(filepath.Join(server.Dir(), "home", "config", file[0]), []byte(file[1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the server knows the users", func() bool {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/_security/_authenticate", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("writer", password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode == http.StatusOK && strings.Contains(string(body), `["writer",`)
	})
}

func passwords(t *testing.T, w *world) {
	topic := w.topic("orders")
	wrong := w.config("connection.username", "writer", "connection.password", "wrong-battery")
	problems := New().Validate(t.Context(), wrong)
	if len(problems) != 1 || problems[0].Key != "connection.username" || strings.Contains(problems[0].Message, "wrong-battery") {
		t.Errorf("validate: %v", problems)
	}
	inAddress := map[string]string{"connection.url": strings.Replace(w.url, "http://", "http://writer:wrong-battery@", 1)}
	key := w.config("connection.api.key", "bm86c3VjaA==")
	for _, config := range []map[string]string{wrong, inAddress, key} {
		r := newRun(t)
		err := r.task.Start(t.Context(), r.options(config))
		if connectors.ClassOf(err) != connectors.ClassEnvironment || !contains(err, "401", "remedy", "connection.password") || contains(err, "wrong-battery") {
			t.Errorf("start: %v", err)
		}
		if err := r.task.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}

	r := start(t, w.config("connection.username", "watcher", "connection.password", "correct-horse"), topic)
	err := r.tryPut(batch(topic, 0, record("1", `{"n":1}`)))
	if connectors.ClassOf(err) != connectors.ClassEnvironment || !retriable(err) || !contains(err, "403", topic, "create_index") {
		t.Errorf("without the right to make an index: %v", err)
	}
	w.create(topic, "")
	r.insist(batch(topic, 0, record("1", `{"n":1}`)))
	if err := r.untilTrouble(); connectors.ClassOf(err) != connectors.ClassEnvironment || !contains(err, "security_exception", "privileges") {
		t.Errorf("without the right to write: %v", err)
	}

	good := start(t, w.config("connection.username", "writer", "connection.password", "correct-horse"), topic)
	good.put(topic, 0, record("1", `{"n":1}`))
	good.flushTo(topic, 1)
	w.expect(topic, "1", `{"n":1}`)

	// The password is changed while the task works.
	writeUsers(t, w.server, "other-staple")
	good.insist(batch(topic, 1, record("2", `{"n":2}`)))
	if err := good.untilTrouble(); !retriable(err) || !contains(err, "401", "connection.password") {
		t.Errorf("with a password that changed: %v", err)
	}
	writeUsers(t, w.server, "correct-horse")
	good.insistFlush(topic, 2)
	w.expect(topic, "1", `{"n":1}`, "2", `{"n":2}`)
}

func tooLarge(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("linger.ms", "60000", "max.in.flight.requests", "1", "write.method", "upsert"), topic)
	var records []connectors.Record
	for i := range 300 {
		records = append(records, record(strconv.Itoa(i%250), fmt.Sprintf(`{"n":%d,"f":%q}`, i, strings.Repeat("x", 20_000))))
	}
	records[200] = record("200", fmt.Sprintf(`{"f":%q}`, strings.Repeat("x", 2_000_000)))
	r.put(topic, 0, records...)
	r.insistFlush(topic, 300)
	docs := w.docs(topic)
	if len(docs) != 249 || !strings.HasPrefix(docs["0"], `{"n":250,`) || !strings.HasPrefix(docs["49"], `{"n":299,`) {
		t.Errorf("%d documents, the first is %.20s", len(docs), docs["0"])
	}
	if reported, times := r.reports(); times != 1 || !strings.Contains(reported[200], "413") {
		t.Errorf("reported %.300v", reported)
	}
}

// killed kills the server while records are put.
func killed(t *testing.T, w *world) {
	topic := w.topic("orders")
	w.create(topic, `{"settings":{"number_of_replicas":0}}`)
	r := start(t, w.config("write.method", "upsert", "behavior.on.null.values", "delete", "read.timeout.ms", "10000"), topic)
	var killing sync.WaitGroup
	stop := make(chan struct{})
	killing.Go(func() {
		defer close(stop)
		if err := w.server.Kill(); err != nil {
			t.Error(err)
		}
		if err := w.server.Restart(context.Background()); err != nil {
			t.Error(err)
		}
	})
	want := map[string]string{}
	random := rand.New(rand.NewPCG(9, 10))
	next := int64(0)
	for done := false; !done; {
		select {
		case <-stop:
			done = true
		default:
		}
		var records []connectors.Record
		for range 200 {
			id, value := strconv.Itoa(random.IntN(1000)), numbered(int(next)+len(records))
			if random.IntN(10) == 0 {
				value = ""
				delete(want, id)
			} else {
				want[id] = value
			}
			records = append(records, record(id, value))
		}
		r.insist(batch(topic, next, records...))
		next += 200
		time.Sleep(time.Millisecond) // so that the outage falls between writes
	}
	killing.Wait()
	r.insistFlush(topic, next)
	w.do("GET", "/_cluster/health/"+topic+"?wait_for_status=yellow&timeout=60s", "")
	got := w.docs(topic)
	if len(got) != len(want) {
		t.Errorf("%d documents after %d records, wanted %d", len(got), next, len(want))
	}
	for id, value := range want {
		if got[id] != value {
			t.Fatalf("document %s is %q, wanted %q", id, got[id], value)
		}
	}
	if _, times := r.reports(); times > 0 {
		t.Errorf("%d reports", times)
	}
}
