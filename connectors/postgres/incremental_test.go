package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
)

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
	delete(c, "signal.data.collection")
	r := b.start(c, nil)
	<-r.done
	r.stop()
	records, _ := r.taken()
	return states(b.t, records)
}

const incrementalTables = `CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
CREATE TABLE a (id int PRIMARY KEY, n int, pad text);
CREATE TABLE "B b" (region text, number int, n int, unneeded text, PRIMARY KEY (region, number));
CREATE TABLE c (code varchar(20) NOT NULL UNIQUE, n int);
CREATE TABLE d (id bigint PRIMARY KEY, n int);
ALTER TABLE c REPLICA IDENTITY FULL;
INSERT INTO a SELECT i, 0, repeat(md5(i::text), 200) FROM generate_series(1, 500) i;
INSERT INTO "B b" SELECT chr(65 + i % 26) || CASE WHEN i % 3 = 0 THEN 'ä' ELSE 'a''\' END, i, 0 FROM generate_series(1, 500) i;
INSERT INTO c SELECT 'code-' || i, 0 FROM generate_series(1, 200) i;
INSERT INTO d SELECT i * 1000, 0 FROM generate_series(1, 100) i`

// changing changes rows of the tables at random until it is stopped.
func (b *bench) changing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := pgx.Connect(ctx, b.server.DSN(b.db))
	if err != nil {
		b.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer conn.Close(context.Background())
		rnd := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			i, j := 1+rnd.IntN(500), 1+rnd.IntN(200)
			sql := []string{
				fmt.Sprintf(`UPDATE a SET n = n + 1 WHERE id BETWEEN %d AND %d`, i, i+3),
				fmt.Sprintf(`DELETE FROM a WHERE id = %d`, i),
				fmt.Sprintf(`INSERT INTO a VALUES (%d, 1, 'again') ON CONFLICT DO NOTHING`, i),
				fmt.Sprintf(`UPDATE "B b" SET number = number + 10000, n = n + 1 WHERE number = %d`, i),
				fmt.Sprintf(`UPDATE "B b" SET n = n + 1 WHERE number BETWEEN %d AND %d`, i, i+5),
				fmt.Sprintf(`UPDATE c SET code = code || 'x' WHERE code = 'code-%d'`, j),
				fmt.Sprintf(`DELETE FROM c WHERE code LIKE 'code-%d%%'`, j),
				fmt.Sprintf(`BEGIN; UPDATE d SET n = n + 1 WHERE id > %d AND id < %[1]d + 9000; DELETE FROM d WHERE id = %[1]d * 1000; COMMIT`, j),
				fmt.Sprintf(`BEGIN; DELETE FROM a WHERE id > %d; ROLLBACK`, i),
			}[rnd.IntN(9)]
			if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
				b.t.Errorf("%v in %s", err, sql)
				return
			}
		}
	})
	stop = func() { cancel(); done.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// ended reports whether no incremental snapshot is going on behind the newest offset.
func (r *run) ended() bool {
	_, offsets := r.taken()
	return len(offsets) > 0 && !strings.Contains(string(offsets[0].Offset), "incremental_snapshot_collections")
}

// TestIncrementalUnderChanges reads four tables while their rows change, and starts again in its middle, several times,
// from what a hub would have stored. At the end a target has what the tables have, and every row that never changed
// came.
func TestIncrementalUnderChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(incrementalTables)
	config := b.config(map[string]string{"snapshot.mode": "no_data", "signal.data.collection": "public.signals", "table.include.list": `public\.(a|B b|c|d)`,
		"incremental.snapshot.chunk.size": "37", "incremental.snapshot.watermarking.strategy": "INSERT_DELETE", "max.batch.size": "50"})
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	stop := b.changing()
	b.exec(`INSERT INTO signals VALUES ('s1', 'execute-snapshot', '{"data-collections": ["public\\.[ad]", "public.B b"]}'),
  ('s2', 'execute-snapshot', '{"data-collections": ["public.c"], "type": "INCREMENTAL"}')`)
	r.until("the begin", func() bool { return !r.ended() })
	var records []connectors.Record
	tables := map[string]bool{}
	for restarts := 0; ; restarts++ {
		at := r.count()
		r.until("more, or the end", func() bool { return r.ended() && r.count() > at || restarts < 8 && r.count() > at+250 })
		if r.ended() {
			break
		}
		r.stop()
		got, offsets := r.taken()
		records = append(records, got...)
		for _, table := range []string{"a", "B b", "c", "d"} {
			if strings.Contains(string(offsets[0].Offset), `[{\"incremental_snapshot_collections_id\":\"public.`+table+`\"`) {
				tables[table] = true
			}
		}
		r = b.start(config, offsets)
	}
	stop()
	b.settle(r, b.db)
	r.stop()
	got, _ := r.taken()
	records = append(records, got...)
	target, want := states(t, records), b.truth(config)
	if some, n := target.Lacks(want, 10); n > 0 {
		t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
	}
	for key, row := range want.Rows {
		if strings.Contains(row, `"n":0`) && !target.Read[key] && !strings.Contains(row, "x") {
			t.Errorf("%s never changed, and was not read", key)
		}
	}
	if n := b.text("SELECT count(*) FROM signals WHERE type = 'snapshot-window-close'"); n != "0" {
		t.Errorf("%s watermarks of the end under INSERT_DELETE", n)
	}
	t.Logf("%d records, %d rows, interrupted in the tables %v", len(records), len(want.Rows), slices.Sorted(maps.Keys(tables)))
}

