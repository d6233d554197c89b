package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// fakeStore is a bucket in memory that fails when it is told to.
type fakeStore struct {
	mu      sync.Mutex
	objects map[string][]byte
	about   map[string]metadata
	parts   map[string][][]byte // by upload
	keys    map[string]string   // of uploads
	uploads int
	writes  []string // names in the order they became visible
	// fail is asked before each request; lost before each answer to a request that was carried out.
	fail, lost func(op, key string) error
}

func newFakeStore() *fakeStore {
	return &fakeStore{objects: map[string][]byte{}, about: map[string]metadata{}, parts: map[string][][]byte{}, keys: map[string]string{}}
}

func (f *fakeStore) begin(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.fail != nil {
		return f.fail(op, key)
	}
	return nil
}

func (f *fakeStore) end(op, key string) error {
	if f.lost != nil {
		return f.lost(op, key)
	}
	return nil
}

func (f *fakeStore) put(ctx context.Context, key string, body io.ReadSeeker, size int64, about metadata, ifAbsent bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "put", key); err != nil {
		return err
	}
	if f.objects[key] != nil && ifAbsent {
		return errExists
	}
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size {
		return fmt.Errorf("body of %d bytes has %d: %w", size, len(b), err)
	}
	f.objects[key], f.about[key] = b, about
	f.writes = append(f.writes, key)
	return f.end("put", key)
}

func (f *fakeStore) create(ctx context.Context, key string, about metadata) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "create", key); err != nil {
		return "", err
	}
	f.uploads++
	id := strconv.Itoa(f.uploads)
	f.parts[id], f.keys[id], f.about["upload "+id] = nil, key, about
	return id, f.end("create", key)
}

func (f *fakeStore) part(ctx context.Context, key, id string, number int32, body io.ReadSeeker, size int64) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "part", key); err != nil {
		return "", err
	}
	b, err := io.ReadAll(body)
	if err != nil || int64(len(b)) != size || f.keys[id] != key || int(number) != len(f.parts[id])+1 {
		return "", fmt.Errorf("part %d of %s: %d bytes of %d: %w", number, key, len(b), size, err)
	}
	if err := f.end("part", key); err != nil {
		return "", err
	}
	f.parts[id] = append(f.parts[id], b)
	return strconv.Itoa(int(number)), nil
}

func (f *fakeStore) complete(ctx context.Context, key, id string, tags []string, ifAbsent bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "complete", key); err != nil {
		return err
	}
	if f.objects[key] != nil && ifAbsent {
		return errExists
	}
	if len(tags) != len(f.parts[id]) || f.keys[id] != key {
		return errors.New("no such upload")
	}
	f.objects[key], f.about[key] = slices.Concat(f.parts[id]...), f.about["upload "+id]
	delete(f.parts, id)
	f.writes = append(f.writes, key)
	return f.end("complete", key)
}

func (f *fakeStore) abort(_ context.Context, _, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.parts, id)
	return nil
}

func (f *fakeStore) head(ctx context.Context, key string) (metadata, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(ctx, "head", key); err != nil {
		return metadata{}, false, err
	}
	return f.about[key], f.objects[key] != nil, nil
}

func (f *fakeStore) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.objects))
}

func (f *fakeStore) content(key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.objects[key])
}

// run is a task at work on a store.
type run struct {
	t    testing.TB
	task *task
	bad  []connectors.RecordRef
}

// baseConfig is the least that a configuration needs, with more and other keys.
func baseConfig(more ...string) map[string]string {
	c := map[string]string{"s3.bucket.name": "bucket", "format.class": "json", "flush.size": "3"}
	for i := 0; i < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}

// startRun starts a task that writes to st. Bad records are tolerated.
func startRun(t testing.TB, st store, config map[string]string, parts ...connectors.TopicPartition) *run {
	t.Helper()
	c := New().(*connector)
	r := &run{t: t, task: &task{definition: c.definition, memory: c.memory,
		dial: func(context.Context, configs.Values, *settings) (store, error) { return st, nil }}}
	err := r.task.Start(t.Context(), connectors.SinkStart{Connector: "test", Config: config,
		Report: func(_ context.Context, at connectors.RecordRef, _ error) error {
			r.bad = append(r.bad, at)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) == 0 {
		parts = []connectors.TopicPartition{orders}
	}
	if _, err := r.task.Open(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	return r
}

var orders = connectors.TopicPartition{Topic: "orders", Partition: 0}

func (r *run) put(records ...connectors.Record) {
	r.t.Helper()
	if err := r.tryPut(records...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) tryPut(records ...connectors.Record) error {
	b := &connectors.Records{List: records}
	if n := len(records); n > 0 {
		b.From = connectors.TopicPartition{Topic: records[0].Topic, Partition: records[0].Partition}
		b.End = records[n-1].Offset + 1
	}
	return r.task.Put(r.t.Context(), b)
}

// flush waits for what is finished and returns the position of orders-0.
func (r *run) flush() int64 {
	r.t.Helper()
	positions, err := r.task.Flush(r.t.Context(), true)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range positions {
		if p.TopicPartition == orders {
			return p.Offset
		}
	}
	return -1
}

func (r *run) stop() {
	r.t.Helper()
	if err := r.task.Stop(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if used := r.task.memory.used.Load(); used != 0 {
		r.t.Errorf("%d bytes of the budget are still taken after the end", used)
	}
}

// order is a record of orders-0 with its number as JSON.
func order(offset int64, value string) connectors.Record {
	return connectors.Record{Topic: orders.Topic, Offset: offset, Timestamp: 1_700_000_000_000 + offset,
		Key:   connectors.Data{Bytes: fmt.Appendf(nil, `"k%d"`, offset)},
		Value: connectors.Data{Bytes: []byte(value)}}
}
