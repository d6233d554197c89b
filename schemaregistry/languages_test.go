package schemaregistry

import (
	"strings"
	"testing"
)

// typed is the body that registers a schema of a type, with references.
func typed(kind, text, references string) string {
	return `{"schemaType":"` + kind + `","schema":` + string(quoted(text)) + `,"references":[` + references + `]}`
}

func TestJSONSchemas(t *testing.T) {
	closed := func(properties string) string {
		return `{"type":"object","properties":{` + properties + `},"additionalProperties":false}`
	}
	kafka := newKafka(t)
	const inner = `{"type":"object","properties":{"x":{"type":"integer"}}}`
	const refer = `{"name":"inner.json","subject":"inner","version":1}`
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /subjects/s/versions", typed("JSON", closed(`"a": {"type":"string"}`), ""), 200, `{"id":1}`},
		{"GET /subjects/s/versions/1", "", 200, `{"subject":"s","version":1,"id":1,"schemaType":"JSON","schema":` + string(quoted(closed(`"a":{"type":"string"}`))) + `}`},
		{"POST /subjects/s/versions", typed("JSON", `{"additionalProperties":false,"properties":{"a":{"type":"string"}},"type":"object"}`, ""), 200, `{"id":1}`},
		{"POST /subjects/s", typed("JSON", closed(`"a":{"type":"string"}`), ""), 200, `~"id":1`},
		{"POST /subjects/s/versions", typed("JSON", closed(`"a":{"type":"integer"}`), ""), 409, `~TYPE_CHANGED`},
		{"POST /subjects/s/versions", typed("JSON", closed(`"a":{"type":"string"},"b":{"type":"string"}`), ""), 200, `{"id":2}`},
		{"POST /compatibility/subjects/s/versions/latest?verbose=true", typed("JSON", `{}`, ""), 200, `{"is_compatible":true,"messages":[]}`},
		{"POST /compatibility/subjects/s/versions/latest?verbose=true", schemaBody(`"string"`), 200, `~different schema type`},
		{"POST /subjects/s/versions", typed("JSON", `{"type":"none"}`, ""), 422, `~"error_code":42201`},
		{"POST /subjects/s/versions", typed("JSON", `{"$ref":"http://example.com/none.json"}`, ""), 422, `~nothing is fetched`},
		{"POST /subjects/inner/versions", typed("JSON", inner, ""), 200, `{"id":3}`},
		{"POST /subjects/outer/versions", typed("JSON", `{"properties":{"i":{"$ref":"inner.json"}}}`, refer), 200, `{"id":4}`},
		{"GET /subjects/inner/versions/1/referencedby", "", 200, `[4]`},
		{"POST /subjects/avro/versions", typed("AVRO", `"string"`, refer), 422, `~another type`},
		// The open content model, strictly and leniently.
		{"POST /subjects/o/versions", typed("JSON", `{"type":"object"}`, ""), 200, `{"id":5}`},
		{"POST /subjects/o/versions", typed("JSON", `{"type":"object","properties":{"a":{"type":"string"}}}`, ""), 409, `~OPEN_CONTENT_MODEL`},
		{"PUT /config/o", `{"compatibilityPolicy":"lenient"}`, 200, `{"compatibilityPolicy":"LENIENT"}`},
		{"POST /subjects/o/versions", typed("JSON", `{"type":"object","properties":{"a":{"type":"string"}}}`, ""), 200, `{"id":6}`},
		{"POST /subjects/n/versions?normalize=true", typed("JSON", `{"type":"string","minLength":1}`, ""), 200, `{"id":7}`},
		{"GET /schemas/ids/7/schema", "", 200, `{"minLength":1,"type":"string"}`},
	})
	run(t, serve(t, open(t, kafka)), []step{
		{"GET /schemas/ids/4", "", 200, `~"schemaType":"JSON","references":[` + refer + `]`},
		{"POST /subjects/outer/versions", typed("JSON", `{"properties":{"i":{"type":"string"}}}`, ""), 409, `~TYPE_CHANGED`},
	})
}

func TestProtobufSchemas(t *testing.T) {
	const other = "syntax = \"proto3\";\npackage acme;\n\nmessage Other {\n  int32 an_id = 1;\n}\n"
	const main = "syntax = \"proto3\";\npackage acme;\n\nimport \"other.proto\";\n\nmessage Main {\n  string f1 = 1;\n  .acme.Other f2 = 2;\n}\n"
	const refer = `{"name":"other.proto","subject":"other","version":1}`
	url := serve(t, open(t, newKafka(t)))
	run(t, url, []step{
		{"POST /subjects/main/versions", typed("PROTOBUF", main, ""), 422, `~"error_code":42201`},
		{"POST /subjects/other/versions", typed("PROTOBUF", "// text\n"+other, ""), 200, `{"id":1}`},
		{"GET /schemas/ids/1", "", 200, `{"schemaType":"PROTOBUF","schema":` + strings.ReplaceAll(string(quoted(other)), `\u000A`, `\n`) + `}`},
		{"POST /subjects/main/versions", typed("PROTOBUF", main, refer), 200, `{"id":2}`},
		{"POST /subjects/main", typed("PROTOBUF", strings.ReplaceAll(main, "  ", " "), refer), 200, `~"id":2`},
		{"POST /subjects/main/versions", typed("PROTOBUF", strings.Replace(main, "string f1", "int32 f1", 1), refer), 409, `~FIELD_SCALAR_KIND_CHANGED`},
		{"POST /subjects/main/versions", typed("PROTOBUF", strings.Replace(main, "string f1", "bytes f3", 1), refer), 200, `{"id":3}`},
		{"DELETE /subjects/other/versions/1", "", 422, `~"error_code":42206`},
	})
	// Descriptors in base64 are sent and asked for by clients.
	_, encoded, _ := ask(t, url, "GET", "/schemas/ids/1/schema?format=serialized", "")
	run(t, url, []step{{"POST /subjects/other", typed("PROTOBUF", encoded, ""), 200, `~"id":1`}})
}
