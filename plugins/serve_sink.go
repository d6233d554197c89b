package plugins

import (
	"context"
	"errors"
	"slices"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// sinkServer runs one sink task in the child. One goroutine calls the task, one call after another, in the order in
// which the hub said them. A put that failed stays at the head of the line until the hub says to try it again, or
// takes its partition away.
type sinkServer struct {
	*taskServer
	task    connectors.SinkTask
	line    *sinkLine
	schemas schemaReader
	spare   []connectors.Record
}

func newSinkServer(t *taskServer, task connectors.SinkTask) *sinkServer {
	return &sinkServer{taskServer: t, task: task, line: newSinkLine(t.start.GetWindow())}
}

// begin implements served.
func (s *sinkServer) begin(ctx context.Context) error {
	return s.task.Start(ctx, connectors.SinkStart{
		Connector: s.start.GetConnector(), Task: int(s.start.GetTask()), Config: s.start.GetConfig(), Report: s.report, Log: s.log})
}

// heard implements served.
func (s *sinkServer) heard(m *pluginpb.ToTask) error {
	switch w := m.What.(type) {
	case *pluginpb.ToTask_Put:
		// Here and not when the put is worked on: a put may be dropped, but its schemas are used by later ones.
		schemas, err := s.schemas.add(w.Put.GetRecords())
		if err != nil {
			return err
		}
		s.line.add(&sinkItem{put: w.Put, from: partFromWall(w.Put.GetFrom()), schemas: schemas, charge: charge(m)})
	case *pluginpb.ToTask_Call:
		item := &sinkItem{call: w.Call}
		if w.Call.GetWhat() == pluginpb.SinkCall_CLOSE {
			s.grant(s.line.close(item))
		} else {
			s.line.add(item)
		}
	case *pluginpb.ToTask_Cancel:
		s.line.cancel(w.Cancel)
	case *pluginpb.ToTask_Again:
		s.line.again()
	}
	return nil
}

// work implements served.
func (s *sinkServer) work(ctx context.Context) {
	for {
		item, itemCtx, ok := s.line.next(ctx)
		if !ok {
			return
		}
		if item.call != nil {
			answer := s.call(itemCtx, item)
			s.line.done(item)
			s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_Answer{Answer: answer}})
			continue
		}
		err := s.put(itemCtx, item)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.spare = item.records.List[:0] // the task may not look at it any more
			s.encoder.memory.give(item.put.GetRecords().GetFrames())
			s.grant(s.line.done(item))
		default:
			if s.line.fail(item) {
				s.out.put(failed(err))
			} else {
				s.grant(s.line.done(item)) // its partition is being closed
			}
		}
	}
}

// grant gives credit back to the hub.
func (s *sinkServer) grant(n int64) {
	if n > 0 {
		s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_Credit{Credit: &pluginpb.Credit{Bytes: n}}})
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
	return s.ask(ctx, &pluginpb.Report{Error: errorToWall(cause), At: refToWall(at)}, func(m *pluginpb.FromTask) error {
		s.out.put(m)
		return nil
	})
}
