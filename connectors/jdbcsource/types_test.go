package jdbcsource

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// typed is a column of a type, a literal of it, and what becomes of both.
type typed struct{ column, literal, schema, value string }

// described returns a schema in short: type, logical name, parameters, and ? if null is allowed.
func described(s *connectors.Schema) string {
	text := s.Type.String()
	if s.Name != "" {
		text += " " + s.Name[strings.LastIndexByte(s.Name, '.')+1:]
	}
	for _, p := range s.Parameters {
		text += " " + p.Value
	}
	if s.Optional {
		text += "?"
	}
	return text
}

// record reads the one row of table t.
func (s *server) record(t *testing.T, pairs ...string) *connectors.Record {
	t.Helper()
	r := s.start(t, nil, append([]string{"mode", "bulk", "table.whitelist", "t"}, pairs...)...)
	var b connectors.Batch
	if err := r.task.Read(r.deadline(), &b); err != nil {
		t.Fatal(err)
	}
	if len(b.Records) != 1 {
		t.Fatalf("%d records; reported %q", len(b.Records), r.reported)
	}
	return &b.Records[0]
}

// Every type of each database: what its schema is, and its value; a null of it; and without a default one that is
// required.
func TestTypes(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		list := map[sqldb.Kind][]typed{sqldb.PostgreSQL: postgresTypes(), sqldb.SQLite: sqliteTypes(), sqldb.MySQL: mysqlTypes(), sqldb.MariaDB: mysqlTypes()}[s.kind]
		var columns, literals, nulls []string
		for i, c := range list {
			columns = append(columns, fmt.Sprintf("c%d %s NOT NULL, n%d %s NULL", i, c.column, i, c.column))
			literals = append(literals, c.literal, c.literal)
			nulls = append(nulls, c.literal, "NULL")
		}
		if s.kind == sqldb.PostgreSQL {
			s.exec(t, "CREATE TYPE mood AS ENUM ('sad', 'happy')")
		}
		s.exec(t, "CREATE TABLE t ("+strings.Join(columns, ", ")+")")
		for _, values := range [][]string{literals, nulls} {
			s.exec(t, "DELETE FROM t", "INSERT INTO t VALUES ("+strings.Join(values, ", ")+")")
			rec := s.record(t)
			v, _, err := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes)
			if err != nil || rec.Value.Schema.Name != "t" {
				t.Fatalf("schema %s: %v", rec.Value.Schema.Name, err)
			}
			for i, c := range list {
				for prefix, mark := range map[string]string{"c": "", "n": "?"} {
					at := rec.Value.Schema.FieldIndex(fmt.Sprintf("%s%d", prefix, i))
					if at < 0 {
						if c.schema != "" {
							t.Errorf("%s is left out", c.column)
						}
						continue
					}
					want := c.value
					if prefix == "n" && values[2*i+1] == "NULL" {
						want = "null"
					}
					schema, value := described(rec.Value.Schema.Fields[at].Schema), shown(v.List()[at])
					if schema != c.schema+mark || value != want {
						t.Errorf("%s %s: %s %s; want %s%s %s", c.column, c.literal, schema, value, c.schema, mark, want)
					}
				}
			}
		}
	})
}

func postgresTypes() []typed {
	return []typed{
		{"smallint", "-32768", "int16", "-32768"}, {"integer", "2147483647", "int32", "2147483647"}, {"bigint", "-9223372036854775808", "int64", "-9223372036854775808"},
		{"real", "1.1", "float32", "1.100000023841858"}, {"double precision", "0.1", "float64", "0.1"}, {"boolean", "true", "boolean", "true"},
		{"numeric(12,2)", "-12.5", "bytes Decimal 2 12", "fb1e"}, {"numeric(5,-2)", "12300", "bytes Decimal 0 5", "300c"}, {"numeric", "1.50", "struct VariableScaleDecimal", "{1,0f}"},
		{"money", "-1234.5", "float64", "-1234.5"}, {"text", "'Grüße'", "string", "Grüße"}, {"varchar(5)", "'ab'", "string", "ab"}, {"char(4)", "'ab'", "string", "ab  "},
		{"bytea", `'\xdeadbeef'`, "bytes", "deadbeef"}, {"json", `'{"a": 1}'`, "string", `{"a": 1}`}, {"jsonb", `'{"a":1}'`, "string", `{"a": 1}`},
		{"uuid", "'8f14e45f-ceea-467f-a9c1-5d1d7e0f7a11'", "string", "8f14e45f-ceea-467f-a9c1-5d1d7e0f7a11"}, {"xml", "'<a/>'", "string", "<a/>"}, {"mood", "'happy'", "string", "happy"},
		{"date", "'2024-02-29'", "int32 Date", "19782"}, {"date", "'0044-03-15 BC'", "int32 Date", "-735160"}, {"time", "'12:34:56.789012'", "int32 Time", "45296789"},
		{"timetz", "'00:34:56+02'", "int32 Time", "81296000"}, {"timestamp", "'2024-01-01 00:00:00.123456'", "int64 Timestamp", "1704067200123"},
		{"timestamptz", "'1969-12-31 23:59:59.5+00'", "int64 Timestamp", "-500"}, {"bit(1)", "B'1'", "boolean", "true"}, {"bit(3)", "B'101'", "int8", "5"},
		{"bit(10)", "B'1000000001'", "bytes", "0201"}, {"oid", "4000000000", "int64", "4000000000"},
		{"int[]", "'{1}'", "", ""}, {"interval", "'1 day'", "", ""}, {"point", "'(1,2)'", "", ""},
	}
}

