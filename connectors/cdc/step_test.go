package cdc_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// reel is a stream in which there is always another event. Its batches have room for two records.
type reel struct {
	f    *cdc.Backfill
	said []string // by record
}

func (r *reel) OpenWindow(ctx context.Context) error {
	err := r.f.Open(ctx)
	r.f.Close()
	return err
}

func (r *reel) Drain(_ context.Context, b *connectors.Batch) error {
	for len(b.Records) < 2 {
		row, ok := r.f.Next()
		if !ok {
			break
		}
		r.add(b, string(row))
	}
	return nil
}

func (r *reel) add(b *connectors.Batch, what string) {
	b.Records, r.said = append(b.Records, connectors.Record{}), append(r.said, what)
}

// read reads a batch, as the sources do.
func (r *reel) read(t *testing.T, in *cdc.Inbox) {
	t.Helper()
	var b connectors.Batch
	for len(b.Records) < 2 {
		enough, err := r.f.Step(t.Context(), in, r, &b)
		if err != nil {
			t.Fatal(err)
		}
		if enough {
			break
		}
		r.add(&b, "event")
	}
	r.said = append(r.said, "|")
}

// TestStep delivers chunks that are larger than a batch. An event between two rows of a chunk could be of the second
// one, which would then come as it was before.
func TestStep(t *testing.T) {
	v := signalValues(t, nil)
	log := slog.New(slog.DiscardHandler)
	in := cdc.OpenInbox(v, 0, true, log)
	defer in.Close()
	r := &reel{f: cdc.NewBackfill(&shelf{tables: map[cdc.Table][]int{a: {1, 2, 3, 4, 5}}}, 3, nil, log)}
	if err := in.Put(connectors.Signal{ID: "1", Type: cdc.ExecuteSnapshot, Data: `{"data-collections": ["s.a"]}`}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		r.read(t, in)
	}
	const want = "| a1 a2 | a3 event | a4 a5 | event | | event event |"
	if got := strings.Join(r.said, " "); got != want || r.f.State() != nil {
		t.Errorf("%s, want %s; left %v", got, want, r.f.State())
	}

	shut := cdc.OpenInbox(v, 0, false, log)
	var e *connectors.Error
	if err := shut.Put(connectors.Signal{ID: "2", Type: cdc.LogSignal}); !errors.As(err, &e) || e.Class != connectors.ClassConfig {
		t.Errorf("an inbox without a stream: %v", err)
	}
}
