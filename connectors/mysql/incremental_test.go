package mysql_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
)

// ended reports whether no incremental snapshot is going on behind the newest offset.
func (r *run) ended() bool {
	_, offsets := r.taken()
	return !slices.ContainsFunc(offsets, func(o connectors.SourceOffset) bool {
		return strings.Contains(string(o.Offset), "incremental_snapshot_collections")
	})
}

// states is what a target holds that has taken the records.
func states(t testing.TB, records []connectors.Record) *goldentest.Target {
	t.Helper()
	target := goldentest.NewTarget()
	if err := target.Take(slices.DeleteFunc(slices.Clone(records), func(r connectors.Record) bool { return strings.HasSuffix(r.Topic, ".signals") })); err != nil {
		t.Fatal(err)
	}
	return target
}

// truth is what the tables hold now, as a snapshot of its own reads it.
func (b *bench) truth(config map[string]string) *goldentest.Target {
	b.t.Helper()
	c := maps.Clone(config)
	c["snapshot.mode"] = "initial_only"
	r := b.start(c, nil)
	<-r.done
	r.stop()
	records, _ := r.taken()
	return states(b.t, records)
}

// Keys of every type that is ordered, compared or printed in a way of its own.
const incrementalTables = `CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32), data text);
CREATE TABLE a (id int PRIMARY KEY, n int, pad text) AS WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 500) SELECT i AS id, 0 AS n, REPEAT('x', 5000) AS pad FROM s;
CREATE TABLE b (name varchar(20) CHARACTER SET latin1, price decimal(20,3), n int, PRIMARY KEY (name, price)) AS SELECT CONCAT(CHAR(97 + id % 26 USING latin1), IF(id % 3 = 0, 'ä', '''\\')) AS name, id * 1.001 AS price, 0 AS n FROM a;
CREATE TABLE c (code varbinary(40) NOT NULL UNIQUE, n int) AS SELECT UNHEX(SHA2(id, 256)) AS code, 0 AS n FROM a WHERE id <= 200;
CREATE TABLE d (kind enum('z','y','x') NOT NULL, at datetime(3) NOT NULL, bits bit(12) NOT NULL, f float NOT NULL, n int, PRIMARY KEY (kind, at, bits, f)) AS SELECT ELT(1 + id % 3, 'x', 'y', 'z') AS kind, TIMESTAMPADD(SECOND, id % 10, '2024-01-01 00:00:00.125') AS at, id AS bits, id / 7 AS f, 0 AS n FROM a WHERE id <= 200;
CREATE TABLE e (u bigint unsigned PRIMARY KEY, day date, n int) AS SELECT 18446744073709551615 - id AS u, DATE('2024-02-29') AS day, 0 AS n FROM a WHERE id <= 100;
`

// Keys of types that only MariaDB has. A uuid of the first version has its place by its time, which is not that of its text.
const incrementalMariaDB = `CREATE TABLE f (id uuid NOT NULL, ip inet6 NOT NULL, net inet4 NOT NULL, n int, PRIMARY KEY (id, ip, net)) AS SELECT CONCAT(LPAD(HEX(id * 7919 % 65536), 8, '0'), '-', LPAD(HEX(id % 11), 4, '0'), '-1000-8000-000000000001') AS id, '2001:db8::1' AS ip, '10.0.0.1' AS net, 0 AS n FROM a WHERE id <= 200;
`