func mysqlTypes() []typed {
	return []typed{
		{"tinyint", "-128", "int8", "-128"}, {"tinyint(1)", "1", "int8", "1"}, {"tinyint unsigned", "255", "int16", "255"}, {"smallint", "-32768", "int16", "-32768"},
		{"smallint unsigned", "65535", "int32", "65535"}, {"mediumint", "-8388608", "int32", "-8388608"}, {"mediumint unsigned", "16777215", "int64", "16777215"},
		{"int", "-2147483648", "int32", "-2147483648"}, {"int unsigned", "4294967295", "int64", "4294967295"}, {"bigint", "-9223372036854775808", "int64", "-9223372036854775808"},
		{"bigint unsigned", "9223372036854775807", "int64", "9223372036854775807"}, {"float", "1.1", "float32", "1.100000023841858"}, {"float", "16777217", "float32", "1.6777216e+07"},
		{"double", "0.1", "float64", "0.1"}, {"decimal(12,2)", "-12.5", "bytes Decimal 2 12", "fb1e"}, {"decimal(12,2) unsigned", "12.5", "bytes Decimal 2 12", "04e2"},
		{"decimal(9)", "7", "bytes Decimal 0 9", "07"}, {"varchar(10)", "'Grüße'", "string", "Grüße"}, {"char(4)", "'ab'", "string", "ab"}, {"longtext", "'x'", "string", "x"},
		{"enum('a','b')", "'b'", "string", "b"}, {"set('a','b')", "'a,b'", "string", "a,b"}, {"json", `'{"a": 1}'`, "string", `{"a": 1}`},
		{"varbinary(4)", "x'dead'", "bytes", "dead"}, {"binary(3)", "x'dead'", "bytes", "dead00"}, {"blob", "x'00ff'", "bytes", "00ff"}, {"bit(1)", "b'1'", "int8", "1"},
		{"bit(5)", "b'10001'", "int8", "17"}, {"bit(12)", "b'100000000001'", "bytes", "0801"}, {"date", "'2024-02-29'", "int32 Date", "19782"}, {"year", "2024", "int32 Date", "19723"},
		{"time(6)", "'12:34:56.789012'", "int32 Time", "45296789"}, {"datetime(6)", "'2024-01-01 00:00:00.123456'", "int64 Timestamp", "1704067200123"},
		{"datetime", "'2024-01-01 00:00:00'", "int64 Timestamp", "1704067200000"}, {"timestamp(3)", "'2024-01-01 00:00:00.123'", "int64 Timestamp", "1704067200123"},
	}
}

func sqliteTypes() []typed {
	return []typed{
		{"INTEGER", "9223372036854775807", "int64", "9223372036854775807"}, {"TINYINT", "300", "int64", "300"}, {"BOOLEAN", "1", "boolean", "true"},
		{"REAL", "0.1", "float64", "0.1"}, {"DOUBLE", "3", "float64", "3"}, {"DECIMAL(12,2)", "-12.5", "bytes Decimal 2 12", "fb1e"}, {"NUMERIC", "1.5", "float64", "1.5"},
		{"VARCHAR(20)", "'Grüße'", "string", "Grüße"}, {"TEXT", "7", "string", "7"}, {"BLOB", "x'00ff'", "bytes", "00ff"}, {"TIME", "'10:00'", "string", "10:00"},
		{"DATE", "'2024-02-29'", "int32 Date", "19782"}, {"DATE", "1709164800000", "int32 Date", "19782"}, {"DATETIME", "'2024-01-01 00:00:00.123'", "int64 Timestamp", "1704067200123"},
		{"TIMESTAMP", "'2024-01-01T01:00:00+01:00'", "int64 Timestamp", "1704067200000"}, {"TIMESTAMP", "1704067200123", "int64 Timestamp", "1704067200123"},
		{"TIMESTAMP", "2460310.5", "int64 Timestamp", "1704067200000"},
	}
}

