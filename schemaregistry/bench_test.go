package schemaregistry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkByID answers GET /schemas/ids/1, without a network.
func BenchmarkByID(b *testing.B) {
	r := open(b, newKafka(b))
	if _, err := r.Register(b.Context(), "s", textABD); err != nil {
		b.Fatal(err)
	}
	h := r.Handler()
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
