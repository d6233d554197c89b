package postgres_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
)

// TestGoldenCases replays what was recorded of Debezium: the same set-up, configuration and changes must give the same
// records. The cases with a transform are replayed by the integration tests, which have a hub.
func TestGoldenCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/golden/*/connector.json")
	if err != nil || len(dirs) < 22 {
		t.Fatalf("%d cases, error %v", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		config := readConfig(t, path)
		if config["transforms"] != "" {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) { replay(t, dir, config) })
	}
}

func readConfig(t *testing.T, path string) map[string]string {
	t.Helper()
	var doc struct{ Config map[string]string }
	if err := json.Unmarshal([]byte(readFile(t, path)), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Config
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func replay(t *testing.T, dir string, config map[string]string) {
	b := newBench(t)
	b.exec(readFile(t, filepath.Join(dir, "setup.sql")))
	own := b.config(nil)
	for _, k := range []string{"database.hostname", "database.port", "database.user", "database.password", "database.dbname", "slot.name"} {
		config[k] = own[k]
	}
	config["status.update.interval.ms"] = "50"
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	for _, sql := range blocks(readFile(t, filepath.Join(dir, "changes.sql"))) {
		b.statements(sql)
		b.settle(r, b.db)
		r.until("the end of an incremental snapshot", r.ended)
		b.settle(r, b.db) // what closed its last window follows its last row
	}
	if topic := filepath.Join(dir, "expected/__debezium-heartbeat.pgstore.jsonl"); config["heartbeat.interval.ms"] != "" {
		if _, err := os.Stat(topic); err != nil {
			t.Fatal(err)
		}
		n := r.count()
		r.until("a heartbeat", func() bool { return r.count() > n })
	}
	r.stop()
	records, offsets := r.taken()

	got := goldentest.Topics{}
	for _, rec := range records {
		line, err := goldentest.Line(rec, config["value.converter.schemas.enable"] == "true")
		if err != nil {
			t.Fatalf("%s: %v", rec.Topic, err)
		}
		text := strings.ReplaceAll(string(line), `"db":"`+b.db+`"`, `"db":"store"`)
		got[rec.Topic] = append(got[rec.Topic], []byte(text))
	}
	got["connect-offsets"] = [][]byte{[]byte(`{"key":["pgstore",` + string(offsets[0].Partition) + `],"value":` + string(offsets[0].Offset) + `,"headers":[]}`)}
	want := goldentest.Topics{}
	files, _ := filepath.Glob(filepath.Join(dir, "expected/*.jsonl"))
	for _, f := range append(files, filepath.Join(dir, "state/connect-offsets.jsonl")) {
		for _, line := range strings.Split(readFile(t, f), "\n") {
			if line != "" {
				topic := strings.TrimSuffix(filepath.Base(f), ".jsonl")
				want[topic] = append(want[topic], []byte(line))
			}
		}
	}
	judge(t, filepath.Base(dir), goldentest.Compare(want, got), deviations(t, "- except golden"))
}

// judge fails the test for every difference that is not excused.
func judge(t *testing.T, set string, res goldentest.Result, excused *goldentest.Exceptions) {
	t.Helper()
	left := excused.Unexcused(set, res.Differences)
	for _, d := range left[:min(len(left), 40)] {
		t.Error(d)
	}
	t.Logf("%d of %d records equal, %d differences, %d of them not excused", res.Equal, res.Total, len(res.Differences), len(left))
}

// deviations reads the exceptions with a mark from DEVIATIONS.md.
func deviations(t *testing.T, mark string) *goldentest.Exceptions {
	t.Helper()
	e, err := goldentest.ReadExceptions(readFile(t, "DEVIATIONS.md"), mark)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// statements runs a script statement by statement, as psql does, so that each is a transaction of its own.
func (b *bench) statements(script string) {
	b.t.Helper()
	var st strings.Builder
	for _, line := range strings.Split(script, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "--") || strings.TrimSpace(line) == "" {
			continue
		}
		st.WriteString(line + "\n")
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			b.exec(st.String())
			st.Reset()
		}
	}
}
