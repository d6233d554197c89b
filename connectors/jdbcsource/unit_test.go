package jdbcsource

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehub/sluice/connectors"
)

func TestDefinition(t *testing.T) {
	t.Parallel()
	if err := definition.Verify(); err != nil {
		t.Error(err)
	}
}

// The statements are Confluent's, spelled as each database reads them.
func TestStatements(t *testing.T) {
	t.Parallel()
	id, at, made, zoned := column{name: "id", typ: sqlInt}, column{name: "at", typ: sqlTimestamp}, column{name: "made", typ: sqlTimestamp}, column{name: "at", typ: sqlZonedTimestamp}
	begin, end := position{id: 7, at: instant{1704067200, 123456000}}, instant{1704067260, 0}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		d    dialect
		s    settings
		t    *table
		by   criteria
		want string
	}{
		{&postgres{}, settings{mode: bulk, quoted: true}, &table{schema: "public", name: `a"b`}, criteria{}, `SELECT * FROM "public"."a""b"`},
		{&postgres{}, settings{mode: incrementing, quoted: true}, &table{schema: "s", name: "t"}, criteria{growing: &id},
			`SELECT * FROM "s"."t" WHERE "id" > 7 ORDER BY "id" ASC`},
		{&mysqlDialect{}, settings{mode: timestamp, quoted: true, suffix: "LIMIT 5"}, &table{catalog: "d", name: "t"}, criteria{stamps: []*column{&at}},
			"SELECT * FROM `d`.`t` WHERE `at` > TIMESTAMP'2024-01-01 00:00:00.123456' AND `at` < TIMESTAMP'2024-01-01 00:01:00.000000' ORDER BY `at` ASC LIMIT 5"},
		{&postgres{}, settings{mode: timestamp, query: "SELECT * FROM t"}, nil, criteria{stamps: []*column{&at, &made}},
			`SELECT * FROM t WHERE COALESCE(at,made) > '2024-01-01 00:00:00.123456' AND COALESCE(at,made) < '2024-01-01 00:01:00.000000' ORDER BY COALESCE(at,made) ASC`},
		{&postgres{}, settings{mode: timestampIncrementing, quoted: true, zone: berlin}, &table{schema: "s", name: "t"}, criteria{growing: &id, stamps: []*column{&at}},
			`SELECT * FROM "s"."t" WHERE "at" < '2024-01-01 01:01:00.000000' AND (("at" = '2024-01-01 01:00:00.123456' AND "id" > 7) OR "at" > '2024-01-01 01:00:00.123456') ORDER BY "at","id" ASC`},
		{&postgres{}, settings{mode: timestamp, quoted: true, zone: berlin}, &table{schema: "s", name: "t"}, criteria{stamps: []*column{&zoned}},
			`SELECT * FROM "s"."t" WHERE "at" > '2024-01-01 00:00:00.123456+00' AND "at" < '2024-01-01 00:01:00.000000+00' ORDER BY "at" ASC`},
		{&sqliteDialect{}, settings{mode: incrementing, quoted: true}, &table{name: "t"}, criteria{growing: &id}, `SELECT * FROM "t" WHERE "id" > 7 ORDER BY "id" ASC`},
	} {
		if c.s.zone == nil {
			c.s.zone = time.UTC
		}
		if d := cmp.Diff(c.want, c.s.statement(c.d, c.s.ask(c.d, c.t), c.by, begin, end)); d != "" {
			t.Error(d)
		}
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{{"", "", true}, {"", "a", false}, {"%", "", true}, {"a%", "abc", true}, {"%c", "abc", true}, {"a_c", "abc", true}, {"a_", "abc", false},
		{`a\_c`, "abc", false}, {`a\_c`, "a_c", true}, {"abc", "ab", false}} {
		if like(c.pattern, c.text) != c.want {
			t.Errorf("%q like %q is not %v", c.text, c.pattern, c.want)
		}
	}
}

