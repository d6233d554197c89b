package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The hub is killed in the middle of an incremental snapshot that was asked for over the REST API, while rows change,
// the table's first ones too. Afterwards the last that the log says of each row is what the table has, every row of the
// table came, and the snapshot went on each time where it was.
func TestKillHubInIncrementalSnapshot(t *testing.T) {
	t.Parallel()
	const rows = 30_000
	p := prepare(t, nil)
	insertMany(t, p, "r", rows, "")
	ctx := p.deadline()
	must(t, p.worker.Start(ctx))
	source := p.source()
	source["snapshot.mode"], source["incremental.snapshot.chunk.size"], source["publication.autocreate.mode"] = "no_data", "250", "all_tables"
	must(t, p.worker.Put(ctx, "items-source", source))
	p.read()
	p.load.start(p.seed, p.pause)
	must(t, p.topics.until(ctx, "the first change", func() bool { return p.topics.streamed }))
	body := json.RawMessage(`{"data-collections": ["public\\.it.*"]}`)
	code, answer, err := p.worker.Do(ctx, http.MethodPost, "/api/v1/connectors/items-source/snapshot", body)
	if err != nil || code != http.StatusAccepted {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	kills := max(2, killRounds(t)/2)
	for kill := range kills {
		ctx := p.deadline()
		begin, err := p.logged(ctx)
		must(t, err)
		enough := int64(1 + p.rnd.IntN(rows/(kills+2)))
		must(t, eventually(ctx, "a part of the snapshot", func() error {
			if now, err := p.logged(ctx); err != nil || now < begin+enough {
				return fmt.Errorf("%d of %d records, %w", now-begin, enough, err)
			}
			return nil
		}))
		must(t, p.worker.Kill())
		disturb(t, p, int64(2+kill))
		must(t, p.worker.Start(ctx))
	}
	must(t, eventually(p.deadline(), "the end of the snapshot", func() error {
		if !strings.Contains(p.worker.Log(), "incremental snapshot ends") {
			return fmt.Errorf("%s", p.statuses(t.Context()))
		}
		return nil
	}))
	p.arrive(p.deadline(), p.load.end(100))
	resumed := 0
	for line := range strings.Lines(p.worker.Log()) {
		if strings.Contains(line, "incremental snapshot goes on") && strings.Contains(line, `"after":"[`) {
			resumed++
		}
	}
	if resumed == 0 {
		t.Errorf("none of %d kills was in the middle of the snapshot, or it did not go on where it was", kills)
	}
	read := map[int64]int{}
	reads := 0
	last := map[int64]event{}
	for _, events := range p.topics.events {
		for _, e := range events {
			if e.op == "r" {
				read[e.id]++
				reads++
			}
			if e.op != "" {
				last[e.id] = e
			}
		}
	}
	wrong := 0
	for id, want := range p.load.table {
		if got := last[id]; got.op == "d" || got.op == "" || got.version != want.version || got.note != want.note {
			if wrong++; wrong < 10 {
				t.Errorf("the log says in the end %q of version %d of row %d, the table has version %d", got.op, got.version, id, want.version)
			}
		}
	}
	for id, got := range last {
		if _, ok := p.load.table[id]; !ok && got.op != "d" {
			t.Fatalf("row %d is gone, and the log says %q in the end", id, got.op)
		}
	}
	t.Logf("%d rows, %d of them read, %d read again, %d kills, %d of them in the snapshot, %d records in the log", len(p.load.table), len(read), reads-len(read), kills, resumed, p.topics.total)
}
