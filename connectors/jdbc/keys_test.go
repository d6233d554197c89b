package jdbc

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// The primary key can be made of headers, of all or of those that are named.
func TestHeaderKeys(t *testing.T) {
	t.Parallel()
	header := func(name string, s *connectors.Schema, v any) connectors.Header {
		return connectors.Header{Key: name, Value: data(s, v)}
	}
	on(t, func(t *testing.T, s *server) {
		record := func(name string, headers ...connectors.Header) connectors.Record {
			r := flat(0, name, 1)
			r.Key = connectors.Data{}
			r.Headers = headers
			return r
		}
		r := s.start(t, "insert.mode", "upsert", "primary.key.mode", "record_header", "primary.key.fields", "tenant,no", "auto.create", "true", "fields.whitelist", "name")
		a, b := header("tenant", connectors.StringSchema, "a"), header("tenant", connectors.StringSchema, "b")
		no := header("no", connectors.Int32Schema, 1)
		r.put(record("first", a, no), record("other", no, b, header("trace", connectors.StringSchema, "x")), record("second", b, no, a),
			record("lost", a), record("untyped", a, connectors.Header{Key: "no", Value: connectors.Data{Bytes: []byte("1")}}))
		r.flush()
		s.want(t, "SELECT * FROM orders ORDER BY tenant", "a|1|second", "b|1|other")
		if got := r.refused(); !slices.Equal(got, []int64{3, 4}) {
			t.Errorf("refused: %v, %v", got, r.causes)
		}
	})
}

// Without names all headers are the key, and one that is there twice has no meaning.
func TestAllHeaders(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	r := s.start(t, "insert.mode", "upsert", "pk.mode", "record_header", "auto.create", "true", "fields.whitelist", "name")
	with := func(names ...string) connectors.Record {
		record := flat(0, "x", 1)
		for _, name := range names {
			record.Headers = append(record.Headers, connectors.Header{Key: name, Value: data(connectors.StringSchema, name)})
		}
		return record
	}
	r.put(with("a", "b"), with("a", "b"), with("a", "a"), with())
	r.flush()
	s.want(t, "SELECT * FROM orders", "a|b|x")
	if got := r.refused(); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("refused: %v, %v", got, r.causes)
	}
}

// Instants are written in the zone of the configuration where the column has none; what has no zone is not moved.
func TestTimeZone(t *testing.T) {
	t.Parallel()
	schema := structOf("times", "id", connectors.Int64Schema, "instant", cdc.Logical(connectors.Int64, connectors.TimestampName),
		"zoned", cdc.Logical(connectors.String, cdc.ZonedTimestampName), "local", cdc.Logical(connectors.Int64, cdc.MicroTimestampName))
	const noon = 1_719_748_800_000 // 2024-06-30 12:00 UTC
	record := func() connectors.Record {
		return connectors.Record{Key: data(keySchema, []any{1}), Value: data(schema, []any{1, noon, "2024-06-30T12:00:00Z", noon * 1000})}
	}
	for _, c := range []struct {
		class, key, instant string
	}{
		{"io.confluent.connect.jdbc.JdbcSinkConnector", "db.timezone", "2024-06-30 14:00:00"},
		{"io.debezium.connector.jdbc.JdbcSinkConnector", "use.time.zone", "2024-06-30 12:00:00"},
	} {
		t.Run(c.class[:12], func(t *testing.T) {
			on(t, func(t *testing.T, s *server) {
				switch s.kind {
				case sqldb.PostgreSQL: // a table whose columns have no zone, as MySQL's
					s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, instant timestamp, zoned timestamp, local timestamp)")
				case sqldb.SQLite:
					s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, instant text, zoned text, local text)")
				}
				r := s.start(t, append(upsert, "connector.class", c.class, c.key, "Europe/Paris")...)
				r.put(record())
				r.flush()
				zoned := "2024-06-30 14:00:00"
				if s.kind == sqldb.SQLite {
					zoned = "2024-06-30 12:00:00+00:00" // it says its zone
				}
				got := strings.ReplaceAll(s.rows(t, "SELECT instant, zoned, local FROM orders")[0], ".000000", "")
				if want := c.instant + "|" + zoned + "|2024-06-30 12:00:00"; strings.ReplaceAll(got, ".000|", "|") != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

// MySQL reads what is written into a timestamp in the session's zone. A server that does not know the zone would take
// another instant.
func TestTimeZoneOfTimestamps(t *testing.T) {
	t.Parallel()
	schema := structOf("times", "id", connectors.Int64Schema, "zoned", cdc.Logical(connectors.String, cdc.ZonedTimestampName))
	on(t, func(t *testing.T, s *server) {
		if s.kind != sqldb.MySQL && s.kind != sqldb.MariaDB {
			return
		}
		s.exec(t, "CREATE TABLE orders (id bigint PRIMARY KEY, zoned timestamp)")
		r := s.start(t, append(upsert, "db.timezone", "Europe/Paris")...)
		err := r.tryPut(connectors.Record{Key: data(keySchema, []any{1}), Value: data(schema, []any{1, "2024-06-30T12:00:00Z"})})
		if s.rows(t, "SELECT convert_tz('2024-06-30 12:00:00', 'UTC', 'Europe/Paris')")[0] == "" {
			if err == nil || !strings.Contains(err.Error(), "mysql_tzinfo_to_sql") {
				t.Errorf("a server without zones: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		r.flush()
		s.want(t, "SELECT zoned FROM orders", "2024-06-30 12:00:00")
	})
}
