package s3

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// parsed returns a partitioner by its configuration.
func parsed(t *testing.T, config ...string) partitioner {
	t.Helper()
	raw := baseConfig(config...)
	v, problems := newDefinition().Parse(raw)
	for _, p := range problems {
		if p.IsError() {
			t.Fatal(p)
		}
	}
	s, err := newSettings(v, raw)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPartitioner(v, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestByTime(t *testing.T) {
	instant := time.Date(2026, 3, 29, 1, 30, 5, 0, time.UTC) // 03:30 in Rome, half an hour after its clocks went forward
	for _, c := range []struct {
		config []string
		want   string
	}{
		{[]string{"partitioner.class", "hourly"}, "year=2026/month=03/day=29/hour=01"},
		{[]string{"partitioner.class", "hourly", "timezone", "Europe/Rome"}, "year=2026/month=03/day=29/hour=03"},
		{[]string{"partitioner.class", "daily", "timezone", "America/New_York"}, "year=2026/month=03/day=28"},
		{[]string{"partitioner.class", "daily", "path.format", "'x'=YYYY"}, "year=2026/month=03/day=29"},
		{[]string{"partitioner.class", "daily", "directory.delim", "_"}, "year=2026_month=03_day=29"},
		{[]string{"partitioner.class", "time", "path.format", "'dt'=YYYY-MM-dd/HHmm/", "partition.duration.ms", "900000"}, "dt=2026-03-29/0130"},
		{[]string{"partitioner.class", "time", "path.format", "HH:mm:ss", "partition.duration.ms", "7200000", "timezone", "Asia/Kolkata"}, "06:00:00"},
		{[]string{"partitioner.class", "time", "path.format", "HH z Z ZZ", "partition.duration.ms", "3600000", "timezone", "Europe/Rome"}, "03 CEST +0200 +02:00"},
		{[]string{"partitioner.class", "time", "path.format", "HH ZZZ", "partition.duration.ms", "3600000", "timezone", "Europe/Rome"}, "03 Europe/Rome"},
		{[]string{"partitioner.class", "time", "path.format", "YYYY", "partition.duration.ms", "3600000", "s3.schema.partition.affix.type", "SUFFIX"}, "2026/schema_name=null"},
	} {
		p := parsed(t, append([]string{"timestamp.extractor", "Record"}, c.config...)...)
		for range 2 { // the second one comes from the partitioner's memory
			got, at, err := p.appendPath(nil, 0, &connectors.Record{Timestamp: instant.UnixMilli()}, 0)
			if err != nil || string(got) != c.want || at != instant.UnixMilli() {
				t.Errorf("%q: %s at %d, want %s: %v", c.config, got, at, c.want, err)
			}
		}
	}
}

func TestExtractors(t *testing.T) {
	nested := &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{
		{Name: "x", Schema: connectors.OptionalStringSchema},
		{Name: "ms", Schema: connectors.Int64Schema},
		{Name: "iso", Schema: connectors.StringSchema},
		{Name: "micros", Schema: &connectors.Schema{Type: connectors.Int64, Name: debeziumMicros}},
		{Name: "day", Schema: &connectors.Schema{Type: connectors.Int32, Name: connectors.DateName}},
		{Name: "null", Schema: connectors.OptionalInt64Schema},
		{Name: "flag", Schema: connectors.BooleanSchema},
	}}
	outer := &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{{Name: "before", Schema: connectors.OptionalStringSchema}, {Name: "in", Schema: nested.AsOptional()}}}
	b := connectors.AppendPresent([]byte{0}, outer.Fields[1].Schema)
	b = connectors.AppendInt(append(b, 0), 3_600_000)
	b = connectors.AppendString(b, "1970-01-01T02:00:00Z")
	b = connectors.AppendInt(connectors.AppendInt(b, 3*3_600_000_000), 1)
	b = append(b, 0, 1)
	structured := connectors.Data{Schema: outer, Bytes: b}
	schemaless := connectors.Data{Bytes: []byte(`{"in":{"ms":3600000,"iso":"1970-01-01T02:00:00+00:00","float":3600000.0,"obj":{}}}`)}
	for _, c := range []struct {
		field string
		value connectors.Data
		want  string // "" is an error
	}{
		{"in.ms", structured, "1970-01-01T01"}, {"in.iso", structured, "1970-01-01T02"}, {"in.micros", structured, "1970-01-01T03"},
		{"in.day", structured, "1970-01-02T00"}, {"in.null", structured, ""}, {"in.flag", structured, ""}, {"nothing", structured, ""}, {"before", structured, ""},
		{"in.ms", schemaless, "1970-01-01T01"}, {"in.iso", schemaless, "1970-01-01T02"}, {"in.float", schemaless, "1970-01-01T01"}, {"in.obj", schemaless, ""}, {"in.no", schemaless, ""},
	} {
		p := parsed(t, "partitioner.class", "time", "path.format", "YYYY-MM-dd'T'HH", "partition.duration.ms", "3600000",
			"timestamp.extractor", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner$RecordFieldTimestampExtractor", "timestamp.field", c.field)
		got, _, err := p.appendPath(nil, 0, &connectors.Record{Value: c.value}, 0)
		if (err != nil) != (c.want == "") || err == nil && string(got) != c.want {
			t.Errorf("%s: %s, %v; want %q", c.field, got, err, c.want)
		}
	}
	p := parsed(t, "partitioner.class", "hourly")
	if got, at, err := p.appendPath(nil, 0, &connectors.Record{Timestamp: 5}, 7_200_000); err != nil || at != 7_200_000 || !strings.HasSuffix(string(got), "hour=02") {
		t.Errorf("by the wall clock: %s, %d, %v", got, at, err)
	}
}

func TestByField(t *testing.T) {
	inner := &connectors.Schema{Type: connectors.Struct, Optional: true, Fields: []connectors.Field{{Name: "c", Schema: connectors.OptionalStringSchema}, {Name: "n", Schema: connectors.Int16Schema}}}
	s := &connectors.Schema{Type: connectors.Struct, Fields: []connectors.Field{
		{Name: "f", Schema: connectors.Float64Schema}, {Name: "b", Schema: connectors.BooleanSchema}, {Name: "s", Schema: connectors.StringSchema}, {Name: "in", Schema: inner}}}
	value := func(in connectors.Value) connectors.Data {
		b, err := connectors.AppendValue(nil, s, connectors.ListValue(connectors.Struct, []connectors.Value{
			connectors.FloatValue(connectors.Float64, 1), connectors.BoolValue(true), connectors.StringValue("a/b=ü"), in}))
		if err != nil {
			t.Fatal(err)
		}
		return connectors.Data{Schema: s, Bytes: b}
	}
	full := value(connectors.ListValue(connectors.Struct, []connectors.Value{connectors.Null(), connectors.IntValue(connectors.Int16, -3)}))
	for _, c := range []struct {
		fields string
		value  connectors.Data
		want   string // "" is an error
	}{
		{"b", full, "b=true"}, {"s,in.n", full, "s=a/b=ü/in.n=-3"}, {"in.c", full, "in.c=null"}, {"in.n", value(connectors.Null()), "in.n=null"},
		{"f", full, ""}, {"in", full, ""}, {"none", full, ""}, {"in.none", full, ""},
		{"a,b", connectors.Data{Bytes: []byte(`{"a":"x\u00fc","b":12}`)}, "a=xü/b=12"}, {"a", connectors.Data{Bytes: []byte(`{"a":null}`)}, "a=null"},
		{"a", connectors.Data{Bytes: []byte(`{"a":[1]}`)}, ""}, {"a", connectors.Data{Bytes: []byte(`7`)}, ""},
		{"a", connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, "x")}, ""},
		{"s", connectors.Data{Schema: s, Bytes: full.Bytes[:9]}, ""},
	} {
		p := parsed(t, "partitioner.class", "field", "partition.field.name", c.fields)
		got, _, err := p.appendPath(nil, 0, &connectors.Record{Value: c.value}, 0)
		if (err != nil) != (c.want == "") || err == nil && string(got) != c.want {
			t.Errorf("%s: %s, %v; want %q", c.fields, got, err, c.want)
		}
	}
	p := parsed(t, "partitioner.class", "field", "partition.field.name", "b,s", "partition.field.format.path", "false")
	if got, _, err := p.appendPath(nil, 0, &connectors.Record{Value: full}, 0); err != nil || string(got) != "true/a/b=ü" {
		t.Errorf("without names: %s, %v", got, err)
	}
}

