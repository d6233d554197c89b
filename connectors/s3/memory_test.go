package s3

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"github.com/sluicehub/sluice/connectors"
)

// TestMemoryIsBounded has 200 files open at once, of 250 kB each, with a budget of 16 MiB.
func TestMemoryIsBounded(t *testing.T) {
	const files, each, budget = 200, 25, 16 << 20
	for _, of := range []string{"json", "avro", "parquet"} {
		t.Run(of, func(t *testing.T) {
			st := newFakeStore()
			r := startRun(t, st, baseConfig("format.class", of, "flush.size", fmt.Sprint(files*each), "partitioner.class", "field", "partition.field.name", "f",
				"s3.buffer.memory.bytes", fmt.Sprint(budget)))
			defer r.stop()
			schema := &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{{Name: "f", Schema: connectors.Int32Schema}, {Name: "text", Schema: connectors.StringSchema}}}
			text := strings.Repeat("0123456789", 1000)
			record := func(i int) connectors.Record {
				rec := order(int64(i), "")
				rec.Value = connectors.Data{Schema: schema, Bytes: connectors.AppendString(connectors.AppendInt(nil, int64(i%files)), text)}
				return rec
			}
			var before, during runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			peak := int64(0)
			for i := range files*each - 1 {
				r.put(record(i))
				peak = max(peak, r.task.memory.used.Load())
			}
			runtime.ReadMemStats(&during)
			if peak > budget+chunkSize {
				t.Errorf("%d bytes were taken of a budget of %d", peak, budget)
			}
			if grown := int64(during.HeapSys) - int64(before.HeapSys); grown > 3*budget {
				t.Errorf("the heap grew by %d bytes", grown)
			}
			r.put(record(files*each - 1))
			if got := r.flush(); got != files*each || len(st.names()) != files {
				t.Fatalf("position %d and %d objects, want %d and %d", got, len(st.names()), files*each, files)
			}
			for _, name := range st.names() {
				if n := strings.Count(st.content(name), text); of == "json" && n != each {
					t.Errorf("%s holds %d records, want %d", name, n, each)
				}
			}
		})
	}
}

// TestIdleMemoryIsLetGo keeps chunks for use again as long as they are used.
func TestIdleMemoryIsLetGo(t *testing.T) {
	const chunks = 100
	m := newMemory(1 << 30)
	now := time.Unix(1000, 0)
	round := func(use int) {
		var taken [][]byte
		for range use {
			taken = append(taken, m.take(chunkSize))
		}
		for _, c := range taken {
			m.give(c)
		}
		now = now.Add(trimEvery)
		m.trim(now)
	}
	for range 5 {
		round(chunks)
	}
	if len(m.free) != chunks {
		t.Errorf("%d chunks are kept of %d in use", len(m.free), chunks)
	}
	for range 10 {
		round(10)
	}
	if n := len(m.free); n < 10 || n > 20 {
		t.Errorf("%d chunks are kept of 10 in use", n)
	}
	for range 10 {
		round(0)
	}
	if len(m.free) > 0 {
		t.Errorf("%d chunks are kept and none is in use", len(m.free))
	}
	small := newMemory(10 * chunkSize)
	taken := [][]byte{}
	for range 20 {
		taken = append(taken, small.take(chunkSize))
	}
	for _, c := range taken[:18] {
		small.give(c)
	}
	if len(small.free) != 3 {
		t.Errorf("%d chunks are kept with a budget of 10 and 2 in use", len(small.free))
	}
}

// TestThousandsOfPaths has 5,000 files open, of which each holds little.
func TestThousandsOfPaths(t *testing.T) {
	const files, budget = 5000, 8 << 20
	st := newFakeStore()
	r := startRun(t, st, baseConfig("flush.size", fmt.Sprint(3*files), "partitioner.class", "field", "partition.field.name", "f", "s3.buffer.memory.bytes", fmt.Sprint(budget)))
	defer r.stop()
	for i := range 3 * files {
		r.put(order(int64(i), fmt.Sprintf(`{"f":%d}`, i%files)))
		if used := r.task.memory.used.Load(); used > budget+smallChunk {
			t.Fatalf("%d bytes are taken", used)
		}
	}
	if got := r.flush(); got != 3*files || len(st.names()) != files {
		t.Errorf("position %d and %d objects", got, len(st.names()))
	}
}

