package durable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// heldProducer keeps records until they are answered.
type heldProducer struct {
	mu    sync.Mutex
	calls []func(error)
	sent  []string
}

func (p *heldProducer) Produce(_ context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, string(r.Value))
	p.calls = append(p.calls, func(err error) { promise(r, err) })
}

func (p *heldProducer) answer(n int, err error) {
	p.mu.Lock()
	calls := p.calls[:n]
	p.calls = p.calls[n:]
	p.mu.Unlock()
	for _, call := range calls {
		call(err)
	}
}

// memory is a store of offsets and a source that is told about them.
type memory struct {
	saved, committed []string
	err              error
}

func (m *memory) SaveOffsets(_ context.Context, connector string, offsets []connectors.SourceOffset) error {
	for _, o := range offsets {
		m.saved = append(m.saved, connector+" "+string(o.Partition)+string(o.Offset))
	}
	return m.err
}

func (m *memory) Commit(_ context.Context, offsets []connectors.SourceOffset) error {
	for _, o := range offsets {
		m.committed = append(m.committed, string(o.Partition)+string(o.Offset))
	}
	return nil
}

func at(partition, offset string) connectors.SourceOffset {
	return connectors.SourceOffset{Partition: []byte(partition), Offset: []byte(offset)}
}

func send(t *testing.T, w *Writer, offsets []connectors.SourceOffset, values ...string) *Batch {
	t.Helper()
	b := w.Begin(offsets)
	for _, v := range values {
		r, s, err := b.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		from := len(s.Buf)
		s.Buf = append(s.Buf, v...)
		r.Topic, r.Value = "t", s.Buf[from:]
	}
	if err := b.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOffsetsOfTheLastBatchAreCommitted(t *testing.T) {
	p, m := &heldProducer{}, &memory{}
	w := NewWriter(p, 1<<20)
	first := send(t, w, []connectors.SourceOffset{at("a", "1"), at("b", "1")}, "x", "y")
	second := send(t, w, []connectors.SourceOffset{at("a", "2")}, "z")
	if w.InFlight() != 3 {
		t.Errorf("%d bytes in flight", w.InFlight())
	}
	p.answer(1, nil)
	select {
	case <-first.Done():
		t.Error("a batch is done before its last record is")
	default:
	}
	p.answer(2, nil)
	records, err := first.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	more, err := second.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := Save(t.Context(), m, "c", records.And(more))
	if err != nil {
		t.Fatal(err)
	}
	if err := offsets.Commit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if want := []string{"c a2", "c b1"}; !slices.Equal(m.saved, want) {
		t.Errorf("saved %q, want %q", m.saved, want)
	}
	if want := []string{"a2", "b1"}; !slices.Equal(m.committed, want) {
		t.Errorf("committed %q, want %q", m.committed, want)
	}
	if w.InFlight() != 0 {
		t.Errorf("%d bytes in flight", w.InFlight())
	}
}

func TestNoProofForARefusedRecord(t *testing.T) {
	p := &heldProducer{}
	w := NewWriter(p, 1<<20)
	refused := errors.New("too large")
	b := send(t, w, []connectors.SourceOffset{at("a", "1")}, "x", "y")
	p.answer(1, nil)
	p.answer(1, refused)
	if _, err := b.Wait(t.Context()); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func TestOffsetsThatAreNotSavedAreNotCommitted(t *testing.T) {
	p, m := &heldProducer{}, &memory{}
	b := send(t, NewWriter(p, 1<<20), []connectors.SourceOffset{at("a", "1")}, "x")
	p.answer(1, nil)
	records, err := b.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.err = errors.New("disk full")
	offsets, err := Save(t.Context(), m, "c", records)
	if !errors.Is(err, m.err) {
		t.Errorf("got %v", err)
	}
	if err := offsets.Commit(t.Context(), m); err != nil || len(m.committed) > 0 {
		t.Errorf("offsets that were not saved were committed: %q, %v", m.committed, err)
	}
}

func TestTheZeroProofsCommitNothing(t *testing.T) {
	m := &memory{}
	offsets, err := Save(t.Context(), m, "c", Records{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(offsets.Commit(t.Context(), m), Offsets{}.Commit(t.Context(), m)); err != nil || len(m.saved)+len(m.committed) > 0 {
		t.Errorf("saved %q, committed %q, %v", m.saved, m.committed, err)
	}
}

func TestABatchWithoutRecordsMovesTheSource(t *testing.T) {
	b := send(t, NewWriter(&heldProducer{}, 1), []connectors.SourceOffset{at("a", "1")})
	records, err := b.Wait(t.Context())
	if err != nil || records.Batches() != 1 || len(records.offsets) != 1 {
		t.Errorf("%+v, %v", records, err)
	}
}

func TestBytesInFlightAreBounded(t *testing.T) {
	p := &heldProducer{}
	w := NewWriter(p, 2*chunkBytes)
	row := strings.Repeat("r", 1000)
	ended := make(chan error, 1)
	go func() {
		b := w.Begin(nil)
		for range 10 * chunkBytes / len(row) {
			r, s, err := b.Next(context.Background())
			if err != nil {
				ended <- err
				return
			}
			from := len(s.Buf)
			s.Buf = append(s.Buf, row...)
			r.Topic, r.Value = "t", s.Buf[from:]
		}
		ended <- b.Send(context.Background())
	}()
	total := 0
	for done := false; !done; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		p.mu.Lock()
		n := len(p.calls)
		p.mu.Unlock()
		if n*len(row) > 2*chunkBytes+chunkBytes/8 {
			t.Fatalf("%d bytes in flight", n*len(row))
		}
		p.answer(n, nil)
		total += n
	}
	p.answer(len(p.calls), nil)
	if want := 10 * chunkBytes / len(row); len(p.sent) != want {
		t.Errorf("%d records, want %d", len(p.sent), want)
	}
}

func TestAWaitForRoomEndsWithItsContext(t *testing.T) {
	w := NewWriter(&heldProducer{}, 1)
	send(t, w, nil, "x")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := fmt.Errorf("stop")
	cancel(stop)
	b := w.Begin(nil)
	r, s, err := b.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Buf = append(s.Buf, "y"...)
	r.Topic, r.Value = "t", s.Buf
	if err := b.Send(ctx); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Wait(t.Context()); !errors.Is(err, stop) {
		t.Errorf("a batch that was not sent gave %v", err)
	}
}

func TestAWholeBatchIsSentAtItsEnd(t *testing.T) {
	p := &heldProducer{}
	w := NewWholeWriter(p, 1<<20)
	fill := func() *Batch {
		b := w.Begin(nil)
		for range 2*chunkRecords + 1 {
			r, s, err := b.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Buf = append(s.Buf, 'x')
			r.Topic, r.Value = "t", s.Buf[len(s.Buf)-1:]
		}
		return b
	}
	fill().Discard()
	b := fill()
	if len(p.sent) > 0 || w.InFlight() > 0 {
		t.Fatalf("%d records were sent before their batch", len(p.sent))
	}
	if err := b.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(p.sent) != 2*chunkRecords+1 || b.Count != len(p.sent) {
		t.Fatalf("%d records were sent, %d counted", len(p.sent), b.Count)
	}
	p.answer(len(p.calls), nil)
	if records, err := b.Wait(t.Context()); err != nil || records.Batches() != 1 || w.InFlight() != 0 {
		t.Errorf("%d batches, %v, %d bytes in flight", records.Batches(), err, w.InFlight())
	}
}

func TestADroppedRecordIsNotSent(t *testing.T) {
	p := &heldProducer{}
	w := NewWriter(p, 1<<20)
	b := w.Begin(nil)
	for _, v := range []string{"a", "b", "c"} {
		r, s, err := b.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		from := len(s.Buf)
		s.Buf = append(s.Buf, v...)
		r.Topic, r.Value = "t", s.Buf[from:]
		if v == "b" {
			b.Drop(from)
		}
	}
	if err := b.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.sent, []string{"a", "c"}) {
		t.Errorf("sent %q", p.sent)
	}
}
