package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

func nothing() *connectors.Records { return &connectors.Records{} }

func blockedIndex(t *testing.T, w *world) {
	topic := w.topic("orders")
	w.create(topic, "")
	w.do("PUT", "/"+topic+"/_settings", `{"index.blocks.read_only_allow_delete":true}`)
	r := start(t, w.config(), topic)
	r.put(topic, 0, record("1", `{"n":1}`))
	err := r.untilTrouble()
	if connectors.ClassOf(err) != connectors.ClassEnvironment || !retriable(err) || !contains(err, topic, "blocked", "remedy", "index.blocks.read_only_allow_delete") {
		t.Errorf("the trouble is %v", err)
	}
	if _, err := r.task.Flush(t.Context(), true); !retriable(err) {
		t.Errorf("a forced flush: %v", err)
	}
	if positions, err := r.task.Flush(t.Context(), false); err != nil || position(positions, topic) != 0 {
		t.Errorf("a flush: %v, %v", positions, err)
	}
	w.do("PUT", "/"+topic+"/_settings", `{"index.blocks.read_only_allow_delete":null}`)
	r.insist(batch(topic, 1, record("2", `{"n":2}`)))
	r.insistFlush(topic, 2)
	w.expect(topic, "1", `{"n":1}`, "2", `{"n":2}`)
	if _, times := r.reports(); times > 0 {
		t.Error("a blocked index was taken for a bad record")
	}
}

// noShardsLeft: somebody deletes the index, and the cluster may not make it again. Nothing is wrong with the documents.
func noShardsLeft(t *testing.T, w *world) {
	topic := w.topic("orders")
	r := start(t, w.config("behavior.on.null.values", "delete"), topic)
	r.put(topic, 0, record("1", `{"n":1}`))
	r.flushTo(topic, 1)
	limit := func(to string) {
		w.do("PUT", "/_cluster/settings", `{"persistent":{"cluster.max_shards_per_node":`+to+`}}`)
	}
	limit("1")
	defer limit("null")
	w.do("DELETE", "/"+topic, "")
	r.put(topic, 1, record("2", `{"n":2}`), record("3", ""))
	full := func(err error) {
		t.Helper()
		if connectors.ClassOf(err) != connectors.ClassEnvironment || !retriable(err) || !contains(err, "shards open", "remedy", "cluster.max_shards_per_node") {
			t.Errorf("the trouble is %v", err)
		}
	}
	full(r.untilTrouble())
	another := start(t, w.config(), topic)
	full(another.tryPut(batch(topic, 0, record("1", `{"n":1}`)))) // it would make the index itself
	limit("null")
	r.insistFlush(topic, 3)
	w.expect(topic, "2", `{"n":2}`)
	if _, times := r.reports(); times > 0 {
		t.Error("a cluster without shards was taken for a bad record")
	}
}

// failingItems: only what failed is sent again.
func failingItems(t *testing.T, w *world) {
	p := newProxy(w)
	failed := map[string]int{}
	p.set(nil, func(_, _, id, _ string) int {
		n, _ := strconv.Atoi(id)
		if failed[id]++; failed[id] <= n%4 {
			return []int{0, 429, 503, 403}[n%4]
		}
		return 0
	})
	topic := w.topic("orders")
	r := start(t, w.config("linger.ms", "20", "retry.backoff.ms", "1"), topic)
	want := map[string]string{}
	var records []connectors.Record
	for i := range 2000 {
		want[strconv.Itoa(i)] = numbered(i)
		records = append(records, record(strconv.Itoa(i), numbered(i)))
	}
	r.put(topic, 0, records...)
	r.insistFlush(topic, 2000)
	docs := w.docs(topic)
	for id, source := range want {
		if docs[id] != source {
			t.Fatalf("document %s is %q, wanted %q", id, docs[id], source)
		}
	}
	_, applied := p.counts()
	for pair, n := range applied {
		if n != 1 {
			t.Fatalf("sent %d times, although the server took it: %s", n, pair)
		}
	}
	if _, times := r.reports(); times > 0 || len(applied) != 2000 {
		t.Errorf("%d reports, %d operations", times, len(applied))
	}
}

