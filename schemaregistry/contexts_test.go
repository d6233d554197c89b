package schemaregistry

import (
	"strings"
	"testing"
)

func TestContexts(t *testing.T) {
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"GET /contexts", "", 200, `["."]`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"POST /subjects/:.c:s/versions", schemaBody(`"long"`), 200, `{"id":1}`},
		{"POST /contexts/.c/subjects/s/versions", schemaBody(`"string"`), 409, `~:.c:s`},
		{"POST /contexts/c/subjects/t/versions", schemaBody(`"int"`), 200, `{"id":2}`},
		{"POST /subjects/:.:u/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"GET /contexts", "", 200, `[".",".c"]`},
		{"GET /subjects", "", 200, `[":.c:s",":.c:t","s","u"]`},
		{"GET /subjects?subjectPrefix=", "", 200, `["s","u"]`},
		{"GET /subjects?subjectPrefix=:*:s", "", 200, `[":.c:s","s"]`},
		{"GET /contexts/.c/subjects", "", 200, `[":.c:s",":.c:t"]`},
		{"GET /contexts/.c/subjects?subjectPrefix=t", "", 200, `[":.c:t"]`},
		{"GET /contexts/:.c:/subjects/s/versions/1/", "", 200, `{"subject":":.c:s","version":1,"id":1,"schema":"\"long\""}`},
		{"GET /schemas", "", 200, `~"subject":"s"`},
		{"GET /contexts/.c/schemas?limit=1&offset=1", "", 200, `[{"subject":":.c:t","version":1,"id":2,"schema":"\"int\""}]`},
		{"GET /schemas/ids/1/schema", "", 200, `"int"`},
		{"GET /contexts/.c/schemas/ids/1/schema", "", 200, `"long"`},
		{"GET /schemas/ids/1?subject=:.c:", "", 200, `{"schema":"\"long\""}`},
		{"GET /schemas/ids/1?subject=:.c:s&fetchMaxId=true", "", 200, `{"subject":":.c:s","version":1,"maxId":2,"schema":"\"long\""}`},
		{"GET /schemas/ids/2", "", 404, `~40403`},
		{"GET /schemas/ids/2?subject=t", "", 200, `{"subject":":.c:t","version":1,"schema":"\"int\""}`}, // looked for everywhere
		{"GET /subjects/t/versions/latest", "", 200, `~":.c:t"`},
		{"POST /subjects/t", schemaBody(`"int"`), 200, `~":.c:t"`},
		{"GET /subjects/t/versions", "", 404, `~40401`},
		{"GET /schemas/guids/" + hashOf(`"int"`, nil, nil, nil).String() + "/ids", "", 200, `[{"context":".","id":1},{"context":".c","id":2}]`},
		// Settings.
		{"PUT /contexts/.c/config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"GET /config/:.c:", "", 200, `{"compatibilityLevel":"NONE"}`},
		{"GET /config", "", 200, `{"compatibilityLevel":"BACKWARD"}`},
		{"GET /contexts/.c/config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"NONE"}`},
		{"POST /contexts/.c/subjects/s/versions", schemaBody(`"string"`), 200, `{"id":3}`},
		{"PUT /mode/:.__GLOBAL:", `{"mode":"READONLY"}`, 200, `{"mode":"READONLY"}`},
		{"POST /subjects/s/versions", schemaBody(`"float"`), 422, `~42205`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":1}`}, // it is there
		{"PUT /mode/:.c:", `{"mode":"READWRITE"}`, 200, `{"mode":"READWRITE"}`},
		{"POST /subjects/:.c:s/versions", schemaBody(`"float"`), 200, `{"id":4}`},
		{"DELETE /mode/:.__GLOBAL:?recursive=true", "", 200, `{"mode":"READONLY"}`},
		{"GET /mode/:.c:", "", 404, `~40409`},
		{"PUT /mode", `{"mode":"FORWARD"}`, 422, `~42204`},
		{"PUT /mode/:.__GLOBAL:", `{"mode":"FORWARD"}`, 200, `{"mode":"FORWARD"}`},
		{"DELETE /mode/:.__GLOBAL:", "", 200, `{"mode":"FORWARD"}`},
		{"POST /subjects/:.__GLOBAL:s/versions", schemaBody(`"int"`), 422, `~42208`},
		{"POST /subjects/:*:s/versions", schemaBody(`"int"`), 422, `~42208`},
		// The end of a context.
		{"DELETE /contexts/.c", "", 422, `~42211`},
		{"DELETE /subjects/:.c:s", "", 200, `[1,2,3]`},
		{"DELETE /subjects/:.c:t", "", 200, `[1]`},
		{"DELETE /contexts/.c", "", 422, `~42211`},
		{"DELETE /subjects/:.c:s?permanent=true", "", 200, `[1,2,3]`},
		{"DELETE /subjects/:.c:t?permanent=true", "", 200, `[1]`},
	})
	url := serve(t, open(t, kafka))
	if status, body, _ := ask(t, url, "DELETE", "/contexts/.c", ""); status != 204 || body != "" {
		t.Error(status, body)
	}
	url = serve(t, open(t, kafka))
	run(t, url, []step{
		{"GET /contexts", "", 200, `["."]`},
		{"GET /config/:.c:", "", 404, `~40408`},
		{"POST /subjects/:.c:s/versions", schemaBody(`"int"`), 200, `{"id":5}`}, // no id is given again
		{"POST /subjects/x/versions", schemaBody(`"bytes"`), 200, `{"id":2}`},
	})
	if all := strings.Join(topicRecords(t, kafka), "\n"); !strings.Contains(all, `{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0} → {"tenant":"default","context":".c"}`) {
		t.Error(all)
	}
}

func TestReferencesInContexts(t *testing.T) {
	const toMoney = `[{"name":"shop.Money","subject":"money","version":1}]`
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/:.c:money/versions", schemaBody(money), 200, `{"id":1}`},
		{"POST /subjects/order/versions", referring(order, toMoney), 422, `~no schema reference found`},
		{"POST /subjects/:.c:order/versions", referring(order, toMoney), 200, `{"id":2}`},
		{"POST /subjects/order/versions", referring(order, `[{"name":"shop.Money","subject":":.c:money","version":-1}]`), 200, `{"id":1}`},
		{"GET /subjects/:.c:money/versions/1/referencedby", "", 200, `[1,2]`},
		{"GET /schemas/ids/2/schema?subject=:.c:&format=resolved", "", 200, wholeOrder},
		{"GET /subjects/:.c:order/versions/1?format=resolved", "", 200, `~` + strings.ReplaceAll(`"name":"cents"`, `"`, `\"`)},
		{"DELETE /subjects/:.c:money", "", 422, `~42206`},
	})
}

