package schemaregistry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// newKafka starts a broker that ends with the test.
func newKafka(t testing.TB) []kgo.Opt {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}
}

func open(t testing.TB, kafka []kgo.Opt, change ...func(*Options)) *Registry {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	opts := Options{Kafka: kafka, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&opts)
	}
	r, err := New(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func serve(t testing.TB, r *Registry) string {
	t.Helper()
	s := httptest.NewServer(r.Handler(nil))
	t.Cleanup(s.Close)
	return s.URL
}

// ask sends a request; a path is sent as it is written. It returns status, body and header.
func ask(t testing.TB, url, method, path, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// step is one question to the API and the answer to it.
type step struct {
	do     string // method and path
	body   string
	status int
	want   string // JSON; "~" and a text: the body contains it
}

func run(t *testing.T, url string, steps []step) {
	t.Helper()
	for i, s := range steps {
		method, path, _ := strings.Cut(s.do, " ")
		status, body, _ := ask(t, url, method, path, s.body)
		part, contains := strings.CutPrefix(s.want, "~")
		switch {
		case status != s.status, contains && !strings.Contains(body, part), !contains && !sameJSON(body, s.want):
			t.Fatalf("step %d: %s %s\ngot  %d %s\nwant %d %s", i, s.do, s.body, status, body, s.status, s.want)
		}
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && cmp.Equal(x, y)
}

// avroBody is the body that registers a record R with the fields.
func avroBody(fields ...string) string {
	return schemaBody(`{"type":"record","name":"R","fields":[` + strings.Join(fields, ",") + `]}`)
}

func schemaBody(text string) string { return string(marshal(map[string]any{"schema": text})) }

const (
	fieldA  = `{"name":"a","type":"string"}`
	fieldB  = `{"name":"b","type":"string"}`
	fieldBD = `{"name":"b","type":"string","default":"x"}`
	textA   = `{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}`
	textABD = `{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"b","type":"string","default":"x"}]}`
)

func failure(code int, message string) string {
	return fmt.Sprintf(`{"error_code":%d,"message":%s}`, code, quoted(message))
}

func TestRegisterAndRead(t *testing.T) {
	a, abd := avroBody(fieldA), avroBody(fieldA, fieldBD)
	version := func(n, id int, text string) string {
		return fmt.Sprintf(`{"subject":"s","version":%d,"id":%d,"schema":%s}`, n, id, quoted(text))
	}
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"GET /subjects", "", 200, `[]`},
		{"GET /", "", 200, `{}`},
		{"GET /schemas/types", "", 200, `["JSON","PROTOBUF","AVRO"]`},
		{"GET /contexts", "", 200, `["."]`},
		{"GET /subjects/s/versions", "", 404, failure(40401, "Subject 's' not found.")},
		{"GET /subjects/s/versions/1", "", 404, failure(40401, "Subject 's' not found.")},
		{"GET /schemas/ids/1", "", 404, failure(40403, "Schema 1 not found")},
		{"GET /schemas/ids/1/schema", "", 404, failure(40403, "Schema 1 not found")},
		{"POST /subjects/s", a, 404, failure(40401, "Subject 's' not found.")},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions/", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions", schemaBody(" {\"fields\": [{\"type\":{\"type\":\"string\"}, \"name\":\"a\"}], \"name\":\"R\",\n\"type\":\"record\"}"), 200, `{"id":1}`},
		{"POST /subjects/s/versions", abd, 200, `{"id":2}`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`}, // an old version is that version, not a new one
		{"POST /subjects/other/versions", abd, 200, `{"id":2}`},
		{"GET /subjects", "", 200, `["other","s"]`},
		{"GET /subjects?subjectPrefix=o", "", 200, `["other"]`},
		{"GET /subjects?offset=1&limit=5", "", 200, `["s"]`},
		{"GET /subjects/s/versions", "", 200, `[1,2]`},
		{"GET /subjects/s/versions/1", "", 200, version(1, 1, textA)},
		{"GET /subjects/s/versions/latest", "", 200, version(2, 2, textABD)},
		{"GET /subjects/s/versions/-1", "", 200, version(2, 2, textABD)},
		{"GET /subjects/s/versions/2/schema", "", 200, textABD},
		{"GET /subjects/s/versions/2/referencedby", "", 200, `[]`},
		{"GET /subjects/s/versions/3", "", 404, failure(40402, "Version 3 not found.")},
		{"GET /subjects/s/versions/0", "", 422, `~"error_code":42202`},
		{"GET /subjects/s/versions/x", "", 422, failure(42202, `The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string "latest"`)},
		{"GET /subjects/s/versions/2147483648", "", 422, `~"error_code":42202`},
		{"POST /subjects/s", abd, 200, version(2, 2, textABD)},
		{"POST /subjects/s", avroBody(fieldB), 404, failure(40403, "Schema not found")},
		{"POST /subjects/s", schemaBody("{}"), 422, `~"error_code":42201`},
		{"GET /schemas/ids/2", "", 200, `{"schema":` + string(quoted(textABD)) + `}`},
		{"GET /schemas/ids/2?fetchMaxId=true&subject=other", "", 200, `{"subject":"other","version":1,"maxId":2,"schema":` + string(quoted(textABD)) + `}`},
		{"GET /schemas/ids/2/schema", "", 200, textABD},
		{"GET /schemas/guids/" + hashOf(textABD, nil, nil, nil).String(), "", 200, `{"schema":` + string(quoted(textABD)) + `}`},
		{"GET /schemas/guids/" + hashOf(textABD, nil, nil, nil).String() + "/ids", "", 200, `[{"context":".","id":2}]`},
		{"GET /schemas/guids/x", "", 404, failure(40403, "Schema x not found")},
		{"GET /schemas/guids/x/ids", "", 200, `[]`},
		{"GET /schemas/ids/2/subjects", "", 200, `["other","s"]`},
		{"GET /schemas/ids/2/versions", "", 200, `[{"subject":"other","version":1},{"subject":"s","version":2}]`},
		{"GET /schemas?latestOnly=true&subjectPrefix=s", "", 200, `[` + version(2, 2, textABD) + `]`},
		{"POST /subjects/s/versions", `{"schema":"\"int\"","schemaType":"XML"}`, 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", `{"schema":""}`, 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", schemaBody("nonsense"), 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", `{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":1}]}`, 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", `{"schema":"\"int\"","id":7}`, 422, `~"error_code":42205`},
		{"POST /subjects/s/versions", strings.Replace(avroBody(fieldBD), `{`, `{"version":7,`, 1), 422, `~"error_code":42201`},
		{"POST /subjects/__GLOBAL/versions", a, 422, failure(42208, "The specified subject '__GLOBAL' is not a valid subject.")},
		{"POST /subjects/a%0Ab/versions", a, 422, `~"error_code":42208`},
		{"POST /subjects/a%2Fb%20c%25/versions", a, 200, `{"id":1}`},
		{"GET /subjects/a%2Fb%20c%25/versions/1/schema", "", 200, textA},
		{"GET /subjects?subjectPrefix=a", "", 200, `["a/b c%"]`},
	})
}