// TestIncrementalWithoutTable asks for snapshots without a signal table, with logical messages as watermarks and without
// any.
func TestIncrementalWithoutTable(t *testing.T) {
	t.Parallel()
	for _, readOnly := range []string{"false", "true"} {
		t.Run("read.only="+readOnly, func(t *testing.T) {
			b := newBench(t)
			b.exec(incrementalTables)
			config := b.config(map[string]string{"snapshot.mode": "no_data", "read.only": readOnly, "table.include.list": `public\.[acd]`, "incremental.snapshot.chunk.size": "40"})
			r := b.start(config, nil)
			b.awaitStream(r, b.db)
			task := r.task.(connectors.Signaller)
			for _, s := range []connectors.Signal{{Type: "nonsense"}, {Type: "execute-snapshot", Data: "{}"}, {Type: "execute-snapshot", Data: "{"}} {
				if err := task.Signal(t.Context(), s); connectors.ClassOf(err) != connectors.ClassConfig {
					t.Errorf("%v: %v", s, err)
				}
			}
			if err := task.Signal(t.Context(), connectors.Signal{ID: "1", Type: "execute-snapshot", Data: `{"data-collections": ["public.d"]}`}); err != nil {
				t.Fatal(err)
			}
			r.until("rows of an idle server", func() bool { return r.count() == 100 })
			r.until("the end", r.ended)
			stop := b.changing()
			if err := task.Signal(t.Context(), connectors.Signal{ID: "2", Type: "execute-snapshot", Data: `{"data-collections": ["public.*"]}`}); err != nil {
				t.Fatal(err)
			}
			r.until("the begin", func() bool { return !r.ended() })
			r.until("the end", r.ended)
			stop()
			b.settle(r, b.db)
			r.stop()
			target, want := states(t, mustTake(r)), b.truth(config)
			for k := range target.Rows {
				if strings.Contains(k, "p.message") {
					t.Error("a watermark was delivered")
				}
			}
			if some, n := target.Lacks(want, 10); n > 0 {
				t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
			}
		})
	}
}

// TestIncrementalSignals pauses, resumes and stops, asks for what is not there, and alters a table meanwhile.
func TestIncrementalSignals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(incrementalTables)
	b.exec(`CREATE TABLE keyless (v int); INSERT INTO keyless VALUES (1)`)
	config := b.config(map[string]string{"snapshot.mode": "no_data", "signal.data.collection": b.db + ".public.signals", "incremental.snapshot.chunk.size": "10"})
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	n := 0
	signal := func(kind, data string) {
		n++
		b.exec(fmt.Sprintf("INSERT INTO signals VALUES ('%d', '%s', '%s')", n, kind, data))
	}
	offset := func() string {
		if _, offsets := r.taken(); len(offsets) > 0 {
			return string(offsets[0].Offset)
		}
		return ""
	}
	signal("nonsense", "")
	signal("stop-snapshot", "")
	signal("execute-snapshot", `{"data-collections": [}`)
	signal("execute-snapshot", `{"data-collections": ["public.a", "public.d", "public.keyless", "public.none"]}`)
	r.until("rows of a", func() bool { return strings.Contains(offset(), "primary_key") })
	signal("pause-snapshot", `{"type": "incremental"}`)
	r.until("the pause", func() bool { return strings.Contains(offset(), `"incremental_snapshot_paused":true`) })
	r.stop() // a pause is kept
	first, offsets := r.taken()
	if !strings.Contains(string(offsets[0].Offset), `\"public.a\"`) {
		t.Fatalf("nothing is left to be paused: %s", offsets[0].Offset)
	}
	r = b.start(config, offsets)
	b.awaitStream(r, b.db)
	b.exec(`ALTER TABLE a ADD COLUMN more int NOT NULL DEFAULT 7; UPDATE a SET n = 5 WHERE id > 300`)
	b.settle(r, b.db)
	for _, rec := range mustTake(r) {
		if strings.HasSuffix(lines(t, []connectors.Record{rec})[0], `"r"`) {
			t.Fatal("a row was read during the pause")
		}
	}
	signal("stop-snapshot", `{"data-collections": ["public.d"]}`)
	signal("resume-snapshot", "")
	r.until("the end", r.ended)
	b.settle(r, b.db)
	// A condition that is no SQL makes the snapshot wait; the stream goes on.
	signal("execute-snapshot", `{"data-collections": ["public.d"], "additional-conditions": [{"data-collection": "public.d", "filter": "no such thing"}]}`)
	b.settle(r, b.db)
	if r.ended() {
		t.Error("a table that cannot be read was given up")
	}
	signal("stop-snapshot", `{}`)
	r.until("the end", r.ended)
	signal("execute-snapshot", `{"data-collections": ["public.d"], "surrogate-key": "id", "additional-conditions": [{"data-collection": "public.d", "filter": "id <= 50000"}]}`)
	r.until("the condition", func() bool { return !r.ended() })
	r.until("the end", r.ended)
	b.settle(r, b.db)
	r.stop()
	records := append(first, mustTake(r)...)
	target, want := states(t, records), b.truth(config)
	for k, row := range want.Rows {
		switch {
		case strings.Contains(k, "public.a "):
			// Rows that were read before the column was there do not have it; nobody has said that they changed.
			if target.Rows[k] != row && target.Rows[k] != strings.Replace(row, `,"more":7`, "", 1) {
				t.Fatalf("%s is\n%.200s\nwant\n%.200s", k, target.Rows[k], row)
			}
		case strings.Contains(k, "public.d "):
			var id int
			fmt.Sscanf(k, `p.public.d {"id":%d}`, &id)
			if target.Read[k] != (id <= 50000) {
				t.Fatalf("%s read %v", k, target.Read[k])
			}
		}
	}
}