func TestTheFilterNamesTablesInAllWays(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	tables := []table{{schema: "public", name: "orders", kind: "TABLE"}, {schema: "audit", name: "log", kind: "TABLE"}, {schema: "public", name: "v", kind: "VIEW"},
		{schema: "public", name: "_sluice_offsets", kind: "TABLE"}}
	for _, c := range []struct {
		f    filter
		want string
	}{
		{filter{}, "audit.log public.orders"},
		{filter{types: []string{"VIEW"}}, "public.v"},
		{filter{include: []string{"orders"}}, "public.orders"},
		{filter{include: []string{"audit.log", "shop.public.orders", "none"}}, "audit.log public.orders"},
		{filter{exclude: []string{"log"}}, "public.orders"},
		{filter{include: []string{"_sluice_offsets"}}, "public._sluice_offsets"},
		{filter{schema: text("aud%")}, "audit.log"},
		{filter{schema: text("")}, ""},
		{filter{catalog: text("shop")}, "audit.log public.orders"},
		{filter{catalog: text("other")}, ""},
	} {
		c.f.database = "shop"
		if c.f.types == nil {
			c.f.types = []string{"TABLE"}
		}
		got, err := c.f.chosen(tables, "")
		var names []string
		for _, t := range got {
			names = append(names, t.String())
		}
		if strings.Join(names, " ") != c.want || err != nil {
			t.Errorf("%+v chooses %q, %v; want %s", c.f, names, err, c.want)
		}
	}
	two := []table{{catalog: "a", name: "t", kind: "TABLE"}, {catalog: "b", name: "t", kind: "TABLE"}}
	f := filter{types: []string{"TABLE"}}
	if _, err := f.chosen(two, ""); connectors.ClassOf(err) != connectors.ClassConfig {
		t.Errorf("two tables for one topic: %v", err)
	}
	if got, err := f.chosen(two, "a"); len(got) != 1 || err != nil {
		t.Errorf("the tables of database a: %v, %v", got, err)
	}
}

func TestOffsetsOfPeople(t *testing.T) {
	t.Parallel()
	config := map[string]string{keyURL: "jdbc:postgresql://h/d", keyMode: "incrementing"}
	for _, c := range []struct {
		partition, offset string
		ok                bool
	}{
		{`{"protocol":"1","table":"public.t"}`, `{"incrementing":1}`, true},
		{`{"table":"t"}`, `{"timestamp":1700000000123,"timestamp_nanos":123456000}`, true},
		{`{"protocol":"1","table":"t"}`, ``, true},
		{`{"protocol":"1","table":"t"}`, `{}`, true},
		{`{"query":"query"}`, `{}`, false}, // it reads tables
		{`{"query":"other"}`, `{}`, false},
		{`{"protocol":"2","table":"t"}`, `{}`, false},
		{`{"protocol":"1"}`, `{}`, false},
		{`{"protocol":"1","table":"t"}`, `{"timestamp_nanos":1}`, false},
		{`{"protocol":"1","table":"t"}`, `{"timestamp":1,"timestamp_nanos":1000000000}`, false},
		{`{"protocol":"1","table":"t"}`, `{"incrementing":"1"}`, false},
		{`{"protocol":"1","table":"t"}`, `{"id":1}`, false},
		{`t`, `1`, false},
	} {
		o := connectors.SourceOffset{Partition: []byte(c.partition)}
		if c.offset != "" {
			o.Offset = []byte(c.offset)
		}
		done, err := New().AlterOffsets(t.Context(), config, []connectors.SourceOffset{o})
		if done != c.ok || (err == nil) != c.ok {
			t.Errorf("%s %s: %v, %v", c.partition, c.offset, done, err)
		}
	}
}

