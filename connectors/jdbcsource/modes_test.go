package jdbcsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// stampType is the type of timestamps with microseconds, without a zone.
func (s *server) stampType() string {
	return map[sqldb.Kind]string{sqldb.PostgreSQL: "timestamp(6)", sqldb.MySQL: "datetime(6)", sqldb.MariaDB: "datetime(6)", sqldb.SQLite: "datetime"}[s.kind]
}

// orders makes a table with rows: values of n, name and at.
func (s *server) orders(t testing.TB, rows ...string) {
	t.Helper()
	s.exec(t, "CREATE TABLE orders (n integer NOT NULL PRIMARY KEY, name varchar(20), at "+s.stampType()+" NOT NULL)")
	s.insert(t, rows...)
}

func (s *server) insert(t testing.TB, rows ...string) {
	t.Helper()
	s.exec(t, "INSERT INTO orders VALUES ("+strings.Join(rows, "), (")+")")
}

func TestBulkReadsEverythingAtEachPoll(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00'", "2, NULL, '2024-01-01 00:00:00.5'")
		r := s.start(t, nil, "mode", "bulk", "topic.prefix", "shop-", "table.whitelist", "orders")
		all := []string{"shop-orders 1|a|1704067200000", "shop-orders 2|null|1704067200500"}
		want(t, r.next(2), all...)
		want(t, r.next(2), all...)
		if string(r.offsets[0].Partition) != s.partition("orders") || r.offset() != "{}" {
			t.Errorf("offset %s of %s", r.offset(), r.offsets[0].Partition)
		}
	})
}

func TestIncrementingFindsNewRows(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00'", "2, 'b', '2024-01-01 00:00:00'")
		keys := []string{"mode", "incrementing", "incrementing.column.name", "n", "topic.prefix", "p", "batch.max.rows", "2"}
		r := s.start(t, nil, keys...)
		want(t, r.next(2), "porders 1|a|1704067200000", "porders 2|b|1704067200000")
		s.exec(t, "UPDATE orders SET name = 'c' WHERE n = 1")
		s.insert(t, "3, 'd', '2024-01-01 00:00:00'")
		want(t, r.next(1), "porders 3|d|1704067200000")
		if string(r.offsets[0].Partition) != s.partition("orders") || r.offset() != `{"incrementing":3}` {
			t.Errorf("offset %s of %s", r.offset(), r.offsets[0].Partition)
		}
		r.nothing()
		s.insert(t, "4, 'e', '2024-01-01 00:00:00'", "0, 'late', '2024-01-01 00:00:00'")
		want(t, s.start(t, r.offsets, keys...).next(1), "porders 4|e|1704067200000")
		want(t, s.start(t, nil, append(keys, "incrementing.initial", "2")...).next(2), "porders 3|d|1704067200000", "porders 4|e|1704067200000")
	})
}

func TestTheNumberedColumnIsFound(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		column := map[sqldb.Kind]string{sqldb.PostgreSQL: "id serial PRIMARY KEY", sqldb.MySQL: "id int AUTO_INCREMENT PRIMARY KEY",
			sqldb.MariaDB: "id int AUTO_INCREMENT PRIMARY KEY", sqldb.SQLite: "id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"}[s.kind]
		s.exec(t, "CREATE TABLE accounts ("+column+", name varchar(255))", "INSERT INTO accounts (name) VALUES ('alice'), ('bob')")
		r := s.start(t, nil, "mode", "incrementing", "topic.prefix", "x-")
		want(t, r.next(2), "x-accounts 1|alice", "x-accounts 2|bob")
		if r.offset() != `{"incrementing":2}` {
			t.Error(r.offset())
		}
	})
}

