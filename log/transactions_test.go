package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// txnBatch makes a transactional batch of one record; an empty value is a
// tombstone.
func txnBatch(id int64, epoch int16, seq int32, key, value string) []byte {
	b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: seq}
	var v []byte
	if value != "" {
		v = []byte(value)
	}
	b.Add(testNow-1000, []byte(key), v, segment.RecordHeader{Key: "h", Value: []byte("1")})
	return b.Batch()
}

func mustEnd(t testing.TB, p *Partition, id int64, epoch int16, commit bool) AppendResult {
	t.Helper()
	a, err := p.EndTransaction(segment.Marker{ProducerID: id, ProducerEpoch: epoch, Commit: commit})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	return a.Result
}

// committedRecord is a record that a reader of committed records was given.
type committedRecord struct {
	offset     int64
	key, value string
}

// readCommitted reads as a consumer does that follows Kafka's protocol: it skips
// the batches of a producer from the first offset of an aborted transaction to
// its marker.
func readCommitted(t testing.TB, p *Partition, from int64, maxBytes int) []committedRecord {
	t.Helper()
	out := []committedRecord{}
	for at := from; at < p.LastStable(); {
		r, err := readPieces(p, at, ReadOptions{MaxBytes: maxBytes, MinOneBatch: true, Piece: int(at % 2), Isolation: ReadCommitted})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Batches) == 0 {
			break
		}
		skipping := map[int64]bool{}
		for b := r.Batches; len(b) > 0; {
			h, one, err := segment.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			if h.BaseOffset >= r.LastStable {
				t.Fatalf("offset %d was given, the last stable one is %d", h.BaseOffset, r.LastStable)
			}
			for len(r.Aborted) > 0 && r.Aborted[0].First <= h.LastOffset() {
				skipping[r.Aborted[0].ProducerID] = true
				r.Aborted = r.Aborted[1:]
			}
			switch {
			case h.Control():
				delete(skipping, h.ProducerID)
			case h.Transactional() && skipping[h.ProducerID]:
			default:
				for rec, err := range segment.Records(&h, one) {
					if err != nil {
						t.Fatal(err)
					}
					if rec.Offset >= at {
						out = append(out, committedRecord{rec.Offset, string(rec.Key), string(rec.Value)})
					}
				}
			}
			at = h.NextOffset()
			b = b[len(one):]
		}
	}
	return out
}

func TestReadCommitted(t *testing.T) {
	fs := vfs.NewMem()
	l, err := Open(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, l, "t", nil)
	stable := func(want int64) {
		t.Helper()
		if got := p.LastStable(); got != want {
			t.Fatalf("last stable offset %d, want %d", got, want)
		}
	}
	mustAppend(t, p, batch("plain"))              // 0
	mustAppend(t, p, txnBatch(1, 0, 0, "a", "1")) // 1
	mustAppend(t, p, txnBatch(2, 0, 0, "b", "1")) // 2
	mustAppend(t, p, batch("plain2"))             // 3
	stable(1)
	if n := p.Available(1, 100, ReadCommitted); n != 0 {
		t.Errorf("%d bytes available past the last stable offset", n)
	}
	if n := p.Available(0, 1000, ReadCommitted); n < 1 || n > int64(len(batch("plain"))) {
		t.Errorf("%d bytes available", n)
	}
	w := NewWaiter()
	p.Watch(w)
	mustEnd(t, p, 2, 1, false) // 4
	stable(1)
	mustAppend(t, p, txnBatch(2, 1, 0, "b", "2")) // 5
	mustEnd(t, p, 1, 1, true)                     // 6
	stable(5)
	<-w.C()
	if got := fmt.Sprint(readCommitted(t, p, 0, 1<<20)); got != "[{0 plain plain} {1 a 1} {3 plain2 plain2}]" {
		t.Errorf("read %s", got)
	}
	r, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20, Isolation: ReadCommitted})
	if err != nil || fmt.Sprint(r.Aborted) != "[{2 2 4 1}]" {
		t.Errorf("aborted %v, %v", r.Aborted, err)
	}
	if r, err = p.Read(3, ReadOptions{MaxBytes: 1 << 20, Isolation: ReadUncommitted}); err != nil || r.Aborted != nil || r.LastStable != 5 {
		t.Errorf("uncommitted: %+v, %v", r.Aborted, err)
	}
	if r, err = p.Read(6, ReadOptions{MaxBytes: 1 << 20, Isolation: ReadCommitted}); err != nil || len(r.Batches) != 0 {
		t.Errorf("read past the last stable offset: %d bytes, %v", len(r.Batches), err)
	}
	before := p.Producers()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, testOptions(fs))
	p, _ = l.Partition("t", 0)
	stable(5)
	if after := p.Producers(); !slices.Equal(after, before) {
		t.Errorf("producers after reopen\n%v\nbefore\n%v", after, before)
	}
	if open := p.OpenTransactions(); fmt.Sprint(open) != "[{2 1 5}]" {
		t.Errorf("open %v", open)
	}
	mustEnd(t, p, 2, 2, true)
	stable(8)
	if got := fmt.Sprint(readCommitted(t, p, 3, 1)); got != "[{3 plain2 plain2} {5 b 2}]" {
		t.Errorf("read %s", got)
	}
}

