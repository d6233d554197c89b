package cdc

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func TestReached(t *testing.T) {
	a, b, c := Table{"p", "a"}, Table{"p", "b"}, Table{"q", "a"}
	want := &Reached{Schema: "p", Table: `b"`, From: "20", Form: "f", Since: "7", Before: Digests([]Table{a})[1], Chunks: 3}
	text := "{" + strings.TrimSuffix(string(want.AppendOffset(nil)), ",") + "}"
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if got, err := ReadReached(m); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if got, err := ReadReached(map[string]json.RawMessage{"lsn": []byte("1")}); got != nil || err != nil {
		t.Errorf("%+v %v of an offset without it", got, err)
	}
	for _, bad := range []string{`7`, `"["`, `"{\"chunks\":\"x\"}"`} {
		if _, err := ReadReached(map[string]json.RawMessage{reachedMember: []byte(bad)}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if got := (*Reached)(nil).AppendOffset([]byte("x")); string(got) != "x" {
		t.Errorf("%s", got)
	}

	at := &Reached{Schema: "p", Table: "b", From: "20", Before: Digests([]Table{a})[1]}
	for _, x := range []struct {
		tables    []Table
		delivered int
		ok        bool
	}{
		{[]Table{a, b, c}, 1, true},
		{[]Table{a, c}, 1, true},                 // it was dropped
		{[]Table{a, {"p", "aa"}, b}, 1, true},    // one more before it, that is not delivered
		{[]Table{a, c, b}, 1, true},              // in another order
		{[]Table{{"p", "0"}, a, b}, 0, false},    // one more among those before it
		{[]Table{b, c}, 0, false},                // one less
		{[]Table{a, b, {"p", "bb"}, c}, 1, true}, // one more behind it
		{nil, 0, false},
	} {
		if n, r := at.Find(x.tables, slog.New(slog.DiscardHandler)); (r == at) != x.ok || r != nil && n != x.delivered {
			t.Errorf("%v: %d %v", x.tables, n, r)
		}
	}
	if n, r := (*Reached)(nil).Find([]Table{a}, nil); n != 0 || r != nil {
		t.Error("nothing was delivered")
	}
	if !at.In(b) || at.In(a) || (*Reached)(nil).In(b) || (&Reached{Schema: "p", Table: "b"}).In(b) {
		t.Error("In")
	}
	if d := Digests([]Table{{"a", "bc"}}); d[0] != "" || d[1] == Digests([]Table{{"ab", "c"}})[1] {
		t.Errorf("%q", d)
	}
}

// TestPlanResumed goes on in the middle of a table.
func TestPlanResumed(t *testing.T) {
	a := Table{"public", "a"}
	got := NewPlan([]Extent{{Table: a, By: "ctid", From: "10", Since: "700", Bounds: []string{"20"}}})
	want := Plan{
		{Table: a, Range: Range{By: "ctid", To: "10", Since: "700"}},
		{Table: a, Index: 1, Range: Range{By: "ctid", From: "10", To: "20"}},
		{Table: a, Index: 2, Last: true, Range: Range{By: "ctid", From: "20"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	got = NewPlan([]Extent{{Table: a, By: "id", From: "10"}})
	if want := (Plan{{Table: a, Last: true, Range: Range{By: "id", From: "10"}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for newTable, want := range map[bool]Snapshot{true: FirstOfTable, false: InSnapshot} {
		m := Markers{Resumed: true}
		m.Row(newTable)
		if s, ok := m.Row(false); !ok || s != want {
			t.Errorf("the first row of a snapshot that goes on has the marker %s, want %s", s, want)
		}
	}
}
