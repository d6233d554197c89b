package jdbc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// inserts puts one record with key 1 and one with key 2, flushes, and returns the task.
func inserts(t *testing.T, s *server, pairs ...string) *run {
	t.Helper()
	r := s.start(t, pairs...)
	r.put(flat(1, "a", 1), flat(2, "b", 2))
	r.flush()
	return r
}

func TestModes(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20), n int, kept varchar(20) DEFAULT 'kept')")
		s.exec(t, "INSERT INTO orders (id, name, n, kept) VALUES (1, 'old', 0, 'mine')")
		const rows = "SELECT id, name, n, kept FROM orders ORDER BY id"

		// Update leaves alone what is not there.
		r := inserts(t, s, "insert.mode", "update", "pk.mode", "record_key")
		s.want(t, rows, "1|a|1|mine")
		stop(r)

		// Insert is refused for a key that is there.
		r = s.start(t, "insert.mode", "insert", "pk.mode", "record_value", "pk.fields", "id")
		r.put(flat(1, "again", 9), flat(2, "b", 2), flat(2, "twice", 3))
		r.flush()
		s.want(t, rows, "1|a|1|mine", "2|b|2|kept")
		if got := r.refused(); !slices.Equal(got, []int64{2, 4}) {
			t.Errorf("refused: %v, %v", got, r.causes)
		}
		stop(r)

		// Upsert keeps columns that the record does not have.
		r = s.start(t, "insert.mode", "upsert", "pk.mode", "record_value", "pk.fields", "id", "fields.whitelist", "n")
		r.put(flat(1, "ignored", 7), flat(3, "ignored", 8))
		r.flush()
		s.want(t, rows, "1|a|7|mine", "2|b|2|kept", "3||8|kept")
		stop(r)

		// Topic, partition and offset are a key for records that have none.
		r = inserts(t, s, "insert.mode", "upsert", "pk.mode", "kafka", "auto.create", "true", "table.name.format", "log_${topic}")
		stop(r)
		first := r.next - 2
		s.want(t, "SELECT __connect_topic, __connect_partition, __connect_offset, id, name FROM log_orders ORDER BY id",
			fmt.Sprintf("orders|0|%d|1|a", first), fmt.Sprintf("orders|0|%d|2|b", first+1))
	})
}

func stop(r *run) {
	r.t.Helper()
	if err := r.task.Stop(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

// A change of a key that is in the value is a delete and an insert.
func TestKeyInValueMoves(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, "insert.mode", "upsert", "pk.mode", "record_value", "pk.fields", "name,id", "auto.create", "true", "table.name.format", "${source.table}")
		r.put(change(rowSchema, "c", 1, nil, []any{1, "a", 1}), change(rowSchema, "u", 1, []any{1, "a", 1}, []any{2, "a", 1}),
			change(rowSchema, "u", 1, []any{2, "a", 1}, []any{2, "b", 2}), change(rowSchema, "u", 1, []any{2, "b", 2}, []any{2, "b", 3}))
		r.flush()
		if len(r.refused()) > 0 {
			t.Errorf("refused: %v", r.causes)
		}
		s.want(t, "SELECT id, name, n FROM orders", "2|b|3")
	})
}

// Tables are made and given columns while records come; a column that is dropped or altered by hand is noticed.
func TestEvolution(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		r := inserts(t, s, upsert...)
		wider := structOf("row", "id", connectors.Int64Schema, "Name", connectors.OptionalStringSchema, "n", connectors.OptionalInt32Schema,
			"order", connectors.OptionalInt64Schema, "a \"quoted\" `name'", connectors.OptionalStringSchema)
		r.put(connectors.Record{Key: data(keySchema, []any{1}), Value: data(wider, []any{1, "A", 1, 10, "x"})}, flat(2, "still", 2))
		r.flush()
		name := map[sqldb.Kind]string{sqldb.PostgreSQL: `"order"`, sqldb.SQLite: `"order"`}[s.kind]
		if name == "" {
			name = "`order`"
		}
		s.want(t, "SELECT id, name, n, "+name+" FROM orders ORDER BY id", "1|A|1|10", "2|still|2|")
		s.exec(t, "DROP TABLE orders")
		r.put(flat(3, "c", 3))
		if err := r.tryFlush(); connectors.ClassOf(err) != connectors.ClassConfig || !strings.Contains(err.Error(), "is gone") {
			t.Errorf("after the table was dropped: %v", err)
		}
		s.exec(t, "CREATE TABLE orders (n varchar(20), name varchar(20), id bigint PRIMARY KEY)")
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders", "3|c|3")
		if len(r.refused()) > 0 {
			t.Errorf("refused: %v", r.causes)
		}

		// Without auto.evolve and auto.create the error says what to do.
		r2 := s.start(t, "insert.mode", "upsert", "pk.mode", "record_key", "table.name.format", "nowhere")
		r2.next += 100
		if err := r2.tryPut(flat(1, "a", 1)); connectors.ClassOf(err) != connectors.ClassConfig || !strings.Contains(err.Error(), "auto.create") {
			t.Errorf("without a table: %v", err)
		}
	})
}

