package plugins

import (
	"context"
	"errors"

	"github.com/sluicehub/sluice/connectors"
)

// A task is one stream, and either end of it is two goroutines: one sends what is put into a queue, one receives and
// never waits for those that work. remoteTask is the hub's end, taskServer the child's.

// errStopped ends a stream in order: the hub has stopped the task.
var errStopped = errors.New("the task is stopped")

// stopper is what source and sink tasks have in common.
type stopper interface {
	Stop(ctx context.Context) error
}

var (
	_ stopper = connectors.SourceTask(nil)
	_ stopper = connectors.SinkTask(nil)
)

// pump sends what is put into the queue until the end of the queue or of the stream, and returns which.
func pump[M any](ctx context.Context, from *queue[M], send func(M) error) error {
	for {
		m, err := from.take(ctx)
		if err != nil {
			return err
		}
		if err := send(m); err != nil {
			return err
		}
	}
}

// listen hands on what is received until the stream ends or what is heard ends it, and returns why.
func listen[M any](recv func() (M, error), hear func(M) error) error {
	for {
		m, err := recv()
		if err != nil {
			return err
		}
		if err := hear(m); err != nil {
			return err
		}
	}
}

// signal wakes who waits on a channel with a place for one.
func signal(wake chan struct{}) { trySend(wake, struct{}{}) }

// trySend leaves the first result for who waits for it, on a channel with a place for one.
func trySend[R any](to chan R, result R) {
	select {
	case to <- result:
	default:
	}
}
