package plugins

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

// remoteTask is the hub's end of a task's stream: what remoteSource and remoteSink have in common. Its goroutines end
// with Stop, or with the child.
type remoteTask struct {
	child   *Child
	stream  grpc.BidiStreamingClient[pluginpb.ToTask, pluginpb.FromTask] // nil: not started
	life    context.Context                                              // ends with the stream
	cancel  context.CancelFunc
	ends    sync.WaitGroup
	out     *queue[*pluginpb.ToTask]
	encoder *encoder

	started, stopped chan error
	figures          atomic.Pointer[[]connectors.Figure]

	again bool // what failed is to be tried again before what comes next; of the goroutine that calls the task
}

func newRemoteTask(child *Child) remoteTask {
	return remoteTask{child: child, out: newQueue[*pluginpb.ToTask](), encoder: newEncoder(child.memory),
		started: make(chan error, 1), stopped: make(chan error, 1)}
}

var errNotStarted = errors.New("the task was not started")

// open begins the stream with the task's start. heard takes what the child says besides what is common to all tasks;
// over learns why the stream has ended, which is errStopped when the task was stopped.
func (t *remoteTask) open(start *pluginpb.Start, heard func(*pluginpb.FromTask) error, over func(error)) error {
	if t.stream != nil {
		return errors.New("the task was started before")
	}
	life, cancel := context.WithCancel(t.child.life)
	stream, err := t.child.client.Task(life)
	if err != nil {
		cancel()
		return t.child.lost(err)
	}
	t.stream, t.life, t.cancel = stream, life, cancel
	t.ends.Go(func() { pump(life, t.out, stream.Send) }) // when that fails, the receiver learns why
	t.ends.Go(func() {
		t.over(listen(stream.Recv, func(m *pluginpb.FromTask) error { return t.hear(m, heard) }), over)
	})
	start.Window = t.child.window
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Start{Start: start}})
	return nil
}

// ready waits until the task has started, or says why it could not.
func (t *remoteTask) ready(ctx context.Context) error {
	select {
	case err := <-t.started:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *remoteTask) say(m *pluginpb.ToTask) { t.out.put(m) }

// hear takes what any task says, and gives the rest to the one whose stream it is.
func (t *remoteTask) hear(m *pluginpb.FromTask, rest func(*pluginpb.FromTask) error) error {
	switch w := m.What.(type) {
	case *pluginpb.FromTask_Started:
		trySend(t.started, errorFromWall(w.Started.GetError()))
	case *pluginpb.FromTask_Stopped:
		trySend(t.stopped, errorFromWall(w.Stopped.GetError()))
		return errStopped
	case *pluginpb.FromTask_Figures:
		list := figuresFromWall(w.Figures)
		t.figures.Store(&list)
	default:
		return rest(m)
	}
	return nil
}

// over ends the stream: whoever waits gets the error.
func (t *remoteTask) over(err error, tell func(error)) {
	t.cancel()
	if !errors.Is(err, errStopped) {
		err = t.child.lost(err)
	}
	tell(err)
	trySend(t.started, err)
	trySend(t.stopped, nil) // what is gone needs no stop
}

// goOn lets the child try again what failed, if something did.
func (t *remoteTask) goOn() {
	if t.again {
		t.again = false
		t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Again{Again: &pluginpb.Nothing{}}})
	}
}

// sayAnswer is the hub's word on a report.
func (t *remoteTask) sayAnswer(report *pluginpb.Report, err error) {
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_ReportAnswer{ReportAnswer: &pluginpb.ReportAnswer{
		Id: report.GetId(), Error: errorToWall(err)}}})
}

// Figures implements connectors.Observer, with what the task said last.
func (t *remoteTask) Figures() []connectors.Figure {
	if list := t.figures.Load(); list != nil {
		return *list
	}
	return nil
}

// Stop implements connectors.SourceTask and connectors.SinkTask. When ctx ends first, the task is given up: it may
// still run in the child, which then should be killed.
func (t *remoteTask) Stop(ctx context.Context) error {
	if t.stream == nil {
		return nil
	}
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Stop{Stop: &pluginpb.Nothing{}}})
	var err error
	select {
	case err = <-t.stopped:
	case <-ctx.Done():
		err = fmt.Errorf("stop the task: %w", ctx.Err())
	}
	t.cancel()
	t.ends.Wait()
	return err
}
