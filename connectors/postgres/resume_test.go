package postgres_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

const resumeTables = `CREATE TABLE "0" (id int PRIMARY KEY, n int); INSERT INTO "0" SELECT i, 0 FROM generate_series(1, 50) i;
CREATE TABLE a (id int PRIMARY KEY, n int, pad text, big text); ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
INSERT INTO a SELECT i, 0, repeat('x', 300), CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 100) END FROM generate_series(1, 6000) i;
CREATE TABLE nokey (n int, pad text); INSERT INTO nokey SELECT i, repeat('y', 100) FROM generate_series(1, 2000) i;
CREATE TABLE z (id int PRIMARY KEY, n int); INSERT INTO z SELECT i, 0 FROM generate_series(1, 50) i`

// rowsRead counts the rows of a snapshot by topic and row, and the markers but "true".
func rowsRead(t *testing.T, records []connectors.Record) (rows map[string]int, byTable map[string]int, markers map[string]int) {
	t.Helper()
	rows, byTable, markers = map[string]int{}, map[string]int{}, map[string]int{}
	for i, l := range lines(t, records) {
		if !strings.HasSuffix(l, ` "r"`) {
			continue
		}
		rows[l]++
		byTable[strings.TrimPrefix(records[i].Topic, "p.public.")]++
		v, _, err := connectors.ReadValue(records[i].Value.Schema, records[i].Value.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		markers[v.List()[2].List()[4].Text()]++
	}
	return rows, byTable, markers
}

// interrupt takes so many records, and ends the task as a kill does.
func (b *bench) interrupt(config map[string]string, offsets []connectors.SourceOffset, most int) ([]connectors.Record, []connectors.SourceOffset) {
	b.t.Helper()
	c := maps.Clone(config)
	c["test.most"] = strconv.Itoa(most)
	r := b.start(c, offsets)
	r.until("a part of the snapshot", func() bool { return r.count() >= most })
	r.stop()
	records, offsets := r.taken()
	return records, offsets
}

// TestSnapshotResumes interrupts a snapshot again and again, in chunks and in catch-ups, while rows change: rows that were
// read come again only with the chunk that was being read, or because they were written since; and a target has in the
// end what the tables have. Among what is written are rows that move, with a large value that the log does not have, from
// pages that were not read into pages that were.
func TestSnapshotResumes(t *testing.T) {
	for _, threads := range []string{"1", "3"} {
		t.Run("threads "+threads, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(resumeTables)
			config := b.config(map[string]string{"snapshot.max.threads": threads, "snapshot.chunk.pages": "10", "max.batch.size": "100"})
			var offsets []connectors.SourceOffset
			var records []connectors.Record
			moved, changed := 0, 0
			interruptions := 5
			for i := range interruptions {
				var more []connectors.Record
				more, offsets = b.interrupt(config, offsets, 1000)
				records = append(records, more...)
				if !strings.Contains(string(offsets[0].Offset), `"snapshot_reached":"{`) {
					t.Fatalf("after %d records the offset is %s", len(records), offsets[0].Offset)
				}
				b.exec(fmt.Sprintf("DELETE FROM a WHERE id BETWEEN %d AND %d", 100+i*40, 130+i*40))
				b.exec("VACUUM a")
				b.exec(fmt.Sprintf(`UPDATE a SET n = n + 1 WHERE id BETWEEN %d AND %d AND id %% 50 = 0; UPDATE a SET n = n + 1 WHERE id = 20; UPDATE a SET id = -id WHERE id = %d;
INSERT INTO a VALUES (%d, 1, 'born', NULL); INSERT INTO nokey VALUES (%[4]d, 'born'); UPDATE z SET n = n + 1 WHERE id = 7`, 5000+i*150, 5140+i*150, 6000-i*7, 10000+i))
				changed += 31 + 3 + 2 + 2
				n, _ := strconv.Atoi(b.text("SELECT count(*) FROM a WHERE n > 0 AND big IS NOT NULL AND (ctid::text::point)[0] < 20"))
				moved += n
			}
			if moved == 0 {
				t.Error("no row with a large value moved to the first pages: the test shows less than it should")
			}
			r := b.start(config, offsets)
			b.awaitStream(r, b.db)
			b.exec("UPDATE a SET n = 5 WHERE id IN (3, 5001)")
			b.settle(r, b.db)
			r.stop()
			records = append(records, mustTake(r)...)

			target, want := states(t, records), b.truth(config)
			if some, n := target.Lacks(want, 10); n > 0 {
				t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
			}
			rows, tables, markers := rowsRead(t, records)
			again := 0
			for _, n := range rows {
				again += n - 1
			}
			// A chunk has 10 pages of some 24 rows, or of 57 of nokey.
			if most := interruptions*600 + changed; again > most {
				t.Errorf("%d rows were read again, want at most %d", again, most)
			}
			if tables["0"] != 50 || tables["z"] != 50 && tables["z"] != 51 {
				t.Errorf("rows read by table: %v", tables)
			}
			for n := 1; n <= 2000; n++ {
				if line := fmt.Sprintf(`p.public.nokey null null {"n":%d,"pad":"%s"} "r"`, n, strings.Repeat("y", 100)); rows[line] == 0 {
					t.Fatalf("%s was not read", line)
				}
			}
			if markers["first"] != 1 || markers["last"] != 1 {
				t.Errorf("markers %v", markers)
			}
			t.Logf("%d records, rows read %v, of them %d again; markers %v", len(records), tables, again, markers)
		})
	}
}

