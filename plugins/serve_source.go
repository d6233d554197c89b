package plugins

import (
	"context"
	"errors"
	"fmt"
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

// sourceServer runs one source task in the child.
//
// Four goroutines: one receives and never waits for the task, one sends, one calls Read, one calls Commit. The
// stream's own goroutine starts and stops the task.
type sourceServer struct {
	stream  grpc.BidiStreamingServer[pluginpb.SourceRequest, pluginpb.SourceResponse]
	task    connectors.SourceTask
	out     *queue[*pluginpb.SourceResponse]
	credit  *credit
	ended   <-chan struct{} // when the task is to stop
	commits commits
	readOn  chan struct{}
	reports reports

	encoding sync.Mutex // Report may come from a goroutine that Read started
	encoder  *encoder
}

// run serves the task until the hub stops it or is gone. ended is done when the process is to end.
func (s *sourceServer) run(ended context.Context, log *slog.Logger) error {
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
	s.out, s.encoder = newQueue[*pluginpb.SourceResponse](), newEncoder()
	s.credit, s.readOn = newCredit(start.GetWindow()), make(chan struct{}, 1)
	s.commits.wake, s.ended = make(chan struct{}, 1), ctx.Done()

	sent := make(chan struct{})
	go func() {
		defer close(sent)
		cancel(s.send())
	}()
	go func() { cancel(s.receive()) }() // ends with the stream, when run has returned

	var work sync.WaitGroup
	err = s.task.Start(ctx, connectors.SourceStart{
		Connector: start.GetConnector(), Task: int(start.GetTask()), Config: start.GetConfig(),
		Offsets: offsetsFromWall(nil, start.GetOffsets()), Report: s.report,
		Log: log.With("task", start.GetTask()), // the hub knows the connector
	})
	s.out.put(&pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Started{Started: &pluginpb.Done{Error: errorToWall(err)}}})
	if err == nil {
		work.Go(func() { s.read(ctx) })
		work.Go(func() { s.commit(ctx) })
		if o, ok := s.task.(connectors.Observer); ok {
			work.Go(func() {
				observe(ctx, o, func(f *pluginpb.Figures) {
					s.out.put(&pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Figures{Figures: f}})
				})
			})
		}
	}
	<-ctx.Done()
	work.Wait()
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer done()
	err = s.task.Stop(stopping)
	s.out.put(&pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Stopped{Stopped: &pluginpb.Done{Error: errorToWall(err)}}})
	s.out.close(io.EOF)
	<-sent
	return nil
}

// send brings what is put out to the hub, until the end of it or of the stream.
func (s *sourceServer) send() error {
	for {
		m, err := s.out.take(s.stream.Context())
		if err != nil {
			return err
		}
		if err := s.stream.Send(m); err != nil {
			return err
		}
		s.encoder.reuse(m.GetBatch().GetRecords())
	}
}

// receive takes what the hub says, until it says stop or is gone.
func (s *sourceServer) receive() error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		switch w := m.What.(type) {
		case *pluginpb.SourceRequest_Credit:
			s.credit.give(w.Credit.GetBytes())
		case *pluginpb.SourceRequest_Commit:
			s.commits.add(w.Commit.GetOffsets())
		case *pluginpb.SourceRequest_ReadOn:
			signal(s.readOn)
		case *pluginpb.SourceRequest_ReportAnswer:
			s.reports.answer(w.ReportAnswer)
		case *pluginpb.SourceRequest_Stop:
			return errStopped
		}
	}
}

// errStopped ends the work of a task when the hub stops it.
var errStopped = errors.New("the task is stopped")

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
			if !s.failed(ctx, err) {
				return
			}
			continue
		}
		if len(batch.Records) > 0 || len(batch.Offsets) > 0 || eof {
			if err := s.hand(ctx, &batch, eof); err != nil {
				// The batch is lost here, so there must be none behind it.
				for s.failed(ctx, err) {
				}
				return
			}
		}
		if eof {
			return
		}
	}
}

