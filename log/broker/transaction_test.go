package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// txnProtocols are the two ways of clients: before KIP-890, which add partitions by hand, and since, whose epoch rises
// with each transaction.
func txnProtocols() map[string][]kgo.Opt {
	return map[string][]kgo.Opt{"v1": {kgo.MaxVersions(kversion.V3_6_0())}, "v2": nil}
}

func topic(t *testing.T, cl *kgo.Client, name string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(context60(t), partitions, 1, nil, name); err != nil {
		t.Fatal(err)
	}
}

func txnProduce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for i, v := range values {
		r := &kgo.Record{Topic: topic, Partition: int32(i % 2), Value: []byte(v)}
		if err := cl.ProduceSync(context60(t), r).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", v, err)
		}
	}
}

func end(t *testing.T, cl *kgo.Client, commit kgo.TransactionEndTry) {
	t.Helper()
	if err := cl.EndTransaction(context60(t), commit); err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, cl *kgo.Client) {
	t.Helper()
	// A client that has not heard of the broker yet begins without KIP-890.
	if err := cl.Ping(context60(t)); err != nil {
		t.Fatal(err)
	}
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
}

// values are the values of records in order.
func values(records map[int32][]*kgo.Record) []string {
	var all []string
	for _, rs := range records {
		for _, r := range rs {
			all = append(all, string(r.Value))
		}
	}
	slices.Sort(all)
	return all
}

