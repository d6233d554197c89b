package plugins

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

const (
	// stopTimeout bounds the Stop of a task whose hub does not wait for it.
	stopTimeout = 30 * time.Second
	// figuresInterval is how often a task's figures are sent.
	figuresInterval = 2 * time.Second
)

// taskServer is the child's end of a task's stream: what sourceServer and sinkServer have in common.
//
// One goroutine receives and never waits for the task, one sends, and those of work call the task. The stream's own
// goroutine starts and stops the task.
type taskServer struct {
	stream  grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask]
	start   *pluginpb.Start
	log     *slog.Logger
	out     *queue[*pluginpb.FromTask]
	encoder *encoder
	reports reports
	ended   <-chan struct{} // when the task is to stop
}

// served is a task of either kind.
type served interface {
	// begin calls the task's Start.
	begin(ctx context.Context) error
	// heard takes what the hub says besides what it says to any task, and never waits for the task. An error ends it.
	heard(m *pluginpb.ToTask) error
	// work calls the task until ctx ends.
	work(ctx context.Context)
}

func newTaskServer(stream grpc.BidiStreamingServer[pluginpb.ToTask, pluginpb.FromTask], start *pluginpb.Start, m memory, log *slog.Logger) *taskServer {
	return &taskServer{stream: stream, start: start, out: newQueue[*pluginpb.FromTask](), encoder: newEncoder(m),
		log: log.With("task", start.GetTask())} // the hub knows the connector
}

// run serves the task until the hub stops it or is gone. ended is done when the process is to end.
func (s *taskServer) run(ended context.Context, task stopper, as served) {
	ctx, cancel := context.WithCancelCause(s.stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(ended, func() { cancel(context.Canceled) })()
	s.ended = ctx.Done()

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		cancel(pump(s.stream.Context(), s.out, s.stream.Send))
	}()
	go func() {
		cancel(listen(s.stream.Recv, func(m *pluginpb.ToTask) error { return s.hear(m, as.heard) }))
	}() // ends with the stream, when run has returned

	var work sync.WaitGroup
	err := as.begin(ctx)
	s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_Started{Started: done(err)}})
	if err == nil {
		work.Go(func() { as.work(ctx) })
		if o, ok := task.(connectors.Observer); ok {
			work.Go(func() { s.observe(ctx, o) })
		}
	}
	<-ctx.Done()
	work.Wait()
	stopping, release := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer release()
	s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_Stopped{Stopped: done(task.Stop(stopping))}})
	s.out.close(io.EOF)
	<-sent
}

// hear takes what the hub says to any task, and gives the rest to the one whose stream it is.
func (s *taskServer) hear(m *pluginpb.ToTask, rest func(*pluginpb.ToTask) error) error {
	switch w := m.What.(type) {
	case *pluginpb.ToTask_Stop:
		return errStopped
	case *pluginpb.ToTask_ReportAnswer:
		s.reports.answer(w.ReportAnswer)
		return nil
	}
	return rest(m)
}

// ask sends a report and waits for the hub's answer. send may wait too.
func (s *taskServer) ask(ctx context.Context, m *pluginpb.Report, send func(*pluginpb.FromTask) error) error {
	id, answer := s.reports.begin()
	defer s.reports.end(id)
	m.Id = id
	if err := send(&pluginpb.FromTask{What: &pluginpb.FromTask_Report{Report: m}}); err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return context.Canceled
	}
}

// observe sends a task's figures whenever they have changed.
func (s *taskServer) observe(ctx context.Context, o connectors.Observer) {
	tick := time.NewTicker(figuresInterval)
	defer tick.Stop()
	var last []connectors.Figure
	for {
		if now := o.Figures(); !slices.Equal(now, last) {
			last = slices.Clone(now)
			s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_Figures{Figures: figuresToWall(now)}})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// failed is the message about a read, commit or put that failed.
func failed(err error) *pluginpb.FromTask {
	return &pluginpb.FromTask{What: &pluginpb.FromTask_Failed{Failed: done(err)}}
}

func done(err error) *pluginpb.Done { return &pluginpb.Done{Error: errorToWall(err)} }