// Three rows have one timestamp, and a batch ends between them. Who begins behind that batch gets all three again, and
// the row behind them once.
func TestTimestampLosesNoneOfTheSameTimestamp(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00.001'", "2, 'b', '2024-01-01 00:00:00.002'", "3, 'c', '2024-01-01 00:00:00.002'", "4, 'd', '2024-01-01 00:00:00.002'",
			"5, 'e', '2024-01-01 00:00:00.003'")
		keys := []string{"mode", "timestamp", "timestamp.column.name", "at", "batch.max.rows", "2"}
		r := s.start(t, nil, keys...)
		first := r.next(2)
		if r.offset() != `{"timestamp":1704067200001,"timestamp_nanos":1000000}` {
			t.Errorf("between rows of the same timestamp the offset is %s", r.offset())
		}
		again := s.start(t, r.offsets, keys...)
		got := append(first[:1:1], again.next(4)...)
		if first[0] != "orders 1|a|1704067200001" || len(got) != 5 {
			t.Fatalf("got %q", got)
		}
		slices.Sort(got)
		want(t, got, "orders 1|a|1704067200001", "orders 2|b|1704067200002", "orders 3|c|1704067200002", "orders 4|d|1704067200002", "orders 5|e|1704067200003")
		if again.offset() != `{"timestamp":1704067200003,"timestamp_nanos":3000000}` {
			t.Error(again.offset())
		}
		again.nothing()
		s.exec(t, "UPDATE orders SET name = 'A', at = '2024-01-02 00:00:00.123' WHERE n = 1")
		want(t, again.next(1), "orders 1|A|1704153600123")
		s.insert(t, "6, 'f', '2124-01-01 00:00:00'") // not yet
		again.nothing()
	})
}

func TestTimestampIncrementingTellsRowsApart(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00.001'", "2, 'b', '2024-01-01 00:00:00.002'", "3, 'c', '2024-01-01 00:00:00.002'", "4, 'd', '2024-01-01 00:00:00.002'")
		keys := []string{"mode", "timestamp+incrementing", "timestamp.column.name", "at", "incrementing.column.name", "n", "batch.max.rows", "2"}
		r := s.start(t, nil, keys...)
		want(t, r.next(2), "orders 1|a|1704067200001", "orders 2|b|1704067200002")
		if r.offset() != `{"incrementing":2,"timestamp":1704067200002,"timestamp_nanos":2000000}` {
			t.Error(r.offset())
		}
		again := s.start(t, r.offsets, keys...)
		want(t, again.next(2), "orders 3|c|1704067200002", "orders 4|d|1704067200002")
		s.insert(t, "5, 'e', '2024-01-01 00:00:00.002'") // a larger number of the same timestamp is found
		want(t, again.next(1), "orders 5|e|1704067200002")
		s.exec(t, "UPDATE orders SET at = '2024-01-01 00:00:01' WHERE n = 1")
		want(t, again.next(1), "orders 1|a|1704067201000")
	})
}

// SQLite's functions know milliseconds only.
func TestMicrosecondsAreTold(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00.000001'", "2, 'b', '2024-01-01 00:00:00.000002'")
		keys := []string{"mode", "timestamp", "timestamp.column.name", "at", "batch.max.rows", "1", "timestamp.granularity", "nanos_long"}
		r := s.start(t, nil, keys...)
		want(t, r.next(1), "orders 1|a|1704067200000001000")
		if r.offset() != `{"timestamp":1704067200000,"timestamp_nanos":1000}` {
			t.Error(r.offset())
		}
		want(t, s.start(t, r.offsets, keys...).next(1), "orders 2|b|1704067200000002000")
	}, sqldb.SQLite, sqldb.MariaDB)
}

func TestTheFirstTimestampThatIsNotNullCounts(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE pair (n integer NOT NULL, changed "+s.stampType()+", made "+s.stampType()+" NOT NULL)",
			"INSERT INTO pair VALUES (1, '2024-01-03 00:00:00', '2024-01-01 00:00:00'), (2, NULL, '2024-01-02 00:00:00')")
		r := s.start(t, nil, "mode", "timestamp", "timestamp.column.name", "changed,made")
		want(t, r.next(2), "pair 2|null|1704153600000", "pair 1|1704240000000|1704067200000")
		if r.offset() != `{"timestamp":1704240000000,"timestamp_nanos":0}` {
			t.Error(r.offset())
		}
	}, sqldb.MariaDB)
}

