package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
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
	// warmRounds are not counted; of the rest, the best time of the sink and the best of the loader count.
	elasticsearchRounds, warmRounds = 6, 2
	// statsInterval is how often the index is asked how many documents it has taken.
	statsInterval = 20 * time.Millisecond
)

// elasticsearch compares the sink with a bare loader that sends the same documents, printed beforehand: those that the
// sink's first load has left in its index. With Avro these are rows, which ExtractNewRecordState takes out of their
// envelopes; with JSON without schemas, which that transform passes over, they are envelopes.
//
// Both get a new index for each load, made alike before the clock starts, and send requests of the same size, the same
// number at a time. They take turns, and the first rounds are not counted, so that the server's compiler is warm. The
// sink's clock starts with the PUT of its configuration, so its time has the start of its process and the joining of
// its group in it. Both clocks stop when the index's own statistics have counted the last document, which refreshes
// nothing; only then the index is refreshed, and must hold that many.
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
	loads := [2]func(index string) (load, error){x.sink, x.loader}
	var best [2]load
	for round := range elasticsearchRounds {
		var now [2]load
		for turn := range loads {
			which := (round + turn) % 2 // in turns first: the server still becomes faster
			index := fmt.Sprintf("bench-%s-%d-%d", format, round, which)
			if now[which], err = loads[which](index); err != nil {
				return result{}, err
			}
			if round == warmRounds || round > warmRounds && now[which].took < best[which].took {
				best[which] = now[which]
			}
		}
		fmt.Fprintf(os.Stderr, "bench: round %d: sink %v, loader %v\n", round, now[0], now[1])
	}
	sink, loader := best[0], best[1]
	note := fmt.Sprintf("%.0f %% (%.0f %% from the first document on): sink %v, loader %v", 100*loader.took.Seconds()/sink.took.Seconds(),
		100*(loader.took-loader.first).Seconds()/(sink.took-sink.first).Seconds(), sink, loader)
	return result{x.n, sink.took, sink.usage, note}, w.Stop()
}

// elasticsearchBench is one comparison.
type elasticsearchBench struct {
	*bench
	w    *worker.Worker
	url  string
	n    int
	docs []json.RawMessage // what the sink has made of the records, in their order
}

// load is one load of all documents into an index.
type load struct {
	documents   int
	took, first time.Duration // until the last document, and until the first
	server      time.Duration // processor time of Elasticsearch
	usage       usage         // of the sink
}

func (l load) String() string {
	return fmt.Sprintf("%.2f s (first %.2f s, server %.1f µs CPU/document)", l.took.Seconds(), l.first.Seconds(), l.server.Seconds()*1e6/float64(l.documents))
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

// loader measures one load by the bare loader.
func (x *elasticsearchBench) loader(index string) (load, error) {
	var bodies [][]byte
	for i, doc := range x.docs {
		if i%bulkDocuments == 0 {
			bodies = append(bodies, nil)
		}
		last := &bodies[len(bodies)-1]
		*last = fmt.Appendf(*last, "{\"index\":{\"_index\":%q,\"_id\":%q}}\n%s\n", index, documentID(i), doc)
	}
	var loading sync.WaitGroup
	var failed error
	l, err := x.measure(index, func() error {
		loading.Go(func() { failed = x.load(bodies) })
		return nil
	})
	loading.Wait()
	if err := errors.Join(err, failed); err != nil {
		return l, err
	}
	return l, x.remove(index)
}

// documentID is the id of a record's document with key.ignore.
func documentID(offset int) string { return fmt.Sprintf("%s+0+%d", documents, offset) }

// read gets the documents out of an index. It scrolls: a merge in the meantime gives documents other places.
func (x *elasticsearchBench) read(index string) error {
	x.docs = make([]json.RawMessage, x.n)
	path, body, read := "/"+index+"/_search?scroll=5m", map[string]any{"size": 10000, "sort": []string{"_doc"}}, 0
	for {
		var page struct {
			Scroll string `json:"_scroll_id"`
			Hits   struct {
				Hits []struct {
					ID     string          `json:"_id"`
					Source json.RawMessage `json:"_source"`
				}
			}
		}
		if err := x.ask(http.MethodPost, path, body, &page); err != nil {
			return err
		}
		for _, h := range page.Hits.Hits {
			i, err := strconv.Atoi(h.ID[strings.LastIndexByte(h.ID, '+')+1:])
			if err != nil || i >= x.n || h.ID != documentID(i) || x.docs[i] != nil {
				return fmt.Errorf("the document %s is not to be expected", h.ID)
			}
			x.docs[i] = h.Source
			read++
		}
		if len(page.Hits.Hits) == 0 {
			if read < x.n {
				return fmt.Errorf("only %d of %d documents can be read from %s", read, x.n, index)
			}
			return x.ask(http.MethodDelete, "/_search/scroll", map[string]any{"scroll_id": page.Scroll}, nil)
		}
		path, body = "/_search/scroll", map[string]any{"scroll": "5m", "scroll_id": page.Scroll}
	}
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
				l.first = l.took
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
	l.server = after - before
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

// load sends the requests, and returns the first error.
func (x *elasticsearchBench) load(bodies [][]byte) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bulksAtOnce}}
	defer client.CloseIdleConnections()
	work, failed := make(chan []byte), make(chan error, 1)
	var sending sync.WaitGroup
	for range bulksAtOnce {
		sending.Go(func() {
			for body := range work {
				if err := send(x.ctx, client, x.url, body); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for _, body := range bodies {
		work <- body
	}
	close(work)
	sending.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func send(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/_bulk?filter_path=errors", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && string(answer) != `{"errors":false}` {
		err = fmt.Errorf("a bulk request was answered %.300s", answer)
	}
	return err
}
