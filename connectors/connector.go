// Package connectors is the contract between the hub and a connector: the data model (Schema, Value, Data), what
// moves (Record, Batch, Records), how errors are classed (Error), and the interfaces a connector implements.
//
// # Writing a connector
//
// A source implements SourceConnector and SourceTask, a sink SinkConnector and SinkTask, and its main calls
// plugins.Serve. The interfaces are small; everything else is an optional ability found by type assertion
// (Validator, Planner, OffsetAlterer, Observer, Signaller). The suite in connectors/connectortest checks an implementation
// against all that is promised here.
//
// The hub runs every configured connector in a process of its own and each task on its own stream. A connector
// never talks to the log, knows no converter, no transform and no offset topic. It may keep what state it likes
// in memory: after a crash it is started again with the last source offset (or topic offsets) that is durable.
package connectors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sluicehub/sluice/configs"
)

// Kind tells sources from sinks.
type Kind string

// The kinds of connectors, spelled as in Connect's REST API.
const (
	Source Kind = "source"
	Sink   Kind = "sink"
)

// Info describes a connector without starting anything.
type Info struct {
	// Name is the short name: "postgres".
	Name string
	// Classes are the other values of connector.class that mean this connector: Java class names.
	Classes []string
	Version string
	Kind    Kind
	// Config declares the connector's own keys; the hub adds those common to all connectors.
	Config *configs.Definition
}

// Connector is what SourceConnector and SinkConnector have in common. Its methods may be called at any time, from
// several goroutines.
type Connector interface {
	// Info describes the connector. It does no I/O.
	Info() Info
}

// SourceConnector makes the tasks of a source.
type SourceConnector interface {
	Connector
	// NewSourceTask returns a task that has not been started.
	NewSourceTask() SourceTask
}

// SinkConnector makes the tasks of a sink.
type SinkConnector interface {
	Connector
	// NewSinkTask returns a task that has not been started.
	NewSinkTask() SinkTask
}

// SourceTask reads from a source. Start is called first and once, Stop last and once (also after an error); Read is
// called by one goroutine at a time, and Commit by another one that may run beside it.
type SourceTask interface {
	// Start connects and finds the place to read on from. It returns when the task is ready to be read from, or
	// with the reason why it cannot be.
	Start(ctx context.Context, start SourceStart) error
	// Read appends to the empty batch what comes next, in the source's order, and returns as soon as there is
	// something: it never waits to fill the batch. It ends the batch at about 1 MiB of Buf. It waits while there
	// is nothing, and returns ctx's error when ctx ends. io.EOF says that there will never be more; it may come
	// with a last batch.
	//
	// The batch's Offsets must be such that a task started from them reads exactly what follows the batch. Only a
	// snapshot may repeat rows: those of the piece of a table that it was in the middle of, or all of them if it cannot
	// go on where it was and begins anew.
	//
	// With an error besides io.EOF the hub throws the batch away, so the error says what became of its rows: one
	// that is Retriable, or ctx's, means that nothing was taken, and the next Read of the same task returns it. Any
	// other one ends the task, and a new one starts from the stored offsets; so does one that stays for a minute.
	//
	// While nobody calls Read, the source waits: that is the back-pressure.
	Read(ctx context.Context, b *Batch) error
	// Commit says that everything up to and including the batch that carried these offsets is durable in the
	// log, and the offsets too (I1). Only now may the source forget it. Commits come in the order of the
	// batches, but not one for each. A source may wait for the Commit of an earlier batch before Read returns more.
	Commit(ctx context.Context, offsets []SourceOffset) error
	// Stop releases everything, including what Start had begun when it failed. After it returns, no goroutine
	// or connection of the task is left.
	Stop(ctx context.Context) error
}

// SourceStart is what a source task is started with.
type SourceStart struct {
	Connector string
	Task      int
	// Config is the task's configuration, placeholders resolved. It holds secrets.
	Config map[string]string
	// Offsets are the stored source offsets of the connector, of all its source partitions.
	Offsets []SourceOffset
	// Report takes a row that cannot be converted, together with an error of class ClassData. If it returns nil, the
	// row is in the dead-letter topic or was counted as tolerated, and the task goes on behind it; otherwise Read
	// returns that error. It may be called during Read only.
	Report func(ctx context.Context, bad Record, err error) error
	Log    *slog.Logger
}

