package s3

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehub/sluice/connectors"
)

// at is a record of a number of seconds after the start of an hour.
func at(offset int64, seconds int, value string) connectors.Record {
	r := order(offset, value)
	r.Timestamp = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second).UnixMilli()
	return r
}

// step is something that a test does to a task.
type step struct {
	put  []connectors.Record
	wait time.Duration
	// want is the position after it.
	want int64
}

func TestRotation(t *testing.T) {
	byTime := []string{"partitioner.class", "io.confluent.connect.storage.partitioner.HourlyPartitioner", "timestamp.extractor", "Record",
		"locale", "en-US", "timezone", "UTC"}
	const hour10, hour11 = "topics/orders/year=2026/month=11/day=21/hour=10/", "topics/orders/year=2026/month=11/day=21/hour=11/"
	for _, c := range []struct {
		name   string
		config []string
		steps  []step
		want   map[string]string
	}{
		{name: "size", steps: []step{{put: []connectors.Record{order(0, "0"), order(1, "1")}, want: 0}, {put: []connectors.Record{order(2, "2"), order(3, "3")}, want: 3}},
			want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n1\n2\n"}},
		{name: "a size in one batch", steps: []step{{put: []connectors.Record{order(7, "7"), order(8, "8"), order(10, "10"), order(11, "11"), order(12, "12"), order(15, "15"), order(16, "16")}, want: 16}},
			want: map[string]string{"topics/orders/partition=0/orders+0+0000000007.json": "7\n8\n10\n", "topics/orders/partition=0/orders+0+0000000011.json": "11\n12\n15\n"}},
		{name: "schedule", config: []string{"rotate.schedule.interval.ms", "60000"},
			steps: []step{{put: []connectors.Record{order(0, "0")}, want: 0}, {wait: 59 * time.Second, want: 0}, {wait: time.Second, want: 1},
				{wait: 30 * time.Second, want: 1}, {put: []connectors.Record{order(1, "1")}, want: 1}, {wait: 29 * time.Second, want: 1}, {wait: 2 * time.Second, want: 2}},
			want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n", "topics/orders/partition=0/orders+0+0000000001.json": "1\n"}},
		{name: "record time", config: append([]string{"rotate.interval.ms", "600000", "flush.size", "100"}, byTime...),
			steps: []step{{put: []connectors.Record{at(0, 0, "0"), at(1, 599, "1"), at(2, 600, "2"), at(3, 1199, "3"), at(4, 1200, "4")}, want: 4}},
			want:  map[string]string{hour10 + "orders+0+0000000000.json": "0\n1\n", hour10 + "orders+0+0000000002.json": "2\n3\n"}},
		{name: "record time of an idle partition", config: append([]string{"rotate.interval.ms", "600000", "flush.size", "100"}, byTime...),
			steps: []step{{put: []connectors.Record{at(0, 0, "0")}, want: 0}, {wait: 599 * time.Second, want: 0}, {wait: 2 * time.Second, want: 1}},
			want:  map[string]string{hour10 + "orders+0+0000000000.json": "0\n"}},
		{name: "another path rotates", config: append([]string{"rotate.interval.ms", "600000", "flush.size", "100"}, byTime...),
			steps: []step{{put: []connectors.Record{at(0, 3599, "0"), at(1, 3600, "1"), at(2, 3598, "2"), at(3, 3601, "3")}, want: 3}},
			want:  map[string]string{hour10 + "orders+0+0000000000.json": "0\n", hour11 + "orders+0+0000000001.json": "1\n", hour10 + "orders+0+0000000002.json": "2\n"}},
		{name: "another path does not rotate", config: append([]string{"rotate.interval.ms", "600000", "rotate.file.on.partition.change", "false"}, byTime...),
			steps: []step{{put: []connectors.Record{at(0, 3599, "0"), at(1, 3600, "1"), at(2, 3598, "2"), at(3, 3601, "3")}, want: 3}},
			want:  map[string]string{hour10 + "orders+0+0000000000.json": "0\n2\n", hour11 + "orders+0+0000000001.json": "1\n"}},
		{name: "interval without a time is off", config: []string{"rotate.interval.ms", "1"},
			steps: []step{{put: []connectors.Record{order(0, "0"), order(5000, "1")}, want: 0}, {wait: time.Hour, want: 0}}},
		{name: "size counts over all paths", config: []string{"partitioner.class", "FieldPartitioner", "partition.field.name", "f"},
			steps: []step{{put: []connectors.Record{order(0, `{"f":1}`), order(1, `{"f":2}`), order(2, `{"f":1}`), order(3, `{"f":1}`)}, want: 3}},
			want:  map[string]string{"topics/orders/f=1/orders+0+0000000000.json": "{\"f\":1}\n{\"f\":1}\n", "topics/orders/f=2/orders+0+0000000001.json": "{\"f\":2}\n"}},
		{name: "number of open files", config: []string{"partitioner.class", "field", "partition.field.name", "f", "partitioner.max.open.files", "1"},
			steps: []step{{put: []connectors.Record{order(0, `{"f":1}`), order(1, `{"f":2}`)}, want: 1}},
			want:  map[string]string{"topics/orders/f=1/orders+0+0000000000.json": "{\"f\":1}\n"}},
		{name: "names", config: []string{"topics.dir", "", "directory.delim", "_", "file.delim", "-", "filename.offset.zero.pad.width", "3", "flush.size", "1"},
			steps: []step{{put: []connectors.Record{order(5, "5"), order(12345, "6")}, want: 12346}},
			want:  map[string]string{"orders_partition=0_orders-0-005.json": "5\n", "orders_partition=0_orders-0-12345.json": "6\n"}},
		{name: "schema name in the path", config: []string{"s3.schema.partition.affix.type", "PREFIX", "flush.size", "1"},
			steps: []step{{put: []connectors.Record{order(0, "0")}, want: 1}},
			want:  map[string]string{"topics/orders/schema_name=null/partition=0/orders+0+0000000000.json": "0\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newFakeStore()
				r := startRun(t, st, baseConfig(c.config...))
				defer r.stop()
				for i, s := range c.steps {
					time.Sleep(s.wait)
					r.put(s.put...)
					r.put() // as the hub does while there is nothing
					if got := r.flush(); got != s.want {
						t.Fatalf("position %d after step %d, want %d", got, i, s.want)
					}
				}
				got := map[string]string{}
				for _, name := range st.names() {
					got[name] = st.content(name)
				}
				if len(got) == 0 {
					got = nil
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestNulls(t *testing.T) {
	null := func(offset int64) connectors.Record {
		r := order(offset, "")
		r.Value = connectors.Data{}
		return r
	}
	records := []connectors.Record{order(0, "0"), null(1), null(2), order(3, "3")}
	for _, c := range []struct {
		config []string
		bad    int
		want   map[string]string
	}{
		{config: []string{"flush.size", "2"}, bad: 2, want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n3\n"}},
		{config: []string{"flush.size", "2", "behavior.on.null.values", "ignore"}, want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n3\n"}},
		{config: []string{"flush.size", "2", "behavior.on.null.values", "ignore", "errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dlq"}, bad: 2,
			want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n3\n"}},
		{config: []string{"flush.size", "5", "behavior.on.null.values", "write", "store.kafka.keys", "true", "keys.format.class", "json"},
			want: map[string]string{"topics/orders/partition=0/orders+0+0000000000.json": "0\n", "topics/orders/partition=0/orders+0+0000000000.keys.json": "\"k0\"\n",
				"topics/orders/tombstone/orders+0+0000000001.keys.json": "\"k1\"\n\"k2\"\n"}},
	} {
		t.Run(strings.Join(c.config, " "), func(t *testing.T) {
			st := newFakeStore()
			r := startRun(t, st, baseConfig(c.config...))
			defer r.stop()
			r.put(records...)
			r.flush()
			got := map[string]string{}
			for _, name := range st.names() {
				got[name] = st.content(name)
			}
			if d := cmp.Diff(c.want, got); d != "" || len(r.bad) != c.bad {
				t.Errorf("%d records were reported, want %d\n%s", len(r.bad), c.bad, d)
			}
		})
	}
}

func TestPositionAfterTrailingNulls(t *testing.T) {
	st := newFakeStore()
	r := startRun(t, st, baseConfig("behavior.on.null.values", "ignore"))
	defer r.stop()
	r.put(order(0, "0"), order(1, "1"), order(2, "2"), connectors.Record{Topic: "orders", Offset: 3})
	if got := r.flush(); got != 4 {
		t.Errorf("position %d, want 4: nothing is waiting", got)
	}
}

func TestBadRecordsAreReportedOnce(t *testing.T) {
	st := newFakeStore()
	r := startRun(t, st, baseConfig("partitioner.class", "time", "path.format", "YYYY", "partition.duration.ms", "3600000", "timestamp.extractor", "Record"))
	defer r.stop()
	noTime := order(1, "1")
	noTime.Timestamp = connectors.NoTimestamp
	r.put(order(0, "0"), noTime, order(2, "{\n"), order(3, "3"), order(4, "4"))
	if got := r.flush(); got != 5 {
		t.Errorf("position %d, want 5", got)
	}
	var bad []int64
	for _, b := range r.bad {
		bad = append(bad, b.Offset)
	}
	if !slices.Equal(bad, []int64{1, 2}) {
		t.Errorf("reported %v, want 1 and 2", bad)
	}
	if got := st.content("topics/orders/2023/orders+0+0000000000.json"); got != "0\n3\n4\n" {
		t.Errorf("file holds %q", got)
	}
}

func TestSchemaChange(t *testing.T) {
	v1 := &connectors.Schema{Type: connectors.Struct, Name: "o", Version: 1, Fields: []connectors.Field{{Name: "a", Schema: connectors.Int32Schema}}}
	v2 := &connectors.Schema{Type: connectors.Struct, Name: "o", Version: 2, Fields: []connectors.Field{{Name: "a", Schema: connectors.Int64Schema},
		{Name: "b", Schema: connectors.OptionalStringSchema}}}
	same := *v1
	record := func(offset int64, s *connectors.Schema) connectors.Record {
		r := order(offset, "")
		r.Value = connectors.Data{Schema: s, Bytes: connectors.AppendInt(nil, offset)}
		if s == v2 {
			r.Value.Bytes = append(r.Value.Bytes, 0)
		}
		return r
	}
	const dir = "topics/orders/partition=0/orders+0+000000000"
	for _, c := range []struct {
		mode string
		want map[string]string
	}{
		{"NONE", map[string]string{dir + "0.json": "{\"a\":0}\n{\"a\":1}\n", dir + "2.json": "{\"a\":2,\"b\":null}\n", dir + "3.json": "{\"a\":3}\n"}},
		{"BACKWARD", map[string]string{dir + "0.json": "{\"a\":0}\n{\"a\":1}\n", dir + "2.json": "{\"a\":2,\"b\":null}\n{\"a\":3,\"b\":null}\n{\"a\":4,\"b\":null}\n"}},
		{"FORWARD", map[string]string{dir + "0.json": "{\"a\":0}\n{\"a\":1}\n", dir + "2.json": "{\"a\":2,\"b\":null}\n", dir + "3.json": "{\"a\":3}\n"}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			st := newFakeStore()
			r := startRun(t, st, baseConfig("schema.compatibility", c.mode))
			defer r.stop()
			r.put(record(0, v1), record(1, &same), record(2, v2), record(3, v1), record(4, v2))
			r.flush()
			got := map[string]string{}
			for _, name := range st.names() {
				got[name] = st.content(name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNextSchedule(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now      string
		interval time.Duration
		zone     *time.Location
		want     string
	}{
		{"2026-11-21T10:00:00Z", time.Hour, time.UTC, "2026-11-21T11:00:00Z"},
		{"2026-11-21T10:59:59Z", time.Hour, time.UTC, "2026-11-21T11:00:00Z"},
		{"2026-11-21T22:00:00Z", 7 * time.Hour, time.UTC, "2026-11-22T00:00:00Z"},
		{"2026-11-21T10:00:00Z", 48 * time.Hour, time.UTC, "2026-11-22T00:00:00Z"},
		{"2026-11-21T10:30:00Z", 24 * time.Hour, rome, "2026-11-21T23:00:00Z"},
		{"2026-03-29T00:30:00Z", 24 * time.Hour, rome, "2026-03-29T22:00:00Z"}, // a day of 23 hours
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		if got := nextSchedule(now, c.interval, c.zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("after %s every %v in %v: %s, want %s", c.now, c.interval, c.zone, got, c.want)
		}
	}
}
