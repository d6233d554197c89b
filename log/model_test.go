package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// TestCrashModel appends, rolls, deletes, compacts and reopens at random over a
// file system that forgets what was not synced, and crashes at random moments
// while appends are under way. After each crash: every acknowledged record is
// there under its offset, the records are a prefix of what was sent, nothing
// is damaged, and a reader never had seen more than the log has now.
func TestCrashModel(t *testing.T) {
	for seed := range seeds(t, 2000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 1)), fs: vfs.NewMem()}
			for range 6 {
				m.life()
			}
		})
	}
}

type model struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *vfs.Mem
	sent []string // by offset: what was given that offset last
	seen int64    // high watermark a reader saw
	acked,
	start int64
	seq, ackedSeq int32
	epoch         int32
}

// life is one start, some work, and a crash or a clean end.
func (m *model) life() {
	l, err := Open(testOptions(m.fs))
	if err != nil {
		m.t.Fatalf("open: %v", err)
	}
	p, err := l.Partition("t", 0)
	if errors.Is(err, ErrUnknownTopic) && m.acked == 0 {
		topic, err := l.CreateTopic("t", TopicID{}, 1, map[string]string{"segment.bytes": "2048", "index.interval.bytes": "200"})
		if err != nil {
			m.t.Fatal(err)
		}
		p = topic.Partitions()[0]
	} else if err != nil {
		m.t.Fatal(err)
	}
	m.check(l, p)
	for range 1 + m.rng.IntN(25) {
		if m.rng.IntN(12) == 0 {
			// The crash is now; what goes on afterwards is another world.
			break
		}
		m.step(p)
	}
	crashed := m.fs.CrashClone(m.rng)
	if m.rng.IntN(4) == 0 {
		m.settle(p)
		if err := l.Close(); err != nil {
			m.t.Fatal(err)
		}
		crashed = m.fs.CrashClone(m.rng)
	} else if err := l.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.fs = crashed
}

// step does one thing. The appends of a burst are not waited for, so that a
// crash finds them in every state.
func (m *model) step(p *Partition) {
	switch m.rng.IntN(10) {
	case 0:
		m.settle(p)
	case 1:
		if at := m.rng.Int64N(p.HighWatermark() + 1); at > m.start && m.rng.IntN(3) == 0 {
			if s, err := p.DeleteRecords(at); err != nil || s != at {
				m.t.Fatalf("delete records: %d, %v", s, err)
			}
			m.start = at
		}
	default:
		n := 1 + m.rng.IntN(6)
		a, err := p.Begin(m.batch(n), AppendOptions{CheckRecords: true})
		if err != nil {
			m.t.Fatalf("append: %v", err)
		}
		m.note(a.Result)
		if m.rng.IntN(2) == 0 {
			if err := a.Wait(context.Background()); err != nil {
				m.t.Fatal(err)
			}
			m.ack(a.Result.LastOffset + 1)
		}
	}
	m.seen = max(m.seen, p.HighWatermark())
}

func (m *model) batch(n int) []byte {
	b := idempotent(5, 0, m.seq, n)
	m.seq += int32(n)
	return b
}

func (m *model) note(r AppendResult) {
	if r.BaseOffset != int64(len(m.sent)) {
		m.t.Fatalf("base offset %d, want %d", r.BaseOffset, len(m.sent))
	}
	for o := r.BaseOffset; o <= r.LastOffset; o++ {
		m.sent = append(m.sent, fmt.Sprintf("5/%d", int64(m.seq)-r.LastOffset-1+o))
	}
}

func (m *model) ack(end int64) {
	if end > m.acked {
		m.acked, m.ackedSeq = end, m.seq
	}
}

// settle waits for everything sent.
func (m *model) settle(p *Partition) {
	a, err := p.Begin(m.batch(1), AppendOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	m.note(a.Result)
	if err := a.Wait(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	m.ack(a.Result.LastOffset + 1)
	if hw := p.HighWatermark(); hw != int64(len(m.sent)) {
		m.t.Fatalf("high watermark %d after all was acknowledged, want %d", hw, len(m.sent))
	}
}

// check compares the log after a start with what was sent.
func (m *model) check(l *Log, p *Partition) {
	if err := p.Err(); err != nil {
		m.t.Fatalf("partition refuses writes after a crash: %v", err)
	}
	if err := p.Verify(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	if e := l.LeaderEpoch(); m.epoch > 0 && e < m.epoch {
		m.t.Fatalf("leader epoch %d after %d", e, m.epoch)
	}
	m.epoch = l.LeaderEpoch()
	hw := p.HighWatermark()
	if hw < m.acked || hw < m.seen || hw > int64(len(m.sent)) {
		m.t.Fatalf("high watermark %d; acknowledged %d, seen %d, sent %d", hw, m.acked, m.seen, len(m.sent))
	}
	if s := p.LogStart(); s < m.start {
		m.t.Fatalf("log start %d after %d was durable", s, m.start)
	}
	got := readAll(m.t, p, p.LogStart())
	if len(got) != int(hw-p.LogStart()) {
		m.t.Fatalf("%d records from %d to %d", len(got), p.LogStart(), hw)
	}
	for _, g := range got {
		if m.sent[g.offset] != g.value {
			m.t.Fatalf("offset %d holds %q, sent was %q", g.offset, g.value, m.sent[g.offset])
		}
	}
	m.sent = m.sent[:hw]
	m.seq = 0
	if hw > 0 {
		fmt.Sscanf(m.sent[hw-1], "5/%d", &m.seq)
		m.seq++
	}
	m.acked = hw // what recovery showed must stay
	m.seen = hw
}

// TestReaderNeverAhead: while appends run, a copy of the disk taken after a
// reader saw a high watermark has all of it.
func TestReaderNeverAhead(t *testing.T) {
	fs := vfs.NewMem()
	slow := vfs.Faulty(fs, func(op vfs.Op, name string, _ int) vfs.Fault {
		if op == vfs.OpSync {
			time.Sleep(50 * time.Microsecond)
		}
		return vfs.Fault{}
	})
	l := mustOpen(t, testOptions(slow))
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "4096"})
	done := make(chan error, 4)
	for g := range 4 {
		go func() {
			var err error
			for i := 0; i < 60 && err == nil; i++ {
				_, err = p.Append(context.Background(), batch(fmt.Sprintf("%d/%d", g, i)), AppendOptions{})
			}
			done <- err
		}()
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for running := 4; running > 0; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running--
		default:
		}
		hw := p.HighWatermark()
		other, err := Open(testOptions(fs.CrashClone(rng)))
		if err != nil {
			t.Fatal(err)
		}
		q, err := other.Partition("t", 0)
		if err != nil {
			t.Fatal(err)
		}
		if q.Err() != nil || q.HighWatermark() < hw {
			t.Fatalf("seen %d, after the crash %d (%v)", hw, q.HighWatermark(), q.Err())
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s := l.Stats(); s.AppendedRecords != 240 || s.Syncs >= 240 {
		t.Errorf("%d records with %d syncs: no group commit", s.AppendedRecords, s.Syncs)
	}
}
