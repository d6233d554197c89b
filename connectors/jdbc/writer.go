package jdbc

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

const (
	// laneRows is how many rows of a batch make another lane worth its transaction.
	laneRows = 1000
	// troubleAfter is how long nothing gets done before that is shown, whatever max.retries is.
	troubleAfter = 3 * time.Second
	// maxBackOff bounds the wait between two attempts.
	maxBackOff = 10 * time.Second
	// positionsLinger is how long positions wait to be written that moved without a row.
	positionsLinger = time.Second
)

// writer writes batches, one after another: first all lanes at once, each the rows of its slots in a transaction of its
// own. What a lane could not write because of a row is then written by one transaction, in the order of the topic.
//
// A writer never gives up on an outage. When it gets nothing done it says so (task.trouble) and goes on trying.
type writer struct {
	t     *task
	lanes []*lane
}

// lane is a connection with what it needs to write.
type lane struct {
	conn      conn // nil: to be made
	segmenter *segmenter
	rows      []*row // of its share
}

func newWriter(t *task) *writer {
	w := &writer{t: t}
	for range t.settings.lanes {
		w.lanes = append(w.lanes, &lane{segmenter: newSegmenter(t.mode)})
	}
	return w
}

// run is the writer's goroutine. It ends with ctx, or with an error that ends the task.
func (w *writer) run(ctx context.Context) {
	defer func() {
		for _, l := range w.lanes {
			l.drop()
		}
	}()
	t := w.t
	spare := &batch{}
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	for {
		b, wait := t.takeBatch(spare)
		if b == nil {
			linger.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-t.wake:
			case <-linger.C:
			}
			continue
		}
		err := w.deliver(ctx, b)
		if err != nil && ctx.Err() != nil {
			return
		}
		if err != nil {
			t.fail(err)
			return
		}
		t.delivered(b)
		b.reset()
		spare = b
	}
}

// takeBatch makes the batch in the making the one under way, if it is due; otherwise it says how long to wait.
func (t *task) takeBatch(spare *batch) (b *batch, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.filling.empty() {
		t.flush = false
		return nil, time.Hour
	}
	linger := t.linger
	if len(t.filling.rows) == 0 {
		linger = positionsLinger
	}
	if wait = linger - time.Since(t.filling.since); wait > 0 && !t.flush && !t.full() {
		return nil, wait
	}
	t.flush = false
	t.underway, t.filling = t.filling, spare
	signal(t.progress)
	return t.underway, 0
}

// delivered says that a batch is in the database.
func (t *task) delivered(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range b.parts {
		if open := t.partitions[p.TopicPartition]; open != nil && open.epoch == p.epoch && p.end >= 0 {
			open.done = max(open.done, p.end)
		}
	}
	t.underway, t.closed, t.closing, t.trouble, t.stale = nil, nil, false, nil, false
	signal(t.progress)
}

// attempt begins an attempt at b: it takes out what was closed meanwhile, and returns a context that Close can end.
func (t *task) attempt(ctx context.Context, b *batch) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.closed) > 0 {
		b.without(t.closed)
		t.closed, t.closing = nil, false
		signal(t.progress)
	}
	t.abort = cancel
	return ctx, cancel
}

// deliver writes a batch until all of it is in the database. Its errors are those of ctx, and those that end the task.
func (w *writer) deliver(ctx context.Context, b *batch) error {
	pending, care := allSlots, bulk
	var failing failing
	stale := 0
	for {
		try, cancel := w.t.attempt(ctx, b)
		errs := w.write(try, b, &pending, care)
		if pending == 0 {
			cancel()
			return nil
		}
		w.t.figures.retries.Add(1)
		var cause error
		before := care
		for _, err := range errs {
			switch verdict, broken := w.t.judge(err), try.Err() != nil; {
			case ctx.Err() != nil:
				cancel()
				return ctx.Err()
			case broken || verdict == passing || verdict == refusedUser:
				cause = err
			case verdict == refusedRow && before == bulk:
				care = bisected
			case verdict == refusedRow && before == bisected: // at the commit: everything before passed
				care = immediate
			case verdict == staleTable && stale < 3:
				stale++
				if err := w.t.awaitRefresh(ctx); err != nil {
					cancel()
					return err
				}
			default:
				cancel()
				return w.t.classed("write rows", err)
			}
		}
		if cause != nil {
			b.retried = true
			if failing.add(w.t.maxRetries) && try.Err() == nil {
				w.t.setTrouble(w.t.classed("write rows", cause))
			}
			failing.wait(try, w.t.retryBackoff)
		}
		cancel()
	}
}

// judge says what an error means to the batch.
func (t *task) judge(err error) verdict {
	var ce *connectors.Error
	if errors.As(err, &ce) {
		return unknownError // it has a class, and ends the task
	}
	return t.dialect.verdict(err)
}

// setTrouble says why nothing gets done.
func (t *task) setTrouble(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = err
	signal(t.progress)
}