// TestSnapshotBeginsAnew changes tables while the snapshot is interrupted such that what was read of them is worth
// nothing.
func TestSnapshotBeginsAnew(t *testing.T) {
	for _, c := range []struct {
		name, sql string
		more      map[string]string // of the configuration
		want      string            // rows read of 0 and a
	}{
		{"nothing", "", nil, "0 rest"},
		{"always", "", map[string]string{"snapshot.mode": "always"}, "50 6000"},
		{"altered", "ALTER TABLE a ADD COLUMN more int NOT NULL DEFAULT 7", nil, "0 6000"},
		{"rewritten", "VACUUM FULL a", nil, "0 6000"},
		{"another key", "ALTER TABLE a DROP CONSTRAINT a_pkey, ADD PRIMARY KEY (id, n)", nil, "0 6000"},
		{"empty", "TRUNCATE a; INSERT INTO a VALUES (1, 2, 'x', 'y')", nil, "0 1"},
		{"another table", `CREATE TABLE "1" (id int PRIMARY KEY)`, nil, "0 rest"},
		{"another table before", `ALTER TABLE "0" RENAME TO "00"`, nil, "0 6000"},
		{"no table", "DROP TABLE a", nil, "0 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.exec(resumeTables)
			config := b.config(map[string]string{"snapshot.chunk.pages": "10", "max.batch.size": "100"})
			records, offsets := b.interrupt(config, nil, 2000)
			if c.sql != "" {
				b.exec(c.sql)
			}
			maps.Copy(config, c.more)
			r := b.start(config, offsets)
			b.awaitStream(r, b.db)
			b.settle(r, b.db)
			r.stop()
			second := mustTake(r)
			_, tables, _ := rowsRead(t, second)
			read := fmt.Sprint(tables["0"], " ", tables["a"])
			if n := tables["a"]; n > 3500 && n < 5000 {
				read = fmt.Sprint(tables["0"], " rest")
			}
			if read != c.want || tables["z"] != 50 {
				t.Errorf("rows read of 0 and a %s, want %s, and of z %d", read, c.want, tables["z"])
			}
			config["snapshot.mode"] = "initial"
			target, want := states(t, append(records, second...)), b.truth(config)
			for k, row := range want.Rows {
				if target.Rows[k] != row {
					t.Fatalf("%s is\n%.200s\nwant\n%.200s", k, target.Rows[k], row)
				}
			}
		})
	}
}