// orderUnderRetries fails any operation at random, on documents without versions, and whole requests too.
func orderUnderRetries(t *testing.T, w *world) {
	p := newProxy(w)
	random := rand.New(rand.NewPCG(3, 4)) // used under the proxy's lock
	var mu sync.Mutex
	whole := rand.New(rand.NewPCG(5, 6))
	p.set(func(rw http.ResponseWriter, r *http.Request, body []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		switch whole.IntN(12) {
		case 0:
			rw.WriteHeader(http.StatusServiceUnavailable)
		case 1:
			rw.Header().Set("Retry-After", "0")
			rw.WriteHeader(http.StatusTooManyRequests)
		case 2:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}, func(string, string, string, string) int {
		if random.IntN(10) == 0 {
			return http.StatusTooManyRequests
		}
		return 0
	})
	topic := w.topic("orders")
	r := start(t, w.config("write.method", "upsert", "behavior.on.null.values", "delete", "retry.backoff.ms", "1", "batch.size", "100"), topic)
	want := map[string]string{}
	choose := rand.New(rand.NewPCG(7, 8))
	const all, step = 10_000, 500
	for from := 0; from < all; from += step {
		var records []connectors.Record
		for i := from; i < from+step; i++ {
			id, value := strconv.Itoa(choose.IntN(200)), numbered(i)
			if choose.IntN(8) == 0 {
				value = ""
				delete(want, id)
			} else {
				want[id] = value
			}
			records = append(records, record(id, value))
		}
		r.insist(batch(topic, int64(from), records...))
	}
	r.insistFlush(topic, all)
	got := w.docs(topic)
	if len(got) != len(want) {
		t.Errorf("%d documents, wanted %d", len(got), len(want))
	}
	for id, value := range want {
		if got[id] != value {
			t.Fatalf("document %s is %q, wanted %q", id, got[id], value)
		}
	}
}

// hangingServer: nothing is confirmed, memory stays bounded, and all arrives when it goes on.
func hangingServer(t *testing.T, w *world) {
	p := newProxy(w)
	release := make(chan struct{})
	p.set(hang(release), nil)
	topic := w.topic("orders")
	r := start(t, w.config("bulk.size.bytes", "1000000", "read.timeout.ms", "600000"), topic)
	filler := strings.Repeat("x", 1000)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	next, blocked := int64(0), false
	var rest *connectors.Records
	for !blocked && next < 300_000 {
		var records []connectors.Record
		for i := range int64(500) {
			records = append(records, record(strconv.FormatInt(next+i, 10), fmt.Sprintf(`{"n":%d,"f":%q}`, next+i, filler)))
		}
		rest = batch(topic, next, records...)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		blocked = r.task.Put(ctx, rest) != nil
		cancel()
		if !blocked {
			next += 500
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	if held := int64(during.HeapAlloc) - int64(before.HeapAlloc); !blocked || held > 60<<20 {
		t.Errorf("after %d records of 1 kB the task holds %d bytes, blocked: %v", next, held, blocked)
	}
	positions, err := r.task.Flush(t.Context(), false)
	if err != nil || position(positions, topic) != 0 {
		t.Errorf("nothing was confirmed, and the positions are %v, %v", positions, err)
	}
	close(release)
	r.insist(rest)
	r.insistFlush(topic, rest.End)
	if docs := w.docs(topic); int64(len(docs)) != rest.End {
		t.Errorf("%d documents, wanted %d", len(docs), rest.End)
	}
}

// lostAnswer: a request may have been carried out although its answer was lost.
func lostAnswer(t *testing.T, w *world) {
	p := newProxy(w)
	release := make(chan struct{})
	var mu sync.Mutex
	n := 0
	p.set(func(rw http.ResponseWriter, r *http.Request, body []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		switch n++; n {
		case 1, 3: // carried out, not answered
			http.Post(p.target.String()+"/_bulk", "application/x-ndjson", bytes.NewReader(body))
			panic(http.ErrAbortHandler)
		case 2:
			return hang(release)(rw, r, body)
		case 4:
			rw.Write([]byte(`{"errors":true,"items":[]}`))
		case 5:
			rw.Header().Set("Content-Length", "1000")
			rw.Header().Set("X-Elastic-Product", "Elasticsearch")
			rw.Write([]byte(`{"errors":true,"it`))
		default:
			return false
		}
		return true
	}, nil)
	topic := w.topic("orders")
	r := start(t, w.config("read.timeout.ms", "1000", "retry.backoff.ms", "1", "max.retries", "100", "max.in.flight.requests", "1", "behavior.on.null.values", "delete"), topic)
	r.insist(batch(topic, 0, record("1", `{"n":1}`), record("2", `{"n":2}`), record("1", ""), record("1", `{"n":3}`)))
	r.insistFlush(topic, 4)
	w.expect(topic, "1", `{"n":3}`, "2", `{"n":2}`)
	if bulks, _ := p.counts(); bulks < 6 {
		t.Errorf("only %d requests", bulks)
	}
}

// slowClose takes a partition away while requests hang: what was not sent is dropped, and Close comes to an end.
func slowClose(t *testing.T, w *world) {
	p := newProxy(w)
	release := make(chan struct{})
	lose := hang(release)
	var first atomic.Bool
	p.set(func(rw http.ResponseWriter, r *http.Request, body []byte) bool {
		if first.Swap(true) {
			return false
		}
		lose(rw, r, body)
		panic(http.ErrAbortHandler) // it never reaches the server, whoever hears of its end first
	}, nil)
	topic, other := w.topic("orders"), w.topic("others")
	r := start(t, w.config("max.in.flight.requests", "1"), topic, other)
	r.put(topic, 0, record("1", `{"n":1}`))
	eventually(t, "a request hangs", func() bool { bulks, _ := p.counts(); return bulks == 1 })
	r.put(topic, 1, record("2", `{"n":2}`))
	r.put(other, 0, record("a", `{"n":3}`))
	r.put(topic, 2, record("3", `{"n":4}`))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := r.task.Close(ctx, []connectors.TopicPartition{{Topic: topic}}); err != nil {
		t.Errorf("close: %v", err)
	}
	close(release)
	r.flushTo(other, 1)
	w.expect(other, "a", `{"n":3}`)
	r.put(other, 1, record("b", `{"n":5}`))
	r.flushTo(other, 2)
	w.expect(topic)
	if _, err := r.task.Open(t.Context(), []connectors.TopicPartition{{Topic: topic}}); err != nil {
		t.Fatal(err)
	}
	r.put(topic, 0, record("1", `{"n":1}`), record("2", `{"n":2}`))
	r.flushTo(topic, 2)
	w.expect(topic, "1", `{"n":1}`, "2", `{"n":2}`)
}

// halfBatch: a Put that fails in the middle goes on there. With ids of the server, each record twice would show.
func halfBatch(t *testing.T, w *world) {
	p := newProxy(w)
	p.set(fail(http.StatusServiceUnavailable, ""), nil)
	topic := w.topic("orders")
	r := start(t, w.config("use.autogenerated.ids", "true", "batch.size", "10", "max.buffered.records", "100", "retry.backoff.ms", "1", "max.retries", "2"), topic)
	var records []connectors.Record
	for i := range 1000 {
		records = append(records, record("", numbered(i)))
	}
	b := batch(topic, 0, records...)
	err := r.tryPut(b)
	if !retriable(err) || connectors.ClassOf(err) != connectors.ClassEnvironment || !contains(err, "503") {
		t.Fatalf("put: %v", err)
	}
	positions, err := r.task.Flush(t.Context(), false)
	if err != nil || position(positions, topic) != 0 {
		t.Errorf("positions %v, %v", positions, err)
	}
	p.set(nil, nil)
	r.insist(b)
	r.insistFlush(topic, 1000)
	if docs := w.docs(topic); len(docs) != 1000 {
		t.Errorf("%d documents, wanted 1000", len(docs))
	}
}
