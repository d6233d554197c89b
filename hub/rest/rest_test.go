package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub"
)

// plugins launches a source that has nothing to say and a sink that takes everything.
type plugins struct{}

var infos = []connectors.Info{
	{Name: "idle", Classes: []string{"org.example.IdleSourceConnector"}, Version: "1.2", Kind: connectors.Source, Config: definition},
	{Name: "hole", Classes: []string{"org.example.HoleSinkConnector"}, Version: "1.3", Kind: connectors.Sink, Config: definition},
}

var definition = &configs.Definition{Keys: []configs.Key{
	{Name: "file", Type: configs.String, Doc: "A file.", Importance: configs.High},
	{Name: "host", Type: configs.String, Doc: "A host."},
	{Name: "api.password", Type: configs.Password, Doc: "A secret."},
	{Name: "poll.ms", Type: configs.Int, Default: "5", Doc: "A number."},
}}

func (plugins) Plugins(context.Context) ([]connectors.Info, error) { return infos, nil }

func (plugins) Find(_ context.Context, class, version string) (connectors.Info, error) {
	for _, in := range infos {
		if class == in.Name || class == in.Classes[0] {
			if version != "" && version != in.Version {
				return connectors.Info{}, fmt.Errorf("connector %s has the version %s, not %s", in.Name, in.Version, version)
			}
			return in, nil
		}
	}
	return connectors.Info{}, fmt.Errorf("no connector %q", class)
}

func (p plugins) Launch(ctx context.Context, l hub.Launch) (hub.Child, error) {
	info, err := p.Find(ctx, l.Class, "")
	if err != nil {
		return nil, err
	}
	c := child{info: info, ended: make(chan struct{})}
	if info.Kind == connectors.Source {
		return idle{c}, nil
	}
	return hole{c}, nil
}

type child struct {
	info  connectors.Info
	ended chan struct{}
}

func (c child) Info() connectors.Info         { return c.info }
func (c child) Done() <-chan struct{}         { return c.ended }
func (c child) Err() error                    { return nil }
func (c child) Stop(context.Context)          { close(c.ended) }
func (c child) Usage() (time.Duration, int64) { return 1500 * time.Millisecond, 4096 }

func (c child) Validate(_ context.Context, config map[string]string) []configs.Problem {
	if config["host"] == "down" {
		return []configs.Problem{configs.KeyError("host", "connect to "+config["host"]+" with "+config["api.password"]+": refused")}
	}
	return nil
}

type idle struct{ child }

func (i idle) NewSourceTask() connectors.SourceTask { return idleTask{} }

type idleTask struct{}

func (idleTask) Start(context.Context, connectors.SourceStart) error { return nil }
func (idleTask) Read(ctx context.Context, _ *connectors.Batch) error {
	<-ctx.Done()
	return ctx.Err()
}
func (idleTask) Commit(context.Context, []connectors.SourceOffset) error { return nil }
func (idleTask) Stop(context.Context) error                              { return nil }
func (idleTask) Figures() []connectors.Figure {
	return []connectors.Figure{{Name: "slot_retained_wal_bytes", Help: "Kept.", Value: 7}}
}

// Signal takes what names a table.
func (idleTask) Signal(_ context.Context, s connectors.Signal) error {
	if s.Type != "execute-snapshot" || strings.Contains(s.Data, "data-collections") {
		return nil
	}
	return &connectors.Error{Op: "take a signal", Class: connectors.ClassConfig, Err: errors.New("no table is named, says hunter2secret")}
}

type hole struct{ child }

func (h hole) NewSinkTask() connectors.SinkTask { return holeTask{} }

type holeTask struct{}

func (holeTask) Start(context.Context, connectors.SinkStart) error { return nil }
func (holeTask) Open(context.Context, []connectors.TopicPartition) ([]connectors.Position, error) {
	return nil, nil
}
func (holeTask) Put(context.Context, *connectors.Records) error             { return nil }
func (holeTask) Flush(context.Context, bool) ([]connectors.Position, error) { return nil, nil }
func (holeTask) Close(context.Context, []connectors.TopicPartition) error   { return nil }
func (holeTask) Stop(context.Context) error                                 { return nil }

