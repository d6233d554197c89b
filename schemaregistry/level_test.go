package schemaregistry

import (
	"strings"
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
