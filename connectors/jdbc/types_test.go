package jdbc

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

// Every type becomes a column that holds the value exactly, made by auto.create.
func TestTypes(t *testing.T) {
	t.Parallel()
	decimal := func(precision, scale int) *connectors.Schema { return cdc.Decimal(precision, scale) }
	logical := cdc.Logical
	const us = 1709209296789012 // 2024-02-29 12:21:36.789012
	cases := []struct {
		schema              *connectors.Schema
		value               any
		pg, my, maria, lite string // an empty one of my to lite is as the one before
	}{
		{connectors.BooleanSchema, true, "t", "1", "", ""},
		{connectors.Int8Schema, -128, "-128", "", "", ""},
		{connectors.Int16Schema, 32767, "32767", "", "", ""},
		{connectors.Int32Schema, math.MinInt32, "-2147483648", "", "", ""},
		{connectors.Int64Schema, math.MaxInt64, "9223372036854775807", "", "", ""},
		{connectors.Float32Schema, 1.5, "1.5", "", "", ""},
		{connectors.Float64Schema, 0.1, "0.1", "", "", ""},
		{connectors.StringSchema, "it's \"5€\" \\ 😀\n", "it's \"5€\" \\ 😀\n", "", "", ""},
		{connectors.BytesSchema, "\x00\xff'", `\x00ff27`, "\x00\xff'", "", ""},
		{decimal(12, 2), []byte{0x07, 0xcf}, "19.99", "", "", ""},
		{decimal(38, 10), []byte{0x4b, 0x3b, 0x4c, 0xa8, 0x5a, 0x86, 0xc4, 0x7a, 0x09, 0x8a, 0x22, 0x3f, 0xff, 0xff, 0xff, 0xff},
			"9999999999999999999999999999.9999999999", "", "", ""},
		{decimal(0, 3), []byte{0xff}, "-0.001", "", "", ""},
		{cdc.VariableScaleDecimal(), []any{5, []byte{0x01, 0xe2, 0x40}}, "1.23456", "", "", ""},
		{logical(connectors.Int32, connectors.DateName), -1, "1969-12-31", "", "", ""},
		{logical(connectors.Int32, cdc.DateName), 19782, "2024-02-29", "", "", ""},
		{logical(connectors.Int32, connectors.TimeName), 45296789, "12:34:56.789", "", "", ""},
		{logical(connectors.Int64, cdc.MicroTimeName), 45296789012, "12:34:56.789012", "", "", ""},
		{logical(connectors.Int64, cdc.NanoTimeName), 45296789012000, "12:34:56.789012", "", "", ""},
		{logical(connectors.Int64, connectors.TimestampName), us / 1000, "2024-02-29 12:21:36.789", "", "", ""},
		{logical(connectors.Int64, cdc.TimestampName), -1, "1969-12-31 23:59:59.999", "", "", ""},
		{logical(connectors.Int64, cdc.MicroTimestampName), us, "2024-02-29 12:21:36.789012", "", "", ""},
		{logical(connectors.Int64, cdc.NanoTimestampName), us * 1000, "2024-02-29 12:21:36.789012", "", "", ""},
		{logical(connectors.String, cdc.ZonedTimestampName), "2024-02-29T12:21:36.789012Z", "2024-02-29 12:21:36.789012+00", "2024-02-29 12:21:36.789012", "",
			"2024-02-29 12:21:36.789012+00:00"},
		{logical(connectors.String, cdc.ZonedTimestampName), "2024-02-29T13:21:36+01:00", "2024-02-29 12:21:36+00", "2024-02-29 12:21:36.000000", "",
			"2024-02-29 12:21:36+00:00"},
		{logical(connectors.String, cdc.IsoTimestampName), "2024-02-29T12:21:36.789012Z", "2024-02-29 12:21:36.789012", "", "", ""},
		{logical(connectors.String, cdc.IsoDateName), "2024-02-29Z", "2024-02-29", "", "", ""},
		{logical(connectors.String, cdc.IsoTimeName), "12:34:56.5Z", "12:34:56.5", "12:34:56.500000", "", "12:34:56.5"},
		{logical(connectors.String, cdc.ZonedTimeName), "12:34:56.5Z", "12:34:56.5+00", "12:34:56.5Z", "", ""},
		{logical(connectors.Int64, cdc.MicroDurationName), 93784005006, "26:03:04.005006", "93784005006", "", ""},
		{logical(connectors.String, cdc.IntervalName), "P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S", "", ""},
		{logical(connectors.Int32, cdc.YearName), 2155, "2155", "", "", ""},
		{logical(connectors.String, cdc.JSONName), `{"a": [1, "x"]}`, `{"a": [1, "x"]}`, "", "", ""},
		{logical(connectors.String, cdc.XMLName), "<a>1</a>", "<a>1</a>", "", "", ""},
		{logical(connectors.String, cdc.UUIDName), "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000", "", "", ""},
		{cdc.Enum(cdc.EnumName, "red,green"), "green", "green", "", "", ""},
		{cdc.Enum(cdc.EnumSetName, "red,green"), "red,green", "red,green", "", "", ""},
		{cdc.Bits(10), []byte{0x05, 0x02}, "1000000101", "\x02\x05", "", "1000000101"},
		{cdc.Point(), []any{1.5, -2.0, nil, nil}, "(1.5,-2)", "", "", ""},
		{cdc.Geometry(cdc.GeometryName), []any{[]byte{1, 2}, nil}, `\x0102`, "\x01\x02", "", ""},
		{cdc.Array(connectors.Int32Schema), []any{1, nil, 3}, "{1,NULL,3}", "[1, null, 3]", "[1,null,3]", ""},
		{cdc.Array(connectors.StringSchema), []any{`a"b`, "c,d", ""}, `{"a\"b","c,d",""}`, `["a\"b", "c,d", ""]`, `["a\"b","c,d",""]`, ""},
		{cdc.Array(cdc.Array(connectors.Int32Schema)), []any{[]any{1, 2}, []any{3, 4}}, "{{1,2},{3,4}}", "[[1, 2], [3, 4]]", "[[1,2],[3,4]]", ""},
		{structOf("s", "x", connectors.Int32Schema, "y", connectors.OptionalStringSchema), []any{1, nil}, `{"x":1,"y":null}`, `{"x": 1, "y": null}`, `{"x":1,"y":null}`, ""},
		{&connectors.Schema{Type: connectors.Map, Key: connectors.StringSchema, Elem: connectors.Int32Schema}, []any{"k", 1}, `{"k":1}`, `{"k": 1}`, `{"k":1}`, ""},
	}
	fields, values, nulls := []any{"id", connectors.Int64Schema}, []any{1}, []any{2}
	for i, c := range cases {
		fields = append(fields, fmt.Sprintf("f%d", i), c.schema.AsOptional())
		values, nulls = append(values, c.value), append(nulls, nil)
	}
	schema := structOf("types", fields...)
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, upsert...)
		r.put(connectors.Record{Key: data(keySchema, []any{1}), Value: data(schema, values)}, connectors.Record{Key: data(keySchema, []any{2}), Value: data(schema, nulls)})
		r.flush()
		if len(r.refused()) > 0 {
			t.Fatalf("refused: %v", r.causes)
		}
		for i, c := range cases {
			if c.my == "" {
				c.my = c.pg
			}
			if c.maria == "" {
				c.maria = c.my
			}
			if c.lite == "" {
				c.lite = c.maria
			}
			want := map[sqldb.Kind]string{sqldb.PostgreSQL: c.pg, sqldb.MySQL: c.my, sqldb.MariaDB: c.maria, sqldb.SQLite: c.lite}[s.kind]
			if got := s.rows(t, fmt.Sprintf("SELECT f%d FROM orders WHERE id = 1", i)); !slices.Equal(got, []string{want}) {
				t.Errorf("%s %s: got %q, want %q", c.schema.Type, c.schema.Name, got, want)
			}
			s.want(t, fmt.Sprintf("SELECT count(*) FROM orders WHERE id = 2 AND f%d IS NULL", i), "1")
		}
	})
}