func mustTake(r *run) []connectors.Record {
	records, _ := r.taken()
	return records
}

// TestIncrementalAltered alters a table all the time while it is read.
func TestIncrementalAltered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(incrementalTables)
	config := b.config(map[string]string{"snapshot.mode": "no_data", "signal.data.collection": "public.signals", "table.include.list": "public.[cd]"})
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	stop := b.altering(r)
	b.exec(`INSERT INTO signals VALUES ('1', 'execute-snapshot', '{"data-collections": ["public.d", "public.c"]}')`)
	r.until("the begin", func() bool { return !r.ended() })
	r.until("the end", r.ended)
	stop()
	b.settle(r, b.db)
	r.stop()
	target, want := states(t, mustTake(r)), b.truth(config)
	columns := regexp.MustCompile(`,"x\d+":\w+`) // a row keeps those that it had when it changed last
	for k := range want.Rows {
		if got := columns.ReplaceAllString(target.Rows[k], ""); got != want.Rows[k] {
			t.Errorf("%s is %s, want %s", k, got, want.Rows[k])
		}
		if !target.Read[k] && strings.Contains(k, "public.c ") {
			t.Errorf("%s was not read", k)
		}
	}
}

// altering changes types and columns until it is stopped, as fast as the run takes changes: the server decodes those of its
// catalog more slowly than it makes them, and a snapshot waits for the stream.
func (b *bench) altering(r *run) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := pgx.Connect(ctx, b.server.DSN(b.db))
	if err != nil {
		b.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		defer conn.Close(context.Background())
		changed := r.count()
		for i := 0; ctx.Err() == nil; i++ {
			for r.count() < changed {
				select {
				case <-ctx.Done():
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			kind := []string{"int", "bigint", "smallint"}[i%3]
			sql := fmt.Sprintf("ALTER TABLE d ALTER COLUMN n TYPE %s; UPDATE d SET n = %d WHERE id %% 7000 = 0", kind, i%1000)
			if i < 100 {
				sql += fmt.Sprintf("; ALTER TABLE d ADD COLUMN x%d int DEFAULT %[1]d; UPDATE d SET n = %[1]d WHERE id %% 9000 = 0; ALTER TABLE d DROP COLUMN x%[1]d", i)
			}
			results, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
			if err != nil {
				b.t.Errorf("%v in %s", err, sql)
				return
			}
			for _, result := range results {
				changed += int(result.CommandTag.RowsAffected())
			}
		}
	})
	stop = func() { cancel(); done.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// TestChunksAreReadByTheIndex reads a table that the server has no statistics of: each row is looked up once or so, and not
// all that is left of the table for each chunk.
func TestChunksAreReadByTheIndex(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const rows = 20_000
	b.exec("CREATE TABLE a (id int PRIMARY KEY, pad text) WITH (autovacuum_enabled = off)")
	b.exec(fmt.Sprintf("INSERT INTO a SELECT i, repeat('x', 100) FROM generate_series(1, %d) i", rows))
	r := b.start(b.config(map[string]string{"snapshot.mode": "no_data"}), nil)
	if err := r.task.(connectors.Signaller).Signal(t.Context(), connectors.Signal{ID: "1", Type: "execute-snapshot", Data: `{"data-collections": ["public.a"]}`}); err != nil {
		t.Fatal(err)
	}
	r.until("the rows", func() bool { return r.count() == rows })
	r.stop()
	var read int
	r.until("the source's sessions to end, and to count what they read", func() bool {
		read, _ = strconv.Atoi(b.text("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE relname = 'a'"))
		others := b.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
		return others == "0" && read > 0
	})
	if read > 3*rows {
		t.Errorf("%d entries of the index were read for %d rows", read, rows)
	}
}
