package elasticsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, New()) }

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

// world is a server with index names of the test's own.
type world struct {
	t      testing.TB
	server *services.Elasticsearch
	url    string // of the server, or of a proxy in front of it
	prefix string
}

func newWorld(t testing.TB, server *services.Elasticsearch) *world {
	return &world{t: t, server: server, url: server.URL, prefix: server.NewPrefix(t)}
}

// topic returns the topic, and so the index, of that name.
func (w *world) topic(name string) string { return w.prefix + name }

// config returns a configuration with keys added in pairs.
func (w *world) config(pairs ...string) map[string]string {
	config := map[string]string{"connection.url": w.url}
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = pairs[i+1]
	}
	return config
}

func (w *world) do(method, path, body string) string {
	w.t.Helper()
	answer, err := w.server.Do(context.Background(), method, path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(answer)
}

// docs returns the sources of all documents of an index, by id.
func (w *world) docs(index string) map[string]string {
	w.t.Helper()
	w.do("POST", "/"+index+"/_refresh", "")
	docs := make(map[string]string)
	after := ""
	for {
		var page struct {
			Hits struct {
				Hits []struct {
					ID     string          `json:"_id"`
					Source json.RawMessage `json:"_source"`
					Sort   json.RawMessage
				}
			}
		}
		body := `{"size":10000,"sort":["_doc"],"track_total_hits":false` + after + `}`
		if err := json.Unmarshal([]byte(w.do("POST", "/"+index+"/_search", body)), &page); err != nil {
			w.t.Fatal(err)
		}
		for _, h := range page.Hits.Hits {
			docs[h.ID] = string(h.Source)
		}
		if len(page.Hits.Hits) < 10000 {
			return docs
		}
		after = `,"search_after":` + string(page.Hits.Hits[len(page.Hits.Hits)-1].Sort)
	}
}

// expect checks an index, whose documents are given as id, source, id, source, …
func (w *world) expect(index string, want ...string) {
	w.t.Helper()
	docs := map[string]string{}
	for i := 0; i < len(want); i += 2 {
		docs[want[i]] = want[i+1]
	}
	if got := w.docs(index); !maps.Equal(got, docs) {
		w.t.Fatalf("index %s holds\n%v\nwanted\n%v", index, got, docs)
	}
}

// run is a task at work. Report answers answer and remembers.
type run struct {
	t    testing.TB
	task *task
	logs *logs

	mu       sync.Mutex
	answer   func(error) error
	reported map[int64]string // error by offset
	times    int
}

type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newRun(t testing.TB) *run {
	return &run{t: t, task: New().NewSinkTask().(*task), logs: &logs{}, reported: map[int64]string{}, answer: func(error) error { return nil }}
}

func (r *run) options(config map[string]string) connectors.SinkStart {
	return connectors.SinkStart{Connector: "test", Config: config, Log: slog.New(slog.NewTextHandler(r.logs, nil)), Report: r.report}
}

func (r *run) report(_ context.Context, at connectors.RecordRef, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reported[at.Offset] = err.Error()
	r.times++
	return r.answer(err)
}

func (r *run) reports() (map[int64]string, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.reported), r.times
}

// start starts a task that is stopped when the test ends, with partition 0 of the topics open.
func start(t testing.TB, config map[string]string, topics ...string) *run {
	t.Helper()
	r := newRun(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.task.Start(ctx, r.options(config)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.task.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	for _, topic := range topics {
		if _, err := r.task.Open(ctx, []connectors.TopicPartition{{Topic: topic}}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// batch makes records of partition 0 of a topic, from an offset on.
func batch(topic string, from int64, records ...connectors.Record) *connectors.Records {
	b := &connectors.Records{From: connectors.TopicPartition{Topic: topic}, List: records, End: from + int64(len(records))}
	for i := range records {
		records[i].Topic, records[i].Offset = topic, from+int64(i)
	}
	return b
}

func (r *run) tryPut(b *connectors.Records) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.task.Put(ctx, b)
}

func (r *run) put(topic string, from int64, records ...connectors.Record) {
	r.t.Helper()
	if err := r.tryPut(batch(topic, from, records...)); err != nil {
		r.t.Fatalf("put: %v", err)
	}
}

// flushTo flushes and checks the position of partition 0 of a topic.
func (r *run) flushTo(topic string, want int64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	positions, err := r.task.Flush(ctx, true)
	if err != nil {
		r.t.Fatalf("flush: %v", err)
	}
	if got := position(positions, topic); got != want {
		r.t.Fatalf("topic %s is flushed to %d, wanted %d", topic, got, want)
	}
}

func position(positions []connectors.Position, topic string) int64 {
	for _, p := range positions {
		if p.TopicPartition == (connectors.TopicPartition{Topic: topic}) {
			return p.Offset
		}
	}
	return -1
}

// insist puts as the hub does: again as long as the error may pass.
func (r *run) insist(b *connectors.Records) {
	r.t.Helper()
	r.again("put", func() error { return r.tryPut(b) })
}

// insistFlush flushes as the hub does, up to a position.
func (r *run) insistFlush(topic string, want int64) {
	r.t.Helper()
	r.again("flush", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		positions, err := r.task.Flush(ctx, true)
		if err == nil && position(positions, topic) != want {
			r.t.Fatalf("topic %s is flushed to %v, wanted %d", topic, positions, want)
		}
		return err
	})
}

func (r *run) again(doing string, call func() error) {
	r.t.Helper()
	for end := time.Now().Add(2 * patience); ; {
		err := call()
		if err == nil {
			return
		}
		if !retriable(err) || time.Now().After(end) {
			r.t.Fatalf("%s: %v", doing, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func retriable(err error) bool {
	e, ok := err.(*connectors.Error)
	return ok && e.Retriable
}

// eventually waits until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", patience, what)
		}
	}
}

// text is a key or value of a required string.
func text(s string) connectors.Data {
	return connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, s)}
}

// object is a value without a schema.
func object(s string) connectors.Data { return connectors.Data{Bytes: []byte(s)} }

// record has a string as its key and JSON as its value; no JSON is a tombstone.
func record(key, value string) connectors.Record {
	r := connectors.Record{Key: text(key)}
	if value != "" {
		r.Value = object(value)
	}
	return r
}

// numbered is a document that says its number.
func numbered(n int) string { return fmt.Sprintf(`{"n":%d}`, n) }
