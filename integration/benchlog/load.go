package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/sluicehub/sluice/plugins"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bench measures one server.
type bench struct {
	sizes
	ctx     context.Context
	server  server
	results map[string]string
	client  []kgo.Opt
}

const partitions = 6

// all measures what both servers can do.
func (b *bench) all() error {
	b.client = clientOf(b.server.bootstrap)
	time.Sleep(time.Second) // for what a start leaves behind
	_, resident := plugins.Usage(b.server.pid)
	b.results[idleMemory] = fmt.Sprintf("%d MB", resident>>20)
	for _, step := range []func() error{b.throughput, b.lone, b.steady, b.grow} {
		if err := step(); err != nil {
			return fmt.Errorf("%s: %w", b.server.name, err)
		}
	}
	return nil
}

// clientOf is the same for every server.
func clientOf(bootstrap string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(200_000), kgo.FetchMaxPartitionBytes(4 << 20)}
}

func (b *bench) say(what string) { fmt.Fprintf(os.Stderr, "benchlog: %s: %s\n", b.server.name, what) }

func (b *bench) topic(name string, partitions int32) error {
	client, err := kgo.NewClient(b.client...)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(b.ctx, partitions, 1, nil, name)
	return err
}

// throughput produces and consumes both sizes of records, each once before it counts.
func (b *bench) throughput() error {
	for _, m := range []struct {
		produce, consume string
		bytes, n         int
	}{{produceSmall, consumeSmall, 100, b.small}, {produceLarge, consumeLarge, 1000, b.large}} {
		topic := fmt.Sprintf("bench-%d", m.bytes)
		if err := b.topic(topic, partitions); err != nil {
			return err
		}
		if _, err := b.produce(topic, m.bytes, m.n/10); err != nil {
			return err
		}
		b.say(m.produce)
		cost, err := b.produce(topic, m.bytes, m.n)
		if err != nil {
			return err
		}
		b.results[m.produce] = cost.String()
		b.say(m.consume)
		if cost, err = b.consume(topic, m.n); err != nil {
			return err
		}
		b.results[m.consume] = cost.String()
	}
	most, err := services.PeakMemory(b.server.pid)
	b.results[loadMemory] = fmt.Sprintf("%d MB", most>>20)
	return err
}

// cost is what some records took.
type cost struct {
	records int
	took    time.Duration
	cpu     time.Duration // of the server
}

func (c cost) each() float64 { return float64(c.cpu.Nanoseconds()) / 1000 / float64(c.records) }

func (c cost) String() string {
	return fmt.Sprintf("%.0f k/s, %.2f µs", float64(c.records)/c.took.Seconds()/1000, c.each())
}

// produce writes records, idempotent and with acks=all as is the client's default, and waits for all answers.
func (b *bench) produce(topic string, bytes, n int, more ...kgo.Opt) (cost, error) {
	client, err := kgo.NewClient(slices.Concat(b.client, []kgo.Opt{kgo.DefaultProduceTopic(topic)}, more)...)
	if err != nil {
		return cost{}, err
	}
	defer client.Close()
	value := make([]byte, bytes)
	for i := range value {
		value[i] = byte('a' + i%26)
	}
	var failed atomic.Pointer[error]
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	before, began := b.server.cpu(), time.Now()
	slab := []kgo.Record(nil)
	for range n {
		if len(slab) == 0 {
			slab = make([]kgo.Record, 1024)
		}
		r := &slab[0]
		slab = slab[1:]
		r.Value = value
		client.Produce(b.ctx, r, done)
	}
	if err := client.Flush(b.ctx); err != nil {
		return cost{}, err
	}
	if err := failed.Load(); err != nil {
		return cost{}, *err
	}
	return cost{n, time.Since(began), b.server.cpu() - before}, nil
}

