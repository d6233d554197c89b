package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// keyed makes a batch of one record; an empty value is a tombstone.
func keyed(key, value string) []byte {
	var b segment.Builder
	var v []byte
	if value != "" {
		v = []byte(value)
	}
	b.Add(testNow-1000, []byte(key), v, segment.RecordHeader{Key: "h", Value: []byte("1")})
	return b.Batch()
}

// latest is what a reader that keeps the last value of each key ends up with.
func latest(t *testing.T, p *Partition) (values map[string]string, records int) {
	t.Helper()
	values = map[string]string{}
	at, before := p.LogStart(), int64(-1)
	for at < p.HighWatermark() {
		r, err := p.Read(at, ReadOptions{MaxBytes: 1 << 16, MinOneBatch: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Batches) == 0 {
			break
		}
		for b := r.Batches; len(b) > 0; {
			h, one, err := segment.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			for rec, err := range segment.Records(&h, one) {
				if err != nil {
					t.Fatal(err)
				}
				if rec.Offset <= before {
					t.Fatalf("offset %d after %d", rec.Offset, before)
				}
				if rec.Timestamp != testNow-1000 || len(rec.Headers) != 5 {
					t.Fatalf("offset %d: timestamp %d, headers %x", rec.Offset, rec.Timestamp, rec.Headers)
				}
				before = rec.Offset
				values[string(rec.Key)] = string(rec.Value)
				if rec.Value == nil {
					delete(values, string(rec.Key))
				}
				records++
			}
			at = h.NextOffset()
			b = b[len(one):]
		}
	}
	return values, records
}

var compactConfigs = map[string]string{
	"cleanup.policy": "compact", "segment.bytes": "1024", "index.interval.bytes": "100",
	"min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": "60000",
}

// TestCompactionCrashes writes keys, compacts, and crashes at random. What a
// reader of the whole topic ends up with must never change.
func TestCompactionCrashes(t *testing.T) {
	for seed := range 60 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 3))
			fs := vfs.NewMem()
			want := map[string]string{}
			clock := &fixedClock{testNow}
			for life := range 5 {
				// Compaction is cut off at a random operation by a full disk.
				var countdown atomic.Int64
				f := vfs.Faulty(fs, func(op vfs.Op, name string, _ int) vfs.Fault {
					if op != vfs.OpRead && op != vfs.OpSync && op != vfs.OpSyncDir && countdown.Add(-1) == 0 {
						return vfs.Fault{Err: syscall.ENOSPC}
					}
					return vfs.Fault{}
				})
				o := testOptions(f)
				o.Clock = clock
				l, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				var p *Partition
				if life == 0 {
					p = mustCreate(t, l, "c", compactConfigs)
				} else if p, err = l.Partition("c", 0); err != nil || p.Err() != nil {
					t.Fatal(err, p.Err())
				}
				if got, _ := latest(t, p); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("life %d:\n got %v\nwant %v", life, got, want)
				}
				for i := range 20 + rng.IntN(60) {
					k, v := fmt.Sprintf("k%d", rng.IntN(12)), fmt.Sprintf("%d-%d", life, i)
					if rng.IntN(5) == 0 {
						v = ""
					}
					mustAppend(t, p, keyed(k, v))
					if want[k] = v; v == "" {
						delete(want, k)
					}
				}
				countdown.Store(int64(rng.IntN(40)))
				_ = l.Compact(context.Background()) // a full disk is part of the test
				countdown.Store(0)
				clock.ms += int64(rng.IntN(90_000))
				crashed := fs.CrashClone(rng)
				if got, _ := latest(t, p); p.Err() == nil && fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("life %d, after compaction:\n got %v\nwant %v", life, got, want)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				fs = crashed
			}
		})
	}
}

