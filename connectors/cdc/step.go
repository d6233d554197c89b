package cdc

import (
	"context"

	"github.com/sluicehub/sluice/connectors"
)

// Stream is the stream that a Backfill goes on beside.
type Stream interface {
	// OpenWindow calls Open, and Close as soon as the stream has come to where the rows were read: now, or later.
	OpenWindow(ctx context.Context) error
	// Drain appends the rows that Next returns, until there are no more or the batch is full.
	Drain(ctx context.Context, b *connectors.Batch) error
}

// Step does what is due of an incremental snapshot: it carries out what was asked for, opens a window, or appends rows of
// one that has ended. The stream calls it before each event that it reads outside of a transaction. enough says that the
// batch is to be handed on first.
//
// Enough it is, too, as long as rows of a window are left. No change may come between two of them: nothing would take
// the row that it is of out any more, and that row would come behind it, as it was before.
func (f *Backfill) Step(ctx context.Context, in *Inbox, st Stream, b *connectors.Batch) (enough bool, err error) {
	if asked := in.Take(); len(asked) > 0 {
		for _, s := range asked {
			if err := f.Signal(ctx, s); err != nil {
				return false, err
			}
		}
		return true, nil // so that what is asked for is stored
	}
	if f.Due() {
		if len(b.Records) > 0 {
			return true, nil
		}
		if err := st.OpenWindow(ctx); err != nil {
			return false, err
		}
	}
	if !f.Draining() {
		return false, nil
	}
	err = st.Drain(ctx, b)
	return f.Draining() || f.State() == nil, err // that it has ended is stored at once
}
