package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Source is what the suite must know of a source.
type Source struct {
	// Fresh returns a new world in which rows rows are there to be read.
	Fresh func(t *testing.T, rows int) SourceWorld
	// Broken returns configurations that cannot work; it may be nil.
	Broken func(t *testing.T) []Broken
	// Identify returns a text that is another for each row and the same whenever the row is read. nil takes the
	// bytes of key and value.
	Identify func(r *connectors.Record) string
	// Faulty returns a new world of rows rows whose reads can be made to fail with an error that passes. It must be
	// there if the source ever returns such an error: without it nothing is known of what a failed read takes, for
	// the suite cannot provoke one from outside.
	Faulty func(t *testing.T, rows int) FaultyWorld
	// Anew reports whether the source begins anew from that source offset, because it lies inside of something that is
	// read as a whole: a snapshot that was not finished. From there rows come again, at least once, all of them and in
	// order. nil: an offset always leads to exactly what follows it.
	Anew func(offset json.RawMessage) bool
	// Forgets says that the source lets go of what Commit has said is durable, so that it can be read on from the last
	// committed offset only. The suite then compares no second reader of the same rows, and starts from no earlier offset.
	Forgets bool
	// Rows is how many rows the suite uses; 0 is 200.
	Rows int
}

// SourceWorld is one source that can be read.
type SourceWorld struct {
	// Config is a working configuration, with batches so small that Rows rows need several, if it can say that.
	Config map[string]string
	// Grow makes n more rows appear, while a task is reading or not. nil if the source cannot grow.
	Grow func(n int)
}

// RunSource checks a source connector.
func RunSource(t *testing.T, c connectors.SourceConnector, s Source) {
	if s.Rows == 0 {
		s.Rows = 200
	}
	if s.Identify == nil {
		s.Identify = func(r *connectors.Record) string { return string(r.Key.Bytes) + "\x00" + string(r.Value.Bytes) }
	}
	x := &sourceSuite{Source: s, c: c}
	t.Run("info", func(t *testing.T) { checkInfo(t, c, connectors.Source) })
	t.Run("good configuration", x.goodConfig)
	t.Run("start and stop leave nothing", x.startStop)
	t.Run("failed start", x.failedStart)
	t.Run("everything is read once, in order", x.readAll)
	t.Run("a batch belongs to who reads it", x.batchIsOurs)
	t.Run("an offset leads to exactly what follows", x.restart)
	t.Run("a task goes on where the last one was durable", x.relay)
	t.Run("commit beside read", x.commit)
	t.Run("read ends with its context", x.readHonoursContext)
	t.Run("a failed read takes nothing", x.failedRead)
	t.Run("offsets can be altered", x.alterOffsets)
}

type sourceSuite struct {
	Source
	c connectors.SourceConnector
}

// start returns a started task. stop ends it; the end of the test does at the latest. The hub never runs two tasks for
// the same rows at a time, and a source may count on that.
func (x *sourceSuite) start(t *testing.T, w SourceWorld, offsets []connectors.SourceOffset) (task connectors.SourceTask, stop func()) {
	t.Helper()
	task = x.c.NewSourceTask()
	stop = stopAtEnd(t, task)
	must(t, "start", task.Start(deadline(t), sourceStart(t, w, offsets)))
	return task, stop
}

// stopAtEnd stops a task when the test ends, unless the function it returns has been called before.
func stopAtEnd(t *testing.T, task connectors.SourceTask) (stop func()) {
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience())
		defer cancel()
		if err := task.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func sourceStart(t *testing.T, w SourceWorld, offsets []connectors.SourceOffset) connectors.SourceStart {
	return connectors.SourceStart{Connector: "conformance", Config: w.Config, Offsets: offsets, Log: logger(t),
		Report: func(_ context.Context, _ connectors.Record, err error) error { return err }}
}

func (x *sourceSuite) goodConfig(t *testing.T) {
	w := x.Fresh(t, 1)
	checkValid(t, x.c, w.Config)
	checkPlan(t, x.c, w.Config)
}

