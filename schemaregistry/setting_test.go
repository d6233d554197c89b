package schemaregistry

import "testing"

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
		{"PUT /config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL","normalize":true}`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"FULL","normalize":true}`},
		{"PUT /config/s", `{"compatibility":null}`, 200, `{"normalize":true}`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"BACKWARD","normalize":true}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"BACKWARD","normalize":true}`},
		{"DELETE /config/s", "", 200, `{"compatibilityLevel":"BACKWARD","normalize":true}`},
		{"GET /config/s", "", 404, `~40408`},
		{"PUT /config", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"GET /config/s?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"FULL"}`},
		{"DELETE /config", "", 200, `{"compatibilityLevel":"FULL"}`},
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
		{"PUT /mode", `{"mode":"READONLY_OVERRIDE"}`, 200, `{"mode":"READONLY_OVERRIDE"}`},
		{"GET /mode/s", "", 200, `{"mode":"READONLY_OVERRIDE"}`}, // everybody's
		{"DELETE /mode", "", 200, `{"mode":"READONLY_OVERRIDE"}`},

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