func TestCompactionRules(t *testing.T) {
	clock := &fixedClock{testNow}
	o := testOptions(vfs.NewMem())
	o.Clock = clock
	l := mustOpen(t, o)
	p := mustCreate(t, l, "c", compactConfigs)
	for i := range 40 {
		mustAppend(t, p, keyed(fmt.Sprintf("k%d", i%4), fmt.Sprint(i)))
	}
	mustAppend(t, p, keyed("gone", "x"))
	tombstone := mustAppend(t, p, keyed("gone", "")).BaseOffset
	for i := range 20 {
		mustAppend(t, p, keyed("fill", fmt.Sprint(i)))
	}
	compact := func() int {
		t.Helper()
		if err := l.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, n := latest(t, p)
		return n
	}
	end, start := p.HighWatermark(), p.LogStart()
	had := p.Stats().Segments
	first := compact()
	if now := p.Stats().Segments; now >= had {
		t.Errorf("%d segments, %d before: emptied ones are still there", now, had)
	}
	if first > 25 {
		t.Errorf("%d records after compaction of 62", first)
	}
	if p.HighWatermark() != end || p.LogStart() != start {
		t.Errorf("offsets moved: %d to %d", p.LogStart(), p.HighWatermark())
	}
	if at, err := offsetExists(p, tombstone); err != nil || !at {
		t.Errorf("the tombstone is gone before delete.retention.ms (%v)", err)
	}
	clock.ms += 59_000
	if compact() != first {
		t.Error("something was removed before the delete horizon")
	}
	clock.ms += 2_000
	compact()
	if at, err := offsetExists(p, tombstone); err != nil || at {
		t.Errorf("the tombstone is there after delete.retention.ms (%v)", err)
	}
	values, _ := latest(t, p)
	if values["k3"] != "39" || values["fill"] != "19" || len(values) != 5 {
		t.Errorf("values %v", values)
	}
	if s := l.Stats(); s.CompactedBytes <= 0 {
		t.Errorf("stats: %+v", s)
	}
}

func offsetExists(p *Partition, offset int64) (bool, error) {
	r, err := p.Read(offset, ReadOptions{MaxBytes: 1, MinOneBatch: true})
	if err != nil {
		return false, err
	}
	h, _, err := segment.ParseBatch(r.Batches)
	return err == nil && h.BaseOffset == offset, err
}

func TestRetention(t *testing.T) {
	clock := &fixedClock{testNow}
	o := testOptions(vfs.NewMem())
	o.Clock = clock
	l := mustOpen(t, o)
	old := mustCreate(t, l, "old", map[string]string{"retention.ms": "1000", "segment.bytes": "1024"})
	big := mustCreate(t, l, "big", map[string]string{"retention.ms": "-1", "retention.bytes": "2000", "segment.bytes": "1024"})
	kept := mustCreate(t, l, "kept", map[string]string{"segment.bytes": "1024"})
	for i := range 50 {
		for _, p := range []*Partition{old, big, kept} {
			mustAppend(t, p, batch(fmt.Sprint(i)))
		}
	}
	w := NewWaiter()
	old.Watch(w)
	clock.ms += 1100
	if err := l.ApplyRetention(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-w.C()
	if old.LogStart() != 50 || old.HighWatermark() != 50 || old.Stats().Bytes != 0 {
		t.Errorf("old: %+v", old.Stats())
	}
	if s := big.Stats(); s.Bytes < 2000 || s.Bytes > 3024 || s.LogStart == 0 {
		t.Errorf("big: %+v", s)
	}
	if s := kept.Stats(); s.LogStart != 0 {
		t.Errorf("kept: %+v", s)
	}
	if _, err := old.Read(49, ReadOptions{MaxBytes: 10}); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("read of a deleted offset: %v", err)
	}
	if r := mustAppend(t, old, batch("new")); r.BaseOffset != 50 || r.LogStart != 50 {
		t.Errorf("append after retention: %+v", r)
	}
	if s, err := kept.DeleteRecords(-1); err != nil || s != 50 {
		t.Errorf("delete records: %d, %v", s, err)
	}
	if _, err := kept.DeleteRecords(51); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("delete records above the end: %v", err)
	}
}

// TestRetentionOnFullDisk: retention is what makes space again, so it must not
// need any.
func TestRetentionOnFullDisk(t *testing.T) {
	mem, f := vfs.NewMem(), &faults{}
	l := mustOpen(t, testOptions(vfs.Faulty(mem, f.hook)))
	p := mustCreate(t, l, "t", map[string]string{"retention.ms": "-1", "retention.bytes": "2000", "segment.bytes": "1024"})
	for i := range 100 {
		mustAppend(t, p, batch(fmt.Sprint(i)))
	}
	f.set(vfs.OpCreate, "", vfs.Fault{Err: syscall.ENOSPC})
	_ = l.ApplyRetention(context.Background()) // may say that it could not save the log start
	start := p.LogStart()
	if s := p.Stats(); s.Bytes > 3024 || start == 0 {
		t.Errorf("nothing was deleted: %+v", s)
	}
	crashed := mem.CrashClone(rand.New(rand.NewPCG(1, 1)))
	o := mustOpen(t, testOptions(crashed))
	q, err := o.Partition("t", 0)
	if err != nil || q.Err() != nil || q.LogStart() != start || q.HighWatermark() != 100 {
		t.Errorf("after a crash: %v, %+v", err, q.Stats())
	}
}

