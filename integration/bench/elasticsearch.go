package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// documents is the topic that holds what the Elasticsearch sink is measured with, and nothing else.
	documents = "bench.documents"
	// maxDocuments bounds them: the loader holds them all in memory, and they are loaded several times.
	maxDocuments = 500_000
	// bulkDocuments and bulksAtOnce are the sink's defaults (batch.size, max.in.flight.requests).
	bulkDocuments, bulksAtOnce = 2000, 5
	// warmRounds are not counted; of the rest, the one counts whose share is the median.
	elasticsearchRounds, warmRounds = 7, 2
	// statsInterval is how often the index is asked how many documents it has taken.
	statsInterval = 20 * time.Millisecond
)

// elasticsearch compares the sink with a bare loader that sends the same documents, printed beforehand: those that the
// sink's first load has left in its index. With Avro these are rows, which ExtractNewRecordState takes out of their
// envelopes; with JSON without schemas, which that transform passes over, they are envelopes.
//
// Both get a new index for each load, made alike before the clock starts, and send requests of the same size, the same
// number at a time. They take turns, and the first rounds are not counted, so that the server's compiler is warm. The
// sink's clock starts with the PUT of its configuration. Both clocks stop when the index's own statistics have counted the
// last document, which refreshes nothing; only then the index is refreshed, and must hold that many.
//
// What is compared is the rate from the first documents on. Before them, the sink's process starts and joins its group,
// once, in a time that is a twentieth of a load of seconds and nothing of one of hours; it is shown beside it. So is
// the share by processor time, of everything that takes part: on a machine that has other things to do, too, or more cores,
// that is the one to look at.
func (b *bench) elasticsearch(format string) (result, error) {
	name := "fill_elasticsearch_" + format
	w, err := b.filled(format, name)
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	x := &elasticsearchBench{bench: b, w: w, url: os.Getenv(services.EnvElasticsearch), n: min(b.rows, maxDocuments)}
	if err := x.copy(); err != nil {
		return result{}, err
	}
	var rounds []round
	for i := range elasticsearchRounds {
		var r round
		turns := [2]func() error{
			func() (err error) { r.sink, err = x.sink(fmt.Sprintf("bench-%s-%d-sink", format, i)); return err },
			func() (err error) { r.loader, err = x.loader(fmt.Sprintf("bench-%s-%d-loader", format, i)); return err },
		}
		for turn := range turns {
			if err := turns[(i+turn)%2](); err != nil { // in turns first: the server still becomes faster
				return result{}, err
			}
		}
		fmt.Fprintf(os.Stderr, "bench: round %d: %v\n", i, r)
		if i >= warmRounds {
			rounds = append(rounds, r)
		}
	}
	slices.SortFunc(rounds, func(a, b round) int { return cmp.Compare(a.share(), b.share()) })
	r := rounds[len(rounds)/2]
	return result{x.n, r.sink.took, r.sink.usage, r.String()}, w.Stop()
}

// elasticsearchBench is one comparison.
type elasticsearchBench struct {
	*bench
	w    *worker.Worker
	url  string
	n    int
	docs []json.RawMessage // what the sink has made of the records, in their order
}

// round is a load by the sink and one by the loader.
type round struct{ sink, loader load }

// share is what the sink loads of what the loader does in the same time.
func (r round) share() float64 { return r.sink.rate() / r.loader.rate() }

func (r round) String() string {
	return fmt.Sprintf("%.0f %% (%.0f %% with the start, %.0f %% by processor time): sink %v, loader %v", 100*r.share(),
		100*r.loader.took.Seconds()/r.sink.took.Seconds(), 100*r.loader.cpu().Seconds()/r.sink.cpu().Seconds(), r.sink, r.loader)
}

// load is one load of all documents into an index.
type load struct {
	documents, begun int           // all, and how many were there when some were first seen
	took, first      time.Duration // until the last document, and until the first
	server, own      time.Duration // processor time of Elasticsearch, and of this process
	usage            usage         // of the sink
}

// rate is in documents a second.
func (l load) rate() float64 {
	if l.begun == l.documents {
		return float64(l.documents) / l.took.Seconds()
	}
	return float64(l.documents-l.begun) / (l.took - l.first).Seconds()
}

// cpu is the processor time of all that takes part.
func (l load) cpu() time.Duration { return l.server + l.own + l.usage.hub + l.usage.children }

func (l load) String() string {
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(l.documents) }
	return fmt.Sprintf("%.2f s (first %.2f s; CPU µs/document: server %.1f, others %.1f)", l.took.Seconds(), l.first.Seconds(), each(l.server), each(l.cpu()-l.server))
}

