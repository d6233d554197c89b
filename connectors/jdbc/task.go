package jdbc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// task is one task of the sink. Put makes rows and fills a batch; a goroutine (writer.go) writes the batch before.
type task struct {
	settings
	start   connectors.SinkStart
	dialect dialect
	offsets *offsets // nil: at least once
	control conn     // of Put, for questions and DDL; nil: to be made
	plans   plans
	cells   cells
	encoded []byte            // scratch
	keyed   connectors.Record // scratch of withTypedKey

	plainKeys  plainKeys
	headerKeys headerKeys
	figures    figures

	mu         sync.Mutex
	partitions map[connectors.TopicPartition]*partition
	filling    *batch
	underway   *batch // nil: none
	flush      bool   // what is there is to be written at once
	trouble    error  // why nothing gets done
	stale      bool   // the writer waits until the tables of the batch under way were looked at again
	closed     []connectors.TopicPartition
	closing    bool // Close waits until the writer has looked at closed
	abort      context.CancelFunc

	cancel   context.CancelFunc
	running  sync.WaitGroup
	wake     chan struct{} // there is something for the writer to look at
	progress chan struct{} // the writer got on, or into trouble
	failed   chan struct{} // closed when err is set
	once     sync.Once
	err      error
}

// partition is an open topic partition.
type partition struct {
	at connectors.TopicPartition
	// end is the offset below which every record was taken, -1 before the first; done that below which all are in the
	// database.
	end, done int64
	// positions are those that the database had of the slots when the partition was opened: rows below them are there.
	positions [slots]int64
	epoch     int64
	// envelopes and flat say what its records were.
	envelopes, flat bool
	row             *connectors.Schema // of the last row beside a key without schema
}

// figures are the counts that the hub shows.
type figures struct{ rows, transactions, retries, refused, skipped atomic.Int64 }

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
	if t.dialect, err = newDialect(&t.settings); err != nil {
		return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	t.start, t.plans = start, newPlans()
	t.cells = cells{dialect: t.dialect, scratch: make([]byte, 0, 4096), nullsOut: t.mode == modeInsert}
	if err := t.connect(ctx); err != nil {
		return err
	}
	if err := t.prepareOffsets(ctx); err != nil {
		return err
	}
	t.partitions = map[connectors.TopicPartition]*partition{}
	t.filling = &batch{}
	t.wake, t.progress, t.failed = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
	ctx, t.cancel = context.WithCancel(context.Background())
	w := newWriter(t)
	t.running.Go(func() { w.run(ctx) })
	return nil
}

// connect makes the connection of Put.
func (t *task) connect(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		c, err := t.dialect.connect(ctx)
		if err == nil {
			t.control = c
			return nil
		}
		if attempt >= t.attempts || t.dialect.verdict(err) == refusedUser || connectors.Sleep(ctx, t.attemptsPause) != nil {
			return t.classed("connect to "+t.address.String(), err)
		}
	}
}

// ask runs what needs a connection on that of Put. One that broke is made again for the next call.
func (t *task) ask(ctx context.Context, op string, do func(c conn) error) error {
	if t.control == nil {
		if err := t.connect(ctx); err != nil {
			return err
		}
	}
	err := do(t.control)
	if err == nil {
		return nil
	}
	if t.dialect.verdict(err) == passing {
		t.control.close()
		t.control = nil
	}
	return t.classed(op, err)
}

