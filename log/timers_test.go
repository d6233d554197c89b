package log

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/log/vfs"
)

// TestTimers runs the background work in a bubble: the interval flusher,
// retention, and the end of all goroutines at Close.
func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Options{Dir: "d", FS: vfs.NewMem(), Durability: DurabilityInterval, FlushInterval: time.Second, RetentionInterval: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		p := mustCreate(t, l, "t", map[string]string{"retention.ms": "30000", "message.timestamp.type": "LogAppendTime"})
		for range 3 {
			mustAppend(t, p, batch("x"))
		}
		synctest.Wait()
		if hw, syncs := p.HighWatermark(), l.Stats().Syncs; hw != 3 || syncs != 0 {
			t.Errorf("high watermark %d after %d fsyncs, want 3 after none", hw, syncs)
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if syncs := l.Stats().Syncs; syncs != 1 {
			t.Errorf("%d fsyncs after the interval, want 1", syncs)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if p.LogStart() != 3 {
			t.Errorf("log start %d after retention, want 3", p.LogStart())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCloseDuringAppends: what was begun before Close is durable or refused,
// never left hanging.
func TestCloseDuringAppends(t *testing.T) {
	l, err := Open(testOptions(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, l, "t", nil)
	type answer struct {
		a   *Pending
		err error
	}
	const workers = 4
	answers := make(chan answer)
	for range workers {
		go func() {
			for {
				a, err := p.Begin(batch("x"), AppendOptions{})
				answers <- answer{a, err}
				if err != nil {
					return
				}
			}
		}()
	}
	closed := make(chan error)
	for good, refused := 0, 0; refused < workers; {
		r := <-answers
		if r.err != nil {
			if !errors.Is(r.err, ErrClosed) {
				t.Fatal(r.err)
			}
			refused++
			continue
		}
		if good++; good == 50 {
			go func() { closed <- l.Close() }()
		}
		if err := r.a.Wait(t.Context()); err != nil {
			t.Fatalf("an append begun before Close: %v", err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}
