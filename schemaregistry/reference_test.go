package schemaregistry

import (
	"testing"
)

const (
	money = `{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}`
	order = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"Money"},{"name":"tax","type":["null","shop.Money"]}]}`
	// The texts as they are kept, and Order with all that it needs.
	keptOrder  = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"Money"},{"name":"tax","type":["null","Money"]}]}`
	wholeOrder = `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":{"type":"record","name":"Money","fields":[{"name":"cents","type":"long"}]}},{"name":"tax","type":["null","Money"]}]}`
)

func referring(text, references string) string {
	return `{"schema":` + string(quoted(text)) + `,"references":` + references + `}`
}

func TestReferences(t *testing.T) {
	kafka := newKafka(t)
	r := open(t, kafka)
	const toOne, toLatest = `[{"name":"shop.Money","subject":"money","version":1}]`, `[{"name":"shop.Money","subject":"money","version":-1}]`
	answer := `"id":2,"references":` + toOne + `,"schema":` + string(quoted(keptOrder)) + `}`
	run(t, serve(t, r), []step{
		{"POST /subjects/order/versions", schemaBody(order), 422, `~"error_code":42201`},
		{"POST /subjects/order/versions", referring(order, toOne), 422, `~no schema reference found for subject \"money\" and version 1`},
		{"POST /subjects/money/versions", schemaBody(money), 200, `{"id":1}`},
		{"POST /subjects/order/versions", referring(order, toLatest), 200, `{"id":2}`},
		{"POST /subjects/order/versions", referring(order, toOne), 200, `{"id":2}`},
		{"GET /subjects/order/versions/1", "", 200, `{"subject":"order","version":1,` + answer},
		{"POST /subjects/order", referring(order, toLatest), 200, `{"subject":"order","version":1,` + answer},
		{"POST /subjects/order", schemaBody(wholeOrder), 200, `{"subject":"order","version":1,` + answer}, // all inside finds it, too
		{"POST /subjects/order/versions", schemaBody(wholeOrder), 200, `{"id":2}`},
		{"POST /subjects/whole/versions", schemaBody(wholeOrder), 200, `{"id":3}`}, // but elsewhere it is another text
		{"GET /subjects/money/versions/1/referencedby", "", 200, `[2]`},
		{"POST /compatibility/subjects/order/versions/latest", schemaBody(wholeOrder), 200, `{"is_compatible":true}`},
		{"POST /compatibility/subjects/order/versions/latest?verbose=true", referring(`{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"string"}]}`, toOne), 200, `~TYPE_MISMATCH`},
		{"DELETE /subjects/money/versions/1", "", 422, `~"error_code":42206`},
		{"DELETE /subjects/order", "", 200, `[1]`},
		{"DELETE /subjects/money/versions/1", "", 200, `1`},
		{"POST /subjects/order2/versions", referring(order, toOne), 422, `~"error_code":42201`}, // new ones refer to live ones only
		{"DELETE /subjects/money?permanent=true", "", 422, `~"error_code":42206`},
	})
	// The hub and its converters get texts that need no other, also after a start.
	for _, r := range []*Registry{r, open(t, kafka)} {
		if text, err := r.ByID(t.Context(), 2); text != wholeOrder || err != nil {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// Records of others can refer in a circle, or to nothing; that costs those schemas only.
func TestBrokenReferences(t *testing.T) {
	kafka := newKafka(t)
	createTopic(t, kafka, 1, "compact")
	const refer = `"references":[{"name":"x","subject":"s","version":2}],"deleted":false,"schema":"[\"null\",\"X\"]"}`
	put(t, kafka,
		`{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}`, `{"subject":"s","version":1,"id":1,`+refer,
		`{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}`, `{"subject":"s","version":2,"id":2,"references":[{"name":"x","subject":"s","version":1}],"deleted":false,"schema":"[\"null\",\"Y\"]"}`,
		`{"keytype":"SCHEMA","subject":"t","version":1,"magic":1}`, `{"subject":"t","version":1,"id":3,"references":[{"name":"x","subject":"none","version":1}],"deleted":false,"schema":"[\"null\",\"Y\"]"}`,
		`{"keytype":"SCHEMA","subject":"u","version":1,"magic":1}`, `{"subject":"u","version":1,"id":4,"references":"nonsense","deleted":false,"schema":"[\"null\",\"Y\"]"}`,
	)
	r := open(t, kafka)
	run(t, serve(t, r), []step{
		{"GET /subjects", "", 200, `["s","t"]`},
		{"GET /schemas/ids/2/schema", "", 200, `["null","Y"]`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 409, `~cannot be compared`},
		{"POST /subjects/t/versions", schemaBody(`"int"`), 409, `~cannot be compared`},
		{"POST /subjects/v/versions", schemaBody(`"int"`), 200, `{"id":4}`},
	})
	for id := range 3 {
		if _, err := r.ByID(t.Context(), id+1); err == nil {
			t.Errorf("id %d: no error", id+1)
		}
	}
}
