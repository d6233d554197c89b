package log

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// benchBatch is a batch of n records with values of size bytes.
func benchBatch(n, size int) []byte {
	var b segment.Builder
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i*7 + i>>3)
	}
	for range n {
		b.Add(testNow, nil, value)
	}
	return b.Batch()
}

func benchPartitions(b *testing.B, n int32, configs map[string]string) []*Partition {
	b.Helper()
	l := mustOpen(b, Options{Dir: b.TempDir(), FS: vfs.OS(), Clock: &fixedClock{testNow}})
	topic, err := l.CreateTopic("bench", TopicID{}, n, configs)
	if err != nil {
		b.Fatal(err)
	}
	return topic.Partitions()
}

func reportRecords(b *testing.B, records, bytes int) {
	b.Helper()
	s := b.Elapsed().Seconds()
	b.ReportMetric(float64(records)/s, "records/s")
	b.ReportMetric(float64(bytes)/s/1e6, "MB/s")
}

// BenchmarkAppend appends batches of about 64 KiB from 5 producers a
// partition, as many as an idempotent client has in flight.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 1024} {
		for _, d := range []string{"sync", "os"} {
			for _, parts := range []int32{1, 4} {
				b.Run(fmt.Sprintf("size=%d/durability=%s/partitions=%d", size, d, parts), func(b *testing.B) {
					configs := map[string]string{}
					if d == "os" {
						configs["flush.messages"] = "9223372036854775807"
					}
					benchAppend(b, benchPartitions(b, parts, configs), size)
				})
			}
		}
	}
}

func benchAppend(b *testing.B, parts []*Partition, size int) {
	n := 65536 / size
	one := benchBatch(n, size)
	workers := 5 * len(parts)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			mine := append([]byte(nil), one...)
			for i := w; i < b.N; i += workers {
				if _, err := parts[w%len(parts)].Append(context.Background(), mine, AppendOptions{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	reportRecords(b, b.N*n, b.N*len(one))
}

// BenchmarkRead reads 1 MiB at a time from the page cache, checksums included.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			p := benchPartitions(b, 1, map[string]string{"flush.messages": "1000000000"})[0]
			n := 65536 / size
			one := benchBatch(n, size)
			const batches = 1000
			for range batches {
				if _, err := p.Append(context.Background(), one, AppendOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			buf := make([]byte, 1<<20)
			bytes, at := 0, int64(0)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				r, err := p.Read(at, ReadOptions{MaxBytes: 1 << 20, Memory: func(n int) []byte { return buf[:n] }})
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(r.Batches)
				at += int64(len(r.Batches) / len(one) * n)
				if at >= p.HighWatermark() {
					at = 0
				}
			}
			reportRecords(b, bytes/len(one)*n, bytes)
		})
	}
}

// BenchmarkRecover opens a log whose active segment has 128 MB.
func BenchmarkRecover(b *testing.B) {
	o := Options{Dir: b.TempDir(), FS: vfs.OS(), Clock: &fixedClock{testNow}}
	l, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	p := mustCreate(b, l, "bench", map[string]string{"flush.messages": "1000000000"})
	one := benchBatch(640, 100)
	for p.Stats().Bytes < 127_000_000 {
		if _, err := p.Append(context.Background(), one, AppendOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	bytes := p.Stats().Bytes
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		l, err := Open(o)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	reportRecords(b, b.N*int(bytes)/110, b.N*int(bytes))
}
