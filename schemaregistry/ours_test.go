package schemaregistry

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDryRun(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	const dry = "POST /api/v1/registry/subjects/s/dry-run"
	answer := func(rest string) string { return `{"subject":"s",` + rest + `}` }
	text := func(s string) string { return `"schema":` + string(quoted(s)) }
	run(t, url, []step{
		{dry, avroBody(fieldA), 200, answer(`"version":1,"id":1,"registered":false,"compatible":true,"compatibilityLevel":"BACKWARD","messages":[],"differences":[],` + text(textA))},
		{"GET /subjects", "", 200, `[]`},
		{dry, schemaBody(`{"type":"record"}`), 422, `~42201`},
		{dry, `{"schema":"\"int\"","id":7}`, 422, `~42205`},
		{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`},
		{dry, schemaBody(" " + textA), 200, answer(`"version":1,"id":1,"registered":true,"compatible":true,"compatibilityLevel":"BACKWARD","messages":[],"latest":1,"differences":[],` + text(textA))},
		{dry, avroBody(fieldA, fieldBD), 200, answer(`"version":2,"id":2,"registered":false,"compatible":true,"compatibilityLevel":"BACKWARD","messages":[],"latest":1,` +
			`"differences":[{"path":"/fields/b","change":"added","to":{"name":"b","type":"string","default":"x"}}],` + text(textABD))},
		{dry, avroBody(fieldA, fieldB), 200, `~"registered":false,"compatible":false`},
		{dry, avroBody(fieldA, fieldB), 200, `~READER_FIELD_MISSING_DEFAULT_VALUE`},
		{dry + "?force=true", avroBody(fieldA, fieldB), 200, `~"version":2,"id":2,"registered":false,"compatible":true`},
		{"POST /subjects/o/versions", avroBody(fieldA, fieldBD), 200, `{"id":2}`},
		{dry, schemaBody(textABD), 200, `~"version":2,"id":2,"registered":false`}, // the text has an id already
		{"GET /subjects/s/versions", "", 200, `[1]`},
		{"PUT /mode/s", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`},
		{dry, schemaBody(textABD), 422, `~42205`},
		{"POST /api/v1/registry/subjects/s/dry-run/more", "", 404, `~404`},
		{"GET /api/v1/registry/subjects/s/dry-run", "", 405, `~405`},
	})
}

func TestDiffOfVersions(t *testing.T) {
	url := serve(t, open(t, newKafka(t), func(o *Options) { o.Level = None }))
	register := func(subject, body string) {
		t.Helper()
		if status, answer, _ := ask(t, url, "POST", "/subjects/"+subject+"/versions", body); status != 200 {
			t.Fatal(status, answer)
		}
	}
	register("s", avroBody(fieldA))
	register("s", avroBody(fieldBD, fieldA))
	register("s", avroBody(`{"name":"a","type":"int"}`))
	const diff = "GET /api/v1/registry/subjects/s/diff"
	run(t, url, []step{
		{diff + "?to=2", "", 200, `{"subject":"s","from":{"version":1,"id":1,"schemaType":"AVRO","deleted":false},"to":{"version":2,"id":2,"schemaType":"AVRO","deleted":false},
			"differences":[{"path":"/fields/b","change":"added","to":{"name":"b","type":"string","default":"x"}}],"backward":[],"forward":[]}`},
		{diff + "?from=1&to=latest", "", 200, `~"differences":[{"path":"/fields/a/type","change":"changed","from":"string","to":"int"}],"backward":["{errorType:'TYPE_MISMATCH'`},
		{diff, "", 200, `~"from":{"version":2`},
		{diff + "?from=3&to=1", "", 200, `~"from":{"version":3`},
		{diff + "?to=1", "", 404, `~40402`},
		{diff + "?to=9", "", 404, `~40402`},
		{diff + "?to=x", "", 422, `~42202`},
		{"GET /api/v1/registry/subjects/nobody/diff", "", 404, `~40401`},
	})
	proto := func(fields string) string {
		return string(marshal(map[string]any{"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\";\nmessage M {\n" + fields + "}\n"}))
	}
	register("p", proto("  string a = 1;\n"))
	register("p", proto("  string a = 1;\n  int32 b = 2;\n"))
	run(t, url, []step{{"GET /api/v1/registry/subjects/p/diff", "", 200, `~"change":"added","to":"  int32 b = 2;"}],"backward":[],"forward":[]`}})
}