// failed tells the hub of a failed read, and waits until it wants another. It reports false when the task stops.
func (s *sourceServer) failed(ctx context.Context, err error) bool {
	s.out.put(&pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Failed{Failed: &pluginpb.Done{Error: errorToWall(err)}}})
	select {
	case <-s.readOn:
		return true
	case <-ctx.Done():
		return false
	}
}

// hand sends a batch, as soon as there is credit for it.
func (s *sourceServer) hand(ctx context.Context, b *connectors.Batch, eof bool) error {
	s.encoding.Lock()
	defer s.encoding.Unlock()
	records, err := s.encoder.records(b.Records)
	if err != nil {
		return &connectors.Error{Op: "hand a batch to the hub", Class: connectors.ClassBug, Err: err}
	}
	m := &pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Batch{Batch: &pluginpb.SourceBatch{
		Records: records, Offsets: offsetsToWall(b.Offsets), EventTime: b.EventTime, Eof: eof}}}
	n := charge(m)
	if n > maxBatch {
		return &connectors.Error{Op: "hand a batch to the hub", Class: connectors.ClassData,
			Err: fmt.Errorf("a batch of %d records takes %d bytes, and %d is the most that crosses at once", len(b.Records), n, maxBatch)}
	}
	if _, err := s.credit.take(ctx, n, nil); err != nil {
		return err
	}
	s.out.put(m)
	return nil
}

// report is the task's SourceStart.Report.
func (s *sourceServer) report(ctx context.Context, bad connectors.Record, cause error) error {
	id, answer := s.reports.begin()
	defer s.reports.end(id)
	if err := s.sendReport(ctx, id, bad, cause); err != nil {
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

func (s *sourceServer) sendReport(ctx context.Context, id uint64, bad connectors.Record, cause error) error {
	s.encoding.Lock()
	defer s.encoding.Unlock()
	record, err := s.encoder.records([]connectors.Record{bad})
	if err != nil {
		return err
	}
	m := &pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Report{Report: &pluginpb.Report{
		Id: id, Error: errorToWall(cause), Record: record}}}
	if _, err := s.credit.take(ctx, charge(m), nil); err != nil {
		s.encoder.drop(record)
		return err
	}
	s.out.put(m)
	return nil
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
			s.out.put(&pluginpb.SourceResponse{What: &pluginpb.SourceResponse_Failed{Failed: &pluginpb.Done{Error: errorToWall(err)}}})
		}
	}
}

// commits merges commits that wait: of each source partition only the last offset counts.
type commits struct {
	mu   sync.Mutex
	list []connectors.SourceOffset // replaced ones have no partition
	at   map[string]int            // by partition
	wake chan struct{}
}

func (c *commits) add(offsets []*pluginpb.SourceOffset) {
	c.mu.Lock()
	if c.at == nil {
		c.at = map[string]int{}
	}
	for _, o := range offsetsFromWall(nil, offsets) {
		if i, ok := c.at[string(o.Partition)]; ok {
			c.list[i] = connectors.SourceOffset{}
		}
		c.at[string(o.Partition)] = len(c.list)
		c.list = append(c.list, o)
	}
	if len(c.list) > 2*len(c.at)+64 {
		c.list = c.compact(nil)
		for i, o := range c.list {
			c.at[string(o.Partition)] = i
		}
	}
	c.mu.Unlock()
	signal(c.wake)
}

func (c *commits) take() []connectors.SourceOffset {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.compact(make([]connectors.SourceOffset, 0, len(c.at)))
	c.list = c.list[:0]
	clear(c.at)
	return out
}

func (c *commits) compact(dst []connectors.SourceOffset) []connectors.SourceOffset {
	for _, o := range c.list {
		if o.Partition != nil {
			dst = append(dst, o)
		}
	}
	return dst
}

// signal wakes who waits on a channel with a place for one.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// observe sends a task's figures whenever they have changed.
func observe(ctx context.Context, o connectors.Observer, send func(*pluginpb.Figures)) {
	tick := time.NewTicker(figuresInterval)
	defer tick.Stop()
	var last []connectors.Figure
	for {
		if now := o.Figures(); !slices.Equal(now, last) {
			last = slices.Clone(now)
			send(figuresToWall(now))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
