package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
)

// target is a table as a sink makes it of the records: the last state of each row, by key.
type target map[string]string

// take applies records in their order.
func (s target) take(t testing.TB, records []connectors.Record) {
	t.Helper()
	for _, r := range records {
		key, err := goldentest.Document(r.Key, false)
		if err != nil {
			t.Fatal(err)
		}
		if r.Value.IsNull() {
			delete(s, key)
			continue
		}
		v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range r.Value.Schema.Fields {
			if f.Name == "after" {
				s[key] = goldentest.JSON(f.Schema, v.List()[i])
			}
		}
	}
}

// rows are the rows of table a, as a target has them.
func (b *bench) rows() target {
	b.t.Helper()
	out := target{}
	rows, err := b.conn.Query(context.Background(), "SELECT id, pad FROM a")
	if err != nil {
		b.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		var pad string
		if err := rows.Scan(&id, &pad); err != nil {
			b.t.Fatal(err)
		}
		out[fmt.Sprintf(`{"id":%d}`, id)] = fmt.Sprintf(`{"id":%d,"pad":"%s"}`, id, pad)
	}
	return out
}

// sameRows compares a target with the table.
func (b *bench) sameRows(what string, got target) {
	b.t.Helper()
	want := b.rows()
	if len(want) == 0 {
		b.t.Fatal("the table is empty: the test shows nothing")
	}
	if maps.Equal(got, want) {
		return
	}
	wrong := 0
	for key, row := range want {
		if got[key] != row {
			wrong++
			b.t.Logf("%s: %.200s is %.200q in the target, %.200q in the table", what, key, got[key], row)
		}
		delete(got, key)
		if wrong > 3 {
			break
		}
	}
	left := slices.Sorted(maps.Keys(got))
	b.t.Fatalf("%s: the target differs from the table; %d rows that the table does not have: %.200s", what, len(left), left)
}

// giveUp takes the first part of a snapshot of the table a, and gives it up: rows are durable, and the offset.
func (b *bench) giveUp(config map[string]string, s target) []connectors.SourceOffset {
	b.t.Helper()
	config = maps.Clone(config)
	config["test.most"] = "1000"
	r := b.start(config, nil)
	r.until("a part of the snapshot", func() bool { return r.count() >= 1000 })
	r.stop()
	records, offsets := r.taken()
	if !strings.Contains(string(offsets[0].Offset), `"snapshot_completed":false`) {
		b.t.Fatalf("the snapshot was not given up: %s", offsets[0].Offset)
	}
	s.take(b.t, records)
	return offsets
}

const manyRows = "CREATE TABLE a (id int PRIMARY KEY, pad text); INSERT INTO a SELECT i, repeat('x', 300) FROM generate_series(1, 10000) i;"

// meanwhile changes rows that a snapshot that was given up has delivered, and others.
const meanwhile = `DELETE FROM a WHERE id = 1; UPDATE a SET pad = 'new' WHERE id = 2; INSERT INTO a VALUES (-1, 'born'); UPDATE a SET id = -3 WHERE id = 3;
INSERT INTO a VALUES (-2, 'born to die'); DELETE FROM a WHERE id = -2; DELETE FROM a WHERE id = 9999`

// TestCatchUp changes rows between a snapshot that was given up and the next one: whatever happened to a row must reach
// the target. The offset may be one that Debezium wrote.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	number := func(o json.RawMessage, name string) (n int64) {
		var m map[string]json.RawMessage
		if json.Unmarshal(o, &m) != nil || json.Unmarshal(m[name], &n) != nil {
			t.Fatalf("no %s in %s", name, o)
		}
		return n
	}
	for name, rewrite := range map[string]func(json.RawMessage) string{
		"own": func(o json.RawMessage) string { return string(o) },
		"Debezium 2": func(o json.RawMessage) string {
			return fmt.Sprintf(`{"last_snapshot_record":false,"lsn":%d,"txId":%d,"ts_usec":%d,"snapshot":true}`, number(o, "lsn"), number(o, "txId"), number(o, "ts_usec"))
		},
		"Debezium 3 under always": func(o json.RawMessage) string {
			return fmt.Sprintf(`{"snapshot":"INITIAL","snapshot_completed":false,"lsn_proc":%d,"lsn_commit":%[1]d,"lsn":%[1]d,"txId":%d,"ts_usec":%d}`, number(o, "lsn"), number(o, "txId"), number(o, "ts_usec"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.exec(manyRows)
			s := target{}
			offsets := b.giveUp(b.config(nil), s)
			b.exec(meanwhile)
			r := b.start(b.config(nil), offset(rewrite(offsets[0].Offset)))
			b.awaitStream(r, b.db)
			b.exec("DELETE FROM a WHERE id = 4")
			b.settle(r, b.db)
			r.stop()
			records, last := r.taken()
			s.take(t, records)
			b.sameRows("after the next snapshot", s)
			ops := ""
			for _, l := range lines(t, records) {
				if f := strings.Fields(l); len(f) == 2 {
					ops += "-"
				} else {
					ops += strings.Trim(f[len(f)-1], `"`)
				}
			}
			if ops = strings.Replace(ops, strings.Repeat("r", 9999), "…", 1); ops != "d-ucd-ccd-d-…d-" {
				t.Errorf("operations %.300s", ops)
			}
			if strings.Contains(string(last[0].Offset), "snapshot") {
				t.Errorf("offset after all %s", last[0].Offset)
			}
		})
	}
}