func TestLookups(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024", "index.interval.bytes": "100"})
	for i := range 100 {
		var b segment.Builder
		for j := range 3 {
			b.Add(testNow-1000+int64(i*3+j)*2, nil, []byte("v"))
		}
		mustAppend(t, p, b.Batch())
	}
	for _, tt := range []struct {
		ms, offset int64
		ok         bool
	}{
		{0, 0, true}, {testNow - 1000, 0, true}, {testNow - 999, 1, true}, {testNow - 998, 1, true},
		{testNow - 1000 + 299*2, 299, true}, {testNow - 1000 + 150*2 - 1, 150, true}, {testNow - 1000 + 299*2 + 1, 0, false},
	} {
		at, ok, err := p.OffsetForTimestamp(tt.ms)
		if err != nil || ok != tt.ok || at.Offset != tt.offset {
			t.Errorf("OffsetForTimestamp(%d) = %+v, %v, %v; want %d, %v", tt.ms, at, ok, err, tt.offset, tt.ok)
		}
	}
	if at, ok, err := p.MaxTimestamp(); err != nil || !ok || at.Offset != 299 || at.Timestamp != testNow-1000+598 {
		t.Errorf("MaxTimestamp = %+v, %v, %v", at, ok, err)
	}
	la := mustCreate(t, l, "la", map[string]string{"message.timestamp.type": "LogAppendTime"})
	if r := mustAppend(t, la, batch("x", "y")); r.AppendTime != testNow {
		t.Errorf("append: %+v", r)
	}
	if at, ok, err := la.OffsetForTimestamp(testNow); err != nil || !ok || at.Offset != 0 || at.Timestamp != testNow {
		t.Errorf("LogAppendTime: %+v, %v, %v", at, ok, err)
	}
}

func TestTopics(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	if _, err := l.CreateTopic("a/b", TopicID{}, 1, nil); !errors.Is(err, ErrInvalidTopic) {
		t.Error(err)
	}
	if _, err := l.CreateTopic("a", TopicID{}, 0, nil); !errors.Is(err, ErrInvalidPartitions) {
		t.Error(err)
	}
	_, err := l.CreateTopic("a", TopicID{}, 1, map[string]string{"retention.sm": "1"})
	if ce := (*ConfigError)(nil); !errors.As(err, &ce) || ce.Name != "retention.sm" || !errors.Is(err, ErrInvalidConfig) {
		t.Error(err)
	}
	a, err := l.CreateTopic("a", TopicID{}, 2, map[string]string{"retention.ms": "5"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.CreateTopic("a", TopicID{}, 1, nil); !errors.Is(err, ErrTopicExists) {
		t.Error(err)
	}
	if err := l.CreatePartitions("a", 2); !errors.Is(err, ErrInvalidPartitions) {
		t.Error(err)
	}
	if err := l.CreatePartitions("a", 4); err != nil || len(a.Partitions()) != 4 {
		t.Error(err)
	}
	err = l.AlterTopicConfig("a", []ConfigChange{{"cleanup.policy", ConfigAppend, "compact"}, {"retention.ms", ConfigDelete, ""}}, false)
	if c := a.Config(); err != nil || !c.Compact || !c.Delete || c.RetentionTime != 168*time.Hour {
		t.Error(err, c)
	}
	if err := l.AlterTopicConfig("a", []ConfigChange{{"segment.bytes", ConfigSet, "many"}}, false); !errors.Is(err, ErrInvalidConfig) {
		t.Error(err)
	}
	p := a.Partitions()[3]
	mustAppend(t, p, batch("x"))
	pid, err := l.NextProducerID()
	if err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(rand.New(rand.NewPCG(1, 1)))
	w := NewWaiter()
	p.Watch(w)
	if err := l.DeleteTopic("a"); err != nil {
		t.Fatal(err)
	}
	<-w.C()
	if _, err := p.Append(context.Background(), batch("x"), AppendOptions{}); !errors.Is(err, ErrUnknownTopic) {
		t.Error(err)
	}
	if _, err := l.Topic("a"); !errors.Is(err, ErrUnknownTopic) {
		t.Error(err)
	}
	again, err := l.CreateTopic("a", TopicID{}, 4, nil)
	if err != nil || again.ID() == a.ID() || again.Partitions()[3].HighWatermark() != 0 {
		t.Error(err)
	}
	o := mustOpen(t, testOptions(crashed))
	b, err := o.Topic("a")
	if err != nil || b.ID() != a.ID() || len(b.Partitions()) != 4 || !b.Config().Compact || b.Partitions()[3].HighWatermark() != 1 {
		t.Error("after a crash:", err)
	}
	if id, err := o.NextProducerID(); err != nil || id <= pid {
		t.Errorf("producer id %d after %d, %v", id, pid, err)
	}
	if o.ClusterID() != l.ClusterID() {
		t.Error("cluster id changed")
	}
}
