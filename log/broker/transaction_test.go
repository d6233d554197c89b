package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
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

// TestDecidedTransactionsAreCompleted: a crash between the decision and its markers is made good at the next start,
// and a transaction in a partition that nobody owns is aborted.
func TestDecidedTransactionsAreCompleted(t *testing.T) {
	for _, state := range []txnState{txnPrepareCommit, txnPrepareAbort} {
		dir := t.TempDir()
		s := start(t, dir)
		topic(t, s.client(false), "t", 1)
		pid, epoch, err := s.b.txns.init("t", 60_000, -1, -1)
		if err != nil {
			t.Fatal(err)
		}
		part, _ := s.log.Partition("t", 0)
		appendIn := func(pid int64, epoch int16) {
			t.Helper()
			b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: pid, ProducerEpoch: epoch}
			b.Add(time.Now().UnixMilli(), nil, []byte("v"))
			if _, err := part.Append(context.Background(), b.Batch(), log.AppendOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		appendIn(pid, epoch)
		appendIn(77, 3)
		// The last thing that became durable is the decision.
		x := s.b.txns.lock("t")
		m := x.meta
		m.state, m.parts, m.version = state, []place{{"gone", 0}, {"t", 0}}, 2
		m.epoch++
		if err := s.b.txns.save(x, m); err != nil {
			t.Fatal(err)
		}
		x.mu.Unlock()
		s.stop()
		s = start(t, dir)
		x = s.b.txns.lock("t")
		if want := state + 2; x.meta.state != want || x.meta.epoch != epoch+1 {
			t.Errorf("state %v with epoch %d, want %v", x.meta.state, x.meta.epoch, want)
		}
		x.mu.Unlock()
		part, _ = s.log.Partition("t", 0)
		if part.LastStable() != part.HighWatermark() || len(part.OpenTransactions()) > 0 {
			t.Errorf("open after the start: %v", part.OpenTransactions())
		}
		r, err := part.Read(0, log.ReadOptions{MaxBytes: 1 << 20, Isolation: log.ReadCommitted})
		aborted := len(r.Aborted)
		if want := map[txnState]int{txnPrepareCommit: 1, txnPrepareAbort: 2}[state]; err != nil || aborted != want {
			t.Errorf("%d aborted transactions, want %d, %v", aborted, want, err)
		}
		s.stop()
	}
}

// TestEndTxnAgain follows KIP-890: which requests are the same one once more, and which are a zombie's.
func TestEndTxnAgain(t *testing.T) {
	s := start(t, t.TempDir())
	topic(t, s.client(false), "t", 1)
	c := s.b.txns
	open := func(id string, version int16) (int64, int16) {
		t.Helper()
		pid, epoch, err := c.init(id, 60_000, -1, -1)
		if err != nil {
			t.Fatal(err)
		}
		x := c.lock(id)
		defer x.mu.Unlock()
		if err := c.add(x, []place{{"t", 0}}, version); err != nil {
			t.Fatal(err)
		}
		return pid, epoch
	}
	for _, tt := range []struct {
		name          string
		version       int16
		first, second bool
		epochs        int16 // the second request has this much more
		want          error
		raised        int16 // epoch of the second answer over the first request's
	}{
		{"v2 commit again", 2, true, true, 0, nil, 1},
		{"v2 abort again", 2, false, false, 0, nil, 1},
		{"v2 abort after commit, same request epoch", 2, true, false, 0, kerr.InvalidTxnState, 0},
		{"v2 abort of the next, empty one", 2, true, false, 1, nil, 2},
		{"v2 commit of the next, empty one", 2, true, true, 1, kerr.InvalidTxnState, 0},
		{"v2 from the future", 2, true, true, 2, kerr.ProducerFenced, 0},
		{"v1 commit again", 0, true, true, 0, nil, 0},
		{"v1 abort again", 0, false, false, 0, nil, 0},
		{"v1 abort after commit", 0, true, false, 0, kerr.InvalidTxnState, 0},
		{"v1 later epoch", 0, true, true, 1, kerr.ProducerFenced, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pid, epoch := open(tt.name, tt.version)
			if _, _, err := c.end(tt.name, pid, epoch, tt.first, tt.version); err != nil {
				t.Fatal(err)
			}
			gotPID, got, err := c.end(tt.name, pid, epoch+tt.epochs, tt.second, tt.version)
			if !errors.Is(err, tt.want) || err == nil && (gotPID != pid || got != epoch+tt.raised) {
				t.Errorf("producer %d, epoch %d, %v; want %d, %d, %v", gotPID, got, err, pid, epoch+tt.raised, tt.want)
			}
		})
	}
	t.Run("epochs run out", func(t *testing.T) {
		pid, _ := open("x", 2)
		x := c.lock("x")
		x.meta.epoch = lastEpoch
		x.mu.Unlock()
		for range 2 { // and once more
			next, epoch, err := c.end("x", pid, lastEpoch, true, 2)
			if err != nil || next == pid || epoch != 0 {
				t.Errorf("producer %d after %d, epoch %d, %v", next, pid, epoch, err)
			}
		}
	})
	t.Run("unknown id", func(t *testing.T) {
		if _, _, err := c.end("nobody", 1, 0, true, 2); !errors.Is(err, kerr.InvalidProducerIDMapping) {
			t.Error(err)
		}
	})
	t.Run("init again", func(t *testing.T) {
		pid, epoch := open("again", 0)
		if _, _, err := c.end("again", pid, epoch, true, 0); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if p, e, err := c.init("again", 60_000, pid, epoch); err != nil || p != pid || e != epoch+1 {
				t.Errorf("producer %d, epoch %d, %v", p, e, err)
			}
		}
		if _, _, err := c.init("again", 60_000, pid+1, epoch); !errors.Is(err, kerr.ProducerFenced) {
			t.Error(err)
		}
		if _, _, err := c.init("again", int32(maxTxnTimeout.Milliseconds()+1), -1, -1); !errors.Is(err, kerr.InvalidTransactionTimeout) {
			t.Error(err)
		}
	})
}