// serve starts a hub and its API on a fake log.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	worker := map[string]string{"offset.storage.partitions": "1", "status.storage.partitions": "1"}
	resolver, problems := configs.NewResolver(worker, func(name string) (string, bool) { return "hunter2secret", name == "SECRET" })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	h, err := hub.New(hub.Options{Worker: worker, Client: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}, Launcher: plugins{},
		Formats: hub.DefaultFormats(nil, nil), Resolver: resolver, WorkerID: "w:1", Version: "0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	api := New(h, Options{Level: &slog.LevelVar{}})
	before := httptest.NewRecorder()
	api.ServeHTTP(before, httptest.NewRequest("GET", "/health", nil))
	if before.Code != http.StatusServiceUnavailable {
		t.Errorf("health before the start is %d", before.Code)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.Close()
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	until(t, func() bool { code, _ := ask(t, server, "GET", "/health", ""); return code == http.StatusOK })
	return server
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func ask(t *testing.T, s *httptest.Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(bytes.TrimSpace(text))
}

// step is a request and what it answers. A want that begins with ~ is a regular expression.
type step struct {
	method, path, body string
	code               int
	want               string
}

func (s step) run(t *testing.T, server *httptest.Server) {
	t.Helper()
	code, text := ask(t, server, s.method, s.path, s.body)
	if code != s.code {
		t.Errorf("%s %s: status %d, want %d: %s", s.method, s.path, code, s.code, text)
	}
	if pattern, ok := strings.CutPrefix(s.want, "~"); ok {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s %s: got %s, want %s", s.method, s.path, text, pattern)
		}
	} else if s.want != text {
		t.Errorf("%s %s: got %s, want %s", s.method, s.path, text, s.want)
	}
}

func TestLifeOfAConnector(t *testing.T) {
	server := serve(t)
	config := `{"connector.class":"org.example.IdleSourceConnector","poll.ms":7,"api.password":"${env:SECRET}"}`
	stored := `{"api.password":"${env:SECRET}","connector.class":"org.example.IdleSourceConnector","name":"a->b","poll.ms":"7"}`
	steps := []step{
		{"GET", "/", "", 200, `~"version":"0.0.1".*"kafka_cluster_id":".+"`},
		{"GET", "/connectors/", "", 200, `[]`},
		{"POST", "/connectors/", `{"name":"a->b","config":` + config + `,"initial_state":"paused"}`, 201,
			`{"name":"a->b","config":` + stored + `,"tasks":[],"type":"source"}`},
		{"POST", "/connectors", `{"name":"a->b","config":` + config + `}`, 409, `{"error_code":409,"message":"Connector a->b already exists"}`},
		{"GET", "/connectors/a%2D%3Eb/config", "", 200, stored},
		{"GET", "/connectors/a->b/tasks", "", 200, `[]`},
		{"PUT", "/connectors/a->b/resume", "", 202, ``},
	}
	for _, s := range steps {
		s.run(t, server)
	}
	running := `{"name":"a->b","connector":{"state":"RUNNING","worker_id":"w:1","version":"1.2"},"tasks":[{"id":0,"state":"RUNNING","worker_id":"w:1","version":"1.2"}],"type":"source"}`
	until(t, func() bool { _, text := ask(t, server, "GET", "/connectors/a->b/status", ""); return text == running })
	steps = []step{
		{"GET", "/connectors?expand=status&expand=info", "", 200, `~^{"a->b":{"info":{.*},"status":{.*}}}$`},
		{"GET", "/connectors/a->b/tasks", "", 200, `[{"id":{"connector":"a->b","task":0},"config":` + stored + `}]`},
		{"GET", "/connectors/a->b/tasks/0/status", "", 200, `{"id":0,"state":"RUNNING","worker_id":"w:1","version":"1.2"}`},
		{"GET", "/connectors/a->b/tasks/1/status", "", 404, `~"error_code":404`},
		{"POST", "/connectors/a->b/tasks/3/restart", "", 404, `~"error_code":404`},
		{"POST", "/api/v1/connectors/a->b/snapshot", `{"data-collections":["public.orders"]}`, 202, `~^{"id":"rest-\w+","type":"execute-snapshot"}$`},
		{"POST", "/api/v1/connectors/a->b/snapshot/pause", "", 202, `~"type":"pause-snapshot"`},
		{"POST", "/api/v1/connectors/a->b/snapshot/forget", "", 400, `~forget`},
		{"POST", "/api/v1/connectors/a->b/snapshot", "{}", 400, `~no table is named, says \*+`},
		{"POST", "/api/v1/connectors/a->b/snapshot", "[]", 400, `~must be a JSON object`},
		{"POST", "/api/v1/connectors/nobody/snapshot", "{}", 404, `~Connector nobody not found`},
		{"POST", "/connectors/a->b/tasks/0/restart", "", 204, ``},
		{"POST", "/connectors/a->b/restart", "", 204, ``},
		{"POST", "/connectors/a->b/restart?includeTasks=true", "", 202, `~"state":"RESTARTING"`},
		{"POST", "/connectors/a->b/restart?onlyFailed=true", "", 202, `~"name"`},
		{"PATCH", "/connectors/a->b/config", `{"poll.ms":null,"file":"x"}`, 200, `~"file":"x","name":"[^"]*"},`},
		{"PATCH", "/connectors/nobody/config", `{"file":"x"}`, 404, `~Connector nobody not found`},
		{"PUT", "/connectors/a->b/config", `{"connector.class":"idle","name":"other"}`, 400, `~doesn't match connector name in the URL`},
		{"PUT", "/connectors/a->b/config", `{"connector.class":"idle","poll.ms":"many"}`, 400, `~contains the following 1 error\(s\):.nInvalid value many for configuration poll.ms`},
		{"PUT", "/connectors/a->b/config", `{"connector.class":"idle"}`, 200, `~"type":"source"`},
		{"PUT", "/connectors/c/config", `{"connector.class":"idle"}`, 201, `~"name":"c"`},
		{"PATCH", "/connectors/a->b/offsets", `{"offsets":[{"partition":{"f":1},"offset":{"p":3}}]}`, 400, `~must be in the STOPPED state`},
		{"PATCH", "/connectors/a->b/offsets", `{"offsets":[]}`, 400, `~need to be provided`},
		{"PUT", "/connectors/a->b/stop", "", 204, ``},
		{"PATCH", "/connectors/a->b/offsets", `{"offsets":[{"partition":{"f":1},"offset":{"p":3}}]}`, 200, `~framework-managed offsets`},
		{"GET", "/connectors/a->b/offsets", "", 200, `{"offsets":[{"partition":{"f":1},"offset":{"p":3}}]}`},
		{"POST", "/api/v1/connectors/a->b/snapshot", `{"data-collections":["public.orders"]}`, 409, `~no running task`},
		{"GET", "/connectors/a->b/status", "", 200, `{"name":"a->b","connector":{"state":"STOPPED","worker_id":"w:1","version":"1.2"},"tasks":[],"type":"source"}`},
		{"DELETE", "/connectors/a->b/offsets", "", 200, `~reset successfully`},
		{"GET", "/connectors/a->b/offsets", "", 200, `{"offsets":[]}`},
		{"GET", "/connectors/a->b/topics", "", 200, `{"a->b":{"topics":[]}}`},
		{"GET", "/connectors/nobody/topics", "", 200, `{"nobody":{"topics":[]}}`},
		{"PUT", "/connectors/a->b/topics/reset", "", 202, ``},
		{"DELETE", "/connectors/a->b", "", 204, ``},
		{"DELETE", "/connectors/a->b", "", 404, `~Connector a->b not found`},
		{"GET", "/connectors", "", 200, `["c"]`},
		{"GET", "/connectors/a->b/status", "", 404, `~"error_code":404`},
		{"PUT", "/connectors/a->b/pause", "", 404, `~"error_code":404`},
	}
	for _, s := range steps {
		s.run(t, server)
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	server := serve(t)
	for _, s := range []step{
		{"GET", "/nothing", "", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`},
		{"PUT", "/connectors", "{}", 405, `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`},
		{"POST", "/connectors", `{"name":`, 400, `~line 1, column`},
		{"POST", "/connectors", ``, 400, `~empty`},
		{"POST", "/connectors", `[]`, 400, `{"error_code":400,"message":"The body of the request is not as expected: line 1, column 1: it cannot be of the type array"}`},
		{"POST", "/connectors", `{"name":{}}`, 400, `{"error_code":400,"message":"The body of the request is not as expected: line 1, column 9: name cannot be of the type object"}`},
		{"POST", "/connectors", `{"name":`, 400, `{"error_code":400,"message":"The body of the request is not as expected: line 1, column 8: the text ends too early"}`},
		{"POST", "/connectors", `{"name":"x","config":{},"extra":1}`, 400, `{"error_code":400,"message":"The body of the request is not as expected: unknown field \"extra\""}`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"idle","file":null}}`, 400, `~file is null`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"idle","file":{"a":1}}}`, 400, `~"error_code":400`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"org.nowhere.Gone"}}`, 400, `~Failed to find any class`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"idle"},"initial_state":"ASLEEP"}`, 400, `~ASLEEP`},
		{"POST", "/connectors", `{"config":{"connector.class":"idle"}}`, 400, `~configuration name`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"idle","name":"y"}}`, 400, `~doesn't match`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"hole","topics":"a","topics.regex":"b"}}`, 400, `~Only one of`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"hole","topics":"a,dead","errors.deadletterqueue.topic.name":"dead"}}`, 400, `~DLQ topic`},
		{"POST", "/connectors", `{"name":"x","config":{"connector.class":"idle","value.converter":"org.nowhere.Converter"}}`, 400, `~org.nowhere.Converter`},
		{"POST", "/connectors", `"` + strings.Repeat("x", maxBody) + `"`, 413, `~larger than`},
		{"PATCH", "/connectors/x/offsets", `{"offsets":[]}`, 400, `~need to be provided`},
		{"PATCH", "/connectors/x/offsets", `{"offsets":[{"partition":{"a":1},"offset":5}]}`, 400, `~JSON object, or null`},
		{"GET", "/connectors/x", "", 404, `{"error_code":404,"message":"Connector x not found"}`},
		{"GET", "/connectors/x/status", "", 404, `~"error_code":404`},
		{"GET", "/connectors/x/tasks/a/status", "", 404, `~"error_code":404`},
		{"PUT", "/connector-plugins/idle/config/validate", `{}`, 400, `~must contain 'connector.class'`},
		{"PUT", "/connector-plugins/idle/config/validate", `{"connector.class":"hole"}`, 400, `~does not match request type`},
		{"GET", "/connector-plugins/none/config", "", 404, `~Unknown plugin none`},
		{"GET", "/connector-plugins/idle/config?version=9", "", 400, `~has the version 1.2, not 9`},
		{"PUT", "/admin/loggers/root", `{"level":"LOUD"}`, 404, `~invalid log level`},
		{"PUT", "/admin/loggers/root", `{}`, 400, `~level`},
		{"GET", "/admin/loggers/other", "", 404, `~not found`},
	} {
		s.run(t, server)
	}
}

