package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// sourceServer runs one source task in the child. One goroutine calls Read, one Commit.
type sourceServer struct {
	*taskServer
	task    connectors.SourceTask
	credit  *credit
	commits commits
	again   chan struct{} // the hub wants another read after one that failed

	handing sync.Mutex // Report may come from a goroutine that Read started
}

func newSourceServer(t *taskServer, task connectors.SourceTask) *sourceServer {
	return &sourceServer{taskServer: t, task: task, credit: newCredit(t.start.GetWindow()), again: make(chan struct{}, 1),
		commits: newCommits()}
}

// begin implements served.
func (s *sourceServer) begin(ctx context.Context) error {
	return s.task.Start(ctx, connectors.SourceStart{
		Connector: s.start.GetConnector(), Task: int(s.start.GetTask()), Config: s.start.GetConfig(),
		Offsets: offsetsFromWall(nil, s.start.GetOffsets()), Report: s.report, Log: s.log})
}

// heard implements served.
func (s *sourceServer) heard(m *pluginpb.ToTask) error {
	switch w := m.What.(type) {
	case *pluginpb.ToTask_Credit:
		s.credit.give(w.Credit.GetBytes())
	case *pluginpb.ToTask_Commit:
		s.commits.add(w.Commit.GetOffsets())
	case *pluginpb.ToTask_Again:
		signal(s.again)
	case *pluginpb.ToTask_Signal:
		s.out.put(&pluginpb.FromTask{What: &pluginpb.FromTask_SignalAnswer{SignalAnswer: &pluginpb.ReportAnswer{
			Id: w.Signal.GetId(), Error: errorToWall(s.signalled(w.Signal))}}})
	}
	return nil
}

// signalled hands a signal to the task, which answers at once.
func (s *sourceServer) signalled(m *pluginpb.Signal) error {
	task, ok := s.task.(connectors.Signaller)
	if !ok {
		return &connectors.Error{Op: "take a signal", Class: connectors.ClassConfig, Err: errors.New("this connector takes no signals")}
	}
	return task.Signal(s.stream.Context(), connectors.Signal{ID: m.GetName(), Type: m.GetType(), Data: m.GetData()})
}

// work implements served.
func (s *sourceServer) work(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { s.read(ctx) })
	both.Go(func() { s.commit(ctx) })
	both.Wait()
}

// read calls Read until the task stops or has nothing more to give.
func (s *sourceServer) read(ctx context.Context) {
	var batch connectors.Batch
	for {
		batch.Reset()
		err := s.task.Read(ctx, &batch)
		if ctx.Err() != nil {
			return
		}
		eof := errors.Is(err, io.EOF)
		if err != nil && !eof {
			if !s.goOn(ctx, err) {
				return
			}
			continue
		}
		if len(batch.Records) > 0 || len(batch.Offsets) > 0 || eof {
			if err := s.handBatch(ctx, &batch, eof); err != nil {
				// The batch is lost here, so there must be none behind it.
				for s.goOn(ctx, err) {
				}
				return
			}
		}
		if eof {
			return
		}
	}
}

// goOn tells the hub of a failed read, and waits until it wants another. It reports false when the task stops.
func (s *sourceServer) goOn(ctx context.Context, err error) bool {
	if s.hand(ctx, failed(err)) != nil {
		return false
	}
	select {
	case <-s.again:
		return true
	case <-ctx.Done():
		return false
	}
}

// hand sends what waits for a Read in the hub, as soon as there is credit for it.
func (s *sourceServer) hand(ctx context.Context, m *pluginpb.FromTask) error {
	if _, err := s.credit.take(ctx, charge(m), nil); err != nil {
		return err
	}
	s.out.put(m)
	return nil
}

func (s *sourceServer) handBatch(ctx context.Context, b *connectors.Batch, eof bool) error {
	s.handing.Lock()
	defer s.handing.Unlock()
	records, err := s.encoder.records(b.Records)
	if err != nil {
		return &connectors.Error{Op: "hand a batch to the hub", Class: connectors.ClassBug, Err: err}
	}
	m := &pluginpb.FromTask{What: &pluginpb.FromTask_Batch{Batch: &pluginpb.SourceBatch{
		Records: records, Offsets: offsetsToWall(b.Offsets), EventTime: b.EventTime, Eof: eof}}}
	if n := charge(m); n > maxBatch {
		return &connectors.Error{Op: "hand a batch to the hub", Class: connectors.ClassData,
			Err: fmt.Errorf("a batch of %d records takes %d bytes, and %d is the most that crosses at once", len(b.Records), n, maxBatch)}
	}
	return s.hand(ctx, m)
}

// report is the task's SourceStart.Report.
func (s *sourceServer) report(ctx context.Context, bad connectors.Record, cause error) error {
	return s.ask(ctx, &pluginpb.Report{Error: errorToWall(cause)}, func(m *pluginpb.FromTask) error {
		s.handing.Lock()
		defer s.handing.Unlock()
		record, err := s.encoder.records([]connectors.Record{bad})
		if err != nil {
			return err
		}
		m.GetReport().Record = record
		if err := s.hand(ctx, m); err != nil {
			s.encoder.drop(record)
			return err
		}
		return nil
	})
}

// commit calls Commit, with all that has come together since it last returned.
func (s *sourceServer) commit(ctx context.Context) {
	for {
		select {
		case <-s.commits.wake:
		case <-ctx.Done():
			return
		}
		offsets := s.commits.take()
		if len(offsets) == 0 {
			continue
		}
		if err := s.task.Commit(ctx, offsets); err != nil && ctx.Err() == nil {
			m := failed(err)
			// Read returns it, and there Retriable would mean that only Read is called again.
			m.GetFailed().GetError().Retriable = false
			if s.hand(ctx, m) != nil {
				return
			}
		}
	}
}
