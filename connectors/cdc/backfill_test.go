package cdc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// shelf is a database with tables of numbers, read in the order of these.
type shelf struct {
	tables map[cdc.Table][]int
	marks  []string
	fail   error // of the next reading
	closed error // of writing watermarks
}

func (s *shelf) Tables(context.Context) (out []cdc.Table, err error) {
	for t := range s.tables {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b cdc.Table) int { return strings.Compare(a.String(), b.String()) })
	return out, nil
}

func (s *shelf) Prepare(_ context.Context, p cdc.Part) error {
	if err := s.fail; err != nil {
		s.fail = nil
		return err
	}
	if p.Table.Name == "keyless" {
		return cdc.ErrNoKey
	}
	return nil
}

func (s *shelf) Release(context.Context) error { return nil }

func (s *shelf) Max(_ context.Context, p cdc.Part) ([]string, error) {
	if rows := s.tables[p.Table]; len(rows) > 0 {
		return []string{strconv.Itoa(slices.Max(rows))}, nil
	}
	return nil, nil
}

func (s *shelf) Read(_ context.Context, p cdc.Part, after, greatest []string, limit int, w *cdc.Window) error {
	from := -1
	if after != nil {
		from, _ = strconv.Atoi(after[0])
	}
	to, _ := strconv.Atoi(greatest[0])
	for _, n := range s.tables[p.Table] {
		if text := strconv.Itoa(n); n > from && n <= to && !w.Add([]byte(text), []string{text}, []byte(p.Table.Name+text)) {
			return nil
		}
	}
	return nil
}

func (s *shelf) Mark(_ context.Context, id, kind, data string) error {
	if s.closed != nil {
		return s.closed
	}
	if !strings.HasSuffix(id, strings.TrimPrefix(kind, "snapshot-window")) || !json.Valid([]byte(data)) {
		return fmt.Errorf("mark %s %s %s", id, kind, data)
	}
	s.marks = append(s.marks, kind)
	return nil
}

// all opens and closes windows until nothing is due, with what happens in each, and returns the rows.
func all(t *testing.T, f *cdc.Backfill, during func(window int)) (rows []string) {
	t.Helper()
	for n := 0; f.Due(); n++ {
		if err := f.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		if during != nil {
			during(n)
		}
		if f.Opened() {
			f.Close()
		}
		for f.Draining() {
			if row, ok := f.Next(); ok {
				rows = append(rows, string(row))
			}
		}
		if n > 100 {
			t.Fatal("it does not end")
		}
	}
	return rows
}

func send(t *testing.T, f *cdc.Backfill, kind, data string) {
	t.Helper()
	if err := f.Signal(t.Context(), connectors.Signal{ID: "s", Type: kind, Data: data}); err != nil {
		t.Fatal(err)
	}
}

var a, b = cdc.Table{Schema: "s", Name: "a"}, cdc.Table{Schema: "s", Name: "b"}

