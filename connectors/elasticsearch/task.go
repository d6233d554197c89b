package elasticsearch

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// task is one task of the sink.
type task struct {
	settings
	start     connectors.SinkStart
	client    *client
	routes    routes
	documents documents
	lanes     []*lane
	turn      int    // the lane of records whose document is theirs alone
	lines     []byte // scratch: the operation of one record
	figures   figures

	// ends is, of each open partition, the offset below which every record was taken; -1 before the first.
	ends map[connectors.TopicPartition]int64
	// partial says that Put failed in the middle of a batch of that partition, and took what is below its end. What is
	// put next is that batch again.
	partial connectors.TopicPartition

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
		return classed("connect to "+t.client.address, err)
	}
	t.start = start
	t.routes, t.documents = newRoutes(&t.settings, t.client), newDocuments(&t.settings)
	t.ends = make(map[connectors.TopicPartition]int64)
	t.progress, t.failed = make(chan struct{}, 1), make(chan struct{})
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

// check returns why the task cannot go on: for good, or for now.
func (t *task) check() error {
	select {
	case <-t.failed:
		return t.err
	default:
	}
	for _, l := range t.lanes {
		if err := l.inTrouble(); err != nil {
			return err
		}
	}
	return nil
}

// Put implements connectors.SinkTask.
func (t *task) Put(ctx context.Context, batch *connectors.Records) error {
	if err := t.check(); err != nil {
		return err
	}
	end := t.ends[batch.From]
	resumes := t.partial == batch.From
	for i := range batch.List {
		r := &batch.List[i]
		if resumes && r.Offset < end {
			continue
		}
		if err := t.put(ctx, batch.From, r); err != nil {
			t.ends[batch.From], t.partial = r.Offset, batch.From
			return err
		}
	}
	if batch.End > 0 && (!resumes || batch.End >= end) {
		t.ends[batch.From], t.partial = batch.End, connectors.TopicPartition{}
	}
	return nil
}

// put brings one record into its lane. What cannot be made an operation is reported.
func (t *task) put(ctx context.Context, from connectors.TopicPartition, r *connectors.Record) error {
	to := t.routes.of(r.Topic)
	d, err := t.documents.append(t.lines[:0], to, r, from)
	switch {
	case err == nil:
		if t.lines = d.lines; cap(t.lines) > maxKept {
			t.lines = nil
		}
	case errors.Is(err, errSkip):
		t.figures.skipped.Add(1)
		return nil
	case errors.Is(err, errNoObject):
		return t.refused(ctx, connectors.RecordRef{TopicPartition: from, Offset: r.Offset}, err)
	default:
		return t.invalid(ctx, connectors.RecordRef{TopicPartition: from, Offset: r.Offset}, err)
	}
	if !d.isDelete { // a delete needs no index, and has no schema to make one from
		if err := t.routes.ensure(ctx, to, r.Value.Schema); err != nil {
			return err
		}
	}
	doc := t.document(to, d.id, r.Offset)
	l := t.lanes[doc%uint64(len(t.lanes))]
	if to.ignoreKey || t.autoIDs {
		l = t.inTurn(len(d.lines))
	}
	for !l.add(d.lines, doc, from, r.Offset) {
		select {
		case <-l.room:
			if err := l.inTrouble(); err != nil {
				return err
			}
		case <-t.failed:
			return t.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// inTurn returns the lane for a record whose document is its alone: no order binds it to a lane. One bulk is filled after
// the other, so each is a run of the topic, and as large as it may be. Of documents dealt out to all lanes, the server
// would have to merge ids and numbers that interleave in all segments.
func (t *task) inTurn(bytes int) *lane {
	if !t.lanes[t.turn].fills(bytes) {
		t.turn = (t.turn + 1) % len(t.lanes)
	}
	return t.lanes[t.turn]
}

// document returns the hash that says which operations are on one document. Without an id each has its own.
func (t *task) document(to *route, id []byte, offset int64) uint64 {
	if len(id) == 0 {
		return uint64(offset)
	}
	return to.hash ^ maphash.Bytes(t.routes.seed, id)
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

// refused decides about a document that the cluster will never take. It is called by Put and by the lanes.
func (t *task) refused(ctx context.Context, at connectors.RecordRef, err error) error {
	t.figures.refused.Add(1)
	e := &connectors.Error{Op: "write a document", Class: connectors.ClassData, Record: &at, Err: err}
	reported := t.start.Report(ctx, at, e)
	if reported == nil || t.malformed == onFail || connectors.ClassOf(reported) != connectors.ClassData {
		return reported
	}
	if t.malformed == onWarn {
		t.start.Log.Warn("document refused, and dropped by behavior.on.malformed.documents", "record", at.String(), "cause", err)
	}
	return nil
}

// Flush implements connectors.SinkTask. Trouble is no error of a flush that is not forced: what it says is true, and
// the next Put says the trouble.
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

// settle waits until every lane is idle, or in trouble.
func (t *task) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.flushTimeout, &connectors.Error{Op: "flush", Class: connectors.ClassEnvironment, Retriable: true,
		Err: fmt.Errorf("the cluster did not settle everything within flush.timeout.ms=%d", t.flushTimeout.Milliseconds())})
	defer cancel()
	return t.until(ctx, func() (bool, error) {
		idle := true
		for _, l := range t.lanes {
			idle = l.force() && idle
		}
		if idle {
			return true, nil
		}
		return false, t.check()
	})
}

// until waits until done says so. It asks again whenever a lane has made progress.
func (t *task) until(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
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

// closePatience is how long Close waits for requests under way before it breaks them off.
const closePatience = 5 * time.Second

// Close implements connectors.SinkTask. What is not under way is dropped. What is cannot be called back, so its answer
// is waited for: a write that came after another task's would undo it. It is not sent again.
func (t *task) Close(ctx context.Context, parts []connectors.TopicPartition) error {
	for _, p := range parts {
		delete(t.ends, p)
		if t.partial == p {
			t.partial = connectors.TopicPartition{}
		}
	}
	for _, l := range t.lanes {
		l.drop(parts)
	}
	patient, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	err := t.until(patient, func() (bool, error) { return t.dropped(false), nil })
	if err == nil || patient.Err() == nil {
		return err
	}
	hurry, cancelHurry := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancelHurry()
	return t.until(hurry, func() (bool, error) { return t.dropped(true), nil })
}

// dropped reports whether all lanes have dropped what was closed.
func (t *task) dropped(hurry bool) bool {
	all := true
	for _, l := range t.lanes {
		all = l.dropped(hurry) && all
	}
	return all
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