// copy brings as many records as are loaded into a topic of their own.
func (x *elasticsearchBench) copy() error {
	// Uncompressed, as the hub's own sources write.
	cl, err := kgo.NewClient(kgo.SeedBrokers(x.w.Kafka), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return err
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(x.ctx, 1, 1, nil, documents); err != nil {
		return err
	}
	i := 0
	if err = x.w.Consume(x.ctx, topic, func(r *kgo.Record) bool {
		cl.Produce(x.ctx, &kgo.Record{Topic: documents, Key: r.Key, Value: r.Value}, nil)
		i++
		return i == x.n
	}); err != nil {
		return err
	}
	if err := cl.Flush(x.ctx); err != nil {
		return err
	}
	_, err = x.reaches(x.w, documents, x.n)
	return err
}

// sink measures one load by the sink.
func (x *elasticsearchBench) sink(index string) (load, error) {
	u, err := watch(x.w)
	if err != nil {
		return load{}, err
	}
	l, err := x.measure(index, func() error {
		return x.w.Put(x.ctx, index, map[string]string{
			"connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector", "topics": documents, "connection.url": x.url,
			"key.ignore": "true", "schema.ignore": "true", "transforms": "route,unwrap",
			"transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.route.regex": ".*", "transforms.route.replacement": index,
			"transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
		})
	})
	if err != nil {
		return l, err
	}
	if err := u.update(); err != nil {
		return l, err
	}
	l.usage = *u
	if code, body, err := x.w.Do(x.ctx, http.MethodDelete, "/connectors/"+index, nil); err != nil || code != http.StatusNoContent {
		return l, fmt.Errorf("delete: %d %s %w", code, body, err)
	}
	if x.docs == nil {
		if err := x.read(index); err != nil {
			return l, err
		}
	}
	return l, x.remove(index)
}

// measure makes an index, begins to load it, and waits until it has taken all documents. It then checks that they can
// be found.
func (x *elasticsearchBench) measure(index string, begin func() error) (load, error) {
	l := load{documents: x.n}
	if err := x.ask(http.MethodPut, "/"+index, nil, nil); err != nil {
		return l, err
	}
	before, err := x.serverCPU()
	if err != nil {
		return l, err
	}
	ownBefore, err := cpu(os.Getpid())
	if err != nil {
		return l, err
	}
	began := time.Now()
	if err := begin(); err != nil {
		return l, err
	}
	moved := began
	for have := 0; have < x.n; {
		n, err := x.taken(index)
		if err != nil {
			return l, err
		}
		l.took = time.Since(began)
		if n > have {
			if have == 0 {
				l.first, l.begun = l.took, n
			}
			have, moved = n, time.Now()
		}
		if time.Since(moved) > worker.Deadline {
			return l, fmt.Errorf("index %s stays at %d of %d documents\n%s", index, have, x.n, x.w.LogTail())
		}
		if have < x.n {
			time.Sleep(statsInterval)
		}
	}
	after, err := x.serverCPU()
	if err != nil {
		return l, err
	}
	own, err := cpu(os.Getpid())
	if err != nil {
		return l, err
	}
	l.server, l.own = after-before, own-ownBefore
	if err := x.ask(http.MethodPost, "/"+index+"/_refresh", nil, nil); err != nil {
		return l, err
	}
	var found struct{ Count int }
	if err := x.ask(http.MethodGet, "/"+index+"/_count", nil, &found); err != nil {
		return l, err
	}
	if found.Count != x.n {
		return l, fmt.Errorf("%d documents are found in index %s, and there should be %d", found.Count, index, x.n)
	}
	return l, nil
}

// taken is how many documents an index has taken, found or not.
func (x *elasticsearchBench) taken(index string) (int, error) {
	var stats struct {
		All struct {
			Primaries struct {
				Indexing struct {
					Total int `json:"index_total"`
				}
			}
		} `json:"_all"`
	}
	err := x.ask(http.MethodGet, "/"+index+"/_stats/indexing?filter_path=_all.primaries.indexing.index_total", nil, &stats)
	return stats.All.Primaries.Indexing.Total, err
}

// serverCPU is the processor time that Elasticsearch has used.
func (x *elasticsearchBench) serverCPU() (time.Duration, error) {
	var stats struct {
		Nodes map[string]struct {
			Process struct {
				CPU struct {
					Total int `json:"total_in_millis"`
				}
			}
		}
	}
	err := x.ask(http.MethodGet, "/_nodes/stats/process?filter_path=nodes.*.process.cpu.total_in_millis", nil, &stats)
	total := 0
	for _, node := range stats.Nodes {
		total += node.Process.CPU.Total
	}
	return time.Duration(total) * time.Millisecond, err
}

func (x *elasticsearchBench) remove(index string) error {
	return x.ask(http.MethodDelete, "/"+index, nil, nil)
}

// ask sends a request to Elasticsearch, with a JSON body unless that is nil, and reads the answer into into unless that
// is nil.
func (x *elasticsearchBench) ask(method, path string, body, into any) error {
	code, answer, err := worker.Do(x.ctx, method, x.url+path, body)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %.1000s", method, path, code, answer)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return err
}