func TestPlainHTTPErrors(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	run(t, url, []step{
		{"GET /nothing", "", 404, failure(404, "HTTP 404 Not Found")},
		{"GET /schemas/ids/x", "", 404, failure(404, "HTTP 404 Not Found")},
		{"GET /subjects//", "", 405, failure(405, "HTTP 405 Method Not Allowed")},
		{"PATCH /config", "", 405, failure(405, "HTTP 405 Method Not Allowed")},
		{"POST /subjects/s/versions", "{", 400, `~"error_code":400`},
		{"POST /subjects/s/versions", "", 400, `~"error_code":400`},
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

func TestMembersForNewClients(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	const accept, yes = "Confluent-Accept-Unknown-Properties", "true"
	_, body, _ := ask(t, url, "POST", "/subjects/s/versions", schemaBody(`"string"`), accept, yes)
	// MD5 of "string" in quotes, as Confluent computes it for the schema.
	want := `{"id":1,"version":1,"guid":"` + hashOf(`"string"`, nil, nil, nil).String() + `"}`
	if !sameJSON(body, want) {
		t.Errorf("got %s, want %s", body, want)
	}
	_, body, _ = ask(t, url, "GET", "/subjects/s/versions/1", "", accept, yes)
	for _, member := range []string{`"guid":"`, `"ts":1`, `"deleted":false`, `"schemaType":"AVRO"`} {
		if !strings.Contains(body, member) {
			t.Errorf("no %s in %s", member, body)
		}
	}
}

func TestDeletes(t *testing.T) {
	a, b, abd := avroBody(fieldA), avroBody(fieldB), avroBody(fieldA, fieldBD)
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"DELETE /subjects/s", "", 404, failure(40401, "Subject 's' not found.")},
		{"DELETE /subjects/s/versions/1", "", 404, failure(40401, "Subject 's' not found.")},
		{"PUT /config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions", b, 200, `{"id":2}`},
		{"POST /subjects/s/versions", abd, 200, `{"id":3}`},
		{"DELETE /subjects/s/versions/9", "", 404, failure(40402, "Version 9 not found.")},
		{"DELETE /subjects/s/versions/y", "", 422, `~"error_code":42202`},
		{"DELETE /subjects/s/versions/2?permanent=true", "", 404, failure(40407, "Subject 's' Version 2 was not deleted first before being permanently deleted")},
		{"DELETE /subjects/s/versions/2", "", 200, `2`},
		{"DELETE /subjects/s/versions/2", "", 404, failure(40406, "Subject 's' Version 2 was soft deleted.Set permanent=true to delete permanently")},
		{"GET /subjects/s/versions", "", 200, `[1,3]`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,2,3]`},
		{"GET /subjects/s/versions?deletedOnly=true", "", 200, `[2]`},
		{"GET /subjects/s/versions/2", "", 404, failure(40402, "Version 2 not found.")},
		{"GET /subjects/s/versions/2?deleted=true", "", 200, `~"version":2`},
		{"GET /schemas/ids/2/schema", "", 200, `~"b"`}, // what was written with it can still be read
		{"GET /schemas/ids/2/versions", "", 200, `[]`},
		{"GET /schemas/ids/2/versions?deleted=true", "", 200, `[{"subject":"s","version":2}]`},
		{"POST /subjects/s", b, 404, `~40403`},
		{"POST /subjects/s?deleted=true", b, 200, `~"version":2`},
		// It comes back under the same id as a new version, and the old one is gone.
		{"POST /subjects/s/versions", b, 200, `{"id":2}`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,3,4]`},
		{"DELETE /subjects/s/versions/latest", "", 200, `4`},
		{"GET /subjects/s/versions/latest", "", 200, `~"version":3`},
		{"GET /subjects/s/versions/latest?deleted=true", "", 200, `~"version":3`},
		{"DELETE /subjects/s/versions/4?permanent=true", "", 200, `4`},
		{"GET /schemas/ids/2", "", 404, failure(40403, "Schema 2 not found")},
		{"DELETE /subjects/s?permanent=true", "", 404, failure(40405, "Subject 's' was not deleted first before being permanently deleted")},
		{"PUT /config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"DELETE /subjects/s/", "", 200, `[1,3]`},
		{"DELETE /subjects/s", "", 404, failure(40404, "Subject 's' was soft deleted.Set permanent=true to delete permanently")},
		{"GET /subjects", "", 200, `[]`},
		{"GET /subjects?deleted=true", "", 200, `["s"]`},
		{"GET /subjects?deletedOnly=true", "", 200, `["s"]`},
		{"GET /subjects/s/versions", "", 404, `~40401`},
		{"GET /subjects/s/versions/latest?deleted=true", "", 404, `~40402`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"FULL"}`},
		{"DELETE /subjects/s?permanent=true", "", 200, `[1,3]`},
		{"GET /subjects?deleted=true", "", 200, `[]`},
		{"GET /config/s", "", 404, `~40408`},
		{"GET /schemas/ids/3", "", 404, `~40403`},
	})
	// Versions begin again, ids do not, not even after a start that sees nothing but what is left.
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /subjects/s/versions", a, 200, `{"id":4}`},
		{"GET /subjects/s/versions", "", 200, `[1]`},
		{"DELETE /subjects/s", "", 200, `[1]`},
		{"POST /subjects/s/versions", abd, 200, `{"id":5}`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,2]`},
	})
}