// Of two rows that want the same unique value, the second is refused; it does not take the place of the first.
func TestUniqueViolationIsRefused(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20) UNIQUE, n int)")
		r := s.start(t, upsert...)
		r.put(flat(1, "a", 1), flat(2, "b", 2), flat(3, "a", 3), flat(1, "a", 4))
		r.flush()
		s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|a|4", "2|b|2")
		if got := r.refused(); !slices.Equal(got, []int64{2}) {
			t.Errorf("refused: %v, %v", got, r.causes)
		}
	})
}

// What is no row is reported, or skipped where the configuration says so.
func TestNoRows(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	r := s.start(t, "insert.mode", "upsert", "pk.mode", "record_key", "auto.create", "true")
	r.put(flat(1, "a", 1), tombstone(1), // 1: delete.enabled is false
		connectors.Record{Value: data(rowSchema, []any{1, nil, nil})},                                                            // 2: no key
		connectors.Record{Key: data(keySchema, []any{1}), Value: connectors.Data{Bytes: []byte(`{"id":1}`)}},                     // 3: no schema
		connectors.Record{Key: data(keySchema, []any{1}), Value: data(connectors.StringSchema, "x")},                             // 4: no struct
		connectors.Record{Key: data(connectors.Int64Schema, 1), Value: data(rowSchema, []any{1, nil, nil})},                      // 5: the key has no name
		connectors.Record{Value: data(structOf("x.SchemaChangeValue", "ddl", connectors.StringSchema), []any{"CREATE TABLE x"})}) // skipped
	r.flush()
	if got := r.refused(); !slices.Equal(got, []int64{1, 2, 3, 4, 5}) {
		t.Errorf("refused: %v, %v", got, r.causes)
	}
	s.want(t, "SELECT id, name, n FROM orders", "1|a|1")

	// Debezium's sink skips deletes that it is not to make.
	r = s.start(t, "connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector", "insert.mode", "upsert", "primary.key.mode", "record_key")
	r.put(flat(2, "b", 1), tombstone(2), change(rowSchema, "d", 2, []any{2, "b", 1}, nil), tombstone(2))
	r.flush()
	s.want(t, "SELECT id, name, n FROM orders ORDER BY id", "1|a|1", "2|b|1")
	if got := r.refused(); len(got) > 0 {
		t.Errorf("refused: %v, %v", got, r.causes)
	}
}

// With errors.tolerance=none a refused row ends the task, and nothing behind it counts.
func TestRefusedRowEndsTheTask(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(20) NOT NULL, n int)")
		r := s.start(t, upsert...)
		r.tolerate = false
		r.put(flat(1, "a", 1), flat(2, nil, 2), flat(3, "c", 3))
		err := r.tryFlush()
		var ce *connectors.Error
		if !errors.As(err, &ce) || ce.Class != connectors.ClassData || ce.Record == nil || ce.Record.Offset != 1 {
			t.Fatalf("the error is %v", err)
		}
		s.want(t, "SELECT count(*) FROM orders", "0")
	})
}