func TestMetadata(t *testing.T) {
	body := func(text, more string) string { return `{"schema":` + string(quoted(text)) + `,` + more + `}` }
	const owner = `"metadata":{"properties":{"owner":"me"},"tags":{"a":["z","y"]},"sensitive":["owner"]}`
	const kept = `"metadata":{"tags":{"a":["y","z"]},"properties":{"owner":"me"},"sensitive":["owner"]}`
	const rules = `"ruleSet":{"domainRules":[{"name":"r","kind":"CONDITION","mode":"WRITE","type":"CEL","expr":"true","disabled":false}]}`
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/s/versions", body(`"int"`, `"references":[]`), 200, `{"id":1}`},
		{"POST /subjects/s/versions", body(`"int"`, owner), 200, `{"id":2}`}, // part of the identity
		{"POST /subjects/s/versions", body(`"int"`, owner), 200, `{"id":2}`},
		{"POST /subjects/s", body(`"int"`, owner), 200, `~"id":2`},
		{"POST /subjects/s/versions", body(`"int"`, rules), 200, `{"id":3}`}, // metadata of the version before
		{"GET /schemas/ids/3", "", 200, `{` + kept + `,` + rules + `,"schema":"\"int\""}`},
		{"POST /subjects/s/versions", body(`"long"`, `"references":[]`), 200, `{"id":4}`},
		{"GET /schemas/ids/4", "", 200, `{` + kept + `,` + rules + `,"schema":"\"long\""}`},
		{"POST /subjects/s/versions", `{` + `"metadata":{"properties":{"owner":"you"}}}`, 200, `{"id":5}`}, // the schema, too
		{"GET /subjects/s/versions/5", "", 200, `~"properties":{"owner":"you"}`},
		{"GET /subjects/s/metadata?key=owner&value=me", "", 200, `~"version":4`},
		{"GET /subjects/s/metadata?key=owner&value=none", "", 404, `~40403`},
		{"GET /subjects/t/metadata?key=owner&value=none", "", 404, `~40401`},
		{"POST /subjects/s/versions", body(`"int"`, `"ruleSet":{"domainRules":[{"name":"r","mode":"UPGRADE","type":"CEL"}]}`), 422, `~42210`},
		{"PUT /config/d", `{"defaultMetadata":{"properties":{"a":"1","b":"1"}},"overrideMetadata":{"properties":{"b":"3"}}}`, 200, `{"defaultMetadata":{"properties":{"a":"1","b":"1"}},"overrideMetadata":{"properties":{"b":"3"}}}`},
		{"POST /subjects/d/versions", body(`"int"`, `"metadata":{"properties":{"b":"2","c":"2"}}`), 200, `{"id":6}`},
		{"GET /schemas/ids/6", "", 200, `{"metadata":{"properties":{"a":"1","b":"3","c":"2"}},"schema":"\"int\""}`},
		{"PUT /config/d", `{"defaultMetadata":null,"overrideMetadata":null}`, 200, `{}`},
		// Only versions of the same major number are compared.
		{"PUT /config/g", `{"compatibilityGroup":"major"}`, 200, `{"compatibilityGroup":"major"}`},
		{"POST /subjects/g/versions", body(`"int"`, `"metadata":{"properties":{"major":"1"}}`), 200, `~id`},
		{"POST /subjects/g/versions", body(`"string"`, `"metadata":{"properties":{"major":"1"}}`), 409, `~409`},
		{"POST /subjects/g/versions", body(`"string"`, `"metadata":{"properties":{"major":"2"}}`), 200, `~id`},
		{"POST /subjects/r/versions", body(textA, `"metadata":{"properties":{"confluent:reserved":"b"}}`), 200, `~id`},
		{"PUT /config/r", `{"validateFields":true}`, 200, `{"validateFields":true}`},
		{"POST /subjects/r/versions", body(textABD, `"references":[]`), 409, `~FIELD_CONFLICTS_WITH_RESERVED_FIELD`},
		{"POST /subjects/r/versions", body(textABD, `"metadata":{"properties":{"confluent:reserved":""}}`), 409, `~RESERVED_FIELD_REMOVED`},
		{"PUT /config/r", `{"validateFields":false}`, 200, `{"validateFields":false}`},
		{"POST /subjects/r/versions", body(textABD, `"metadata":{"properties":{"confluent:reserved":""}}`), 200, `~id`},
		{"PUT /config/f", `{"validateFields":true}`, 200, `{"validateFields":true}`},
		{"POST /subjects/f/versions", body(textA, `"metadata":{"properties":{"confluent:reserved":"a, b"}}`), 409, `~FIELD_CONFLICTS_WITH_RESERVED_FIELD`},
		{"POST /subjects/f/versions", schemaBody(`{"type":"record","name":"R","fields":[{"name":"$$x","type":"int"}]}`), 422, `~42201`},
	})
}

