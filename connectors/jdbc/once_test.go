package jdbc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// A second task that opens the partition fences the first: what that one has not committed is never written by it.
func TestFencing(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		config := []string{"auto.create", "true"}
		first := s.start(t, config...)
		first.put(flat(1, "first", 1))
		first.flush()
		second := s.start(t, config...)
		if second.next != 1 {
			t.Fatalf("the second one is to begin at %d", second.next)
		}
		first.put(flat(2, "zombie", 2))
		if err := first.tryFlush(); connectors.ClassOf(err) != connectors.ClassEnvironment {
			t.Errorf("the first one's flush: %v", err)
		}
		second.put(flat(2, "second", 2))
		second.flush()
		s.want(t, "SELECT id, name FROM orders ORDER BY id", "1|first", "2|second")
	})
}

// After a crash in the middle of a batch some lanes have committed and others have not. The next task writes exactly what
// is missing, whatever its lanes.
func TestUnevenLanes(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		const rows = 4000
		config := []string{"auto.create", "true", "pk.mode", "record_key", "insert.mode", "insert"}
		r := s.start(t, config...)
		var records []connectors.Record
		for i := range rows {
			records = append(records, flat(i, "a", i))
		}
		r.put(records...)
		r.flush()
		stop(r)
		// As if the lanes of half of the slots had not committed the second half.
		half := func(slot uint8) bool { return slot%2 == 1 }
		var lost []string
		for i := rows / 2; i < rows; i++ {
			if half(slotOfKey(t, s, i)) {
				lost = append(lost, fmt.Sprint(i))
			}
		}
		s.exec(t, "DELETE FROM orders WHERE id IN ("+strings.Join(lost, ", ")+")")
		s.exec(t, fmt.Sprintf("UPDATE %s SET next_offset = %d WHERE slot %% 2 = 1", offsetsTable, rows/2))
		r = s.start(t, append(config, "connection.lanes", "3")...)
		if r.next != rows/2 {
			t.Fatalf("it is to go on at %d", r.next)
		}
		records = records[:0]
		for i := rows / 2; i < rows+10; i++ {
			records = append(records, flat(i, "a", i))
		}
		r.put(records...)
		r.flush()
		if got := r.refused(); len(got) > 0 {
			t.Errorf("%d rows were written twice", len(got))
		}
		s.want(t, "SELECT count(*) FROM orders", fmt.Sprint(rows+10))
	})
}

// slotOfKey is the slot of the key of flat.
func slotOfKey(t *testing.T, s *server, id int) uint8 {
	t.Helper()
	of, err := compileType(connectors.Int64Schema, "")
	if err != nil {
		t.Fatal(err)
	}
	c := cells{dialect: s.d}
	cell, _, err := c.value(nil, of, connectors.AppendInt(nil, int64(id)))
	if err != nil {
		t.Fatal(err)
	}
	return slotOf(cell, 0)
}