func TestTransactionRules(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	p := mustCreate(t, l, "t", nil)
	mustAppend(t, p, txnBatch(1, 3, 0, "a", "1"))
	if _, err := p.Append(context.Background(), idempotent(1, 3, 1, 1), AppendOptions{}); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("a plain batch inside a transaction: %v", err)
	}
	if _, err := p.EndTransaction(segment.Marker{ProducerID: 1, ProducerEpoch: 2}); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("marker of an older epoch: %v", err)
	}
	if _, err := p.EndTransaction(segment.Marker{ProducerID: 1, ProducerEpoch: 3, CoordinatorEpoch: 5, Commit: true}); err != nil {
		t.Error(err)
	}
	if _, err := p.EndTransaction(segment.Marker{ProducerID: 1, ProducerEpoch: 3, CoordinatorEpoch: 4}); !errors.Is(err, ErrCoordinatorFenced) {
		t.Errorf("marker of an older coordinator: %v", err)
	}
	// The same epoch goes on with its sequence, a new one begins with 0.
	mustAppend(t, p, txnBatch(1, 3, 1, "a", "2"))
	mustEnd2 := func(epoch int16) {
		t.Helper()
		if _, err := p.EndTransaction(segment.Marker{ProducerID: 1, ProducerEpoch: epoch, CoordinatorEpoch: 5}); err != nil {
			t.Fatal(err)
		}
	}
	mustEnd2(4)
	if _, err := p.Append(context.Background(), txnBatch(1, 3, 2, "a", "3"), AppendOptions{}); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("a zombie after the marker that fenced it: %v", err)
	}
	if _, err := p.Append(context.Background(), txnBatch(1, 4, 2, "a", "3"), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("a new epoch that does not begin with 0: %v", err)
	}
	if r := mustAppend(t, p, txnBatch(1, 4, 0, "a", "3")); r.Duplicate {
		t.Error("taken for a duplicate")
	}
	if r := mustAppend(t, p, txnBatch(1, 4, 0, "a", "3")); !r.Duplicate {
		t.Error("a retry in a transaction was written twice")
	}
	// A marker for a producer that wrote nothing here changes nothing to readers.
	mustEnd2(5)
	end := p.LogEnd()
	if mustEnd(t, p, 77, 0, false); p.LastStable() != end+1 || len(p.OpenTransactions()) != 0 {
		t.Errorf("last stable %d, end %d", p.LastStable(), end+1)
	}
	if got := fmt.Sprint(readCommitted(t, p, 0, 1)); got != "[{0 a 1}]" {
		t.Errorf("read %s", got)
	}
	b := segment.Builder{Idempotent: true, Transactional: true, ProducerID: 9, BaseSequence: segment.NoSequence}
	b.Add(testNow, []byte("k"), []byte("v"))
	for range 2 {
		if r, err := p.Append(context.Background(), b.Batch(), AppendOptions{Unsequenced: true}); err != nil || r.Duplicate {
			t.Errorf("unsequenced: %+v, %v", r, err)
		}
	}
	if _, err := p.DeleteRecords(-1); err != nil || p.LastStable() != p.HighWatermark() {
		t.Errorf("an open transaction below the log start holds readers back: %d of %d, %v", p.LastStable(), p.HighWatermark(), err)
	}
}

