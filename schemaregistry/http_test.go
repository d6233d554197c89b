package schemaregistry

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPlainHTTPErrors(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	run(t, url, []step{
		{"GET /nothing", "", 404, failure(404, "HTTP 404 Not Found")},
		{"GET /schemas/ids/x", "", 404, failure(404, "HTTP 404 Not Found")},
		{"GET /subjects//", "", 405, failure(405, "HTTP 405 Method Not Allowed")},
		{"PATCH /config", "", 405, failure(405, "HTTP 405 Method Not Allowed")},
		{"POST /subjects/s/versions", "{", 400, `~"error_code":400`},
		{"POST /subjects/s/versions", "", 422, failure(422, "The body must not be null")},
		{"PUT /config/s", "null", 422, `~"error_code":422`},
		{"POST /subjects/s/versions", "[]", 400, failure(400, "The body is not the JSON that is wanted here: it must be an object, not array")},
		{"POST /subjects/s/versions", `{"schema":{"type":"int"}}`, 400, failure(400, `The body is not the JSON that is wanted here: the member "schema" must not be object`)},
		{"PUT /config", `"FULL"`, 400, failure(400, "The body is not the JSON that is wanted here: it must be an object, not string")},
		{"POST /subjects/s/versions", strings.Repeat(" ", maxBody+1), 422, `~"error_code":42209`},
		{"POST /subjects/s/versions", schemaBody(strings.Repeat("[", 100_000)), 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", schemaBody(`{"type":"int","x":"` + strings.Repeat("incompressible", 800_000) + `"}`), 422, `~"error_code":42209`},
	})
	for _, c := range []struct {
		header []string
		status int
		kind   string
	}{
		{nil, 200, contentTypes[0]},
		{[]string{"Accept", "*/*"}, 200, contentTypes[0]},
		{[]string{"Accept", "application/json"}, 200, "application/json"},
		{[]string{"Accept", "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5"}, 200, contentTypes[0]},
		{[]string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}, 200, contentTypes[0]},
		{[]string{"Accept", "text/html"}, 406, contentTypes[0]},
		{[]string{"Content-Type", "application/vnd.schemaregistry+json; charset=utf-8"}, 200, contentTypes[0]},
		{[]string{"Content-Type", "application/octet-stream"}, 200, contentTypes[0]},
		{[]string{"Content-Type", "text/plain"}, 415, contentTypes[0]},
	} {
		status, body, header := ask(t, url, "POST", "/subjects/s/versions", avroBody(fieldA), c.header...)
		if status != c.status || header.Get("Content-Type") != c.kind || header.Get("X-Request-ID") == "" {
			t.Errorf("%v: %d %s %v", c.header, status, body, header)
		}
	}
	if _, _, header := ask(t, url, "GET", "/subjects", "", "X-Request-ID", "mine"); header.Get("X-Request-ID") != "mine" {
		t.Error(header)
	}
}

func TestBodyIsBoundedBeforeItIsRead(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	resp, err := http.Post(url+"/subjects/s/versions", "application/json", io.MultiReader(bytes.NewReader([]byte(`{"schema":"`)), endless{}))
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnprocessableEntity {
			t.Error(resp.Status)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
