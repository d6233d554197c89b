package avro

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The file says what Apache Avro 1.12.0 for Java answers to each pair of reader and writer: type, location and message
// of each incompatibility, or "error" where it throws.
func TestCanReadAnswersAsJava(t *testing.T) {
	text, err := os.ReadFile("testdata/java-compat.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Schemas map[string]string
		Pairs   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	schemas := make(map[string]*Schema)
	for name, s := range c.Schemas {
		schemas[name] = mustParse(t, s)
	}
	n := 0
	for reader, writers := range c.Pairs {
		for writer, want := range writers {
			n++
			found, err := CanRead(schemas[reader], schemas[writer])
			got := [][3]string{}
			for _, i := range found {
				got = append(got, [3]string{i.Type, i.Location, i.Message})
			}
			var list [][3]string
			if string(want) == `"error"` {
				if err == nil {
					t.Errorf("%s read as %s: no error", c.Schemas[writer], c.Schemas[reader])
				}
			} else if err := json.Unmarshal(want, &list); err != nil {
				t.Fatal(err)
			} else if diff := cmp.Diff(list, got); diff != "" {
				t.Errorf("%s read as %s (-want +got):\n%s", c.Schemas[writer], c.Schemas[reader], diff)
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d pairs", n)
	}
}

func record(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }

const (
	a1 = `{"name":"a","type":"string"}`
	b1 = `{"name":"b","type":"string"}`
	bd = `{"name":"b","type":"string","default":"x"}`
	cd = `{"name":"c","type":"string","default":"x"}`
)

func TestLevels(t *testing.T) {
	onlyA, aAndB, aAndBD, aBDC, aNumber := record(a1), record(a1+","+b1), record(a1+","+bd), record(a1+","+bd+","+cd), record(`{"name":"a","type":"int"}`)
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
		var earlier []Version
		for i, text := range c.earlier {
			earlier = append(earlier, Version{len(c.earlier) - i, text, mustParse(t, text)})
		}
		var allowed []string
		for _, l := range []Level{None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive} {
			if l.Compatible(mustParse(t, c.new), earlier) == nil {
				allowed = append(allowed, string(l))
			}
		}
		if got := strings.Join(allowed, " "); got != c.allowed {
			t.Errorf("%s after %v:\ngot  %s\nwant %s", c.new, c.earlier, got, c.allowed)
		}
	}
}

func TestMessages(t *testing.T) {
	old := []Version{{3, `OLD`, mustParse(t, record(a1))}}
	added := mustParse(t, record(a1+","+b1))
	missing := "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}"
	removed := mustParse(t, record(""))
	missingOld := "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the old schema has no default value and is missing in the new schema', additionalInfo:'a'}"
	changed := mustParse(t, record(`{"name":"a","type":"int"}`))
	for _, c := range []struct {
		level Level
		new   *Schema
		want  []string
	}{
		{Backward, added, []string{missing, "{oldSchemaVersion: 3}", "{oldSchema: 'OLD'}"}},
		{Forward, removed, []string{missingOld, "{oldSchemaVersion: 3}", "{oldSchema: 'OLD'}"}},
		{Full, removed, []string{missingOld}},
		{FullTransitive, changed, []string{
			"{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the old schema does not match with the new schema', additionalInfo:'reader type: STRING not compatible with writer type: INT'}",
			"{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: INT not compatible with writer type: STRING'}",
			"{oldSchemaVersion: 3}", "{oldSchema: 'OLD'}"}},
	} {
		if diff := cmp.Diff(c.want, c.level.Compatible(c.new, old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.level, diff)
		}
	}
	long := []Version{{0, strings.Repeat("x", 11<<10), old[0].Schema}}
	if got := Backward.Compatible(added, long); len(got) != 2 || len(got[1]) > 10<<10+60 {
		t.Errorf("%d messages, the last with %d bytes", len(got), len(got[len(got)-1]))
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

// One check shares nothing with another, so many at once answer alike. (Run with -race.)
func TestCanReadInParallel(t *testing.T) {
	var fields, bad []string
	for i := range 300 {
		fields = append(fields, fmt.Sprintf(`{"name":"f%d","type":{"type":"record","name":"N%d","fields":[{"name":"x","type":["null","R"]}]}}`, i, i))
	}
	bad = slices.Clone(fields)
	bad[299] = `{"name":"f299","type":"int"}`
	r, w := mustParse(t, record(strings.Join(bad, ","))), mustParse(t, record(strings.Join(fields, ",")))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if found, err := CanRead(r, w); len(found) == 0 || err != nil {
					t.Error("compatible", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestHostileSchemasAreComparedFast(t *testing.T) {
	// Each type uses the next one twice, so that what is found at the end is repeated 2^40 times.
	nest := func(leaf string) *Schema {
		text := fmt.Sprintf(`{"type":"record","name":"R0","fields":[{"name":"a","type":"%s"}]}`, leaf)
		for i := range 40 {
			text = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":"R%d"}]}`, i+1, text, i)
		}
		return mustParse(t, text)
	}
	start := time.Now()
	found, err := CanRead(nest("int"), nest("string"))
	if err != nil || len(found) == 0 || len(found) > maxIncompatibilities {
		t.Error(len(found), err)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}