func TestBackfill(t *testing.T) {
	silent := slog.New(slog.DiscardHandler)
	db := func() *shelf {
		return &shelf{tables: map[cdc.Table][]int{a: {1, 2, 3, 4, 5}, b: {7}, {Schema: "s", Name: "keyless"}: {9}, {Schema: "s", Name: "none"}: nil}}
	}
	const every = `{"data-collections": ["s.b", "S\\.[a-c].*", "s.(keyless|none)", "s.missing"]}`
	for _, c := range []struct {
		name   string
		during func(f *cdc.Backfill, window int)
		want   string
	}{
		{"undisturbed", func(*cdc.Backfill, int) {}, "b7 a1 a2 a3 a4 a5"},
		{"a row changes in the window", func(f *cdc.Backfill, n int) {
			if n == 1 && (!f.Holds(a) || f.Holds(b) || !f.Changed([]byte("2")) || f.Changed([]byte("4"))) {
				t.Error("the window does not hold what it should")
			}
		}, "b7 a1 a3 a4 a5"},
		{"truncated", func(f *cdc.Backfill, n int) {
			if n == 1 {
				f.Truncated()
			}
		}, "b7 a3 a4 a5"},
		{"stopped in the window", func(f *cdc.Backfill, n int) {
			if n == 2 {
				send(t, f, cdc.StopSnapshot, `{"data-collections": ["s\\.a"]}`)
			}
		}, "b7 a1 a2"},
		{"all is stopped", func(f *cdc.Backfill, n int) { send(t, f, cdc.StopSnapshot, "") }, ""},
		{"asked again", func(f *cdc.Backfill, n int) {
			if n == 2 {
				send(t, f, cdc.ExecuteSnapshot, `{"data-collections": ["s.b"]}`)
			}
		}, "b7 a1 a2 a3 a4 a5 b7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := cdc.NewBackfill(db(), 2, nil, silent)
			send(t, f, "unknown", "")
			send(t, f, cdc.ExecuteSnapshot, `{"data-collections": 5}`)
			if f.Due() {
				t.Fatal("nonsense began a snapshot")
			}
			send(t, f, cdc.ExecuteSnapshot, every)
			if got := strings.Join(all(t, f, func(n int) { c.during(f, n) }), " "); got != c.want || f.State() != nil {
				t.Errorf("%s, want %s; left %v", got, c.want, f.State())
			}
		})
	}
}

// TestBackfillAgain reads a chunk again while the server hides what was streamed, and waits where a table cannot be read.
func TestBackfillAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &shelf{tables: map[cdc.Table][]int{a: {1, 2, 3}}, fail: cdc.ErrNotYet}
		f := cdc.NewBackfill(db, 2, nil, slog.New(slog.DiscardHandler))
		send(t, f, cdc.ExecuteSnapshot, `{"data-collections": ["s.a"]}`)
		if rows := all(t, f, nil); rows != nil || f.Wait() == 0 {
			t.Fatalf("%v, and then in %v", rows, f.Wait())
		}
		time.Sleep(f.Wait())
		if err := f.Open(t.Context()); err != nil || !f.Opened() {
			t.Fatal(err)
		}
		f.Stale()
		f.Close()
		if f.Draining() || f.Due() {
			t.Error("rows that are to be read again are delivered")
		}
		time.Sleep(f.Wait())
		db.fail = &cdc.PartError{Err: errors.New("no right")}
		if rows := all(t, f, nil); rows != nil || f.Due() || f.Wait() != 0 || f.State() == nil {
			t.Errorf("a table that cannot be read: %v, %v", rows, f.State())
		}
		send(t, f, cdc.PauseSnapshot, "")
		send(t, f, cdc.ResumeSnapshot, "")
		if rows := all(t, f, nil); len(rows) != 3 {
			t.Errorf("%v", rows)
		}
		db.closed = &cdc.PartError{Err: errors.New("no right")}
		send(t, f, cdc.ExecuteSnapshot, `{"data-collections": ["s.a"]}`)
		if rows := all(t, f, nil); rows != nil || f.Due() || f.State() == nil {
			t.Errorf("a signal table that cannot be written to: %v, %v", rows, f.State())
		}
		db.closed = nil
		send(t, f, cdc.ResumeSnapshot, "")
		if rows := all(t, f, nil); len(rows) != 3 {
			t.Errorf("%v", rows)
		}
		db.fail = errors.New("connection lost")
		send(t, f, cdc.ExecuteSnapshot, `{"data-collections": ["s.a"]}`)
		if f.Open(t.Context()) == nil {
			t.Error("a lost connection is no error")
		}
	})
}

