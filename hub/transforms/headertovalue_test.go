package transforms

import (
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

func TestHeaderToValue(t *testing.T) {
	const class = "io.debezium.transforms.HeaderToValue"
	text := func(name, value string) connectors.Header {
		return connectors.Header{Key: name, Value: connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, value)}}
	}
	value := schema(aField+","+bField+","+nested) + `{"a":1,"b":null,"n":{"x":2,"l":null}}}`
	for name, c := range map[string]struct {
		config  []string
		headers []connectors.Header
		want    string
		left    int
	}{
		"in the record's order": {[]string{"headers", "h1,h2", "fields", "f1,f2", "operation", "copy"}, []connectors.Header{text("h2", "two"), text("x", "x"), text("h1", "one")},
			schema(aField+","+bField+","+nested+`,{"type":"string","optional":false,"field":"f2"},{"type":"string","optional":false,"field":"f1"}`) +
				`{"a":1,"b":"d","n":{"x":2,"l":null},"f2":"two","f1":"one"}}`, 3},
		"moved into a struct": {[]string{"headers", "h1,h2", "fields", "n.f,f2", "operation", "move"}, []connectors.Header{text("h1", "one"), text("x", "x")},
			schema(aField+","+bField+`,{"type":"struct","fields":[{"type":"int32","optional":false,"field":"x"},{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"l"},{"type":"string","optional":false,"field":"f"}],"optional":true,"field":"n"}`) +
				`{"a":1,"b":"d","n":{"x":2,"l":null,"f":"one"}}}`, 1},
		"none of them": {[]string{"headers", "h1", "fields", "f", "operation", "move"}, []connectors.Header{text("x", "x")}, value, 1},
	} {
		r := connectors.Record{Value: envelope(t, value), Headers: c.headers}
		keep, err := mustChain(t, one(class, c.config...)).Apply(&r)
		if got := printed(t, r.Value); err != nil || !keep || got != c.want || len(r.Headers) != c.left {
			t.Errorf("%s: %s, %d headers, %v\nwant %s", name, got, len(r.Headers), err, c.want)
		}
	}
	null := connectors.Record{Value: envelope(t, schema(nested)+`{"n":null}}`), Headers: []connectors.Header{text("h", "one")}}
	if _, err := mustChain(t, one(class, "headers", "h", "fields", "n.f", "operation", "copy")).Apply(&null); err != nil {
		t.Errorf("a struct that is null: %v", err)
	}
	for name, c := range map[string]struct{ value, field string }{
		"a field that is there": {value, "a"}, "no such struct": {value, "m.f"}, "no struct": {value, "a.f"}, "no schema": {`{"a":1}`, "f"},
	} {
		r := connectors.Record{Value: envelope(t, c.value), Headers: []connectors.Header{text("h", "one")}}
		if _, err := mustChain(t, one(class, "headers", "h", "fields", c.field, "operation", "copy")).Apply(&r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := New(one(class, "headers", "a,b", "fields", "c", "operation", "copy")); err == nil {
		t.Error("more headers than fields are accepted")
	}
}