// awaitRefresh asks the caller of Put, which has the tables, to look at them again, and waits until it has.
func (t *task) awaitRefresh(ctx context.Context) error {
	t.mu.Lock()
	t.stale = true
	t.mu.Unlock()
	for {
		signal(t.progress)
		select {
		case <-t.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		t.mu.Lock()
		waiting := t.stale
		t.mu.Unlock()
		if !waiting {
			return nil
		}
	}
}

// care is how carefully a batch is written.
type care uint8

const (
	// bulk: any refused row fails the transaction.
	bulk care = iota
	// bisected: one transaction writes all rows in the topic's order, and sets aside those that are refused.
	bisected
	// immediate: so, and constraints that wait for the end of the transaction are checked at once.
	immediate
)

// write writes the pending slots of a batch, and takes from pending those that are in the database then.
func (w *writer) write(ctx context.Context, b *batch, pending *slotSet, care care) []error {
	n := min(len(w.lanes), 1+len(b.rows)/laneRows)
	if b.serial || care > bulk {
		n = 1
	}
	shares := make([]slotSet, n)
	for slot := range uint8(slots) {
		if pending.has(slot) {
			shares[int(slot)%n] |= 1 << slot
		}
	}
	errs := make([]error, n)
	var all sync.WaitGroup
	for i, of := range shares {
		if of == 0 {
			continue
		}
		all.Go(func() { errs[i] = w.lanes[i].write(ctx, w.t, b, of, care) })
	}
	all.Wait()
	var failed []error
	for i, err := range errs {
		if err != nil {
			failed = append(failed, err)
		} else {
			*pending &^= shares[i]
		}
	}
	return failed
}

// write writes a lane's share of a batch in one transaction.
func (l *lane) write(ctx context.Context, t *task, b *batch, of slotSet, care care) (err error) {
	if l.conn == nil {
		if l.conn, err = t.dialect.connect(ctx); err != nil {
			return err
		}
	}
	if b.retried && t.offsets != nil {
		if is, err := t.offsets.committed(ctx, l.conn, b.parts, of); is || err != nil {
			return l.failed(ctx, t, err)
		}
	}
	l.rows = l.rows[:0]
	for i := range b.rows {
		if r := &b.rows[i]; of.has(r.slot) && !r.gone {
			l.rows = append(l.rows, r)
		}
	}
	if t.offsets == nil && len(l.rows) == 0 {
		return nil
	}
	if _, err = l.conn.exec(ctx, "BEGIN"); err == nil {
		err = l.transact(ctx, t, b, of, care)
	}
	if err != nil {
		return l.failed(ctx, t, err)
	}
	t.figures.rows.Add(int64(len(l.rows)))
	t.figures.transactions.Add(1)
	return nil
}

func (l *lane) transact(ctx context.Context, t *task, b *batch, of slotSet, care care) (err error) {
	if t.offsets != nil {
		if err := t.offsets.advance(ctx, l.conn, b.parts, of); err != nil {
			return err
		}
	}
	if now := t.dialect.checkNow(); care == immediate && now != "" {
		if _, err := l.conn.exec(ctx, now); err != nil {
			return err
		}
	}
	if care > bulk {
		err = l.bisect(ctx, t, b, l.rows)
	} else {
		err = l.apply(ctx, b, l.rows)
	}
	if err != nil {
		return err
	}
	_, err = l.conn.exec(ctx, "COMMIT")
	return err
}

// failed ends the transaction that failed, or the connection.
func (l *lane) failed(ctx context.Context, t *task, err error) error {
	if err == nil {
		return nil
	}
	if t.judge(err) == passing || ctx.Err() != nil {
		l.drop()
		return err
	}
	if _, rollback := l.conn.exec(ctx, "ROLLBACK"); rollback != nil {
		l.drop()
	}
	return err
}

func (l *lane) drop() {
	if l.conn != nil {
		l.conn.close()
		l.conn = nil
	}
}

// apply writes rows, segment by segment.
func (l *lane) apply(ctx context.Context, b *batch, rows []*row) error {
	for len(rows) > 0 {
		var groups []group
		groups, rows = l.segmenter.next(b, rows)
		for i := range groups {
			if err := l.conn.write(ctx, &groups[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// bisect writes rows; of those that cannot be written together it writes the halves, down to the single row, which is
// reported. A bad row among n costs 2·log2(n) writes.
func (l *lane) bisect(ctx context.Context, t *task, b *batch, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	if _, err := l.conn.exec(ctx, "SAVEPOINT sluice"); err != nil {
		return err
	}
	err := l.apply(ctx, b, rows)
	if err == nil {
		_, err = l.conn.exec(ctx, "RELEASE SAVEPOINT sluice")
		return err
	}
	if t.judge(err) != refusedRow {
		return err
	}
	if _, err := l.conn.exec(ctx, "ROLLBACK TO SAVEPOINT sluice", "RELEASE SAVEPOINT sluice"); err != nil {
		return err
	}
	if len(rows) == 1 {
		return l.refused(ctx, t, b, rows[0], err)
	}
	half := len(rows) / 2
	if err := l.bisect(ctx, t, b, rows[:half]); err != nil {
		return err
	}
	return l.bisect(ctx, t, b, rows[half:])
}

// refused decides about a row that the database will never take.
func (l *lane) refused(ctx context.Context, t *task, b *batch, r *row, cause error) error {
	ref := b.ref(r)
	t.figures.refused.Add(1)
	err := &connectors.Error{Op: "write a row of " + r.shape.table.quoted, Class: connectors.ClassData, Record: &ref, Err: cause}
	if err := t.start.Report(ctx, ref, err); err != nil {
		return err
	}
	r.gone = true
	return nil
}

// failing are attempts of which none got anything done.
type failing struct {
	attempts int
	since    time.Time
}

// add counts one more, and reports whether that is trouble: after so many retries, or so long a time.
func (f *failing) add(maxRetries int) bool {
	if f.attempts == 0 {
		f.since = time.Now()
	}
	f.attempts++
	return f.attempts > maxRetries || time.Since(f.since) > troubleAfter
}

// wait waits before a retry: at random up to retry.backoff.ms doubled each time.
func (f *failing) wait(ctx context.Context, backoff time.Duration) {
	wait := min(backoff<<min(f.attempts-1, 20), maxBackOff)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(rand.N(wait) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