func (x *sourceSuite) startStop(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	leavesNothing(t, func() {
		task := x.c.NewSourceTask()
		must(t, "start", task.Start(deadline(t), sourceStart(t, w, nil)))
		must(t, "stop before a read", task.Stop(deadline(t)))
	})
	leavesNothing(t, func() {
		task := x.c.NewSourceTask()
		must(t, "start", task.Start(deadline(t), sourceStart(t, w, nil)))
		var b connectors.Batch
		must(t, "read", notEOF(task.Read(deadline(t), &b)))
		must(t, "stop after a read", task.Stop(deadline(t)))
	})
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (x *sourceSuite) failedStart(t *testing.T) {
	if x.Broken == nil {
		return
	}
	for _, b := range x.Broken(t) {
		t.Run(b.Name, func(t *testing.T) {
			leavesNothing(t, func() {
				task := x.c.NewSourceTask()
				err := task.Start(deadline(t), sourceStart(t, SourceWorld{Config: b.Config}, nil))
				checkFailedStart(t, err, b.Class)
				must(t, "stop after a failed start", task.Stop(deadline(t)))
			})
		})
	}
}

// progress is what a reader has after a batch.
type progress struct {
	rows    []string // read so far
	offsets []connectors.SourceOffset
}

// readRows reads batches until there are n rows, and returns the progress after each batch.
func (x *sourceSuite) readRows(t *testing.T, task connectors.SourceTask, n int) []progress {
	t.Helper()
	ctx := deadline(t)
	var steps []progress
	var now progress
	var b connectors.Batch
	for len(now.rows) < n {
		b.Reset()
		err := readDurable(ctx, task, &b)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("read after %d of %d rows: %v", len(now.rows), n, err)
		}
		now = x.take(t, now, &b)
		steps = append(steps, now)
		if err != nil && len(now.rows) < n {
			t.Fatalf("the source ended after %d of %d rows", len(now.rows), n)
		}
	}
	return steps
}

// readBy reads n rows as readRows does, by a task of its own.
func (x *sourceSuite) readBy(t *testing.T, w SourceWorld, offsets []connectors.SourceOffset, n int) []progress {
	t.Helper()
	task, stop := x.start(t, w, offsets)
	defer stop()
	return x.readRows(t, task, n)
}

// readDurable reads a batch and says at once that it is durable: a source may wait for that before it returns more.
func readDurable(ctx context.Context, task connectors.SourceTask, b *connectors.Batch) error {
	err := task.Read(ctx, b)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if commitErr := task.Commit(ctx, b.Offsets); commitErr != nil {
		return commitErr
	}
	return err
}

// take checks a batch and returns the progress with it.
func (x *sourceSuite) take(t *testing.T, before progress, b *connectors.Batch) progress {
	t.Helper()
	after := progress{rows: slices.Clone(before.rows), offsets: slices.Clone(before.offsets)}
	for i := range b.Records {
		r := &b.Records[i]
		if r.Topic == "" || r.Partition < connectors.AnyPartition || r.Timestamp < connectors.NoTimestamp {
			t.Fatalf("record %d: topic %q, partition %d, timestamp %d", i, r.Topic, r.Partition, r.Timestamp)
		}
		checkData(t, "key", r.Key)
		checkData(t, "value", r.Value)
		for _, h := range r.Headers {
			checkData(t, "header "+h.Key, h.Value)
		}
		after.rows = append(after.rows, x.Identify(r))
	}
	if len(b.Records) > 0 && len(b.Offsets) == 0 {
		t.Fatal("a batch with records and without a source offset")
	}
	moved := map[string]bool{}
	for _, o := range b.Offsets {
		for _, text := range []json.RawMessage{o.Partition, o.Offset} {
			var object map[string]any
			if err := json.Unmarshal(text, &object); err != nil {
				t.Fatalf("source offset %s of %s is not a JSON object: %v", o.Offset, o.Partition, err)
			}
		}
		if moved[string(o.Partition)] {
			t.Fatalf("two offsets of source partition %s in one batch", o.Partition)
		}
		moved[string(o.Partition)] = true
		after.offsets = merge(after.offsets, o)
	}
	return after
}

// merge stores an offset as the hub does: the last one of each source partition.
func merge(list []connectors.SourceOffset, o connectors.SourceOffset) []connectors.SourceOffset {
	o = connectors.SourceOffset{Partition: slices.Clone(o.Partition), Offset: slices.Clone(o.Offset)}
	for i := range list {
		if string(list[i].Partition) == string(o.Partition) {
			list[i] = o
			return list
		}
	}
	return append(list, o)
}

