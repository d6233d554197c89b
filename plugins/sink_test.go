package plugins_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

var (
	p0 = connectors.TopicPartition{Topic: "t", Partition: 0}
	p1 = connectors.TopicPartition{Topic: "t", Partition: 1}
)

// overPipe starts a trouble sink behind a pipe, so that the test sees its target.
func overPipe(t *testing.T, window int64, report func(context.Context, connectors.RecordRef, error) error) (*target, connectors.SinkTask, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	to := &target{}
	child, err := plugins.Pipe(troubleSink{to}, window, plugintest.Log(t))
	must(t, err)
	task := child.Connector().(connectors.SinkConnector).NewSinkTask()
	t.Cleanup(func() {
		must(t, task.Stop(ctx))
		child.Kill()
		cancel()
	})
	must(t, task.Start(ctx, connectors.SinkStart{Report: report}))
	_, err = task.Open(ctx, []connectors.TopicPartition{p0, p1})
	must(t, err)
	return to, task, ctx
}

func (g *target) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *target) got() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.values)
}

func records(part connectors.TopicPartition, from, to int64) *connectors.Records {
	b := &connectors.Records{From: part, End: to}
	for i := from; i < to; i++ {
		b.List = append(b.List, connectors.Record{Topic: part.Topic, Partition: part.Partition, Offset: i,
			Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "v")}})
	}
	return b
}

// putUntilError puts until the failure of an earlier put comes back.
func putUntilError(t *testing.T, ctx context.Context, task connectors.SinkTask) error {
	t.Helper()
	for {
		if err := task.Put(ctx, &connectors.Records{}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			t.Fatal("no put failed")
		}
	}
}

func TestAFailedPutIsTriedAgainBeforeWhatComesLater(t *testing.T) {
	to, task, ctx := overPipe(t, 0, nil)
	failure := &connectors.Error{Op: "put", Class: connectors.ClassEnvironment, Retriable: true, Err: errors.New("down")}
	to.set(func() { to.fail, to.times = failure, 2 })
	must(t, task.Put(ctx, records(p0, 0, 2)))
	wantError(t, putUntilError(t, ctx, task), connectors.ClassEnvironment, "put: down")
	// The call after the error lets the first batch be tried again, which fails once more.
	_, err := task.Flush(ctx, true)
	wantError(t, err, connectors.ClassEnvironment, "put: down")
	must(t, task.Put(ctx, records(p0, 2, 3)))
	positions, err := task.Flush(ctx, true)
	must(t, err)
	if !slices.Contains(positions, connectors.Position{TopicPartition: p0, Offset: 3}) {
		t.Fatalf("flushed to %v", positions)
	}
	if diff := cmp.Diff([]string{"t-0@0", "t-0@1", "t-0@2"}, to.got()); diff != "" {
		t.Fatal(diff)
	}
}

func TestClosingThePartitionOfAFailedPutEndsTheFailure(t *testing.T) {
	to, task, ctx := overPipe(t, 0, nil)
	to.set(func() { to.fail, to.times = errors.New("no"), 1 })
	must(t, task.Put(ctx, records(p0, 0, 2)))
	must(t, task.Put(ctx, records(p1, 0, 1)))
	must(t, eventually("the put is tried", func() bool { to.mu.Lock(); defer to.mu.Unlock(); return to.times == 0 }))
	must(t, task.Close(ctx, []connectors.TopicPartition{p0}))
	if _, err := task.Flush(ctx, true); err != nil {
		// The failure may have come before the close; then it is told once, and over.
		_, err = task.Flush(ctx, true)
		must(t, err)
	}
	if diff := cmp.Diff([]string{"t-1@0"}, to.got()); diff != "" {
		t.Fatal(diff)
	}
}

func TestClosingAnotherPartitionLeavesTheFailure(t *testing.T) {
	to, task, ctx := overPipe(t, 0, nil)
	to.set(func() { to.fail, to.times = errors.New("no"), 1 })
	must(t, task.Put(ctx, records(p0, 0, 1)))
	wantError(t, putUntilError(t, ctx, task), connectors.ClassBug, "no")
	must(t, task.Close(ctx, []connectors.TopicPartition{p1}))
	must(t, task.Put(ctx, records(p0, 1, 2)))
	_, err := task.Flush(ctx, true)
	must(t, err)
	if diff := cmp.Diff([]string{"t-0@0", "t-0@1"}, to.got()); diff != "" {
		t.Fatal(diff)
	}
}

