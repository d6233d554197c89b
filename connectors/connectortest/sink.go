package connectortest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Sink is what the suite must know of a sink.
type Sink struct {
	// Fresh returns a new, empty world.
	Fresh func(t *testing.T) SinkWorld
	// Broken returns configurations that cannot work; it may be nil.
	Broken func(t *testing.T) []Broken
}

// SinkWorld is one target that can be written to.
type SinkWorld struct {
	// Config is a working configuration.
	Config map[string]string
	// Record returns record number i of a topic partition: topic, partition and offset are set by the suite. No
	// two numbers may give what is one thing for the target.
	Record func(part connectors.TopicPartition, i int) connectors.Record
	// Bad returns a record that the target refuses, with an error of class ClassData. nil if there is none.
	Bad func() connectors.Record
	// Delivered returns the numbers of the records of a topic partition that are in the target, in its order (if
	// it has one) and as often as they are there.
	Delivered func(t *testing.T, part connectors.TopicPartition) []int
	// Once says that a record that is given twice, because of a restart, is there once.
	Once bool
}

// RunSink checks a sink connector.
func RunSink(t *testing.T, c connectors.SinkConnector, s Sink) {
	x := &sinkSuite{Sink: s, c: c}
	t.Run("info", func(t *testing.T) { checkInfo(t, c, connectors.Sink) })
	t.Run("good configuration", func(t *testing.T) {
		w := s.Fresh(t)
		checkValid(t, c, w.Config)
		checkPlan(t, c, w.Config)
	})
	t.Run("start and stop leave nothing", x.startStop)
	t.Run("failed start", x.failedStart)
	t.Run("what is flushed is there", x.putFlush)
	t.Run("a batch belongs to the hub", x.batchIsTheirs)
	t.Run("a position counts dropped records", x.gaps)
	t.Run("nothing is flushed that was not put", x.flushNothing)
	t.Run("close drops", x.closeDrops)
	t.Run("a new task goes on", x.restart)
	t.Run("one bad record", x.badRecord)
}

type sinkSuite struct {
	Sink
	c connectors.SinkConnector
}

var (
	part0 = connectors.TopicPartition{Topic: "conformance", Partition: 0}
	part1 = connectors.TopicPartition{Topic: "conformance", Partition: 1}
)

// sinkRun is one task at work, driven as the hub drives it.
type sinkRun struct {
	t         *testing.T
	w         SinkWorld
	task      connectors.SinkTask
	positions map[connectors.TopicPartition]int64

	mu       sync.Mutex
	reported []connectors.RecordRef
}

func (x *sinkSuite) start(t *testing.T, w SinkWorld) *sinkRun {
	t.Helper()
	r := &sinkRun{t: t, w: w, task: x.c.NewSinkTask(), positions: map[connectors.TopicPartition]int64{}}
	must(t, "start", r.task.Start(deadline(t), r.options()))
	return r
}

func (r *sinkRun) options() connectors.SinkStart {
	return connectors.SinkStart{Connector: "conformance", Config: r.w.Config, Log: logger(r.t),
		Report: func(_ context.Context, at connectors.RecordRef, _ error) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reported = append(r.reported, at)
			return nil
		}}
}

func (r *sinkRun) stop() {
	r.t.Helper()
	must(r.t, "stop", r.task.Stop(deadline(r.t)))
}

func (r *sinkRun) open(parts ...connectors.TopicPartition) []connectors.Position {
	r.t.Helper()
	positions, err := r.task.Open(deadline(r.t), parts)
	must(r.t, "open", err)
	for _, p := range positions {
		if !slices.Contains(parts, p.TopicPartition) {
			r.t.Fatalf("open of %v answered a position of %v", parts, p)
		}
	}
	return positions
}

// batch returns records from (inclusive) to (exclusive), with offsets equal to their numbers.
func (r *sinkRun) batch(part connectors.TopicPartition, from, to int) *connectors.Records {
	b := &connectors.Records{From: part, End: int64(to)}
	for i := from; i < to; i++ {
		b.List = append(b.List, r.place(r.w.Record(part, i), part, i))
	}
	return b
}

func (r *sinkRun) place(record connectors.Record, part connectors.TopicPartition, offset int) connectors.Record {
	record.Topic, record.Partition, record.Offset = part.Topic, part.Partition, int64(offset)
	if record.Timestamp == 0 {
		record.Timestamp = 1_700_000_000_000 + int64(offset)
	}
	return record
}

