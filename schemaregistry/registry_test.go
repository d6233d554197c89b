package schemaregistry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
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