func TestPattern(t *testing.T) {
	at := time.Date(2027, 1, 2, 15, 4, 5, 67_000_000, time.UTC) // a Saturday, in week 53 of 2026
	for _, c := range []struct{ pattern, want string }{
		{"YYYY-MM-dd HH:mm:ss.SSS", "2027-01-02 15:04:05.067"}, {"yyyy/M/d", "2027/1/2"}, {"YY", "27"}, {"xxxx-'W'ww-e", "2026-W53-6"},
		{"DDD", "002"}, {"MMM MMMM", "Jan January"}, {"E EEEE", "Sat Saturday"}, {"hh a K k", "03 PM 3 15"}, {"G C", "AD 20"},
		{"'o''clock' ''", "o'clock '"}, {"'year'=YYYY", "year=2027"}, {"S SSSSSSSSSSS", "0 06700000000"}, {"z Z ZZ ZZZ", "UTC +0000 +00:00 UTC"}, {"YYYYYY", "002027"},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := string(p.append(nil, at)); got != c.want {
			t.Errorf("%s: %s, want %s", c.pattern, got, c.want)
		}
	}
	for _, bad := range []string{"'year=YYYY", "year", "b", strings.Repeat("Y", 65)} {
		if err := checkPattern(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", "'o''clock'", "''''", "zZZZZ SSS", "'", "ü", "GCxweEaKk"} {
		f.Add(s, int64(0))
		f.Add(s, int64(-62_200_000_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, ms int64) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		out := p.append(nil, time.UnixMilli(ms).UTC())
		if limit := 70 + 70*len(text); len(out) > limit {
			t.Errorf("%d bytes out of a pattern of %d", len(out), len(text))
		}
		if again := p.append(nil, time.UnixMilli(ms).UTC()); string(again) != string(out) {
			t.Errorf("%q, and then %q", out, again)
		}
	})
}
