package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// fixedClock is a clock that tests move; its alarms never ring.
type fixedClock struct{ ms int64 }

func (c *fixedClock) Now() time.Time                       { return time.UnixMilli(c.ms) }
func (c *fixedClock) After(time.Duration) <-chan time.Time { return nil }

const testNow = 1_700_000_000_000

func testOptions(fs vfs.FS) Options {
	return Options{Dir: "data", FS: fs, Clock: &fixedClock{testNow}}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

func mustCreate(t testing.TB, l *Log, name string, configs map[string]string) *Partition {
	t.Helper()
	topic, err := l.CreateTopic(name, TopicID{}, 1, configs)
	if err != nil {
		t.Fatal(err)
	}
	return topic.Partitions()[0]
}

// batch makes a batch with one record per value; keys are the values.
func batch(values ...string) []byte {
	var b segment.Builder
	for i, v := range values {
		b.Add(testNow+int64(i), []byte(v), []byte(v))
	}
	return b.Batch()
}

// idempotent makes a batch of n records of a producer.
func idempotent(id int64, epoch int16, seq int32, n int) []byte {
	b := segment.Builder{Idempotent: true, ProducerID: id, ProducerEpoch: epoch, BaseSequence: seq}
	for i := range n {
		b.Add(testNow, nil, fmt.Appendf(nil, "%d/%d", id, int(seq)+i))
	}
	return b.Batch()
}

func mustAppend(t testing.TB, p *Partition, b []byte) AppendResult {
	t.Helper()
	r, err := p.Append(context.Background(), b, AppendOptions{CheckRecords: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type readBack struct {
	offset int64
	value  string
}

// readAll reads every record from an offset to the high watermark.
func readAll(t testing.TB, p *Partition, from int64) []readBack {
	t.Helper()
	out, err := tryReadAll(p, from)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryReadAll(p *Partition, from int64) (out []readBack, err error) {
	for at := from; at < p.HighWatermark(); {
		r, err := readPieces(p, at, ReadOptions{MaxBytes: 600, MinOneBatch: true, Piece: int(at % 2)})
		if err != nil {
			return out, err
		}
		if len(r.Batches) == 0 {
			return out, nil
		}
		for b := r.Batches; len(b) > 0; {
			h, one, err := segment.ParseBatch(b)
			if err != nil {
				return out, err
			}
			for rec, err := range segment.Records(&h, one) {
				if err != nil {
					return out, err
				}
				if rec.Offset >= at {
					out = append(out, readBack{rec.Offset, string(rec.Value)})
				}
			}
			at = h.NextOffset()
			b = b[len(one):]
		}
	}
	return out, nil
}

func TestAppendReadReopen(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.OS()} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(fs)
			if name == "disk" {
				o.Dir = t.TempDir()
			}
			l, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			p := mustCreate(t, l, "orders", map[string]string{"segment.bytes": "1024", "index.interval.bytes": "100"})
			var want []readBack
			for i := range 100 {
				v := fmt.Sprintf("v%03d", i)
				r := mustAppend(t, p, batch(v, v+"b"))
				if r.BaseOffset != int64(2*i) || r.LastOffset != int64(2*i+1) || r.LeaderEpoch != 0 || r.AppendTime != -1 {
					t.Fatalf("append %d: %+v", i, r)
				}
				want = append(want, readBack{r.BaseOffset, v}, readBack{r.LastOffset, v + "b"})
			}
			checkReads(t, p, want)
			if s := l.Stats(); s.AppendedRecords != 200 || s.Segments < 5 || s.Syncs == 0 {
				t.Errorf("stats: %+v", s)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Append(context.Background(), batch("x"), AppendOptions{}); !errors.Is(err, ErrClosed) {
				t.Errorf("append after close: %v", err)
			}
			if _, err := p.Read(0, ReadOptions{MaxBytes: 1}); !errors.Is(err, ErrClosed) {
				t.Errorf("read after close: %v", err)
			}
			id := p.Topic().ID()
			l = mustOpen(t, o)
			if l.LeaderEpoch() != 1 {
				t.Errorf("leader epoch %d after the second open", l.LeaderEpoch())
			}
			p, err = l.Partition("orders", 0)
			if err != nil {
				t.Fatal(err)
			}
			if p.Topic().ID() != id {
				t.Error("topic id changed")
			}
			checkReads(t, p, want)
			if r := mustAppend(t, p, batch("new")); r.BaseOffset != 200 || r.LeaderEpoch != 1 {
				t.Errorf("append after reopen: %+v", r)
			}
			if e, end, ok := p.OffsetForLeaderEpoch(0); !ok || e != 0 || end != 200 {
				t.Errorf("OffsetForLeaderEpoch(0) = %d, %d, %v", e, end, ok)
			}
			if e, end, ok := p.OffsetForLeaderEpoch(1); !ok || e != 1 || end != 201 {
				t.Errorf("OffsetForLeaderEpoch(1) = %d, %d, %v", e, end, ok)
			}
			if _, _, ok := p.OffsetForLeaderEpoch(2); ok {
				t.Error("a future epoch was found")
			}
		})
	}
}

func checkReads(t *testing.T, p *Partition, want []readBack) {
	t.Helper()
	for _, from := range []int64{0, 1, 7, 50, 199} {
		got := readAll(t, p, from)
		if len(got) != len(want)-int(from) {
			t.Fatalf("from %d: %d records, want %d", from, len(got), len(want)-int(from))
		}
		for i, g := range got {
			if g != want[int(from)+i] {
				t.Fatalf("from %d: record %d is %v, want %v", from, i, g, want[int(from)+i])
			}
		}
	}
}

func TestReadBounds(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	p := mustCreate(t, l, "t", nil)
	for _, v := range []string{"a", "b", "c"} {
		mustAppend(t, p, batch(v))
	}
	one := len(batch("a"))
	tests := []struct {
		name   string
		offset int64
		o      ReadOptions
		bytes  int
		err    error
	}{
		{"all", 0, ReadOptions{MaxBytes: 1 << 20}, 3 * one, nil},
		{"two fit", 0, ReadOptions{MaxBytes: 2*one + 5}, 2 * one, nil},
		{"none fits", 0, ReadOptions{MaxBytes: one - 1}, 0, nil},
		{"one at least", 1, ReadOptions{MaxBytes: 1, MinOneBatch: true}, one, nil},
		{"last", 2, ReadOptions{MaxBytes: 1 << 20}, one, nil},
		{"at the end", 3, ReadOptions{MaxBytes: 1 << 20, MinOneBatch: true}, 0, nil},
		{"beyond", 4, ReadOptions{MaxBytes: 1}, 0, ErrOffsetOutOfRange},
		{"negative", -1, ReadOptions{MaxBytes: 1}, 0, ErrOffsetOutOfRange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from a remembered place
				r, err := p.Read(tt.offset, tt.o)
				if !errors.Is(err, tt.err) || len(r.Batches) != tt.bytes || r.Batches == nil {
					t.Fatalf("%d bytes, error %v; want %d, %v", len(r.Batches), err, tt.bytes, tt.err)
				}
			}
		})
	}
	buf := make([]byte, 1000)
	r, err := p.Read(0, ReadOptions{MaxBytes: 500, Memory: func(n int) []byte { return buf[:n] }})
	if err != nil || &r.Batches[0] != &buf[0] {
		t.Errorf("the caller's memory was not used (%v)", err)
	}
	if _, err := p.Read(0, ReadOptions{MaxBytes: one}); err != nil {
		t.Fatal(err)
	}
	if n := p.Available(1, 1000, ReadUncommitted); n != int64(2*one) {
		t.Errorf("Available(1) = %d, want %d", n, 2*one)
	}
}