// put puts as the hub does: what is retriable is retried, a record that cannot be handled is set aside.
func (r *sinkRun) put(b *connectors.Records) {
	r.t.Helper()
	ctx := deadline(r.t)
	for {
		err := r.task.Put(ctx, b)
		if err == nil {
			return
		}
		var e *connectors.Error
		switch {
		case !errors.As(err, &e):
			r.t.Fatalf("put: %v", err)
		case e.Class == connectors.ClassData && e.Record != nil:
			i := slices.IndexFunc(b.List, func(x connectors.Record) bool { return x.Offset == e.Record.Offset })
			if i < 0 || e.Record.TopicPartition != b.From {
				r.t.Fatalf("put of %v names a record that is not in it: %v", b.From, err)
			}
			b.List = slices.Delete(b.List, i, i+1)
			r.mu.Lock()
			r.reported = append(r.reported, *e.Record)
			r.mu.Unlock()
		case !e.Retriable || ctx.Err() != nil:
			r.t.Fatalf("put: %v", err)
		}
	}
}

// flush flushes once and checks that positions only ever grow.
func (r *sinkRun) flush(force bool) map[connectors.TopicPartition]int64 {
	r.t.Helper()
	positions, err := r.task.Flush(deadline(r.t), force)
	must(r.t, "flush", err)
	now := map[connectors.TopicPartition]int64{}
	for _, p := range positions {
		if p.Offset < r.positions[p.TopicPartition] {
			r.t.Fatalf("the position of %v went back from %d to %d", p.TopicPartition, r.positions[p.TopicPartition], p.Offset)
		}
		r.positions[p.TopicPartition], now[p.TopicPartition] = p.Offset, p.Offset
	}
	return now
}

// flushTo flushes until the partition has come to a position. A sink with rules of its own may need time and the
// empty puts that the hub gives it.
func (r *sinkRun) flushTo(part connectors.TopicPartition, want int64) {
	r.t.Helper()
	end := time.Now().Add(patience())
	for {
		got, ok := r.flush(true)[part]
		if ok && got == want {
			return
		}
		if got > want {
			r.t.Fatalf("%v is flushed to %d, and only %d were put", part, got, want)
		}
		if time.Now().After(end) {
			r.t.Fatalf("%v is flushed to %d after %v, wanted %d", part, got, patience(), want)
		}
		must(r.t, "empty put", r.task.Put(deadline(r.t), &connectors.Records{}))
		time.Sleep(10 * time.Millisecond)
	}
}

// delivered checks that records 0 … n-1 are in the target, but for the missing ones.
func (r *sinkRun) delivered(part connectors.TopicPartition, n int, missing ...int) {
	r.t.Helper()
	times := map[int]int{}
	for _, i := range r.w.Delivered(r.t, part) {
		times[i]++
	}
	for i := range n {
		switch {
		case slices.Contains(missing, i):
			if times[i] > 0 {
				r.t.Fatalf("record %d of %v is in the target and should not be", i, part)
			}
		case times[i] == 0:
			r.t.Fatalf("record %d of %v is not in the target, but flushed", i, part)
		case times[i] > 1 && r.w.Once:
			r.t.Fatalf("record %d of %v is in the target %d times", i, part, times[i])
		}
		delete(times, i)
	}
	for i := range times {
		r.t.Fatalf("record %d of %v is in the target, and was never put", i, part)
	}
}

func (x *sinkSuite) startStop(t *testing.T) {
	w := x.Fresh(t)
	leavesNothing(t, func() { x.start(t, w).stop() })
	leavesNothing(t, func() {
		r := x.start(t, w)
		r.open(part0)
		r.put(r.batch(part0, 0, 10))
		r.stop()
	})
}

func (x *sinkSuite) failedStart(t *testing.T) {
	if x.Broken == nil {
		return
	}
	for _, b := range x.Broken(t) {
		t.Run(b.Name, func(t *testing.T) {
			leavesNothing(t, func() {
				r := &sinkRun{t: t, w: SinkWorld{Config: b.Config}, task: x.c.NewSinkTask()}
				checkFailedStart(t, r.task.Start(deadline(t), r.options()), b.Class)
				must(t, "stop after a failed start", r.task.Stop(deadline(t)))
			})
		})
	}
}

func (x *sinkSuite) putFlush(t *testing.T) {
	r := x.start(t, x.Fresh(t))
	defer r.stop()
	r.open(part0)
	r.open(part1)
	for i := 0; i < 100; i += 10 {
		r.put(r.batch(part0, i, i+10))
		r.put(r.batch(part1, i/2, i/2+5))
		if i%40 == 0 {
			r.flush(false)
		}
	}
	r.flushTo(part0, 100)
	r.flushTo(part1, 50)
	r.delivered(part0, 100)
	r.delivered(part1, 50)
	must(t, "empty put", r.task.Put(deadline(t), &connectors.Records{}))
	r.put(r.batch(part0, 100, 101))
	r.flushTo(part0, 101)
	r.delivered(part0, 101)
	if len(r.reported) > 0 {
		t.Errorf("good records were reported: %v", r.reported)
	}
}