// SinkTask writes to a target. Start is called first and once, Stop last and once; all calls come one after another.
type SinkTask interface {
	// Start connects to the target, or says why it cannot.
	Start(ctx context.Context, start SinkStart) error
	// Open adds topic partitions to the task. It returns the positions that the target itself knows
	// (exactly-once sinks keep them there), which take precedence over the consumer group's; nil if it knows none.
	Open(ctx context.Context, parts []TopicPartition) ([]Position, error)
	// Put takes records. It may keep them in memory and return: only Flush makes promises. It blocks while the
	// target is slower than the log: that is the back-pressure, and the task's memory stays bounded. It must not
	// keep a reference to the batch or its bytes after it returned. The hub calls it with an empty list of
	// records at least once a second while there are none, so that work that is due by time needs no goroutine.
	//
	// A Put that fails with class ClassData and names a record has taken nothing of the batch; the hub sets that
	// record aside and sends the rest again. A sink that finds bad records later uses SinkStart.Report.
	Put(ctx context.Context, batch *Records) error
	// Flush returns how far each open topic partition has come: every record below the position is safe in the
	// target (I2). With force it first brings everything it was given to the target, if its own rules allow (an
	// S3 sink does not cut an object short for it); without, it only says what is true.
	Flush(ctx context.Context, force bool) ([]Position, error)
	// Close takes topic partitions away: what was put and is not covered by a position is dropped, and will be
	// given again to whoever opens the partition.
	Close(ctx context.Context, parts []TopicPartition) error
	// Stop releases everything. After it returns, no goroutine or connection of the task is left.
	Stop(ctx context.Context) error
}

// SinkStart is what a sink task is started with.
type SinkStart struct {
	Connector string
	Task      int
	// Config is the task's configuration, placeholders resolved. It holds secrets.
	Config map[string]string
	// Report takes a record, by its place in the log, that the target refuses, together with an error of class
	// ClassData. If it returns nil, the record is in the dead-letter topic or was counted as tolerated, and counts as
	// delivered; otherwise the task returns that error from the current or next call. It may be called from any
	// goroutine of the task.
	Report func(ctx context.Context, at RecordRef, err error) error
	Log    *slog.Logger
}

// Validator is the ability to check a configuration against the world: can it connect, has it the rights, does the
// bucket exist. Each problem names the key it belongs to and what mends it. The definition's own checks have passed
// when it is called. Cancelled after 30 seconds.
type Validator interface {
	Validate(ctx context.Context, config map[string]string) []configs.Problem
}

// Planner is the ability to split the work: it returns one configuration per task, at most maxTasks. A source
// without it gets one task; a sink without it gets maxTasks tasks with the connector's configuration.
type Planner interface {
	Plan(ctx context.Context, config map[string]string, maxTasks int) ([]map[string]string, error)
}

// OffsetAlterer is the ability to say whether source offsets that a person wrote are well formed (a nil Offset is a
// reset). It returns true if nothing more is needed, false if state outside Connect's offsets (a slot's position)
// has not been changed with them.
//
// A sink has it if it answers positions of its own to Open: it makes them what the offsets say, which are a GroupPartition
// and a GroupOffset each. None at all are a reset of every partition.
type OffsetAlterer interface {
	AlterOffsets(ctx context.Context, config map[string]string, offsets []SourceOffset) (bool, error)
}

// GroupPartition and GroupOffset are partition and offset of a sink where a source has a source partition and a source
// offset: in Connect's REST API and in an OffsetAlterer's offsets.
//
//	{"kafka_topic":"orders","kafka_partition":0}   {"kafka_offset":7}
type GroupPartition struct {
	Topic     string `json:"kafka_topic"`
	Partition int32  `json:"kafka_partition"`
}

// GroupOffset is the offset of the next record.
type GroupOffset struct {
	Offset int64 `json:"kafka_offset"`
}

// Signaller is the ability of a source task to be asked for something while it runs: snapshots of single tables, in the
// words of Debezium's signals. Signal may be called from any goroutine, between Start and Stop. It answers at once, from
// memory: nil says that the request was understood and will be carried out, an error of class ClassConfig that it was not.
type Signaller interface {
	Signal(ctx context.Context, s Signal) error
}

// Signal is what a person asks of a running source.
type Signal struct {
	ID   string // chosen by who asks; it comes back in the log
	Type string // execute-snapshot, stop-snapshot, pause-snapshot, resume-snapshot, log
	Data string // a JSON object, or ""
}

// Observer is the ability of a task to show figures of its own in the hub's metrics. It is called every few seconds,
// from its own goroutine, and answers at once from memory.
type Observer interface {
	Figures() []Figure
}

// Figure is one gauge. The hub publishes it as sluice_connector_NAME with the labels connector and task.
type Figure struct {
	Name  string // snake_case with its unit last: "slot_retained_wal_bytes"
	Help  string
	Value float64
}

// MarshalOffset returns v as the JSON object of a source partition or source offset. It panics if v is not made of
// plain exported fields: that is a mistake in the program.
func MarshalOffset(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("connectors: source offset: " + err.Error())
	}
	return b
}

// UnmarshalOffset reads a source partition or source offset that may come from a user (PATCH /connectors/{c}/offsets)
// into the struct that v points to. A member that the struct does not have is an error: it is more likely misspelt than
// meant to be passed over.
func UnmarshalOffset(text json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) { // which speaks of types of Go's
			return fmt.Errorf("%s cannot be of the type %s", cmp.Or(kind.Field, "it"), kind.Value)
		}
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if d.More() {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Sleep returns nil after d, at once if d is not positive, or ctx's error if that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
