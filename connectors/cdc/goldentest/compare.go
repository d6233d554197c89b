package goldentest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Topics holds what was recorded: by topic, one record a line, {"key":…,"value":…,"headers":[…]}, with "partition"
// first where the topic has more than one.
type Topics map[string][][]byte

// Result is the outcome of a comparison.
type Result struct {
	Equal, Total int
	// Differences are "TOPIC:LINE JSON-path: …".
	Differences []string
}

// Compare compares records. Volatile fields (times, log positions, transaction ids, the version) must be there with
// the same JSON type, and what they have in common in the expected record must hold: us and ns are the instant of ms,
// the sequence ends with the lsn. Numbers are compared by value, members of objects also by their order. Of
// heartbeats only the kinds are compared, of the topic "connect-offsets" the last record of each key. Records without
// key in a topic with several partitions are compared in any order, since their partition is chance; so are all records
// of such a topic when the actual ones come from where there are no partitions.
func Compare(expected, actual Topics) Result {
	var r Result
	for _, topic := range topicsOf(expected, actual) {
		want, errW := load(expected[topic])
		have, errH := load(actual[topic])
		if errW != nil || errH != nil {
			r.Differences = append(r.Differences, fmt.Sprintf("%s: %v %v", topic, errW, errH))
			continue
		}
		want, have = ordered(topic, want, have)
		r.Total += len(want)
		if len(want) != len(have) {
			r.Differences = append(r.Differences, fmt.Sprintf("%s: %d records expected, %d got", topic, len(want), len(have)))
		}
		for i := range min(len(want), len(have)) {
			d := compareRecord(topic, want[i], have[i])
			if len(d) == 0 {
				r.Equal++
			}
			for _, line := range d {
				r.Differences = append(r.Differences, fmt.Sprintf("%s:%d %s", topic, i+1, line))
			}
		}
	}
	return r
}

// CompareDocument compares two JSON documents: answers of the REST API.
func CompareDocument(expected, actual []byte) ([]string, error) {
	a, err := parse(expected)
	if err != nil {
		return nil, err
	}
	b, err := parse(actual)
	if err != nil {
		return nil, err
	}
	c := comparer{volatile: func(p []any) bool {
		if len(p) == 0 {
			return false
		}
		last, _ := p[len(p)-1].(string)
		return offsets[last] && slices.Contains(p, any("offset")) || last == "worker_id" || last == "version" || last == "trace"
	}}
	c.walk(nil, a, b)
	return c.out, nil
}