// TestLargeFileInParts writes a file of several parts, some of which are sent before it is finished, while the server
// fails now and then. It compares the object with the one of a task that has no trouble and needs no parts.
func TestLargeFileInParts(t *testing.T) {
	const n = 1600
	line := func(i int64) string {
		return fmt.Sprintf("%d %s", i, strings.Repeat(string(rune('a'+i%26)), 10_000))
	}
	for _, of := range []struct {
		name   string
		config []string
		early  bool // parts are sent before the file is finished
	}{
		{"json", []string{"format.class", "json"}, true}, {"avro", []string{"format.class", "avro"}, true},
		{"avro deflate", []string{"format.class", "avro", "avro.codec", "deflate"}, false},
	} {
		t.Run(of.name, func(t *testing.T) {
			write := func(trouble bool, config ...string) string {
				st := newFakeStore()
				requests := 0
				st.fail = func(string, string) error {
					if requests++; trouble && requests%4 == 3 {
						return errDown
					}
					return nil
				}
				r := startRun(t, st, baseConfig(slices.Concat(of.config, config, []string{"flush.size", fmt.Sprint(n)})...))
				defer r.stop()
				for i := range int64(n) {
					rec := order(i, "")
					rec.Value = connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, line(i))}
					tries(t, func() error { return r.tryPut(rec) })
					if i == n/2 && trouble && of.early && st.begun() == 0 {
						t.Error("half of the file waits, and no part has been sent")
					}
				}
				tries(t, func() error {
					_, err := r.task.Flush(t.Context(), true)
					return err
				})
				if got := r.flush(); got != n || len(st.names()) != 1 {
					t.Fatalf("position %d, objects %q", got, st.names())
				}
				if len(st.parts) > 0 {
					t.Errorf("%d uploads were not ended", len(st.parts))
				}
				return st.content(st.names()[0])
			}
			got, want := write(true, "s3.part.size", fmt.Sprint(minPart)), write(false, "s3.part.size", "100000000")
			if got != want {
				t.Errorf("an object of %d bytes, and another of %d without trouble", len(got), len(want))
			}
			if of.name == "json" {
				for i, l := range strings.Split(strings.TrimSpace(got), "\n") {
					if l != strconv.Quote(line(int64(i))) {
						t.Fatalf("line %d is %.20q…", i, l)
					}
				}
				return
			}
			d, err := ocf.NewDecoder(strings.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			i := int64(0)
			for ; d.HasNext(); i++ {
				var v string
				if err := d.Decode(&v); err != nil || v != line(i) {
					t.Fatalf("value %d is %.20q…: %v", i, v, err)
				}
			}
			if d.Error() != nil || i != n {
				t.Errorf("%d values, want %d: %v", i, n, d.Error())
			}
		})
	}
}

// tries calls do until it succeeds, as the hub does with an error that is retriable.
func tries(t *testing.T, do func() error) {
	t.Helper()
	var err error
	for range 50 {
		if err = do(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func (f *fakeStore) begun() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.uploads
}

func TestStopAbortsUploads(t *testing.T) {
	st := newFakeStore()
	r := startRun(t, st, baseConfig("flush.size", "1000000", "s3.part.size", fmt.Sprint(minPart)))
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	for i := range int64(20) {
		r.put(order(i, big))
	}
	r.stop()
	if st.uploads == 0 || len(st.parts) > 0 || len(st.objects) > 0 {
		t.Errorf("%d uploads were begun, %d are left, and objects %q", st.uploads, len(st.parts), st.names())
	}
}

// TestBlob compares a blob, partly on disk and with texts inserted later, with plain memory.
func TestBlob(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := newMemory(1 << 30)
	for range 50 {
		b := newBlob(m)
		want := randomBlob(t, random, b)
		from := random.IntN(len(want) + 1)
		to := from + random.IntN(len(want)-from+1)
		section := b.reader(int64(from), int64(to))
		for _, direct := range []bool{false, true, false} { // the S3 client reads more than once: to sign, and to send
			var in io.Reader = section
			if !direct {
				in = struct{ io.Reader }{in} // without WriteTo
			}
			var got bytes.Buffer
			if _, err := io.Copy(struct{ io.Writer }{&got}, in); err != nil || !bytes.Equal(got.Bytes(), want[from:to]) {
				t.Fatalf("%d bytes of %d to %d: %v", got.Len(), from, to, err)
			}
			if at, err := section.Seek(0, io.SeekStart); at != 0 || err != nil {
				t.Fatal(at, err)
			}
		}
		if size, err := section.Seek(0, io.SeekEnd); err != nil || size != int64(to-from) || b.size() != int64(len(want)) {
			t.Fatalf("sizes %d and %d: %v", size, b.size(), err)
		}
		b.release()
	}
	if m.used.Load() != 0 {
		t.Errorf("%d bytes are taken at the end", m.used.Load())
	}
}

// randomBlob writes groups of random bytes, some with a text inserted before them, and returns what it should hold.
func randomBlob(t *testing.T, random *rand.Rand, b *blob) (want []byte) {
	for range random.IntN(30) {
		before, at := len(want), b.written()
		for range random.IntN(3) {
			p := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(40_000))
			b.Write(p)
			want = append(want, p...)
		}
		if random.IntN(2) == 0 {
			text := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(30))
			b.insert(at, text)
			want = slices.Insert(want, before, text...)
		}
		if random.IntN(5) == 0 {
			if err := b.spill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want
}