func TestAliasesAndScopes(t *testing.T) {
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"PUT /config/alias", `{"alias":"s"}`, 200, `{"alias":"s"}`},
		{"GET /config/alias", "", 200, `{"alias":"s","compatibilityLevel":"BACKWARD"}`},
		{"POST /subjects/alias/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"GET /subjects", "", 200, `["s"]`},
		{"GET /subjects/alias/versions/1", "", 200, `{"subject":"s","version":1,"id":1,"schema":"\"int\""}`},
		{"GET /schemas/ids/1?subject=alias", "", 200, `{"subject":"s","version":1,"schema":"\"int\""}`},
		{"POST /compatibility/subjects/alias/versions/latest", schemaBody(`"string"`), 200, `{"is_compatible":false}`},
		{"DELETE /config/alias", "", 200, `{"alias":"s","compatibilityLevel":"BACKWARD"}`},
		{"GET /subjects/alias/versions", "", 404, `~40401`},
		// A subject's configuration without a level has the server's, not the global one.
		{"PUT /config", `{"compatibility":"NONE","normalize":true}`, 200, `{"compatibility":"NONE","normalize":true}`},
		{"PUT /config/s", `{"validateFields":false}`, 200, `{"validateFields":false}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"normalize":true,"validateFields":false,"compatibilityLevel":"BACKWARD"}`},
		{"POST /subjects/s/versions", schemaBody(`"string"`), 409, `~409`},
		{"POST /subjects/s/versions?force=true", schemaBody(`"string"`), 200, `{"id":2}`},
		// An older version can come again as the newest.
		{"POST /subjects/s/versions", `{"schema":"\"int\"","version":-1}`, 409, `~409`},
		{"PUT /config/s", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE","validateFields":false}`},
		{"POST /subjects/s/versions", `{"schema":"\"int\"","version":-1}`, 200, `{"id":3}`},
		{"GET /subjects/s/versions", "", 200, `[1,2,3]`},
		{"DELETE /subjects/s/versions/2", "", 200, `2`},
		{"GET /subjects/s/versions?deletedAsNegative=true", "", 200, `[1,-2,3]`},
		{"GET /subjects/s/versions?limit=-3&offset=1", "", 200, `[3]`},
		{"GET /schemas?deleted=true&limit=2", "", 200, `~"version":2`},
	})
	inherit := serve(t, open(t, kafka, func(o *Options) { o.InheritLevel, o.Extended = true, true }))
	run(t, inherit, []step{
		{"PUT /config/s", `{"compatibility":null}`, 200, `{"validateFields":false}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `~"compatibilityLevel":"NONE"`},
		{"GET /subjects/s/versions/1", "", 200, `~"guid":"`},
	})
}

// A registration is answered with the schema only if it is not what was sent: clients keep what they get.
func TestRegistrationAnswersForNewClients(t *testing.T) {
	url := serve(t, open(t, newKafka(t), func(o *Options) { o.Extended = true }))
	const with = `{"schema":"\"int\"","metadata":{"properties":{"a":"b"}}}`
	for _, c := range []struct {
		body string
		is   bool
	}{{schemaBody(`"int"`), false}, {with, false}, {schemaBody(`"long"`), true}, {`{"metadata":{"properties":{"a":"c"}}}`, true}} {
		if status, body, _ := ask(t, url, "POST", "/subjects/s/versions", c.body); status != 200 || strings.Contains(body, `"schema":`) != c.is || !strings.Contains(body, `"guid":`) {
			t.Errorf("%s: %d %s", c.body, status, body)
		}
	}
}