func TestAQueryIsReadInEachMode(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00'", "2, 'b', '2024-01-01 00:00:00'", "3, 'c', '2024-01-01 00:00:00'")
		s.exec(t, "CREATE TABLE notes (n integer NOT NULL, note varchar(10) NOT NULL)", "INSERT INTO notes VALUES (1, 'why?')")
		query := "SELECT o.n AS id, o.name, x.note FROM orders o LEFT JOIN notes x ON x.n = o.n"
		r := s.start(t, nil, "mode", "bulk", "query", query+" WHERE o.n < 2", "topic.prefix", "joined")
		want(t, r.next(1), "joined 1|a|why?")
		if string(r.offsets[0].Partition) != `{"query":"query"}` {
			t.Errorf("%s", r.offsets[0].Partition)
		}
		r = s.start(t, nil, "mode", "incrementing", "query", "SELECT * FROM ("+query+") j", "incrementing.column.name", "id", "topic.prefix", "joined", "query.suffix", "LIMIT 2")
		want(t, r.next(3), "joined 1|a|why?", "joined 2|b|null", "joined 3|c|null")
		if string(r.offsets[0].Partition) != `{"query":"query"}` || r.offset() != `{"incrementing":3}` {
			t.Errorf("%v", r.offsets)
		}
		r = s.start(t, nil, "mode", "timestamp", "query", "SELECT * FROM orders", "timestamp.column.name", "at", "topic.prefix", "q")
		r.next(3)
	})
}

// A join gives several rows of one number, and a batch ends between them.
func TestRowsOfOneNumberBelongTogether(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	s.exec(t, "CREATE TABLE lines (n integer NOT NULL, item text NOT NULL)", "INSERT INTO lines VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, 'd')")
	keys := []string{"mode", "incrementing", "query", "SELECT * FROM lines", "incrementing.column.name", "n", "topic.prefix", "q", "batch.max.rows", "2"}
	r := s.start(t, nil, keys...)
	if first := r.next(2); r.offset() != `{"incrementing":1}` || first[0] != "q 1|a" {
		t.Errorf("%q, and the offset is %s", first, r.offset())
	}
	got := s.start(t, r.offsets, keys...).next(3)
	slices.Sort(got)
	want(t, got, "q 2|b", "q 2|c", "q 3|d")
}

func TestTimestampInitialAndDelay(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		now := time.Now().UTC()
		s.orders(t, "1, 'old', '2024-01-01 00:00:00'", fmt.Sprintf("2, 'new', '%s'", now.Add(-30*time.Second).Format("2006-01-02 15:04:05.000")))
		keys := []string{"mode", "timestamp", "timestamp.column.name", "at"}
		if got := s.start(t, nil, append(keys, "timestamp.initial", "1704067200000")...).next(1); !strings.Contains(got[0], "new") {
			t.Errorf("got %q", got)
		}
		delayed := s.start(t, nil, append(keys, "timestamp.delay.interval.ms", "3600000")...)
		if got := delayed.next(1); !strings.Contains(got[0], "old") {
			t.Errorf("got %q", got)
		}
		delayed.nothing()
		// From now on: where that was is kept, also if nothing comes before the task ends.
		r := s.start(t, nil, append(keys, "timestamp.initial", "-1")...)
		if rows, err := r.batch(r.deadline()); len(rows) > 0 || err != nil {
			t.Fatalf("got %q, %v", rows, err)
		}
		fixed := r.offset()
		r.nothing()
		s.insert(t, fmt.Sprintf("3, 'next', '%s'", time.Now().UTC().Add(time.Second).Format("2006-01-02 15:04:05.000")))
		again := s.start(t, r.offsets, append(keys, "timestamp.initial", "-1")...)
		if got := again.next(1); !strings.Contains(got[0], "next") || r.offset() != fixed {
			t.Errorf("got %q behind %s", got, fixed)
		}
	}, sqldb.MariaDB)
}

