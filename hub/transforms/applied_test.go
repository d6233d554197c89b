package transforms

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// appliedCase is a record and what a transform of Debezium 3.5 made of it: see testdata/debezium/applied/Record.java.
type appliedCase struct {
	Config     map[string]string
	Topic      string
	Key, Value json.RawMessage
	Out        struct {
		Error      string
		Dropped    bool
		Topic      string
		Partition  *int32
		Key, Value json.RawMessage
		Headers    []struct {
			Key   string
			Value json.RawMessage
		}
	}
}

// TestApplied compares with what Debezium's own transforms made of the same records, errors included.
func TestApplied(t *testing.T) {
	files, err := filepath.Glob("testdata/debezium/applied/*.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing is recorded: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			cases, schemas := readApplied(t, file)
			for i, c := range cases {
				got, want := applied(t, c, schemas), expected(t, c, schemas)
				if want == "error" && strings.HasPrefix(got, "error") {
					continue
				}
				if got != want {
					t.Errorf("line %d: %v %s\ngot  %s\nwant %s %s", i+2, c.Config, c.Value, got, want, c.Out.Error)
				}
			}
		})
	}
}

func readApplied(t *testing.T, file string) (cases []appliedCase, schemas map[string]json.RawMessage) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var first struct{ Schemas map[string]json.RawMessage }
		var c appliedCase
		var err error
		if schemas == nil {
			err = json.Unmarshal(lines.Bytes(), &first)
			schemas = first.Schemas
		} else if err = json.Unmarshal(lines.Bytes(), &c); err == nil {
			cases = append(cases, c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if lines.Err() != nil || len(cases) == 0 {
		t.Fatalf("%s: %d cases, %v", file, len(cases), lines.Err())
	}
	return cases, schemas
}

// whole puts the schema in the place of its name.
func whole(t *testing.T, d json.RawMessage, schemas map[string]json.RawMessage) []byte {
	t.Helper()
	if d == nil || string(d) == "null" {
		return nil
	}
	var parts struct{ Schema, Payload json.RawMessage }
	var name string
	if err := json.Unmarshal(d, &parts); err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(parts.Schema, &name) == nil && name != "" {
		parts.Schema = schemas[name]
	}
	return []byte(`{"schema":` + string(parts.Schema) + `,"payload":` + string(parts.Payload) + `}`)
}

// canonical reads and prints JSON with a schema, so that it can be compared.
func canonical(t *testing.T, text []byte) string {
	t.Helper()
	c := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"})
	d, _, err := c.ToConnect(nil, "t", text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return printedNulls(t, d)
}

func printedNulls(t *testing.T, d connectors.Data) string {
	t.Helper()
	b, err := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"}).FromConnect(nil, "t", d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func expected(t *testing.T, c appliedCase, schemas map[string]json.RawMessage) string {
	t.Helper()
	switch {
	case c.Out.Error != "":
		return "error"
	case c.Out.Dropped:
		return "dropped"
	}
	partition := connectors.AnyPartition
	if c.Out.Partition != nil {
		partition = *c.Out.Partition
	}
	out := outcome(c.Out.Topic, partition, canonical(t, whole(t, c.Out.Key, schemas)), canonical(t, whole(t, c.Out.Value, schemas)))
	for _, h := range c.Out.Headers {
		out += " " + h.Key + "=" + canonical(t, whole(t, h.Value, schemas))
	}
	return out
}

func outcome(topic string, partition int32, key, value string) string {
	b, _ := json.Marshal([]any{topic, partition, key})
	return string(b) + " " + value
}

func applied(t *testing.T, c appliedCase, schemas map[string]json.RawMessage) string {
	t.Helper()
	config := map[string]string{"transforms": "t"}
	for k, v := range c.Config {
		config["transforms.t."+k] = v
	}
	chain, err := New(config)
	if err != nil {
		return "error: " + err.Error()
	}
	in := newConverter(t, "json", map[string]string{"replace.null.with.default": "false"})
	r := connectors.Record{Topic: c.Topic, Partition: connectors.AnyPartition, Timestamp: connectors.NoTimestamp}
	for d, text := range map[*connectors.Data][]byte{&r.Key: whole(t, c.Key, schemas), &r.Value: whole(t, c.Value, schemas)} {
		if text == nil {
			continue
		}
		if *d, _, err = in.ToConnect(nil, c.Topic, text); err != nil {
			t.Fatal(err)
		}
	}
	keep, err := chain.Apply(&r)
	switch {
	case err != nil:
		return "error: " + err.Error()
	case !keep:
		return "dropped"
	}
	out := outcome(r.Topic, r.Partition, printedNulls(t, r.Key), printedNulls(t, r.Value))
	for _, h := range r.Headers {
		out += " " + h.Key + "=" + printedNulls(t, h.Value)
	}
	return out
}
