package configs

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// eachLine decodes each line of a corpus in testdata. The corpora hold what Java and Kafka 4.3 themselves answered.
func eachLine[T any](t *testing.T, name string, do func(T)) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for lines.Scan() {
		var c T
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		do(c)
		n++
	}
	if lines.Err() != nil || n < 100 {
		t.Fatalf("%s: %d lines, %v", name, n, lines.Err())
	}
}

// sample has one key of each kind that the tests are about.
func sample() *Definition {
	return &Definition{
		Keys: []Key{
			{Name: "topic.prefix", Type: String, Required: true, Importance: High, Group: "Postgres", Width: WidthMedium,
				DisplayName: "Topic prefix", Doc: "First part of topic names.", Aliases: []string{"database.server.name"}},
			{Name: "database.hostname", Type: String, Importance: High, Group: "Postgres"},
			{Name: "database.port", Type: Int, Default: "5432", Min: "1", Max: "65535", Group: "Postgres"},
			{Name: "database.password", Type: Password, Group: "Postgres"},
			{Name: "table.include.list", Type: List, Default: "", DefaultEmpty: true, Group: "Tables"},
			{Name: "table.exclude.list", Type: List, Group: "Tables"},
			{Name: "snapshot.mode", Type: String, Default: "initial", Enum: []string{"initial", "never", "always"},
				Dependents: []string{"snapshot.fetch.size"}, Group: "Snapshots"},
			{Name: "snapshot.fetch.size", Type: Int, Default: "10240", Group: "Snapshots",
				DependsOn: []Condition{{Key: "snapshot.mode", Values: []string{"initial", "always"}}}},
			{Name: "poll.interval.ms", Type: Long, Default: "500", Min: "1", Unit: "ms"},
			{Name: "ratio", Type: Double, Default: "0.5", Max: "1"},
			{Name: "tombstones.on.delete", Type: Boolean, Default: "true"},
			{Name: "slot.name", Type: String, Default: "debezium", Pattern: "[a-z0-9_]{1,63}"},
			{Name: "plugin.name", Type: String, Notice: "plugin.name has no effect: pgoutput is used."},
			{Name: "snapshot.select.statement.overrides.<table>", Type: String},
			{Name: "transforms.<name>.type", Type: Class},
			{Name: "topic.creation.<group>.partitions", Type: Int, Default: "-1"},
			{Name: "topic.creation.<group>.*", Type: String},
			{Name: "producer.override.*", Type: String},
		},
		Rules: []Rule{
			AtMostOne("table.include.list", "table.exclude.list"),
			Requires("database.password", "database.hostname"),
			Check("The port of the host db is 1.", []string{"database.hostname", "database.port"}, func(v Values) []Problem {
				if v.String("database.hostname") == "db" && v.Int("database.port") != 1 {
					return []Problem{{Key: "database.port", Message: "db listens on port 1"}}
				}
				return nil
			}),
		},
	}
}
