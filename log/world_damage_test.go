package log

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/log/segment"
	"github.com/sluicehub/sluice/log/vfs"
)

// TestDamageAnywhere flips a bit of a random file or cuts it short, and opens
// the log. It must say so where it cannot go on, and whatever is read must be
// what was sent. Who asks for an offset is never given a later one in silence.
//
// Kafka's files have no checksum where it says nothing here: a flipped digit of
// a log start, or of a producer in a transaction index, is not noticed.
func TestDamageAnywhere(t *testing.T) {
	kinds := map[string]int{}
	for seed := range seeds(t, 600) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, uint64(seed)+1<<32)
			w.left, w.failing = -1, -1
			l, err := Open(w.options())
			if err != nil {
				t.Fatal(err)
			}
			for range 150 {
				w.step(l)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			d := &damage{world: w}
			d.choose()
			kinds[d.kind]++
			d.do()
			d.check()
		})
	}
	if t.Failed() || testing.Short() {
		return
	}
	for _, kind := range []string{".log", ".index", ".timeindex", ".txnindex", ".snapshot", epochFile, durableFile, activeFile, partitionFile,
		topicsFile, metaFile, logStartFile, producerIDFile, statePrefix + "world"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s was damaged: %v", kind, kinds)
		}
	}
}

type damage struct {
	*world
	path, kind string
	logged     logLines
}

// choose picks a file, each kind as often as another.
func (d *damage) choose() {
	byKind := map[string][]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := d.fs.ReadDir(dir)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name)
			if e.Dir {
				walk(path)
				continue
			}
			f, err := d.fs.Open(path)
			if err != nil {
				d.t.Fatal(err)
			}
			kind := e.Name
			if len(kind) > 20 && kind[20] == '.' {
				kind = kind[20:]
			}
			if size, err := f.Size(); err == nil && size > 0 && kind != lockFile {
				byKind[kind] = append(byKind[kind], path)
			}
		}
	}
	walk("data")
	all := slices.Sorted(maps.Keys(byKind))
	d.kind = all[d.rng.IntN(len(all))]
	d.path = byKind[d.kind][d.rng.IntN(len(byKind[d.kind]))]
}

func (d *damage) do() {
	f, err := d.fs.Open(d.path)
	if err != nil {
		d.t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		d.t.Fatal(err)
	}
	if d.rng.IntN(2) == 0 {
		err = f.Truncate(d.rng.Int64N(size))
	} else {
		at := d.rng.Int64N(size)
		if d.kind == segment.LogSuffix {
			at = d.covered(f, size)
		}
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			d.t.Fatal(err)
		}
		b[0] ^= 1 << d.rng.IntN(8)
		_, err = f.WriteAt(b[:], at)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// covered is a random byte of a random batch that the batch's checksum covers:
// base offset, length and leader epoch are not of it.
func (d *damage) covered(f vfs.File, size int64) (at int64) {
	n := 0
	_, _, err := segment.Scan(f, 0, size, 0, func(h *segment.Header, batch []byte, pos int64) error {
		if n++; d.rng.IntN(n) == 0 {
			at = pos + 16 + rand.New(rand.NewPCG(uint64(n), 0)).Int64N(int64(len(batch)-16))
		}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return at
}

func (d *damage) check() {
	d.t.Helper()
	o := d.options()
	o.Logger = slog.New(slog.NewTextHandler(&d.logged, nil))
	l, err := Open(o)
	if err != nil {
		if !strings.Contains(err.Error(), filepath.Base(d.path)) {
			d.t.Fatalf("%s is damaged, and the error does not name it: %v", d.path, err)
		}
		return
	}
	for name, topic := range d.topics {
		for i, m := range topic.parts {
			if p, err := l.Partition(name, int32(i)); err == nil {
				d.checkReads(topic, m, p)
			} else if d.kind != topicsFile {
				d.t.Fatal(err)
			}
		}
	}
	_ = l.Close() // of a partition that takes no writes
}

func (d *damage) checkReads(topic *worldTopic, m *worldPart, p *Partition) {
	d.t.Helper()
	_ = p.Verify(context.Background()) // finds what reading may miss
	start, end := p.LogStart(), p.HighWatermark()
	last := start - 1
	for at := start; at < end; {
		r, err := readPieces(p, at, ReadOptions{MaxBytes: 500, MinOneBatch: true, Piece: int(at % 2)})
		if err != nil || len(r.Batches) == 0 {
			break
		}
		at, last = d.same(topic, m, p, r.Batches, last)
	}
	here := filepath.Base(filepath.Dir(d.path)) == p.String()
	said := p.Err() != nil || strings.Contains(d.logged.String(), "acknowledged records are missing")
	if last+1 < int64(len(m.entries)) && !topic.compacted() && d.kind != logStartFile && !(here && said) {
		d.t.Fatalf("%s: %s is damaged, and reading ends at %d of %d without a word: %v\n%s", p, d.path, last+1, len(m.entries), p.Err(), &d.logged)
	}
	if p.Err() != nil || topic.compacted() || end == start {
		return
	}
	at := start + d.rng.Int64N(end-start)
	r, err := p.Read(at, ReadOptions{MaxBytes: 1, MinOneBatch: true})
	if err != nil {
		d.t.Fatalf("%s at %d: %v", p, at, err)
	}
	if h, err := segment.ParseHeader(r.Batches); err != nil || h.BaseOffset > at {
		d.t.Fatalf("%s: %s is damaged, and who asks for %d is given %d, %v", p, d.path, at, h.BaseOffset, err)
	}
}

// same compares batches with what was sent.
func (d *damage) same(topic *worldTopic, m *worldPart, p *Partition, batches []byte, last int64) (next, at int64) {
	d.t.Helper()
	for len(batches) > 0 {
		h, one, err := segment.ParseBatch(batches)
		if err != nil {
			d.t.Fatal(err)
		}
		if !topic.compacted() && h.BaseOffset > last+1 {
			d.t.Fatalf("%s: offset %d after %d", p, h.BaseOffset, last)
		}
		for rec, err := range segment.Records(&h, one) {
			if err != nil {
				d.t.Fatal(err)
			}
			if e := m.entries[rec.Offset]; e.marker == 0 && (e.key != string(rec.Key) || e.value != string(rec.Value)) {
				d.t.Fatalf("%s: offset %d holds %s=%s, sent was %+v", p, rec.Offset, rec.Key, rec.Value, e)
			}
		}
		batches, next, last = batches[len(one):], h.NextOffset(), h.LastOffset()
	}
	return next, last
}
