package schemaregistry

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What would take long is refused soon: too much of anything, and nesting that means nothing.
func TestHostileSchemasAreRefused(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	var symbols strings.Builder
	for i := 0; symbols.Len() < 10<<20; i++ {
		fmt.Fprintf(&symbols, `"S%d",`, i)
	}
	for name, body := range map[string]string{
		"enum":      schemaBody(`{"type":"enum","name":"E","symbols":[` + symbols.String() + `"Z"]}`),
		"unions":    schemaBody(strings.Repeat("[", 50) + `"int"` + strings.Repeat("]", 50)),
		"arrays":    schemaBody(strings.Repeat(`{"type":"array","items":`, 2000) + `"int"` + strings.Repeat("}", 2000)),
		"JSON":      typed("JSON", strings.Repeat(`{"not":`, 2000)+`{}`+strings.Repeat("}", 2000), ""),
		"many JSON": typed("JSON", `{"allOf":[`+strings.Repeat(`{"minLength":1},`, 100_000)+`{}]}`, ""),
		"messages":  typed("PROTOBUF", `syntax = "proto3"; `+strings.Repeat(`message M {`, 2000)+strings.Repeat("}", 2000), ""),
	} {
		start := time.Now()
		status, answer, _ := ask(t, url, "POST", "/subjects/s/versions", body)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		if d := time.Since(start); d > 5*time.Second { // 100 ms where nothing else runs
			t.Errorf("%s: %v", name, d)
		}
		t.Logf("%s: %v", name, time.Since(start))
	}
	// Unions of unions in arrays are valid, and compared with memory of what has been compared.
	deep := strings.Repeat(`["null",{"type":"array","items":`, 50) + `"int"` + strings.Repeat(`}]`, 50)
	run(t, url, []step{
		{"POST /subjects/deep/versions", schemaBody(deep), 200, `{"id":1}`},
		{"POST /subjects/deep/versions", schemaBody(strings.Replace(deep, "int", "string", 1)), 409, `~MISSING_UNION_BRANCH`},
	})
}

// Hostile schemas are refused before they have cost anything.
func TestHostileBodiesAreRefusedFast(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	symbols := func(size int) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, `,"SYMBOL_%d"`, i)
		}
		return `{"type":"enum","name":"E","symbols":[` + b.String()[1:] + `]}`
	}
	arrays := `"int"`
	for range 400 {
		arrays = `{"type":"array","items":["null",` + arrays + `]}`
	}
	for name, text := range map[string]string{
		"unions in unions": strings.Repeat(`["null",`, 50) + `"int"` + strings.Repeat("]", 50),
		"too deep":         arrays,
		"4.5 MB of enum":   symbols(4_500_000),
		"10 MB of enum":    symbols(10_000_000),
	} {
		for _, path := range []string{"POST /subjects/s/versions", "POST /compatibility/subjects/s/versions"} {
			method, path, _ := strings.Cut(path, " ")
			body := schemaBody(text)
			best := time.Hour // of some: the machine is shared
			for range 2 {
				began := time.Now()
				status, answer, _ := ask(t, url, method, path, body)
				best = min(best, time.Since(began))
				if status != 422 {
					t.Fatalf("%s: %d %.200s", name, status, answer)
				}
			}
			if best > 10*time.Second { // 50 ms, without the race detector and other tests beside it
				t.Errorf("%s: refused after %v", name, best)
			}
			t.Logf("%s, %s: %v", name, path, best)
		}
	}
}