func TestRefusals(t *testing.T) {
	corrupt := batch("x")
	corrupt[len(corrupt)-1] ^= 1
	old := batch("x")
	old[16] = 1
	short := batch("x")
	control := batch("x")
	control[22] |= segment.AttrControl
	var keyless segment.Builder
	keyless.Add(testNow, []byte("k"), nil)
	keyless.Add(testNow, nil, nil)
	keyless.Add(testNow, []byte("k"), nil)
	keyless.Add(testNow, nil, nil)
	var future segment.Builder
	future.Add(testNow+3_600_001, nil, nil)
	txn := batch("x")
	txn[22] |= segment.AttrTransactional
	for _, b := range [][]byte{control, txn} {
		segment.SetMaxTimestamp(b, testNow) // makes the checksum right again
	}
	tests := []struct {
		name    string
		configs map[string]string
		batch   []byte
		err     error
	}{
		{"nothing", nil, nil, ErrInvalidRecord},
		{"checksum", nil, corrupt, ErrCorruptBatch},
		{"cut", nil, short[:len(short)-1], ErrCorruptBatch},
		{"old format", nil, old, ErrUnsupportedFormat},
		{"control", nil, control, ErrInvalidRecord},
		{"transactional without a producer", nil, txn, ErrInvalidRecord},
		{"too large", map[string]string{"max.message.bytes": "60"}, batch("x"), ErrMessageTooLarge},
		{"no key", map[string]string{"cleanup.policy": "compact"}, keyless.Batch(), ErrInvalidRecord},
		{"future", nil, future.Batch(), ErrInvalidTimestamp},
		{"past", map[string]string{"message.timestamp.before.max.ms": "10"}, func() []byte {
			var b segment.Builder
			b.Add(testNow-11, nil, nil)
			return b.Batch()
		}(), ErrInvalidTimestamp},
		{"negative sequence", nil, idempotent(1, 0, -1, 1), ErrInvalidRecord},
	}
	l := mustOpen(t, testOptions(vfs.NewMem()))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustCreate(t, l, fmt.Sprintf("t%d", i), tt.configs)
			_, err := p.Append(context.Background(), bytes.Clone(tt.batch), AppendOptions{})
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if bad := (RecordErrors)(nil); tt.name == "no key" && (!errors.As(err, &bad) || len(bad) != 2 || bad[0].Index != 1 || bad[1].Index != 3) {
				t.Errorf("record errors %v", bad)
			}
			if p.LogEnd() != 0 || p.Err() != nil {
				t.Errorf("end %d, err %v after a refusal", p.LogEnd(), p.Err())
			}
		})
	}
}

