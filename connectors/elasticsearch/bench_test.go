package elasticsearch

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// orders is the schema of the yardstick's table, about 150 bytes a row.
func orders() *connectors.Schema {
	return structOf(
		connectors.Field{Name: "id", Schema: connectors.Int64Schema}, connectors.Field{Name: "customer", Schema: connectors.Int32Schema},
		connectors.Field{Name: "status", Schema: connectors.StringSchema}, connectors.Field{Name: "total", Schema: connectors.Float64Schema},
		connectors.Field{Name: "currency", Schema: connectors.StringSchema}, connectors.Field{Name: "note", Schema: connectors.StringSchema},
		connectors.Field{Name: "created", Schema: connectors.Int64Schema}, connectors.Field{Name: "updated", Schema: connectors.Int64Schema},
		connectors.Field{Name: "items", Schema: connectors.OptionalInt32Schema},
	)
}

// orderBatches makes batches of rows as the hub puts them.
func orderBatches(topic string, n, size int) []*connectors.Records {
	schema := orders()
	var batches []*connectors.Records
	for from := 0; from < n; from += size {
		b := &connectors.Records{From: connectors.TopicPartition{Topic: topic}, End: int64(from + size)}
		for i := from; i < from+size; i++ {
			v := connectors.AppendInt(nil, int64(i))
			v = connectors.AppendInt(v, int64(i%10_000))
			v = connectors.AppendString(v, "shipped")
			v = connectors.AppendFloat64(v, float64(i)*0.25)
			v = connectors.AppendString(v, "EUR")
			v = connectors.AppendString(v, fmt.Sprintf("note %059d", i))
			v = connectors.AppendInt(v, 1_700_000_000_000+int64(i))
			v = connectors.AppendInt(v, 1_700_000_001_000+int64(i))
			v = connectors.AppendInt(connectors.AppendPresent(v, connectors.OptionalInt32Schema), 3)
			b.List = append(b.List, connectors.Record{Topic: topic, Offset: int64(i), Key: text(strconv.Itoa(i)), Value: connectors.Data{Schema: schema, Bytes: v}})
		}
		batches = append(batches, b)
	}
	return batches
}

// BenchmarkShare compares the task with a bare loader, which sends the same documents, printed before, in requests of
// the same size and number at a time. Both take turns against one server; share is 1 when they are equally fast.
func BenchmarkShare(b *testing.B) {
	const n, lanes, request = 200_000, 5, 2000
	w := newWorld(b, services.UseElasticsearch(b))
	fresh := func(name string) string {
		topic := w.topic(name)
		w.create(topic, `{"settings":{"number_of_replicas":0,"refresh_interval":"-1"}}`)
		return topic
	}
	count := func(topic string) {
		w.do("POST", "/"+topic+"/_refresh", "")
		if answer := w.do("GET", "/"+topic+"/_count?filter_path=count", ""); answer != fmt.Sprintf(`{"count":%d}`, n) {
			b.Fatal(answer)
		}
	}
	var ours, bare time.Duration
	round := 0
	one := func(measured bool) {
		round++
		for _, first := range []bool{round%2 == 0, round%2 != 0} { // in turns, so that neither is always on the cooler server
			topic := fresh(fmt.Sprintf("%d-%v", round, first))
			batches := orderBatches(topic, n, 2000)
			var took time.Duration
			if first {
				took = loadBare(b, w.url, printed(b, topic, batches, request), lanes)
			} else {
				took = loadTask(b, w, topic, batches)
			}
			count(topic)
			w.do("DELETE", "/"+topic, "")
			switch {
			case !measured:
			case first:
				bare += took
			default:
				ours += took
			}
		}
	}
	one(false) // warms the server's compiler
	b.ReportAllocs()
	for b.Loop() {
		one(true)
	}
	b.ReportMetric(float64(b.N*n)/ours.Seconds(), "ours/s")
	b.ReportMetric(float64(b.N*n)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "share")
}

func loadTask(b *testing.B, w *world, topic string, batches []*connectors.Records) time.Duration {
	r := start(b, w.config(), topic)
	began := time.Now()
	for _, x := range batches {
		if err := r.task.Put(b.Context(), x); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := r.task.Flush(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// printed returns the bodies of the requests.
func printed(b *testing.B, topic string, batches []*connectors.Records, request int) [][]byte {
	s := parsed(b)
	x, d := newRoutes(s, nil), newDocuments(s)
	var bodies [][]byte
	var body []byte
	in := 0
	for _, batch := range batches {
		for i := range batch.List {
			doc, err := d.append(body, x.of(topic), &batch.List[i], batch.From)
			if err != nil {
				b.Fatal(err)
			}
			if body, in = doc.lines, in+1; in == request {
				bodies, body, in = append(bodies, body), nil, 0
			}
		}
	}
	return append(bodies, body)
}

func loadBare(b *testing.B, url string, bodies [][]byte, lanes int) time.Duration {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: lanes, DisableCompression: true}}
	defer client.CloseIdleConnections()
	work := make(chan []byte)
	var running sync.WaitGroup
	began := time.Now()
	for range lanes {
		running.Go(func() {
			for body := range work {
				resp, err := client.Post(url+"/_bulk?filter_path=errors,items.*.status,items.*.error", "application/x-ndjson", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					continue
				}
				answer, err := io.ReadAll(resp.Body)
				if resp.Body.Close(); err != nil || !bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
					b.Errorf("%.200s %v", answer, err)
				}
			}
		})
	}
	for _, body := range bodies {
		if len(body) > 0 {
			work <- body
		}
	}
	close(work)
	running.Wait()
	return time.Since(began)
}

// unsent is a task that sends nothing: what is put stays in the lanes.
func unsent(t testing.TB, pairs ...string) *task {
	k := &task{settings: *parsed(t, pairs...), ends: map[connectors.TopicPartition]int64{}}
	k.routes, k.documents = newRoutes(&k.settings, nil), newDocuments(&k.settings)
	k.routes.of("orders").exists, k.routes.of("orders").mapped = true, true
	for range k.settings.lanes {
		k.lanes = append(k.lanes, newLane(k))
	}
	return k
}

// BenchmarkPut is what a record costs until it lies in its lane, without a server.
func BenchmarkPut(b *testing.B) {
	batches := orderBatches("orders", 2000, 2000)
	k := unsent(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := k.Put(b.Context(), batches[0]); err != nil {
			b.Fatal(err)
		}
		for _, l := range k.lanes {
			l.filling.reset()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/record")
}
