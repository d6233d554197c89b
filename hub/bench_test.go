package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
)

// Rows like the table "orders" of the yardsticks: about 150 bytes as JSON.
var orderSchema = &connectors.Schema{Type: connectors.Struct, Name: "orders.Value", Fields: []connectors.Field{
	{Name: "id", Schema: connectors.Int64Schema}, {Name: "customer", Schema: connectors.Int32Schema},
	{Name: "status", Schema: connectors.OptionalStringSchema}, {Name: "note", Schema: connectors.OptionalStringSchema},
	{Name: "price", Schema: connectors.Float64Schema}}}

func appendOrder(dst []byte, id int64) []byte {
	dst = connectors.AppendInt(dst, id)
	dst = connectors.AppendInt(dst, id%1000)
	dst = connectors.AppendString(connectors.AppendPresent(dst, connectors.OptionalStringSchema), "shipped")
	dst = connectors.AppendString(connectors.AppendPresent(dst, connectors.OptionalStringSchema), "the quick brown fox jumps over the lazy dog, again and again")
	return connectors.AppendFloat64(dst, float64(id)/8)
}

// benchConnector makes rows as fast as it is asked, or takes them as fast as it is given them.
type benchConnector struct {
	kind  connectors.Kind
	rows  int64
	fed   chan int64 // not nil: a row for each number that comes
	taken atomic.Int64
	ended chan struct{}
}

func (c *benchConnector) Plugins(context.Context) ([]connectors.Info, error) { return nil, nil }
func (c *benchConnector) Find(context.Context, string, string) (connectors.Info, error) {
	return c.Info(), nil
}
func (c *benchConnector) Launch(context.Context, Launch) (Child, error) {
	if c.kind == connectors.Sink {
		return benchSink{c}, nil
	}
	return benchSource{c}, nil
}
func (c *benchConnector) Info() connectors.Info {
	return connectors.Info{Name: "bench", Kind: c.kind, Config: &configs.Definition{}}
}
func (c *benchConnector) Done() <-chan struct{} { return c.ended }
func (c *benchConnector) Err() error            { return nil }
func (c *benchConnector) Stop(context.Context)  {}

type benchSource struct{ *benchConnector }

func (s benchSource) NewSourceTask() connectors.SourceTask {
	return &benchSourceTask{c: s.benchConnector}
}

type benchSourceTask struct {
	c    *benchConnector
	next int64
}

func (t *benchSourceTask) Start(context.Context, connectors.SourceStart) error { return nil }
func (t *benchSourceTask) Read(ctx context.Context, b *connectors.Batch) error {
	if t.c.fed != nil {
		select {
		case id := <-t.c.fed:
			t.add(b, id)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if t.next >= t.c.rows {
		<-ctx.Done()
		return ctx.Err()
	}
	for t.next < t.c.rows && len(b.Buf) < 1<<20 {
		t.add(b, t.next)
		t.next++
	}
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: []byte(`{"a":1}`), Offset: fmt.Appendf(nil, `{"n":%d}`, t.next)})
	return nil
}

func (t *benchSourceTask) add(b *connectors.Batch, id int64) {
	from := len(b.Buf)
	b.Buf = appendOrder(b.Buf, id)
	b.Records = append(b.Records, connectors.Record{Topic: "orders", Partition: connectors.AnyPartition, Timestamp: time.Now().UnixMilli(),
		Value: connectors.Data{Schema: orderSchema, Bytes: b.Buf[from:]}})
}

func (t *benchSourceTask) Commit(context.Context, []connectors.SourceOffset) error { return nil }
func (t *benchSourceTask) Stop(context.Context) error                              { return nil }

type benchSink struct{ *benchConnector }

func (s benchSink) NewSinkTask() connectors.SinkTask { return &benchSinkTask{c: s.benchConnector} }

type benchSinkTask struct{ c *benchConnector }

func (t *benchSinkTask) Start(context.Context, connectors.SinkStart) error { return nil }
func (t *benchSinkTask) Open(context.Context, []connectors.TopicPartition) ([]connectors.Position, error) {
	return nil, nil
}
func (t *benchSinkTask) Put(_ context.Context, b *connectors.Records) error {
	t.c.taken.Add(int64(len(b.List)))
	return nil
}
func (t *benchSinkTask) Flush(context.Context, bool) ([]connectors.Position, error) { return nil, nil }
func (t *benchSinkTask) Close(context.Context, []connectors.TopicPartition) error   { return nil }
func (t *benchSinkTask) Stop(context.Context) error                                 { return nil }

// realLog starts the embedded log in a temporary folder and returns how a client reaches it.
func realLog(tb testing.TB) []kgo.Opt {
	tb.Helper()
	l, err := log.Open(log.Options{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	b, err := broker.New(broker.Options{Log: l})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close(); l.Close() })
	return []kgo.Opt{kgo.Dialer(b.Dial), kgo.SeedBrokers("sluice:9092")}
}

