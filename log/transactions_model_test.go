package log

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// txnModel is what a partition should hold, by offset.
type txnModel struct {
	entries []txnEntry
	seq     map[int64]int32
}

type txnEntry struct {
	producer   int64 // -1: no transaction
	marker     int   // 0 a record, 1 commit, 2 abort
	key, value string
}

// committed is what a reader of committed records should see, and where it
// should stop.
func (m *txnModel) committed() (out []committedRecord, stable int64) {
	out, stable = []committedRecord{}, int64(len(m.entries))
	for o, e := range m.entries {
		if e.marker != 0 {
			continue
		}
		end := 1
		if e.producer >= 0 {
			end = m.endOf(o)
		}
		if end == 0 {
			stable = int64(o)
			return out, stable
		}
		if end == 1 {
			out = append(out, committedRecord{int64(o), e.key, e.value})
		}
	}
	return out, stable
}

// endOf is the marker after offset o of the same producer, 0 while there is none.
func (m *txnModel) endOf(o int) int {
	for _, e := range m.entries[o:] {
		if e.producer == m.entries[o].producer && e.marker != 0 {
			return e.marker
		}
	}
	return 0
}

func (m *txnModel) open(id int64) bool {
	for _, e := range slices.Backward(m.entries) {
		if e.producer == id {
			return e.marker == 0
		}
	}
	return false
}

// step does one thing of a random producer and says up to where the log is
// known to be durable, 0 if it did not wait.
func (m *txnModel) step(t *testing.T, p *Partition, rng *rand.Rand) int64 {
	id := int64(rng.IntN(4)) - 1
	e := txnEntry{producer: id, key: fmt.Sprintf("k%d", rng.IntN(8)), value: fmt.Sprint(len(m.entries))}
	if rng.IntN(6) == 0 {
		e.value = ""
	}
	var a *Pending
	var err error
	switch {
	case id < 0:
		a, err = p.Begin(keyed(e.key, e.value), AppendOptions{})
	case m.open(id) && rng.IntN(3) == 0:
		e.marker = 1 + rng.IntN(2)
		a, err = p.EndTransaction(segment.Marker{ProducerID: id, Commit: e.marker == 1})
	default:
		a, err = p.Begin(txnBatch(id, 0, m.seq[id], e.key, e.value), AppendOptions{})
		m.seq[id]++
	}
	if err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	if a.Result.BaseOffset != int64(len(m.entries)) || a.Result.Duplicate {
		t.Fatalf("%+v, want offset %d", a.Result, len(m.entries))
	}
	m.entries = append(m.entries, e)
	if rng.IntN(3) > 0 {
		return 0
	}
	if err := a.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	return int64(len(m.entries))
}

// cut takes away what a crash took.
func (m *txnModel) cut(end int64) {
	m.entries = m.entries[:end]
	for id := range m.seq {
		m.seq[id] = 0
	}
	for _, e := range m.entries {
		if e.producer >= 0 && e.marker == 0 {
			m.seq[e.producer]++
		}
	}
}

func (m *txnModel) check(t *testing.T, p *Partition, rng *rand.Rand) {
	t.Helper()
	want, stable := m.committed()
	if got := p.LastStable(); got != stable {
		t.Fatalf("last stable offset %d, want %d", got, stable)
	}
	from := int64(rng.IntN(len(m.entries) + 1))
	i, _ := slices.BinarySearchFunc(want, from, func(r committedRecord, at int64) int { return int(r.offset - at) })
	if got := readCommitted(t, p, from, 1+rng.IntN(2000)); !slices.Equal(got, want[i:]) {
		t.Fatalf("from %d committed:\n got %v\nwant %v", from, got, want[i:])
	}
}

// TestTransactionCrashes runs transactions of several producers and crashes at
// random. After each crash a reader of committed records sees every record
// whose commit was acknowledged, none of an aborted transaction, and stops at
// the first one that is not decided.
func TestTransactionCrashes(t *testing.T) {
	for seed := range seeds(t, 1000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 9))
			fs := vfs.NewMem()
			m := &txnModel{seq: map[int64]int32{}}
			durable, seen := int64(0), int64(0)
			for life := range 6 {
				l, err := Open(testOptions(fs))
				if err != nil {
					t.Fatal(err)
				}
				var p *Partition
				if life == 0 {
					p = mustCreate(t, l, "t", map[string]string{"segment.bytes": "1024", "index.interval.bytes": "100"})
				} else if p, err = l.Partition("t", 0); err != nil || p.Err() != nil {
					t.Fatal(err, p.Err())
				}
				if hw := p.HighWatermark(); hw < durable || p.LastStable() < seen || hw > int64(len(m.entries)) {
					t.Fatalf("high watermark %d, durable %d; last stable %d, seen %d", hw, durable, p.LastStable(), seen)
				}
				m.cut(p.HighWatermark())
				m.check(t, p, rng)
				durable = p.HighWatermark()
				for range 1 + rng.IntN(40) {
					durable = max(durable, m.step(t, p, rng))
					seen = p.LastStable()
				}
				crashed := fs.CrashClone(rng)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				fs = crashed
			}
		})
	}
}

// lastOf is the last value of each key; an empty one deletes it.
func lastOf(records []committedRecord) map[string]string {
	values := map[string]string{}
	for _, r := range records {
		if values[r.key] = r.value; r.value == "" {
			delete(values, r.key)
		}
	}
	return values
}

// TestTransactionCompaction compacts a topic with open, committed and aborted
// transactions and crashes. What a reader of committed records ends up with
// must never change, and what is aborted must go.
func TestTransactionCompaction(t *testing.T) {
	for seed := range 60 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 11))
			fs := vfs.NewMem()
			m := &txnModel{seq: map[int64]int32{}}
			clock := &fixedClock{testNow}
			for life := range 5 {
				o := testOptions(fs)
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
				m.cut(p.HighWatermark())
				for _, info := range p.Producers() {
					// Of what compaction removed only a snapshot knows.
					m.seq[info.ProducerID] = info.LastSequence + 1
				}
				for range 3 {
					for range 20 + rng.IntN(60) {
						m.step(t, p, rng)
					}
					mustAppend(t, p, keyed("end", "end"))
					m.entries = append(m.entries, txnEntry{producer: -1, key: "end", value: "end"})
					if err := l.Compact(context.Background()); err != nil {
						t.Fatal(err)
					}
					clock.ms += int64(rng.IntN(90_000))
					want, stable := m.committed()
					got := readCommitted(t, p, 0, 1+rng.IntN(3000))
					if p.LastStable() != stable || fmt.Sprint(lastOf(got)) != fmt.Sprint(lastOf(want)) {
						t.Fatalf("life %d, last stable %d, want %d:\n got %v\nwant %v", life, p.LastStable(), stable, lastOf(got), lastOf(want))
					}
				}
				crashed := fs.CrashClone(rng)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if fs = crashed; life%2 == 1 {
					loseSnapshots(t, fs, "data/c-0")
				}
			}
		})
	}
}

// loseSnapshots removes what makes the next start scan everything.
func loseSnapshots(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	entries, err := fs.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := segment.ParseFileName(e.Name, segment.SnapshotSuffix); !ok {
			continue
		}
		if err := fs.Remove(dir + "/" + e.Name); err != nil {
			t.Fatal(err)
		}
	}
}