// Dates that only some databases have arrive there, and are refused by the others.
func TestEndsOfTime(t *testing.T) {
	t.Parallel()
	schema := structOf("ends", "id", connectors.Int64Schema, "at", cdc.Logical(connectors.Int64, cdc.MicroTimestampName),
		"zoned", cdc.Logical(connectors.String, cdc.ZonedTimestampName), "day", cdc.Logical(connectors.Int32, cdc.DateName))
	record := func(id int, at int64, zoned string, day int) connectors.Record {
		return connectors.Record{Key: data(keySchema, []any{id}), Value: data(schema, []any{id, at, zoned, day})}
	}
	on(t, func(t *testing.T, s *server) {
		r := s.start(t, upsert...)
		r.put(record(1, cdc.PositiveInfinity, "infinity", math.MaxInt32), record(2, cdc.NegativeInfinity, "-infinity", math.MinInt32),
			record(3, cdc.EpochDays(-43, 3, 15)*microsPerDay, "-0043-03-15T00:00:00Z", int(cdc.EpochDays(-43, 3, 15))), record(4, 0, "1970-01-01T00:00:00Z", 0))
		r.flush()
		if s.kind != sqldb.PostgreSQL {
			if got := r.refused(); !slices.Equal(got, []int64{0, 1, 2}) {
				t.Errorf("refused: %v, %v", got, r.causes)
			}
			s.want(t, "SELECT id FROM orders", "4")
			return
		}
		s.want(t, "SELECT * FROM orders ORDER BY id", "1|infinity|infinity|infinity", "2|-infinity|-infinity|-infinity",
			"3|0044-03-15 00:00:00 BC|0044-03-15 00:00:00+00 BC|0044-03-15 BC", "4|1970-01-01 00:00:00|1970-01-01 00:00:00+00|1970-01-01")
	})
}

