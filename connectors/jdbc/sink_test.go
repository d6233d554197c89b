package jdbc

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// Every kind of database passes the suite of all sinks.
func TestConformance(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		plugintest.Walls(t, New(), func(t *testing.T, c connectors.Connector) {
			connectortest.RunSink(t, c.(connectors.SinkConnector), conformance(s))
		})
	})
}

func conformance(s *server) connectortest.Sink {
	schema := structOf("c", "p", connectors.Int32Schema, "n", connectors.Int32Schema, "short", connectors.StringSchema)
	record := func(p, n int, short string) connectors.Record {
		return connectors.Record{Key: data(connectors.StringSchema, fmt.Sprintf("%d/%d", p, n)), Value: data(schema, []any{p, n, short})}
	}
	return connectortest.Sink{
		Fresh: func(t *testing.T) connectortest.SinkWorld {
			s.worlds++
			table := fmt.Sprintf("c%d", s.worlds)
			s.exec(t, "CREATE TABLE "+table+" (p int, n int, short varchar(5) NOT NULL CHECK (length(short) <= 5))")
			s.exec(t, offsetsDDL+s.d.tableOptions(), "DELETE FROM "+offsetsTable)
			return connectortest.SinkWorld{
				Once:   true,
				Config: s.with("topics.to.tables.mapping", "conformance:"+table),
				Record: func(part connectors.TopicPartition, i int) connectors.Record {
					return record(int(part.Partition), i, "ok")
				},
				Bad: func() connectors.Record { return record(0, -1, "too long") },
				Delivered: func(t *testing.T, part connectors.TopicPartition) []int {
					var numbers []int
					for _, text := range s.rows(t, fmt.Sprintf("SELECT n FROM %s WHERE p = %d", table, part.Partition)) {
						n, err := strconv.Atoi(text)
						if err != nil {
							t.Fatal(err)
						}
						numbers = append(numbers, n)
					}
					return numbers
				},
			}
		},
		Broken: func(*testing.T) []connectortest.Broken {
			broken := []connectortest.Broken{
				{Name: "no address", Config: map[string]string{}, Class: connectors.ClassConfig},
				{Name: "another database", Config: map[string]string{"connection.url": "jdbc:oracle:thin:@h:1521:x"}, Class: connectors.ClassConfig},
			}
			if s.kind != sqldb.SQLite {
				broken = append(broken, connectortest.Broken{Name: "nobody there", Class: connectors.ClassEnvironment,
					Config: map[string]string{"connection.url": "jdbc:" + string(s.kind) + "://127.0.0.1:1/x", "connection.attempts": "1"}})
			}
			return broken
		},
	}
}

// upsert is the configuration of most tests.
var upsert = []string{"insert.mode", "upsert", "pk.mode", "record_key", "delete.enabled", "true", "auto.create", "true", "auto.evolve", "true"}

// The last change of each key is what is there, however the changes are divided into batches.
func TestLastChangeWins(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, upsert...)
		r.put(flat(1, "a", 1), flat(2, "b", 2), flat(1, "c", nil), tombstone(2), flat(3, "d", 3), tombstone(3), flat(3, "e", 4), tombstone(4))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|c|", "3|e|4")
		r.put(tombstone(1), flat(1, "again", 5), flat(3, "f", 6), flat(3, "g", 7))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|again|5", "3|g|7")
		if got := r.refused(); len(got) > 0 {
			t.Errorf("refused: %v, %v", got, r.causes)
		}
	})
}

// Change events need no transform in front.
func TestChangeEvents(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, append(upsert, "truncate.enabled", "true", "table.name.format", "${source.table}")...)
		r.put(change(rowSchema, "r", 1, nil, []any{1, "Ada", 1}), change(rowSchema, "c", 2, nil, []any{2, "Grace", 2}),
			change(rowSchema, "u", 1, []any{1, "Ada", 1}, []any{1, "Ada L", 3}), change(rowSchema, "d", 2, []any{2, "Grace", 2}, nil), tombstone(2))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|Ada L|3")
		r.put(change(rowSchema, "t", 0, nil, nil), change(rowSchema, "c", 7, nil, []any{7, "after", 7}))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "7|after|7")
		// A key that changes comes as a delete of the old and an insert of the new one.
		r.put(change(rowSchema, "d", 7, []any{7, "after", 7}, nil), tombstone(7), change(rowSchema, "c", 8, nil, []any{8, "after", 7}))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "8|after|7")
		if got := r.refused(); len(got) > 0 {
			t.Errorf("refused: %v, %v", got, r.causes)
		}
	})
}

// A value that a change did not touch keeps what the row has.
func TestUnchangedValues(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, upsert...)
		const placeholder = "__debezium_unavailable_value"
		r.put(change(rowSchema, "c", 1, nil, []any{1, "large", 1}), change(rowSchema, "c", 2, nil, []any{2, "larger", 1}))
		r.flush()
		r.put(change(rowSchema, "u", 1, nil, []any{1, placeholder, 2}), change(rowSchema, "u", 2, nil, []any{2, "new", 2}),
			change(rowSchema, "u", 2, nil, []any{2, placeholder, 3}), change(rowSchema, "u", 3, nil, []any{3, placeholder, 3}))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|large|2", "2|new|3", "3||3")
	})
}

// Of a large batch with bad rows in it, the good ones arrive and the bad ones are reported.
func TestPoisonRows(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20) NOT NULL CHECK (length(name) <= 20), n int)")
		r := s.start(t, upsert...)
		var records []connectors.Record
		bad := []int64{0, 4711, 9999}
		for i := range 10_000 {
			name := any("row")
			if slices.Contains(bad, int64(i)) {
				name = "a name of more than twenty letters"
			}
			records = append(records, flat(i, name, i))
		}
		r.put(records...)
		r.flush()
		s.want(t, "SELECT count(*) FROM orders", "9997")
		if got := r.refused(); !slices.Equal(got, bad) {
			t.Errorf("refused: %v, want %v", got, bad)
		}
	})
}

// A unique column whose value moves from one row to another does so although lanes write beside each other.
func TestUniqueValueMoves(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20) UNIQUE, n int)")
		r := s.start(t, upsert...)
		var records []connectors.Record
		for i := range 3000 {
			records = append(records, flat(i, fmt.Sprint("u", i), 0))
		}
		r.put(records...)
		r.flush()
		records = nil
		for i := range 1500 {
			records = append(records, flat(i, nil, 1), flat(i+1500, fmt.Sprint("u", i), 1), flat(i, fmt.Sprint("u", i+1500), 1))
		}
		r.put(records...)
		r.flush()
		s.want(t, "SELECT count(*) FROM orders WHERE n = 1", "3000")
		s.want(t, "SELECT name FROM orders WHERE id IN (7, 1507) ORDER BY id", "u1507", "u7")
		if got := r.refused(); len(got) > 0 {
			t.Errorf("refused: %d, %v", len(got), r.causes[0])
		}
	})
}

// Rows arrive by themselves: nobody need ask for a flush.
func TestArrivesByItself(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	r := s.start(t, upsert...)
	for i := range 3 {
		r.put(flat(i, "a", 1))
		for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
			positions, err := r.task.Flush(r.deadline(), false)
			if err != nil || time.Now().After(end) {
				t.Fatalf("row %d is not there: %v, %v", i, positions, err)
			}
			if len(positions) == 1 && positions[0].Offset == r.next {
				break
			}
		}
	}
	s.want(t, "SELECT count(*) FROM orders", "3")
}
