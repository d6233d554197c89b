package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

const (
	// A Put carries at most this many records and about this many bytes.
	putRecords = 4096
	putBytes   = 1 << 20
	// tick is how often a sink is called while there is nothing for it.
	tick = time.Second
	// sinkDrain is how long the last flush and commit of a task may take.
	sinkDrain = 15 * time.Second
	// pollRecords bounds what is worked on between two chances to rebalance.
	pollRecords = 20000
)

// sinkRun is one run of a sink task, from Start to Stop.
//
// The consumer's callbacks (partitions come, partitions go) run in its own goroutine, but never while records that
// were polled are worked on; mu covers the rest, so that calls to the task come one after another.
type sinkRun struct {
	*taskRun
	task   connectors.SinkTask
	client *kgo.Client
	run    context.Context         // ends when the run is to end
	cancel context.CancelCauseFunc // ends it with a reason
	broken atomic.Bool             // the run failed: what the task holds is not to be committed

	cutClient context.CancelFunc // ends the client without another word to the group

	mu    sync.Mutex
	calls context.Context // of calls to the task: it ends a while after the run was told to end
	parts map[connectors.TopicPartition]*sinkPartition

	converter sinkConverter
	polled    []*kgo.Record // the records of one partition being put, for Report
	polledMu  sync.Mutex
}

// sinkPartition is a topic partition that the task has open.
type sinkPartition struct {
	end       int64 // the next offset to be put; -1: nothing was put yet
	committed int64 // what the group knows; -1: nothing since it was opened
	own       int64 // the position that the target itself knows; -1: none
}

func (r *taskRun) runSink(ctx context.Context, task connectors.SinkTask) (err error) {
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	calls, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	defer context.AfterFunc(run, func() { // a call in hand may come to its end
		time.AfterFunc(r.hub.graceful, func() { cut(context.Cause(run)) })
	})()
	s := &sinkRun{taskRun: r, task: task, run: run, cancel: cancel, calls: calls, parts: map[connectors.TopicPartition]*sinkPartition{}}
	s.converter.sinkRun = s
	defer r.stopTask(ctx, task.Stop, &err)
	start := connectors.SinkStart{Connector: r.connector, Task: r.index, Config: r.config, Report: s.reportRecord, Log: r.log}
	if err := task.Start(ctx, start); err != nil {
		return err
	}
	clientCtx, cutClient := context.WithCancel(context.WithoutCancel(ctx))
	defer cutClient()
	s.cutClient = cutClient
	opts, err := r.hub.consumerOptions(ctx, r.connector, r.index, r.settings)
	if err != nil {
		return err
	}
	opts = append(opts, kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked), kgo.OnPartitionsLost(s.lost), kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.WithContext(clientCtx), kgo.WithHooks(s))
	if s.client, err = kgo.NewClient(opts...); err != nil {
		return &connectors.Error{Op: "make a consumer", Class: connectors.ClassConfig, Err: err}
	}
	defer r.observe(task)()
	r.running()
	if err = s.consume(calls); err != nil && ctx.Err() == nil {
		s.fail(err)
	}
	s.leave(ctx)
	return err
}

// leave gives the partitions back: what was put is flushed and committed first, in the callback revoked, unless the
// run failed. It is bounded in time by the task's calls.
func (s *sinkRun) leave(ctx context.Context) {
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), sinkDrain)
	defer cancel()
	s.mu.Lock()
	s.calls = drain
	s.mu.Unlock()
	member, _ := s.client.GroupMetadata()
	s.client.CloseAllowingRebalance()
	s.leaveGroup(drain, member)
}

// consume works until the run is to end; why is then the error. ctx is of calls to the task.
func (s *sinkRun) consume(ctx context.Context) error {
	nextFlush := time.Now().Add(s.hub.flushInterval)
	for {
		if s.gate.isShut() {
			if err := s.pause(ctx); err != nil {
				return err
			}
		}
		wait, cancel := context.WithTimeout(s.run, min(tick, max(time.Millisecond, time.Until(nextFlush))))
		fetches := s.client.PollRecords(wait, pollRecords)
		cancel()
		if s.run.Err() != nil {
			return context.Cause(s.run)
		}
		err := s.handle(ctx, fetches)
		if err == nil && !time.Now().Before(nextFlush) {
			err = s.flush(ctx, false)
			nextFlush = time.Now().Add(s.hub.flushInterval)
		}
		if err != nil {
			return err
		}
		s.client.AllowRebalance()
	}
}

// fail ends the run with a reason. What the task holds is not flushed and committed any more.
func (s *sinkRun) fail(err error) {
	s.broken.Store(true)
	s.cancel(err)
}

// pause flushes what the task has and waits until the connector is resumed. The partitions stay its own.
func (s *sinkRun) pause(ctx context.Context) error {
	if err := s.flush(ctx, true); err != nil {
		return err
	}
	s.client.AllowRebalance()
	return s.gate.wait(s.run)
}

// handle puts what was polled, or calls the task with nothing.
func (s *sinkRun) handle(ctx context.Context, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
			return logError(fmt.Sprintf("read topic %s, partition %d", e.Topic, e.Partition), e.Err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	put := false
	var failed error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if failed != nil || len(p.Records) == 0 {
			return
		}
		put = true
		failed = s.putPartition(ctx, p)
	})
	if failed == nil && !put {
		failed = s.idle(ctx)
	}
	return failed
}

