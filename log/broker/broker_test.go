package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// started is a broker over a log in a folder of the test.
type started struct {
	t    *testing.T
	dir  string
	log  *log.Log
	b    *Broker
	addr string // of the TCP listener
	done chan error
}

func start(t *testing.T, dir string, change ...func(*Options)) *started {
	t.Helper()
	l, err := log.Open(log.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Log: l}
	for _, c := range change {
		c(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &started{t: t, dir: dir, log: l, b: b, addr: ln.Addr().String(), done: make(chan error, 1)}
	port := ln.Addr().(*net.TCPAddr).Port
	go func() { s.done <- b.Serve(ln, Listener{Advertised: Advertised{Host: "127.0.0.1", Port: int32(port)}}) }()
	t.Cleanup(s.stop)
	return s
}

func (s *started) stop() {
	if s.b == nil {
		return
	}
	if err := s.b.Close(); err != nil {
		s.t.Error(err)
	}
	if err := <-s.done; err != nil {
		s.t.Error(err)
	}
	if err := s.log.Close(); err != nil {
		s.t.Error(err)
	}
	s.b = nil
}

// client connects over TCP, or in process.
func (s *started) client(inProcess bool, opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	base := []kgo.Opt{kgo.SeedBrokers(s.addr), kgo.MetadataMinAge(10 * time.Millisecond)}
	if inProcess {
		base = []kgo.Opt{kgo.SeedBrokers(fmt.Sprintf("%s:%d", InProcess.Host, InProcess.Port)), kgo.Dialer(s.b.Dial), kgo.MetadataMinAge(10 * time.Millisecond)}
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}

func context60(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// produce writes the records n … m-1 to a topic, keyed by their number.
func produce(t *testing.T, cl *kgo.Client, topic string, n, m int) {
	t.Helper()
	ctx := context60(t)
	var wg sync.WaitGroup
	for i := n; i < m; i++ {
		wg.Add(1)
		cl.Produce(ctx, &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "value %d", i)}, func(_ *kgo.Record, err error) {
			defer wg.Done()
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	wg.Wait()
}

// consume reads until it has n records, and returns them by partition.
func consume(t *testing.T, cl *kgo.Client, n int) map[int32][]*kgo.Record {
	t.Helper()
	ctx := context60(t)
	all := make(map[int32][]*kgo.Record)
	for got := 0; got < n; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("after %d records: %v", got, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all[r.Partition] = append(all[r.Partition], r)
			got++
		})
	}
	return all
}

func TestProduceAndConsume(t *testing.T) {
	for _, inProcess := range []bool{false, true} {
		for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression(), kgo.ZstdCompression()} {
			s := start(t, t.TempDir())
			cl := s.client(inProcess, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
				kgo.ProducerBatchCompression(codec), kgo.UnknownTopicRetries(-1))
			if _, err := kadm.NewClient(cl).CreateTopic(context60(t), 3, 1, nil, "t"); err != nil {
				t.Fatal(err)
			}
			produce(t, cl, "t", 0, 5000)
			seen := make(map[string]bool)
			for p, records := range consume(t, cl, 5000) {
				for i, r := range records {
					if r.Offset != int64(i) {
						t.Fatalf("partition %d: record %d has offset %d", p, i, r.Offset)
					}
					if string(r.Value) != "value "+string(r.Key) || seen[string(r.Key)] {
						t.Fatalf("record %s: %s", r.Key, r.Value)
					}
					seen[string(r.Key)] = true
				}
			}
			s.stop()
		}
	}
}

func TestGroupGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	group := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()}
	cl := s.client(false, append(group, kgo.AllowAutoTopicCreation())...)
	produce(t, cl, "t", 0, 100)
	consume(t, cl, 100)
	if err := cl.CommitUncommittedOffsets(context60(t)); err != nil {
		t.Fatal(err)
	}
	lag, err := kadm.NewClient(cl).Lag(context60(t), "g")
	if err != nil || lag["g"].State != "Stable" || lag["g"].Lag.Total() != 0 {
		t.Fatalf("lag %+v, %v", lag, err)
	}
	cl.Close()
	s.stop()

	s = start(t, dir)
	cl = s.client(true, group...)
	produce(t, cl, "t", 100, 110)
	for _, records := range consume(t, cl, 10) {
		if string(records[0].Key) != "100" {
			t.Fatalf("went on at %s", records[0].Key)
		}
	}
}

func TestTwoMembersShareTheWork(t *testing.T) {
	s := start(t, t.TempDir())
	admin := s.client(false)
	if _, err := kadm.NewClient(admin).CreateTopic(context60(t), 4, 3, nil, "t"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	owned := make(map[string]int)
	member := func(name string) {
		cl := s.client(false, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.HeartbeatInterval(100*time.Millisecond),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
				mu.Lock()
				owned[name] += len(m["t"])
				mu.Unlock()
			}),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
				mu.Lock()
				owned[name] -= len(m["t"])
				mu.Unlock()
			}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for ctx.Err() == nil {
				cl.PollFetches(ctx)
			}
		}()
		t.Cleanup(func() { cancel(); <-ended })
	}
	member("a")
	member("b")
	deadline := time.Now().Add(60 * time.Second)
	for {
		mu.Lock()
		fair := owned["a"] == 2 && owned["b"] == 2
		mu.Unlock()
		if fair {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("owned: %v", owned)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAdministration(t *testing.T) {
	s := start(t, t.TempDir())
	adm := kadm.NewClient(s.client(false))
	ctx := context60(t)
	policy := "compact"
	if _, err := adm.CreateTopic(ctx, 2, 3, map[string]*string{"cleanup.policy": &policy}, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "t"); !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatalf("a second time: %v", err)
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "bad/name"); !errors.Is(err, kerr.InvalidTopicException) {
		t.Fatalf("a bad name: %v", err)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string)
	for _, c := range configs[0].Configs {
		values[c.Key] = c.MaybeValue()
	}
	if values["cleanup.policy"] != "compact" || values["retention.ms"] == "" {
		t.Fatalf("configs: %v", values)
	}
	retention := "1000"
	if _, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &retention}}, "t"); err != nil {
		t.Fatal(err)
	}
	if configs, err = adm.DescribeTopicConfigs(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "1000" {
			t.Fatalf("retention.ms is %s", c.MaybeValue())
		}
	}
	if _, err := adm.CreatePartitions(ctx, 1, "t"); err != nil {
		t.Fatal(err)
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil || len(topics["t"].Partitions) != 3 {
		t.Fatalf("topics %v, %v", topics, err)
	}
	if _, err := adm.DeleteTopics(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	for ; topics.Has("t"); topics, err = adm.ListTopics(ctx) { // the client remembers them for a while
		if err != nil {
			t.Fatalf("topics after the deletion: %v, %v", topics, err)
		}
	}
}