// consume reads records, from the beginning unless more says otherwise.
func (b *bench) consume(topic string, n int, more ...kgo.Opt) (cost, error) {
	client, err := kgo.NewClient(slices.Concat(b.client, []kgo.Opt{kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, more)...)
	if err != nil {
		return cost{}, err
	}
	defer client.Close()
	before, began := b.server.cpu(), time.Now()
	for got := 0; got < n; {
		fetches := client.PollFetches(b.ctx)
		if err := fetches.Err(); err != nil {
			return cost{}, err
		}
		got += fetches.NumRecords()
	}
	return cost{n, time.Since(began), b.server.cpu() - before}, nil
}

// lone sends a record when the one before is answered.
func (b *bench) lone() error {
	b.say(loneRecord)
	if err := b.topic("lone", 1); err != nil {
		return err
	}
	client, err := kgo.NewClient(slices.Concat(b.client, []kgo.Opt{kgo.DefaultProduceTopic("lone"), kgo.ProducerLinger(0)})...)
	if err != nil {
		return err
	}
	defer client.Close()
	var times []time.Duration
	for end := time.Now().Add(b.span); time.Now().Before(end); {
		began := time.Now()
		if err := client.ProduceSync(b.ctx, &kgo.Record{Value: make([]byte, 100)}).FirstErr(); err != nil {
			return err
		}
		times = append(times, time.Since(began))
	}
	b.results[loneRecord] = percentiles(times)
	return nil
}

// steady sends 10 records of 1 KB each millisecond, whether or not those before are answered: a server that is late is
// late for all of them.
func (b *bench) steady() error {
	b.say(steady)
	if err := b.topic("steady", partitions); err != nil {
		return err
	}
	client, err := kgo.NewClient(slices.Concat(b.client, []kgo.Opt{kgo.DefaultProduceTopic("steady"), kgo.ProducerLinger(0)})...)
	if err != nil {
		return err
	}
	defer client.Close()
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	value, began := make([]byte, 1000), time.Now()
	for tick := time.Duration(0); tick < b.span; tick += time.Millisecond {
		due := began.Add(tick)
		time.Sleep(time.Until(due))
		for range 10 {
			client.Produce(b.ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = err
				} else if tick > b.span/5 { // the first are the client's and the server's beginning
					times = append(times, time.Since(due))
				}
			})
		}
	}
	if err := client.Flush(b.ctx); err != nil {
		return err
	}
	b.results[steady] = percentiles(times)
	return failed
}

func percentiles(times []time.Duration) string {
	if len(times) == 0 {
		return "none"
	}
	slices.Sort(times)
	at := func(p int) float64 { return times[min(len(times)-1, len(times)*p/100)].Seconds() * 1000 }
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", at(50), at(99))
}

const fill = "fill" // a topic

// starts measures how long a hub takes to start over its data, after an end and after SIGKILL.
func (b *bench) starts(w *worker.Worker) error {
	b.say("starts")
	if err := b.topic(fill, partitions); err != nil {
		return err
	}
	if _, err := b.produce(fill, 100_000, b.gb*10_000); err != nil {
		return err
	}
	if err := w.Stop(); err != nil {
		return err
	}
	clean, err := b.start(w)
	if err != nil {
		return err
	}
	bytes, active, err := b.data(w)
	if err != nil {
		return err
	}
	b.results[cleanStart] = fmt.Sprintf("%.2f s, %.1f GB", clean.Seconds(), float64(bytes)/1e9)
	if _, err := b.produce(fill, 100, 10*partitions, kgo.RecordPartitioner(kgo.RoundRobinPartitioner())); err != nil {
		return err
	}
	if err := w.Kill(); err != nil {
		return err
	}
	killed, err := b.start(w)
	if err != nil {
		return err
	}
	b.results[recovery] = fmt.Sprintf("%.2f s, %.1f GB scanned, ≥ %.0f MB/s", killed.Seconds(), float64(active)/1e9, float64(active)/1e6/killed.Seconds())
	return nil
}

func (b *bench) start(w *worker.Worker) (time.Duration, error) {
	began := time.Now()
	if err := w.Start(b.ctx); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}