// TestTransactionalProduceIsChecked: what is not part of a transaction is not appended.
func TestTransactionalProduceIsChecked(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(false)
	topic(t, cl, "t", 1)
	pid, epoch, err := s.b.txns.init("id", 60_000, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	send := func(version int16, id *string, topic string, pid int64, epoch int16) error {
		t.Helper()
		b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: pid, ProducerEpoch: epoch}
		b.Add(time.Now().UnixMilli(), []byte("k"), []byte("v"))
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TransactionID, req.TimeoutMillis = version, -1, id, 1000
		p := kmsg.NewProduceRequestTopicPartition()
		p.Records = b.Batch()
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{p}}}
		wait, err := s.b.produce(&request{c: &conn{b: s.b}, ctx: t.Context(), version: version}, req)
		if err != nil {
			t.Fatal(err)
		}
		return kerr.ErrorForCode(wait().(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
	}
	id, other := kmsg.StringPtr("id"), kmsg.StringPtr("other")
	for _, tt := range []struct {
		name    string
		version int16
		id      *string
		topic   string
		pid     int64
		epoch   int16
		want    error
	}{
		{"no transactional id", 12, nil, "t", pid, epoch, kerr.TransactionalIDAuthorizationFailed},
		{"unknown transactional id", 12, other, "t", pid, epoch, kerr.InvalidProducerIDMapping},
		{"another producer id", 12, id, "t", pid + 1, epoch, kerr.InvalidProducerIDMapping},
		{"another epoch", 12, id, "t", pid, epoch + 1, kerr.InvalidProducerEpoch},
		{"not added, v9", 9, id, "t", pid, epoch, kerr.InvalidTxnState},
		{"not added, v11", 11, id, "t", pid, epoch, kerr.TransactionAbortable},
		{"unknown topic", 12, id, "nowhere", pid, epoch, kerr.UnknownTopicOrPartition},
		{"the broker's own topic", 12, id, offsetsTopic, pid, epoch, kerr.InvalidTopicException},
		{"added by producing", 12, id, "t", pid, epoch, nil},
	} {
		if err := send(tt.version, tt.id, tt.topic, tt.pid, tt.epoch); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, _, err := s.b.txns.end("id", pid, epoch, true, 2); err != nil {
		t.Fatal(err)
	}
	if err := send(12, id, "t", pid, epoch); !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Errorf("a late record of an ended transaction: %v", err)
	}
}

