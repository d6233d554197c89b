package broker

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/log"
)

// BenchmarkTransaction is one record in each of three partitions and the offset of a group, committed, by producers
// that each wait for every answer.
func BenchmarkTransaction(b *testing.B) {
	for _, producers := range []int{1, 8} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			l, err := log.Open(log.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			br, err := New(Options{Log: l})
			if err == nil {
				_, err = l.CreateTopic("t", log.TopicID{}, wholePartitions, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			work := make(chan int64)
			for g := range producers {
				p := &wholeProducer{b: br, id: fmt.Sprint("p", g)}
				wg.Go(func() {
					if err := p.commitAll(work); err != nil {
						b.Error(err)
					}
				})
			}
			b.ResetTimer()
			for i := range b.N {
				work <- int64(i)
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
			if err := errors.Join(br.Close(), l.Close()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// commitAll commits a transaction for each number.
func (p *wholeProducer) commitAll(work <-chan int64) error {
	pid, epoch, err := p.b.txns.init(p.id, 60_000, -1, -1)
	for n := range work {
		for part := range int32(wholePartitions) {
			if code := p.produce(part, pid, epoch, n); code != 0 && err == nil {
				err = fmt.Errorf("produce: code %d", code)
			}
		}
		if err == nil {
			err = p.commitOffset(pid, epoch, n)
		}
		if err == nil {
			pid, epoch, err = p.b.txns.end(p.id, pid, epoch, true, 2)
		}
	}
	return err
}