// TestTransactionIndexes: what a start reads from the files of sealed segments
// is what a scan of everything finds, and damaged files are made anew.
func TestTransactionIndexes(t *testing.T) {
	fs := vfs.NewMem()
	l, err := Open(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024"})
	seq := map[int64]int32{}
	rng := rand.New(rand.NewPCG(1, 2))
	open := map[int64]bool{}
	for i := range 300 {
		id := int64(rng.IntN(4))
		if open[id] && rng.IntN(3) == 0 {
			mustEnd(t, p, id, 0, rng.IntN(2) == 0)
			open[id] = false
			continue
		}
		mustAppend(t, p, txnBatch(id, 0, seq[id], "k", fmt.Sprint(i)))
		seq[id]++
		open[id] = true
	}
	want := fmt.Sprint(readCommitted(t, p, 0, 300))
	wantStable, segs := p.LastStable(), p.Stats().Segments
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir("data/t-0")
	if err != nil {
		t.Fatal(err)
	}
	indexes := []int64{}
	for _, e := range entries {
		if base, ok := segment.ParseFileName(e.Name, segment.TxnIndexSuffix); ok {
			indexes = append(indexes, base)
		}
	}
	if len(indexes) < 10 || segs < 20 {
		t.Fatalf("%d transaction indexes of %d segments", len(indexes), segs)
	}
	spoil := func(name string) func() {
		return func() {
			f, err := fs.Open("data/t-0/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{9, 9, 9}, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	middle := indexes[len(indexes)/2]
	for _, tt := range []struct {
		name  string
		spoil []func()
	}{
		{"nothing", nil},
		{"an index", []func(){spoil(segment.FileName(middle, segment.TxnIndexSuffix))}},
		{"an index and its snapshot", []func(){spoil(segment.FileName(middle, segment.TxnIndexSuffix)), spoil(segment.FileName(middle, segment.SnapshotSuffix))}},
		{"the epochs, so that all is scanned", []func(){spoil("leader-epoch-checkpoint")}},
	} {
		for _, s := range tt.spoil {
			s()
		}
		l, err := Open(testOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		p, _ := l.Partition("t", 0)
		if p.LastStable() != wantStable || fmt.Sprint(readCommitted(t, p, 0, 300)) != want {
			t.Errorf("%s spoilt: the reader sees something else; last stable %d, want %d", tt.name, p.LastStable(), wantStable)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompactionOfMarkers: the records of an aborted transaction go at once, its
// marker and the entry in the index delete.retention.ms later, and the marker
// of a committed one stays while a record of it does.
func TestCompactionOfMarkers(t *testing.T) {
	clock, fs := &fixedClock{testNow}, vfs.NewMem()
	o := testOptions(fs)
	o.Clock = clock
	l := mustOpen(t, o)
	p := mustCreate(t, l, "c", compactConfigs)
	aborted := mustAppend(t, p, txnBatch(1, 0, 0, "a", "never")).BaseOffset
	marker := mustEnd(t, p, 1, 0, false).BaseOffset
	mustAppend(t, p, txnBatch(1, 0, 1, "a", "kept"))
	commit := mustEnd(t, p, 1, 0, true).BaseOffset
	mustAppend(t, p, txnBatch(1, 0, 2, "b", "old"))
	emptied := mustEnd(t, p, 1, 0, true).BaseOffset
	fill := func() {
		for i := range 20 {
			mustAppend(t, p, keyed("b", fmt.Sprint(i)))
		}
	}
	compact := func() {
		t.Helper()
		fill()
		if err := l.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	want := func(offset int64, there bool) {
		t.Helper()
		if ok, err := offsetExists(p, offset); err != nil || ok != there {
			t.Errorf("offset %d: there %v, want %v (%v)", offset, ok, there, err)
		}
	}
	listed := func() int {
		r, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20, MinOneBatch: true, Isolation: ReadCommitted})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Aborted)
	}
	fill()
	compact()
	want(aborted, false)
	want(marker, true)
	want(commit, true)
	want(emptied, true)
	if n := listed(); n != 1 {
		t.Errorf("%d aborted transactions listed", n)
	}
	clock.ms += 61_000
	compact()
	want(marker, false)
	want(commit, true)
	want(emptied, false)
	if n := listed(); n != 0 {
		t.Errorf("%d aborted transactions listed without a marker: a reader would skip what follows", n)
	}
	if got := lastOf(readCommitted(t, p, 0, 500)); got["a"] != "kept" {
		t.Errorf("read %v", got)
	}
}

// TestUndecidedUntilDurable: a marker that is written but not durable decides
// nothing for readers, even when records before it become durable.
func TestUndecidedUntilDurable(t *testing.T) {
	syncs := make(chan struct{})
	gated := atomic.Bool{}
	l := mustOpen(t, testOptions(vfs.Faulty(vfs.NewMem(), func(op vfs.Op, name string, _ int) vfs.Fault {
		if op == vfs.OpSync && strings.HasSuffix(name, segment.LogSuffix) && gated.Load() {
			syncs <- struct{}{} // begins
			<-syncs             // may end
		}
		return vfs.Fault{}
	})))
	p := mustCreate(t, l, "t", nil)
	mustAppend(t, p, txnBatch(1, 0, 0, "a", "1"))
	gated.Store(true)
	first, err := p.Begin(batch("plain"), AppendOptions{})
	if err != nil {
		t.Fatal(err)
	}
	<-syncs
	marker, err := p.EndTransaction(segment.Marker{ProducerID: 1, Commit: true})
	if err != nil {
		t.Fatal(err)
	}
	syncs <- struct{}{}
	if err := first.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-syncs // the marker's sync has begun
	if p.HighWatermark() != 2 || p.LastStable() != 0 {
		t.Errorf("high watermark %d, last stable offset %d: a crash can still take the marker", p.HighWatermark(), p.LastStable())
	}
	gated.Store(false)
	syncs <- struct{}{}
	if err := marker.Wait(context.Background()); err != nil || p.LastStable() != 3 {
		t.Errorf("last stable offset %d, %v", p.LastStable(), err)
	}
}
