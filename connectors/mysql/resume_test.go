package mysql_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

const resumeTables = "CREATE TABLE `0` (id int PRIMARY KEY, n int) AS WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 50) SELECT i AS id, 0 AS n FROM s;\n" +
	"CREATE TABLE a (id int PRIMARY KEY, n int, pad text) AS SELECT x.id + 50 * (y.id - 1) + 1000 * (z.id - 1) AS id, 0 AS n, REPEAT('x', 300) AS pad FROM `0` x, `0` y, `0` z WHERE y.id <= 20 AND z.id <= 4;\n" +
	"CREATE TABLE keys2 (b varchar(20), id int, n int, PRIMARY KEY (b, id)) AS SELECT CONCAT('b', id) AS b, id, 0 AS n FROM a WHERE id <= 500;\n" +
	"CREATE TABLE z (id int PRIMARY KEY, n int) AS SELECT id, n FROM `0`;\n" +
	"ANALYZE TABLE a;\n"

// reads counts the rows of a snapshot by topic, and by topic and key; and the markers.
func reads(t *testing.T, b *bench, records []connectors.Record) (byTable, byKey, markers map[string]int) {
	t.Helper()
	byTable, byKey, markers = map[string]int{}, map[string]int{}, map[string]int{}
	for i, l := range lines(t, records) {
		if !strings.HasSuffix(l, ` "r"`) {
			continue
		}
		table := strings.TrimPrefix(records[i].Topic, "p."+b.db+".")
		byTable[table]++
		byKey[table+" "+strings.Fields(l)[1]]++
		v, _, err := connectors.ReadValue(records[i].Value.Schema, records[i].Value.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		markers[v.List()[2].List()[4].Text()]++
	}
	return byTable, byKey, markers
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
	if !strings.Contains(fmt.Sprintf("%s", offsets), `"snapshot_reached":"{`) {
		b.t.Fatalf("the offsets after %d records are %s", len(records), offsets)
	}
	return records, offsets
}

// TestSnapshotResumes interrupts a snapshot again and again while rows change: those that were read do not come again, and
// a target has in the end what the tables have. Other things that can happen to a snapshot use the same servers.
func TestSnapshotResumes(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *services.MySQL{"mysql": server(), "mariadb": mariadb()} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			for _, threads := range []string{"1", "3"} {
				t.Run("threads "+threads, func(t *testing.T) { resumes(t, newBench(t, server, ""), threads) })
			}
			t.Run("keys", func(t *testing.T) { resumesByKey(t, server) })
			t.Run("anew", func(t *testing.T) { beginsAnew(t, server) })
			t.Run("hostile", func(t *testing.T) { hostile(t, server) })
		})
	}
}

func resumes(t *testing.T, b *bench, threads string) {
	b.script(resumeTables)
	config := b.config(map[string]string{"snapshot.max.threads": threads, "snapshot.chunk.rows": "200", "max.batch.size": "50", "include.schema.changes": "false"})
	var offsets []connectors.SourceOffset
	var records []connectors.Record
	const interruptions = 4
	for i := range interruptions {
		var more []connectors.Record
		more, offsets = b.interrupt(config, offsets, 700)
		records = append(records, more...)
		b.script(fmt.Sprintf("DELETE FROM a WHERE id BETWEEN %d AND %d;\nUPDATE a SET n = n + 1 WHERE id IN (20, %d);\nUPDATE a SET id = -id WHERE id IN (%d, %d);\n"+
			"INSERT INTO a VALUES (%d, 1, 'born');\nINSERT INTO keys2 VALUES ('a', %[6]d, 1);\nUPDATE z SET n = n + 1 WHERE id = 7;\n", 300+i*20, 310+i*20, 3500+i, 3900-i, 40+i, 4001+i))
	}
	r := b.start(config, offsets)
	b.awaitStream(r)
	b.script("UPDATE a SET n = 5 WHERE id IN (3, 3501);\n")
	b.settle(r)
	r.stop()
	more, _ := r.taken()
	records = append(records, more...)
	target, want := states(t, records), b.truth(config)
	if some, n := target.Lacks(want, 10); n > 0 {
		t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
	}
	tables, keys, markers := reads(t, b, records)
	again := 0
	for _, n := range keys {
		again += n - 1
	}
	if again > 0 || keys[`a {"id":5}`] != 1 || tables["0"] != 50 || tables["z"] != 50 || tables["keys2"] < 500 {
		t.Errorf("rows read %v, of them %d again", tables, again)
	}
	if markers["first"] != 1 || markers["last"] != 1 {
		t.Errorf("markers %v", markers)
	}
	t.Logf("%d records, rows read %v, of them %d again; markers %v", len(records), tables, again, markers)
}

