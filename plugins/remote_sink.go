package plugins

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// maxReports is how many reports of a sink task may wait for the hub.
const maxReports = 1000

// remoteSink is a sink task in a child, seen from the hub: a connectors.SinkTask that behaves as the task would in
// process, but that Put returns before the task has seen the batch. If the task refuses it, the next call returns
// that error and does nothing else; the task keeps the batch, and the call after that lets it be tried again first.
// A goroutine besides those of remoteTask answers reports.
type remoteSink struct {
	remoteTask
	reports *queue[*pluginpb.Report]
	waiting atomic.Int32 // reports
	report  func(ctx context.Context, at connectors.RecordRef, err error) error

	answers chan *pluginpb.SinkAnswer
	current atomic.Uint64 // the call that waits for its answer
	credit  *credit

	mu      sync.Mutex
	failure error         // of a put, not yet told
	failed  chan struct{} // has something when there is a failure, or the stream is gone
	lost    error         // why the stream ended
}

func newRemoteSink(child *Child) *remoteSink {
	return &remoteSink{remoteTask: newRemoteTask(child), reports: newQueue[*pluginpb.Report](),
		answers: make(chan *pluginpb.SinkAnswer, 1), credit: newCredit(child.window), failed: make(chan struct{}, 1)}
}

// Start implements connectors.SinkTask.
func (t *remoteSink) Start(ctx context.Context, start connectors.SinkStart) error {
	t.report = start.Report
	err := t.open(&pluginpb.Start{Connector: start.Connector, Task: int32(start.Task), Config: start.Config}, t.heard, t.gone)
	if err != nil {
		return err
	}
	t.ends.Go(t.answerReports)
	return t.ready(ctx)
}

// gone notes why the stream ended, for the call that waits and those to come.
func (t *remoteSink) gone(err error) {
	t.mu.Lock()
	t.lost = err
	t.mu.Unlock()
	signal(t.failed)
}

// heard takes what the child says.
func (t *remoteSink) heard(m *pluginpb.FromTask) error {
	switch w := m.What.(type) {
	case *pluginpb.FromTask_Credit:
		t.credit.give(w.Credit.GetBytes())
	case *pluginpb.FromTask_Failed:
		t.mu.Lock()
		t.failure = errorFromWall(w.Failed.GetError())
		t.mu.Unlock()
		signal(t.failed)
	case *pluginpb.FromTask_Answer:
		if w.Answer.GetId() != t.current.Load() {
			return nil // to a call that was given up
		}
		select {
		case t.answers <- w.Answer:
		default:
			return fmt.Errorf("%w: two answers to one call", errNonsense)
		}
	case *pluginpb.FromTask_Report:
		if t.waiting.Add(1) > maxReports {
			return fmt.Errorf("%w: more than %d reports at once", errNonsense, maxReports)
		}
		t.reports.put(w.Report)
	default:
		return fmt.Errorf("%w: a sink does not send %T", errNonsense, m.What)
	}
	return nil
}

// answerReports lets the hub judge records that the target refuses.
func (t *remoteSink) answerReports() {
	for {
		m, err := t.reports.take(t.life)
		if err != nil {
			return
		}
		err = errorFromWall(m.GetError())
		if t.report != nil {
			err = t.report(t.life, refFromWall(m.GetAt()), err)
		}
		t.waiting.Add(-1)
		t.sayAnswer(m, err)
	}
}

// troubled returns the failure of an earlier put, once, or why the stream has ended.
func (t *remoteSink) troubled() error {
	if t.stream == nil {
		return errNotStarted
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failure; err != nil {
		t.failure, t.again = nil, true
		return err
	}
	return t.lost
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
	m := &pluginpb.ToTask{What: &pluginpb.ToTask_Put{Put: &pluginpb.Put{
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
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Call{Call: &pluginpb.SinkCall{Id: id, What: what, Parts: partsToWall(parts)}}})
	for {
		select {
		case answer := <-t.answers:
			return answer, errorFromWall(answer.GetError())
		case <-t.failed:
			if err := t.interrupted(closing); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Cancel{Cancel: id}})
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
		return errNotStarted
	}
	answer, err := t.call(ctx, pluginpb.SinkCall_CLOSE, parts)
	if answer.GetPutDropped() {
		t.mu.Lock()
		t.failure, t.again = nil, false
		t.mu.Unlock()
	}
	return err
}
