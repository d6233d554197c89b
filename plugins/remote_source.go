package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/grpc"
)

// remoteSource is a source task in a child, seen from the hub: a connectors.SourceTask that behaves as the task would
// in process. Two goroutines per task, one to send and one to receive; both end with Stop.
type remoteSource struct {
	child  *Child
	stream grpc.BidiStreamingClient[pluginpb.SourceRequest, pluginpb.SourceResponse]
	cancel context.CancelFunc
	ends   sync.WaitGroup
	out    *queue[*pluginpb.SourceRequest]
	in     *queue[sourceItem]
	report func(ctx context.Context, bad connectors.Record, err error) error

	started, stopped chan error
	schemas          schemaReader // of the receiving goroutine
	owed             atomic.Int64 // bytes received and not granted again
	figures          atomic.Pointer[[]connectors.Figure]

	// Of the goroutine that calls Read.
	grants grants
	again  bool  // the next Read must ask the child to try again
	end    error // what Read returns for ever
}

// sourceItem is what waits for Read.
type sourceItem struct {
	message *pluginpb.SourceResponse
	schemas []*connectors.Schema // known when it came
	charge  int64
}

// Start implements connectors.SourceTask.
func (t *remoteSource) Start(ctx context.Context, start connectors.SourceStart) error {
	if t.stream != nil {
		return errors.New("the task was started before")
	}
	life, cancel := context.WithCancel(t.child.life)
	stream, err := t.child.client.Source(life)
	if err != nil {
		cancel()
		return t.child.lost(err)
	}
	t.stream, t.cancel, t.report = stream, cancel, start.Report
	t.out, t.in = newQueue[*pluginpb.SourceRequest](), newQueue[sourceItem]()
	t.started, t.stopped = make(chan error, 1), make(chan error, 1)
	t.grants.window = t.child.window
	t.ends.Go(func() { t.send(life) })
	t.ends.Go(func() { t.broken(t.receive()) })
	t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_Start{Start: &pluginpb.Start{
		Connector: start.Connector, Task: int32(start.Task), Config: start.Config,
		Offsets: offsetsToWall(start.Offsets), Window: t.child.window}}})
	select {
	case err := <-t.started:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *remoteSource) say(m *pluginpb.SourceRequest) { t.out.put(m) }

// send brings what is said to the child. When that fails, the receiver learns why.
func (t *remoteSource) send(life context.Context) {
	for {
		m, err := t.out.take(life)
		if err != nil || t.stream.Send(m) != nil {
			return
		}
	}
}

// broken ends the task's stream: whoever waits gets the error. It is nil when the task was stopped.
func (t *remoteSource) broken(err error) {
	t.cancel()
	if err == nil {
		err = errStopped
	} else {
		err = t.child.lost(err)
	}
	t.in.close(err)
	trySend(t.started, err)
	trySend(t.stopped, nil) // what is gone needs no stop
}

// trySend leaves the first result for who waits for it.
func trySend(to chan error, err error) {
	select {
	case to <- err:
	default:
	}
}

// receive takes what the child says until the task is stopped (nil) or the stream ends, and returns why it ended.
func (t *remoteSource) receive() error {
	for {
		m, err := t.stream.Recv()
		if err != nil {
			return err
		}
		switch w := m.What.(type) {
		case *pluginpb.SourceResponse_Started:
			trySend(t.started, errorFromWall(w.Started.GetError()))
		case *pluginpb.SourceResponse_Stopped:
			trySend(t.stopped, errorFromWall(w.Stopped.GetError()))
			return nil
		case *pluginpb.SourceResponse_Figures:
			list := figuresFromWall(w.Figures)
			t.figures.Store(&list)
		case *pluginpb.SourceResponse_Batch:
			err = t.arrived(m, w.Batch.GetRecords())
		case *pluginpb.SourceResponse_Report:
			err = t.arrived(m, w.Report.GetRecord())
		case *pluginpb.SourceResponse_Failed:
			err = t.arrived(m, nil)
		default:
			err = fmt.Errorf("%w: a message of an unknown kind", errNonsense)
		}
		if err != nil {
			return err
		}
	}
}

// errNonsense says that the child does not keep to the protocol.
var errNonsense = errors.New("the connector's process does not keep to the protocol")