func topicsOf(a, b Topics) []string {
	names := map[string]bool{}
	for n := range a {
		names[n] = true
	}
	for n := range b {
		names[n] = true
	}
	var out []string
	for n := range names {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

func load(lines [][]byte) ([]object, error) {
	var out []object
	for _, l := range lines {
		if len(bytes.TrimSpace(l)) == 0 {
			continue
		}
		v, err := parse(l)
		if err != nil {
			return nil, err
		}
		o, ok := v.(object)
		if !ok {
			return nil, fmt.Errorf("not an object: %.80s", l)
		}
		out = append(out, o)
	}
	return out, nil
}

// ordered undoes what is chance: the number of heartbeats and stored offsets, the order over partitions.
func ordered(topic string, want, have []object) ([]object, []object) {
	switch {
	case strings.HasPrefix(topic, "__debezium-heartbeat"):
		kinds := func(r object) string { return show(masked(r)) }
		return last(want, kinds), last(have, kinds)
	case topic == "connect-offsets":
		key := func(r object) string { return show(r.get("key")) }
		return last(want, key), last(have, key)
	}
	placed := func(r object) bool { return r.has("partition") }
	byChance := func(r object) bool { return placed(r) && r.get("key") == nil }
	if !slices.ContainsFunc(want, placed) || slices.ContainsFunc(have, placed) && !slices.ContainsFunc(want, byChance) {
		return want, have
	}
	bare := func(list []object) []object {
		out := slices.Clone(list)
		for i, r := range out {
			out[i] = slices.DeleteFunc(slices.Clone(r), func(m member) bool { return m.name == "partition" })
		}
		slices.SortStableFunc(out, func(a, b object) int { return strings.Compare(show(masked(a)), show(masked(b))) })
		return out
	}
	return bare(want), bare(have)
}

// last keeps the last record of each kind, in the order of the kinds' first.
func last(list []object, of func(object) string) []object {
	at := map[string]int{}
	var out []object
	for _, r := range list {
		k := of(r)
		if i, ok := at[k]; ok {
			out[i] = r
			continue
		}
		at[k] = len(out)
		out = append(out, r)
	}
	return out
}

func set(names string) map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields(names) {
		out[n] = true
	}
	return out
}

// Fields that are volatile by their place. A column of a table that happens to be called "pos" is never in it.
var (
	times   = set("ts_ms ts_us ts_ns")
	source  = set("ts_ms ts_us ts_ns version lsn txId xmin sequence pos gtid file row thread server_id")
	offsets = set("lsn lsn_proc lsn_commit txId ts_usec ts_sec file pos gtids row event server_id transaction_id")
	headers = set("__debezium.context.runId __ts_ms __source_ts_ms __source_ts_us __lsn __source_lsn __pos __file __source_pos __source_file")

	unwrapped = regexp.MustCompile(`^__(source_)?(ts_ms|ts_us|ts_ns|lsn|txId|xmin|sequence|pos|gtid|file|row|thread|server_id|version)$|^when$`)
	// address is what Java prints of an object that has no text.
	address = regexp.MustCompile(`^(\[+L[\w.$]+;|([a-z]\w*\.){2,}[\w$]+)@[0-9a-f]{1,8}$`)
	// mark is what differs between two watermarks of incremental snapshots: the id, and the times in their data.
	mark = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(-open|-close)$|((?:open|close)WindowTimestamp": )"\d{4}-\d\d-\d\dT[\d:.]+Z"`)
)

// volatileField says whether a path from the record down, the payload step left out, leads to a volatile field.
func volatileField(p []any) bool {
	if len(p) == 0 || p[0] != "value" {
		return false
	}
	p = p[1:]
	if len(p) > 0 && p[0] == "payload" {
		p = p[1:]
	}
	if len(p) == 0 {
		return false
	}
	first, _ := p[0].(string)
	lastName, _ := p[len(p)-1].(string)
	switch {
	case first == "source" && len(p) == 2:
		return source[lastName]
	case len(p) == 1:
		return times[first] || unwrapped.MatchString(first)
	}
	return first == "transaction" && len(p) == 2 && lastName == "id"
}

func compareRecord(topic string, want, have object) []string {
	tx := strings.HasSuffix(topic, ".transaction")
	c := comparer{volatile: func(p []any) bool {
		if len(p) == 3 && p[0] == "headers" && p[2] == "value" {
			list, _ := want.get("headers").([]any)
			h, _ := list[p[1].(int)].(object)
			name, _ := h.get("key").(string)
			return headers[name]
		}
		if tx && len(p) > 1 && p[len(p)-1] == "id" && (len(p) == 2 || len(p) == 3 && p[1] == "payload") {
			return true
		}
		if n := len(p); n > 2 && p[0] == "value" && p[n-1] == "id" && p[n-2] == "transaction" {
			return true
		}
		if topic == "connect-offsets" {
			name, _ := p[len(p)-1].(string)
			return len(p) == 2 && p[0] == "value" && offsets[name]
		}
		return volatileField(p)
	}}
	c.walk(nil, want, have)
	holds := facts(have)
	for _, f := range facts(want) {
		if !slices.Contains(holds, f) {
			c.out = append(c.out, "$: holds in the expected record, not here: "+f)
		}
	}
	return c.out
}

type comparer struct {
	volatile func(path []any) bool
	out      []string
}

func (c *comparer) differ(path []any, a, b any, note string) {
	where := "$"
	for _, p := range path {
		if i, ok := p.(int); ok {
			where += fmt.Sprintf("[%d]", i)
		} else {
			where += "." + p.(string)
		}
	}
	c.out = append(c.out, fmt.Sprintf("%s: %sexpected %s got %s", where, note, short(a), short(b)))
}

func (c *comparer) walk(path []any, a, b any) {
	if s, ok := a.(string); ok && address.MatchString(s) && kind(b) == "string" {
		return
	}
	if s, ok := a.(string); ok && mark.MatchString(s) {
		if t, ok := b.(string); ok && mark.ReplaceAllString(s, "$2$3") == mark.ReplaceAllString(t, "$2$3") {
			return
		}
	}
	if len(path) > 0 && c.volatile(path) {
		if kind(a) != kind(b) {
			c.differ(path, a, b, "volatile, but the type differs: ")
		}
		return
	}
	if kind(a) != kind(b) {
		c.differ(path, a, b, "")
		return
	}
	switch a := a.(type) {
	case object:
		c.walkObject(path, a, b.(object))
	case []any:
		b := b.([]any)
		if len(a) != len(b) {
			c.differ(path, json.Number(fmt.Sprint(len(a))), json.Number(fmt.Sprint(len(b))), "length: ")
		}
		for i := range min(len(a), len(b)) {
			c.walk(append(slices.Clone(path), i), a[i], b[i])
		}
	case json.Number:
		if !sameNumber(a, b.(json.Number)) {
			c.differ(path, a, b, "")
		}
	default:
		if a != b {
			c.differ(path, a, b, "")
		}
	}
}

func (c *comparer) walkObject(path []any, a, b object) {
	an, bn := a.names(), b.names()
	for _, m := range a {
		if !b.has(m.name) {
			c.differ(append(slices.Clone(path), m.name), m.value, nil, "missing: ")
		}
	}
	for _, m := range b {
		if !a.has(m.name) {
			c.differ(append(slices.Clone(path), m.name), nil, m.value, "not expected: ")
		}
	}
	if sa, sb := slices.Sorted(slices.Values(an)), slices.Sorted(slices.Values(bn)); slices.Equal(sa, sb) && !slices.Equal(an, bn) {
		c.out = append(c.out, fmt.Sprintf("%v: member order: expected %v got %v", path, an, bn))
	}
	for _, m := range a {
		if b.has(m.name) {
			c.walk(append(slices.Clone(path), m.name), m.value, b.get(m.name))
		}
	}
}

func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okX := new(big.Rat).SetString(a.String())
	y, okY := new(big.Rat).SetString(b.String())
	return okX && okY && x.Cmp(y) == 0
}

// facts names what the volatile fields of a record have in common.
func facts(r object) []string {
	v, ok := r.get("value").(object)
	if !ok {
		return nil
	}
	if p, ok := v.get("payload").(object); ok && v.has("schema") {
		v = p
	}
	var out []string
	src, _ := v.get("source").(object)
	number := func(o object, name string) (*big.Int, bool) {
		n, ok := o.get(name).(json.Number)
		if !ok {
			return nil, false
		}
		return new(big.Int).SetString(n.String(), 10)
	}
	thousandth := func(a, b *big.Int) bool { return new(big.Int).Div(a, big.NewInt(1000)).Cmp(b) == 0 }
	for where, o := range map[string]object{"": v, "source.": src} {
		ms, okMs := number(o, "ts_ms")
		us, okUs := number(o, "ts_us")
		ns, okNs := number(o, "ts_ns")
		if okMs && okUs && thousandth(us, ms) {
			out = append(out, where+"ts_us / 1000 = "+where+"ts_ms")
		}
		if okUs && okNs && thousandth(ns, us) {
			out = append(out, where+"ts_ns / 1000 = "+where+"ts_us")
		}
		if okNs && where != "" && v.get("op") != nil && new(big.Int).Mod(ns, big.NewInt(1000)).Sign() == 0 {
			out = append(out, "source.ts_ns has whole microseconds")
		}
	}
	if lsn, ok := src.get("lsn").(json.Number); ok {
		if seq, ok := src.get("sequence").(string); ok {
			if strings.HasSuffix(seq, `,"`+lsn.String()+`"]`) {
				out = append(out, "source.sequence ends with source.lsn")
			}
			if strings.HasPrefix(seq, "[null,") {
				out = append(out, "source.sequence begins with null")
			}
		}
		if tx, ok := v.get("transaction").(object); ok && tx.get("id") == show(src.get("txId"))+":"+lsn.String() {
			out = append(out, "transaction.id = source.txId:source.lsn")
		}
	}
	sort.Strings(out)
	return out
}

// masked is a record with its volatile values blanked.
func masked(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for _, m := range v {
			if source[m.name] || offsets[m.name] || m.name == "runId" {
				out = append(out, member{m.name, kind(m.value)})
			} else if name, _ := v.get("key").(string); m.name == "value" && headers[name] {
				out = append(out, member{m.name, "x"})
			} else {
				out = append(out, member{m.name, masked(m.value)})
			}
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			out = append(out, masked(x))
		}
		return out
	}
	return v
}