func TestPluginsAndLoggers(t *testing.T) {
	server := serve(t)
	for _, s := range []step{
		{"GET", "/connector-plugins/", "", 200, `[{"class":"org.example.IdleSourceConnector","type":"source","version":"1.2"},{"class":"org.example.HoleSinkConnector","type":"sink","version":"1.3"}]`},
		{"GET", "/connector-plugins/idle/config", "", 200, `~^\[{"name":"file".*"name":"connector.class"`},
		{"GET", "/admin/loggers/", "", 200, `{"root":{"level":"INFO","last_modified":null}}`},
		{"PUT", "/admin/loggers/root", `{"level":"debug"}`, 200, `["root"]`},
		{"GET", "/admin/loggers/root", "", 200, `~{"level":"DEBUG","last_modified":\d+}`},
		{"PUT", "/admin/loggers/root?scope=cluster", `{"level":"INFO"}`, 204, ``},
	} {
		s.run(t, server)
	}
}

func validateAnswer(t *testing.T, server *httptest.Server, body string) configs.Infos {
	t.Helper()
	code, text := ask(t, server, "PUT", "/connector-plugins/IdleSource/config/validate", body)
	if code != 200 {
		code, text = ask(t, server, "PUT", "/connector-plugins/idle/config/validate", body)
	}
	if code != 200 {
		t.Fatalf("status %d: %s", code, text)
	}
	if strings.Contains(text, "hunter2secret") {
		t.Errorf("the secret is in the answer: %s", text)
	}
	var infos configs.Infos
	if err := json.Unmarshal([]byte(text), &infos); err != nil {
		t.Fatal(err)
	}
	return infos
}

