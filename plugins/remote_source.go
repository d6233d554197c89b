package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
)

// remoteSource is a source task in a child, seen from the hub: a connectors.SourceTask that behaves as the task would
// in process.
type remoteSource struct {
	remoteTask
	in      *queue[sourceItem]
	schemas schemaReader // of the receiving goroutine
	signals reports      // calls of Signal that wait for their answer
	owed    atomic.Int64 // bytes received and not granted again
	report  func(ctx context.Context, bad connectors.Record, err error) error

	// Of the goroutine that calls Read.
	grants grants
	end    error // what Read returns for ever
}

func newRemoteSource(child *Child) *remoteSource {
	return &remoteSource{remoteTask: newRemoteTask(child), in: newQueue[sourceItem](), grants: grants{window: child.window}}
}

// sourceItem is what waits for Read.
type sourceItem struct {
	message *pluginpb.FromTask
	schemas []*connectors.Schema // known when it came
	charge  int64
}

// Start implements connectors.SourceTask.
func (t *remoteSource) Start(ctx context.Context, start connectors.SourceStart) error {
	t.report = start.Report
	err := t.open(&pluginpb.Start{Connector: start.Connector, Task: int32(start.Task), Config: start.Config,
		Offsets: offsetsToWall(start.Offsets)}, t.arrived, t.in.close)
	if err != nil {
		return err
	}
	return t.ready(ctx)
}

// errNonsense says that the child does not keep to the protocol.
var errNonsense = errors.New("the connector's process does not keep to the protocol")

// arrived queues a message for Read. A child that sends more than it has credit for is cut off before it fills the
// hub's memory.
func (t *remoteSource) arrived(m *pluginpb.FromTask) error {
	var records *pluginpb.Records
	switch w := m.What.(type) {
	case *pluginpb.FromTask_SignalAnswer:
		t.signals.answer(w.SignalAnswer)
		return nil
	case *pluginpb.FromTask_Batch:
		records = w.Batch.GetRecords()
	case *pluginpb.FromTask_Report:
		records = w.Report.GetRecord()
	case *pluginpb.FromTask_Failed:
	default:
		return fmt.Errorf("%w: a source does not send %T", errNonsense, m.What)
	}
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
		return errNotStarted
	}
	t.goOn()
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
	case *pluginpb.FromTask_Batch:
		return true, t.fill(b, w.Batch, item.schemas)
	case *pluginpb.FromTask_Report:
		return false, t.answer(ctx, w.Report, item.schemas)
	case *pluginpb.FromTask_Failed:
		t.again = true
		return true, errorFromWall(w.Failed.GetError())
	}
	return false, nil
}

// fill makes the message the batch. The batch's Buf becomes the message's own bytes, which nobody else has; the one it
// was is free, as for a task in process, which would write over it.
func (t *remoteSource) fill(b *connectors.Batch, m *pluginpb.SourceBatch, schemas []*connectors.Schema) error {
	var err error
	if b.Records, err = decodeRecords(m.GetRecords(), schemas, b.Records); err != nil {
		return t.nonsense(err)
	}
	t.encoder.memory.give(b.Buf)
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
	err = errorFromWall(m.GetError())
	if t.report != nil {
		err = t.report(ctx, list[0], err)
	}
	t.sayAnswer(m, err)
	return nil
}

// granted gives the credit of what was consumed back to the child.
func (t *remoteSource) granted(n int64) {
	if n = t.grants.add(n); n > 0 {
		t.owed.Add(-n)
		t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Credit{Credit: &pluginpb.Credit{Bytes: n}}})
	}
}

// Commit implements connectors.SourceTask. It returns before the task has seen it; commits that the task has not seen
// yet become one. If the task refuses one, Read returns that error.
func (t *remoteSource) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	if t.stream == nil {
		return errNotStarted
	}
	if err := t.life.Err(); err != nil {
		return t.child.lost(err)
	}
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Commit{Commit: &pluginpb.Commit{Offsets: offsetsToWall(offsets)}}})
	return nil
}

// Signal implements connectors.Signaller.
func (t *remoteSource) Signal(ctx context.Context, s connectors.Signal) error {
	if t.stream == nil {
		return errNotStarted
	}
	id, answer := t.signals.begin()
	defer t.signals.end(id)
	t.say(&pluginpb.ToTask{What: &pluginpb.ToTask_Signal{Signal: &pluginpb.Signal{Id: id, Name: valid(s.ID), Type: valid(s.Type), Data: valid(s.Data)}}})
	select {
	case err := <-answer:
		return err
	case <-t.life.Done():
		return t.child.lost(t.life.Err())
	case <-ctx.Done():
		return ctx.Err()
	}
}
