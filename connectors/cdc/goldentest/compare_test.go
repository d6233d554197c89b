package goldentest

import (
	"strings"
	"testing"
)

// TestCompareCanFail changes one thing at a time, and says for each whether it may differ.
func TestCompareCanFail(t *testing.T) {
	const record = `{"key":{"id":1},"value":{"before":null,"after":{"id":1,"total":1.0E10,"pos":5},"source":{"version":"a","ts_ms":1,"sequence":"[null,\"7\"]","ts_us":1000,"ts_ns":1000000,"lsn":7,"db":"d"},"op":"c","ts_ms":2},"headers":[{"key":"__debezium.context.runId","value":"x"},{"key":"h","value":"y"}]}`
	for _, c := range []struct {
		old, new string
		equal    bool
	}{
		{`"id":1`, `"id":1`, true}, {`1.0E10`, `10000000000`, true}, {`1.0E10`, `10000000001`, false}, {`"pos":5`, `"pos":6`, false},
		{`"version":"a"`, `"version":"b"`, true}, {`"version":"a"`, `"version":1`, false}, {`"ts_ms":2`, `"ts_ms":3`, true}, {`,"ts_ms":2`, ``, false},
		{`"db":"d"`, `"db":"e"`, false}, {`"lsn":7`, `"lsn":8`, false}, {`[null,\"7\"]`, `[\"6\",\"7\"]`, false}, {`"ts_us":1000`, `"ts_us":2000`, false},
		{`"value":"x"`, `"value":"z"`, true}, {`"value":"y"`, `"value":"z"`, false}, {`"op":"c"`, `"op":"c","more":1`, false}, {`"id":1,"total":1.0E10`, `"total":1.0E10,"id":1`, false},
		{`"before":null`, `"before":{}`, false},
	} {
		changed := strings.Replace(record, c.old, c.new, 1)
		if c.old != c.new && changed == record {
			t.Fatalf("%s is not in the record", c.old)
		}
		r := Compare(Topics{"t": {[]byte(record)}}, Topics{"t": {[]byte(changed)}})
		if equal := len(r.Differences) == 0; equal != c.equal {
			t.Errorf("%s for %s: equal %v, %v", c.new, c.old, equal, r.Differences)
		}
	}
	if r := Compare(Topics{"t": {[]byte(record)}}, Topics{}); len(r.Differences) == 0 {
		t.Error("a missing topic is no difference")
	}
	if r := Compare(Topics{}, Topics{"t": {[]byte(record)}}); len(r.Differences) == 0 {
		t.Error("a topic too many is no difference")
	}
	window := func(id, kind, second string) Topics {
		return Topics{"t": {[]byte(`{"key":{"id":"` + id + `-` + kind + `"},"value":{"after":{"data":"{\"openWindowTimestamp\": \"2026-11-21T10:37:` + second + `Z\"}"}},"headers":[]}`)}}
	}
	const one, two = "8f59a4fb-921f-4ab8-ab7a-ee920dae3a75", "41343bd7-652c-4a25-a075-76967d235ed6"
	if r := Compare(window(one, "open", "36.904918010"), window(two, "open", "37.1")); len(r.Differences) != 0 {
		t.Errorf("two watermarks differ: %v", r.Differences)
	}
	if r := Compare(window(one, "open", "36.9"), window(two, "close", "36.9")); len(r.Differences) != 1 {
		t.Errorf("the begin and the end of a window are equal: %v", r.Differences)
	}
	if d, err := CompareDocument([]byte(`{"offsets":[{"offset":{"lsn":1,"messageType":"A"}}],"version":"1"}`), []byte(`{"offsets":[{"offset":{"lsn":2,"messageType":"B"}}],"version":"2"}`)); err != nil || len(d) != 1 {
		t.Errorf("%v %v", d, err)
	}
}
