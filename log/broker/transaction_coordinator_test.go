package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

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
	f.Add([]byte("\x00\x01000000000000000\v\x020\x00\xff\xff\xff\xff\x0f000000\xc6\xfc\x9e")) // many tagged fields
	f.Fuzz(func(t *testing.T, b []byte) {
		began := used(t)
		defer func() {
			if took := used(t) - began; took > 2*time.Second {
				t.Errorf("took %v of the processor", took)
			}
		}()
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

// TestDecisionStandsOnAFullDisk: a marker that cannot be written now is written later; until then the decided
// transaction is neither open nor over.
func TestDecisionStandsOnAFullDisk(t *testing.T) {
	var full atomic.Bool
	fs := vfs.Faulty(vfs.NewMem(), func(op vfs.Op, name string, _ int) vfs.Fault {
		if op == vfs.OpWrite && full.Load() && strings.Contains(name, "t-0") && strings.HasSuffix(name, segment.LogSuffix) {
			return vfs.Fault{Err: syscall.ENOSPC}
		}
		return vfs.Fault{}
	})
	l, err := log.Open(log.Options{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(b.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := l.CreateTopic("t", log.TopicID{}, wholePartitions, nil); err != nil {
		t.Fatal(err)
	}
	p := &wholeProducer{b: b, id: "x"}
	pid, epoch, err := b.txns.init("x", 60_000, -1, -1)
	for part := range int32(wholePartitions) {
		if code := p.produce(part, pid, epoch, 1); err != nil || code != 0 {
			t.Fatal(err, code)
		}
	}
	full.Store(true)
	next, nextEpoch, err := b.txns.end("x", pid, epoch, true, 2)
	if err != nil || next != pid || nextEpoch != epoch+1 {
		t.Fatalf("%d, %d, %v", next, nextEpoch, err)
	}
	part, _ := l.Partition("t", 0)
	if f := b.Transactions(); f.Incomplete != 1 || part.LastStable() != 0 {
		t.Errorf("%+v, last stable offset %d", f, part.LastStable())
	}
	if code := p.produce(1, pid, nextEpoch, 2); code != kerr.ConcurrentTransactions.Code {
		t.Errorf("the next transaction began before the last one was complete: code %d", code)
	}
	w := log.NewWaiter()
	part.Watch(w)
	defer part.Unwatch(w)
	full.Store(false)
	for ctx := context60(t); part.LastStable() != 2; {
		select {
		case <-w.C():
		case <-ctx.Done():
			t.Fatalf("last stable offset %d", part.LastStable())
		}
	}
	for code := int16(-1); code != 0; { // as soon as the state is saved
		if code = p.produce(0, pid, nextEpoch, 2); code != 0 && code != kerr.ConcurrentTransactions.Code {
			t.Fatal(code)
		}
	}
}