// TestCatchUpInterrupted stops a catch-up after each of its batches and starts again from there.
func TestCatchUpInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(manyRows)
	before := target{}
	config := b.config(map[string]string{"provide.transaction.metadata": "true"})
	offsets := b.giveUp(config, before)
	b.exec(meanwhile)
	b.exec("UPDATE a SET pad = repeat('y', 1000) WHERE id < 4000") // of several batches
	b.exec("SELECT pg_logical_emit_message(false, 'free', 'one')")
	b.exec("DELETE FROM a WHERE id < 3000")
	b.exec("INSERT INTO a SELECT i, repeat('z', 2000) FROM generate_series(20001, 21000) i")
	config["lsn.flush.mode"] = "manual" // else the slot is past the offsets that are tried
	r := b.start(config, offsets)
	b.awaitStream(r, b.db)
	r.stop()
	records, _ := r.taken()
	keyed := func(records []connectors.Record) []connectors.Record {
		return slices.DeleteFunc(slices.Clone(records), func(r connectors.Record) bool { return r.Topic != "p.public.a" })
	}
	all := maps.Clone(before)
	all.take(t, keyed(records))
	b.sameRows("without a further interruption", all)

	points := map[int64]bool{}
	for i, o := range r.all {
		var m struct {
			Completed *bool `json:"snapshot_completed"`
			LSN       int64 `json:"lsn"`
		}
		if err := json.Unmarshal(o, &m); err != nil {
			t.Fatal(err)
		}
		if m.Completed == nil || *m.Completed {
			break
		}
		if points[m.LSN] {
			continue // of the same transaction, or of the snapshot
		}
		points[m.LSN] = true
		s := maps.Clone(before)
		s.take(t, keyed(records[:r.counts[i]]))
		again := b.start(config, offset(string(o)))
		b.awaitStream(again, b.db)
		again.stop()
		more, _ := again.taken()
		s.take(t, keyed(more))
		b.sameRows(fmt.Sprintf("started again from %s", o), s)
	}
	if len(points) < 4 {
		t.Fatalf("the catch-up had the offsets %v only: the test shows nothing", points)
	}
}

// TestFirstOffsetPrecedesRows dies before any offset is durable: then no row may be.
func TestFirstOffsetPrecedesRows(t *testing.T) {
	b := newBench(t)
	b.exec(manyRows)
	task := newTask()
	t.Cleanup(func() { task.Stop(context.Background()) })
	if err := task.Start(context.Background(), connectors.SourceStart{Connector: "pg", Config: b.config(nil), Log: logger(t)}); err != nil {
		t.Fatal(err)
	}
	var batch connectors.Batch
	if err := task.Read(context.Background(), &batch); err != nil || len(batch.Records) != 0 || len(batch.Offsets) == 0 {
		t.Fatalf("the first batch has %d records and %d offsets: %v", len(batch.Records), len(batch.Offsets), err)
	}
	var next connectors.Batch
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := task.Read(ctx, &next); !errors.Is(err, context.DeadlineExceeded) || len(next.Records) != 0 {
		t.Fatalf("%d rows were read before their offset was durable: %v", len(next.Records), err)
	}
	if err := task.Commit(context.Background(), batch.Offsets); err != nil {
		t.Fatal(err)
	}
	if err := task.Read(context.Background(), &next); err != nil || len(next.Records) == 0 {
		t.Fatalf("%d rows: %v", len(next.Records), err)
	}
	task.Stop(context.Background())

	// As if the hub had died before it stored anything: the slot is there, and no offset.
	b.exec(meanwhile)
	r := b.start(b.config(nil), nil)
	b.awaitStream(r, b.db)
	b.settle(r, b.db)
	records, _ := r.taken()
	s := target{}
	s.take(t, records)
	b.sameRows("after a start without an offset", s)
}