// A key without a schema has the types of the row.
func TestKeyWithoutSchema(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	r := s.start(t, upsert...)
	plain := func(r connectors.Record, id int) connectors.Record {
		r.Key = connectors.Data{Bytes: fmt.Appendf(nil, `{"id":%d}`, id)}
		return r
	}
	r.put(plain(tombstone(9), 9), plain(flat(1, "a", 1), 1), plain(flat(2, "b", 2), 2), plain(flat(1, "c", 3), 1), plain(tombstone(2), 2))
	r.put(plain(change(rowSchema, "c", 3, nil, []any{3, "d", 4}), 3), plain(change(rowSchema, "d", 1, []any{1, "c", 3}, nil), 1), plain(tombstone(1), 1))
	r.flush()
	s.want(t, "SELECT id, name, n FROM orders", "3|d|4")
	if got := r.refused(); !slices.Equal(got, []int64{0}) {
		t.Errorf("refused: %v, %v", got, r.causes)
	}
}

// A column that is added has the default of its field in the rows that are there already, as the source's column has. So
// it is with a row that others insert without it.
func TestDefaults(t *testing.T) {
	t.Parallel()
	cases := []struct {
		schema         *connectors.Schema
		value          any
		pg, my, sqlite string // an empty one of the last two is as pg's
	}{
		{connectors.OptionalInt32Schema, 5, "5", "", ""},
		{connectors.Int8Schema, -1, "-1", "", ""},
		{connectors.OptionalStringSchema, `it's "new" \ 😀`, `it's "new" \ 😀`, "", ""},
		{connectors.BooleanSchema, true, "t", "1", "1"},
		{connectors.Float64Schema, 0.5, "0.5", "", ""},
		{connectors.BytesSchema, "a'b", `\x612762`, "a'b", "a'b"},
		{cdc.Decimal(5, 2), []byte{0xff}, "-0.01", "", ""},
		{cdc.Logical(connectors.Int32, cdc.DateName), 1, "1970-01-02", "", ""},
		{cdc.Logical(connectors.Int64, connectors.TimestampName), 1500, "1970-01-01 00:00:01.5", "1970-01-01 00:00:01.500", ""},
		{cdc.Logical(connectors.String, cdc.ZonedTimestampName), "2024-02-29T12:21:36Z", "2024-02-29 12:21:36+00", "2024-02-29 12:21:36.000000", "2024-02-29 12:21:36+00:00"},
		{cdc.Logical(connectors.Int64, cdc.MicroDurationName), 1500000, "00:00:01.5", "1500000", "1500000"},
		{cdc.Logical(connectors.String, cdc.JSONName), `{"a":1}`, `{"a":1}`, "", ""},
		{cdc.Enum(cdc.EnumName, "red,green"), "red", "red", "", ""},
		{cdc.Bits(3), []byte{5}, "101", "\x05", "101"},
		{cdc.Array(connectors.Int32Schema), []any{1, 2}, "{1,2}", "[1,2]", "[1,2]"},
	}
	fields, values := []any{"id", connectors.Int64Schema}, []any{2}
	for i, c := range cases {
		s := *c.schema
		v := value(c.schema, c.value)
		s.Default = &v
		fields, values = append(fields, fmt.Sprintf("f%d", i), &s), append(values, c.value)
	}
	wide := structOf("row", fields...)
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, upsert...)
		r.put(flat(1, "a", 1), connectors.Record{Key: data(keySchema, []any{2}), Value: data(wide, values)})
		// The same columns, in a table that is made with them.
		r.put(connectors.Record{Topic: "made", Key: data(keySchema, []any{2}), Value: data(wide, values)})
		r.flush()
		s.exec(t, "INSERT INTO made (id) VALUES (1)")
		for i, c := range cases {
			want := map[sqldb.Kind]string{sqldb.SQLite: c.sqlite, sqldb.MySQL: c.my, sqldb.MariaDB: c.my}[s.kind]
			if want == "" {
				want = c.pg
			}
			for _, table := range []string{"orders", "made"} {
				got := s.rows(t, fmt.Sprintf("SELECT f%d FROM %s ORDER BY id", i, table))
				if s.kind == sqldb.MySQL && c.schema.Type == connectors.Array {
					got = strings.Split(strings.ReplaceAll(strings.Join(got, ";"), ", ", ","), ";")
				}
				if len(got) != 2 || strings.ReplaceAll(got[0], `": `, `":`) != want || got[0] != got[1] {
					t.Errorf("%s %s in %s: got %q, want %q of both", c.schema.Type, c.schema.Name, table, got, want)
				}
			}
		}
	})
}