// batchIsTheirs destroys each batch after Put has returned.
func (x *sinkSuite) batchIsTheirs(t *testing.T) {
	r := x.start(t, x.Fresh(t))
	defer r.stop()
	r.open(part0)
	for i := 0; i < 50; i += 10 {
		b := r.batch(part0, i, i+10)
		for j := range b.List { // own memory: a fixture may hand out shared bytes
			b.List[j].Key.Bytes, b.List[j].Value.Bytes = slices.Clone(b.List[j].Key.Bytes), slices.Clone(b.List[j].Value.Bytes)
		}
		list := b.List
		r.put(b)
		for j := range list {
			scribble(list[j].Key.Bytes)
			scribble(list[j].Value.Bytes)
		}
		clear(list)
	}
	r.flushTo(part0, 50)
	r.delivered(part0, 50)
}

// gaps leaves offsets out, as a transform that drops records does.
func (x *sinkSuite) gaps(t *testing.T) {
	r := x.start(t, x.Fresh(t))
	defer r.stop()
	r.open(part0)
	b := r.batch(part0, 0, 10)
	b.List = b.List[:7]
	r.put(b)
	r.flushTo(part0, 10)
	r.delivered(part0, 7)
	r.put(&connectors.Records{From: part0, End: 20}) // all were dropped
	r.flushTo(part0, 20)
	r.delivered(part0, 7)
}

func (x *sinkSuite) flushNothing(t *testing.T) {
	r := x.start(t, x.Fresh(t))
	defer r.stop()
	r.flush(true)
	r.open(part0, part1)
	r.put(r.batch(part0, 0, 5))
	r.flushTo(part0, 5)
	if p, ok := r.positions[part1]; ok && p > 0 {
		t.Fatalf("nothing of %v was put, and it is flushed to %d", part1, p)
	}
}

// closeDrops takes a partition away in the middle, and gives it again from its last position.
func (x *sinkSuite) closeDrops(t *testing.T) {
	r := x.start(t, x.Fresh(t))
	defer r.stop()
	r.open(part0, part1)
	r.put(r.batch(part0, 0, 5))
	r.flushTo(part0, 5)
	r.put(r.batch(part0, 5, 10))
	r.put(r.batch(part1, 0, 5))
	must(t, "close", r.task.Close(deadline(t), []connectors.TopicPartition{part0}))
	if p, ok := r.flush(true)[part0]; ok {
		t.Fatalf("%v is closed, and a flush answers its position %d", part0, p)
	}
	r.flushTo(part1, 5)
	r.delivered(part1, 5)
	from := 5
	for _, p := range r.open(part0) {
		from = int(p.Offset)
	}
	r.put(r.batch(part0, from, 12))
	r.flushTo(part0, 12)
	r.delivered(part0, 12)
}

// restart ends a task without a flush, and gives a new one what is not covered by a position.
func (x *sinkSuite) restart(t *testing.T) {
	w := x.Fresh(t)
	r := x.start(t, w)
	r.open(part0)
	r.put(r.batch(part0, 0, 20))
	r.flushTo(part0, 20)
	r.put(r.batch(part0, 20, 30))
	r.stop()

	second := x.start(t, w)
	defer second.stop()
	from := 20
	for _, p := range second.open(part0) {
		if p.Offset < 20 || p.Offset > 30 {
			t.Fatalf("the target says that it has come to %d; 20 were flushed and 30 put", p.Offset)
		}
		from = int(p.Offset)
	}
	second.put(second.batch(part0, from, 40))
	second.flushTo(part0, 40)
	second.delivered(part0, 40)
}

// badRecord puts a record that the target refuses between good ones.
func (x *sinkSuite) badRecord(t *testing.T) {
	w := x.Fresh(t)
	if w.Bad == nil {
		return
	}
	r := x.start(t, w)
	defer r.stop()
	r.open(part0)
	b := r.batch(part0, 0, 10)
	b.List[4] = r.place(w.Bad(), part0, 4)
	r.put(b)
	r.put(r.batch(part0, 10, 15))
	r.flushTo(part0, 15)
	r.delivered(part0, 15, 4)
	want := connectors.RecordRef{TopicPartition: part0, Offset: 4}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.reported) != 1 || r.reported[0].TopicPartition != want.TopicPartition || r.reported[0].Offset != want.Offset {
		t.Fatalf("set aside were %v, wanted only %v", r.reported, want)
	}
}