func (x *sourceSuite) readAll(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	steps := x.readBy(t, w, nil, x.Rows)
	rows := steps[len(steps)-1].rows
	x.once(t, rows)
	if x.Forgets {
		return
	}
	again := x.readBy(t, w, nil, x.Rows)
	x.equal(t, "a second reader", again[len(again)-1].rows, rows)
}

// once checks that there is each row, and none twice.
func (x *sourceSuite) once(t *testing.T, rows []string) {
	t.Helper()
	if len(rows) != x.Rows {
		t.Fatalf("%d rows were read, there are %d", len(rows), x.Rows)
	}
	seen := map[string]bool{}
	for _, id := range rows {
		if seen[id] {
			t.Fatalf("row %q was read twice", id)
		}
		seen[id] = true
	}
}

func (x *sourceSuite) equal(t *testing.T, who string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: row %d of %d is %.200q, wanted %.200q", who, i, len(want), got[i], want[i])
		}
	}
	t.Fatalf("%s: %d rows, wanted %d", who, len(got), len(want))
}

// batchIsOurs destroys each batch before the next is read: a source must not look at one again.
func (x *sourceSuite) batchIsOurs(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	var want []progress
	if !x.Forgets {
		want = x.readBy(t, w, nil, x.Rows)
	}
	task, _ := x.start(t, w, nil)
	ctx := deadline(t)
	var got progress
	var b connectors.Batch
	for len(got.rows) < x.Rows {
		b.Reset()
		must(t, "read", notEOF(readDurable(ctx, task, &b)))
		got = x.take(t, got, &b)
		scribble(b.Buf)
		clear(b.Records[:cap(b.Records)])
	}
	x.once(t, got.rows)
	if !x.Forgets {
		x.equal(t, "a reader that destroys its batches", got.rows, want[len(want)-1].rows)
	}
}

// restart starts a task from the offsets of each of several batches.
func (x *sourceSuite) restart(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	steps := x.readBy(t, w, nil, x.Rows)
	all := steps[len(steps)-1].rows
	if len(steps) < 2 {
		t.Logf("all %d rows came in one batch: the suite cannot restart in the middle", len(all))
	}
	from := []int{0, len(steps) / 3, len(steps) / 2, len(steps) - 2}
	slices.Sort(from)
	for _, i := range slices.Compact(from) {
		if i < 0 || x.Forgets || len(steps[i].rows) == len(all) {
			continue
		}
		want := all[len(steps[i].rows):]
		if x.anew(steps[i].offsets) {
			want = all
		}
		rest := x.readBy(t, w, steps[i].offsets, len(want))
		x.equal(t, "a task started behind batch "+string(steps[i].offsets[0].Offset), rest[len(rest)-1].rows, want)
	}
	if w.Grow == nil {
		return
	}
	last := steps[len(steps)-1]
	w.Grow(10)
	rest := x.readBy(t, w, last.offsets, 10)
	if n := len(rest[len(rest)-1].rows); n != 10 {
		t.Fatalf("10 rows came after the last batch, and %d were read", n)
	}
	for _, id := range rest[len(rest)-1].rows {
		if slices.Contains(all, id) {
			t.Fatalf("row %q was read again", id)
		}
	}
}

// anew reports whether a task that starts from the offsets begins anew.
func (x *sourceSuite) anew(offsets []connectors.SourceOffset) bool {
	return x.Anew != nil && slices.ContainsFunc(offsets, func(o connectors.SourceOffset) bool { return x.Anew(o.Offset) })
}

// relay reads all rows by one task after the other, as the hub does when it is killed again and again. Each reads a
// batch further than what becomes durable, and the next one must give exactly that again, and then the rest.
func (x *sourceSuite) relay(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	var durable progress
	var ahead []string // rows that were read and are not durable
	for batches := 2; len(durable.rows) < x.Rows; batches *= 2 {
		if x.anew(durable.offsets) {
			durable.rows, ahead = nil, append(slices.Clone(durable.rows), ahead...)
		}
		from := len(durable.rows)
		var now progress
		durable, now = x.leg(t, w, durable, batches)
		n := min(len(ahead), len(now.rows)-from)
		x.equal(t, "a task behind one whose last batch was lost", now.rows[from:from+n], ahead[:n])
		ahead = now.rows[len(durable.rows):]
	}
	x.once(t, durable.rows)
}

