package schemaregistry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkByID answers GET /schemas/ids/1, without a network.
func BenchmarkByID(b *testing.B) {
	r := open(b, newKafka(b))
	if _, err := r.Register(b.Context(), "s", textABD); err != nil {
		b.Fatal(err)
	}
	h := r.Handler(nil)
	req := httptest.NewRequest(http.MethodGet, "/schemas/ids/1", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, req); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkRegisterAgain registers what is registered already, as every producer does when it starts.
func BenchmarkRegisterAgain(b *testing.B) {
	r := open(b, newKafka(b))
	for b.Loop() {
		if _, err := r.Register(b.Context(), "s", textABD); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegister registers a new version each time, one after another: two round trips to the log and back.
func BenchmarkRegister(b *testing.B) {
	r := open(b, newKafka(b))
	i := 0
	for b.Loop() {
		i++
		if _, err := r.Register(b.Context(), fmt.Sprint("s", i), fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad reads a topic of 100,000 schemas of 500 bytes into memory, as a start does.
func BenchmarkLoad(b *testing.B) {
	const schemas = 100_000
	doc := strings.Repeat("d", 400)
	keys, values := make([][]byte, schemas), make([][]byte, schemas)
	for i := range schemas {
		name := fmt.Sprintf("subject-%d", i/3)
		text := fmt.Sprintf(`{"type":"record","name":"R%d","doc":"%s","fields":[{"name":"f","type":"string"}]}`, i, doc)
		keys[i] = keyOfSchema(name, i%3+1)
		values[i] = marshal(schemaValue{Subject: name, Version: i%3 + 1, ID: i + 1, Schema: text})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var st *state
	for b.Loop() {
		st = newState()
		for i := range keys {
			if err := st.apply(keys[i], values[i], 1); err != nil {
				b.Fatal(err)
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
	runtime.KeepAlive([]any{st, keys, values})
}

// BenchmarkCheck compares a schema of 100 fields with 50 versions.
func BenchmarkCheck(b *testing.B) {
	r := open(b, newKafka(b), func(o *Options) { o.Level = BackwardTransitive })
	record := func(n int) string {
		var fields []string
		for i := range 100 + n {
			fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":["null","string"],"default":null}`, i))
		}
		return textOf(fields...)
	}
	for i := range 50 {
		if _, err := r.Register(b.Context(), "s", record(i)); err != nil {
			b.Fatal(err)
		}
	}
	h, body := r.Handler(nil), schemaBody(record(50))
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/compatibility/subjects/s/versions", strings.NewReader(body))); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
