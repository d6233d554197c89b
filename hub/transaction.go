package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/durable"
)

const (
	// readAhead is how many batches are read while a transaction ends.
	readAhead = 4
	// settled is how long nothing may come until a transaction ends: what comes together ends together.
	settled = time.Millisecond
	// transactionAge bounds how long a transaction is open under load. It is how late readers see a record then.
	transactionAge = 100 * time.Millisecond
	// abortTimeout bounds the abort of a transaction. One that is left open keeps readers waiting until the next run.
	abortTimeout = 5 * time.Second
)

// transactions is a run of a source task that writes records, dead letters and source offsets in transactions. One
// goroutine reads; another appends, ends the transactions and tells the source. Whole batches only are in a
// transaction, as many as are ready (Kafka Connect ends one with each), or as come within an interval.
type transactions struct {
	*sourceRun
	interval bool
	every    time.Duration // of the interval

	letters []*kgo.Record // of rows that the source reports, of the Read that runs

	current     *durable.Batch // being appended
	begun       bool
	open        []flight // batches in the transaction
	began, last time.Time
	ended       time.Time // when the transaction before did
}

// reading is a batch that was read, and the dead letters that came with it.
type reading struct {
	batch   connectors.Batch
	letters []*kgo.Record
}

// newTransactions prepares a run: from here on nobody else writes under the task's id, and all that anybody did is
// known.
func (s *sourceRun) newTransactions(ctx context.Context) (*transactions, error) {
	t := &transactions{sourceRun: s, interval: s.settings.boundary == boundaryInterval, every: s.hub.boundaryEvery(s.settings), ended: time.Now()}
	if _, _, err := s.client.ProducerID(ctx); err != nil {
		return nil, t.explain(fmt.Errorf("become the producer of the transactional id: %w", err))
	}
	if err := s.offsets.refresh(ctx, s.hub); err != nil {
		return nil, logError("", err)
	}
	s.writer, s.task = durable.NewWholeWriter(s.client, sourceInFlight), attempts{s.task, t}
	if s.errors.letters != nil {
		s.errors.letters.write = t.join
	}
	return t, nil
}

// reportRow is connectors.SourceStart.Report: the row's dead letter waits for its batch.
func (t *transactions) reportRow(ctx context.Context, rec connectors.Record, err error) error {
	handler := *t.errors
	if handler.letters != nil {
		letters := *handler.letters
		letters.write = func(_ context.Context, r *kgo.Record) error {
			t.letters = append(t.letters, r)
			return nil
		}
		handler.letters = &letters
	}
	return handler.report(ctx, badRecord{original: t.pipeline.readable(rec), source: true, stage: stagePoll, class: t.settings.class, err: err})
}

// attempts is a task of which each Read begins without dead letters: those of one that failed are reported again.
type attempts struct {
	connectors.SourceTask
	run *transactions
}

func (a attempts) Read(ctx context.Context, b *connectors.Batch) error {
	a.run.letters = nil
	return a.SourceTask.Read(ctx, b)
}

// join adds a dead letter to the batch that is being appended.
func (t *transactions) join(ctx context.Context, letter *kgo.Record) error {
	r, _, err := t.current.Next(ctx)
	if err == nil {
		*r = *letter
		r.Partition = connectors.AnyPartition
	}
	return err
}

// move runs both goroutines until ctx ends or one of them fails.
func (t *transactions) move(ctx context.Context) error {
	readCtx, stopReading := context.WithCancelCause(ctx)
	defer stopReading(nil)
	// The transaction that is open is brought to its end after ctx ended, for a limited time.
	drainCtx, stopDraining := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopDraining(nil)
	batches, free := make(chan *reading, readAhead), make(chan *reading, readAhead)
	for range readAhead - 1 {
		free <- &reading{}
	}
	read := make(chan error, 1)
	go func() {
		read <- t.readAll(readCtx, batches, free)
		limit := time.AfterFunc(t.hub.graceful, func() {
			stopDraining(errors.New("the log did not answer within task.shutdown.graceful.timeout.ms"))
		})
		context.AfterFunc(drainCtx, func() { limit.Stop() })
		close(batches)
	}()
	err := t.deliver(drainCtx, batches, free)
	t.abort(ctx)
	stopReading(err)
	for range batches {
		// what was read in vain is read again
	}
	readErr := <-read
	switch {
	case ctx.Err() != nil:
		if err != nil {
			t.log.Warn("a stopping source did not bring its last batches to their end; they are read again later", "error", t.redact(err.Error()))
		}
		return nil
	case err != nil:
		return t.explain(err)
	}
	return readErr
}

