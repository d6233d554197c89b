package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// The hub is killed in the middle of the initial snapshot of a larger table, while other rows change. Afterwards every
// row is in the log, and the stream follows the last snapshot without a gap.
func TestKillHubInSnapshot(t *testing.T) {
	t.Parallel()
	const rows = 200_000
	p := prepare(t, nil)
	insertMany(t, p, "r", rows)
	p.load.start(p.seed, p.pause)
	ctx := p.deadline()
	must(t, eventually(ctx, "some changes before the snapshot", func() error {
		if n := p.load.committed.Load(); n < 100 {
			return fmt.Errorf("%d", n)
		}
		return nil
	}))
	must(t, p.worker.Start(ctx))
	must(t, p.worker.Put(ctx, "items-source", p.source()))
	p.read()
	kills := max(1, killRounds(t)*2/5)
	for range kills {
		ctx := p.deadline()
		var begin int64
		enough := int64(1 + p.rnd.IntN(rows/3))
		must(t, eventually(ctx, "a part of the snapshot", func() error {
			now, err := p.logged(ctx)
			if begin == 0 {
				begin = now
			}
			if err != nil || now < begin+enough {
				return fmt.Errorf("%d of %d records, %w", now-begin, enough, err)
			}
			return nil
		}))
		must(t, p.worker.Kill())
		must(t, p.worker.Start(ctx))
	}
	must(t, p.topics.until(p.deadline(), "the first change after the snapshot", func() bool { return p.topics.streamed }))
	p.arrive(p.deadline(), p.load.end(100))
	began, ended := strings.Count(p.worker.Log(), "snapshot begins"), strings.Count(p.worker.Log(), "snapshot ends")
	if began < 2 || ended != 1 {
		t.Errorf("%d snapshots were begun and %d ended: none of %d kills was in the middle of one", began, ended, kills)
	}
	left, err := checkJoin(p.topics.events, p.load.history)
	must(t, err)
	t.Logf("%d rows, %d changes meanwhile, %d kills, %d of them in a snapshot, %d records in the log; %d rows of a given-up snapshot were deleted before the next",
		rows, p.load.committed.Load(), kills, began-1, p.topics.total, left)
}

// insertMany puts rows into the table that the load's writers do not touch. op is how they will come.
func insertMany(t *testing.T, p *pipeline, op string, n int) {
	t.Helper()
	changes := make([]change, n)
	for i := range changes {
		changes[i] = change{op, -1_000_000 - int64(i), 1, fmt.Sprintf("one of many: %d", i)}
	}
	conn, err := pgx.Connect(t.Context(), p.pg.DSN(p.db))
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.CopyFrom(t.Context(), pgx.Identifier{"items"}, []string{"id", "version", "note"}, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		return []any{changes[i].id, changes[i].version, changes[i].note}, nil
	}))
	must(t, err)
	p.load.apply(changes)
	p.load.committed.Store(0)
}

// checkJoin looks at snapshots and the stream behind them. What is in the last snapshot are the rows at its LSN; of
// each row, every change after that must follow, in order, and none from before. It returns how many rows of an earlier
// snapshot, one that was given up, had been deleted by then: nothing says so in the log.
func checkJoin(partitions map[int32][]event, history map[int64][]change) (left int, err error) {
	var last int64 // LSN of the last snapshot
	for _, events := range partitions {
		for _, e := range events {
			if e.op == "r" {
				last = max(last, e.lsn)
			}
		}
	}
	type seen struct {
		earlier bool // in a snapshot that was given up
		last    bool // in the last one, with this version
		version int64
		changes []change // behind it
	}
	rows := map[int64]*seen{}
	for partition, events := range partitions {
		if err := checkOrder(events); err != nil {
			return 0, fmt.Errorf("partition %d: %w", partition, err)
		}
		for _, e := range events {
			row := rows[e.id]
			if row == nil {
				row = &seen{}
				rows[e.id] = row
			}
			switch {
			case e.op == "":
			case e.op != "r":
				row.changes = append(row.changes, e.change)
			case len(row.changes) > 0:
				return 0, fmt.Errorf("row %d is read at offset %d, after changes of it", e.id, e.offset)
			case e.lsn < last:
				row.earlier = true
			case row.last:
				return 0, fmt.Errorf("row %d is in the last snapshot twice", e.id)
			default:
				row.last, row.version = true, e.version
			}
		}
	}
	for id, all := range history {
		row := rows[id]
		if row == nil {
			row = &seen{}
		}
		// What had happened to the row before the last snapshot.
		before, after := all[:max(0, len(all)-len(row.changes))], all[max(0, len(all)-len(row.changes)):]
		exists := len(before) > 0 && before[len(before)-1].op != "d"
		switch {
		case !slices.Equal(after, row.changes):
			return 0, fmt.Errorf("row %d: committed %s, in the stream %s", id, brief(all), brief(row.changes))
		case exists != row.last || exists && before[len(before)-1].version != row.version:
			return 0, fmt.Errorf("row %d: committed %s, in the stream %s, in the snapshot %v with version %d", id, brief(all), brief(row.changes), row.last, row.version)
		case !exists && row.earlier && len(row.changes) == 0:
			left++
		}
		delete(rows, id)
	}
	for id := range rows {
		return 0, fmt.Errorf("row %d was never committed", id)
	}
	return left, nil
}
