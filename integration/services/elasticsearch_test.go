package services

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestElasticsearchKeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := use(t, func(ctx context.Context) (*Elasticsearch, error) {
		return StartElasticsearch(ctx, ElasticsearchOptions{Settings: map[string]string{"cluster.name": "killed"}})
	})
	do := func(method, path, body string) []byte {
		t.Helper()
		b, err := e.Do(ctx, method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	index := ""
	t.Run("inner", func(t *testing.T) {
		index = e.NewPrefix(t) + "orders"
		do(http.MethodPut, "/"+index+"/_doc/7?version=3&version_type=external", `{"total": 12.5}`)
		if err := e.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := e.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Version int                `json:"_version"`
			Source  map[string]float64 `json:"_source"`
		}
		if err := json.Unmarshal(do(http.MethodGet, "/"+index+"/_doc/7", ""), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Version != 3 || doc.Source["total"] != 12.5 {
			t.Errorf("after the restart the document is %+v", doc)
		}
		health := string(do(http.MethodGet, "/_cluster/health", ""))
		if !strings.Contains(health, `"cluster_name":"killed"`) {
			t.Errorf("the setting is not in %s", health)
		}
	})
	if left := do(http.MethodGet, "/_cat/indices?h=index", ""); strings.Contains(string(left), index) {
		t.Errorf("indices left after the test: %s", left)
	}
}
