package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// watchSignals makes ready for signals that do not come by the log.
func (t *task) watchSignals() {
	t.inbox = cdc.NewInbox()
	if !slices.Contains(t.s.v.List("signal.enabled.channels"), "file") {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		t.inbox.WatchFile(ctx, t.s.v.String("signal.file"), t.s.v.Duration("signal.poll.interval.ms"), t.log)
	})
	t.watching = func() { cancel(); done.Wait() }
}

// Signal implements connectors.Signaller.
func (t *task) Signal(_ context.Context, s connectors.Signal) error {
	if t.only {
		return &connectors.Error{Op: "take a signal", Class: connectors.ClassConfig, Err: errors.New("snapshot.mode=initial_only reads no changes, and takes no signals")}
	}
	return t.inbox.Put(s)
}
