package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// taskFigures counts what a task does. They live as long as the hub, so that a restarted task goes on counting.
type taskFigures struct {
	recordsIn, recordsOut atomic.Int64 // from the source or topic; into the topic or sink
	bytesIn, bytesOut     atomic.Int64
	batches               histogram
	retries, restarts     atomic.Int64
	recordErrors, skipped atomic.Int64
	deadLetters           atomic.Int64
	lastError             atomic.Int64 // milliseconds since the epoch
	eventTime, ackLag     atomic.Int64 // of a source's newest durable record: when it happened; how old it was then, in ms
	commits               atomic.Int64
	inFlight              atomic.Int64 // bytes

	mu  sync.Mutex
	lag map[connectors.TopicPartition]int64 // of a sink
}

func (f *taskFigures) setLag(tp connectors.TopicPartition, records int64) {
	f.mu.Lock()
	if f.lag == nil {
		f.lag = map[connectors.TopicPartition]int64{}
	}
	f.lag[tp] = records
	f.mu.Unlock()
}

func (f *taskFigures) dropLag(parts []connectors.TopicPartition) {
	f.mu.Lock()
	for _, tp := range parts {
		delete(f.lag, tp)
	}
	f.mu.Unlock()
}

// bounds of the histogram of batch sizes, in records.
var batchBounds = [...]float64{1, 10, 100, 1000, 10000}

// histogram counts sizes in fixed buckets.
type histogram struct {
	buckets [len(batchBounds) + 1]atomic.Int64
	sum     atomic.Int64
}

func (h *histogram) observe(n int) {
	i := 0
	for i < len(batchBounds) && float64(n) > batchBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(n))
}

// Histogram is a distribution: how many sizes were at most each bound.
type Histogram struct {
	Count  int64
	Sum    float64
	Bounds map[float64]int64 // cumulative
}

func (h *histogram) snapshot() Histogram {
	out := Histogram{Sum: float64(h.sum.Load()), Bounds: map[float64]int64{}}
	for i := range h.buckets {
		out.Count += h.buckets[i].Load()
		if i < len(batchBounds) {
			out.Bounds[batchBounds[i]] = out.Count
		}
	}
	return out
}

// TaskFigures is what a task has done, for metrics. Counters never fall while the hub runs.
type TaskFigures struct {
	Connector             string
	Task                  int
	Kind                  connectors.Kind
	State                 State
	RecordsIn, RecordsOut int64
	BytesIn, BytesOut     int64
	Batches               Histogram
	Retries, Restarts     int64
	Errors, Skipped       int64
	DeadLetters           int64
	Commits               int64
	InFlight              int64         // bytes
	LastError             time.Time     // zero: none
	SourceLag             time.Duration // how old the newest record was when it became durable; negative: unknown
	SinkLag               map[connectors.TopicPartition]int64
	Own                   []connectors.Figure // of the connector itself
}

// ChildFigures is what a connector's process costs.
type ChildFigures struct {
	Connector string
	CPU       time.Duration
	RSS       int64 // bytes
}

func (f *taskFigures) snapshot(now time.Time) TaskFigures {
	out := TaskFigures{
		RecordsIn: f.recordsIn.Load(), RecordsOut: f.recordsOut.Load(), BytesIn: f.bytesIn.Load(), BytesOut: f.bytesOut.Load(),
		Batches: f.batches.snapshot(), Retries: f.retries.Load(), Restarts: f.restarts.Load(), Errors: f.recordErrors.Load(),
		Skipped: f.skipped.Load(), DeadLetters: f.deadLetters.Load(), Commits: f.commits.Load(), InFlight: f.inFlight.Load(),
		SourceLag: -1, SinkLag: map[connectors.TopicPartition]int64{},
	}
	if ms := f.lastError.Load(); ms > 0 {
		out.LastError = time.UnixMilli(ms)
	}
	if ms := f.eventTime.Load(); ms > 0 {
		// While something is on its way the lag grows; a source with nothing to do is not behind.
		out.SourceLag = time.Duration(f.ackLag.Load()) * time.Millisecond
		if out.InFlight > 0 {
			out.SourceLag = max(out.SourceLag, now.Sub(time.UnixMilli(ms)))
		}
	}
	f.mu.Lock()
	for tp, n := range f.lag {
		out.SinkLag[tp] = n
	}
	f.mu.Unlock()
	return out
}
