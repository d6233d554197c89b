package schemaregistry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/schemaregistry/access"
)

// guarded opens a registry where tokens say who asks, and lines what they may do.
func guarded(t *testing.T, permissions string) string {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	g, err := access.Open(access.Options{Tokens: file("tokens", "admin:admin\nalice:alice\nbob:bob\n"), Permissions: file("permissions", permissions)})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, open(t, newKafka(t), func(o *Options) { o.Access = g }))
}

// as is run with a token.
func as(t *testing.T, url, token string, steps []step) {
	t.Helper()
	for i, s := range steps {
		method, path, _ := strings.Cut(s.do, " ")
		status, body, _ := ask(t, url, method, path, s.body, "Authorization", "Bearer "+token)
		part, contains := strings.CutPrefix(s.want, "~")
		if status != s.status || contains && !strings.Contains(body, part) || !contains && !sameJSON(body, s.want) {
			t.Errorf("%s, step %d: %s %s\ngot  %d %s\nwant %d %s", token, i, s.do, s.body, status, body, s.status, s.want)
		}
	}
}

func TestUnknownCallers(t *testing.T) {
	url := guarded(t, "* all *")
	for _, header := range [][]string{nil, {"Authorization", "Bearer wrong"}, {"Authorization", "Basic YTpi"}} {
		for _, path := range []string{"/subjects", "/", "/nowhere", "/schemas/ids/1", "/config"} {
			status, body, h := ask(t, url, "GET", path, "", header...)
			if status != 401 || !strings.Contains(body, `"error_code":40101`) || len(h.Values("WWW-Authenticate")) != 2 {
				t.Errorf("%s with %q: %d %s %v", path, header, status, body, h)
			}
		}
	}
	as(t, url, "alice", []step{{"GET /subjects", "", 200, `[]`}})
}

func TestPermissionsOfSubjects(t *testing.T) {
	url := guarded(t, `
admin all *
alice read,write,delete a-*
alice read shared
alice all :.own:*
bob read,write b-*
`)
	as(t, url, "admin", []step{
		{"POST /subjects/shared/versions", schemaBody(`{"type":"fixed","name":"Shared","size":1}`), 200, `{"id":1}`},
		{"POST /subjects/secret/versions", schemaBody(`{"type":"fixed","name":"Secret","size":1}`), 200, `{"id":2}`},
		{"POST /subjects/:.c:secret/versions", schemaBody(`{"type":"fixed","name":"Secret","size":2}`), 200, `{"id":1}`},
		{"PUT /config", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"PUT /config/via", `{"alias":"secret"}`, 200, `{"alias":"secret"}`},
	})
	refer := func(name, subject string) string {
		return string(marshal(map[string]any{"schema": `{"type":"array","items":"` + name + `"}`, "references": []reference{{name, subject, 1}}}))
	}
	as(t, url, "alice", []step{
		{"POST /subjects/a-1/versions", schemaBody(`"int"`), 200, `{"id":3}`},
		{"POST /subjects/shared/versions", schemaBody(`"int"`), 403, failure(40301, "User alice is not allowed to write the subject 'shared'")},
		{"POST /subjects/b-1/versions", schemaBody(`"int"`), 403, `~40301`},
		{"POST /subjects/secret", schemaBody(`"int"`), 403, `~40301`},
		{"POST /subjects/via", schemaBody(`"int"`), 403, `~40301`},
		{"GET /subjects", "", 200, `["a-1","shared"]`},
		{"GET /subjects?deleted=true", "", 200, `["a-1","shared"]`},
		{"GET /schemas", "", 200, `[{"subject":"a-1","version":1,"id":3,"schema":"\"int\""},{"subject":"shared","version":1,"id":1,"schema":"{\"type\":\"fixed\",\"name\":\"Shared\",\"size\":1}"}]`},
		{"GET /subjects/secret/versions", "", 403, `~40301`},
		{"GET /subjects/secret/versions/1", "", 403, `~40301`},
		{"GET /subjects/secret/versions/1/schema", "", 403, `~40301`},
		{"GET /subjects/secret/metadata", "", 403, `~40301`},
		{"GET /subjects/:.c:secret/versions/1", "", 403, `~40301`},
		{"GET /contexts/.c/subjects/secret/versions/1", "", 403, `~40301`},
		{"GET /contexts/.c/subjects", "", 200, `[]`},
		{"GET /schemas/ids/1", "", 200, `~Shared`},
		{"GET /schemas/ids/2", "", 404, failure(40403, "Schema 2 not found")},
		{"GET /schemas/ids/2/schema", "", 404, `~40403`},
		{"GET /schemas/ids/2/versions", "", 404, `~40403`},
		{"GET /schemas/ids/1?subject=:.c:", "", 404, `~40403`},
		{"GET /config", "", 200, `{"compatibilityLevel":"FULL"}`},
		{"GET /config/secret", "", 403, `~40301`},
		{"PUT /config", `{"compatibility":"NONE"}`, 403, failure(40301, "User alice is not allowed to config what belongs to all subjects")},
		{"PUT /config/a-1", `{"compatibility":"NONE"}`, 403, `~40301`},
		{"PUT /mode/a-1", `{"mode":"READONLY"}`, 403, `~40301`},
		{"DELETE /config", "", 403, `~40301`},
		{"POST /compatibility/subjects/secret/versions/latest", schemaBody(`"int"`), 403, `~40301`},
		{"POST /subjects/a-2/versions", refer("Shared", "shared"), 200, `{"id":4}`},
		{"POST /subjects/a-3/versions", refer("Secret", "secret"), 403, `~40301`},
		{"POST /subjects/a-3", refer("Secret", "secret"), 403, `~40301`},
		{"POST /compatibility/subjects/a-3/versions", refer("Secret", "secret"), 403, `~40301`},
		{"DELETE /subjects/shared", "", 403, `~40301`},
		{"DELETE /contexts/.c", "", 403, `~40301`},
		{"PUT /config/:.own:", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"POST /contexts/.own/subjects/x/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"DELETE /subjects/a-1", "", 200, `[1]`},
	})
	as(t, url, "bob", []step{
		{"GET /subjects", "", 200, `[]`},
		{"POST /subjects/b-1/versions", schemaBody(`"int"`), 200, `{"id":3}`},
		{"GET /schemas/ids/3/subjects", "", 200, `["b-1"]`},
		{"GET /schemas/ids/3/versions?deleted=true", "", 200, `[{"subject":"b-1","version":1}]`},
		{"DELETE /subjects/b-1", "", 403, `~40301`},
	})
	as(t, url, "admin", []step{
		{"GET /subjects/shared/versions/1/referencedby", "", 200, `[4]`},
		{"GET /schemas/ids/2/subjects", "", 200, `["secret"]`},
	})
}
