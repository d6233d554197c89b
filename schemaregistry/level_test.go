package schemaregistry

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fieldCD = `{"name":"c","type":"string","default":"x"}`

func textOf(fields ...string) string {
	return `{"type":"record","name":"R","fields":[` + strings.Join(fields, ",") + `]}`
}

func versionOf(number int, text string) *version {
	return &version{number: number, schema: &schema{id: number, kind: kindAvro, text: text, context: defaultContext}}
}

func sent(t *testing.T, text string) *candidate {
	t.Helper()
	c, err := newState().parse(request{Schema: text}, "s", false, true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLevels(t *testing.T) {
	onlyA, aAndB, aAndBD, aBDC, aNumber := textOf(fieldA), textOf(fieldA, fieldB), textOf(fieldA, fieldBD), textOf(fieldA, fieldBD, fieldCD), textOf(`{"name":"a","type":"int"}`)
	for _, c := range []struct {
		new     string
		earlier []string // newest first
		allowed string
	}{
		{onlyA, nil, "NONE BACKWARD BACKWARD_TRANSITIVE FORWARD FORWARD_TRANSITIVE FULL FULL_TRANSITIVE"},
		{aAndBD, []string{onlyA}, "NONE BACKWARD BACKWARD_TRANSITIVE FORWARD FORWARD_TRANSITIVE FULL FULL_TRANSITIVE"},
		{aAndB, []string{onlyA}, "NONE FORWARD FORWARD_TRANSITIVE"},
		{onlyA, []string{aAndB}, "NONE BACKWARD BACKWARD_TRANSITIVE"},
		{aNumber, []string{onlyA}, "NONE"},
		// The newest version has b, so only the transitive levels see the one without.
		{aAndB, []string{aAndBD, onlyA}, "NONE BACKWARD FORWARD FORWARD_TRANSITIVE FULL"},
		{aBDC, []string{aAndBD, aAndB, onlyA}, "NONE BACKWARD BACKWARD_TRANSITIVE FORWARD FORWARD_TRANSITIVE FULL FULL_TRANSITIVE"},
		{onlyA, []string{onlyA, aAndB}, "NONE BACKWARD BACKWARD_TRANSITIVE FORWARD FULL"},
	} {
		var earlier []*version
		for i, text := range c.earlier {
			earlier = append([]*version{versionOf(len(c.earlier)-i, text)}, earlier...)
		}
		var allowed []string
		for _, l := range []Level{None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive} {
			if newState().explain(policy{level: l}, sent(t, c.new), earlier) == nil {
				allowed = append(allowed, string(l))
			}
		}
		if got := strings.Join(allowed, " "); got != c.allowed {
			t.Errorf("%s after %v:\ngot  %s\nwant %s", c.new, c.earlier, got, c.allowed)
		}
	}
}

func TestMessages(t *testing.T) {
	old := []*version{versionOf(3, textOf(fieldA))}
	is := "{oldSchema: '" + textOf(fieldA) + "'}"
	added := textOf(fieldA, fieldB)
	missing := "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}"
	removed := textOf()
	missingOld := "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the old schema has no default value and is missing in the new schema', additionalInfo:'a'}"
	changed := textOf(`{"name":"a","type":"int"}`)
	for _, c := range []struct {
		level Level
		new   string
		want  []string
	}{
		{Backward, added, []string{missing, "{oldSchemaVersion: 3}", is}},
		{Forward, removed, []string{missingOld, "{oldSchemaVersion: 3}", is}},
		{Full, removed, []string{missingOld}},
		{FullTransitive, changed, []string{
			"{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the old schema does not match with the new schema', additionalInfo:'reader type: STRING not compatible with writer type: INT'}",
			"{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: STRING'}",
			"{oldSchemaVersion: 3}", is}},
	} {
		want := append(c.want, "{validateFields: 'false', compatibility: '"+string(c.level)+"'}")
		if diff := cmp.Diff(want, newState().explain(policy{level: c.level}, sent(t, c.new), old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.level, diff)
		}
	}
	long := versionOf(1, textOf(`{"name":"a","type":"string","doc":"`+strings.Repeat("x", 11<<10)+`"}`))
	if got := newState().explain(policy{level: Backward}, sent(t, added), []*version{long}); len(got) != 4 || len(got[2]) > 10<<10+60 {
		t.Errorf("%d messages, the third with %d bytes", len(got), len(got[2]))
	}
}

func TestParseLevel(t *testing.T) {
	if l, err := ParseLevel("full_Transitive"); l != FullTransitive || err != nil {
		t.Error(l, err)
	}
	for _, name := range []string{"", "BACKWARDS", "_TRANSITIVE", "NONE_TRANSITIVE"} {
		if l, err := ParseLevel(name); err == nil {
			t.Errorf("%q is %s", name, l)
		}
	}
}

func TestCompatibilityOverHTTP(t *testing.T) {
	a, b, ab, abd := avroBody(fieldA), avroBody(fieldB), avroBody(fieldA, fieldB), avroBody(fieldA, fieldBD)
	missing := `{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}`
	old := `{oldSchema: '` + textA + `'}`
	const level = `{validateFields: 'false', compatibility: 'BACKWARD'}`
	messages := string(marshal([]string{missing, "{oldSchemaVersion: 1}", old, level}))
	refused := failure(409, `Schema being registered is incompatible with an earlier schema for subject "s", details: [`+strings.Join([]string{missing, "{oldSchemaVersion: 1}", old, level}, ", ")+`]`)
	kafka := newKafka(t)
	run(t, serve(t, open(t, kafka)), []step{
		{"POST /compatibility/subjects/s/versions/latest", a, 200, `{"is_compatible":true}`},
		{"POST /compatibility/subjects/s/versions", a, 200, `{"is_compatible":true}`},
		{"POST /compatibility/subjects/s/versions/1", a, 404, failure(40402, "Version 1 not found.")},
		{"POST /compatibility/subjects/s/versions/x", a, 422, `~42202`},
		{"POST /subjects/s/versions", a, 200, `{"id":1}`},
		{"POST /subjects/s/versions", ab, 409, refused},
		{"POST /compatibility/subjects/s/versions/latest", ab, 200, `{"is_compatible":false}`},
		{"POST /compatibility/subjects/s/versions/latest?verbose=true", ab, 200, `{"is_compatible":false,"messages":` + messages + `}`},
		{"POST /compatibility/subjects/s/versions?verbose=true", ab, 200, `{"is_compatible":false,"messages":` + messages + `}`},
		{"POST /compatibility/subjects/s/versions/1?verbose=true", abd, 200, `{"is_compatible":true,"messages":[]}`},
		{"POST /compatibility/subjects/s/versions/1", schemaBody("x"), 422, `~42201`},
		{"POST /compatibility/subjects/s/versions/1?verbose=true", schemaBody("x"), 200, `~"is_compatible":false,"messages":["Invalid schema`},
		{"POST /subjects/s/versions", abd, 200, `{"id":2}`},
		{"POST /subjects/s/versions", ab, 200, `{"id":3}`}, // only the newest version counts
		{"PUT /config/s", `{"compatibility":"BACKWARD_TRANSITIVE"}`, 200, `{"compatibility":"BACKWARD_TRANSITIVE"}`},
		{"POST /compatibility/subjects/s/versions", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 200, `{"is_compatible":false}`},
		{"POST /compatibility/subjects/s/versions/2", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 200, `{"is_compatible":true}`},
		{"POST /subjects/s/versions", avroBody(fieldA, `{"name":"b","type":"string","doc":"d"}`), 409, `~{oldSchemaVersion: 1}`},
		{"PUT /config", `{"compatibility":"NONE"}`, 200, `{"compatibility":"NONE"}`},
		{"POST /subjects/s/versions", b, 409, `~"error_code":409`},
		{"DELETE /config/s", "", 200, `{"compatibilityLevel":"BACKWARD_TRANSITIVE"}`},
		{"POST /subjects/s/versions", b, 200, `{"id":4}`},
	})
	code := serve(t, open(t, kafka, func(o *Options) { o.IncompatibleCode = 40901 }))
	run(t, code, []step{
		{"PUT /config", `{"compatibility":"FULL"}`, 200, `{"compatibility":"FULL"}`},
		{"POST /subjects/s/versions", schemaBody(`"int"`), 409, `~"error_code":40901`},
	})
}

// Nothing is shared between checks but what does not change.
func TestChecksAtOnce(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	run(t, url, []step{{"POST /subjects/s/versions", avroBody(fieldA, fieldBD), 200, `{"id":1}`}})
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for range 5 {
				body, want := avroBody(fieldA), `{"is_compatible":true}`
				if n%2 == 0 {
					body, want = avroBody(fieldB), `{"is_compatible":true}`
				}
				if n%3 == 0 {
					body, want = avroBody(`{"name":"c","type":"string"}`), `{"is_compatible":false}`
				}
				if _, got, _ := ask(t, url, "POST", "/compatibility/subjects/s/versions/latest", body); got != want {
					t.Errorf("%s: %s", body, got)
				}
			}
		})
	}
	wg.Wait()
}
