package plugins

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

// sinkServer runs one sink task in the child.
//
// One goroutine receives and never waits for the task, one sends, and the stream's own calls the task, one call
// after another, in the order in which the hub said them. A put that failed stays at the head of the line until the
// hub says to try it again, or takes its partition away.
type sinkServer struct {
	stream  grpc.BidiStreamingServer[pluginpb.SinkRequest, pluginpb.SinkResponse]
	task    connectors.SinkTask
	out     *queue[*pluginpb.SinkResponse]
	line    sinkLine
	schemas schemaReader
	reports reports
	ended   <-chan struct{} // when the task is to stop
	spare   []connectors.Record
}

// run serves the task until the hub stops it or is gone. ended is done when the process is to end.
func (s *sinkServer) run(ended context.Context, log *slog.Logger) error {
	first, err := s.stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return errors.New("the first message of a task is not its start")
	}
	ctx, cancel := context.WithCancelCause(s.stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(ended, func() { cancel(context.Canceled) })()
	s.out, s.ended = newQueue[*pluginpb.SinkResponse](), ctx.Done()
	s.line.wake, s.line.grants.window = make(chan struct{}, 1), start.GetWindow()

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		cancel(s.send())
	}()
	go func() { cancel(s.receive()) }() // ends with the stream, when run has returned

	var observing sync.WaitGroup
	err = s.task.Start(ctx, connectors.SinkStart{
		Connector: start.GetConnector(), Task: int(start.GetTask()), Config: start.GetConfig(), Report: s.report,
		Log: log.With("task", start.GetTask()), // the hub knows the connector
	})
	s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Started{Started: &pluginpb.Done{Error: errorToWall(err)}}})
	if err == nil {
		if o, ok := s.task.(connectors.Observer); ok {
			observing.Go(func() {
				observe(ctx, o, func(f *pluginpb.Figures) {
					s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Figures{Figures: f}})
				})
			})
		}
		s.work(ctx)
	}
	<-ctx.Done()
	observing.Wait()
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	err = s.task.Stop(stopping)
	s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Stopped{Stopped: &pluginpb.Done{Error: errorToWall(err)}}})
	s.out.close(io.EOF)
	<-sent
	return nil
}

// send brings what is put out to the hub, until the end of it or of the stream.
func (s *sinkServer) send() error {
	for {
		m, err := s.out.take(s.stream.Context())
		if err != nil {
			return err
		}
		if err := s.stream.Send(m); err != nil {
			return err
		}
	}
}

// receive takes what the hub says, until it says stop or is gone.
func (s *sinkServer) receive() error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		switch w := m.What.(type) {
		case *pluginpb.SinkRequest_Put:
			// Here and not when the put is worked on: a put may be dropped, but its schemas are used by later ones.
			schemas, err := s.schemas.add(w.Put.GetRecords())
			if err != nil {
				return err
			}
			s.line.add(&sinkItem{put: w.Put, from: partFromWall(w.Put.GetFrom()), schemas: schemas, charge: charge(m)})
		case *pluginpb.SinkRequest_Call:
			item := &sinkItem{call: w.Call}
			if w.Call.GetWhat() == pluginpb.SinkCall_CLOSE {
				s.grant(s.line.close(item))
			} else {
				s.line.add(item)
			}
		case *pluginpb.SinkRequest_Cancel:
			s.line.cancel(w.Cancel)
		case *pluginpb.SinkRequest_PutAgain:
			s.line.again()
		case *pluginpb.SinkRequest_ReportAnswer:
			s.reports.answer(w.ReportAnswer)
		case *pluginpb.SinkRequest_Stop:
			return errStopped
		}
	}
}

// work calls the task until it is stopped.
func (s *sinkServer) work(ctx context.Context) {
	for {
		item, itemCtx, ok := s.line.next(ctx)
		if !ok {
			return
		}
		if item.call != nil {
			answer := s.call(itemCtx, item)
			s.line.done(item)
			s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Answer{Answer: answer}})
			continue
		}
		err := s.put(itemCtx, item)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.spare = item.records.List[:0] // the task may not look at it any more
			s.grant(s.line.done(item))
		default:
			if s.line.fail(item) {
				s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Failed{Failed: &pluginpb.Done{Error: errorToWall(err)}}})
			} else {
				s.grant(s.line.done(item)) // its partition is being closed
			}
		}
	}
}

// grant gives credit back to the hub.
func (s *sinkServer) grant(n int64) {
	if n > 0 {
		s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Credit{Credit: &pluginpb.Credit{Bytes: n}}})
	}
}

// call is an open, a flush or a close.
func (s *sinkServer) call(ctx context.Context, item *sinkItem) *pluginpb.SinkAnswer {
	m := item.call
	answer := &pluginpb.SinkAnswer{Id: m.GetId(), PutDropped: item.putDropped}
	var positions []connectors.Position
	var err error
	switch m.GetWhat() {
	case pluginpb.SinkCall_OPEN:
		positions, err = s.task.Open(ctx, partsFromWall(m.GetParts()))
	case pluginpb.SinkCall_FLUSH:
		positions, err = s.task.Flush(ctx, false)
	case pluginpb.SinkCall_FORCED_FLUSH:
		positions, err = s.task.Flush(ctx, true)
	case pluginpb.SinkCall_CLOSE:
		err = s.task.Close(ctx, partsFromWall(m.GetParts()))
	}
	answer.Positions, answer.Error = positionsToWall(positions), errorToWall(err)
	return answer
}

// put hands a batch to the task. Records that it refuses one by one are set aside with the hub's consent, here,
// because the hub has long gone on: it does not keep what it has sent.
func (s *sinkServer) put(ctx context.Context, item *sinkItem) error {
	if item.records == nil {
		list, err := decodeRecords(item.put.GetRecords(), item.schemas, s.spare)
		s.spare = nil
		if err != nil {
			return &connectors.Error{Op: "read a batch from the hub", Class: connectors.ClassBug, Err: err}
		}
		item.records = &connectors.Records{From: item.from, List: list, End: item.put.GetEnd()}
	}
	for {
		err := s.task.Put(ctx, item.records)
		if err == nil {
			return nil
		}
		i := refused(item.records, err)
		if i < 0 {
			return err
		}
		at := connectors.RecordRef{TopicPartition: item.from, Offset: item.records.List[i].Offset}
		if err := s.report(ctx, at, err); err != nil {
			return err
		}
		item.records.List = slices.Delete(item.records.List, i, i+1)
	}
}

// refused returns the place in the batch of the one record that the task says it cannot handle, or -1.
func refused(batch *connectors.Records, err error) int {
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != connectors.ClassData || e.Record == nil || e.Record.TopicPartition != batch.From {
		return -1
	}
	return slices.IndexFunc(batch.List, func(r connectors.Record) bool { return r.Offset == e.Record.Offset })
}

// report is the task's SinkStart.Report.
func (s *sinkServer) report(ctx context.Context, at connectors.RecordRef, cause error) error {
	id, answer := s.reports.begin()
	defer s.reports.end(id)
	s.out.put(&pluginpb.SinkResponse{What: &pluginpb.SinkResponse_Report{Report: &pluginpb.Report{
		Id: id, Error: errorToWall(cause), At: refToWall(at)}}})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return context.Canceled
	}
}