// TestProgress stores where a snapshot stands after each chunk and goes on there.
func TestProgress(t *testing.T) {
	db := &shelf{tables: map[cdc.Table][]int{a: {1, 2, 3, 4, 5}, b: {7, 8}}}
	f := cdc.NewBackfill(db, 2, nil, slog.New(slog.DiscardHandler))
	send(t, f, cdc.ExecuteSnapshot, `{"data-collections": ["s.*"], "additional-conditions": [{"data-collection": "s.a", "filter": "x = \"1\""}], "surrogate-key": "k"}`)
	var rows []string
	for f.Due() {
		if err := f.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for f.Draining() {
			if row, ok := f.Next(); ok {
				rows = append(rows, string(row))
			}
		}
		text := append(f.State().AppendOffset([]byte("{")), `"lsn":1}`...)
		var m map[string]json.RawMessage
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		p, restarted, err := cdc.ReadProgress(m)
		if err != nil || restarted || string(append(p.AppendOffset([]byte("{")), `"lsn":1}`...)) != string(text) {
			t.Fatalf("%v %v %v from %s", p, restarted, err, text)
		}
		f = cdc.NewBackfill(db, 2, p, slog.New(slog.DiscardHandler))
	}
	if got := strings.Join(rows, " "); got != "a1 a2 a3 a4 a5 b7 b8" {
		t.Error(got)
	}
}

// TestReadProgress reads what others stored.
func TestReadProgress(t *testing.T) {
	const collections = `"[{\"incremental_snapshot_collections_id\":\"public.orders\",\"incremental_snapshot_collections_additional_condition\":null,\"incremental_snapshot_collections_surrogate_key\":null}]"`
	for _, c := range []struct {
		text      string
		want      string
		restarted bool
		bad       bool
	}{
		{`{"lsn":1}`, "{", false, false},
		{`{"incremental_snapshot_collections":` + collections + `}`, `{"incremental_snapshot_collections":` + collections + `,`, false, false},
		{`{"incremental_snapshot_collections":` + collections + `,"incremental_snapshot_primary_key":"aced000575","incremental_snapshot_maximum_key":"aced000575"}`, `{"incremental_snapshot_collections":` + collections + `,`, true, false},
		{`{"incremental_snapshot_collections":"[{"}`, "", false, true},
		{`{"incremental_snapshot_collections":"[{\"incremental_snapshot_collections_id\":\"orders\"}]"}`, "", false, true},
	} {
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.text), &m); err != nil {
			t.Fatal(err)
		}
		p, restarted, err := cdc.ReadProgress(m)
		if (err != nil) != c.bad || restarted != c.restarted || err == nil && string(p.AppendOffset([]byte("{"))) != c.want {
			t.Errorf("%s: %v %v %v", c.text, p, restarted, err)
		}
	}
}

// FuzzSignal reads data of signals.
func FuzzSignal(f *testing.F) {
	f.Add(`{"data-collections": ["s.a", "s\\.[b-d]"], "type": "blocking", "additional-conditions": [{"data-collection": "a,b", "filter": "x"}]}`)
	f.Add(`{"message": "hello {}"}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{cdc.ExecuteSnapshot, cdc.StopSnapshot, cdc.LogSignal} {
			b := cdc.NewBackfill(&shelf{tables: map[cdc.Table][]int{a: {1}}}, 1, nil, slog.New(slog.DiscardHandler))
			if err := b.Signal(t.Context(), connectors.Signal{ID: "f", Type: kind, Data: text}); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzProgress reads stored states.
func FuzzProgress(f *testing.F) {
	f.Add(`[{"incremental_snapshot_collections_id":"a.b"}]`, `["1"]`, `["2"]`)
	f.Fuzz(func(t *testing.T, collections, last, greatest string) {
		m := map[string]json.RawMessage{}
		for name, text := range map[string]string{"collections": collections, "primary_key": last, "maximum_key": greatest} {
			m["incremental_snapshot_"+name], _ = json.Marshal(text)
		}
		p, _, err := cdc.ReadProgress(m)
		if err == nil && !json.Valid(append(p.AppendOffset([]byte("{")), `"lsn":1}`...)) {
			t.Errorf("%v is stored as no JSON", p)
		}
	})
}
