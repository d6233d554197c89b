package schemaregistry

import "testing"

// A registration may name the number that its version is to have. The metadata says so from then on, and keeps saying
// which number a version has; who asks without it finds the version all the same.
func TestVersionsAskedFor(t *testing.T) {
	with := func(more string) string { return `{"schema":"\"int\"",` + more + `}` }
	meta := func(number string) string {
		return with(`"metadata":{"properties":{"confluent:version":"` + number + `"}}`)
	}
	const mine = `"metadata":{"properties":{"mine":"1"}}`
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/s/versions", with(`"version":2`), 422, `~one more than previous version`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"POST /subjects/s/versions", with(`"version":-1`), 200, `{"id":1}`},
		{"POST /subjects/s/versions", with(`"version":1`), 422, `~42201`},
		{"POST /subjects/s/versions", with(`"version":2`), 200, `{"id":2}`},
		{"POST /subjects/s/versions", with(`"version":-1`), 200, `{"id":2}`},
		{"GET /subjects/s/versions/latest", "", 200, `{"subject":"s","version":2,"id":2,"metadata":{"properties":{"confluent:version":"2"}},"schema":"\"int\""}`},
		{"POST /subjects/s", schemaBody(`"int"`), 200, `{"subject":"s","version":1,"id":1,"schema":"\"int\""}`},
		{"POST /subjects/s", meta("1"), 200, `{"subject":"s","version":1,"id":1,"schema":"\"int\""}`},
		{"POST /subjects/s", meta("2"), 200, `~"version":2`},
		{"POST /subjects/s", meta("3"), 404, `~40403`},
		{"DELETE /subjects/s/versions/1", "", 200, `1`},
		{"POST /subjects/s", schemaBody(`"int"`), 200, `~"version":2`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":2}`},
		{"POST /subjects/s/versions", with(`"version":3`), 200, `{"id":3}`},
		{"POST /subjects/s/versions", with(`"version":-1`), 200, `{"id":3}`},
		{"POST /subjects/s/versions", with(`"version":3`), 422, `~42201`},
		{"POST /subjects/s/versions", meta("-1"), 200, `{"id":4}`},
		{"GET /schemas/ids/4", "", 200, `~"confluent:version":"4"`},
		{"POST /subjects/s/versions", meta("2"), 200, `{"id":2}`},
		{"POST /subjects/s/versions", meta("0"), 200, `{"id":5}`},
		{"POST /subjects/s/versions", with(`"metadata":{}`), 200, `{"id":5}`},
		{"POST /subjects/s/versions", with(mine), 200, `{"id":6}`},
		{"GET /schemas/ids/6", "", 200, `{` + mine + `,"schema":"\"int\""}`},
		{"POST /subjects/s/versions", with(`"version":-1`), 200, `{"id":7}`},
		{"POST /subjects/s", with(mine), 200, `~"version":6`},
		{"DELETE /subjects/s/versions/6", "", 200, `6`},
		{"POST /subjects/s", with(mine), 200, `~"version":7`},
		{"POST /subjects/s/versions", `{"schema":"\"string\"","version":90}`, 409, `~409`}, // comes before its number
	})
}

// A schema is looked up as it was sent, and then as it would be registered.
func TestLookupFindsWhatRegistrationWould(t *testing.T) {
	const owner = `"metadata":{"properties":{"owner":"me"}}`
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/s", `{"schema":"nothing"}`, 422, `~42201`}, // whether or not there is a subject
		{"POST /subjects/s", `{}`, 404, `~40401`},
		{"POST /subjects/s/versions", `{"schema":"\"int\"",` + owner + `}`, 200, `{"id":1}`},
		{"POST /subjects/s", schemaBody(`"int"`), 200, `{"subject":"s","version":1,"id":1,` + owner + `,"schema":"\"int\""}`},
		{"POST /subjects/s", schemaBody(`"long"`), 404, `~40403`},
		{"POST /subjects/s", `{"schema":" "}`, 404, `~40403`},
		{"POST /subjects/s", `{"schema":"\"int\"","metadata":{"properties":{"owner":"you"}}}`, 404, `~40403`},
		{"PUT /config/d", `{"defaultMetadata":{"properties":{"team":"a"}}}`, 200, `~team`},
		{"POST /subjects/d/versions", schemaBody(`"int"`), 200, `{"id":2}`},
		{"POST /subjects/d", schemaBody(`"int"`), 200, `~"team":"a"`},
	})
}

// The subject beside an id says which schema of that id is meant.
func TestIDsOfSubjects(t *testing.T) {
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"POST /subjects/:.c:t/versions", schemaBody(`"long"`), 200, `{"id":1}`},
		{"GET /schemas/ids/1?subject=s", "", 200, `{"subject":"s","version":1,"schema":"\"int\""}`},
		{"GET /schemas/ids/1?subject=t", "", 200, `{"subject":":.c:t","version":1,"schema":"\"long\""}`},
		{"GET /schemas/ids/1?subject=nobody", "", 200, `{"schema":"\"int\""}`},
		{"GET /schemas/ids/1?subject=:.c:nobody", "", 404, `~40403`},
		{"GET /schemas/ids/1?subject=:.c:", "", 200, `~long`},
		{"GET /contexts/.c/schemas/ids/1?subject=:.:s", "", 200, `~int`}, // a context that is named holds
		{"GET /contexts/.c/subjects/:.:s/versions/1", "", 200, `~"subject":"s"`},
	})
}

func TestListsAndReferencesOfDeletedVersions(t *testing.T) {
	const toMoney = `[{"name":"shop.Money","subject":"money","version":1}]`
	run(t, serve(t, open(t, newKafka(t))), []step{
		{"POST /subjects/:.c:money/versions", schemaBody(money), 200, `{"id":1}`},
		{"GET /subjects/:.c:money/versions?deletedOnly=true", "", 200, `[]`},
		{"GET /subjects/:.c:money/versions/%201", "", 200, `~"version":1`},
		{"POST /subjects/:.c:order/versions", referring(order, toMoney), 200, `{"id":2}`},
		{"GET /schemas/ids/2?subject=:.c:order&referenceFormat=qualified", "", 200, `~"subject":":.c:money"`},
		{"GET /subjects/:.c:order/versions/1", "", 200, `~"subject":"money"`},
		{"DELETE /subjects/:.c:money/versions/1?permanent=true", "", 422, `~42206`}, // before whether it is deleted
		{"DELETE /subjects/:.c:order/versions/1", "", 200, `1`},
		{"DELETE /subjects/:.c:money/versions/1", "", 200, `1`},
		{"GET /subjects/:.c:money/versions/1/referencedby", "", 200, `[]`},
		{"GET /subjects/:.c:money/versions/1/referencedby?deleted=true", "", 200, `[2]`},
		{"GET /subjects/:.c:money/metadata", "", 404, `~40401`},
		{"POST /subjects/m/versions", schemaBody(`"int"`), 200, `~id`},
		{"GET /subjects/m/metadata", "", 404, `~40403`}, // it has none
		{"GET /subjects/m/metadata?key=a", "", 404, `~40403`},
	})
}
