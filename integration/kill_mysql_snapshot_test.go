package integration

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
)

// The server, the hub and the source's process are killed in the middle of the initial snapshot of a larger table, while
// rows change. Afterwards the last that the log says of each row is what the table has, there is no gap in what it says of a
// row, and the chunks that were delivered before a kill were not read again.

func TestKillInMySQLSnapshot(t *testing.T) {
	t.Parallel()
	m, err := services.StartMySQL(t.Context(), services.MySQLOptions{Durable: true})
	must(t, err)
	closeLater(t, m)
	killInMySQLSnapshot(t, m, "mysql")
}

func TestKillInMariaDBSnapshot(t *testing.T) {
	t.Parallel()
	m, err := services.StartMariaDB(t.Context(), services.MySQLOptions{Durable: true})
	must(t, err)
	closeLater(t, m)
	killInMySQLSnapshot(t, m, "mariadb")
}

func killInMySQLSnapshot(t *testing.T, m *services.MySQL, plugin string) {
	t.Helper()
	const rows = 30_000
	p := newMySQLPipeline(t, m, rows)
	m.Exec(t, p.db, "ANALYZE TABLE items")
	p.load.start(p.seed, p.pause, false)
	must(t, eventually(p.deadline(), "some changes before the snapshot", func() error {
		if n := p.load.committed.Load(); n < 100 {
			return fmt.Errorf("%d", n)
		}
		return nil
	}))
	way := newPaced(t, m.Host, m.Port)
	stop := way.trickle()
	p.begin(map[string]string{"database.port": strconv.Itoa(way.port()), "snapshot.chunk.rows": "2500", "max.batch.size": "100"})
	stop()
	kills := p.killInSnapshot(plugin, p.server.Server, way, rows, func(kill int) { p.disturb(rows, int64(2+kill)) })
	must(t, p.topics.until(p.deadline(), "the first change after the snapshot", func() bool { return p.topics.streamed }))
	p.arrive()
	// The keys are read from the lowest one on.
	reads := readOnce(t, p.topics.events, -rows+2000, -rows+500)
	repeated := p.checkGaps()
	t.Logf("%d rows, %d changes meanwhile, %d kills in the snapshot, %d records in the log, %d of them of the snapshot, %d repeated changes",
		rows, p.load.committed.Load(), kills, p.topics.total, reads, repeated)
}

// disturb changes rows that every snapshot reads early: some are deleted, some get the version.
func (p *mysqlPipeline) disturb(rows int, version int64) {
	p.t.Helper()
	l := p.load
	for i, n := range p.rnd.Perm(400)[:30] {
		id := int64(n - rows)
		l.mu.Lock()
		row, exists := l.rows[id]
		l.mu.Unlock()
		switch {
		case !exists:
		case i%2 == 0:
			p.server.Exec(p.t, p.db, fmt.Sprintf("DELETE FROM items WHERE id = %d", id))
			l.apply([]mysqlEffect{{change: change{op: "d", id: id}}})
		default:
			p.server.Exec(p.t, p.db, fmt.Sprintf("UPDATE items SET version = %d WHERE id = %d", version, id))
			l.apply([]mysqlEffect{l.row("u", id, version, row.cells)})
		}
	}
}

// checkGaps checks that the changes of each row in the log, each once, are the end of what was committed.
func (p *mysqlPipeline) checkGaps() (repeated int) {
	p.t.Helper()
	got := map[int64][]change{}
	for partition, events := range p.topics.events {
		once, again, err := unrepeat(slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.op == "r" }))
		if err == nil {
			err = checkOrder(once)
		}
		if err != nil {
			p.t.Fatalf("partition %d of the log: %v", partition, err)
		}
		repeated += again.records
		for _, e := range once {
			if e.op != "" {
				got[e.id] = append(got[e.id], e.change)
			}
		}
	}
	for id, changes := range got {
		all := p.load.history[id]
		if len(all) < len(changes) || !slices.Equal(all[len(all)-len(changes):], changes) {
			p.t.Fatalf("row %d: committed %s, in the log %s", id, brief(all), brief(changes))
		}
	}
	return repeated
}
