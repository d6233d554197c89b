package durable

import (
	"context"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// Records is the proof that all records of one batch or more are durable. Only Batch.Wait makes it.
type Records struct {
	offsets []connectors.SourceOffset
	count   int
}

// And returns the proof for r and, behind it, next: of each source partition the later offset stays.
func (r Records) And(next Records) Records {
	out := Records{offsets: append([]connectors.SourceOffset(nil), r.offsets...), count: r.count + next.count}
	for _, o := range next.offsets {
		out.offsets = put(out.offsets, o)
	}
	return out
}

// Batches returns how many batches the proof is about.
func (r Records) Batches() int { return r.count }

func put(list []connectors.SourceOffset, o connectors.SourceOffset) []connectors.SourceOffset {
	for i := range list {
		if string(list[i].Partition) == string(o.Partition) {
			list[i] = o
			return list
		}
	}
	return append(list, o)
}

// Store saves source offsets durably: the topic connect-offsets, or a transaction, which ends with them.
type Store interface {
	// SaveOffsets returns once the offsets are durable, and with a transaction the records before them. There may be
	// none: then only the records are.
	SaveOffsets(ctx context.Context, connector string, offsets []connectors.SourceOffset) error
}

// Save writes the source offsets of records that are durable, and returns the proof that now they are durable too.
func Save(ctx context.Context, s Store, connector string, r Records) (Offsets, error) {
	if r.count == 0 {
		return Offsets{}, nil
	}
	if err := s.SaveOffsets(ctx, connector, r.offsets); err != nil {
		return Offsets{}, fmt.Errorf("save the source offset: %w", err)
	}
	return Offsets{list: r.offsets}, nil
}

// Offsets is the proof that source offsets are durable, and before them all records they stand for. Only Save makes
// it.
type Offsets struct{ list []connectors.SourceOffset }

// Committer is the part of connectors.SourceTask that is told.
type Committer interface {
	Commit(ctx context.Context, offsets []connectors.SourceOffset) error
}

// Commit tells the source that it may forget everything up to the offsets (I1). It is the only place that does.
func (o Offsets) Commit(ctx context.Context, task Committer) error {
	if len(o.list) == 0 {
		return nil
	}
	return task.Commit(ctx, o.list)
}
