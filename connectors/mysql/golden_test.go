package mysql_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
)

// TestGoldenCases replays what was recorded of Debezium: the same set-up, configuration and changes must give the same
// records. The cases with a transform are replayed by the integration tests, which have a hub. The server is its own: the
// metadata of transactions are of all transactions there.
func TestGoldenCases(t *testing.T) {
	t.Parallel()
	golden(t, own(t, false, nil), deviations(t, "- except golden"))
}

// TestGoldenCasesMariaDB replays the same for MariaDB: the records must be those of MySQL, under MariaDB's names.
func TestGoldenCasesMariaDB(t *testing.T) {
	t.Parallel()
	golden(t, own(t, true, nil), deviations(t, "- except golden", "- except mariadb"))
}

func golden(t *testing.T, server *services.MySQL, excused *goldentest.Exceptions) {
	dirs, err := filepath.Glob("testdata/golden/*/connector.json")
	if err != nil || len(dirs) != 25 {
		t.Fatalf("%d cases, error %v", len(dirs), err)
	}
	for _, metadata := range []string{"MINIMAL", "FULL"} {
		server.Exec(t, "", "SET GLOBAL binlog_row_metadata = "+metadata)
		for _, path := range dirs {
			dir := filepath.Dir(path)
			config := readConfig(t, path)
			if config["transforms"] != "" {
				continue
			}
			t.Run(metadata+"/"+filepath.Base(dir), func(t *testing.T) { replay(t, server, dir, config, excused) })
		}
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

func replay(t *testing.T, server *services.MySQL, dir string, config map[string]string, excused *goldentest.Exceptions) {
	b := newBench(t, server, "store")
	b.script(readFile(t, filepath.Join(dir, "setup.sql")))
	own := b.config(nil)
	for _, k := range []string{"database.hostname", "database.port", "database.user", "database.password", "status.update.interval.ms"} {
		config[k] = own[k]
	}
	r := b.start(config, nil)
	b.awaitStream(r)
	for _, sql := range strings.Split(readFile(t, filepath.Join(dir, "changes.sql")), "\n-- @settle\n") {
		b.script(sql)
		b.settle(r)
		r.until("the end of an incremental snapshot", r.ended)
		b.settle(r) // what closed its last window follows its last row
	}
	if config["heartbeat.interval.ms"] != "" {
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
		got[rec.Topic] = append(got[rec.Topic], line)
	}
	for _, o := range offsets {
		if !strings.Contains(string(o.Partition), `"table"`) {
			got["connect-offsets"] = [][]byte{[]byte(`{"key":["mystore",` + string(o.Partition) + `],"value":` + string(o.Offset) + `,"headers":[]}`)}
		}
	}
	want := goldentest.Topics{}
	files, _ := filepath.Glob(filepath.Join(dir, "expected/*.jsonl"))
	for _, f := range append(files, filepath.Join(dir, "state/connect-offsets.jsonl")) {
		for _, line := range strings.Split(readFile(t, f), "\n") {
			if server.MariaDB {
				line = strings.ReplaceAll(strings.ReplaceAll(line, "io.debezium.connector.mysql.", "io.debezium.connector.mariadb."), `"mysql"`, `"mariadb"`)
			}
			if line != "" {
				topic := strings.TrimSuffix(filepath.Base(f), ".jsonl")
				want[topic] = append(want[topic], []byte(line))
			}
		}
	}
	judge(t, filepath.Base(dir), goldentest.Compare(want, got), excused)
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

// deviations reads the exceptions with the marks from DEVIATIONS.md.
func deviations(t *testing.T, marks ...string) *goldentest.Exceptions {
	t.Helper()
	text := readFile(t, "DEVIATIONS.md")
	for _, m := range marks[1:] {
		text = strings.ReplaceAll(text, "\n"+m, "\n"+marks[0])
	}
	e, err := goldentest.ReadExceptions(text, marks[0])
	if err != nil {
		t.Fatal(err)
	}
	return e
}
