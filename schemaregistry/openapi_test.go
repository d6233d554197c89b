package schemaregistry

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The document has every route, and no other.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	_, body, _ := ask(t, serve(t, open(t, newKafka(t))), "GET", "/openapi.json", "")
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatal(err)
	}
	var described, routed []string
	parameter := regexp.MustCompile(`\{\w+\}`)
	for path, methods := range document.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+parameter.ReplaceAllString(path, "*"))
		}
	}
	for prefix, list := range map[string][]endpoint{"/": endpoints(), "/api/v1/registry/": ours()} {
		for _, e := range list {
			for method := range maps.Keys(e.methods) {
				routed = append(routed, method+" "+prefix+strings.Join(e.path, "/"))
			}
		}
	}
	slices.Sort(described)
	slices.Sort(routed)
	if diff := cmp.Diff(routed, described); diff != "" {
		t.Errorf("routes (-) and document (+):\n%s", diff)
	}
}
