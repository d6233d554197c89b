package schemaregistry

import (
	"encoding/json"
	"testing"
)

func FuzzKey(f *testing.F) {
	for _, key := range []string{string(keyOfSchema(`a"\é`, 3)), string(keyOf(configKey, "")), string(keyOfContext(".c")), string(keyOfNoop()),
		`{"magic":0,"keytype":"SCHEMA","subject":":.:x","version":-1}`, `{"keytype":"SCHEMA","subject":":.::.:x","version":1}`, `[]`, `{"subject":1}`} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKey([]byte(text))
		if err != nil {
			return
		}
		again, err := parseKey(keyOfSchema(k.subject(), k.Version))
		if err != nil || again.subject() != k.subject() || again.Version != k.Version {
			t.Fatalf("%q: %+v, %v", text, again, err)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{schemaBody(textABD), typed("JSON", `{"type":"object"}`, ""), typed("PROTOBUF", `syntax = "proto3"; message M {}`, ""),
		referring(order, `[{"name":"shop.Money","subject":"money","version":-1}]`),
		`{"compatibility":"full","alias":null,"defaultMetadata":{"tags":{"a":["b"]}},"overrideRuleSet":{"domainRules":[{"name":"r"}]}}`, `{"id":1,"version":-1}`, `null`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &members) == nil {
			if changes, _, err := parseSetting(members); err == nil {
				for _, change := range changes {
					change(&configValue{})
				}
			}
		}
		var q request
		if json.Unmarshal([]byte(body), &q) != nil {
			return
		}
		st := newState()
		_ = q.RuleSet.check()
		for _, strict := range []bool{true, false} {
			c, err := st.parse(q, ":.c:s", strict, strict)
			if err != nil {
				continue
			}
			// What is kept can be read again, and is the same.
			q := q
			q.Schema = c.text
			if again, err := st.parse(q, "s", false, false); err != nil || again.text != c.text {
				t.Fatalf("%q is kept as %q: %v", body, c.text, err)
			}
		}
	})
}
