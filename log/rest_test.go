package log

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// readPieces is Read with the rest behind the batches, as far as it is good: who
// comes again is told what is wrong.
func readPieces(p *Partition, offset int64, o ReadOptions) (ReadResult, error) {
	r, err := p.Read(offset, o)
	if err != nil {
		return r, err
	}
	defer r.Rest.Close()
	r.Batches = append([]byte{}, r.Batches...)
	for r.Rest.Len() > 0 {
		b, err := r.Rest.Next()
		if err != nil {
			break
		}
		r.Batches = append(r.Batches, b...)
	}
	return r, nil
}

// TestPiecesAreTheWhole: records in pieces are those that are read at once, under
// every bound, in sealed segments and the active one.
func TestPiecesAreTheWhole(t *testing.T) {
	f := &faults{}
	l, err := Open(testOptions(vfs.Faulty(vfs.NewMem(), f.hook)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // says that a sync failed
	p := mustCreate(t, l, "t", map[string]string{"segment.bytes": "6000", "index.interval.bytes": "300"})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range int32(80) {
		value := strings.Repeat("x", rng.IntN(500))
		mustAppend(t, p, txnBatch(1, 0, i, "k", value))
		if rng.IntN(8) == 0 {
			mustEnd(t, p, 1, 0, rng.IntN(2) == 0)
		}
		mustAppend(t, p, batch(value, value))
	}
	f.set(vfs.OpSync, ".log", vfs.Fault{Err: syscall.EIO})
	if _, err := p.Append(context.Background(), batch("above the high watermark"), AppendOptions{}); err == nil || p.HighWatermark() == p.LogEnd() {
		t.Fatalf("high watermark %d, end %d, %v", p.HighWatermark(), p.LogEnd(), err)
	}
	if p.LastStable() == p.HighWatermark() {
		t.Fatal("no open transaction")
	}
	rests := 0
	for range 1000 {
		o := ReadOptions{MaxBytes: rng.IntN(8000), MinOneBatch: rng.IntN(2) == 0, Isolation: Isolation(rng.IntN(2))}
		offset := rng.Int64N(p.HighWatermark())
		whole, err := p.Read(offset, o)
		if err != nil {
			t.Fatal(err)
		}
		o.Piece = 1 + rng.IntN(1000)
		parts, err := readPieces(p, offset, o)
		if err != nil || parts.Rest.Len() != 0 {
			t.Fatalf("%d bytes are left, %v", parts.Rest.Len(), err)
		}
		if parts.Rest != nil {
			rests++
		}
		if !bytes.Equal(parts.Batches, whole.Batches) || !slices.Equal(parts.Aborted, whole.Aborted) || parts.LastStable != whole.LastStable {
			t.Fatalf("from %d, %+v: %d bytes and %v aborted, want %d and %v", offset, o, len(parts.Batches), parts.Aborted, len(whole.Batches), whole.Aborted)
		}
	}
	if rests < 300 {
		t.Errorf("only %d had a rest", rests)
	}
	for _, h := range p.segs {
		if h.users != 0 {
			t.Errorf("%s is held by %d", h.Path(), h.users)
		}
	}
}

// TestRotFoundInTheRest: damage behind the first piece ends it and is what a read
// from there finds; before it, the records can be had.
func TestRotFoundInTheRest(t *testing.T) {
	for what, change := range map[string]func(b []byte){
		"a record":          func(b []byte) { b[100] ^= 1 },
		"the magic":         func(b []byte) { b[16] = 77 },
		"a length, more":    func(b []byte) { b[10] ^= 1 },
		"a length, too far": func(b []byte) { b[8] ^= 1 },
		"a length, less":    func(b []byte) { b[11] ^= 2 },
		"zeros":             func(b []byte) { clear(b) },
	} {
		t.Run(what, func(t *testing.T) {
			o, dir, _ := prepared(t)
			const bad = 2
			edit(t, filepath.Join(dir, segment.FileName(0, ".log")), func(b []byte) []byte {
				change(b[bad*preparedBatch:][:preparedBatch])
				return b
			})
			l := mustOpen(t, o)
			p, _ := l.Partition("t", 0)
			for round := range 2 {
				r, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20, Piece: 1})
				if err != nil {
					t.Fatal(err)
				}
				got, err := len(r.Batches), nil
				for err == nil && r.Rest.Len() > 0 {
					var b []byte
					b, err = r.Rest.Next()
					got += len(b)
				}
				r.Rest.Close()
				r.Rest.Close()
				if d := (*DamageError)(nil); round == 0 && err != nil && (!errors.As(err, &d) || d.From != bad*preparedBatch || d.To != (bad+1)*preparedBatch || d.Offset != bad) || got != bad*preparedBatch {
					t.Errorf("%d bytes, %v", got, err)
				}
				if round == 1 && err != nil {
					t.Errorf("who comes again for what is good: %v", err)
				}
			}
			d := &DamageError{}
			if _, err := p.Read(bad, ReadOptions{MaxBytes: 1 << 20, Piece: 1}); !errors.As(err, &d) || d.Offset != bad || d.From != bad*preparedBatch || !errors.Is(p.Err(), ErrStorage) {
				t.Errorf("a read from the damage on: %v; the partition: %v", err, p.Err())
			}
			if h := p.segs[0]; h.users != 0 {
				t.Errorf("held by %d", h.users)
			}
		})
	}
}

// TestRestOutlivesItsFile: what was announced can be read when the records, or
// the topic, are deleted meanwhile, and the file is closed after that.
func TestRestOutlivesItsFile(t *testing.T) {
	for what, remove := range map[string]func(p *Partition) error{
		"records": func(p *Partition) error { _, err := p.DeleteRecords(-1); return err },
		"topic":   func(p *Partition) error { return p.log.DeleteTopic("t") },
		"log":     func(p *Partition) error { return p.log.Close() },
	} {
		t.Run(what, func(t *testing.T) {
			o, _, _ := prepared(t)
			o.FS = vfs.Bounded(vfs.OS(), 1)
			l := mustOpen(t, o)
			p, _ := l.Partition("t", 0)
			want, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Read(0, ReadOptions{MaxBytes: 1 << 20, Piece: 1})
			if err != nil || r.Rest.Len() == 0 {
				t.Fatal(r.Rest.Len(), err)
			}
			h := p.segs[0]
			if err := remove(p); err != nil {
				t.Fatal(err)
			}
			got := bytes.Clone(r.Batches)
			for r.Rest.Len() > 0 {
				b, err := r.Rest.Next()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b...)
			}
			if !bytes.Equal(got, want.Batches) {
				t.Errorf("%d bytes, want %d", len(got), len(want.Batches))
			}
			r.Rest.Close()
			if _, err := h.ReadAt(make([]byte, 1), 0); err == nil {
				t.Error("the file is open still")
			}
		})
	}
}
