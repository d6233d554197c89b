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

// maxReports is how many reports of a sink task may wait for the hub.
const maxReports = 1000

// remoteSink is a sink task in a child, seen from the hub: a connectors.SinkTask that behaves as the task would in
// process, but that Put returns before the task has seen the batch. If the task refuses it, the next call returns
// that error and does nothing else; the task keeps the batch, and the call after that lets it be tried again first.
// Three goroutines per task: one sends, one receives, one answers reports; all end with Stop.
type remoteSink struct {
	child   *Child
	stream  grpc.BidiStreamingClient[pluginpb.SinkRequest, pluginpb.SinkResponse]
	cancel  context.CancelFunc
	ends    sync.WaitGroup
	out     *queue[*pluginpb.SinkRequest]
	reports *queue[*pluginpb.Report]
	report  func(ctx context.Context, at connectors.RecordRef, err error) error

	started, stopped chan error
	answers          chan *pluginpb.SinkAnswer
	current          atomic.Uint64 // the call that waits for its answer
	credit           *credit
	figures          atomic.Pointer[[]connectors.Figure]
	waiting          atomic.Int32 // reports

	mu      sync.Mutex
	failure error         // of a put, not yet told
	failed  chan struct{} // has something when there is a failure, or the stream is gone
	lost    error         // why the stream ended

	// Of the goroutine that calls the task.
	encoder *encoder
	again   bool // the next call must ask the child to try the failed put again
}

// Start implements connectors.SinkTask.
func (t *remoteSink) Start(ctx context.Context, start connectors.SinkStart) error {
	if t.stream != nil {
		return errors.New("the task was started before")
	}
	life, cancel := context.WithCancel(t.child.life)
	stream, err := t.child.client.Sink(life)
	if err != nil {
		cancel()
		return t.child.lost(err)
	}
	t.stream, t.cancel, t.report = stream, cancel, start.Report
	t.out, t.reports = newQueue[*pluginpb.SinkRequest](), newQueue[*pluginpb.Report]()
	t.started, t.stopped, t.failed = make(chan error, 1), make(chan error, 1), make(chan struct{}, 1)
	t.answers = make(chan *pluginpb.SinkAnswer, 1)
	t.credit, t.encoder = newCredit(t.child.window), newEncoder()
	t.ends.Go(func() { t.send(life) })
	t.ends.Go(func() { t.broken(t.receive()) })
	t.ends.Go(func() { t.answerReports(life) })
	t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_Start{Start: &pluginpb.Start{
		Connector: start.Connector, Task: int32(start.Task), Config: start.Config, Window: t.child.window}}})
	select {
	case err := <-t.started:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *remoteSink) say(m *pluginpb.SinkRequest) { t.out.put(m) }

// send brings what is said to the child. When that fails, the receiver learns why.
func (t *remoteSink) send(life context.Context) {
	for {
		m, err := t.out.take(life)
		if err != nil || t.stream.Send(m) != nil {
			return
		}
		t.encoder.reuse(m.GetPut().GetRecords())
	}
}

// broken ends the task's stream: whoever waits gets the error. It is nil when the task was stopped.
func (t *remoteSink) broken(err error) {
	t.cancel()
	if err == nil {
		err = errStopped
	} else {
		err = t.child.lost(err)
	}
	t.mu.Lock()
	t.lost = err
	t.mu.Unlock()
	signal(t.failed)
	trySend(t.started, err)
	trySend(t.stopped, nil) // what is gone needs no stop
}

// receive takes what the child says until the task is stopped (nil) or the stream ends, and returns why it ended.
func (t *remoteSink) receive() error {
	for {
		m, err := t.stream.Recv()
		if err != nil {
			return err
		}
		switch w := m.What.(type) {
		case *pluginpb.SinkResponse_Started:
			trySend(t.started, errorFromWall(w.Started.GetError()))
		case *pluginpb.SinkResponse_Stopped:
			trySend(t.stopped, errorFromWall(w.Stopped.GetError()))
			return nil
		case *pluginpb.SinkResponse_Credit:
			t.credit.give(w.Credit.GetBytes())
		case *pluginpb.SinkResponse_Failed:
			t.mu.Lock()
			t.failure = errorFromWall(w.Failed.GetError())
			t.mu.Unlock()
			signal(t.failed)
		case *pluginpb.SinkResponse_Answer:
			if w.Answer.GetId() != t.current.Load() {
				continue // to a call that was given up
			}
			select {
			case t.answers <- w.Answer:
			default:
				return fmt.Errorf("%w: two answers to one call", errNonsense)
			}
		case *pluginpb.SinkResponse_Report:
			if t.waiting.Add(1) > maxReports {
				return fmt.Errorf("%w: more than %d reports at once", errNonsense, maxReports)
			}
			t.reports.put(w.Report)
		case *pluginpb.SinkResponse_Figures:
			list := figuresFromWall(w.Figures)
			t.figures.Store(&list)
		default:
			return fmt.Errorf("%w: a message of an unknown kind", errNonsense)
		}
	}
}

// answerReports lets the hub judge records that the target refuses.
func (t *remoteSink) answerReports(life context.Context) {
	for {
		m, err := t.reports.take(life)
		if err != nil {
			return
		}
		err = errorFromWall(m.GetError())
		if t.report != nil {
			err = t.report(life, refFromWall(m.GetAt()), err)
		}
		t.waiting.Add(-1)
		t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_ReportAnswer{ReportAnswer: &pluginpb.ReportAnswer{
			Id: m.GetId(), Error: errorToWall(err)}}})
	}
}

