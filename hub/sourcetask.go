package hub

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/durable"
)

const (
	// sourceInFlight bounds the bytes of a source task that the log has not acknowledged.
	sourceInFlight = 8 << 20
	// sourceBatches bounds the batches in flight: an idle source moves on by batches without bytes.
	sourceBatches = 256
	// commitPause is the least time between two writes of source offsets. It delays nobody who reads: only the
	// source's leave to forget comes that much later, and connect-offsets does not grow by a record per batch.
	commitPause = 10 * time.Millisecond
)

// sourceRun is one run of a source task, from Start to Stop. Two goroutines: read takes batches from the task and
// gives them to the log; commit follows behind, in the same order, and tells the source what it may forget.
type sourceRun struct {
	*taskRun
	task    connectors.SourceTask
	offsets sourceOffsets
	client  *kgo.Client
	writer  *durable.Writer

	limits    *topicLimits // of the topics that are known to exist
	lastTopic string       // the topic of the record before, with what it takes
	lastLimit topicLimit
}

// flight is a batch on its way into the log.
type flight struct {
	batch     *durable.Batch
	eventTime int64
}

func (r *taskRun) runSource(ctx context.Context, task connectors.SourceTask) (err error) {
	s := &sourceRun{taskRun: r, task: task, limits: newTopicLimits(r.hub.producer, r.settings.producer)}
	if r.errors.letters != nil {
		s.limits = r.errors.letters.limits // in a transaction dead letters share batches
	}
	if s.offsets, err = r.hub.offsetsOf(ctx, r.settings); err != nil {
		return err
	}
	opts, err := r.hub.producerOptions(ctx, r.settings, r.index, s.limits)
	if err != nil {
		return err
	}
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return &connectors.Error{Op: "make a producer", Class: connectors.ClassConfig, Err: err}
	}
	defer s.client.Close()
	move, report := s.move, s.reportRow
	if r.hub.exactlyOnce {
		t, err := s.newTransactions(ctx)
		if err != nil {
			return err
		}
		move, report = t.move, t.reportRow
	} else {
		s.writer = durable.NewWriter(s.client, sourceInFlight)
	}
	defer r.figures.inFlight.Store(0)
	defer r.stopTask(ctx, task.Stop, &err)
	err = task.Start(ctx, connectors.SourceStart{Connector: r.connector, Task: r.index, Config: r.config,
		Offsets: s.offsets.offsets(r.connector), Report: report, Log: r.log})
	if err != nil {
		return err
	}
	defer r.observe(task)()
	r.running()
	return move(ctx)
}

// move runs both goroutines until ctx ends or one of them fails.
func (s *sourceRun) move(ctx context.Context) error {
	readCtx, stopReading := context.WithCancelCause(ctx)
	defer stopReading(nil)
	// What is in flight is brought to its end after ctx ended, for a limited time.
	drainCtx, stopDraining := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopDraining(nil)
	queue := make(chan flight, sourceBatches)
	committed := make(chan error, 1)
	go func() {
		err := s.commit(drainCtx, queue)
		if err != nil {
			stopReading(err)
		}
		committed <- err
	}()
	readErr := s.read(readCtx, &connectors.Batch{}, func(ctx context.Context, batch *connectors.Batch) (*connectors.Batch, error) {
		return batch, s.append(ctx, batch, queue)
	})
	close(queue)
	limit := time.AfterFunc(s.hub.graceful, func() {
		stopDraining(errors.New("the log did not answer within task.shutdown.graceful.timeout.ms"))
	})
	defer limit.Stop()
	commitErr := <-committed
	if ctx.Err() != nil {
		if commitErr != nil {
			s.log.Warn("a stopping source did not bring its last batches to their end; they are read again later", "error", s.redact(commitErr.Error()))
		}
		return nil
	}
	if commitErr != nil {
		return commitErr
	}
	return readErr
}

// read takes batches until ctx ends and hands each on; hand returns the one to fill next.
func (s *sourceRun) read(ctx context.Context, batch *connectors.Batch, hand func(context.Context, *connectors.Batch) (*connectors.Batch, error)) error {
	trouble := inPlace{run: s.taskRun}
	for {
		if err := s.gate.wait(ctx); err != nil {
			return err
		}
		batch.Reset()
		err := s.task.Read(ctx, batch)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := trouble.again(ctx, err); err != nil {
				return err
			}
			continue
		}
		trouble.over()
		// A pause that came while the task was reading holds what it read.
		if err := s.gate.wait(ctx); err != nil {
			return err
		}
		if batch, err = hand(ctx, batch); err != nil {
			return err
		}
		if ended {
			<-ctx.Done()
			return context.Cause(ctx)
		}
	}
}