// TestCatchUpOnIdleServer shows that a catch-up ends although nothing is written any more.
func TestCatchUpOnIdleServer(t *testing.T) {
	server := ownServer(t, services.PostgresOptions{Settings: map[string]string{"autovacuum": "off", "checkpoint_timeout": "1h", "wal_sender_timeout": "1h"}})
	t.Setenv(services.EnvPostgres, server.DSN("postgres"))
	b := newBench(t)
	b.exec(manyRows)
	s := target{}
	config := b.config(map[string]string{"status.update.interval.ms": "1800000"})
	offsets := b.giveUp(config, s)
	r := b.start(config, offsets)
	r.until("the rows", func() bool { return r.count() == 10000 }) // both sides say something unasked after half an hour only
}

// TestAlwaysCatchesUp changes rows while the connector is down and the tables are to be read at every start.
func TestAlwaysCatchesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(manyRows)
	s := target{}
	config := b.config(map[string]string{"snapshot.mode": "always"})
	var offsets []connectors.SourceOffset
	for range 2 {
		r := b.start(config, offsets)
		b.awaitStream(r, b.db)
		b.exec("UPDATE a SET pad = pad || '+' WHERE id = 5")
		b.settle(r, b.db)
		r.stop()
		var records []connectors.Record
		records, offsets = r.taken()
		s.take(t, records)
		b.sameRows("while it runs", s)
		b.exec("DELETE FROM a WHERE id = 1; INSERT INTO a VALUES (1, 'again'); DELETE FROM a WHERE id = 1 OR id = 7; INSERT INTO a VALUES (1, 'and again')")
	}
	r := b.start(config, offsets)
	b.awaitStream(r, b.db)
	b.settle(r, b.db)
	r.stop()
	records, offsets := r.taken()
	s.take(t, records)
	b.sameRows("in the end", s)
	if len(records) < 9999 {
		t.Errorf("%d records: the tables were not read anew", len(records))
	}

	// Where the slot is gone, what happened since then is not to be had.
	b.dropSlot()
	b.exec("DELETE FROM a WHERE id = 8")
	r = b.start(config, offsets)
	b.awaitStream(r, b.db)
	if n := r.count(); n != 9998 {
		t.Errorf("%d records without a slot", n)
	}
}

// dropSlot drops the slot of a task that was stopped: its session ends a moment later.
func (b *bench) dropSlot() {
	b.t.Helper()
	for end := time.Now().Add(patience); b.text("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '"+b.db+"'") != "0"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatal("gave up waiting for the end of the slot's session")
		}
	}
	b.exec("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" + b.db + "'")
}

// TestCatchUpNeedsTheSlot takes the slot away from a snapshot that was given up.
func TestCatchUpNeedsTheSlot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.exec(manyRows)
	s := target{}
	offsets := b.giveUp(b.config(nil), s)
	b.exec("DELETE FROM a WHERE id = 1; INSERT INTO a VALUES (1, '')")
	b.exec("SELECT pg_replication_slot_advance('" + b.db + "', pg_current_wal_lsn())")
	b.refused(b.config(nil), offsets, connectors.ClassGone, "changes between are gone", "PUT /connectors/pg/stop")
	b.dropSlot()
	b.refused(b.config(nil), offsets, connectors.ClassGone, "does not exist any more", "PUT /connectors/pg/stop")
	b.refused(b.config(map[string]string{"snapshot.mode": "no_data"}), offsets, connectors.ClassGone, "does not exist any more")

	// when_needed reads all anew, and under an offset of its own before there are rows.
	task := newTask()
	t.Cleanup(func() { task.Stop(context.Background()) })
	err := task.Start(context.Background(), connectors.SourceStart{Connector: "pg", Config: b.config(map[string]string{"snapshot.mode": "when_needed"}), Offsets: offsets, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	var batch connectors.Batch
	if err := task.Read(context.Background(), &batch); err != nil || len(batch.Records) != 0 || string(batch.Offsets[0].Offset) == string(offsets[0].Offset) {
		t.Fatalf("the first batch has %d records: %v", len(batch.Records), err)
	}
	task.Stop(context.Background())
	r := b.start(b.config(map[string]string{"snapshot.mode": "when_needed"}), batch.Offsets)
	r.until("the rows", func() bool { return r.count() == 10000 })
}

// TestNoDataGoesOnFromAGivenUpSnapshot changes the mode: the rows are not read again, the changes are all there.
func TestNoDataGoesOnFromAGivenUpSnapshot(t *testing.T) {
	b := newBench(t)
	b.exec(manyRows)
	offsets := b.giveUp(b.config(nil), target{})
	b.exec("DELETE FROM a WHERE id = 1")
	r := b.start(b.config(map[string]string{"snapshot.mode": "no_data"}), offsets)
	b.awaitStream(r, b.db)
	b.settle(r, b.db)
	if n := r.count(); n != 2 {
		t.Errorf("%d records, want a delete and its tombstone", n)
	}
}