func TestValidate(t *testing.T) {
	server := serve(t)
	infos := validateAnswer(t, server, `{"name":"x","connector.class":"idle","api.password":"${env:SECRET}","hots":"y"}`)
	if infos.ErrorCount != 0 {
		t.Errorf("%d errors: %+v", infos.ErrorCount, infos)
	}
	if len(infos.Warnings) != 1 || infos.Warnings[0].Near != "host" {
		t.Errorf("warnings %+v, want one about hots", infos.Warnings)
	}
	var got []string
	for _, c := range infos.Configs {
		got = append(got, c.Value.Name)
	}
	want := []string{"name", "connector.class", "connector.plugin.version", "tasks.max", "tasks.max.enforce", "key.converter",
		"value.converter", "header.converter", "key.converter.plugin.version", "value.converter.plugin.version",
		"header.converter.plugin.version", "transforms", "predicates", "config.action.reload", "errors.retry.timeout",
		"errors.retry.delay.max.ms", "errors.tolerance", "errors.log.enable", "errors.log.include.messages", "topic.creation.groups",
		"exactly.once.support", "transaction.boundary", "transaction.boundary.interval.ms", "offsets.storage.topic",
		"file", "host", "api.password", "poll.ms"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names of configs (-want +got):\n%s", diff)
	}
	infos = validateAnswer(t, server, `{"name":"x","connector.class":"idle","host":null,"other":null}`)
	if infos.ErrorCount != 2 { // as in Connect: a form that is being filled in gets an answer
		t.Errorf("%d errors, want one for each null", infos.ErrorCount)
	}
	infos = validateAnswer(t, server, `{"name":"x","connector.class":"idle","host":"down","api.password":"${env:SECRET}"}`)
	if infos.ErrorCount != 1 {
		t.Errorf("%d errors, want the one of the host", infos.ErrorCount)
	}
	infos = validateAnswer(t, server, `{"name":"x","connector.class":"idle","poll.ms":"x","tasks.max":"0","errors.tolerance":"some"}`)
	if infos.ErrorCount != 3 {
		t.Errorf("%d errors, want all three at once", infos.ErrorCount)
	}
}

func TestMetrics(t *testing.T) {
	server := serve(t)
	step{"PUT", "/connectors/c/config", `{"connector.class":"idle"}`, 201, `~"name":"c"`}.run(t, server)
	for _, want := range []string{`sluice_ready 1`, `sluice_connectors 1`, `sluice_task_records_in_total{connector="c",task="0"} 0`,
		`sluice_connector_state{connector="c",state="running",type="source"} 1`, `sluice_task_state{connector="c",state="running",task="0",type="source"} 1`, `sluice_child_cpu_seconds_total{connector="c"} 1.5`,
		`sluice_child_resident_memory_bytes{connector="c"} 4096`, `sluice_connector_slot_retained_wal_bytes{connector="c",task="0"} 7`} {
		until(t, func() bool { _, text := ask(t, server, "GET", "/metrics", ""); return strings.Contains(text, want) })
	}
}
