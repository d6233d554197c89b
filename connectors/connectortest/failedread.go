package connectortest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// FaultyWorld is a source whose reads can be made to fail with an error that passes.
type FaultyWorld struct {
	SourceWorld
	// Fail makes the reads that follow fail, until Mend is called. It is called after Start and before the first
	// read, which must fail then, or one soon after it; and once more behind a batch, where a source that has all it
	// needs by then need not fail.
	Fail, Mend func()
}

// failedRead lets reads fail and goes on as the hub does: after a Retriable error with the same task, after any other
// with a new one from the stored offsets. Either way all rows must come, once and in order.
func (x *sourceSuite) failedRead(t *testing.T) {
	if x.Faulty == nil {
		return
	}
	w := x.Faulty(t, x.Rows)
	r := &faultyReader{t: t, x: x, w: w, ctx: deadline(t)}
	r.restart()
	w.Fail()
	for r.read() {
		if len(r.now.rows) >= x.Rows {
			t.Fatal("no read failed")
		}
	}
	r.read() // again while it lasts
	w.Mend()
	for !r.read() {
	}
	w.Fail()
	if len(r.now.rows) < x.Rows {
		r.read()
	}
	w.Mend()
	for len(r.now.rows) < x.Rows {
		r.read()
	}
	x.once(t, r.now.rows)
	if x.Forgets {
		return
	}
	if r.task != nil {
		r.stop()
	}
	all := x.readBy(t, w.SourceWorld, nil, x.Rows)
	x.equal(t, "a reader whose reads failed", r.now.rows, all[len(all)-1].rows)
}

// faultyReader reads as the hub does. It has no task after an error that ends one.
type faultyReader struct {
	t    *testing.T
	x    *sourceSuite
	w    FaultyWorld
	ctx  context.Context
	task connectors.SourceTask
	stop func()
	now  progress
}

// read reports whether there was a batch. After a failure there is none.
func (r *faultyReader) read() bool {
	r.t.Helper()
	if r.task == nil && !r.restart() {
		return false
	}
	var b connectors.Batch
	err := readDurable(r.ctx, r.task, &b)
	if err == nil || errors.Is(err, io.EOF) {
		r.now = r.x.take(r.t, r.now, &b)
		return true
	}
	var e *connectors.Error
	switch {
	case r.ctx.Err() != nil:
		r.t.Fatalf("after %d of %d rows reads still fail: %v", len(r.now.rows), r.x.Rows, err)
	case !errors.As(err, &e):
		r.t.Fatalf("the error of a read has no class: %v", err)
	case e.Class != connectors.ClassEnvironment:
		r.t.Fatalf("the error of a read that passes has class %s: %v", e.Class, err)
	case !e.Retriable:
		r.stop()
		r.task = nil
	}
	scribble(b.Buf)
	return false
}

// restart starts a task from the offsets so far, and reports whether that worked: the fault may last.
func (r *faultyReader) restart() bool {
	task := r.x.c.NewSourceTask()
	stop := stopAtEnd(r.t, task)
	err := task.Start(r.ctx, sourceStart(r.t, r.w.SourceWorld, r.now.offsets))
	if r.ctx.Err() != nil {
		r.t.Fatalf("start: %v", err)
	}
	if err != nil {
		stop()
		return false
	}
	r.task, r.stop = task, stop
	return true
}