// troubled returns the failure of an earlier put, once, or why the stream has ended.
func (t *remoteSink) troubled() error {
	if t.stream == nil {
		return errors.New("the task was not started")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failure; err != nil {
		t.failure, t.again = nil, true
		return err
	}
	return t.lost
}

// goOn lets a put that failed be tried again before what comes now.
func (t *remoteSink) goOn() {
	if t.again {
		t.again = false
		t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_PutAgain{PutAgain: &pluginpb.Nothing{}}})
	}
}

// Put implements connectors.SinkTask. It waits for credit, which is the back-pressure.
func (t *remoteSink) Put(ctx context.Context, batch *connectors.Records) error {
	if err := t.troubled(); err != nil {
		return err
	}
	t.goOn()
	return t.put(ctx, batch)
}

func (t *remoteSink) put(ctx context.Context, batch *connectors.Records) error {
	records, err := t.encoder.records(batch.List)
	if err != nil {
		return &connectors.Error{Op: "hand a batch to the connector", Class: connectors.ClassBug, Err: err}
	}
	m := &pluginpb.SinkRequest{What: &pluginpb.SinkRequest_Put{Put: &pluginpb.Put{
		Records: records, From: partToWall(batch.From), End: batch.End}}}
	n := charge(m)
	if n > maxBatch {
		t.encoder.drop(records)
		return t.putHalves(ctx, batch, n)
	}
	for {
		ok, err := t.credit.take(ctx, n, t.failed)
		if ok {
			t.say(m)
			return nil
		}
		if err == nil {
			err = t.troubled()
		}
		if err != nil {
			t.encoder.drop(records)
			return err
		}
	}
}

// putHalves puts a batch that is too large to cross at once in two.
func (t *remoteSink) putHalves(ctx context.Context, batch *connectors.Records, size int64) error {
	half := len(batch.List) / 2
	if half == 0 {
		return &connectors.Error{Op: "hand a record to the connector", Class: connectors.ClassData,
			Record: &connectors.RecordRef{TopicPartition: batch.From, Offset: batch.List[0].Offset},
			Err:    fmt.Errorf("it takes %d bytes, and %d is the most that crosses at once", size, maxBatch)}
	}
	first := &connectors.Records{From: batch.From, List: batch.List[:half], End: batch.List[half].Offset}
	if err := t.put(ctx, first); err != nil {
		return err
	}
	return t.put(ctx, &connectors.Records{From: batch.From, List: batch.List[half:], End: batch.End})
}

// call asks the child and waits for its answer. A put that fails meanwhile is the answer, but to a close: that is
// needed to get past the put.
func (t *remoteSink) call(ctx context.Context, what pluginpb.SinkCall_What, parts []connectors.TopicPartition) (*pluginpb.SinkAnswer, error) {
	closing := what == pluginpb.SinkCall_CLOSE
	if err := t.interrupted(closing); err != nil {
		return nil, err
	}
	if !closing {
		t.goOn()
	}
	id := t.current.Add(1)
	select {
	case <-t.answers: // to a call that was given up
	default:
	}
	t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_Call{Call: &pluginpb.SinkCall{Id: id, What: what, Parts: partsToWall(parts)}}})
	for {
		select {
		case answer := <-t.answers:
			return answer, errorFromWall(answer.GetError())
		case <-t.failed:
			if err := t.interrupted(closing); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_Cancel{Cancel: id}})
			return nil, ctx.Err()
		}
	}
}

// interrupted returns what ends a call that waits for its answer.
func (t *remoteSink) interrupted(closing bool) error {
	if !closing {
		return t.troubled()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost
}

// Open implements connectors.SinkTask.
func (t *remoteSink) Open(ctx context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	answer, err := t.call(ctx, pluginpb.SinkCall_OPEN, parts)
	return positionsFromWall(answer.GetPositions()), err
}

// Flush implements connectors.SinkTask.
func (t *remoteSink) Flush(ctx context.Context, force bool) ([]connectors.Position, error) {
	what := pluginpb.SinkCall_FLUSH
	if force {
		what = pluginpb.SinkCall_FORCED_FLUSH
	}
	answer, err := t.call(ctx, what, nil)
	return positionsFromWall(answer.GetPositions()), err
}

// Close implements connectors.SinkTask. If the put that failed was of these partitions, its failure is over.
func (t *remoteSink) Close(ctx context.Context, parts []connectors.TopicPartition) error {
	if t.stream == nil {
		return errors.New("the task was not started")
	}
	answer, err := t.call(ctx, pluginpb.SinkCall_CLOSE, parts)
	if answer.GetPutDropped() {
		t.mu.Lock()
		t.failure, t.again = nil, false
		t.mu.Unlock()
	}
	return err
}

// Figures implements connectors.Observer, with what the task said last.
func (t *remoteSink) Figures() []connectors.Figure {
	if list := t.figures.Load(); list != nil {
		return *list
	}
	return nil
}

// Stop implements connectors.SinkTask. When ctx ends first, the task is given up: it may still run in the child,
// which then should be killed.
func (t *remoteSink) Stop(ctx context.Context) error {
	if t.stream == nil {
		return nil
	}
	t.say(&pluginpb.SinkRequest{What: &pluginpb.SinkRequest_Stop{Stop: &pluginpb.Nothing{}}})
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
