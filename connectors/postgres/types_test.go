package postgres_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
)

// TestEveryType writes every type by snapshot and by stream, with the values at the edges of each, under three sets of
// handling modes, columns under the rules for single columns, and domains and changes of keys, also with skipped
// operations, and compares with what Debezium wrote.
func TestEveryType(t *testing.T) {
	t.Parallel()
	excused := deviations(t, "- except")
	for _, name := range []string{"default", "text", "double"} {
		t.Run(name, func(t *testing.T) { replayTypes(t, "testdata/types", name, excused) })
	}
	for _, name := range []string{"mask", "propagate", "datatype", "overlap"} {
		t.Run(name, func(t *testing.T) { replayTypes(t, "testdata/columns", name, excused) })
	}
	for _, name := range []string{"domains", "skip"} {
		t.Run(name, func(t *testing.T) { replayTypes(t, "testdata/domains", name, excused) })
	}
	for _, text := range excused.Unused() {
		t.Errorf("DEVIATIONS.md excuses what no longer differs: %s", text)
	}
}

func replayTypes(t *testing.T, dir, name string, excused *goldentest.Exceptions) {
	b := newBench(t)
	b.statements(readFile(t, filepath.Join(dir, "setup.sql")))
	var modes map[string]string
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, name, "config.json"))), &modes); err != nil {
		t.Fatal(err)
	}
	// Debezium writes null for what it cannot convert.
	modes["event.converting.failure.handling.mode"] = "warn"
	r := b.start(b.config(modes), nil)
	b.awaitStream(r, b.db)
	b.statements(readFile(t, filepath.Join(dir, "changes.sql")))
	b.settle(r, b.db)
	r.stop()
	records, _ := r.taken()
	got, want := goldentest.Topics{}, goldentest.Topics{}
	for _, rec := range records {
		rec.Headers = nil
		line, err := goldentest.Line(rec, true)
		if err != nil {
			t.Fatalf("%s: %v", rec.Topic, err)
		}
		text := strings.Replace(strings.ReplaceAll(string(line), `"db":"`+b.db+`"`, `"db":"types_`+name+`"`), `,"headers":[]`, "", 1)
		got[rec.Topic] = append(got[rec.Topic], []byte(text))
	}
	files, _ := filepath.Glob(filepath.Join(dir, name, "expected/*.jsonl"))
	for _, f := range files {
		for _, line := range strings.Split(strings.TrimSpace(readFile(t, f)), "\n") {
			topic := strings.TrimSuffix(filepath.Base(f), ".jsonl")
			want[topic] = append(want[topic], []byte(line))
		}
	}
	judge(t, name, goldentest.Compare(want, got), excused)
}
