package elasticsearch

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// FuzzOutcomes: whatever comes as an answer, no operation is settled without a word about it.
func FuzzOutcomes(f *testing.F) {
	for _, seed := range []string{
		`{"errors":false,"items":[{"index":{"status":201}},{"delete":{"status":404}}]}`,
		`{"errors":true,"items":[{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},{"update":{"status":200}}]}`,
		`{"errors":true,"items":[{"index":{"status":400,"error":{"type":"t","reason":"r","caused_by":{"type":"t","reason":"r"}}}},{}]}`,
		`{"errors":true,"items":[{},{"index":null}]}`, `[]`, `null`, ``,
	} {
		f.Add([]byte(seed), 2, false)
	}
	f.Fuzz(func(t *testing.T, answer []byte, n int, upsert bool) {
		all, err := outcomes(answer, n, upsert)
		if err != nil || all == nil && bytes.HasPrefix(answer, []byte(`{"errors":false`)) {
			return
		}
		if len(all) != n {
			t.Fatalf("%d outcomes of %d operations", len(all), n)
		}
		for _, o := range all {
			if (o.verdict == settled) != (o.reason == nil) {
				t.Fatalf("outcome %+v", o)
			}
		}
	})
}

// FuzzDocument: whatever key and value are, an operation is one action and at most one document, each one line of
// JSON, or there is an error and nothing.
func FuzzDocument(f *testing.F) {
	schema := structOf(connectors.Field{Name: "n", Schema: connectors.OptionalInt64Schema}, connectors.Field{Name: "s", Schema: connectors.StringSchema})
	schemas := []*connectors.Schema{nil, schema, connectors.StringSchema, connectors.OptionalInt64Schema, connectors.BooleanSchema}
	f.Add([]byte(`"7"`), []byte("{\n}"), uint8(0), uint8(0), int64(0))
	f.Add(connectors.AppendString(nil, "a\n"), []byte{2, 14, 2, 'x'}, uint8(2), uint8(1), int64(1<<62))
	f.Add([]byte{2, 14}, []byte(`{"a":"b\nc"}`), uint8(3), uint8(0), int64(5))
	f.Add([]byte(nil), []byte(nil), uint8(0), uint8(0), int64(5))
	f.Fuzz(func(t *testing.T, key, value []byte, keySchema, valueSchema uint8, offset int64) {
		r := connectors.Record{Topic: "Topic", Offset: offset}
		r.Key = connectors.Data{Schema: schemas[int(keySchema)%len(schemas)], Bytes: key}
		r.Value = connectors.Data{Schema: schemas[int(valueSchema)%len(schemas)], Bytes: value}
		// The hub hands on no other schemaless data than JSON.
		for _, d := range []connectors.Data{r.Key, r.Value} {
			if d.Schema == nil && d.Bytes != nil && !json.Valid(d.Bytes) {
				return
			}
		}
		for _, method := range []string{"insert", "upsert"} {
			s := parsed(t, "write.method", method, "behavior.on.null.values", "delete")
			x, d := newRoutes(s, nil), newDocuments(s)
			doc, err := d.append(nil, x.of(r.Topic), &r, connectors.TopicPartition{Topic: r.Topic})
			if err != nil {
				continue
			}
			lines := bytes.SplitAfter(doc.lines, []byte("\n"))
			if want := map[bool]int{false: 3, true: 2}[doc.isDelete]; len(lines) != want || len(lines[want-1]) > 0 {
				t.Fatalf("lines %q", lines)
			}
			for _, line := range lines[:len(lines)-1] {
				if !json.Valid(line) || line[0] != '{' && line[0] != ' ' && line[0] != '\t' && line[0] != '\r' {
					t.Fatalf("no object: %q", line)
				}
			}
			if len(doc.id) == 0 || len(doc.id) > maxIDBytes {
				t.Fatalf("id %q", doc.id)
			}
		}
	})
}