func TestAddPartitionsToTxn(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(false)
	topic(t, cl, "t", 2)
	pid, epoch, err := s.b.txns.init("id", 60_000, -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(version int16, verify bool, topics ...kmsg.AddPartitionsToTxnRequestTransactionTopic) string {
		t.Helper()
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.Version = version
		one := kmsg.NewAddPartitionsToTxnRequestTransaction()
		one.TransactionalID, one.ProducerID, one.ProducerEpoch, one.VerifyOnly, one.Topics = "id", pid, epoch, verify, topics
		if req.Transactions = append(req.Transactions, one); version < 4 {
			req.TransactionalID, req.ProducerID, req.ProducerEpoch = "id", pid, epoch
			for _, t := range topics {
				req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t.Topic, Partitions: t.Partitions})
			}
		}
		wait, err := s.b.addPartitionsToTxn(&request{c: &conn{b: s.b}, version: version}, req)
		if err != nil {
			t.Fatal(err)
		}
		resp, out := wait().(*kmsg.AddPartitionsToTxnResponse), ""
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				out += fmt.Sprintf("%s-%d:%d ", t.Topic, p.Partition, p.ErrorCode)
			}
		}
		for _, x := range resp.Transactions {
			for _, t := range x.Topics {
				for _, p := range t.Partitions {
					out += fmt.Sprintf("%s-%d:%d ", t.Topic, p.Partition, p.ErrorCode)
				}
			}
		}
		return out
	}
	both := kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: "t", Partitions: []int32{0, 1}}
	nowhere := kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: "nowhere", Partitions: []int32{0}}
	for _, tt := range []struct {
		version int16
		verify  bool
		topics  []kmsg.AddPartitionsToTxnRequestTransactionTopic
		want    string
	}{
		{3, false, []kmsg.AddPartitionsToTxnRequestTransactionTopic{both, nowhere}, "t-0:55 t-1:55 nowhere-0:3 "},
		{5, true, []kmsg.AddPartitionsToTxnRequestTransactionTopic{both}, "t-0:120 t-1:120 "},
		{3, false, []kmsg.AddPartitionsToTxnRequestTransactionTopic{both}, "t-0:0 t-1:0 "},
		{5, true, []kmsg.AddPartitionsToTxnRequestTransactionTopic{both}, "t-0:0 t-1:0 "},
	} {
		if got := ask(tt.version, tt.verify, tt.topics...); got != tt.want {
			t.Errorf("version %d: %s, want %s", tt.version, got, tt.want)
		}
	}
}

// TestWriteTxnMarkers ends a transaction by hand, as kafka-transactions abort does.
func TestWriteTxnMarkers(t *testing.T) {
	s := start(t, t.TempDir())
	cl := s.client(false, kgo.TransactionalID("t1"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	topic(t, cl, "t", 2)
	begin(t, cl)
	txnProduce(t, cl, "t", "hangs")
	part, _ := s.log.Partition("t", 0)
	open := part.OpenTransactions()
	if len(open) != 1 {
		t.Fatalf("open: %v", open)
	}
	err := s.b.writeMarker(place{"t", 0}, segment.Marker{ProducerID: open[0].ProducerID, ProducerEpoch: open[0].ProducerEpoch})
	if err != nil || part.LastStable() != 2 {
		t.Errorf("last stable offset %d, %v", part.LastStable(), err)
	}
}

// FuzzTxnMeta: whatever is accepted as a transaction's state encodes to the same.
func FuzzTxnMeta(f *testing.F) {
	f.Add(encodeTxnMeta(&txnMeta{producer: 1, epoch: 2, prevProducer: 1, nextProducer: -1, timeout: 1000, start: -1, updated: 5}))
	f.Add(encodeTxnMeta(&txnMeta{producer: 1, epoch: 2, prevProducer: -1, nextProducer: 9, state: txnOngoing, version: 2, parts: []place{{"a", 0}, {"a", 1}, {"b", 0}}}))
	f.Add([]byte{0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeTxnMeta(b)
		if err != nil {
			return
		}
		again, err := decodeTxnMeta(encodeTxnMeta(&m))
		if m.state == txnEmpty {
			m.parts, again.parts = nil, nil
		}
		if err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Errorf("%v, %v; want %v", again, err, m)
		}
	})
}