func TestABadRecordIsReportedOnceAndTheRestIsTaken(t *testing.T) {
	for name, answer := range map[string]error{"tolerated": nil, "not tolerated": errors.New("tolerance is none")} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var reported []connectors.RecordRef
			to, task, ctx := overPipe(t, 0, func(_ context.Context, at connectors.RecordRef, err error) error {
				mu.Lock()
				defer mu.Unlock()
				reported = append(reported, at)
				if connectors.ClassOf(err) != connectors.ClassData {
					t.Errorf("reported with %v", err)
				}
				return answer
			})
			bad := connectors.RecordRef{TopicPartition: p0, Offset: 1}
			to.set(func() {
				to.fail, to.times = &connectors.Error{Op: "put", Class: connectors.ClassData, Record: &bad, Err: errors.New("too long")}, 1
			})
			must(t, task.Put(ctx, records(p0, 0, 3)))
			_, err := task.Flush(ctx, true)
			if answer != nil {
				wantError(t, err, connectors.ClassBug, "tolerance is none")
			} else {
				must(t, err)
				if diff := cmp.Diff([]string{"t-0@0", "t-0@2"}, to.got()); diff != "" {
					t.Fatal(diff)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff([]connectors.RecordRef{bad}, reported); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// TestTheHubWaitsForASink puts into a sink that takes nothing.
func TestTheHubWaitsForASink(t *testing.T) {
	to, task, ctx := overPipe(t, 100<<10, nil)
	block := make(chan struct{})
	to.set(func() { to.block = block })
	must(t, task.Put(ctx, records(p0, 0, 100)))
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	n := int64(100)
	for {
		err := task.Put(short, records(p0, n, n+100)) // about 1 KB, and what a message costs
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			break
		}
		n += 100
	}
	if n > 100*60 {
		t.Fatalf("%d batches are on their way with a window of 100 KiB", n/100)
	}
	close(block)
	to.set(func() { to.block = nil })
	must(t, task.Put(ctx, records(p0, n, n+1)))
	positions, err := task.Flush(ctx, true)
	must(t, err)
	if !slices.Contains(positions, connectors.Position{TopicPartition: p0, Offset: n + 1}) || int64(len(to.got())) != n+1 {
		t.Fatalf("%d records in the target, flushed to %v, put %d", len(to.got()), positions, n+1)
	}
}

// TestAChildWhoseSinkStandsStillStaysSmall puts as much as the child takes.
func TestAChildWhoseSinkStandsStillStaysSmall(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	o := plugintest.Options(t, troubleSink{})
	o.Window = 1 << 20
	child := plugintest.Launch(t, o, "trouble-sink")
	defer child.Kill()
	task := child.Connector().(connectors.SinkConnector).NewSinkTask()
	must(t, task.Start(ctx, connectors.SinkStart{Config: map[string]string{"do": "block"}}))
	_, err := task.Open(ctx, []connectors.TopicPartition{p0})
	must(t, err)
	b := records(p0, 0, 1)
	b.List[0].Value = connectors.Data{Bytes: make([]byte, 100<<10)}
	for range 9 {
		must(t, task.Put(ctx, b))
	}
	short, end := context.WithTimeout(ctx, 300*time.Millisecond)
	defer end()
	n := 9
	for err == nil {
		err = task.Put(short, b)
		n++
	}
	if !errors.Is(err, context.DeadlineExceeded) || n > 14 {
		t.Fatalf("the %dth put of 100 KiB ends with %v, where the window is 1 MiB", n, err)
	}
	smallChild(t, child)
	must(t, task.Stop(ctx))
}

func TestACancelledFlushIsNotTheAnswerToTheNext(t *testing.T) {
	to, task, ctx := overPipe(t, 0, nil)
	block := make(chan struct{})
	to.set(func() { to.block = block })
	must(t, task.Put(ctx, records(p0, 0, 1)))
	for range 5 {
		short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
		if _, err := task.Flush(short, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("flush: %v", err)
		}
		cancel()
	}
	close(block)
	to.set(func() { to.block = nil })
	positions, err := task.Flush(ctx, true)
	must(t, err)
	if !slices.Contains(positions, connectors.Position{TopicPartition: p0, Offset: 1}) {
		t.Fatalf("flushed to %v", positions)
	}
}

func TestFiguresArrive(t *testing.T) {
	_, task, _ := overPipe(t, 0, nil)
	must(t, eventually("figures come", func() bool {
		f := task.(connectors.Observer).Figures()
		return len(f) == 1 && f[0] == connectors.Figure{Name: "things", Help: "Things.", Value: 42}
	}))
}

func TestABatchLargerThanAMessageIsPutInParts(t *testing.T) {
	to, task, ctx := overPipe(t, 0, nil)
	b := records(p0, 0, 5)
	for i := range b.List {
		b.List[i].Value = connectors.Data{Bytes: make([]byte, 20<<20)}
	}
	must(t, task.Put(ctx, b))
	_, err := task.Flush(ctx, true)
	must(t, err)
	if n := len(to.got()); n != 5 {
		t.Fatalf("%d of 5 records came", n)
	}
	b.List = b.List[:1]
	b.List[0].Value.Bytes = make([]byte, 70<<20)
	err = task.Put(ctx, b)
	wantError(t, err, connectors.ClassData, "t-0@0", "is the most that crosses at once")
}

func TestASinkInAChildThatIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	child := plugintest.Launch(t, plugintest.Options(t, troubleSink{}), "trouble-sink")
	task := child.Connector().(connectors.SinkConnector).NewSinkTask()
	must(t, task.Start(ctx, connectors.SinkStart{Config: map[string]string{"do": "block"}}))
	_, err := task.Open(ctx, []connectors.TopicPartition{p0})
	must(t, err)
	must(t, task.Put(ctx, records(p0, 0, 1)))
	flushed := make(chan error)
	go func() { _, err := task.Flush(ctx, true); flushed <- err }()
	child.Kill()
	wantError(t, <-flushed, connectors.ClassBug, "trouble-sink")
	wantError(t, task.Put(ctx, records(p0, 1, 2)), connectors.ClassBug, "trouble-sink")
	wantError(t, task.Close(ctx, []connectors.TopicPartition{p0}), connectors.ClassBug, "trouble-sink")
	must(t, task.Stop(ctx))
}