// Numbers and text that timestamp.fields.list names are timestamps.
func TestTimestampFields(t *testing.T) {
	t.Parallel()
	schema := structOf("row", "id", connectors.Int64Schema, "n", connectors.OptionalInt64Schema, "s", connectors.OptionalStringSchema,
		"iso", connectors.OptionalStringSchema, "other", connectors.OptionalInt64Schema)
	wrong := structOf("row", "id", connectors.Int64Schema, "n", connectors.OptionalInt32Schema)
	on(t, func(t *testing.T, s *server) {
		for _, c := range []struct{ mode, n, zone, want string }{
			{"microseconds", "1709209296789012", "UTC", "2024-02-29 12:21:36.789012"},
			{"nanoseconds", "1709209296789012000", "Europe/Berlin", "2024-02-29 13:21:36.789012"},
		} {
			n, err := strconv.ParseInt(c.n, 10, 64)
			must(t, err)
			r := s.start(t, append([]string{"timestamp.fields.list", "n, s,iso", "timestamp.precision.mode", c.mode, "db.timezone", c.zone, "table.name.format", c.mode}, upsert...)...)
			r.put(connectors.Record{Key: data(keySchema, []any{1}), Value: data(schema, []any{1, n, c.n, "2024-02-29T12:21:36.789012000", 7})},
				connectors.Record{Key: data(keySchema, []any{2}), Value: data(schema, []any{2, nil, nil, nil, nil})},
				connectors.Record{Key: data(keySchema, []any{3}), Value: data(schema, []any{3, 1, "soon", nil, nil})},
				connectors.Record{Key: data(keySchema, []any{4}), Value: data(wrong, []any{4, 1})})
			r.flush()
			if got := r.refused(); !slices.Equal(got, []int64{r.next - 2, r.next - 1}) {
				t.Errorf("refused: %v, %v", got, r.causes)
			}
			s.want(t, "SELECT * FROM "+c.mode+" ORDER BY id", fmt.Sprintf("1|%s|%[1]s|2024-02-29 12:21:36.789012|7", c.want), "2||||")
			stop(r)
		}
	})
}
