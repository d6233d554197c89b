// Package hub decides: which connectors run with which tasks, when they start, stop and start again, where they are
// in their sources and topics, what their status is, and what becomes of records that cannot be handled. It knows no
// database, no process and no socket format. DESIGN.md beside this file states the invariants I1 to I8 that comments
// refer to.
package hub

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// Launcher finds connectors and starts them. It may be called from several goroutines.
type Launcher interface {
	// Plugins describes every connector there is, ordered by name, newest version first.
	Plugins(ctx context.Context) ([]connectors.Info, error)
	// Find returns the connector that a value of connector.class means: its name, one of its Java class names, or
	// an alias of one. The versions "" and "latest" are the newest.
	Find(ctx context.Context, class, version string) (connectors.Info, error)
	// Launch starts a connector in a wall of its own (I7).
	Launch(ctx context.Context, l Launch) (Child, error)
}

// Launch says what to launch.
type Launch struct {
	// Connector is the name that a person gave, for log lines.
	Connector string
	Class     string
	Version   string
	// Log takes what the connector logs.
	Log *slog.Logger
}

// Child is a launched connector. It also implements connectors.SourceConnector or connectors.SinkConnector, as its
// Info says, and may have the abilities connectors.Validator, Planner and OffsetAlterer, and Meter.
type Child interface {
	connectors.Connector
	// Done is closed when the child has ended, for whatever reason.
	Done() <-chan struct{}
	// Err says why it ended, with its last words; nil while it lives and after Stop.
	Err() error
	// Stop ends it: orderly until ctx ends, then by force. It returns when nothing of it is left.
	Stop(ctx context.Context)
}

// Meter is the ability of a child to tell what its process has used: CPU time, and bytes of resident memory.
type Meter interface {
	Usage() (cpu time.Duration, resident int64)
}

// Converter turns keys, values or header values of records to bytes and back. It belongs to one task. Its errors are
// about the record at hand unless their class says otherwise.
type Converter interface {
	// FromConnect appends the bytes of d to dst and returns the longer slice; nil says that they are null.
	FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error)
	// ToConnect returns what the bytes stand for; nil is null. It appends what it needs to dst and returns dst
	// grown; the Data shares b or dst.
	ToConnect(dst []byte, topic string, b []byte) (connectors.Data, []byte, error)
}

// Transforms is a chain of transforms.
type Transforms interface {
	// Apply changes the record in place, or reports that it is to be dropped.
	Apply(r *connectors.Record) (keep bool, err error)
	// Empty reports whether there is nothing in the chain.
	Empty() bool
}
