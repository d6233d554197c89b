package plugins_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/mock"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// cpu returns the CPU time of this process, or of the children that were waited for.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSource reads records of about 150 bytes, in batches of about 1 MiB, from a child. b.N counts records. The
// child's CPU includes making them up, which "in process" shows alone.
func BenchmarkSource(b *testing.B) {
	config := map[string]string{"rows": fmt.Sprint(1 << 62), "rows.per.second": "0", "payload.bytes": "64", "batch.size": "100000"}
	b.Run("in process", func(b *testing.B) { readRecords(b, mock.Source{}, config) })
	b.Run("child", func(b *testing.B) {
		child := plugintest.Launch(b, plugintest.Options(b, mock.Source{}), "mock")
		children := cpu(syscall.RUSAGE_CHILDREN)
		readRecords(b, child.Connector().(connectors.SourceConnector), config)
		child.Kill()
		b.ReportMetric(float64(cpu(syscall.RUSAGE_CHILDREN)-children)/float64(b.N), "child-cpu-ns/op")
	})
}

func readRecords(b *testing.B, c connectors.SourceConnector, config map[string]string) {
	task := c.NewSourceTask()
	must(b, task.Start(b.Context(), connectors.SourceStart{Config: config}))
	var batch connectors.Batch
	bytes, n, batches := 0, 0, 0
	self := cpu(syscall.RUSAGE_SELF)
	b.ResetTimer()
	for n < b.N {
		batch.Reset()
		must(b, task.Read(b.Context(), &batch))
		n += len(batch.Records)
		bytes += len(batch.Buf)
		batches++
	}
	b.StopTimer()
	b.SetBytes(int64(bytes / n))
	b.ReportMetric(float64(cpu(syscall.RUSAGE_SELF)-self)/float64(n), "hub-cpu-ns/op")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(n)/float64(batches), "records/batch")
	must(b, task.Stop(b.Context()))
}

// BenchmarkSink puts the same records into a sink in a child that counts them.
func BenchmarkSink(b *testing.B) {
	source := mock.Source{}.NewSourceTask()
	must(b, source.Start(b.Context(), connectors.SourceStart{Config: map[string]string{
		"rows.per.second": "0", "payload.bytes": "64", "batch.size": "100000"}}))
	var batch connectors.Batch
	must(b, source.Read(b.Context(), &batch))

	child := plugintest.Launch(b, plugintest.Options(b, troubleSink{}), "trouble-sink")
	children := cpu(syscall.RUSAGE_CHILDREN)
	task := child.Connector().(connectors.SinkConnector).NewSinkTask()
	must(b, task.Start(b.Context(), connectors.SinkStart{Config: map[string]string{"do": "count"}}))
	_, err := task.Open(b.Context(), []connectors.TopicPartition{p0})
	must(b, err)
	b.SetBytes(int64(len(batch.Buf) / len(batch.Records)))
	self := cpu(syscall.RUSAGE_SELF)
	b.ResetTimer()
	var n int64
	for n < int64(b.N) {
		for i := range batch.Records {
			batch.Records[i].Offset = n + int64(i)
		}
		n += int64(len(batch.Records))
		must(b, task.Put(b.Context(), &connectors.Records{From: p0, List: batch.Records, End: n}))
	}
	_, err = task.Flush(b.Context(), true)
	must(b, err)
	b.StopTimer()
	b.ReportMetric(float64(cpu(syscall.RUSAGE_SELF)-self)/float64(n), "hub-cpu-ns/op")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	must(b, task.Stop(b.Context()))
	child.Kill()
	b.ReportMetric(float64(cpu(syscall.RUSAGE_CHILDREN)-children)/float64(b.N), "child-cpu-ns/op")
}

// BenchmarkFlush is the round trip.
func BenchmarkFlush(b *testing.B) {
	child := plugintest.Launch(b, plugintest.Options(b, troubleSink{}), "trouble-sink")
	defer child.Kill()
	task := child.Connector().(connectors.SinkConnector).NewSinkTask()
	must(b, task.Start(b.Context(), connectors.SinkStart{}))
	for b.Loop() {
		_, err := task.Flush(b.Context(), false)
		must(b, err)
	}
	must(b, task.Stop(b.Context()))
}
