package broker

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestLoansAreBounded: a hundred that want everything at once get a little each beside what there is.
func TestLoansAreBounded(t *testing.T) {
	var b buffers
	loans := make([]loan, 100)
	var wg sync.WaitGroup
	for i := range loans {
		loans[i].from = &b
		wg.Go(func() {
			if got := loans[i].reserve(50 << 20); got < leastLent {
				t.Errorf("%d bytes", got)
			}
		})
	}
	wg.Wait()
	if lent := b.lent.Load(); lent > maxLent+int64(len(loans))*leastLent {
		t.Errorf("%d MiB are lent", lent>>20)
	}
	for i := range loans {
		loans[i].keep(10)
	}
	if lent := b.lent.Load(); lent != 10*int64(len(loans)) {
		t.Errorf("%d bytes are kept", lent)
	}
	for i := range loans {
		loans[i].giveBack()
		loans[i].giveBack()
	}
	if lent := b.lent.Load(); lent != 0 {
		t.Errorf("%d bytes are lent at the end", lent)
	}
	new(loan).giveBack() // of a request without records
}

func TestBuffersAreWhatWasAskedFor(t *testing.T) {
	var b buffers
	for _, n := range []int{0, 1, 1<<minBuffer - 1, 1 << minBuffer, 1<<minBuffer + 1, 1 << 20, 1<<20 + 1, 1 << maxBuffer, 1<<maxBuffer + 1} {
		if buf := b.kept(n); buf != nil {
			t.Errorf("%d bytes are kept of nothing", len(buf))
		}
		for range 2 {
			buf := b.get(n)
			if len(buf) != n {
				t.Errorf("%d bytes, want %d", len(buf), n)
			}
			b.put(buf[:n/2])
		}
	}
}

// TestFetchGivesBack: what consumers were lent is back when they have their records, or have gone without them.
func TestFetchGivesBack(t *testing.T) {
	s := start(t, t.TempDir())
	producer := s.client(false, kgo.AllowAutoTopicCreation())
	value := make([]byte, 200_000)
	for range 20 {
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, inProcess := range []bool{false, true} {
		consumer := s.client(inProcess, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for got := 0; got < 20; {
			fetches := consumer.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if got++; len(r.Value) != len(value) {
					t.Errorf("a value of %d bytes", len(r.Value))
				}
			})
		}
		consumer.Close()
	}
	for end := time.Now().Add(time.Minute); s.b.buffers.lent.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are lent for ever", s.b.buffers.lent.Load())
		}
	}
}
