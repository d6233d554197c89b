package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
)

// lines prints keys and rows of records, without what depends on the time of reading.
func lines(t testing.TB, records []connectors.Record) []string {
	t.Helper()
	var out []string
	for _, r := range records {
		key, err := goldentest.Document(r.Key, false)
		if err != nil {
			t.Fatal(err)
		}
		line := r.Topic + " " + key
		if !r.Value.IsNull() {
			v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range r.Value.Schema.Fields {
				switch f.Name {
				case "before", "after", "op", "ddl", "tableChanges", "status", "id":
					line += " " + goldentest.JSON(f.Schema, v.List()[i])
				}
			}
		}
		out = append(out, line)
	}
	return out
}

func sameLines(t *testing.T, what string, want, got []string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("%s: record %d is\n%.400s\nwant\n%.400s", what, i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// TestRestartFromAnyOffset stores what each batch of a run said, also those in the middle of transactions and between
// statements that change tables, and starts again from it: what follows must be exactly the rest. With GTIDs and
// without, with a log that describes itself and with one that does not.
func TestRestartFromAnyOffset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		start func(testing.TB) *services.MySQL
	}{
		{"mysql minimal", server("--binlog-row-metadata=MINIMAL")},
		{"mysql full", server("--binlog-row-metadata=FULL")},
		{"mysql compressed without gtids", server("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF", "--binlog-transaction-compression=ON")},
		{"mariadb", mariadb("--binlog-row-metadata=MINIMAL")},
		{"mariadb full compressed", mariadb("--binlog-row-metadata=FULL", "--log-bin-compress=ON", "--log-bin-compress-min-len=10")},
	} {
		t.Run(c.name, func(t *testing.T) { restart(t, newBench(t, c.start(t), "")) })
	}
}

func server(args ...string) func(testing.TB) *services.MySQL {
	return func(t testing.TB) *services.MySQL { return own(t, false, args) }
}

func mariadb(args ...string) func(testing.TB) *services.MySQL {
	return func(t testing.TB) *services.MySQL { return own(t, true, args) }
}

// own is a server for one test.
func own(t testing.TB, mariadb bool, args []string) *services.MySQL {
	t.Helper()
	start := services.StartMySQL
	if mariadb {
		start = services.StartMariaDB
	}
	s, err := start(t.Context(), services.MySQLOptions{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const sequence = "SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 1 i FROM dig a, dig b, dig c, dig d"

func restart(t *testing.T, b *bench) {
	b.script(`CREATE TABLE dig (n int);
INSERT INTO dig VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TABLE a (id int PRIMARY KEY, pad text);
CREATE TABLE b (id int, pad varchar(2000));
CREATE TABLE other (id int, pad text);`)
	config := b.config(map[string]string{"snapshot.mode": "no_data", "table.include.list": b.db + ".[ab]", "provide.transaction.metadata": "true"})
	r := b.start(config, nil)
	b.awaitStream(r)
	seq := "(" + sequence + ") s"
	b.script(`INSERT INTO a SELECT i, repeat('x', 1500) FROM ` + seq + ` WHERE i <= 10;
BEGIN;
INSERT INTO a SELECT i, repeat('x', 1500) FROM ` + seq + ` WHERE i BETWEEN 11 AND 2500;
INSERT INTO other SELECT i, 'o' FROM ` + seq + ` WHERE i < 500;
INSERT INTO b SELECT i, repeat('y', 700) FROM ` + seq + ` WHERE i < 3000;
COMMIT;
ALTER TABLE a ADD COLUMN first_one varchar(10) DEFAULT 'one' FIRST;
BEGIN;
UPDATE a SET id = id + 100000 WHERE id <= 1200;
DELETE FROM a WHERE id < 1300;
COMMIT;
ALTER TABLE a RENAME COLUMN pad TO filling, DROP COLUMN first_one;
INSERT INTO a SELECT i + 500000, repeat('z', 1500) FROM ` + seq + ` WHERE i < 1500;
ALTER TABLE b CHANGE pad text varchar(1500), ADD COLUMN n int NOT NULL DEFAULT 7;
INSERT INTO b (id, text) VALUES (-1, 'end');`)
	last := func(r *run) bool {
		records, _ := r.taken()
		if len(records) < 2 {
			return false
		}
		n := len(records) - 2 // the END of the last transaction follows its change
		return records[n+1].Topic == "p.transaction" && strings.HasSuffix(lines(t, records[n:n+1])[0], `{"id":-1,"text":"end","n":7} "c"`)
	}
	r.until("the last change", func() bool { return last(r) })
	r.stop()
	records, _ := r.taken()
	all := lines(t, records)
	inside, step := 0, max(len(r.all)/12, 1)
	for i, offsets := range r.all {
		text := ""
		for _, o := range offsets {
			if !strings.Contains(string(o.Partition), "table") {
				text = string(o.Offset)
			}
		}
		if text == "" { // only definitions: the task would begin at the end of the log
			continue
		}
		within := strings.Contains(text, `"event"`)
		if i%step != 0 && (!within || inside > 8) || strings.Contains(text, "INITIAL") {
			continue
		}
		if within {
			inside++
		}
		again := b.start(config, offsets)
		if r.counts[i] < len(all)-1 {
			again.until("the rest", func() bool { return last(again) })
		}
		again.stop()
		got, _ := again.taken()
		sameLines(t, fmt.Sprintf("from offset %d %s", i, text), all[r.counts[i]:], lines(t, got))
	}
	if inside < 4 {
		t.Fatalf("only %d of %d offsets were inside of a transaction: the test shows nothing", inside, len(r.all))
	}
	t.Logf("%d offsets, %d tried inside of transactions, %d records", len(r.all), inside, len(all))
}
