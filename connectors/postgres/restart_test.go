package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
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
				if f.Name == "before" || f.Name == "after" || f.Name == "op" || f.Name == "message" {
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
			t.Fatalf("%s: record %d is\n%.300s\nwant\n%.300s", what, i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// TestRestartFromAnyOffset stores each offset that a run gave, also those in the middle of transactions, and starts
// again from it: what follows must be exactly the rest.
func TestRestartFromAnyOffset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE a (id int PRIMARY KEY, pad text); CREATE TABLE b (id int, pad text); CREATE TABLE other (id int, pad text)`)
	config := b.config(map[string]string{"snapshot.mode": "no_data", "table.include.list": "public.[ab]", "provide.transaction.metadata": "true"})
	r := b.start(config, nil)
	r.mu.Lock()
	r.lazy = true // the slot stays at its beginning
	r.mu.Unlock()
	b.awaitStream(r, b.db)

	pad := "repeat('x', 1500)"
	b.exec("INSERT INTO a SELECT i, " + pad + " FROM generate_series(1, 10) i")
	b.exec("SELECT pg_logical_emit_message(false, 'free', 'one')")
	b.exec("BEGIN; INSERT INTO a SELECT i, " + pad + " FROM generate_series(11, 2500) i; SELECT pg_logical_emit_message(true, 'bound', 'two'); INSERT INTO other SELECT i, " + pad + " FROM generate_series(1, 500) i; COMMIT")
	b.copyRows("b", 3000, strings.Repeat("y", 700)) // COPY writes many rows under one LSN
	b.exec("BEGIN; UPDATE a SET id = id + 100000 WHERE id <= 1200; DELETE FROM a WHERE id < 1300; COMMIT")
	b.exec("INSERT INTO b VALUES (-1, 'end')")
	last := func(r *run) bool {
		records, _ := r.taken()
		if len(records) < 2 {
			return false
		}
		n := len(records) - 2 // the END of the last transaction follows its change
		return records[n+1].Topic == "p.transaction" && records[n].Topic == "p.public.b" && strings.HasSuffix(lines(t, records[n:n+1])[0], `{"id":-1,"pad":"end"} "c"`)
	}
	r.until("the last change", func() bool { return last(r) })
	r.stop()
	records, _ := r.taken()
	all := lines(t, records)
	inside, step := 0, max(len(r.all)/25, 1)
	for i, offset := range r.all {
		if i%step != 0 {
			continue
		}
		if strings.Contains(string(offset), "lsn_events_processed") {
			inside++
		}
		again := b.start(config, []connectors.SourceOffset{{Partition: json.RawMessage(`{"server":"p"}`), Offset: offset}})
		again.mu.Lock()
		again.lazy = true
		again.mu.Unlock()
		if r.counts[i] < len(all)-1 {
			again.until("the rest", func() bool { return last(again) })
		}
		again.stop()
		got, _ := again.taken()
		sameLines(t, fmt.Sprintf("from offset %d %s", i, offset), all[r.counts[i]:], lines(t, got))
		again.records = nil
	}
	if inside < 5 {
		t.Fatalf("only %d of %d offsets were inside of a transaction: the test shows nothing", inside, len(r.all))
	}
	t.Logf("%d offsets, %d inside of transactions, %d records", len(r.all), inside, len(all))
}

// copyRows fills a table with COPY.
func (b *bench) copyRows(table string, n int, pad string) {
	b.t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%d\t%s\n", i+1, pad)
	}
	if _, err := b.conn.PgConn().CopyFrom(context.Background(), strings.NewReader(text.String()), "COPY "+table+" FROM STDIN"); err != nil {
		b.t.Fatal(err)
	}
}

// TestSnapshotMeetsStream writes all the time while the snapshot is taken, interrupted and goes on: each row must be
// there, and what was not read before exactly once.
func TestSnapshotMeetsStream(t *testing.T) {
	t.Parallel()
	for _, threads := range []string{"1", "3"} {
		t.Run("threads "+threads, func(t *testing.T) {
			b := newBench(t)
			b.exec("CREATE TABLE a (id bigserial PRIMARY KEY, pad text); INSERT INTO a (pad) SELECT repeat('x', 200) FROM generate_series(1, 30000)")
			config := b.config(map[string]string{"snapshot.max.threads": threads, "snapshot.chunk.pages": "50"})
			ctx, cancel := context.WithCancel(context.Background())
			written := make(chan error, 1)
			go func() { written <- b.write(ctx) }()

			first := b.start(b.config(map[string]string{"snapshot.max.threads": threads, "snapshot.chunk.pages": "50", "test.most": "1000"}), nil)
			first.until("a part of the snapshot", func() bool { return first.count() >= 1000 })
			first.stop()
			before, offsets := first.taken()
			if !strings.Contains(string(offsets[0].Offset), `"snapshot_completed":false`) {
				t.Fatalf("the first run has read all: %s", offsets[0].Offset)
			}
			second := b.start(config, offsets)
			b.awaitStream(second, b.db)
			time.AfterFunc(300*time.Millisecond, cancel)
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			cancel()
			b.settle(second, b.db)
			second.stop()
			records, offsets := second.taken()
			seen := map[string]int{}
			ops := map[string]int{}
			for _, l := range lines(t, records) {
				f := strings.Fields(l)
				if len(ops) == 0 && f[len(f)-1] != `"r"` { // caught up with before the rows, which have it too
					records = records[1:]
					continue
				}
				seen[f[1]]++
				ops[f[len(f)-1]]++
			}
			once := len(seen)
			for _, l := range lines(t, before) {
				seen[strings.Fields(l)[1]]++
			}
			total := b.text("SELECT count(*) FROM a")
			if fmt.Sprint(len(seen)) != total || len(records) != once {
				t.Fatalf("%d records of %d keys, with those of before of %d, the table has %s rows", len(records), once, len(seen), total)
			}
			if ops[`"c"`] == 0 || ops[`"r"`]+len(before) < 30000 {
				t.Fatalf("no overlap was tested: %v", ops)
			}
			// From the offset after all, nothing is left.
			third := b.start(config, offsets)
			b.awaitStream(third, b.db)
			b.settle(third, b.db)
			if n := third.count(); n != 0 {
				t.Fatalf("%d records after a restart, want none", n)
			}
		})
	}
}

// write inserts rows one by one from a session of its own until ctx ends.
func (b *bench) write(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.server.DSN(b.db))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for ctx.Err() == nil {
		if _, err := conn.Exec(context.Background(), "INSERT INTO a (pad) VALUES ('w')"); err != nil {
			return err
		}
	}
	return nil
}

// TestParallelSnapshotKeepsTheOrder reads a table in many chunks with several sessions and with one.
func TestParallelSnapshotKeepsTheOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(`CREATE TABLE a (id int PRIMARY KEY, pad text); INSERT INTO a SELECT i, repeat('x', 300) FROM generate_series(1, 20000) i;
DELETE FROM a WHERE id % 7 = 0`)
	b.exec("VACUUM a")
	b.exec(`INSERT INTO a SELECT -i, E'tab\tline\nback\\' FROM generate_series(1, 500) i; CREATE TABLE b (id int); CREATE TABLE c (id int); INSERT INTO c VALUES (1)`)
	var all [][]string
	for _, threads := range []string{"1", "4"} {
		config := b.config(map[string]string{"snapshot.max.threads": threads, "snapshot.chunk.pages": "16", "snapshot.mode": "initial_only"})
		r := b.start(config, nil)
		<-r.done
		records, offsets := r.taken()
		if !strings.Contains(string(offsets[0].Offset), `"snapshot_completed":true`) {
			t.Fatalf("offset %s", offsets[0].Offset)
		}
		all = append(all, lines(t, records))
		var markers []string
		for _, rec := range records {
			v, _, _ := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes)
			if m := v.List()[2].List()[4].Text(); m != "true" {
				markers = append(markers, m)
			}
		}
		if got := strings.Join(markers, " "); got != "first last_in_data_collection last" {
			t.Errorf("markers: %s", got)
		}
	}
	if len(all[0]) != 17644 {
		t.Errorf("%d rows", len(all[0]))
	}
	sameLines(t, "four threads", all[0], all[1])
}

// TestIdleSlotMoves shows that the slot moves although nothing that is captured happens, and that the stored offset
// is never behind it.
func TestIdleSlotMoves(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int); CREATE TABLE other (id int)")
	r := b.start(b.config(map[string]string{"table.include.list": "public.a"}), nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO other SELECT generate_series(1, 1000)")
	b.settle(r, b.db)
	if n := r.count(); n != 0 {
		t.Errorf("%d records", n)
	}
	r.stop()
	_, offsets := r.taken()
	again := b.start(b.config(map[string]string{"table.include.list": "public.a"}), offsets)
	b.exec("INSERT INTO a VALUES (1)")
	again.until("the change", func() bool { return again.count() == 1 })
}

// TestSlotThatComesToNothing starts a task while a session that another one has left still makes the slot, as it does for as
// long as old transactions run. It ends without a slot, and the task must not have counted on it.
func TestSlotThatComesToNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); BEGIN; INSERT INTO a VALUES (2)")
	c, err := pgconn.ParseConfig(b.server.DSN(b.db))
	if err != nil {
		t.Fatal(err)
	}
	c.RuntimeParams["replication"] = "database"
	left, err := pgconn.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer left.Close(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := left.Exec(context.Background(), "CREATE_REPLICATION_SLOT "+b.db+" LOGICAL pgoutput").ReadAll()
		ended <- err
	}()
	other := &bench{t: t, server: b.server, db: b.db}
	other.connect()
	other.await("SELECT count(*) = 1 FROM pg_replication_slots WHERE slot_name = '" + b.db + "' AND active")
	started := make(chan *run, 1)
	go func() {
		r, err := b.tryStart(b.config(nil), nil)
		if err != nil {
			t.Error(err)
		}
		started <- r
	}()
	// The task has looked, and its monitor.
	other.await("SELECT count(*) = 2 FROM pg_stat_activity WHERE datname = '" + b.db + "' AND application_name = 'sluice' AND query LIKE '%pg_replication_slots s WHERE%'")
	other.exec("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '" + b.db + "'")
	if err := <-ended; err == nil {
		t.Error("the slot was made: the test shows nothing")
	}
	b.exec("COMMIT")
	r := <-started
	if r == nil {
		return
	}
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO a VALUES (3)")
	r.until("the rows", func() bool { return r.count() == 3 })
}

// await waits until a query says true.
func (b *bench) await(sql string) {
	b.t.Helper()
	for end := time.Now().Add(patience); b.text(sql) != "true"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("gave up waiting for %s", sql)
		}
	}
}

// TestServerIsAnsweredWhileNobodyReads stops reading for longer than the server waits for a sign of life.
func TestServerIsAnsweredWhileNobodyReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY, pad text); ALTER DATABASE " + b.db + " SET wal_sender_timeout = '1500ms'")
	config := b.config(map[string]string{"status.update.interval.ms": "60000"})
	task, read := b.manual(config)
	_ = task
	pid := b.text("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '" + b.db + "'")
	// More than fits into all buffers, so that the server is stuck in sending.
	b.exec("INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i")
	since := b.text("clock_timestamp()")
	for end := time.Now().Add(patience); b.text("SELECT reply_time > '"+since+"'::timestamptz + interval '3 seconds' FROM pg_stat_replication WHERE pid = "+pid) != "true"; {
		if time.Now().After(end) {
			t.Fatal("the server got no report for longer than it waits")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if now := b.text("SELECT active_pid FROM pg_replication_slots WHERE slot_name = '" + b.db + "'"); now != pid {
		t.Fatalf("the session was %s and is %s", pid, now)
	}
	if at := b.text("SELECT confirmed_flush_lsn < pg_current_wal_lsn() - 20000000 FROM pg_replication_slots WHERE slot_name = '" + b.db + "'"); at != "true" {
		t.Error("the slot moved although nothing was committed")
	}
	n := 0
	for n < 30000 {
		batch := read()
		n += len(batch.Records)
	}
}

// manual starts a task, reads until it streams, and returns it with its Read.
func (b *bench) manual(config map[string]string) (connectors.SourceTask, func() connectors.Batch) {
	b.t.Helper()
	task := newTask()
	b.t.Cleanup(func() { task.Stop(context.Background()) })
	if err := task.Start(context.Background(), connectors.SourceStart{Connector: "pg", Config: config, Log: logger(b.t)}); err != nil {
		b.t.Fatal(err)
	}
	read := func() connectors.Batch {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var batch connectors.Batch
		if err := task.Read(ctx, &batch); err != nil {
			b.t.Fatal(err)
		}
		return batch
	}
	batch := read() // the offset of the snapshot alone
	if len(batch.Records) != 0 || !strings.Contains(string(batch.Offsets[0].Offset), `"snapshot_completed":false`) {
		b.t.Fatalf("%d records, offset %s", len(batch.Records), batch.Offsets[0].Offset)
	}
	if err := task.Commit(context.Background(), batch.Offsets); err != nil {
		b.t.Fatal(err)
	}
	batch = read() // the end of the snapshot
	if !strings.Contains(string(batch.Offsets[0].Offset), `"snapshot_completed":true`) {
		b.t.Fatalf("offset %s", batch.Offsets[0].Offset)
	}
	b.exec("SELECT pg_logical_emit_message(false, 'start', 'x')")
	if batch = read(); len(batch.Records) != 1 {
		b.t.Fatalf("%d records", len(batch.Records))
	}
	return task, read
}
