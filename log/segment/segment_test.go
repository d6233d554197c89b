package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehub/sluice/log/vfs"
)

func build(n int, key string) []byte {
	b := Builder{Idempotent: true, ProducerID: 7, ProducerEpoch: 1, BaseSequence: 3}
	for i := range n {
		b.Add(1000+int64(i), []byte(key), fmt.Appendf(nil, "value %d", i), RecordHeader{Key: "a", Value: []byte("b")}, RecordHeader{Key: "null"})
	}
	return b.Batch()
}

// compressed is build with the records compressed.
func compressed(t testing.TB, n, codec int) []byte {
	t.Helper()
	plain := build(n, "k")
	h, batch, err := ParseBatch(plain)
	if err != nil {
		t.Fatal(err)
	}
	body, err := compress(batch[HeaderSize:], codec)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(batch[:HeaderSize]), body...)
	h.Attributes |= int16(codec)
	putHeader(out, &h)
	return out
}

func TestHeader(t *testing.T) {
	b := build(5, "k")
	SetPlace(b, 1<<40, 9)
	h, batch, err := ParseBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{
		BaseOffset: 1 << 40, Length: int32(len(b) - 12), LeaderEpoch: 9, CRC: h.CRC, LastOffsetDelta: 4,
		BaseTimestamp: 1000, MaxTimestamp: 1004, ProducerID: 7, ProducerEpoch: 1, BaseSequence: 3, Count: 5,
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Error(d)
	}
	if h.Size() != len(batch) || h.NextOffset() != 1<<40+5 || h.LastSequence() != 7 {
		t.Errorf("size %d, next %d, last sequence %d", h.Size(), h.NextOffset(), h.LastSequence())
	}
	SetAppendTime(b, 5000)
	if h, _, err = ParseBatch(b); err != nil || !h.LogAppendTime() || h.MaxTimestamp != 5000 || h.BaseTimestamp != 1000 {
		t.Errorf("append time: %+v, %v", h, err)
	}
	for i := 21; i < len(b); i++ {
		b[i] ^= 0x10
		if _, _, err := ParseBatch(b); !errors.Is(err, ErrBadBatch) {
			t.Fatalf("a flipped bit in byte %d was not found", i)
		}
		b[i] ^= 0x10
	}
	for i := range len(b) {
		if _, _, err := ParseBatch(b[:i]); !errors.Is(err, ErrShort) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
}

func TestRecordsOfEveryCodec(t *testing.T) {
	for codec := range 5 {
		b := compressed(t, 4, codec)
		h, batch, err := ParseBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for r, err := range Records(&h, batch) {
			if err != nil {
				t.Fatalf("codec %d: %v", codec, err)
			}
			if r.Offset != int64(n) || r.Timestamp != 1000+int64(n) || string(r.Key) != "k" || string(r.Value) != fmt.Sprintf("value %d", n) {
				t.Errorf("codec %d: %+v", codec, r)
			}
			n++
		}
		if n != 4 {
			t.Errorf("codec %d: %d records", codec, n)
		}
		out, changed, err := Filter(nil, &h, batch, 0, func(r *Record) Verdict {
			if r.Offset == 2 {
				return Drop
			}
			return Keep
		})
		if err != nil || !changed {
			t.Fatalf("codec %d: filter: %v, %v", codec, changed, err)
		}
		h2, batch2, err := ParseBatch(out)
		if err != nil || h2.Codec() != codec || h2.Count != 3 || h2.LastOffsetDelta != 3 || h2.MaxTimestamp != 1003 {
			t.Fatalf("codec %d: filtered header %+v, %v", codec, h2, err)
		}
		var offsets []int64
		for r, err := range Records(&h2, batch2) {
			if err != nil {
				t.Fatal(err)
			}
			offsets = append(offsets, r.Offset)
		}
		if d := cmp.Diff([]int64{0, 1, 3}, offsets); d != "" {
			t.Error(d)
		}
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	huge := make([]byte, MaxPayload+1)
	for codec := 1; codec < 5; codec++ {
		small, err := compress(huge, codec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decompress(codec, small); err == nil {
			t.Errorf("codec %d: %d bytes became more than %d", codec, len(small), MaxPayload)
		}
	}
	// Two blocks as Java's snappy writes them.
	block, err := compress([]byte("hello"), 2)
	if err != nil {
		t.Fatal(err)
	}
	java := []byte(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
	for range 2 {
		java = append(binary.BigEndian.AppendUint32(java, uint32(len(block))), block...)
	}
	if out, err := decompress(2, java); err != nil || string(out) != "hellohello" {
		t.Errorf("java snappy: %q, %v", out, err)
	}
}

func TestIndexes(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("d"); err != nil {
		t.Fatal(err)
	}
	s, err := Create(fs, "d", 1000, 200)
	if err != nil {
		t.Fatal(err)
	}
	positions := map[int64]int64{}
	next := int64(1000)
	for i := range 50 {
		b := build(1+i%3, "k")
		SetPlace(b, next, 0)
		SetAppendTime(b, int64(1000+i*10))
		h, _, _ := ParseBatch(b)
		for o := next; o < h.NextOffset(); o++ {
			positions[o] = s.Size()
		}
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		s.Commit(&h)
		next = h.NextOffset()
	}
	check := func(s *Segment) {
		t.Helper()
		for o, want := range positions {
			from, err := s.Locate(o)
			if err != nil || from > want || want-from > 800 {
				t.Fatalf("Locate(%d) = %d, %v; the batch is at %d", o, from, err, want)
			}
			if _, pos, ok, err := s.Find(o, from, s.Size()); err != nil || !ok || pos != want {
				t.Fatalf("Find(%d) = %d, %v, %v; want %d", o, pos, ok, err, want)
			}
		}
		for ms := int64(990); ms < 1500; ms += 7 {
			from, err := s.LocateTime(ms)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = Scan(s, 0, from, 0, func(h *Header, _ []byte, pos int64) error {
				if h.MaxTimestamp >= ms {
					return fmt.Errorf("batch at %d has %d", pos, h.MaxTimestamp)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("LocateTime(%d) = %d: %v", ms, from, err)
			}
		}
		if ms, o := s.MaxTimestamp(); ms != 1490 || o != next-1 || s.Next() != next || s.FirstTimestamp() != 1000 {
			t.Errorf("max %d at %d, next %d, first %d", ms, o, s.Next(), s.FirstTimestamp())
		}
	}
	check(s)
	if _, err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	check(s)
	o, err := OpenSealed(fs, "d", 1000, 200)
	if err != nil {
		t.Fatal(err)
	}
	check(o)
	r, err := Open(fs, "d", 1000, 200)
	if err != nil {
		t.Fatal(err)
	}
	if _, bad, err := r.Recover(nil); err != nil || bad != nil {
		t.Fatal(bad, err)
	}
	check(r)
}

func seeds(f *testing.F) {
	f.Helper()
	plain := build(3, "k")
	f.Add(plain)
	for codec := 1; codec < 5; codec++ {
		f.Add(compressed(f, 3, codec))
	}
	two := append(bytes.Clone(plain), plain...)
	SetPlace(two[len(plain):], 3, 0)
	f.Add(two)
	f.Add(two[:len(two)-5])
	f.Add(bytes.Repeat([]byte{0}, 200))
	broken := bytes.Clone(two)
	broken[70] ^= 1
	f.Add(broken)
}

// FuzzBatch: parsing and decoding any bytes ends without a panic, and a batch
// that keeps all its records is copied as it is.
func FuzzBatch(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= HeaderSize {
			// Get past the checksum, which fuzzing cannot guess.
			b = bytes.Clone(b)
			binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthOverhead))
			b[atMagic] = magicV2
			setCRC(b)
		}
		h, batch, err := ParseBatch(b)
		if err != nil {
			return
		}
		var records []Brief
		var bad error
		for r, err := range Records(&h, batch) {
			if bad = err; err == nil {
				records = append(records, Brief{r.Offset, r.Timestamp, r.Key == nil})
			}
		}
		err = Briefs(&h, batch, func(i int, r Brief) error {
			if i >= len(records) || records[i] != r {
				t.Fatalf("record %d in brief is %+v, of %+v", i, r, records)
			}
			records[i].Offset = -1
			return nil
		})
		if fmt.Sprint(err) != fmt.Sprint(bad) || slices.ContainsFunc(records, func(r Brief) bool { return r.Offset >= 0 }) {
			t.Fatalf("in brief %v, %+v are left; want %v", err, records, bad)
		}
		if bad != nil {
			return
		}
		out, changed, err := Filter(nil, &h, batch, 0, func(*Record) Verdict { return Keep })
		if err != nil || changed || !bytes.Equal(out, batch) {
			t.Errorf("Filter changed what it keeps: %v, %v", changed, err)
		}
	})
}

// FuzzScan: the good part of any file scans again to the same end, and what is
// found behind damage is a batch.
func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		end, bad, err := Scan(r, 0, int64(len(b)), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if (bad == nil) != (end == int64(len(b))) {
			t.Fatalf("end %d of %d, bad %v", end, len(b), bad)
		}
		if again, bad, err := Scan(r, 0, end, 0, nil); err != nil || bad != nil || again != end {
			t.Fatalf("the good part of %d bytes scans to %d, %v, %v", end, again, bad, err)
		}
		if bad == nil {
			return
		}
		pos, err := FindNext(r, bad.Pos+1, int64(len(b)), 0)
		if err != nil {
			t.Fatal(err)
		}
		if pos < int64(len(b)) {
			if _, _, err := ParseBatch(b[pos:]); err != nil {
				t.Fatalf("FindNext found no batch at %d: %v", pos, err)
			}
		}
		if _, err := HasHole(r, bad.Pos, pos); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzIndex: any bytes as index files either open, and then lookups stay inside
// the log, or ask for a new index.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 0, 0, 0, 100}, []byte{0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2})
	f.Add([]byte{}, []byte{})
	f.Add([]byte{1}, []byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, index, timeIndex []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("d"); err != nil {
			t.Fatal(err)
		}
		log := build(3, "k")
		for suffix, b := range map[string][]byte{LogSuffix: log, IndexSuffix: index, TimeIndexSuffix: timeIndex} {
			file, err := fs.Create("d/" + FileName(0, suffix))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenSealed(fs, "d", 0, 100)
		if err != nil {
			if !errors.Is(err, ErrStale) {
				t.Fatal(err)
			}
			return
		}
		for o := range int64(5) {
			if pos, err := s.Locate(o); err != nil || pos < 0 || pos >= int64(len(log)) {
				t.Fatalf("Locate(%d) = %d, %v", o, pos, err)
			}
			if _, err := s.LocateTime(o * 500); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestMarker(t *testing.T) {
	for _, want := range []Marker{{7, 3, true, 9}, {1 << 40, 0, false, 0}} {
		b := MarkerBatch(want, 1000)
		h, one, err := ParseBatch(b)
		if err != nil || !h.Control() || !h.Transactional() || h.BaseSequence != NoSequence || h.LastSequence() != NoSequence {
			t.Fatalf("%+v, %v", h, err)
		}
		if got, ok, err := ParseMarker(&h, one); err != nil || !ok || got != want {
			t.Errorf("%+v, %v, %v; want %+v", got, ok, err, want)
		}
	}
	plain := build(1, "k")
	h, one, err := ParseBatch(plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := ParseMarker(&h, one); ok || err != nil {
		t.Errorf("a batch of records is a marker: %v, %v", ok, err)
	}
}

// FuzzMarker: any bytes as the records of a control batch are a marker that
// encodes to the same decision, or an error.
func FuzzMarker(f *testing.F) {
	f.Add(MarkerBatch(Marker{7, 3, true, 9}, 1000)[HeaderSize:])
	f.Add(MarkerBatch(Marker{7, 3, false, 9}, 1000)[HeaderSize:])
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, records []byte) {
		b := append(bytes.Clone(MarkerBatch(Marker{7, 3, true, 9}, 1000)[:HeaderSize]), records...)
		binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthOverhead))
		setCRC(b)
		h, one, err := ParseBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		m, ok, err := ParseMarker(&h, one)
		if !ok || err != nil {
			return
		}
		again := MarkerBatch(m, 1000)
		if h, one, err = ParseBatch(again); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := ParseMarker(&h, one); !ok || err != nil || got != m {
			t.Errorf("%+v, %v, %v; want %+v", got, ok, err, m)
		}
	})
}

// FuzzTxnIndex: any bytes as a transaction index are refused, or are in order
// and give each transaction that a search should find.
func FuzzTxnIndex(f *testing.F) {
	e := encodeAborted(Aborted{ProducerID: 1, First: 0, Last: 2, LastStable: 3})
	f.Add(e[:], int64(0), int64(5))
	f.Add(e[:30], int64(0), int64(5))
	f.Fuzz(func(t *testing.T, index []byte, from, to int64) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("d"); err != nil {
			t.Fatal(err)
		}
		for suffix, b := range map[string][]byte{LogSuffix: build(3, "k"), IndexSuffix: nil, TimeIndexSuffix: nil, TxnIndexSuffix: index} {
			file, err := fs.Create("d/" + FileName(0, suffix))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenSealed(fs, "d", 0, 100)
		if err != nil {
			if !errors.Is(err, ErrStale) {
				t.Fatal(err)
			}
			return
		}
		all, _, err := s.Aborted(nil, 0, 1<<63-1)
		if err != nil || len(all)*abortedEntry > len(index) {
			t.Fatalf("%d of %d bytes, %v", len(all), len(index), err)
		}
		some, more, err := s.Aborted(nil, from, to)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for _, a := range all {
			if a.Last >= from && a.First < to {
				want++
			}
			if a.Last >= from && a.LastStable >= to {
				break
			}
		}
		if len(some) != want {
			t.Fatalf("%d transactions in [%d, %d), more %v, want %d", len(some), from, to, more, want)
		}
	})
}