// runHub starts a hub on the embedded log and returns it with how a client reaches the log.
func runHub(tb testing.TB, client []kgo.Opt, launcher Launcher, converter string) *Hub {
	tb.Helper()
	h, err := New(Options{Worker: map[string]string{"value.converter": converter, "value.converter.schemas.enable": "false"}, Client: client,
		Launcher: launcher, Formats: DefaultFormats(nil, nil), WorkerID: "bench"})
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(context.Background()) }()
	tb.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	for ok := false; !ok; ok, _ = h.Ready() {
		time.Sleep(time.Millisecond)
	}
	return h
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSource counts records that are durable in the embedded log, with everything in this process; in
// transactions, records that are committed.
func BenchmarkSource(b *testing.B) {
	for _, how := range []string{"json", "bytearray", "json-once", "bytearray-once"} {
		b.Run(how, func(b *testing.B) {
			converter, transactions := strings.CutSuffix(how, "-once")
			c := &benchConnector{kind: connectors.Source, rows: int64(b.N), ended: make(chan struct{})}
			h := runHub(b, realLog(b), c, converter)
			h.exactlyOnce = transactions
			if converter == "bytearray" {
				orderSchemaAsBytes(h)
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			if _, err := h.Create(b.Context(), "in", map[string]string{"connector.class": "bench"}, ""); err != nil {
				b.Fatal(err)
			}
			f := h.taskFigures("in", 0)
			for f.recordsOut.Load() < int64(b.N) {
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}

// orderSchemaAsBytes lets the hub forward the encoded bytes, as an Avro converter does but for its five bytes.
func orderSchemaAsBytes(h *Hub) {
	made := h.formats.Converter
	h.formats.Converter = func(role, class string, config map[string]string) (Converter, error) {
		if role == "value" && class == "bytearray" {
			return forward{}, nil
		}
		return made(role, class, config)
	}
}

type forward struct{}

func (forward) FromConnect(dst []byte, _ string, d connectors.Data) ([]byte, error) {
	return append(dst, d.Bytes...), nil
}

func (forward) ToConnect(dst []byte, _ string, b []byte) (connectors.Data, []byte, error) {
	return connectors.Data{Schema: orderSchema, Bytes: b}, dst, nil
}

// BenchmarkSink counts records that a sink was given, out of the embedded log.
func BenchmarkSink(b *testing.B) {
	for _, converter := range []string{"json", "bytearray"} {
		b.Run(converter, func(b *testing.B) {
			client := realLog(b)
			fill := &benchConnector{kind: connectors.Source, rows: int64(b.N), ended: make(chan struct{})}
			h := runHub(b, client, fill, converter)
			if converter == "bytearray" {
				orderSchemaAsBytes(h)
			}
			if _, err := h.Create(b.Context(), "in", map[string]string{"connector.class": "bench"}, ""); err != nil {
				b.Fatal(err)
			}
			for f := h.taskFigures("in", 0); f.recordsOut.Load() < int64(b.N); {
				time.Sleep(time.Millisecond)
			}
			fill.kind = connectors.Sink
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			if _, err := h.Create(b.Context(), "out", map[string]string{"connector.class": "bench", "topics": "orders"}, ""); err != nil {
				b.Fatal(err)
			}
			for fill.taken.Load() < int64(b.N) {
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}

// BenchmarkLatency measures from the moment a source hands a row on until a consumer of the log has it, at 1,000 rows
// a second.
func BenchmarkLatency(b *testing.B) {
	client := realLog(b)
	c := &benchConnector{kind: connectors.Source, fed: make(chan int64), ended: make(chan struct{})}
	h := runHub(b, client, c, "json")
	if _, err := h.Create(b.Context(), "in", map[string]string{"connector.class": "bench"}, ""); err != nil {
		b.Fatal(err)
	}
	c.fed <- -1 // makes the topic
	consumer, err := kgo.NewClient(append(slices.Clone(client), kgo.ConsumeTopics("orders"))...)
	if err != nil {
		b.Fatal(err)
	}
	defer consumer.Close()
	if got := consumer.PollFetches(b.Context()).Records(); !strings.Contains(string(got[0].Value), `"id":-1`) {
		b.Fatalf("got %s", got[0].Value)
	}
	sent := make([]time.Time, b.N)
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	go func() {
		every := time.NewTicker(time.Millisecond)
		defer every.Stop()
		for i := range sent {
			<-every.C
			sent[i] = time.Now()
			c.fed <- int64(i)
		}
	}()
	for len(took) < b.N {
		for range consumer.PollFetches(b.Context()).Records() {
			took = append(took, time.Since(sent[len(took)]))
		}
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
