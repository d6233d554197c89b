package s3

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// TestMemoryIsBounded has 200 files open at once, of 750 kB each, with a budget of 32 MiB.
func TestMemoryIsBounded(t *testing.T) {
	const files, each, budget = 200, 75, 32 << 20
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
// fails now and then.
func TestLargeFileInParts(t *testing.T) {
	for _, of := range []string{"json", "avro"} {
		t.Run(of, func(t *testing.T) {
			st := newFakeStore()
			requests := 0
			st.fail = func(string, string) error {
				if requests++; requests%4 == 3 {
					return errDown
				}
				return nil
			}
			const n = 2400
			r := startRun(t, st, baseConfig("format.class", of, "flush.size", fmt.Sprint(n), "s3.part.size", fmt.Sprint(minPart)))
			defer r.stop()
			var want bytes.Buffer
			for i := range int64(n) {
				line := fmt.Sprintf("%d %s", i, strings.Repeat(string(rune('a'+i%26)), 10_000))
				fmt.Fprintf(&want, "%q\n", line)
				rec := order(i, "")
				rec.Value = connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, line)}
				tries(t, func() error { return r.tryPut(rec) })
				if i == n/2 && of == "json" && st.begun() == 0 {
					t.Error("half of the file waits, and no part has been sent")
				}
			}
			tries(t, func() error {
				_, err := r.task.Flush(t.Context(), true)
				return err
			})
			if got := r.flush(); got != n {
				t.Fatalf("position %d", got)
			}
			if of == "json" && st.content(oneName+".json") != want.String() {
				t.Errorf("object of %d bytes, want %d", len(st.content(oneName+".json")), want.Len())
			}
			if of == "avro" && len(st.content(oneName+".avro")) < want.Len() {
				t.Errorf("object of %d bytes", len(st.content(oneName+".avro")))
			}
			if len(st.parts) > 0 {
				t.Errorf("%d uploads were not ended", len(st.parts))
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

// TestBlob compares a blob, partly on disk, with plain memory.
func TestBlob(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	m := newMemory(1 << 30)
	for range 20 {
		b, want := newBlob(m), []byte{}
		for range random.IntN(30) {
			p := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(40_000))
			b.Write(p)
			want = append(want, p...)
			if random.IntN(5) == 0 {
				if err := b.spill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		from := random.IntN(len(want) + 1)
		to := from + random.IntN(len(want)-from+1)
		section := b.reader(int64(from), int64(to))
		for range 2 { // as the S3 client does: once to sign, once to send
			got, err := io.ReadAll(section)
			if err != nil || !bytes.Equal(got, want[from:to]) {
				t.Fatalf("%d bytes of %d to %d: %v", len(got), from, to, err)
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
