package transforms

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

const routerClass = "io.debezium.transforms.outbox.EventRouter"

// TestOutbox feeds the changes of an outbox through the router and compares with what Debezium's emitted: a snapshot,
// inserts, an update, and a delete with its tombstone.
func TestOutbox(t *testing.T) {
	for name, pairs := range map[string][]string{
		"plain":  nil,
		"expand": {"table.expand.json.payload", "true"},
		"nulls":  {"table.expand.json.payload", "true", "table.json.payload.null.behavior", "optional_bytes", "route.tombstone.on.empty.payload", "true"},
		"placed": {"table.fields.additional.placement", "type:header:eventType,tenant:envelope:ten,n:envelope,created:header", "table.field.event.schema.version", "ver"},
		"routed": {"table.field.event.timestamp", "ts6", "table.field.event.key", "tenant", "route.by.field", "type", "route.topic.regex", "(.*)ed",
			"route.topic.replacement", "rec_routed.evt_$1", "table.field.event.id", "aggregateid", "table.expand.json.payload", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			config := one(routerClass, append([]string{"route.topic.replacement", "rec_" + name + ".event.${routedByValue}"}, pairs...)...)
			want := map[string][]string{}
			for topic, lines := range readTopics(t, filepath.Join("testdata/debezium/outbox", name)) {
				for _, line := range lines {
					want[topic] = append(want[topic], steady(line))
				}
			}
			compareTopics(t, transformRecorded(t, "testdata/debezium/outbox/raw", config, "true"), want)
		})
	}
}

// outboxed returns the n-th recorded change of the outbox.
func outboxed(t *testing.T, n int) connectors.Record {
	t.Helper()
	const topic = "shop.public.outbox"
	in := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"})
	return readRecord(t, topic, readTopics(t, "testdata/debezium/outbox/raw")[topic][n], in, newConverter(t, "simple", nil))
}

func TestEventRouterOptions(t *testing.T) {
	for name, c := range map[string]struct {
		config    []string
		topic     string
		partition int32
		timestamp int64
	}{
		"milliseconds":       {[]string{"table.field.event.timestamp", "ts"}, "outbox.event.order", connectors.AnyPartition, 1704067200123},
		"microseconds":       {[]string{"table.field.event.timestamp", "ts6"}, "outbox.event.order", connectors.AnyPartition, 1704067200123},
		"partition":          {[]string{"table.field.event.timestamp", "ts", "table.fields.additional.placement", "ver:partition"}, "outbox.event.order", 1, 1704067200123},
		"a column missing":   {[]string{"table.field.event.timestamp", "ts", "table.fields.additional.placement", "zz:header,zz:envelope", "table.fields.additional.error.on.missing", "false"}, "outbox.event.order", connectors.AnyPartition, 1704067200123},
		"routed by the type": {[]string{"table.field.event.timestamp", "ts", "route.by.field", "type"}, "outbox.event.UserUpdated", connectors.AnyPartition, 1704067200123},
	} {
		r := outboxed(t, 0)
		keep, err := mustChain(t, one(routerClass, c.config...)).Apply(&r)
		if err != nil || !keep || r.Topic != c.topic || r.Partition != c.partition || r.Timestamp != c.timestamp {
			t.Errorf("%s: topic %s, partition %d, timestamp %d, kept %t, error %v", name, r.Topic, r.Partition, r.Timestamp, keep, err)
		}
	}
	r := outboxed(t, 0)
	if _, err := mustChain(t, one(routerClass)).Apply(&r); err != nil || r.Timestamp < 1795000000000 {
		t.Errorf("the time of the change is not the record's: %d, %v", r.Timestamp, err)
	}
	for name, pairs := range map[string][]string{
		"no such column":   {"table.field.event.payload", "zz"},
		"column missing":   {"table.fields.additional.placement", "zz:header"},
		"no timestamp":     {"table.field.event.timestamp", "created"},
		"no number":        {"table.fields.additional.placement", "type:partition"},
		"route by a count": {"route.by.field", "ver"},
	} {
		r := outboxed(t, 0)
		if _, err := mustChain(t, one(routerClass, pairs...)).Apply(&r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, bad := range []string{"type", "type:nowhere", "a:header:b:c"} {
		if _, err := New(one(routerClass, "table.fields.additional.placement", bad)); err == nil {
			t.Errorf("placement %s is accepted", bad)
		}
	}
}

func TestEventRouterRefusesUpdates(t *testing.T) {
	for n := 0; ; n++ {
		r := outboxed(t, n)
		if !strings.Contains(printed(t, r.Value), `"op":"u"`) {
			continue
		}
		if _, err := mustChain(t, one(routerClass, "table.op.invalid.behavior", "fatal")).Apply(&r); err == nil {
			t.Error("an update is accepted")
		}
		return
	}
}

func TestExpandJSON(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":[{"x":1},{"y":"s","x":null},{}]}`: `{"a":[{"x":1,"y":null},{"x":null,"y":"s"},{"x":null,"y":null}]}`,
		`[1,null,3]`:                            `[1,null,3]`,
		`[{"a":1}]`:                             `[{"a":1}]`,
		`{"n":9223372036854775807,"f":1e2,"big":12345678901234567890,"e":[],"z":null}`: `{"n":9223372036854775807,"f":100.0,"big":1.2345678901234567E19}`,
		// What has no one schema stays a text.
		`[1,"a"]`:               `"[1,\"a\"]"`,
		`[1,2.5]`:               `"[1,2.5]"`,
		`[null]`:                `"[null]"`,
		`[[]]`:                  `"[[]]"`,
		`"text"`:                `"\"text\""`,
		`{"a":`:                 `"{\"a\":"`,
		`[{"a":1},{"a":"one"}]`: `"[{\"a\":1},{\"a\":\"one\"}]"`,
	} {
		x := &jsonExpander{}
		d := connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, text)}
		got := x.data(&arena{}, "payload", d, []byte(text))
		b, err := newConverter(t, "json", map[string]string{"schemas.enable": "false"}).FromConnect(nil, "t", got)
		if err != nil || string(b) != want {
			t.Errorf("%s: %s, %v; want %s", text, b, err, want)
		}
		if again := x.data(&arena{}, "payload", d, []byte(text)); again.Schema != got.Schema {
			t.Errorf("%s: another schema the second time", text)
		}
	}
}

// FuzzExpandJSON checks that whatever is made of a text is a value of the schema that was made with it.
func FuzzExpandJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[{"x":1},{"y":"s"}],"b":null}`, `[[1],[2.5]]`, `{"a":{"a":"é"}}`, `[`, `{"a":1,"a":"x"}`} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, nulls bool) {
		x := &jsonExpander{nulls: nulls}
		d := connectors.Data{Schema: connectors.StringSchema, Bytes: connectors.AppendString(nil, text)}
		got := x.data(&arena{}, "payload", d, []byte(text))
		if rest, err := connectors.SkipValue(got.Schema, got.Bytes); err != nil || len(rest) > 0 {
			t.Errorf("%q: %v, %d bytes left", text, err, len(rest))
		}
	})
}
