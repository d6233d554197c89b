package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// stage is where in a record's way something failed, spelled as in Connect's dead-letter headers.
type stage string

const (
	stagePoll            stage = "TASK_POLL"
	stagePut             stage = "TASK_PUT"
	stageTransform       stage = "TRANSFORMATION"
	stageKeyConverter    stage = "KEY_CONVERTER"
	stageValueConverter  stage = "VALUE_CONVERTER"
	stageHeaderConverter stage = "HEADER_CONVERTER"
	stageProduce         stage = "KAFKA_PRODUCE"
)

// errorHandler applies errors.… to what goes wrong with single records.
type errorHandler struct {
	settings  errorSettings
	connector string
	task      int
	letters   *deadLetters // nil: none
	figures   *taskFigures
	log       *slog.Logger
	redact    func(string) string
}

// retryDelays of Connect: the first is 300 ms, each is twice the one before, and past the longest one any up to it.
const firstRetryDelay = 300 * time.Millisecond

func retryDelay(attempt int, longest time.Duration) time.Duration {
	if attempt < 40 {
		if d := firstRetryDelay << attempt; d <= longest {
			return d
		}
	}
	if longest <= 0 {
		return 0
	}
	return rand.N(longest)
}

// retriable reports whether the same call may succeed later.
func retriable(err error) bool {
	var e *connectors.Error
	return errors.As(err, &e) && e.Retriable
}

// retry calls op again while it fails with an error that may pass, within errors.retry.timeout. err is what it
// failed with the first time. It returns op's last error.
func (h *errorHandler) retry(ctx context.Context, err error, op func() error) error {
	start := time.Now()
	for attempt := 0; err != nil && retriable(err); attempt++ {
		delay := retryDelay(attempt, h.settings.retryDelayMax)
		if h.settings.retryTimeout >= 0 && time.Since(start)+delay > h.settings.retryTimeout {
			return err
		}
		if err := sleep(ctx, delay); err != nil {
			return err
		}
		h.figures.retries.Add(1)
		err = op()
	}
	return err
}

// report sets a record aside: it is logged and put into the dead-letter topic, as configured. It returns nil if the
// task may go on behind it (I5), otherwise an error that names the record.
func (h *errorHandler) report(ctx context.Context, bad badRecord) error {
	if errors.Is(bad.err, context.Canceled) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// Only what is wrong with the record itself is tolerated. A registry that cannot be reached would otherwise empty
	// a whole topic into the dead letters.
	if class := connectors.ClassOf(bad.err); class == connectors.ClassEnvironment || class == connectors.ClassGone || class == connectors.ClassConfig {
		return bad.named()
	}
	h.figures.recordErrors.Add(1)
	h.figures.lastError.Store(time.Now().UnixMilli())
	if h.settings.log {
		h.logBad(bad)
	}
	// In a transaction a letter shares the fate of the records around it: of one that stops the task there is none.
	if h.letters != nil && (h.settings.tolerateAll || !h.letters.joined) {
		if err := h.letters.put(ctx, bad); err != nil {
			return fmt.Errorf("%w; the record is %s, which failed: %s", err, bad.ref(), h.redact(bad.err.Error()))
		}
		h.figures.deadLetters.Add(1)
	}
	if !h.settings.tolerateAll {
		return bad.named()
	}
	h.figures.skipped.Add(1)
	return nil
}

func (h *errorHandler) logBad(bad badRecord) {
	attrs := []any{"connector", h.connector, "task", h.task, "stage", string(bad.stage), "class", bad.class,
		"error", h.redact(bad.err.Error())}
	if h.settings.logMessages {
		attrs = append(attrs, "record", bad.ref().String(), "timestamp", bad.original.Timestamp)
	}
	h.log.Error("a record cannot be handled", attrs...)
}

func (b badRecord) ref() *connectors.RecordRef {
	var e *connectors.Error
	if errors.As(b.err, &e) && e.Record != nil && e.Record.Place != "" {
		return e.Record
	}
	ref := &connectors.RecordRef{Offset: b.original.Offset, Place: b.place}
	ref.Topic, ref.Partition = b.original.Topic, b.original.Partition
	if b.source && b.place == "" {
		ref.Place = "a record for topic " + b.original.Topic
		if len(b.original.Key) > 0 && len(b.original.Key) <= 200 {
			ref.Place += fmt.Sprintf(" with the key %q", b.original.Key)
		}
	}
	return ref
}

// named returns the error of a record that stops the task: it says which record it is, and what to do.
func (b badRecord) named() error {
	ops := map[stage]string{stageTransform: "transform", stageKeyConverter: "convert the key", stageValueConverter: "convert the value",
		stageHeaderConverter: "convert a header", stagePut: "put", stagePoll: "read", stageProduce: "append to the log"}
	e := &connectors.Error{Op: ops[b.stage] + " with " + b.class, Class: connectors.ClassOf(b.err), Record: b.ref(), Err: b.err, Retriable: retriable(b.err)}
	if e.Class == connectors.ClassBug {
		e.Class = connectors.ClassData // an error about one record that nobody classed
	}
	if e.Class == connectors.ClassData {
		e.Remedy = "set errors.tolerance=all (with errors.deadletterqueue.topic.name to keep such records), or correct the cause, and restart the task"
	}
	return e
}

// sleep waits, or returns ctx's cause if it ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
