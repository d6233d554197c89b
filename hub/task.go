package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// task keeps one task running while its connector does: it starts it, reports why it failed, and starts it again with
// back-off. It ends with its context, or when the child is gone, which is the connector's business.
type task struct {
	run     *taskRun
	child   Child
	restart chan struct{} // capacity 1: a person asked
	done    chan struct{}
}

// errRestart ends a run because a person asked for a restart.
var errRestart = errors.New("restart requested")

func (t *task) supervise(ctx context.Context) {
	defer close(t.done)
	var attempts backoff
	for ctx.Err() == nil {
		if t.run.gate.isShut() { // one that is paused from the start is not started
			t.run.report(PausedState, "")
			if t.run.gate.wait(ctx) != nil {
				return
			}
		}
		started := time.Now()
		err := t.once(ctx)
		switch {
		case ctx.Err() != nil || t.childGone():
			return
		case errors.Is(err, errRestart):
			attempts.reset()
			continue
		case err == nil:
			err = errors.New("the task ended without a reason")
		}
		if !t.failed(ctx, err, &attempts, time.Since(started)) {
			return
		}
	}
}

// once runs the task until it fails, ctx ends or a restart is asked for.
func (t *task) once(ctx context.Context) error {
	runCtx, end := context.WithCancelCause(ctx)
	defer end(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-t.restart:
			end(errRestart)
		case <-runCtx.Done():
		}
	}()
	err := t.start(runCtx)
	if cause := context.Cause(runCtx); errors.Is(cause, errRestart) {
		err = errRestart
	}
	end(nil)
	<-watched
	return err
}

// start makes a task of the connector and runs it.
func (t *task) start(ctx context.Context) (err error) {
	var end func()
	if t.run.admin, end, err = t.run.hub.adminClient(ctx, t.run.settings, t.run.index); err != nil {
		return err
	}
	defer end()
	if t.run.settings.errors.deadLetters != "" {
		closeLetters, err := t.run.openDeadLetters(ctx)
		if err != nil {
			return err
		}
		defer closeLetters()
	}
	if t.run.pipeline, err = t.run.hub.formats.pipeline(t.run.hub.worker, t.run.config); err != nil {
		return err
	}
	if c, ok := t.child.(connectors.SourceConnector); ok && t.run.settings.kind == connectors.Source {
		return t.run.runSource(ctx, c.NewSourceTask())
	}
	if c, ok := t.child.(connectors.SinkConnector); ok && t.run.settings.kind == connectors.Sink {
		return t.run.runSink(ctx, c.NewSinkTask())
	}
	return &connectors.Error{Class: connectors.ClassBug, Err: fmt.Errorf("the plugin says that it is a %s and is none", t.run.settings.kind)}
}

// childGone reports whether the child has ended; a broken stream may be seen a moment before its process's end is.
func (t *task) childGone() bool {
	select {
	case <-t.child.Done():
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

// failed reports a failure and waits until the task is to be started again; false if it is not.
func (t *task) failed(ctx context.Context, err error, attempts *backoff, ran time.Duration) bool {
	class, text := connectors.ClassOf(err), t.run.redact(err.Error())
	delay, again := attempts.next(err, ran)
	next := "not restarted by itself: restart it when the cause is mended"
	if again {
		next = fmt.Sprintf("next restart in %s (failure %d)", delay, attempts.failures)
	}
	t.run.log.Error("the task failed", "class", class.String(), "error", text, "next", next)
	t.run.report(Failed, trace(class, text, next))
	var timer <-chan time.Time
	if again {
		clock := time.NewTimer(delay)
		defer clock.Stop()
		timer = clock.C
	}
	select {
	case <-timer:
	case <-t.restart:
		attempts.reset()
	case <-t.child.Done():
		return false
	case <-ctx.Done():
		return false
	}
	t.run.figures.restarts.Add(1)
	t.run.report(Restarting, trace(class, text, "restarting"))
	return true
}