// arrived queues a message for Read. A child that sends more than it has credit for is cut off before it fills the
// hub's memory.
func (t *remoteSource) arrived(m *pluginpb.SourceResponse, records *pluginpb.Records) error {
	schemas, err := t.schemas.add(records)
	if err != nil {
		return fmt.Errorf("%w: %w", errNonsense, err)
	}
	item := sourceItem{message: m, schemas: schemas, charge: charge(m)}
	if t.owed.Add(item.charge) > t.child.window+maxMessage {
		return fmt.Errorf("%w: it sends more than it was given credit for", errNonsense)
	}
	t.in.put(item)
	return nil
}

// Read implements connectors.SourceTask.
func (t *remoteSource) Read(ctx context.Context, b *connectors.Batch) error {
	if t.end != nil {
		return t.end
	}
	if t.stream == nil {
		return errors.New("the task was not started")
	}
	if t.again {
		t.again = false
		t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_ReadOn{ReadOn: &pluginpb.Nothing{}}})
	}
	for {
		item, err := t.in.take(ctx)
		if err != nil {
			return err
		}
		done, err := t.handle(ctx, item, b)
		t.granted(item.charge)
		if done || err != nil {
			return err
		}
	}
}

// handle reports true when Read is to return.
func (t *remoteSource) handle(ctx context.Context, item sourceItem, b *connectors.Batch) (bool, error) {
	switch w := item.message.What.(type) {
	case *pluginpb.SourceResponse_Batch:
		return true, t.fill(b, w.Batch, item.schemas)
	case *pluginpb.SourceResponse_Report:
		return false, t.answer(ctx, w.Report, item.schemas)
	case *pluginpb.SourceResponse_Failed:
		t.again = true
		return true, errorFromWall(w.Failed.GetError())
	}
	return false, nil
}

// fill makes the message the batch. The batch's Buf becomes the message's own bytes, which nobody else has.
func (t *remoteSource) fill(b *connectors.Batch, m *pluginpb.SourceBatch, schemas []*connectors.Schema) error {
	var err error
	if b.Records, err = decodeRecords(m.GetRecords(), schemas, b.Records); err != nil {
		return t.nonsense(err)
	}
	b.Buf = m.GetRecords().GetFrames()
	b.Offsets = offsetsFromWall(b.Offsets, m.GetOffsets())
	b.EventTime = m.GetEventTime()
	if m.GetEof() {
		t.end = io.EOF
	}
	return t.end
}

// nonsense ends the task because of what it sent.
func (t *remoteSource) nonsense(err error) error {
	t.cancel()
	t.end = t.child.lost(fmt.Errorf("%w: %w", errNonsense, err))
	return t.end
}

// answer lets the hub judge a record that the source cannot convert, within Read as in process.
func (t *remoteSource) answer(ctx context.Context, m *pluginpb.Report, schemas []*connectors.Schema) error {
	list, err := decodeRecords(m.GetRecord(), schemas, nil)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("a report of %d records", len(list))
	}
	if err != nil {
		return t.nonsense(err)
	}
	cause := errorFromWall(m.GetError())
	if t.report == nil {
		err = cause
	} else {
		err = t.report(ctx, list[0], cause)
	}
	t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_ReportAnswer{ReportAnswer: &pluginpb.ReportAnswer{
		Id: m.GetId(), Error: errorToWall(err)}}})
	return nil
}

// granted gives the credit of what was consumed back to the child.
func (t *remoteSource) granted(n int64) {
	if n = t.grants.add(n); n > 0 {
		t.owed.Add(-n)
		t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_Credit{Credit: &pluginpb.Credit{Bytes: n}}})
	}
}

// Commit implements connectors.SourceTask. It returns before the task has seen it; commits that the task has not seen
// yet become one. If the task refuses one, Read returns that error.
func (t *remoteSource) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	if t.stream == nil {
		return errors.New("the task was not started")
	}
	select {
	case <-t.stream.Context().Done():
		return t.child.lost(t.stream.Context().Err())
	default:
	}
	t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_Commit{Commit: &pluginpb.Commit{Offsets: offsetsToWall(offsets)}}})
	return nil
}

// Figures implements connectors.Observer, with what the task said last.
func (t *remoteSource) Figures() []connectors.Figure {
	if list := t.figures.Load(); list != nil {
		return *list
	}
	return nil
}

// Stop implements connectors.SourceTask. When ctx ends first, the task is given up: it may still run in the child,
// which then should be killed.
func (t *remoteSource) Stop(ctx context.Context) error {
	if t.stream == nil {
		return nil
	}
	t.say(&pluginpb.SourceRequest{What: &pluginpb.SourceRequest_Stop{Stop: &pluginpb.Nothing{}}})
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