// changing changes rows of the tables at random until it is stopped.
func (b *bench) changing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := b.server.Connect(context.Background(), b.db)
	if err != nil {
		b.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer conn.Close()
		rnd := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			i, j := 1+rnd.IntN(500), 1+rnd.IntN(200)
			sql := []string{
				fmt.Sprintf("UPDATE a SET n = n + 1 WHERE id BETWEEN %d AND %d", i, i+3),
				fmt.Sprintf("DELETE FROM a WHERE id = %d", i),
				fmt.Sprintf("INSERT IGNORE INTO a VALUES (%d, 1, 'again')", i),
				fmt.Sprintf("UPDATE IGNORE b SET name = UPPER(name), n = n + 1 WHERE price = %d * 1.001", i),
				fmt.Sprintf("UPDATE b SET price = price + 1000, n = n + 1 WHERE price BETWEEN %d AND %d", i, i+2),
				fmt.Sprintf("UPDATE IGNORE c SET code = UNHEX(SHA2(%d, 256)), n = n + 1 WHERE code = UNHEX(SHA2(%d, 256))", i, j),
				fmt.Sprintf("DELETE FROM c WHERE code = UNHEX(SHA2(%d, 256))", j),
				fmt.Sprintf("UPDATE d SET n = n + 1, kind = 'y' WHERE bits = %d", j),
				fmt.Sprintf("DELETE FROM d WHERE bits BETWEEN %d AND %d", j, j+1),
				fmt.Sprintf("UPDATE e SET n = n + 1 WHERE u > 18446744073709551615 - %d", j),
			}[rnd.IntN(10)]
			if _, err := conn.Execute(sql); err != nil {
				b.t.Errorf("%v in %s", err, sql)
				return
			}
		}
	})
	stop = func() { cancel(); done.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// TestIncrementalUnderChanges reads tables while their rows change, and starts again in its middle, several times, from
// what a hub would have stored. At the end a target has what the tables have, and every row that never changed came.
func TestIncrementalUnderChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		start func(testing.TB) *services.MySQL
		more  map[string]string
	}{
		{"mysql", server(), map[string]string{"incremental.snapshot.chunk.size": "200", "max.batch.size": "20"}}, // several batches to a chunk
		{"mysql without GTIDs", server("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"), map[string]string{"incremental.snapshot.watermarking.strategy": "INSERT_DELETE"}},
		{"mysql without a table", server(), map[string]string{"signal.data.collection": ""}},
		{"mariadb", mariadb(), map[string]string{"incremental.snapshot.chunk.size": "200", "max.batch.size": "20"}},
		{"mariadb without writing", mariadb(), map[string]string{"read.only": "true"}},
	} {
		t.Run(c.name, func(t *testing.T) { incrementalUnderChanges(t, c.start(t), c.more) })
	}
}

func incrementalUnderChanges(t *testing.T, server *services.MySQL, more map[string]string) {
	b := newBench(t, server, "")
	b.script(incrementalTables)
	if strings.HasPrefix(filepath.Base(t.Name()), "mariadb") {
		b.script(incrementalMariaDB)
	}
	config := b.config(map[string]string{"snapshot.mode": "no_data", "signal.data.collection": b.db + ".signals", "table.include.list": b.db + `\.[a-f]`,
		"incremental.snapshot.chunk.size": "23", "max.batch.size": "50", "include.schema.changes": "false"})
	maps.Copy(config, more)
	r := b.start(config, nil)
	b.awaitStream(r)
	stop := b.changing()
	data := fmt.Sprintf(`{"data-collections": ["%s.[b-f]", "%[1]s.a"]}`, b.db)
	if config["signal.data.collection"] != "" {
		b.script(fmt.Sprintf("INSERT INTO signals VALUES ('1', 'execute-snapshot', '%s');", data))
	} else if err := r.task.(connectors.Signaller).Signal(t.Context(), connectors.Signal{ID: "1", Type: "execute-snapshot", Data: data}); err != nil {
		t.Fatal(err)
	}
	r.until("the begin", func() bool { return !r.ended() })
	var records []connectors.Record
	for restarts := 0; ; restarts++ {
		at := r.count()
		r.until("more, or the end", func() bool { return r.ended() || restarts < 8 && r.count() > at+250 })
		if r.ended() {
			break
		}
		r.stop()
		got, offsets := r.taken()
		records = append(records, got...)
		r = b.start(config, offsets)
	}
	stop()
	b.settle(r)
	r.stop()
	got, _ := r.taken()
	target, want := states(t, append(records, got...)), b.truth(config)
	if some, n := target.Lacks(want, 10); n > 0 {
		t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
	}
	unchanged := 0
	for key, row := range want.Rows {
		if strings.Contains(row, `"n":0`) {
			if unchanged++; !target.Read[key] {
				t.Errorf("%s never changed, and was not read", key)
			}
		}
	}
	t.Logf("%d records, %d rows, %d of them never changed", len(records)+len(got), len(want.Rows), unchanged)
}
