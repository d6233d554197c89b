package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/sluicehub/sluice/connectors"
)

// task is one task of the sink.
type task struct {
	settings
	start     connectors.SinkStart
	client    *client
	indices   indices
	documents documents
	lanes     []*lane
	seed      maphash.Seed
	lines     []byte // scratch: the operation of one record
	figures   figures

	ends map[connectors.TopicPartition]int64 // next offset of each open partition

	cancel   context.CancelFunc
	running  sync.WaitGroup
	progress chan struct{} // a bulk was settled
	failed   chan struct{} // closed when err is set
	once     sync.Once
	err      error
}

// figures are the counts that the hub shows.
type figures struct{ requests, retries, refused, skipped atomic.Int64 }

var (
	_ connectors.SinkTask = (*task)(nil)
	_ connectors.Observer = (*task)(nil)
)

// Start implements connectors.SinkTask.
func (t *task) Start(ctx context.Context, start connectors.SinkStart) error {
	var err error
	if t.settings, err = parseSettings(start.Config); err != nil {
		return err
	}
	if t.client, err = newClient(t.settings); err != nil {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	if err := t.client.health(ctx); err != nil {
		return classed("connect to "+t.values.String("connection.url"), err)
	}
	t.start = start
	t.indices = indices{t.client, make(map[string]bool)}
	for _, resource := range t.resources {
		t.indices.ready[resource] = true
	}
	t.documents = documents{settings: t.settings, printers: make(map[*connectors.Schema]*connectors.JSONPrinter)}
	t.ends = make(map[connectors.TopicPartition]int64)
	t.seed, t.progress, t.failed = maphash.MakeSeed(), make(chan struct{}, 1), make(chan struct{})
	ctx, t.cancel = context.WithCancel(context.Background())
	for range t.settings.lanes {
		l := newLane(t)
		t.lanes = append(t.lanes, l)
		t.running.Go(func() { l.run(ctx) })
	}
	return nil
}

// fail ends the task with the first error of a lane.
func (t *task) fail(err error) {
	t.once.Do(func() {
		t.err = err
		close(t.failed)
	})
}

// Open implements connectors.SinkTask. The cluster knows no positions: ids and versions make a repeated write harmless.
func (t *task) Open(_ context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	for _, p := range parts {
		t.ends[p] = -1
	}
	return nil, nil
}

// Put implements connectors.SinkTask.
func (t *task) Put(ctx context.Context, batch *connectors.Records) error {
	select {
	case <-t.failed:
		return t.err
	default:
	}
	for i := range batch.List {
		if err := t.put(ctx, batch.From, &batch.List[i]); err != nil {
			return err
		}
	}
	if batch.End > 0 {
		t.ends[batch.From] = batch.End
	}
	return nil
}

// put brings one record into its lane. What cannot be made an operation is reported.
func (t *task) put(ctx context.Context, from connectors.TopicPartition, r *connectors.Record) error {
	index := t.index(r.Topic)
	schema := r.Value.Schema
	if t.ignoresSchema(r.Topic) {
		schema = nil
	}
	lines, id, err := t.documents.append(t.lines[:0], index, r, from)
	t.lines = lines
	if errors.Is(err, errSkip) {
		t.figures.skipped.Add(1)
		return nil
	}
	at := connectors.RecordRef{TopicPartition: from, Offset: r.Offset}
	if err != nil {
		return t.invalid(ctx, at, err)
	}
	if err := t.indices.ensure(ctx, index, schema, t.json); err != nil {
		return err
	}
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.WriteString(index)
	h.WriteByte(0)
	if h.Write(id); len(id) == 0 {
		h.WriteString(at.String())
	}
	doc := h.Sum64()
	l := t.lanes[doc%uint64(len(t.lanes))]
	// The position must not pass this record while it waits for room.
	t.ends[from] = r.Offset
	for !l.add(lines, doc, from, r.Offset) {
		select {
		case <-l.room:
		case <-t.failed:
			return t.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// invalid decides about a record that is no document.
func (t *task) invalid(ctx context.Context, at connectors.RecordRef, err error) error {
	e := &connectors.Error{Op: "make a document", Class: connectors.ClassData, Record: &at, Err: err}
	if t.dropInvalid {
		t.figures.skipped.Add(1)
		t.start.Log.Warn("record dropped by drop.invalid.message", "record", at.String(), "cause", err)
		return nil
	}
	return t.start.Report(ctx, at, e)
}

// refused decides about a document that the cluster will never take.
func (t *task) refused(ctx context.Context, at connectors.RecordRef, err error) error {
	t.figures.refused.Add(1)
	e := &connectors.Error{Op: "write a document", Class: connectors.ClassData, Record: &at, Err: err}
	reported := t.start.Report(ctx, at, e)
	switch {
	case reported == nil || t.malformed == onFail:
		return reported
	case t.malformed == onWarn:
		t.start.Log.Warn("document refused, and dropped by behavior.on.malformed.documents", "record", at.String(), "cause", err)
	}
	return nil
}

// Flush implements connectors.SinkTask.
func (t *task) Flush(ctx context.Context, force bool) ([]connectors.Position, error) {
	if force {
		if err := t.settle(ctx); err != nil {
			return nil, err
		}
	}
	select {
	case <-t.failed:
		return nil, t.err
	default:
	}
	var positions []connectors.Position
	for at, end := range t.ends {
		if end < 0 {
			continue
		}
		for _, l := range t.lanes {
			end = l.first(at, end)
		}
		positions = append(positions, connectors.Position{TopicPartition: at, Offset: end})
	}
	return positions, nil
}

// settle waits until every lane is idle.
func (t *task) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.flushTimeout, &connectors.Error{Op: "flush", Class: connectors.ClassEnvironment, Retriable: true,
		Err: fmt.Errorf("the cluster did not settle everything within flush.timeout.ms=%d", t.flushTimeout.Milliseconds())})
	defer cancel()
	for {
		idle := true
		for _, l := range t.lanes {
			if !l.idle() {
				idle = false
				l.force()
			}
		}
		if idle {
			return nil
		}
		select {
		case <-t.progress:
		case <-t.failed:
			return t.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Close implements connectors.SinkTask. What is under way cannot be called back, so it is waited for: a write that
// came after another task's would undo it.
func (t *task) Close(ctx context.Context, parts []connectors.TopicPartition) error {
	err := t.settle(ctx)
	for _, p := range parts {
		delete(t.ends, p)
	}
	return err
}

// Stop implements connectors.SinkTask.
func (t *task) Stop(context.Context) error {
	if t.cancel != nil {
		t.cancel()
		t.running.Wait()
	}
	if t.client != nil {
		t.client.close()
	}
	return nil
}

// Figures implements connectors.Observer.
func (t *task) Figures() []connectors.Figure {
	return []connectors.Figure{
		{Name: "elasticsearch_bulk_requests", Help: "Bulk requests sent.", Value: float64(t.figures.requests.Load())},
		{Name: "elasticsearch_retries", Help: "Bulk requests sent again, in part or whole.", Value: float64(t.figures.retries.Load())},
		{Name: "elasticsearch_refused_documents", Help: "Documents that the cluster refused.", Value: float64(t.figures.refused.Load())},
		{Name: "elasticsearch_skipped_records", Help: "Records skipped by behavior.on.null.values or drop.invalid.message.", Value: float64(t.figures.skipped.Load())},
	}
}
