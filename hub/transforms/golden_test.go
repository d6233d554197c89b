package transforms

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/hub/converters"
)

// recorded is what Debezium emitted without transforms: JSON with schemas, a file per topic.
const recorded = "../../connectors/testdata/debezium/postgres/json-schemas"

// TestDebeziumsTransforms feeds what Debezium emitted without a transform through ours and compares with what
// Debezium emitted with its own, in testdata/debezium.
func TestDebeziumsTransforms(t *testing.T) {
	unwrap := map[string]string{"transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState"}
	with := func(pairs ...string) map[string]string {
		c := map[string]string{}
		for k, v := range unwrap {
			c[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			c["transforms.unwrap."+pairs[i]] = pairs[i+1]
		}
		return c
	}
	for name, c := range map[string]struct {
		config  map[string]string
		schemas string
	}{
		"unwrap":      {unwrap, "false"},
		"unwrap-drop": {with("delete.tombstone.handling.mode", "drop"), "false"},
		"unwrap-rewrite": {with("delete.tombstone.handling.mode", "rewrite",
			"add.fields", "op,table,lsn,source.ts_ms,source.snapshot"), "false"},
		"unwrap-rewrite-with-tombstone": {with("delete.tombstone.handling.mode", "rewrite-with-tombstone"), "false"},
		"unwrap-schemas":                {unwrap, "true"},
		"route-logical-table": {map[string]string{"transforms": "route", "transforms.route.type": "io.debezium.transforms.ByLogicalTableRouter",
			"transforms.route.topic.regex": `(.*)\.(audit|stock|orders)`, "transforms.route.topic.replacement": "$1.all"}, "false"},
	} {
		t.Run(name, func(t *testing.T) {
			got := transformRecorded(t, recorded, c.config, c.schemas)
			want := map[string][]string{}
			for topic, lines := range readTopics(t, filepath.Join("testdata/debezium", name)) {
				for _, line := range lines {
					want[topic] = append(want[topic], steady(line))
				}
			}
			compareTopics(t, got, want)
		})
	}
}

func compareTopics(t *testing.T, got, want map[string][]string) {
	t.Helper()
	for topic := range got {
		if want[topic] == nil {
			t.Errorf("topic %s is not expected", topic)
		}
	}
	for topic, lines := range want {
		// The order between tables is not in the input, which has a file for each.
		slices.Sort(lines)
		slices.Sort(got[topic])
		if len(got[topic]) != len(lines) {
			t.Errorf("%s: %d records, want %d", topic, len(got[topic]), len(lines))
		}
		for i := range min(len(lines), len(got[topic])) {
			if got[topic][i] != lines[i] {
				t.Errorf("%s:\ngot  %s\nwant %s", topic, got[topic][i], lines[i])
				break
			}
		}
	}
}

func readTopics(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing recorded in %s: %v", dir, err)
	}
	topics := map[string][]string{}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		topic := strings.TrimSuffix(filepath.Base(name), ".jsonl")
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			topics[topic] = append(topics[topic], lines.Text())
		}
		f.Close()
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return topics
}

var varying = regexp.MustCompile(`"(__lsn|lsn|txId|(__source_)?ts_[mun]s)":\d+|"sequence":"\[[^\]]*\]"|"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}"`)

// steady blots out what differs between two recordings.
func steady(line string) string {
	return varying.ReplaceAllStringFunc(line, func(s string) string {
		name, _, _ := strings.Cut(s, ":")
		if name == s {
			return "a UUID"
		}
		return name + ":0"
	})
}

// transformRecorded passes the recorded records through a chain.
func transformRecorded(t *testing.T, dir string, config map[string]string, schemas string) map[string][]string {
	t.Helper()
	chain, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	in := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"})
	out := newConverter(t, "json", map[string]string{"schemas.enable": schemas})
	header := newConverter(t, "simple", nil)
	got := map[string][]string{}
	for topic, lines := range readTopics(t, dir) {
		for _, line := range lines {
			// A streamed record's snapshot is null, which JSON shows as its default.
			line = strings.Replace(line, `"snapshot":"false"`, `"snapshot":null`, 1)
			r := readRecord(t, topic, line, in, header)
			keep, err := chain.Apply(&r)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if keep {
				got[r.Topic] = append(got[r.Topic], steady(printRecord(t, r, out, header)))
			}
		}
	}
	return got
}

func newConverter(t testing.TB, class string, config map[string]string) converters.Converter {
	t.Helper()
	c, err := converters.New(class, config, converters.Value, converters.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readRecord reads {"key":…,"value":…,"headers":[{"key":…,"value":…},…]}.
func readRecord(t testing.TB, topic, line string, c, header converters.Converter) connectors.Record {
	t.Helper()
	r := connectors.Record{Topic: topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp}
	read := func(c converters.Converter, text []byte) connectors.Data {
		d, _, err := c.ToConnect(nil, topic, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	err := connectors.EachJSONMember([]byte(line), func(name, value []byte) error {
		switch {
		case string(name) == "headers":
			return connectors.EachJSONElement(value, func(value []byte) error {
				var h connectors.Header
				err := connectors.EachJSONMember(value, func(name, value []byte) error {
					text, err := connectors.AppendJSONText(nil, value)
					if string(name) == "key" {
						h.Key = string(text)
					} else {
						h.Value = read(header, text)
					}
					return err
				})
				r.Headers = append(r.Headers, h)
				return err
			})
		case string(value) == "null":
		case string(name) == "key":
			r.Key = read(c, value)
		default:
			r.Value = read(c, value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func printRecord(t testing.TB, r connectors.Record, c, header converters.Converter) string {
	t.Helper()
	text := func(c converters.Converter, d connectors.Data, quote func(string) []byte) string {
		b, err := c.FromConnect(nil, r.Topic, d)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return "null"
		}
		return string(quote(string(b)))
	}
	asItIs := func(text string) []byte { return []byte(text) }
	var headers []string
	for _, h := range r.Headers {
		headers = append(headers, `{"key":`+string(jsonText(h.Key))+`,"value":`+text(header, h.Value, jsonText)+`}`)
	}
	return `{"key":` + text(c, r.Key, asItIs) + `,"value":` + text(c, r.Value, asItIs) + `,"headers":[` + strings.Join(headers, ",") + `]}`
}

// BenchmarkUnwrap is the way of a row through ExtractNewRecordState.
func BenchmarkUnwrap(b *testing.B) {
	in, header := newConverter(b, "json", nil), newConverter(b, "simple", nil)
	content, err := os.ReadFile(filepath.Join(recorded, "pgstore.public.orders.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	original := readRecord(b, "t", line, in, header)
	for name, fields := range map[string]string{"plain": "", "added": "op,lsn,source.ts_ms"} {
		b.Run(name, func(b *testing.B) {
			chain, err := New(map[string]string{"transforms": "u", "transforms.u.type": "ExtractNewRecordState", "transforms.u.add.fields": fields})
			if err != nil {
				b.Fatal(err)
			}
			applyAgain(b, chain, original)
		})
	}
}

// applyAgain measures what a chain takes for a record that it keeps.
func applyAgain(b *testing.B, chain *Chain, original connectors.Record) {
	b.ReportAllocs()
	for b.Loop() {
		r := original
		if keep, err := chain.Apply(&r); !keep || err != nil {
			b.Fatal(keep, err)
		}
	}
}