func TestInstants(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2024-02-29":                          "2024-02-29T00:00:00.000000000",
		"2024-02-29 12:34:56.789":             "2024-02-29T12:34:56.789000000",
		"2024-02-29T12:34Z":                   "2024-02-29T12:34:00.000000000",
		"2024-02-29 00:30:00.123456789+01":    "2024-02-28T23:30:00.123456789",
		"2024-02-29 00:30:00-03:30":           "2024-02-29T04:00:00.000000000",
		"1969-12-31 23:59:59.999":             "1969-12-31T23:59:59.999000000",
		"12024-01-01 00:00:00":                "12024-01-01T00:00:00.000000000",
		"0044-03-15 12:00:00 BC":              "-043-03-15T12:00:00.000000000",
		"2024-02-30 00:00:00":                 "",
		"0000-00-00 00:00:00":                 "",
		"infinity":                            "",
		"2024-01-01 25:00:00":                 "",
		"2024-01-01 10:00:00 Europe/Berlin":   "",
		"2024-01-01 00:00:00.0000000001+00:0": "",
	} {
		at, _, err := parseInstant([]byte(text))
		got := ""
		if err == nil {
			got = string(at.appendTo(nil, 'T', 9))
		}
		if got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestNanosAsText(t *testing.T) {
	t.Parallel()
	for want, at := range map[string]instant{"0": {0, 0}, "5": {0, 5}, "1000000005": {1, 5}, "-1": {-1, 999999999}, "-1000000000": {-1, 0}, "-1500000000": {-2, 500000000}, "-999999995": {-1, 5}} {
		b, err := appendNanosText(nil, at)
		if err != nil || string(b[1:]) != want {
			t.Errorf("%v is %q, %v; want %s", at, b, err, want)
		}
	}
	if _, err := appendNanos(nil, instant{20e9, 0}); err == nil {
		t.Error("a time of the year 2800 in nanoseconds")
	}
}

// FuzzInstant: what is taken for a timestamp is the same one again when it is printed.
func FuzzInstant(f *testing.F) {
	for _, seed := range []string{"2024-02-29 12:34:56.789012345+05:30", "2024-02-29", "0044-03-15 12:00:00 BC", "-838:59:59.5", "24:00:00", "0000-00-00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if nanos, rest, ok := parseClock([]byte(text)); ok && (nanos > 1000*3600e9 || nanos < -1000*3600e9 || len(rest) > len(text)) {
			t.Fatalf("%q is a clock of %d ns", text, nanos)
		}
		at, _, err := parseInstant([]byte(text))
		if err != nil || at.seconds < -62167219200 || at.seconds > 253402300799 { // years 0 to 9999
			return
		}
		again, _, err := parseInstant(at.appendTo(nil, ' ', 9))
		if err != nil || again != at {
			t.Fatalf("%q is %v, and printed %v, %v", text, at, again, err)
		}
	})
}

// FuzzOffset: an offset that is taken is the same one again when it is stored.
func FuzzOffset(f *testing.F) {
	f.Add(`{"protocol":"1","table":"t"}`, `{"incrementing":1,"timestamp":1700000000123,"timestamp_nanos":123456000}`)
	f.Add(`{"query":"query"}`, `{}`)
	f.Fuzz(func(t *testing.T, partition, offset string) {
		_, _ = readPartition([]byte(partition))
		o, err := readOffset([]byte(offset))
		if err != nil || o.Timestamp == nil || o.Nanos == nil || o.Incrementing == nil || *o.Nanos/1e6 != ofMilliseconds(*o.Timestamp).milliseconds()-ofMilliseconds(*o.Timestamp).seconds*1000 {
			return
		}
		p, _ := position{}.withOffset(o)
		again, err := readOffset(p.encode(timestampIncrementing))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(o, again); d != "" {
			t.Fatalf("%s: %s", offset, d)
		}
	})
}

// FuzzReaders: no text of a database makes a reader panic, or write what is no value of its schema.
func FuzzReaders(f *testing.F) {
	for _, seed := range []string{"t", "-12.50", "NaN", `\xdeadbeef`, "10101", "-$1,234.50", "2024-02-29 12:34:56+00", "23:59:60", "10:00:00+02", ""} {
		f.Add([]byte(seed), byte(3))
	}
	s := settings{zone: time.UTC, numerics: numericsBestFit}
	f.Fuzz(func(t *testing.T, text []byte, kind byte) {
		for typ := sqlBool; typ <= sqlZonedTimestamp; typ++ {
			c := column{name: "c", typ: typ, bits: 16, precision: int(kind), scale: 2, native: map[bool]string{true: "bit"}[kind%2 == 0], nullable: kind%3 == 0}
			schema, read := s.field(&c)
			v := cell{kind: cellKind(kind%5) + 1, b: text, i: int64(kind), f: float64(kind) / 3}
			encoded, err := read(connectors.AppendPresent(nil, schema), &v)
			if err != nil {
				continue
			}
			if _, rest, err := connectors.ReadValue(schema, encoded); err != nil || len(rest) > 0 {
				t.Fatalf("type %d of %q: %x, %v", typ, text, encoded, err)
			}
		}
	})
}