func TestNumericMapping(t *testing.T) {
	t.Parallel()
	columns := []struct{ column, none, precision, best, eager string }{
		{"numeric(2)", "bytes Decimal 0 2", "int8", "int8", "int8"},
		{"numeric(4)", "bytes Decimal 0 4", "int16", "int16", "int16"},
		{"numeric(9)", "bytes Decimal 0 9", "int32", "int32", "int32"},
		{"numeric(18)", "bytes Decimal 0 18", "int64", "int64", "int64"},
		{"numeric(19)", "bytes Decimal 0 19", "bytes Decimal 0 19", "bytes Decimal 0 19", "bytes Decimal 0 19"},
		{"numeric(12,2)", "bytes Decimal 2 12", "bytes Decimal 2 12", "float64", "float64"},
		{"numeric(30,2)", "bytes Decimal 2 30", "bytes Decimal 2 30", "bytes Decimal 2 30", "float64"},
	}
	on(t, func(t *testing.T, s *server) {
		var list []string
		for i, c := range columns {
			list = append(list, fmt.Sprintf("c%d %s NOT NULL", i, c.column))
		}
		s.exec(t, "CREATE TABLE t ("+strings.Join(list, ", ")+")", "INSERT INTO t VALUES (7, 7, 7, 7, 7, 7, 7)")
		for i, keys := range [][]string{nil, {"numeric.precision.mapping", "true"}, {"numeric.mapping", "best_fit"}, {"numeric.mapping", "best_fit_eager_double", "numeric.precision.mapping", "true"}} {
			rec := s.record(t, keys...)
			for n, c := range columns {
				if got, want := described(rec.Value.Schema.Fields[n].Schema), []string{c.none, c.precision, c.best, c.eager}[i]; got != want {
					t.Errorf("%s with %q: %s, want %s", c.column, keys, got, want)
				}
			}
		}
	}, sqldb.MariaDB)
}

func TestGranularity(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE t (at "+s.stampType()+" NOT NULL)", "INSERT INTO t VALUES ('2024-01-01 00:00:00.125')")
		for _, c := range []typed{
			{"connect_logical", "", "int64 Timestamp", "1704067200125"}, {"nanos_long", "", "int64", "1704067200125000000"},
			{"NANOS_STRING", "", "string", "1704067200125000000"}, {"nanos_iso_datetime_string", "", "string", "2024-01-01T00:00:00.125000000"},
		} {
			rec := s.record(t, "timestamp.granularity", c.column)
			if schema, value := described(rec.Value.Schema.Fields[0].Schema), printed(t, rec); schema != c.schema || value != c.value {
				t.Errorf("%s: %s %s", c.column, schema, value)
			}
		}
	}, sqldb.MariaDB)
}

// A zero date of MySQL is no date: null where that is allowed, else the row is reported.
func TestZeroDates(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE t (n int NOT NULL PRIMARY KEY, a date NULL, b datetime NULL)", "INSERT IGNORE INTO t VALUES (1, '0000-00-00', '0000-00-00')")
		if got := printed(t, s.record(t)); got != "1|null|null" {
			t.Error(got)
		}
		s.exec(t, "CREATE TABLE u (n int NOT NULL PRIMARY KEY, a bigint unsigned NOT NULL)", "INSERT INTO u VALUES (1, 18446744073709551615), (2, 7)")
		r := s.start(t, nil, "mode", "incrementing", "table.whitelist", "u", "incrementing.column.name", "n")
		want(t, r.next(1), "u 2|7")
		if len(r.reported) != 1 || !strings.Contains(r.reported[0], `"18446744073709551615" is no integer of 64 bits`) {
			t.Errorf("reported %q", r.reported)
		}
	}, sqldb.PostgreSQL, sqldb.SQLite)
}