// resumesByKey interrupts snapshots of tables whose keys cannot be cut beforehand, while rows get other keys.
func resumesByKey(t *testing.T, server *services.MySQL) {
	type keyed struct {
		columns, values, moves string
		whole                  bool // the table begins anew
	}
	var labels []string
	for i := range 64 {
		labels = append(labels, fmt.Sprintf("'l%d'", i))
	}
	cases := []keyed{
		{"k varchar(20) CHARACTER SET latin1, l decimal(20,3), n int, PRIMARY KEY (k, l)",
			`CONCAT(CHAR(97 + id % 26 USING latin1), IF(id % 3 = 0, 'ä', '''\\')), id * 1.001, 0`, "k = CONCAT('a', k)", false},
		{"k varbinary(40), n int, PRIMARY KEY (k)", "UNHEX(SHA2(id, 256)), 0", "k = CONCAT(x'00', k)", false},
		{"k datetime(3), l smallint unsigned, m date, n int, PRIMARY KEY (k, l, m)", "TIMESTAMPADD(SECOND, id % 10, '2024-01-01 00:00:00.125'), id, '2024-02-29', 0", "k = '2023-01-01'", false},
		{"k enum('z','y','x'), l int, n int, PRIMARY KEY (k, l)", "ELT(1 + id % 3, 'x', 'y', 'z'), id, 0", "k = 'z'", false},
		{"k set(" + strings.Join(labels, ",") + "), n int, PRIMARY KEY (k)", "18446744073709551615 - id, 0", "k = CAST(k AS UNSIGNED) - 1000", false},
		{"k bit(64), n int, PRIMARY KEY (k)", "18446744073709551615 - id, 0", "k = k - 1000", false},
		{"k float, n int, PRIMARY KEY (k)", "(id - 250) * EXP(id % 7 - 3), 0", "k = k * 1e20", false},
		{"y year, k double, n int, PRIMARY KEY (y, k)", "IF(id % 5 = 0, 0, 1901 + id % 3 * 100), (id - 250) / 7e0 * POW(10, id % 30 - 15), 0", "y = 2155", false},
		{"k text, n int, PRIMARY KEY (k(50))", "CONCAT('k', id), 0", "k = CONCAT('a', k)", true},
	}
	if server.MariaDB {
		cases = append(cases, keyed{"k uuid, ip inet6, net inet4, n int, PRIMARY KEY (k, ip, net)",
			"CONCAT(LPAD(HEX(id * 7919 % 65536), 8, '0'), '-', LPAD(HEX(id % 11), 4, '0'), '-', ELT(1 + id % 3, '1', '4', '7'), '000-8000-000000000001'), CONCAT('2001:db8::', id), CONCAT('10.0.0.', id % 256), 0",
			"net = '9.0.0.1'", false})
	}
	for _, c := range cases {
		b := newBench(t, server, "")
		b.script("CREATE TABLE s (id int) AS WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 500) SELECT i AS id FROM s;\n" +
			"CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);\nCREATE TABLE t (" + c.columns + ");\nINSERT INTO t SELECT " + c.values + " FROM s;\n")
		config := b.config(map[string]string{"max.batch.size": "20", "include.schema.changes": "false", "table.include.list": b.db + "[.][at]"})
		records, offsets := b.interrupt(config, nil, 200)
		b.script("UPDATE t SET n = 1, " + c.moves + " ORDER BY RAND() LIMIT 40;\nDELETE FROM t ORDER BY RAND() LIMIT 20;\nUPDATE t SET n = n + 2 ORDER BY RAND() LIMIT 40;\n")
		more, offsets := b.interrupt(config, offsets, 300)
		records = append(records, more...)
		r := b.start(config, offsets)
		b.awaitStream(r)
		b.settle(r)
		r.stop()
		more, _ = r.taken()
		records = append(records, more...)
		target, want := states(t, records), b.truth(config)
		if some, n := target.Lacks(want, 10); n > 0 || len(want.Rows) != 481 {
			t.Fatalf("%s: %d of %d rows differ: %s", c.columns, n, len(want.Rows), strings.Join(some, "\n"))
		}
		tables, _, _ := reads(t, b, records)
		if n := tables["t"]; n > 600 != c.whole {
			t.Errorf("%s: %d rows read", c.columns, n)
		}
	}
}

// beginsAnew changes things while a snapshot is interrupted such that what was read of a table, or of all, is worth
// nothing.
func beginsAnew(t *testing.T, server *services.MySQL) {
	for _, c := range []struct {
		name, sql string
		mode      string
		want      string // rows read of 0 and a
	}{
		{"nothing", "", "initial", "0 rest"},
		{"the end of it", "", "initial_only", "0 rest"},
		{"always", "", "always", "50 4000"},
		{"altered", "ALTER TABLE a ADD COLUMN more int NOT NULL DEFAULT 7;\n", "initial", "0 4000"},
		{"another table", "CREATE TABLE `1` (id int PRIMARY KEY);\n", "initial", "0 rest"},
		{"another first table", "CREATE TABLE `00` (id int PRIMARY KEY);\n", "initial", "0 rest"},
		{"another table before", "RENAME TABLE `0` TO `00`;\n", "initial", "0 4000"},
		{"no table", "DROP TABLE a;\n", "initial", "0 0"},
		{"half rows", "SET GLOBAL binlog_row_image = MINIMAL;\n", "initial", "0 4000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, server, "")
			b.script(resumeTables)
			config := b.config(map[string]string{"snapshot.chunk.rows": "200", "max.batch.size": "50", "include.schema.changes": "false", "snapshot.mode": c.mode})
			records, offsets := b.interrupt(config, nil, 1200)
			b.script(c.sql)
			t.Cleanup(func() { b.script("SET GLOBAL binlog_row_image = FULL;\n") })
			r := b.start(config, offsets)
			if c.mode == "initial_only" {
				<-r.done
			} else {
				b.awaitStream(r)
				b.settle(r)
			}
			r.stop()
			second, _ := r.taken()
			tables, _, _ := reads(t, b, second)
			read := fmt.Sprint(tables["0"], " ", tables["a"])
			if n := tables["a"]; n > 2500 && n < 3500 {
				read = fmt.Sprint(tables["0"], " rest")
			}
			if read != c.want || tables["z"] != 50 {
				t.Errorf("rows read of 0 and a %s, want %s, and of z %d", read, c.want, tables["z"])
			}
			target, want := states(t, append(records, second...)), b.truth(config)
			for k, row := range want.Rows {
				if target.Rows[k] != row {
					t.Fatalf("%s is\n%.200s\nwant\n%.200s", k, target.Rows[k], row)
				}
			}
		})
	}
}