// leg reads up to so many batches and lets all but the last become durable, or all if there are no more rows.
func (x *sourceSuite) leg(t *testing.T, w SourceWorld, from progress, batches int) (durable, now progress) {
	task, stop := x.start(t, w, from.offsets)
	defer stop()
	ctx := deadline(t)
	durable, now = from, from
	var b connectors.Batch
	for i := range batches {
		if durable = now; i > 0 {
			must(t, "commit", task.Commit(ctx, durable.offsets))
		}
		b.Reset()
		must(t, "read", notEOF(task.Read(ctx, &b)))
		if now = x.take(t, now, &b); len(now.rows) >= x.Rows {
			must(t, "commit", task.Commit(ctx, now.offsets))
			return now, now
		}
	}
	return durable, now
}

// commit says of some batches that they are durable, from another goroutine than the one that reads.
func (x *sourceSuite) commit(t *testing.T) {
	w := x.Fresh(t, x.Rows)
	task, _ := x.start(t, w, nil)
	ctx := deadline(t)
	durable := make(chan []connectors.SourceOffset, x.Rows+10)
	var committing sync.WaitGroup
	var failure error
	committing.Go(func() {
		for offsets := range durable {
			if err := task.Commit(ctx, offsets); err != nil && failure == nil {
				failure = err
			}
		}
	})
	var now progress
	var b connectors.Batch
	for i := 0; len(now.rows) < x.Rows; i++ {
		b.Reset()
		must(t, "read", notEOF(task.Read(ctx, &b)))
		now = x.take(t, now, &b)
		if i%3 != 1 || len(b.Records) == 0 { // not one for each
			durable <- slices.Clone(b.Offsets)
		}
	}
	durable <- now.offsets
	close(durable)
	committing.Wait()
	must(t, "commit", failure)
	if w.Grow == nil {
		return
	}
	w.Grow(5)
	if more := x.readRows(t, task, 5); len(more[len(more)-1].rows) != 5 {
		t.Fatalf("5 rows came, %d were read", len(more[len(more)-1].rows))
	}
}

// readHonoursContext cancels a read at once, while it may be at work, and while it waits. What comes afterwards must
// not be lost by it.
func (x *sourceSuite) readHonoursContext(t *testing.T) {
	w := x.Fresh(t, 1)
	if w.Grow == nil {
		return
	}
	task, _ := x.start(t, w, nil)
	x.readRows(t, task, 1)
	for _, after := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithCancel(deadline(t))
		read := make(chan error, 1)
		var b connectors.Batch
		go func() {
			for {
				b.Reset()
				err := readDurable(ctx, task, &b)
				if err != nil || len(b.Records) > 0 { // a batch of offsets only is not what is waited for
					read <- err
					return
				}
			}
		}()
		if after == 0 {
			cancel()
		}
		time.AfterFunc(after, cancel)
		select {
		case err := <-read:
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("a cancelled read returned %v, wanted context.Canceled", err)
			}
		case <-time.After(patience()):
			t.Fatal("a cancelled read does not return")
		}
		cancel()
	}
	w.Grow(3)
	if steps := x.readRows(t, task, 3); len(steps[len(steps)-1].rows) != 3 {
		t.Fatal("the rows after a cancelled read did not all come")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var b connectors.Batch
	if err := task.Read(ctx, &b); !errors.Is(err, context.Canceled) && len(b.Records)+len(b.Offsets) == 0 {
		t.Fatalf("a read that is cancelled before it starts returned %v", err)
	}
}

func (x *sourceSuite) alterOffsets(t *testing.T) {
	a, ok := x.c.(connectors.OffsetAlterer)
	if !ok {
		return
	}
	w := x.Fresh(t, x.Rows)
	steps := x.readBy(t, w, nil, x.Rows)
	given := steps[0].offsets
	_, err := a.AlterOffsets(deadline(t), w.Config, given)
	must(t, "alter to an offset that the task gave", err)
	reset := []connectors.SourceOffset{{Partition: given[0].Partition}}
	_, err = a.AlterOffsets(deadline(t), w.Config, reset)
	must(t, "reset an offset", err)
}