func TestConfigAndMode(t *testing.T) {
	a := avroBody(fieldA)
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"GET /config", "", 200, `{"compatibilityLevel":"BACKWARD"}`},
		{"GET /config/s", "", 404, failure(40408, "Subject 's' does not have subject-level compatibility configured")},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"BACKWARD"}`},
		{"DELETE /config/s", "", 404, failure(40401, "Subject 's' not found.")},
		{"PUT /config", `{"compatibility":"WRONG"}`, 422, failure(42203, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")},
		{"PUT /config/s", `{"compatibility":1}`, 422, `~42203`},
		{"PUT /config/s", `{"compatibility":"forward_transitive","normalize":true}`, 200, `{"compatibility":"FORWARD_TRANSITIVE","normalize":true}`},
		{"PUT /config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"FULL","normalize":true}`},
		{"PUT /config/s", `{"compatibility":null}`, 200, `{}`},
		{"GET /config/s", "", 200, `{"normalize":true}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"BACKWARD","normalize":true}`},
		{"DELETE /config/s", "", 200, `{"normalize":true}`},
		{"GET /config/s", "", 404, `~40408`},
		{"PUT /config", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"FULL"}`},
		{"DELETE /config", "", 200, `{"compatibilityLevel":"BACKWARD"}`},
		{"GET /config", "", 200, `{"compatibilityLevel":"BACKWARD"}`},

		{"GET /mode", "", 200, `{"mode":"READWRITE"}`},
		{"GET /mode/s", "", 404, failure(40409, "Subject 's' does not have subject-level mode configured")},
		{"GET /mode/s?defaultToGlobal=true", "", 200, `{"mode":"READWRITE"}`},
		{"DELETE /mode/s", "", 404, `~40401`},
		{"PUT /mode", `{"mode":"SOMETHING"}`, 422, `~42204`},
		{"PUT /mode", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`},
		{"POST /subjects/s/versions", a, 422, failure(42205, "Subject s is in read-only mode")},
		{"PUT /config/s", `{"compatibility":"FULL"}`, 422, `~42205`},
		{"PUT /mode/s", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"DELETE /mode/s", "", 200, `{"mode":"READWRITE"}`},
		{"DELETE /subjects/s", "", 422, `~42205`},
		{"DELETE /subjects/s/versions/1", "", 422, `~42205`},
		{"POST /subjects/s", a, 200, `~"id":1`},
		{"POST /compatibility/subjects/s/versions/latest", a, 200, `{"is_compatible":true}`},
		{"PUT /mode", `{"mode":null}`, 200, `{}`},
		{"GET /mode", "", 200, `{"mode":"READWRITE"}`},

		{"PUT /mode/s", `{"mode":"IMPORT"}`, 422, failure(42205, "Cannot import since found existing subjects")},
		{"PUT /mode/i", `{"mode":"IMPORT"}`, 200, `{"mode":"IMPORT"}`},
		{"POST /subjects/i/versions", a, 422, `~42205`},
		{"POST /subjects/i/versions", `{"schema":"\"int\"","id":40,"version":3}`, 200, `{"id":40}`},
		{"POST /subjects/i/versions", `{"schema":"\"int\"","id":40,"version":3}`, 200, `{"id":40}`},
		{"POST /subjects/i/versions", `{"schema":"\"string\"","id":40}`, 422, `~42205`},
		{"POST /subjects/i/versions", `{"schema":"\"string\"","id":41,"version":3}`, 422, `~42205`},
		{"POST /subjects/i/versions", `{"schema":"\"string\"","id":30}`, 200, `{"id":30}`},
		{"GET /subjects/i/versions", "", 200, `[3,4]`},
		{"PUT /mode/i", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`},
		{"POST /subjects/n/versions", `{"schema":"\"long\""}`, 200, `{"id":41}`},
	})
}

func TestCompatibilityOverHTTP(t *testing.T) {
	a, b, ab, abd := avroBody(fieldA), avroBody(fieldB), avroBody(fieldA, fieldB), avroBody(fieldA, fieldBD)
	missing := `{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}`
	old := `{oldSchema: '` + textA + `'}`
	const level = `{validateFields: 'false', compatibility: 'BACKWARD'}`
	messages := string(marshal([]string{missing, "{oldSchemaVersion: 1}", old, level}))
	refused := failure(409, `Schema being registered is incompatible with an earlier schema for subject "s", details: [`+strings.Join([]string{missing, "{oldSchemaVersion: 1}", old, level}, ", ")+`]`)
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /compatibility/subjects/s/versions/latest", a, 200, `{"is_compatible":true}`},
		{"POST /compatibility/subjects/s/versions", a, 200, `{"is_compatible":true}`},
		{"POST /compatibility/subjects/s/versions/1", a, 404, failure(40402, "Version 1 not found.")},
		{"POST /compatibility/subjects/s/versions/x", a, 422, `~42202`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions", ab, 409, refused},
		{"POST /compatibility/subjects/s/versions/latest", ab, 200, `{"is_compatible":false}`},
		{"POST /compatibility/subjects/s/versions/latest?verbose=true", ab, 200, `{"is_compatible":false,"messages":` + messages + `}`},
		{"POST /compatibility/subjects/s/versions?verbose=true", ab, 200, `{"is_compatible":false,"messages":` + messages + `}`},
		{"POST /compatibility/subjects/s/versions/1?verbose=true", abd, 200, `{"is_compatible":true,"messages":[]}`},
		{"POST /compatibility/subjects/s/versions/1", schemaBody("x"), 422, `~42201`},
		{"POST /compatibility/subjects/s/versions/1?verbose=true", schemaBody("x"), 200, `~"is_compatible":false,"messages":["Invalid schema`},
		{"POST /subjects/s/versions", abd, 200, `{"id":2}`},
		{"POST /subjects/s/versions", ab, 200, `{"id":3}`}, // only the newest version counts
		{"PUT /config/s", `{"compatibility":"BACKWARD_TRANSITIVE"}`, 200, `{"compatibility":"BACKWARD_TRANSITIVE"}`},
		{"POST /compatibility/subjects/s/versions", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 200, `{"is_compatible":false}`},
		{"POST /compatibility/subjects/s/versions/2", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 200, `{"is_compatible":true}`},
		{"POST /subjects/s/versions", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 409, `~{oldSchemaVersion: 1}`},
		{"PUT /config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"POST /subjects/s/versions", b, 409, `~"error_code":409`},
		{"DELETE /config/s", "", 200, `{"compatibilityLevel":"BACKWARD_TRANSITIVE"}`},
		{"POST /subjects/s/versions", b, 200, `{"id":4}`},
	})
	code := serve(t, open(t, kafka, func(o *Options) { o.IncompatibleCode = 40901 }))
	run(t, code, []step{
		{"PUT /config", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 409, `~"error_code":40901`},
	})
}