// A wall clock's time is of db.timezone, an absolute one is not. SQLite's are all UTC.
func TestZones(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		absolute := map[sqldb.Kind]string{sqldb.PostgreSQL: "timestamptz"}[s.kind]
		if absolute == "" {
			absolute = "timestamp(6)"
		}
		s.exec(t, "CREATE TABLE clocks (n integer NOT NULL, wall "+s.stampType()+" NOT NULL, instant "+absolute+" NOT NULL)")
		zone := map[bool]string{true: "SET timezone = 'UTC'; ", false: ""}[s.kind == sqldb.PostgreSQL]
		s.exec(t, zone+"INSERT INTO clocks VALUES (1, '2024-07-01 12:00:00', '2024-07-01 12:00:00'), (2, '2024-07-01 12:00:01', '2024-07-01 12:00:01')")
		for column, first := range map[string]string{"wall": `{"timestamp":1719828000000,"timestamp_nanos":0}`, "instant": `{"timestamp":1719835200000,"timestamp_nanos":0}`} {
			keys := []string{"mode", "timestamp", "timestamp.column.name", column, "db.timezone", "Europe/Berlin", "batch.max.rows", "1"}
			r := s.start(t, nil, keys...)
			want(t, r.next(1), "clocks 1|1719828000000|1719835200000")
			if r.offset() != first {
				t.Errorf("%s: %s", column, r.offset())
			}
			want(t, s.start(t, r.offsets, keys...).next(1), "clocks 2|1719828001000|1719835201000")
		}
	}, sqldb.SQLite)
}

// What versions of Confluent's connector stored is where this one goes on, under the same source partition.
func TestOffsetsOfConfluentsConnector(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00'", "2, 'b', '2024-01-01 00:00:00'")
		partitions := []string{s.partition("orders"), `{"table":"orders"}`, strings.Replace(s.partition("orders"), `{"protocol":"1",`, `{ "protocol": "1", `, 1)}
		if s.kind == sqldb.PostgreSQL {
			partitions = append(partitions, fmt.Sprintf(`{"protocol":"1","table":"%s.public.orders"}`, s.database))
		}
		for _, p := range partitions {
			r := s.start(t, append(offsetOf(`{"protocol":"1","table":"another.one"}`, `{"incrementing":7}`), offsetOf(p, `{"incrementing":1}`)...),
				"mode", "incrementing", "incrementing.column.name", "n")
			want(t, r.next(1), "orders 2|b|1704067200000")
			if last := r.offsets[len(r.offsets)-1]; string(last.Partition) != p || string(last.Offset) != `{"incrementing":2}` {
				t.Errorf("went on as %s with %s, was %s", last.Partition, last.Offset, p)
			}
		}
	}, sqldb.MySQL, sqldb.MariaDB)
}

func TestTablesComeAndGo(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE one (n integer NOT NULL)", "INSERT INTO one VALUES (1)")
		r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n", "table.poll.interval.ms", "50", "table.blacklist", "never")
		want(t, r.next(1), "one 1")
		s.exec(t, "CREATE TABLE two (n integer NOT NULL)", "INSERT INTO two VALUES (1)", "CREATE TABLE never (n integer NOT NULL)", "INSERT INTO never VALUES (1)")
		want(t, r.next(1), "two 1")
		s.exec(t, "DROP TABLE one")
		r.nothing()
		s.exec(t, "INSERT INTO two VALUES (2)")
		want(t, r.next(1), "two 2")
		s.exec(t, "CREATE TABLE one (n integer NOT NULL)", "INSERT INTO one VALUES (1), (2)")
		want(t, r.next(1), "one 2")
	}, sqldb.MariaDB)
}

// A query that was cancelled, and a connection that was cut, lose nothing and repeat nothing.
func TestABrokenAnswerIsAskedForAgain(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		var rows []string
		for i := range 500 {
			rows = append(rows, fmt.Sprintf("%d, 'a', '2024-01-01 00:00:00'", i))
		}
		s.orders(t, rows...)
		r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n", "batch.max.rows", "10")
		var got []string
		for len(got) < 500 {
			switch len(got) {
			case 100, 250:
				ctx, cancel := context.WithCancel(r.deadline())
				cancel()
				if _, err := r.batch(ctx); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			case 150, 200:
				if r.task.conn != nil && s.kind != sqldb.SQLite {
					r.task.conn.close() // as a broken network would
				}
			}
			batch, err := r.batch(r.deadline())
			var e *connectors.Error
			if err != nil && (!errors.As(err, &e) || !e.Retriable || e.Class != connectors.ClassEnvironment) {
				t.Fatal(err)
			}
			got = append(got, batch...)
		}
		for i, row := range got {
			if row != fmt.Sprintf("orders %d|a|1704067200000", i) {
				t.Fatalf("row %d is %q", i, row)
			}
		}
	}, sqldb.MariaDB)
}

