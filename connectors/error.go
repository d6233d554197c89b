package connectors

import (
	"errors"
	"fmt"
	"strings"
)

// Class says what kind of trouble an error is, and so what the hub does about it.
type Class uint8

const (
	// ClassBug is the class of an error that nobody classed. The task fails and is restarted with back-off.
	ClassBug Class = iota
	// ClassConfig: the configuration cannot work. The task fails; a restart without a change of it would not help.
	ClassConfig
	// ClassEnvironment: the other system is down, unreachable, full, or refuses the credentials. Retried with
	// back-off; the cause shows in the status at once.
	ClassEnvironment
	// ClassData: this record cannot be handled, others can. It goes to the dead-letter topic if errors are tolerated;
	// otherwise the task fails and names it.
	ClassData
	// ClassGone: what the source stood on is lost (replication slot, binary log). Going on would leave a gap, so a
	// person must decide: the task fails, is not restarted, and names the command that mends it.
	ClassGone
)

// String returns the name used in statuses, logs and metrics.
func (c Class) String() string {
	switch c {
	case ClassConfig:
		return "config"
	case ClassEnvironment:
		return "environment"
	case ClassData:
		return "data"
	case ClassGone:
		return "gone"
	}
	return "bug"
}

// RecordRef names the record an error is about: for a sink by its topic partition and offset, for a source by its
// place in the source's own words ("LSN 0/1A2B3C, table public.orders, column price").
type RecordRef struct {
	TopicPartition
	Offset int64
	Place  string
}

// String returns the place, or "topic-partition@offset".
func (r RecordRef) String() string {
	if r.Place != "" {
		return r.Place
	}
	return fmt.Sprintf("%s-%d@%d", r.Topic, r.Partition, r.Offset)
}

// Error is an error with what the hub needs to decide: retry, set one record aside, or stop. It crosses the wall
// between hub and connector unchanged, but for Err, of which the text arrives.
type Error struct {
	// Op says what was being done ("read slot sluice_orders", "put object").
	Op    string
	Class Class
	// Retriable: the same call may succeed later, and loses nothing by being made again in place.
	Retriable bool
	// Record is the one record the error is about, nil if it is not about one.
	Record *RecordRef
	// Remedy is what a person can do about it: a command or a sentence. "" if unknown.
	Remedy string
	Err    error
}

// Error returns operation, record, cause and remedy in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Record != nil {
		fmt.Fprintf(&b, " (%s)", e.Record)
	}
	if e.Err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; remedy: %s", e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf returns the class of the first Error in err's chain, ClassBug if there is none.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ClassBug
}
