package hub

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// taskFigures counts what a task does. They live as long as the hub, so that a restarted task goes on counting.
type taskFigures struct {
	recordsIn, recordsOut atomic.Int64 // from the source or topic; into the topic or sink
	bytesIn, bytesOut     atomic.Int64
	batches, transactions histogram
	retries, restarts     atomic.Int64
	recordErrors, skipped atomic.Int64
	deadLetters           atomic.Int64
	lastError             atomic.Int64 // milliseconds since the epoch
	eventTime, ackLag     atomic.Int64 // of a source's newest durable record: when it happened; how old it was then, in ms
	commits               atomic.Int64
	inFlight              atomic.Int64 // bytes

	mu        sync.Mutex
	positions map[connectors.TopicPartition]int64 // of a sink: the next offset to be given to it
}

func (f *taskFigures) setPosition(tp connectors.TopicPartition, next int64) {
	f.mu.Lock()
	if f.positions == nil {
		f.positions = map[connectors.TopicPartition]int64{}
	}
	f.positions[tp] = next
	f.mu.Unlock()
}

func (f *taskFigures) dropPositions(parts []connectors.TopicPartition) {
	f.mu.Lock()
	for _, tp := range parts {
		delete(f.positions, tp)
	}
	f.mu.Unlock()
}

// bounds of the histograms of batches and transactions, in records.
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
	Transactions          Histogram // records in each; of a source that delivers exactly once
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
		Batches: f.batches.snapshot(), Transactions: f.transactions.snapshot(), Retries: f.retries.Load(), Restarts: f.restarts.Load(), Errors: f.recordErrors.Load(),
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
	for tp, next := range f.positions {
		out.SinkLag[tp] = next // Figures takes it from the end
	}
	f.mu.Unlock()
	return out
}

// endsTimeout bounds the question for the ends of topics; metrics must not hang with the log.
const endsTimeout = 2 * time.Second

// Figures returns what all tasks have done, and what the children cost. The lag of sinks is against the end that the
// log has now, also while a sink is stuck; it is missing while the log does not answer.
func (h *Hub) Figures(ctx context.Context) ([]TaskFigures, []ChildFigures) {
	var tasks []TaskFigures
	var children []ChildFigures
	select {
	case <-h.up:
	default: // what is stored was not read yet
		return nil, nil
	}
	topics := map[string]bool{}
	for _, name := range h.configs.names() {
		sp, _ := h.configs.get(name)
		for i := range sp.tasks {
			f := h.taskFigures(name, i).snapshot(time.Now())
			f.Connector, f.Task, f.Kind = name, i, h.kindOf(name)
			if st, ok := h.status.get(name, i); ok {
				f.State = st.State
			}
			for tp := range f.SinkLag {
				topics[tp.Topic] = true
			}
			tasks = append(tasks, f)
		}
		if r := h.runner(name); r != nil {
			r.ownFigures(tasks[len(tasks)-len(sp.tasks):])
			if cpu, resident, ok := r.usage(); ok {
				children = append(children, ChildFigures{name, cpu, resident})
			}
		}
	}
	h.lag(ctx, tasks, slices.Collect(maps.Keys(topics)))
	return tasks, children
}

// lag turns positions into what lies between them and the end.
func (h *Hub) lag(ctx context.Context, tasks []TaskFigures, topics []string) {
	if len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endsTimeout)
	defer cancel()
	ends, err := h.admin.ListEndOffsets(ctx, topics...)
	for _, t := range tasks {
		for tp, next := range t.SinkLag {
			end, ok := ends.Lookup(tp.Topic, tp.Partition)
			if err != nil || !ok || end.Err != nil {
				delete(t.SinkLag, tp)
				continue
			}
			t.SinkLag[tp] = max(0, end.Offset-next)
		}
	}
}