// Open implements connectors.SinkTask. With exactly_once it fences every other task off the partitions, and answers the
// positions that the database has.
func (t *task) Open(ctx context.Context, parts []connectors.TopicPartition) ([]connectors.Position, error) {
	opened := make([]*partition, len(parts))
	for i, at := range parts {
		opened[i] = &partition{at: at, end: -1, done: -1}
	}
	var positions []connectors.Position
	if t.offsets != nil && len(parts) > 0 {
		err := t.ask(ctx, "take over the positions in "+offsetsTable, func(c conn) error { return t.offsets.claim(ctx, c, opened) })
		if err != nil {
			return nil, err
		}
		for _, p := range opened {
			if least := slices.Min(p.positions[:]); least >= 0 {
				positions = append(positions, connectors.Position{TopicPartition: p.at, Offset: least})
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range opened {
		t.partitions[p.at] = p
	}
	return positions, nil
}

// fail ends the task with the first error of the writer.
func (t *task) fail(err error) {
	t.once.Do(func() {
		t.err = err
		close(t.failed)
	})
}

// check returns why the task cannot go on: for good, or for now. It looks at tables again when the writer asks for it.
func (t *task) check(ctx context.Context) error {
	select {
	case <-t.failed:
		return t.err
	default:
	}
	if t.stale {
		if err := t.refresh(ctx, t.underway); err != nil {
			return err
		}
		t.stale = false
		signal(t.wake)
	}
	return t.trouble
}

// signal puts a token into a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Put implements connectors.SinkTask.
func (t *task) Put(ctx context.Context, records *connectors.Records) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.check(ctx); err != nil {
		return err
	}
	p := t.partitions[records.From]
	if p == nil {
		return nil // the empty call before anything is open
	}
	if err := t.again(p, records); err != nil {
		return err
	}
	for i := range records.List {
		r := &records.List[i]
		if r.Offset < p.end {
			continue // taken by a Put that failed behind it
		}
		if err := t.room(ctx); err != nil {
			return err
		}
		if err := t.take(ctx, p, r); err != nil {
			if err := t.bad(ctx, p, r, err); err != nil {
				return err
			}
		}
		t.advance(p, r.Offset+1)
	}
	if records.End > p.end && records.End > 0 {
		t.advance(p, records.End)
	}
	return nil
}

// bad decides about a record of which no row was made.
func (t *task) bad(ctx context.Context, p *partition, r *connectors.Record, err error) error {
	if errors.Is(err, errSkip) {
		t.figures.skipped.Add(1)
		return nil
	}
	var ce *connectors.Error
	if errors.As(err, &ce) || ctx.Err() != nil {
		return err
	}
	t.figures.refused.Add(1)
	ref := connectors.RecordRef{TopicPartition: p.at, Offset: r.Offset}
	return t.start.Report(ctx, ref, &connectors.Error{Op: "make a row", Class: connectors.ClassData, Record: &ref, Err: err})
}

// advance says that everything below an offset was taken.
func (t *task) advance(p *partition, end int64) {
	p.end = end
	t.filling.parts[t.partIn(p)].end = end
	t.filling.parts[t.filling.last].epoch = p.epoch
	if t.full() {
		signal(t.wake)
	}
}

// full reports whether the batch in the making takes nothing more.
func (t *task) full() bool {
	return len(t.filling.rows) >= t.batchRows || len(t.filling.arena) >= t.batchBytes
}

// room waits until the batch in the making takes a record.
func (t *task) room(ctx context.Context) error {
	return t.until(ctx, func() bool { return !t.full() })
}

// until waits until something is so. Meanwhile others have the lock.
func (t *task) until(ctx context.Context, is func() bool) error {
	for !is() {
		signal(t.wake)
		t.mu.Unlock()
		select {
		case <-t.progress:
		case <-t.failed:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := t.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until everything that was taken is in the database.
func (t *task) settle(ctx context.Context) error {
	return t.until(ctx, func() bool {
		t.flush = true
		return t.filling.empty() && t.underway == nil
	})
}

// Flush implements connectors.SinkTask. Trouble is no error of a flush that is not forced: what it says is true, and the
// next Put says the trouble.
func (t *task) Flush(ctx context.Context, force bool) ([]connectors.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
	for at, p := range t.partitions {
		if p.done >= 0 {
			positions = append(positions, connectors.Position{TopicPartition: at, Offset: p.done})
		}
	}
	return positions, nil
}

// closePatience is how long Close waits for a transaction under way before it breaks it off.
const closePatience = 5 * time.Second

// Close implements connectors.SinkTask. What is not under way is dropped. A transaction under way is waited for, and not
// made again for what was closed.
func (t *task) Close(ctx context.Context, parts []connectors.TopicPartition) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range parts {
		delete(t.partitions, at)
	}
	t.filling.without(parts)
	if t.underway == nil {
		return nil
	}
	t.closed = append(t.closed, parts...)
	t.closing = true
	t.stale = false
	signal(t.wake)
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	for hurry := false; t.closing; {
		t.mu.Unlock()
		select {
		case <-t.progress:
		case <-t.failed:
			t.mu.Lock()
			return nil // the writer has ended, and with it the transaction
		case <-patience.C:
			hurry = true
		case <-ctx.Done():
			t.mu.Lock()
			return ctx.Err()
		}
		t.mu.Lock()
		if hurry && t.closing && t.abort != nil {
			t.abort()
		}
	}
	return nil
}

// Stop implements connectors.SinkTask.
func (t *task) Stop(context.Context) error {
	if t.cancel != nil {
		t.cancel()
		t.running.Wait()
	}
	if t.control != nil {
		t.control.close()
	}
	return nil
}

// Figures implements connectors.Observer.
func (t *task) Figures() []connectors.Figure {
	once := 0.0
	if t.offsets != nil {
		once = 1
	}
	return []connectors.Figure{
		{Name: "jdbc_exactly_once", Help: "Whether the task keeps its positions in the database, with the rows.", Value: once},
		{Name: "jdbc_written_rows", Help: "Rows written, deleted ones included.", Value: float64(t.figures.rows.Load())},
		{Name: "jdbc_transactions", Help: "Transactions committed.", Value: float64(t.figures.transactions.Load())},
		{Name: "jdbc_retries", Help: "Transactions made again.", Value: float64(t.figures.retries.Load())},
		{Name: "jdbc_refused_rows", Help: "Records that the database refused, or of which no row could be made.", Value: float64(t.figures.refused.Load())},
		{Name: "jdbc_skipped_records", Help: "Records that are no row by the configuration: tombstones and deletes without delete.enabled, truncates without truncate.enabled.", Value: float64(t.figures.skipped.Load())},
	}
}

// classed says what an error of the database means to the hub.
func (t *task) classed(op string, err error) error {
	var ce *connectors.Error
	if err == nil || errors.As(err, &ce) || errors.Is(err, context.Canceled) {
		return err
	}
	e := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Err: err, Remedy: remedyOf(err)}
	switch t.dialect.verdict(err) {
	case passing, refusedUser:
		e.Retriable = true
	case refusedRow, staleTable:
		e.Class = connectors.ClassConfig
	case unknownError:
		e.Class = connectors.ClassConfig
	}
	return e
}

// fenced is the error of a task whose partitions another one has.
func fenced(at connectors.TopicPartition) error {
	return &connectors.Error{Op: "write positions", Class: connectors.ClassEnvironment,
		Err: fmt.Errorf("another task has taken over %s-%d in %s; nothing of this task's transaction was written", at.Topic, at.Partition, offsetsTable)}
}
