package schemaregistry

import (
	"strings"
	"testing"
)

// A topic of Confluent's registry with everything that can be in one is served, and written on under the same keys.
func TestImport(t *testing.T) {
	kafka := newKafka(t)
	createTopic(t, kafka, 1, "compact")
	const key, old = `{"keytype":"SCHEMA","subject":%,"version":#,"magic":1}`, `{"keytype":"SCHEMA","subject":%,"version":#,"magic":0}`
	of := func(key, subject, version string) string {
		return strings.NewReplacer("%", `"`+subject+`"`, "#", version).Replace(key)
	}
	put(t, kafka,
		`{"keytype":"NOOP","magic":0}`, "",
		`{"keytype":"CONTEXT","tenant":"default","context":".c"}`, `{"tenant":"default","context":".c"}`,
		of(old, "s", "1"), `{"subject":"s","version":1,"id":100001,"schema":"\"int\"","deleted":false}`,
		of(key, "s", "2"), `{"subject":"s","version":2,"id":100002,"md5":"AAAAAAAAAAAAAAAAAAAAAA==","schema":"\"long\"","metadata":{"properties":{"a":"b"},"paths":{}},"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","tags":["x"],"expr":"true","disabled":false}]},"deleted":false,"ts":1,"offset":2,"future":[1]}`,
		of(key, ":.c:s", "7"), `{"subject":":.c:s","version":7,"id":5,"schema":"\"string\"","deleted":true}`,
		of(key, ":.c:s", "9"), `{"subject":":.c:s","version":9,"id":6,"schemaType":"JSON","schema":"{\"type\":\"string\"}","deleted":false}`,
		of(key, "gone", "1"), `{"subject":"gone","version":1,"id":100009,"schema":"\"bytes\"","deleted":false}`,
		of(key, "gone", "1"), "",
		`{"keytype":"CONFIG","subject":null,"magic":0}`, `{"compatibilityLevel":"FULL","normalize":true}`,
		`{"keytype":"CONFIG","subject":":.c:","magic":0}`, `{"subject":":.c:","compatibilityLevel":"NONE","future":1}`,
		`{"keytype":"CONFIG","magic":0,"subject":"s"}`, `{"subject":"s","alias":"","compatibilityLevel":"BACKWARD","compatibilityGroup":"g","defaultMetadata":{"properties":{"d":"1"}}}`,
		`{"keytype":"CONFIG","subject":"s2","magic":0}`, `{"subject":"s2","compatibilityLevel":"NONE"}`,
		`{"keytype":"CONFIG","subject":"s2","magic":0}`, "",
		`{"keytype":"MODE","subject":":.c:","magic":0}`, `{"subject":":.c:","mode":"READONLY"}`,
		`{"keytype":"ASSOC","tenant":"default","resourceName":"t","resourceNamespace":"n","resourceType":"topic","associationType":"value","subject":"s","magic":0}`, `{"guid":"x"}`,
		`{"keytype":"FUTURE","what":1}`, `{"is":"this"}`,
		of(key, "cleared", "1"), `{"subject":"cleared","version":1,"id":100010,"schema":"\"float\"","deleted":true}`,
		`{"keytype":"CLEAR_SUBJECT","subject":null,"magic":0}`, `{}`,
	)
	steps := []step{
		{"GET /contexts", "", 200, `[".",".c"]`},
		{"GET /subjects?deleted=true", "", 200, `[":.c:s","s"]`},
		{"GET /schemas/ids/100002", "", 200, `{"metadata":{"properties":{"a":"b"}},"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","tags":["x"],"expr":"true","disabled":false}]},"schema":"\"long\""}`},
		{"GET /schemas/ids/5?subject=:.c:", "", 200, `{"schema":"\"string\""}`},
		{"GET /subjects/:.c:s/versions?deletedAsNegative=true", "", 200, `[-7,9]`},
		{"GET /subjects/:.c:s/versions/9", "", 200, `{"subject":":.c:s","version":9,"id":6,"schemaType":"JSON","schema":"{\"type\":\"string\"}"}`},
		{"GET /config", "", 200, `{"compatibilityLevel":"FULL","normalize":true}`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"BACKWARD","compatibilityGroup":"g","defaultMetadata":{"properties":{"d":"1"}}}`},
		{"GET /config/s2", "", 404, `~40408`},
		{"GET /mode/:.c:s?defaultToGlobal=true", "", 200, `{"mode":"READONLY"}`},
		{"POST /subjects/:.c:s/versions", typed("JSON", `{"type":"integer"}`, ""), 422, `~42205`},
	}
	run(t, serve(t, open(t, kafka)), steps)
	run(t, serve(t, open(t, kafka)), append(steps, []step{
		{"DELETE /mode/:.c:", "", 200, `{"mode":"READONLY"}`},
		{"POST /subjects/:.c:s/versions", typed("JSON", `{"type":"integer"}`, ""), 200, `{"id":7}`},
		{"GET /subjects/:.c:s/versions", "", 200, `[9,10]`},
		{"POST /subjects/n/versions", schemaBody(`"double"`), 200, `{"id":100011}`}, // above what was ever there
		{"PUT /config/s", `{"compatibility":"NONE","defaultMetadata":null,"compatibilityGroup":null}`, 200, `{"compatibility":"NONE"}`},
		{"DELETE /subjects/s/versions/1", "", 200, `1`},
		{"DELETE /subjects/s/versions/1?permanent=true", "", 200, `1`},
	}...))
	all := strings.Join(topicRecords(t, kafka), "\n")
	for _, want := range []string{
		`{"keytype":"CONFIG","magic":0,"subject":"s"} → {"subject":"s","compatibilityLevel":"NONE"}`,
		of(old, "s", "1") + ` → null`,
		of(key, ":.c:s", "10") + ` → {"subject":":.c:s","version":10,"id":7,"md5":`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
}
