package schemaregistry

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestDeletes(t *testing.T) {
	a, b, abd := avroBody(fieldA), avroBody(fieldB), avroBody(fieldA, fieldBD)
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"DELETE /subjects/s", "", 404, failure(40401, "Subject 's' not found.")},
		{"DELETE /subjects/s/versions/1", "", 404, failure(40401, "Subject 's' not found.")},
		{"PUT /config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions", b, 200, `{"id":2}`},
		{"POST /subjects/s/versions", abd, 200, `{"id":3}`},
		{"DELETE /subjects/s/versions/9", "", 404, failure(40402, "Version 9 not found.")},
		{"DELETE /subjects/s/versions/y", "", 422, `~"error_code":42202`},
		{"DELETE /subjects/s/versions/2?permanent=true", "", 404, failure(40407, "Subject 's' Version 2 was not deleted first before being permanently deleted")},
		{"DELETE /subjects/s/versions/2", "", 200, `2`},
		{"DELETE /subjects/s/versions/2", "", 404, failure(40406, "Subject 's' Version 2 was soft deleted.Set permanent=true to delete permanently")},
		{"GET /subjects/s/versions", "", 200, `[1,3]`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,2,3]`},
		{"GET /subjects/s/versions?deletedOnly=true", "", 200, `[2]`},
		{"GET /subjects/s/versions/2", "", 404, failure(40402, "Version 2 not found.")},
		{"GET /subjects/s/versions/2?deleted=true", "", 200, `~"version":2`},
		{"GET /schemas/ids/2/schema", "", 200, `~"b"`}, // what was written with it can still be read
		{"GET /schemas/ids/2/versions", "", 200, `[]`},
		{"GET /schemas/ids/2/versions?deleted=true", "", 200, `[{"subject":"s","version":2}]`},
		{"POST /subjects/s", b, 404, `~40403`},
		{"POST /subjects/s?deleted=true", b, 200, `~"version":2`},
		// It comes back under the same id as a new version, and the old one is gone.
		{"POST /subjects/s/versions", b, 200, `{"id":2}`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,3,4]`},
		{"DELETE /subjects/s/versions/latest", "", 200, `4`},
		{"GET /subjects/s/versions/latest", "", 200, `~"version":3`},
		{"GET /subjects/s/versions/latest?deleted=true", "", 200, `~"version":3`},
		{"DELETE /subjects/s/versions/4?permanent=true", "", 200, `4`},
		{"GET /schemas/ids/2", "", 404, failure(40403, "Schema 2 not found")},
		{"DELETE /subjects/s?permanent=true", "", 404, failure(40405, "Subject 's' was not deleted first before being permanently deleted")},
		{"PUT /config/s", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"DELETE /subjects/s/", "", 200, `[1,3]`},
		{"DELETE /subjects/s", "", 404, failure(40404, "Subject 's' was soft deleted.Set permanent=true to delete permanently")},
		{"GET /subjects", "", 200, `[]`},
		{"GET /subjects?deleted=true", "", 200, `["s"]`},
		{"GET /subjects?deletedOnly=true", "", 200, `["s"]`},
		{"GET /subjects/s/versions", "", 404, `~40401`},
		{"GET /subjects/s/versions/latest?deleted=true", "", 404, `~40402`},
		{"GET /config/s", "", 200, `{"compatibilityLevel":"FULL"}`},
		{"DELETE /subjects/s?permanent=true", "", 200, `[1,3]`},
		{"GET /subjects?deleted=true", "", 200, `[]`},
		{"GET /config/s", "", 404, `~40408`},
		{"GET /schemas/ids/3", "", 404, `~40403`},
	})
	// Versions begin again, ids do not, not even after a start that sees nothing but what is left.
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /subjects/s/versions", a, 200, `{"id":4}`},
		{"GET /subjects/s/versions", "", 200, `[1]`},
		{"DELETE /subjects/s", "", 200, `[1]`},
		{"POST /subjects/s/versions", abd, 200, `{"id":5}`},
		{"GET /subjects/s/versions?deleted=true", "", 200, `[1,2]`},
	})
}

// Compaction leaves the newest record of each key, and of what was removed for good after a while nothing. The highest
// id is still known then.
func TestIDsAreNotGivenAgainAfterCompaction(t *testing.T) {
	before, after := newKafka(t), newKafka(t)
	run(t, serve(t, open(t, before)), []step{
		{"POST /subjects/s/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"POST /subjects/:.c:s/versions", schemaBody(`"int"`), 200, `{"id":1}`},
		{"POST /subjects/t/versions", schemaBody(`"long"`), 200, `{"id":2}`},
		{"DELETE /subjects/t", "", 200, `[1]`},
		{"DELETE /subjects/t?permanent=true", "", 200, `[1]`},
	})
	newest := make(map[string]*kgo.Record)
	for _, r := range readTopic(t, before) {
		newest[string(r.Key)] = r
	}
	createTopic(t, after, 1, "compact")
	c := kafkaClient(t, after)
	for _, r := range newest {
		if r.Value == nil {
			continue
		}
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	run(t, serve(t, open(t, after)), []step{
		{"GET /subjects", "", 200, `[":.c:s","s"]`},
		{"POST /subjects/u/versions", schemaBody(`"double"`), 200, `{"id":3}`},
		{"POST /subjects/:.c:u/versions", schemaBody(`"double"`), 200, `{"id":2}`},
	})
}