// readAll takes batches from the task until ctx ends.
func (t *transactions) readAll(ctx context.Context, batches chan<- *reading, free <-chan *reading) error {
	r := &reading{}
	return t.read(ctx, &r.batch, func(ctx context.Context, _ *connectors.Batch) (*connectors.Batch, error) {
		r.letters = t.letters
		batches <- r // there are no more of them than it holds
		select {
		case r = <-free:
			return &r.batch, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	})
}

// deliver appends batches and ends transactions until there are no more batches.
func (t *transactions) deliver(ctx context.Context, batches <-chan *reading, free chan<- *reading) error {
	for {
		r, more, err := t.next(ctx, batches)
		if err != nil {
			return err
		}
		if r == nil {
			if err := t.end(ctx); err != nil || !more {
				return err
			}
			continue
		}
		if refused := t.append(ctx, r); refused != nil {
			if t.begun && ctx.Err() == nil { // the batches before it are whole
				err = t.end(ctx)
			}
			return errors.Join(refused, err)
		}
		free <- r
	}
}

// next returns the next batch, or none when the open transaction is to end; more is false if no batch will come.
func (t *transactions) next(ctx context.Context, batches <-chan *reading) (r *reading, more bool, err error) {
	var due <-chan time.Time
	var paused <-chan struct{}
	if t.begun {
		wait := time.Until(t.due())
		if wait <= 0 {
			return nil, true, nil
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due, paused = timer.C, t.gate.shutting()
	}
	select {
	case r, more = <-batches:
		return r, more, nil
	case <-due:
	case <-paused:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	return nil, true, nil
}

// due returns when the open transaction is to end if nothing comes.
func (t *transactions) due() time.Time {
	if t.interval {
		return t.ended.Add(t.every)
	}
	idle, old := t.last.Add(settled), t.began.Add(transactionAge)
	if idle.Before(old) {
		return idle
	}
	return old
}

// append gives one batch to the log, in the open transaction.
func (t *transactions) append(ctx context.Context, r *reading) error {
	t.count(&r.batch)
	t.current = t.writer.Begin(r.batch.Offsets)
	err := t.fill(ctx, r)
	if err != nil {
		t.current.Discard()
		return err
	}
	if !t.begun {
		if err := t.client.BeginTransaction(); err != nil {
			t.current.Discard()
			return fmt.Errorf("begin a transaction: %w", err)
		}
		t.begun, t.began = true, time.Now()
	}
	if err := t.current.Send(ctx); err != nil { // ctx ended: some of the batch is in the transaction, which is aborted
		return err
	}
	t.open = append(t.open, flight{batch: t.current, eventTime: r.batch.EventTime})
	t.last = time.Now()
	t.figures.inFlight.Store(int64(t.writer.InFlight()))
	return nil
}

func (t *transactions) fill(ctx context.Context, r *reading) error {
	for _, letter := range r.letters {
		if err := t.join(ctx, letter); err != nil {
			return err
		}
	}
	for i := range r.batch.Records {
		if err := t.appendRecord(ctx, t.current, &r.batch.Records[i]); err != nil {
			return err
		}
	}
	return nil
}

// end ends the open transaction, with the source offsets of its batches, and tells the source (I1).
func (t *transactions) end(ctx context.Context) error {
	if !t.begun {
		return nil
	}
	var records durable.Records
	for _, f := range t.open {
		more, err := t.acknowledged(ctx, f)
		if err != nil {
			return err
		}
		records = records.And(more)
	}
	offsets, err := durable.Save(ctx, t, t.connector, records)
	if err != nil {
		return err
	}
	n := 0
	for _, f := range t.open {
		t.delivered(f)
		n += f.batch.Count
	}
	t.figures.transactions.observe(n)
	t.open, t.ended = t.open[:0], time.Now()
	t.figures.commits.Add(1)
	return offsets.Commit(ctx, t.task)
}

// SaveOffsets is durable.Store: it puts the source offsets into the transaction and ends it.
func (t *transactions) SaveOffsets(ctx context.Context, connector string, offsets []connectors.SourceOffset) error {
	return t.offsets.save(connector, offsets, func(records []*kgo.Record) error {
		if len(records) > 0 {
			if err := produceAll(ctx, t.client, records...); err != nil {
				return err
			}
		}
		if err := t.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return fmt.Errorf("end the transaction: %w", err)
		}
		t.begun = false
		return nil
	})
}

// abort ends the open transaction without a trace, so that readers need not wait for the next run.
func (t *transactions) abort(ctx context.Context) {
	if !t.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := t.client.AbortBufferedRecords(ctx)
	if err == nil {
		err = t.client.EndTransaction(ctx, kgo.TryAbort)
	}
	if err != nil {
		t.log.Info("a transaction was not aborted; the next run of the task does that, or the log in time", "error", t.redact(err.Error()))
	}
}

// explain classes what goes wrong with a transaction. The task begins anew where the last one that was ended left it.
func (t *transactions) explain(err error) error {
	for _, lost := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidTxnState, kerr.InvalidProducerIDMapping, kerr.UnknownProducerID} {
		if errors.Is(err, lost) {
			return &connectors.Error{Op: "write as " + t.hub.transactionalID(t.connector, t.index), Class: connectors.ClassEnvironment, Err: err,
				Remedy: "a newer generation of this task writes, or the transaction took longer than producer.override.transaction.timeout.ms: raise that, or make transaction.boundary.interval.ms shorter"}
		}
	}
	return logError("", err)
}
