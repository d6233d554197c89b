package schemaregistry

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
)

// operation is something to do and what the model answers to it.
type operation struct {
	method, path, body string
	do                 func(*model) (status int, answer any) // changes the model; a nil answer is not looked at
}

func (n *node) dump(t *testing.T, names []string) []string {
	t.Helper()
	var list []string
	status, body, _ := ask(t, n.url, "GET", "/schemas?deleted=true&subjectPrefix=:*:", "", "Confluent-Accept-Unknown-Properties", "true")
	var versions []versionAnswer
	if err := json.Unmarshal([]byte(body), &versions); status != 200 || err != nil {
		t.Fatal(status, body, err)
	}
	for _, v := range versions {
		var of struct {
			Fields []struct{ Name string }
		}
		if err := json.Unmarshal([]byte(v.Schema), &of); err != nil {
			t.Fatal(err)
		}
		fields := ""
		for _, f := range of.Fields {
			fields += f.Name
		}
		list = append(list, fmt.Sprintf("%s %d id %d deleted %t %s", v.Subject, v.Version, v.ID, *v.Deleted, fields))
	}
	for _, name := range names {
		if status, body, _ := ask(t, n.url, "GET", "/config/"+url.PathEscape(name), ""); status == 200 {
			list = append(list, "level "+name+" "+strings.Split(body, `"`)[3])
		}
		if status, body, _ := ask(t, n.url, "GET", "/mode/"+url.PathEscape(name), ""); status == 200 {
			list = append(list, "mode "+name+" "+strings.Split(body, `"`)[3])
		}
	}
	slices.Sort(list)
	return list
}

var modelNames = [...]string{"a", "b", ":.x:a", ":.x:b", ":.y:a"}

// recordOfFields is the text of the model's schema.
func recordOfFields(schema string) string {
	var fields []string
	for _, f := range schema {
		field := `{"name":"` + string(f) + `","type":"string"`
		if f == 'c' {
			field += `,"default":""`
		}
		fields = append(fields, field+"}")
	}
	return textOf(fields...)
}

func randomOperation(r *rand.Rand) operation {
	name := modelNames[r.IntN(len(modelNames))]
	path := url.PathEscape(name)
	permanent, number := r.IntN(2) == 0, 1+r.IntN(5)
	switch p := r.IntN(20); {
	case p < 10:
		schema := []string{"a", "ab", "abc", "ac", "b", "bc", "c"}[r.IntN(7)]
		refers, references := "", ""
		if r.IntN(6) == 0 {
			refers = fmt.Sprintf("%s/%d", []string{"a", "b"}[r.IntN(2)], number)
			to, _, _ := strings.Cut(refers, "/")
			references = fmt.Sprintf(`,"references":[{"name":"n","subject":"%s","version":%d}]`, to, number)
			// What is referred to is a record R, too: so this one is called otherwise.
		}
		text := recordOfFields(schema)
		if refers != "" {
			text = strings.Replace(text, `"name":"R"`, `"name":"Q"`, 1)
		}
		return operation{"POST", "/subjects/" + path + "/versions", `{"schema":` + string(quoted(text)) + references + `}`,
			func(m *model) (int, any) { return m.register(name, schema, refers) }}
	case p < 13:
		return operation{"DELETE", fmt.Sprintf("/subjects/%s/versions/%d?permanent=%t", path, number, permanent), "",
			func(m *model) (int, any) { return m.deleteVersion(name, number, permanent) }}
	case p < 15:
		return operation{"DELETE", fmt.Sprintf("/subjects/%s?permanent=%t", path, permanent), "",
			func(m *model) (int, any) { return m.deleteSubject(name, permanent) }}
	case p < 18:
		level := []string{"NONE", "NONE", "BACKWARD", "FORWARD", "FULL"}[r.IntN(5)]
		return operation{"PUT", "/config/" + path, `{"compatibility":"` + level + `"}`, func(m *model) (int, any) {
			if m.Modes[name] != "" {
				return 422, 42205
			}
			m.Levels[name] = level
			return 200, nil
		}}
	case p == 18:
		return operation{"PUT", "/mode/" + path, `{"mode":"READONLY"}`, func(m *model) (int, any) { m.Modes[name] = "READONLY"; return 200, nil }}
	}
	return operation{"DELETE", "/mode/" + path, "", func(m *model) (int, any) {
		if m.Modes[name] == "" {
			return 404, 40401
		}
		delete(m.Modes, name)
		return 200, nil
	}}
}

// check holds an answer against the model's.
func (o operation) check(t *testing.T, status int, body string, wantStatus int, want any) {
	t.Helper()
	var answer struct {
		ID   int `json:"id"`
		Code int `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(body), &answer)
	got := any(answer.Code)
	if status == 200 {
		got = answer.ID
		if o.method == "DELETE" {
			got = strings.TrimSpace(body)
			if want != nil {
				want = fmt.Sprint(want)
			}
		}
	}
	if status != wantStatus || want != nil && got != want {
		t.Fatalf("%s %s %s\ngot  %d %s\nwant %d %v", o.method, o.path, o.body, status, body, wantStatus, want)
	}
}

// Random sequences over HTTP against the model, with kills in the middle of requests. What was answered is there
// afterwards; what was not is there whole, or not at all.
func TestAgainstAModel(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	broker := cluster.ListenAddrs()[0]
	const seed = 20261121
	r := rand.New(rand.NewPCG(seed, 1))
	m, n := newModel(), startNode(t, broker)
	for i := range 1500 {
		o := randomOperation(r)
		if i%150 == 149 {
			m, n = killedDuring(t, n, broker, o, m, r)
			continue
		}
		status, body, _ := ask(t, n.url, o.method, o.path, o.body)
		wantStatus, want := o.do(m)
		o.check(t, status, body, wantStatus, want)
		if i%50 == 0 {
			if diff := cmp.Diff(m.dump(), n.dump(t, modelNames[:])); diff != "" {
				t.Fatalf("after %d operations (-model +registry):\n%s", i+1, diff)
			}
		}
	}
}

// killedDuring kills the node while it is asked for something, and returns the model that the next one agrees with.
func killedDuring(t *testing.T, n *node, broker string, o operation, before *model, r *rand.Rand) (*model, *node) {
	t.Helper()
	answered := make(chan int, 1)
	go func() {
		req, err := http.NewRequest(o.method, n.url+o.path, strings.NewReader(o.body))
		if err != nil {
			answered <- 0
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	timer := time.NewTimer(time.Duration(r.IntN(2000)) * time.Microsecond) // somewhere in the request
	<-timer.C
	n.kill()
	status := <-answered
	after := before.clone()
	o.do(after)
	next := startNode(t, broker)
	got := next.dump(t, modelNames[:])
	if cmp.Equal(after.dump(), got) {
		return after, next
	}
	if diff := cmp.Diff(before.dump(), got); diff != "" || status == 200 {
		t.Fatalf("killed during %s %s %s, which answered %d (-before +registry):\n%s", o.method, o.path, o.body, status, diff)
	}
	// An id may have been given for what was not kept.
	return before, next
}
