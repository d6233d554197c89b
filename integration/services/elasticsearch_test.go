package services

import (
	"net/http"
	"strings"
	"testing"
)

// That a killed Elasticsearch keeps its data, the kill tests show with the one that they kill; that it takes settings, the
// tests of the sink with the one that asks for passwords. A start costs ten seconds of the processor.
func TestElasticsearchForgetsATest(t *testing.T) {
	t.Parallel()
	e := UseElasticsearch(t)
	do := func(method, path, body string) string {
		t.Helper()
		b, err := e.Do(t.Context(), method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	index := ""
	t.Run("inner", func(t *testing.T) {
		index = e.NewPrefix(t) + "orders"
		do(http.MethodPut, "/"+index+"/_doc/7", `{"total": 12.5}`)
		if got := do(http.MethodGet, "/"+index+"/_doc/7", ""); !strings.Contains(got, `{"total": 12.5}`) {
			t.Errorf("the document is %s", got)
		}
	})
	if left := do(http.MethodGet, "/_cat/indices?h=index", ""); strings.Contains(left, index) {
		t.Errorf("indices left after the test: %s", left)
	}
}