// A commit whose answer was lost was made or was not: the next attempt finds out.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		task := &task{}
		r := &run{t: t, task: task, tolerate: true}
		start := connectors.SinkStart{Connector: "test", Config: s.with("auto.create", "true", "retry.backoff.ms", "1"), Log: plugintest.Log(t),
			Report: func(context.Context, connectors.RecordRef, error) error { return nil }}
		must(t, task.Start(r.deadline(), start))
		t.Cleanup(func() { _ = task.Stop(context.Background()) })
		_, err := task.Open(r.deadline(), []connectors.TopicPartition{at0})
		must(t, err)
		var commits atomic.Int32
		// Every second commit breaks its connection: before or after it was made, in turns.
		breakWith(r, func(c conn, ctx context.Context, statement string) (int64, error) {
			if statement != "COMMIT" {
				return c.exec(ctx, statement)
			}
			turn := commits.Add(1) % 4
			if turn == 1 {
				c.close()
				return 0, errLost
			}
			n, err := c.exec(ctx, statement)
			if turn == 3 && err == nil {
				c.close()
				return 0, errLost
			}
			return n, err
		})
		for i := range 6 {
			r.put(flat(i, "a", 1))
			r.flush()
		}
		s.want(t, "SELECT count(*) FROM orders", "6")
		if n := commits.Load(); n < 6 {
			t.Errorf("only %d commits", n)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Where the lanes came to different offsets, a key that is made otherwise since may be in another slot than before. Then
// what a slot has says nothing about it, and everything from the least position on is written again.
func TestKeysMadeOtherwise(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		const rows = 64
		s.exec(t, "CREATE TABLE orders (id bigint, name varchar(20), n int)")
		var records []connectors.Record
		for i := range rows {
			records = append(records, flat(i, fmt.Sprint("name", i), i))
		}
		for _, c := range []struct {
			change []string
			twice  bool
		}{{[]string{"pk.mode", "record_key", "connection.lanes", "2"}, false}, {[]string{"pk.mode", "record_value", "pk.fields", "name"}, true},
			{[]string{"pk.mode", "record_key", "transforms", "x", "transforms.x.type", "y"}, true}} {
			s.exec(t, "DELETE FROM orders")
			alter(t, s)
			r := s.start(t, "pk.mode", "record_key")
			r.put(slices.Clone(records)...)
			r.flush()
			stop(r)
			// As if the lanes of half of the slots had not committed the second half.
			lost := []string{"-1"}
			for i := rows / 2; i < rows; i++ {
				if slotOfKey(t, s, i)%2 == 1 {
					lost = append(lost, fmt.Sprint(i))
				}
			}
			s.exec(t, "DELETE FROM orders WHERE id IN ("+strings.Join(lost, ", ")+")", fmt.Sprintf("UPDATE %s SET next_offset = %d WHERE slot %% 2 = 1", offsetsTable, rows/2))
			r = s.start(t, c.change...)
			if r.next != rows/2 {
				t.Fatalf("%v: it is to go on at %d", c.change, r.next)
			}
			r.put(slices.Clone(records[rows/2:])...)
			r.flush()
			stop(r)
			s.want(t, "SELECT count(DISTINCT id) FROM orders", fmt.Sprint(rows))
			if got := s.rows(t, "SELECT count(*) FROM orders")[0]; (got != fmt.Sprint(rows)) != c.twice {
				t.Errorf("%v: %s rows", c.change, got)
			}
		}
	})
}

// A table of positions that an earlier version made is brought up to date, and its positions count. Another task may have
// done so a moment before.
func TestEarlierOffsets(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		stop(inserts(t, s, "auto.create", "true"))
		earlier := func() { s.exec(t, "ALTER TABLE "+offsetsTable+" DROP COLUMN keyed") }
		earlier()
		r := s.start(t, "delivery.guarantee", "exactly_once")
		if r.next != 2 {
			t.Errorf("it is to go on at %d", r.next)
		}
		r.put(flat(3, "c", 3))
		r.flush()
		stop(r)
		earlier()
		alter(t, s, 1) // by a person, before any task was there
		if r = s.start(t); r.next != 1 {
			t.Errorf("altered to 1, it is to go on at %d", r.next)
		}
		stop(r)
		earlier()
		c, err := s.d.connect(t.Context())
		must(t, err)
		defer c.close()
		must(t, (&task{dialect: s.d}).made(t.Context(), beaten{c}, anyKeyed, addKeyed))
	})
}

// beaten is a connection whose statements another one has run a moment before.
type beaten struct{ conn }

func (b beaten) exec(ctx context.Context, statements ...string) (int64, error) {
	if n, err := b.conn.exec(ctx, statements...); err != nil {
		return n, err
	}
	return b.conn.exec(ctx, statements...)
}

// A user who may not bring the table up to date is told what to do, also where rows might be written at least once: the
// positions that it has must count.
func TestEarlierOffsetsOfOthers(t *testing.T) {
	t.Parallel()
	s := onPostgres(t)
	stop(inserts(t, s, "auto.create", "true"))
	s.exec(t, "ALTER TABLE "+offsetsTable+" DROP COLUMN keyed")
	role := "r" + s.rows(t, "SELECT current_database()")[0]
	s.exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'x'", "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+role)
	t.Cleanup(func() { s.exec(t, "DROP OWNED BY "+role, "DROP ROLE "+role) })
	task := New().NewSinkTask()
	err := task.Start(t.Context(), connectors.SinkStart{Connector: "test", Config: s.with("connection.user", role, "connection.password", "x"), Log: plugintest.Log(t)})
	if connectors.ClassOf(err) != connectors.ClassConfig || !strings.Contains(err.Error(), addKeyed) {
		t.Errorf("%v", err)
	}
	must(t, task.Stop(context.Background()))
}
