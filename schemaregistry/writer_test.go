package schemaregistry

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// batches counts what is produced.
type batches struct{ n, records atomic.Int64 }

func (b *batches) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	b.n.Add(1)
	b.records.Add(int64(m.NumRecords))
}

func TestRegistrationsShareABatch(t *testing.T) {
	counted := &batches{}
	r := open(t, append(newKafka(t), kgo.WithHooks(counted)))
	const n = 200
	texts := make([]string, n)
	ids := make([]int, n)
	register := func(subject func(i int) string, text func(i int) string) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range n {
			texts[i] = text(i)
			wg.Go(func() {
				var err error
				if ids[i], err = r.Register(t.Context(), subject(i), texts[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	different := func(i int) string { return fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i) }
	own := func(i int) string { return fmt.Sprint("s", i) }
	register(own, different)
	if b := counted.n.Load(); b > n/2 {
		t.Errorf("%d registrations were %d batches", n, b)
	}
	given := slices.Sorted(slices.Values(ids))
	for i, id := range given {
		if id != i+1 {
			t.Fatalf("the ids are %v", given)
		}
	}
	for i, id := range ids {
		if text, err := r.ByID(t.Context(), id); err != nil || text != texts[i] {
			t.Errorf("id %d is %s, want %s (%v)", id, text, texts[i], err)
		}
	}
	// One text has one id under all subjects, also if it comes to all of them at once.
	register(func(i int) string { return fmt.Sprint("same", i) }, func(int) string { return `"string"` })
	for _, id := range ids {
		if id != n+1 {
			t.Fatalf("one text has the ids %v", ids)
		}
	}
	// Versions of one subject are checked one after another.
	register(func(int) string { return "s" }, func(i int) string {
		return fmt.Sprintf(`{"type":"record","name":"R","doc":"%d","fields":[]}`, i)
	})
	_, again, err := r.Latest(t.Context(), "s")
	if err != nil || !slices.Contains(texts, again) {
		t.Error(again, err)
	}
	if f := r.Figures(); f.Versions != 3*n || f.Schemas != 2*n+1 {
		t.Errorf("%+v", f)
	}
}

// In each turn, of the schemas that cannot follow each other only the first is taken.
func TestIncompatibleRegistrationsAtOnce(t *testing.T) {
	r := open(t, newKafka(t))
	for round := range 20 {
		var wg sync.WaitGroup
		var taken atomic.Int64
		for i := range 8 {
			wg.Go(func() {
				text := fmt.Sprintf(`{"type":"fixed","name":"F","size":%d}`, i)
				if _, err := r.Register(t.Context(), fmt.Sprint("s", round), text); err == nil {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Errorf("%d of 8 schemas that exclude each other were taken", taken.Load())
		}
	}
}

// A schema that refers to another that comes at the same moment sees all of it or nothing, and nobody deletes what is
// being referred to.
func TestReferencesAtOnce(t *testing.T) {
	url := serve(t, open(t, newKafka(t)))
	for round := range 20 {
		target := fmt.Sprint("target", round)
		if status, body, _ := ask(t, url, "POST", "/subjects/"+target+"/versions", schemaBody(`{"type":"fixed","name":"F","size":1}`)); status != 200 {
			t.Fatal(status, body)
		}
		var wg sync.WaitGroup
		var referred, deleted int
		wg.Go(func() {
			referred, _, _ = ask(t, url, "POST", "/subjects/user"+fmt.Sprint(round)+"/versions", string(marshal(map[string]any{
				"schema":     `{"type":"array","items":"F"}`,
				"references": []reference{{Name: "F", Subject: target, Version: 1}},
			})))
		})
		wg.Go(func() { deleted, _, _ = ask(t, url, "DELETE", "/subjects/"+target, "") })
		wg.Wait()
		if (referred == 200) == (deleted == 200) {
			t.Errorf("the reference was answered %d, the deletion %d", referred, deleted)
		}
	}
}