func TestDifferences(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`"int"`, `"int"`, `[]`},
		{`"int"`, `"long"`, `[{"path":"","change":"changed","from":"int","to":"long"}]`},
		{`{"a":1,"b/c":2}`, `{"b/c":3,"d":4}`, `[{"path":"/a","change":"removed","from":1},{"path":"/b~1c","change":"changed","from":2,"to":3},{"path":"/d","change":"added","to":4}]`},
		{`{"symbols":["A","B"]}`, `{"symbols":["B","A","C"]}`, `[{"path":"/symbols/C","change":"added","to":"C"},{"path":"/symbols","change":"reordered"}]`},
		{`["null",{"type":"array","items":"int"}]`, `["null",{"type":"array","items":"long"}]`, `[{"path":"/array/items","change":"changed","from":"int","to":"long"}]`},
		{`[1,2]`, `[1,3,4]`, `[{"path":"/1","change":"changed","from":2,"to":3},{"path":"/2","change":"added","to":4}]`},
		{`{`, `{}`, `[{"path":"","change":"changed","from":"{","to":"{}"}]`},
		{`{"x":{}}`, `{"x":[]}`, `[{"path":"/x","change":"changed","from":{},"to":[]}]`},
	} {
		if got := string(marshal(differences(kindAvro, c.from, c.to))); !sameJSON(got, c.want) {
			t.Errorf("%s → %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if got := string(marshal(differences(kindProtobuf, "a\nb\nc", "a\nc\nd"))); got != `[{"path":"line 2","change":"removed","from":"b"},{"path":"line 3","change":"added","to":"d"}]` {
		t.Error(got)
	}
}

func TestRestore(t *testing.T) {
	kafka := newKafka(t)
	url := serve(t, open(t, kafka))
	const restore = "POST /api/v1/registry/subjects/s/versions/"
	run(t, url, []step{
		{"POST /subjects/s/versions", avroBody(fieldA), 200, `{"id":1}`},
		{"POST /subjects/s/versions", avroBody(fieldA, fieldBD), 200, `{"id":2}`},
		{restore + "1/restore", "", 200, `{"subject":"s","version":1}`}, // nothing to do
		{"DELETE /subjects/s/versions/1", "", 200, `1`},
		{restore + "1/restore", "", 200, `{"subject":"s","version":1}`},
		{"GET /subjects/s/versions", "", 200, `[1,2]`},
		{"DELETE /subjects/s", "", 200, `[1,2]`},
		{restore + "latest/restore", "", 200, `{"subject":"s","version":2}`},
		{"GET /subjects/s/versions", "", 200, `[2]`},
		{"GET /subjects/s/versions/latest", "", 200, `~"id":2`},
		{restore + "7/restore", "", 404, `~40402`},
		{"POST /api/v1/registry/subjects/nobody/versions/1/restore", "", 404, `~40401`},
		{"DELETE /subjects/s/versions/1?permanent=true", "", 200, `1`},
		{restore + "1/restore", "", 404, `~40402`},
		{"PUT /mode/s", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`},
		{restore + "2/restore", "", 422, `~42205`},
	})
	// Another node, and this one after a restart, read the same.
	run(t, serve(t, open(t, kafka)), []step{{"GET /subjects/s/versions?deleted=true", "", 200, `[2]`}, {"GET /subjects/s/versions", "", 200, `[2]`}})
}

func TestOverview(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	for i := range 5 {
		ask(t, url, "POST", fmt.Sprintf("/subjects/s%d/versions", i), avroBody(fieldA))
	}
	run(t, url, []step{
		{"POST /subjects/s1/versions", avroBody(fieldA, fieldBD), 200, `{"id":2}`},
		{"DELETE /subjects/s1/versions/1", "", 200, `1`},
		{"DELETE /subjects/s4", "", 200, `[1]`},
		{"PUT /config/s1", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"PUT /mode/s2", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`},
		{"POST /subjects/:.c:x/versions", avroBody(fieldA), 200, `{"id":1}`},
		{"GET /api/v1/registry/subjects?offset=9", "", 200, `{"total":5,"offset":9,"subjects":[]}`},
		{"GET /api/v1/registry/subjects?subjectPrefix=s&offset=1&limit=2", "", 200, `~"total":4,"offset":1`},
		{"GET /api/v1/registry/contexts/.c/subjects", "", 200, `~"total":1`},
		{"GET /api/v1/registry/subjects?deleted=true&subjectPrefix=s4", "", 200, `{"total":1,"offset":0,"subjects":[{"subject":"s4","context":".","compatibilityLevel":"BACKWARD","ownLevel":false,"mode":"READWRITE","versions":0,"deletedVersions":1,"references":0}]}`},
		{"GET /api/v1/registry/subjects?subjectPrefix=s1", "", 200, `~{"subject":"s1","context":".","version":2,"id":2,"schemaType":"AVRO","compatibilityLevel":"FULL","ownLevel":true,"mode":"READWRITE","versions":1,"deletedVersions":1,"references":0,"updatedAt":`},
		{"GET /api/v1/registry/subjects?subjectPrefix=s2", "", 200, `~"mode":"READONLY"`},
	})
}

func TestUsage(t *testing.T) {
	r := open(t, newKafka(t))
	users := func(context.Context) ([]User, error) {
		return []User{{"source", "source", []string{"orders", "other"}}, {"sink", "sink", []string{"elsewhere"}}}, nil
	}
	s := httptest.NewServer(r.Handler(users))
	t.Cleanup(s.Close)
	fixed := schemaBody(`{"type":"fixed","name":"F","size":1}`)
	reference := string(marshal(map[string]any{"schema": `{"type":"array","items":"F"}`, "references": []reference{{"F", "orders-value", 1}}}))
	run(t, s.URL, []step{
		{"POST /subjects/orders-value/versions", fixed, 200, `{"id":1}`},
		{"POST /subjects/F/versions", fixed, 200, `{"id":1}`},
		{"POST /subjects/list/versions", reference, 200, `{"id":2}`},
		{"GET /api/v1/registry/schemas/ids/9/usage", "", 404, `~40403`},
		{"GET /api/v1/registry/schemas/ids/2/usage", "", 200, `{"id":2,"versions":[{"subject":"list","version":1}],"topics":[],"connectors":[],"referencedBy":[],"records":{"read":4,"behind":0}}`},
	})
	_, got, _ := ask(t, s.URL, "GET", "/api/v1/registry/schemas/ids/1/usage", "")
	want := `{"id":1,"versions":[{"subject":"F","version":1},{"subject":"orders-value","version":1}],"topics":[{"topic":"orders","role":"value","subject":"orders-value","exists":false}],` +
		`"connectors":[{"connector":"source","type":"source","topics":["orders"]}],"referencedBy":[2],"records":{"read":4,"behind":0}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestListsByAliasAndRule(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	rules := string(marshal(map[string]any{"schema": `"int"`, "ruleSet": map[string]any{"domainRules": []map[string]any{{"name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true"}}}}))
	run(t, url, []step{
		{"POST /subjects/orders/versions", schemaBody(`"string"`), 200, `{"id":1}`},
		{"POST /subjects/ruled/versions", rules, 200, `{"id":2}`},
		{"PUT /config/sales", `{"alias":"orders"}`, 200, `{"alias":"orders"}`},
		{"GET /schemas?subjectPrefix=sal", "", 200, `[]`},
		{"GET /schemas?subjectPrefix=sal&aliases=true", "", 200, `[{"subject":"orders","version":1,"id":1,"schema":"\"string\"","aliases":["sales"]}]`},
		{"GET /schemas?subjectPrefix=ord", "", 200, `[{"subject":"orders","version":1,"id":1,"schema":"\"string\""}]`},
		{"GET /schemas?ruleType=CEL", "", 200, `~"subject":"ruled"`},
		{"GET /schemas?ruleType=ENCRYPT", "", 200, `[]`},
		{"GET /schemas/ids/1?includeSubjects=true", "", 200, `{"schema":"\"string\"","subjects":["orders"]}`},
	})
}

func TestHealth(t *testing.T) {
	url := guarded(t, "")
	run(t, url, []step{ // without a token
		{"GET /_health", "", 200, `{"healthy":true,"topic":"_schemas"}`},
		{"GET /status/ready", "", 200, `~"healthy":true`},
		{"GET /master_available", "", 200, `{"master_available":true}`},
		{"GET /v1/metadata/id", "", 401, `~40101`},
	})
	as(t, url, "bob", []step{
		{"GET /v1/metadata/id", "", 200, `~"schema-registry-cluster":"schema-registry"`},
		{"GET /v1/metadata/version", "", 200, `{"version":"","commitId":""}`},
		{"GET /v1/metadata/deployment", "", 200, `{"attributes":[]}`},
	})
	r := open(t, newKafka(t))
	url = serve(t, r)
	r.Close()
	run(t, url, []step{{"GET /_health", "", 503, `~503`}, {"GET /master_available", "", 200, `{"master_available":false}`}})
}

func TestRulesOfAConfigurationAreChecked(t *testing.T) {
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"PUT /config/s", `{"defaultRuleSet":{"domainRules":[{"name":"","type":"CEL"}]}}`, 422, `~42210`},
		{"PUT /config/s", `{"overrideRuleSet":{"domainRules":[{"name":"a","type":"CEL","mode":"UPGRADE"}]}}`, 422, `~42210`},
		{"PUT /config/s", `{"overrideMetadata":{"tags":{"a":null,"b":["y","x"]}}}`, 200, `{"overrideMetadata":{"tags":{"b":["x","y"]}}}`},
	})
}
