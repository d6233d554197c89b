package transforms

import (
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// change returns a recorded change of the table customers: of that operation and key number.
func change(t *testing.T, op, number string) connectors.Record {
	t.Helper()
	in := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"})
	for _, line := range readTopics(t, recorded)["pgstore.public.customers"] {
		if strings.Contains(line, `"op":"`+op+`"`) && strings.Contains(line, `"payload":{"region":"DE","number":`+number+`}`) {
			return readRecord(t, "pgstore.public.customers", line, in, newConverter(t, "simple", nil))
		}
	}
	t.Fatalf("no %s of %s was recorded", op, number)
	return connectors.Record{}
}

func TestUnwrapOptions(t *testing.T) {
	const row = `{"region":"DE","number":1,"name":"Anna Müller","email":"anna@example.com","score":12.5,"rating":4.5,"tags":["new","vip"],"created":"2024-01-01T00:00:00.000000Z"`
	list := connectors.Header{Key: "drop", Value: connectors.Data{Bytes: []byte(`["email","name","region"]`)}}
	for name, c := range map[string]struct {
		op     string
		config []string
		want   string // topic, key, value, added headers
	}{
		"delete to tombstone": {"d", []string{"delete.tombstone.handling.mode", "delete-to-tombstone"}, `pgstore.public.customers {"region":"DE","number":1} tombstone`},
		"tombstone":           {"d", nil, `pgstore.public.customers {"region":"DE","number":1} null`},
		"legacy none":         {"d", []string{"delete.handling.mode", "none"}, `pgstore.public.customers {"region":"DE","number":1} null`},
		"legacy drop":         {"d", []string{"drop.tombstones", "false"}, `dropped`},
		"legacy rewrite":      {"d", []string{"delete.handling.mode", "rewrite"}, `pgstore.public.customers {"region":"DE","number":1} ` + row + `,"__deleted":"true"}`},
		"the newer key wins":  {"d", []string{"delete.handling.mode", "rewrite", "delete.tombstone.handling.mode", "drop"}, `dropped`},
		"fields of the first versions": {"r", []string{"add.source.fields", "db, table", "operation.header", "true"},
			`pgstore.public.customers {"region":"DE","number":1} ` + row + `,"__db":"store","__table":"customers"} __debezium-operation=r`},
		"route":          {"r", []string{"route.by.field", "region"}, `DE {"region":"DE","number":1} ` + row + `}`},
		"route a delete": {"d", []string{"route.by.field", "region"}, `DE {"region":"DE","number":1} null`},
		"fields renamed": {"r", []string{"add.fields", "op:operation, source.db, nothing, total_order", "add.fields.prefix", ""},
			`pgstore.public.customers {"region":"DE","number":1} ` + row + `,"operation":"r","source_db":"store","total_order":null}`},
		"headers": {"r", []string{"add.headers", "op,table", "add.headers.prefix", "h."}, `pgstore.public.customers {"region":"DE","number":1} ` + row + `} h.op=r h.table=customers`},
		"drop optional fields": {"r", []string{"drop.fields.header.name", "drop", "drop.fields.from.key", "true"},
			`pgstore.public.customers {"region":"DE","number":1} ` + strings.Replace(row, `"email":"anna@example.com",`, "", 1) + `}`},
		"drop any fields": {"r", []string{"drop.fields.header.name", "drop", "drop.fields.from.key", "true", "drop.fields.keep.schema.compatible", "false"},
			`pgstore.public.customers {"number":1} {"number":1,"score":12.5,"rating":4.5,"tags":["new","vip"],"created":"2024-01-01T00:00:00.000000Z"}`},
	} {
		chain := mustChain(t, one("io.debezium.transforms.ExtractNewRecordState", c.config...))
		r := change(t, c.op, "1")
		r.Headers = []connectors.Header{list}
		keep, err := chain.Apply(&r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := summary(t, r, keep); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
	for name, config := range map[string][]string{"no such column": {"route.by.field", "zz"}, "no string": {"route.by.field", "number"}} {
		r := change(t, "r", "1")
		if _, err := mustChain(t, one("ExtractNewRecordState", config...)).Apply(&r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(one("ExtractNewRecordState", "add.fields", "a:b:c")); err == nil {
		t.Error("a field with two aliases is accepted")
	}
}

// UnwrapFromEnvelope is what tutorials for Debezium's first versions print.
func TestUnwrapFromEnvelope(t *testing.T) {
	for config, want := range map[string]string{
		"": "dropped", "drop.tombstones=false": "dropped", "drop.deletes=true": "dropped",
		"drop.deletes=false":                       `pgstore.public.customers {"region":"DE","number":1} null`,
		"delete.handling.mode=none":                `pgstore.public.customers {"region":"DE","number":1} null`,
		"delete.handling.mode=rewrite":             `"__deleted":"true"}`,
		"drop.deletes=false,operation.header=true": `pgstore.public.customers {"region":"DE","number":1} null __debezium-operation=d`,
	} {
		chain := mustChain(t, one("io.debezium.transforms.UnwrapFromEnvelope", strings.FieldsFunc(config, func(r rune) bool { return r == '=' || r == ',' })...))
		r := change(t, "d", "1")
		r.Headers = []connectors.Header{{Key: "own"}}
		keep, err := chain.Apply(&r)
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		if got := summary(t, r, keep); !strings.HasSuffix(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", config, got, want)
		}
	}
	chain := mustChain(t, one("io.debezium.transforms.UnwrapFromEnvelope", "drop.tombstones", "false"))
	tombstone := connectors.Record{Topic: "t"}
	if keep, err := chain.Apply(&tombstone); !keep || err != nil {
		t.Errorf("a tombstone: kept %t, %v", keep, err)
	}
}

// summary prints topic, key, value and the headers after the first.
func summary(t *testing.T, r connectors.Record, keep bool) string {
	t.Helper()
	if !keep {
		return "dropped"
	}
	text := func(d connectors.Data, c string) string {
		b, err := newConverter(t, c, map[string]string{"schemas.enable": "false"}).FromConnect(nil, "t", d)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return "tombstone"
		}
		return string(b)
	}
	got := r.Topic + " " + text(r.Key, "json") + " " + text(r.Value, "json")
	for _, h := range r.Headers[1:] {
		got += " " + h.Key + "=" + text(h.Value, "simple")
	}
	return got
}

func TestLogicalTableOptions(t *testing.T) {
	regex := []string{"topic.regex", `(.*)\.customers`, "topic.replacement", "$1.1-all"}
	for name, c := range map[string]struct {
		config               []string
		key, schema, keyName string
	}{
		"identifier": {[]string{"key.field.name", "from", "key.field.regex", `(.*?)\.(.*)`, "key.field.replacement", "$1"},
			`{"region":"DE","number":1,"from":"pgstore"}`, "pgstore.public.1-all.Envelope", "pgstore.public.1-all.Key"},
		"no identifier": {[]string{"key.enforce.uniqueness", "false"}, `{"region":"DE","number":1}`, "pgstore.public.1-all.Envelope", "pgstore.public.1-all.Key"},
		"avro names": {[]string{"key.enforce.uniqueness", "false", "schema.name.adjustment.mode", "avro"},
			`{"region":"DE","number":1}`, "pgstore.public._1_all.Envelope", "pgstore.public._1_all.Key"},
		"avro unicode names": {[]string{"key.enforce.uniqueness", "false", "schema.name.adjustment.mode", "avro_unicode"},
			`{"region":"DE","number":1}`, "pgstore.public._u0031_u002dall.Envelope", "pgstore.public._u0031_u002dall.Key"},
	} {
		chain := mustChain(t, one("io.debezium.transforms.ByLogicalTableRouter", append(c.config, regex...)...))
		r := change(t, "r", "1")
		bytesBefore := string(r.Value.Bytes)
		if keep, err := chain.Apply(&r); !keep || err != nil {
			t.Errorf("%s: %t, %v", name, keep, err)
			continue
		}
		row := r.Value.Schema.Fields[r.Value.Schema.FieldIndex("after")].Schema
		if r.Topic != "pgstore.public.1-all" || r.Value.Schema.Name != c.schema || r.Key.Schema.Name != c.keyName ||
			row.Name != strings.Replace(c.schema, ".Envelope", ".Value", 1) || r.Value.Schema.Fields[0].Schema != row || string(r.Value.Bytes) != bytesBefore {
			t.Errorf("%s: topic %s, schemas %s, %s, %s", name, r.Topic, r.Value.Schema.Name, r.Key.Schema.Name, row.Name)
		}
		if got := strings.Fields(summary(t, connectors.Record{Key: r.Key, Headers: r.Headers[:1]}, true))[0]; got != c.key {
			t.Errorf("%s: key %s, want %s", name, got, c.key)
		}
	}
	if _, err := New(one("ByLogicalTableRouter", append(regex, "key.field.regex", "x")...)); err == nil {
		t.Error("key.field.regex without key.field.replacement is accepted")
	}
	r := connectors.Record{Topic: "a.customers", Key: connectors.Data{Bytes: []byte("1")}}
	if _, err := mustChain(t, one("ByLogicalTableRouter", regex...)).Apply(&r); err == nil {
		t.Error("a key without a schema is accepted")
	}
}