func TestTransactions(t *testing.T) {
	for name, opts := range txnProtocols() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir)
			cl := s.client(false, append(opts, kgo.TransactionalID("t1"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
			topic(t, cl, "t", 2)
			for i := range 5 {
				begin(t, cl)
				txnProduce(t, cl, "t", fmt.Sprint("a", i), fmt.Sprint("b", i), fmt.Sprint("c", i))
				if i == 2 {
					describeOpen(t, cl)
				}
				end(t, cl, kgo.TransactionEndTry(i%2 == 0))
			}
			begin(t, cl)
			end(t, cl, kgo.TryAbort) // nothing was sent
			x := s.b.txns.lock("t1")
			if version := map[string]int16{"v1": 0, "v2": 2}[name]; x.meta.version != version {
				t.Errorf("the client spoke transaction version %d, want %d", x.meta.version, version)
			}
			x.mu.Unlock()
			want := []string{"a0", "a2", "a4", "b0", "b2", "b4", "c0", "c2", "c4"}
			read := func(s *started) {
				t.Helper()
				reader := s.client(false, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
				if got := values(consume(t, reader, len(want))); !slices.Equal(got, want) {
					t.Errorf("read %v, want %v", got, want)
				}
			}
			read(s)
			begin(t, cl)
			txnProduce(t, cl, "t", "open", "open")
			if f := s.b.Transactions(); f.IDs != 1 || f.Open != 1 || f.Incomplete != 0 || f.OldestOpen <= 0 || f.OldestOpen > time.Minute {
				t.Errorf("figures %+v", f)
			}
			for _, committed := range []bool{false, true} {
				adm := kadm.NewClient(cl)
				list := adm.ListEndOffsets
				if committed {
					list = adm.ListCommittedOffsets
				}
				ends, err := list(context60(t), "t")
				if err != nil {
					t.Fatal(err)
				}
				part, _ := s.log.Partition("t", 0)
				want := part.HighWatermark()
				if committed {
					want = part.LastStable()
				}
				if o, _ := ends.Lookup("t", 0); o.Offset != want || part.LastStable() != part.HighWatermark()-1 {
					t.Errorf("end %d, want %d", o.Offset, want)
				}
			}
			s.stop()
			s = start(t, dir) // the open transaction stays open
			read(s)
			part, _ := s.log.Partition("t", 0)
			if part.LastStable() == part.HighWatermark() {
				t.Error("the open transaction is gone after a restart")
			}
			cl = s.client(false, append(opts, kgo.TransactionalID("t1"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
			begin(t, cl) // aborts it
			txnProduce(t, cl, "t", "z")
			end(t, cl, kgo.TryCommit)
			want = append(want, "z")
			read(s)
			if part.LastStable() != part.HighWatermark() {
				t.Errorf("last stable offset %d, high watermark %d", part.LastStable(), part.HighWatermark())
			}
		})
	}
}

// describeOpen looks at the open transaction t1 as kafka-transactions does.
func describeOpen(t *testing.T, cl *kgo.Client) {
	t.Helper()
	adm := kadm.NewClient(cl)
	all, err := adm.ListTransactions(context60(t), nil, []string{"Ongoing"})
	if err != nil || len(all) != 1 || all["t1"].State != "Ongoing" {
		t.Errorf("listed %v, %v", all, err)
	}
	one, err := adm.DescribeTransactions(context60(t), "t1")
	if err != nil || one["t1"].State != "Ongoing" || len(one["t1"].Topics["t"]) != 2 {
		t.Errorf("described %+v, %v", one, err)
	}
	producers, err := adm.DescribeProducers(context60(t), kadm.TopicsSet{"t": {0: {}}})
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	producers.EachProducer(func(p kadm.DescribedProducer) {
		if p.ProducerID == one["t1"].ProducerID && p.CurrentTxnStartOffset >= 0 {
			open++
		}
	})
	if open != 1 {
		t.Errorf("producers %+v", producers)
	}
}

func TestOffsetsInTransactions(t *testing.T) {
	for name, opts := range txnProtocols() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, dir)
			cl := s.client(false, kgo.AllowAutoTopicCreation())
			topic(t, cl, "in", 1)
			topic(t, cl, "out", 1)
			produce(t, cl, "in", 0, 10)
			sess, err := kgo.NewGroupTransactSession(append(opts, kgo.SeedBrokers(s.addr), kgo.MetadataMinAge(10*time.Millisecond), kgo.TransactionalID("etl"),
				kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DefaultProduceTopic("out"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer sess.Close()
			step := func(commit kgo.TransactionEndTry) {
				t.Helper()
				n := 0
				if err := sess.Begin(); err != nil {
					t.Fatal(err)
				}
				for n == 0 {
					fetches := sess.PollFetches(context60(t))
					if err := fetches.Err0(); err != nil {
						t.Fatal(err)
					}
					fetches.EachRecord(func(r *kgo.Record) {
						n++
						sess.Produce(context60(t), &kgo.Record{Value: r.Value}, nil)
					})
				}
				if committed, err := sess.End(context60(t), commit); err != nil || committed != bool(commit) {
					t.Fatalf("committed %v, %v", committed, err)
				}
			}
			committed := func(want int64) {
				t.Helper()
				c, ok := s.b.groups.store.get("g", place{"in", 0})
				if ok != (want >= 0) || ok && c.offset != want {
					t.Errorf("committed offset %d (%v), want %d", c.offset, ok, want)
				}
			}
			step(kgo.TryAbort)
			committed(-1)
			step(kgo.TryCommit)
			committed(10)
			sess.Close()
			s.stop()
			s = start(t, dir)
			committed(10)
		})
	}
}

// TestPendingOffsets: an offset in an open transaction is not seen, whoever asks for stable ones waits, and what the
// transaction decides survives a restart.
func TestPendingOffsets(t *testing.T) {
	for _, commit := range []bool{true, false} {
		dir := t.TempDir()
		s := start(t, dir)
		cl := s.client(false)
		topic(t, cl, "in", 1)
		ctx := context60(t)
		pid, epoch, err := s.b.txns.init("t", 60_000, -1, -1)
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = "t", "g", pid, epoch, -1
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset, p.Metadata = 7, kmsg.StringPtr("m")
		req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "in", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%+v, %v", resp, err)
		}
		fetch := func(stable bool) (int64, int16) {
			t.Helper()
			req := kmsg.NewPtrOffsetFetchRequest()
			req.RequireStable = stable
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = "g", []kmsg.OffsetFetchRequestGroupTopic{{Topic: "in", Partitions: []int32{0}}}
			req.Groups = append(req.Groups, g)
			byName := kversion.V4_0_0()
			byName.SetMaxKeyVersion(9, 9)
			kresp, err := s.client(false, kgo.MaxVersions(byName)).SeedBrokers()[0].Request(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			p := kresp.(*kmsg.OffsetFetchResponse).Groups[0].Topics[0].Partitions[0]
			return p.Offset, p.ErrorCode
		}
		check := func(stable bool, offset int64, code int16) {
			t.Helper()
			if o, c := fetch(stable); o != offset || c != code {
				t.Errorf("offset %d, code %d; want %d, %d", o, c, offset, code)
			}
		}
		check(false, -1, 0)
		check(true, -1, kerr.UnstableOffsetCommit.Code)
		s.stop()
		s = start(t, dir)
		check(false, -1, 0)
		check(true, -1, kerr.UnstableOffsetCommit.Code)
		if _, _, err := s.b.txns.end("t", pid, epoch, commit, 2); err != nil {
			t.Fatal(err)
		}
		want := int64(-1)
		if commit {
			want = 7
		}
		check(true, want, 0)
		s.stop()
		s = start(t, dir)
		check(true, want, 0)
		s.stop()
	}
}

func TestFencing(t *testing.T) {
	for name, opts := range txnProtocols() {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir())
			opts = append(opts, kgo.TransactionalID("t1"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			old := s.client(false, opts...)
			topic(t, old, "t", 2)
			begin(t, old)
			txnProduce(t, old, "t", "zombie")
			young := s.client(false, opts...)
			begin(t, young)
			txnProduce(t, young, "t", "young")
			err := old.ProduceSync(context60(t), &kgo.Record{Topic: "t", Value: []byte("late")}).FirstErr()
			if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
				t.Errorf("produce of the fenced producer: %v", err)
			}
			if err := old.EndTransaction(context60(t), kgo.TryCommit); err == nil {
				t.Error("the fenced producer committed")
			}
			end(t, young, kgo.TryCommit)
			reader := s.client(false, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			if got := values(consume(t, reader, 1)); !slices.Equal(got, []string{"young"}) {
				t.Errorf("read %v", got)
			}
		})
	}
}

func TestTransactionTimeout(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(false, kgo.TransactionalID("t1"), kgo.TransactionTimeout(time.Second), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	topic(t, cl, "t", 2)
	begin(t, cl)
	txnProduce(t, cl, "t", "stuck")
	part, _ := s.log.Partition("t", 0)
	w := log.NewWaiter()
	part.Watch(w)
	defer part.Unwatch(w)
	for ctx := context60(t); part.LastStable() != 2; {
		select {
		case <-w.C():
		case <-ctx.Done():
			t.Fatalf("the transaction is open after its timeout: last stable offset %d", part.LastStable())
		}
	}
	if err := cl.EndTransaction(context60(t), kgo.TryCommit); err == nil {
		t.Error("a transaction was committed after its timeout")
	}
}
