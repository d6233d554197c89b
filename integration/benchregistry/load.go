package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// record returns an Avro record with that many fields, each with a default.
func record(name string, fields int) string {
	var list []string
	for i := range fields {
		list = append(list, fmt.Sprintf(`{"name":"field_%d","type":["null","string"],"default":null}`, i))
	}
	return fmt.Sprintf(`{"type":"record","name":"%s","fields":[%s]}`, name, strings.Join(list, ","))
}

// body is what registers or checks a schema.
func body(schema string) string {
	b, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(b)
}

// request returns the bytes of an HTTP request.
func request(method, path, body string) []byte {
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: registry\r\nAccept: application/vnd.schemaregistry.v1+json\r\n"+
		"Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

// outcome is what a load came to.
type outcome struct {
	requests int
	times    []time.Duration // sorted
}

func (o outcome) percentile(p int) time.Duration {
	if len(o.times) == 0 {
		return 0
	}
	return o.times[min(len(o.times)-1, len(o.times)*p/100)]
}

// load sends requests on all connections, one after another on each, for a span of time.
func load(ctx context.Context, address string, span time.Duration, next func(connection, n int) exchange) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, span+time.Minute)
	defer cancel()
	clients := make([]*client, connections)
	for i := range clients {
		var err error
		if clients[i], err = dial(ctx, address); err != nil {
			return outcome{}, err
		}
		defer clients[i].Close()
	}
	end := time.Now().Add(span)
	var mu sync.Mutex
	var all outcome
	var failed error
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			times, err := c.send(end, func(n int) exchange { return next(i, n) })
			mu.Lock()
			defer mu.Unlock()
			all.requests += len(times)
			all.times = append(all.times, times...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	slices.Sort(all.times)
	if failed == nil && all.requests == 0 {
		failed = fmt.Errorf("no answer within %s", span)
	}
	return all, failed
}

// write appends schemas of 500 bytes to the registry's topic, each under a subject of its own.
func write(ctx context.Context, kafka string, n int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic("_schemas"), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return err
	}
	defer client.Close()
	doc := strings.Repeat("d", 400)
	const first = 10_000_000 // above all ids that were given
	var mu sync.Mutex
	var failed error
	for i := range n {
		value, err := json.Marshal(map[string]any{"subject": fmt.Sprint("h", i), "version": 1, "id": first + i, "deleted": false,
			"schema": fmt.Sprintf(`{"type":"record","name":"R%d","doc":"%s","fields":[{"name":"f","type":"string"}]}`, i, doc)})
		if err != nil {
			return err
		}
		key := fmt.Appendf(nil, `{"keytype":"SCHEMA","subject":"h%d","version":1,"magic":1}`, i)
		client.Produce(ctx, &kgo.Record{Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return failed
}