func TestABatchEndsByBytes(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		text := map[sqldb.Kind]string{sqldb.MySQL: "longtext", sqldb.SQLite: "text"}[s.kind]
		s.exec(t, "CREATE TABLE large (n integer NOT NULL, body "+text+" NOT NULL)")
		for i := range 8 {
			s.exec(t, fmt.Sprintf("INSERT INTO large VALUES (%d, '%s')", i, strings.Repeat("x", 400<<10)))
		}
		r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n")
		if r.next(8); len(r.batches) != 3 || r.batches[0] != 3 {
			t.Errorf("batches of %v", r.batches)
		}
	}, sqldb.PostgreSQL, sqldb.MariaDB)
}

func TestTablesAreSpreadOverTasks(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	for _, name := range []string{"a", "b", "c"} {
		s.exec(t, "CREATE TABLE "+name+" (n integer NOT NULL)", "INSERT INTO "+name+" VALUES (1)")
	}
	config := s.with("mode", "incrementing", "incrementing.column.name", "n", "table.poll.interval.ms", "50")
	tasks, err := New().Plan(t.Context(), config, 2)
	if err != nil || len(tasks) != 2 {
		t.Fatal(tasks, err)
	}
	s.exec(t, "CREATE TABLE d (n integer NOT NULL)", "INSERT INTO d VALUES (1)")
	var got []string
	for i, c := range tasks {
		r := &run{t: t, task: &task{}}
		t.Cleanup(func() { _ = r.task.Stop(context.Background()) })
		start := r.startWith(c)
		start.Task = i
		if err := r.task.Start(r.deadline(), start); err != nil {
			t.Fatal(err)
		}
		rows := r.next(len(r.task.queriers))
		if len(rows) == 4 {
			t.Error("one task has all")
		}
		got = append(got, rows...)
		r.nothing()
	}
	slices.Sort(got)
	want(t, got, "a 1", "b 1", "c 1", "d 1")
	if one, err := New().Plan(t.Context(), s.with("mode", "bulk", "query", "SELECT 1", "topic.prefix", "q"), 5); err != nil || len(one) != 1 {
		t.Errorf("a query has %d tasks, %v", len(one), err)
	}
}

// A row of which no record can be made goes to the hub, and the next one comes.
func TestABadRowIsReported(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	s.exec(t, "CREATE TABLE loose (n INTEGER PRIMARY KEY NOT NULL, amount DECIMAL(5,2))", "INSERT INTO loose VALUES (1, 1.25), (2, 'many'), (3, 7)")
	r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n", "topic.prefix", "x.")
	want(t, r.next(2), "x.loose 1|7d", "x.loose 3|02bc")
	if len(r.reported) != 1 || !strings.HasPrefix(r.reported[0], `x.loose {"n":"2","amount":"many"}: make a record (loose, {"incrementing":2}): column amount:`) {
		t.Errorf("reported %q", r.reported)
	}
	r = s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n")
	r.refuse = true
	if _, err := r.batch(r.deadline()); connectors.ClassOf(err) != connectors.ClassData {
		t.Errorf("a row that nobody takes: %v", err)
	}
}

func TestViewsQuotesAndIsolation(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.orders(t, "1, 'a', '2024-01-01 00:00:00'")
		s.exec(t, "CREATE VIEW brief AS SELECT n, name FROM orders")
		for _, level := range []string{"READ_UNCOMMITTED", "READ_COMMITTED", "REPEATABLE_READ", "SERIALIZABLE"} {
			r := s.start(t, nil, "mode", "incrementing", "incrementing.column.name", "n", "table.types", "view", "validate.non.null", "false",
				"transaction.isolation.mode", level, "quote.sql.identifiers", "never")
			want(t, r.next(1), "brief 1|a")
		}
	}, sqldb.MariaDB)
}