func TestNormalize(t *testing.T) {
	first, second := schemaBody(`{"type":"int","b":{"y":1,"x":2},"a":1}`), schemaBody(`{"type":"int","a":1,"b":{"x":2,"y":1}}`)
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/s/versions?normalize=true", first, 200, `{"id":1}`},
		{"GET /schemas/ids/1/schema", "", 200, `{"type":"int","a":1,"b":{"x":2,"y":1}}`},
		{"POST /subjects/s/versions", second, 200, `{"id":1}`},
		{"POST /subjects/s/versions", first, 200, `{"id":1}`}, // the order of properties never makes a version
		{"POST /subjects/t/versions", first, 200, `{"id":2}`}, // but it makes another text
		{"PUT /config/u", `{"normalize":true}`, 200, `{"normalize":true}`},
		{"POST /subjects/u/versions", first, 200, `{"id":1}`},
		{"POST /subjects/t?normalize=true", first, 200, `~"id":2`},
	})
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

// Nothing is shared between checks but what does not change.
func TestChecksAtOnce(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	run(t, url, []step{{"POST /subjects/s/versions", avroBody(fieldA, fieldBD), 200, `{"id":1}`}})
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for range 5 {
				body, want := avroBody(fieldA), `{"is_compatible":true}`
				if n%2 == 0 {
					body, want = avroBody(fieldB), `{"is_compatible":true}`
				}
				if n%3 == 0 {
					body, want = avroBody(`{"name":"c","type":"string"}`), `{"is_compatible":false}`
				}
				if _, got, _ := ask(t, url, "POST", "/compatibility/subjects/s/versions/latest", body); got != want {
					t.Errorf("%s: %s", body, got)
				}
			}
		})
	}
	wg.Wait()
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