// idle calls Put without records, for work that is due by time. The batch names a partition that is open.
func (s *sinkRun) idle(ctx context.Context) error {
	if len(s.parts) == 0 {
		return nil
	}
	for tp, p := range s.parts {
		if p.end >= 0 {
			return s.put(ctx, &connectors.Records{From: tp, End: p.end})
		}
	}
	return nil
}

// putPartition converts and puts the records of one partition.
func (s *sinkRun) putPartition(ctx context.Context, fetched kgo.FetchTopicPartition) error {
	tp := connectors.TopicPartition{Topic: fetched.Topic, Partition: fetched.Partition}
	part := s.parts[tp]
	if part == nil {
		return nil // taken away; whoever opens it gets the records
	}
	s.trackTopic(tp.Topic)
	if start := fetched.LogStartOffset; part.end >= 0 && start > part.end {
		s.log.Error("records were deleted from the topic before this sink had read them; it goes on behind them", "topic", tp.Topic,
			"partition", tp.Partition, "from", part.end, "to", start-1, "remedy", "raise retention.ms or retention.bytes of the topic")
	}
	s.polledMu.Lock()
	s.polled = fetched.Records
	s.polledMu.Unlock()
	for rest := fetched.Records; len(rest) > 0; {
		if s.run.Err() != nil {
			return context.Cause(s.run)
		}
		batch, n, err := s.converter.batch(ctx, tp, rest)
		if err != nil {
			return err
		}
		if len(batch.List) > 0 {
			s.figures.batches.observe(len(batch.List))
		}
		if err := s.put(ctx, batch); err != nil {
			return err
		}
		part.end = batch.End
		s.figures.recordsOut.Add(int64(len(batch.List)))
		rest = rest[n:]
		s.figures.setPosition(tp, batch.End)
	}
	return nil
}

// put gives a batch to the task: again for an error that may pass, without a record that the target refuses.
func (s *sinkRun) put(ctx context.Context, batch *connectors.Records) error {
	trouble := inPlace{run: s.taskRun}
	for {
		err := s.task.Put(ctx, batch)
		if err == nil {
			trouble.over()
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if connectors.ClassOf(err) == connectors.ClassData {
			return s.putWithout(ctx, batch, err)
		}
		if err := trouble.again(ctx, err); err != nil {
			return err
		}
	}
}

// putWithout handles a batch of which the target refuses a record. If the error names it, it is set aside and the
// rest is put again; if not, the batch is cut in halves until it is found.
func (s *sinkRun) putWithout(ctx context.Context, batch *connectors.Records, err error) error {
	i := s.named(batch, err)
	if i == elsewhere { // decided already, when it was reported
		return err
	}
	if i >= 0 {
		if err := s.setAside(ctx, batch.From, batch.List[i].Offset, err); err != nil {
			return err
		}
		rest := &connectors.Records{From: batch.From, End: batch.End, List: slices.Delete(slices.Clone(batch.List), i, i+1)}
		return s.put(ctx, rest)
	}
	if len(batch.List) == 0 {
		return err
	}
	half := len(batch.List) / 2
	first := &connectors.Records{From: batch.From, List: batch.List[:half], End: batch.List[half].Offset}
	if half > 0 {
		if err := s.put(ctx, first); err != nil {
			return err
		}
	}
	return s.put(ctx, &connectors.Records{From: batch.From, List: batch.List[half:], End: batch.End})
}

// elsewhere is the index of a record that is not in the batch: one of an earlier Put, which the task reports late.
const elsewhere = -2

// named returns the index of the record that an error is about: the one it names, or the only one there is; -1 if
// that is not known.
func (s *sinkRun) named(batch *connectors.Records, err error) int {
	var e *connectors.Error
	if !errors.As(err, &e) || e.Record == nil || e.Record.Place != "" {
		if len(batch.List) == 1 {
			return 0
		}
		return -1
	}
	i := slices.IndexFunc(batch.List, func(r connectors.Record) bool { return r.Offset == e.Record.Offset })
	if i < 0 || e.Record.TopicPartition != batch.From {
		return elsewhere
	}
	return i
}

// setAside reports a record, by its place in the log, that the target refuses.
func (s *sinkRun) setAside(ctx context.Context, from connectors.TopicPartition, offset int64, err error) error {
	original, readErr := s.original(ctx, from, offset)
	if readErr != nil {
		return fmt.Errorf("%w; it could not be read again for the dead-letter topic: %w", err, readErr)
	}
	return s.errors.report(ctx, badRecord{original: *original, stage: stagePut, class: s.settings.class, err: err})
}

// reportRecord is connectors.SinkStart.Report.
func (s *sinkRun) reportRecord(ctx context.Context, at connectors.RecordRef, err error) error {
	return s.setAside(ctx, at.TopicPartition, at.Offset, err)
}

// original returns the bytes of a record as they are in the log: out of what is being put, or read again.
func (s *sinkRun) original(ctx context.Context, from connectors.TopicPartition, offset int64) (*kgo.Record, error) {
	s.polledMu.Lock()
	polled := s.polled
	s.polledMu.Unlock()
	if len(polled) > 0 && polled[0].Topic == from.Topic && polled[0].Partition == from.Partition {
		i, ok := slices.BinarySearchFunc(polled, offset, func(r *kgo.Record, o int64) int { return int(r.Offset - o) })
		if ok {
			return polled[i], nil
		}
	}
	return s.hub.readRecord(ctx, s.settings, from, offset)
}