func TestIdempotence(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024"})
	steps := []struct {
		name  string
		batch []byte
		base  int64
		dup   bool
		err   error
	}{
		{"any first sequence", idempotent(7, 0, 10, 2), 0, false, nil},
		{"next", idempotent(7, 0, 12, 1), 2, false, nil},
		{"again", idempotent(7, 0, 12, 1), 2, true, nil},
		{"the one before again", idempotent(7, 0, 10, 2), 0, true, nil},
		{"gap", idempotent(7, 0, 14, 1), 0, false, ErrOutOfOrderSequence},
		{"overlap", idempotent(7, 0, 12, 2), 0, false, ErrOutOfOrderSequence},
		{"another producer", idempotent(8, 0, 0, 1), 3, false, nil},
		{"new epoch not at 0", idempotent(7, 1, 13, 1), 0, false, ErrOutOfOrderSequence},
		{"new epoch", idempotent(7, 1, 0, 1), 4, false, nil},
		{"old epoch", idempotent(7, 0, 13, 1), 0, false, ErrInvalidProducerEpoch},
		{"wrap", idempotent(9, 0, 1<<31-1, 1), 5, false, nil},
		{"after wrap", idempotent(9, 0, 0, 1), 6, false, nil},
	}
	for _, s := range steps {
		r, err := p.Append(context.Background(), s.batch, AppendOptions{})
		if !errors.Is(err, s.err) || err == nil && (r.BaseOffset != s.base || r.Duplicate != s.dup) {
			t.Fatalf("%s: %+v, %v; want base %d, dup %v, %v", s.name, r, err, s.base, s.dup, s.err)
		}
	}
	for i := range int32(20) { // over several segments
		mustAppend(t, p, idempotent(8, 0, 1+i*2, 2))
	}
	before := p.Producers()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, testOptions(fs))
	p, _ = l.Partition("t", 0)
	if after := p.Producers(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("producers after reopen:\n%v\nbefore:\n%v", after, before)
	}
	for i := range int32(5) { // five batches are remembered over the restart
		seq := 1 + (15+i)*2
		r, err := p.Append(context.Background(), idempotent(8, 0, seq, 2), AppendOptions{})
		if err != nil || !r.Duplicate {
			t.Errorf("sequence %d again: %+v, %v", seq, r, err)
		}
	}
}