// append gives one batch to the log.
func (s *sourceRun) append(ctx context.Context, batch *connectors.Batch, queue chan<- flight) error {
	s.count(batch)
	b := s.writer.Begin(batch.Offsets)
	for i := range batch.Records {
		if err := s.appendRecord(ctx, b, &batch.Records[i]); err != nil {
			return err
		}
	}
	if err := b.Send(ctx); err != nil {
		return err
	}
	s.figures.inFlight.Store(int64(s.writer.InFlight()))
	select {
	case queue <- flight{batch: b, eventTime: batch.EventTime}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// count counts a batch that was read.
func (s *sourceRun) count(batch *connectors.Batch) {
	s.figures.recordsIn.Add(int64(len(batch.Records)))
	s.figures.bytesIn.Add(int64(len(batch.Buf)))
	if len(batch.Records) > 0 {
		s.figures.batches.observe(len(batch.Records))
	}
}

// commit follows the batches in their order: it waits until a batch is durable, writes its source offsets and tells
// the source. What became durable meanwhile goes along, so that a slow log means fewer, larger steps.
func (s *sourceRun) commit(ctx context.Context, queue <-chan flight) error {
	var held *flight
	for {
		next := held
		if next == nil {
			f, ok := <-queue
			if !ok {
				return nil
			}
			next = &f
		}
		records, err := s.wait(ctx, *next)
		if err != nil {
			return err
		}
		if records, held, err = s.gather(ctx, records, queue); err != nil {
			return err
		}
		started := time.Now()
		offsets, err := durable.Save(ctx, s.offsets, s.connector, records)
		if err != nil {
			return logError("", err)
		}
		if err := offsets.Commit(ctx, s.task); err != nil {
			return err
		}
		s.figures.commits.Add(1)
		if pause := commitPause - time.Since(started); pause > 0 && held == nil && len(queue) == 0 {
			if err := sleep(ctx, pause); err != nil {
				return err
			}
		}
	}
}

// silence is how long the log may not answer before the status says so.
const silence = 4 * time.Second

// listen waits until the log has answered a batch or ctx ends. The client tries for ever, so a log that is down or
// full is no error; the status says it all the same.
func (s *sourceRun) listen(ctx context.Context, f flight) {
	patience := time.NewTimer(silence)
	defer patience.Stop()
	select {
	case <-f.batch.Done():
		return
	case <-ctx.Done():
		return
	case <-patience.C:
	}
	since := time.Now().Add(-silence).UTC().Format(time.RFC3339)
	s.log.Warn("the log does not acknowledge", "since", since)
	s.report(Running, trace(connectors.ClassEnvironment, "the log has not acknowledged records since "+since, "it is tried again until it does"))
	select {
	case <-f.batch.Done():
		s.running()
	case <-ctx.Done():
	}
}

// wait waits for a batch and counts it.
func (s *sourceRun) wait(ctx context.Context, f flight) (durable.Records, error) {
	records, err := s.acknowledged(ctx, f)
	if err == nil {
		s.delivered(f)
	}
	return records, err
}

// acknowledged waits until the log has taken a batch.
func (s *sourceRun) acknowledged(ctx context.Context, f flight) (durable.Records, error) {
	s.listen(ctx, f)
	records, err := f.batch.Wait(ctx)
	return records, logError("", err)
}

// delivered counts a batch that readers see.
func (s *sourceRun) delivered(f flight) {
	s.figures.recordsOut.Add(int64(f.batch.Count))
	s.figures.bytesOut.Add(int64(f.batch.Bytes))
	s.figures.inFlight.Store(int64(s.writer.InFlight()))
	if f.eventTime > 0 {
		s.figures.eventTime.Store(f.eventTime)
		s.figures.ackLag.Store(max(0, time.Now().UnixMilli()-f.eventTime))
	}
}

// gather adds the batches that are durable already; the first one that is not is held for the next step.
func (s *sourceRun) gather(ctx context.Context, records durable.Records, queue <-chan flight) (durable.Records, *flight, error) {
	for {
		select {
		case next, ok := <-queue:
			if !ok {
				return records, nil, nil
			}
			select {
			case <-next.batch.Done():
			default:
				return records, &next, nil
			}
			more, err := s.wait(ctx, next)
			if err != nil {
				return records, nil, err
			}
			records = records.And(more)
		default:
			return records, nil, nil
		}
	}
}

// logError classes an error of the log, unless it has a class.
func logError(op string, err error) error {
	var e *connectors.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	class := connectors.ClassEnvironment
	if errors.Is(err, kerr.InvalidTopicException) {
		class = connectors.ClassConfig
	}
	e = &connectors.Error{Op: op, Class: class, Retriable: kerr.IsRetriable(err), Err: err}
	if tooMuch(err) {
		e.Remedy = "the settings of the topic were changed, or the hub must not read them: it takes note of them when the task starts again; raise max.message.bytes of the topic, or lower producer.override.max.request.size of the connector"
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		e.Remedy = "create the topic, or give the connector topic.creation.default.partitions and topic.creation.default.replication.factor"
	}
	return e
}
