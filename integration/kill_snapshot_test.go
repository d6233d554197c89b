package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/integration/services"
)

// The server, the hub and the source's process are killed in the middle of the initial snapshot of a larger table, while
// rows change. Afterwards the log has every row and every change since the first snapshot's point, and no row that is gone;
// and the chunks that were delivered before a kill were not read again.
func TestKillInSnapshot(t *testing.T) {
	t.Parallel()
	const rows = 120_000
	pg, err := services.StartPostgres(t.Context(), services.PostgresOptions{Fsync: true})
	must(t, err)
	closeLater(t, pg)
	p := prepare(t, func(p *pipeline) { p.pg = pg })
	insertMany(t, p, "r", rows, "")
	saw := newWitness(t, p)
	p.load.start(p.seed, p.pause)
	ctx := p.deadline()
	must(t, eventually(ctx, "some changes before the snapshot", func() error {
		if n := p.load.committed.Load(); n < 100 {
			return fmt.Errorf("%d", n)
		}
		return nil
	}))
	must(t, p.worker.Start(ctx))
	source := p.source()
	source["snapshot.chunk.pages"] = "50" // with some 7,000 rows
	way := newPaced(t, pg.Host, pg.Port)
	source["database.port"] = strconv.Itoa(way.port())
	stop := way.trickle()
	must(t, p.worker.Put(ctx, "items-source", source))
	stop()
	p.read()
	kills := p.killInSnapshot("postgres", pg.Server, way, rows, func(kill int) { disturb(t, p, int64(2+kill)) })
	must(t, p.topics.until(p.deadline(), "the first change after the snapshot", func() bool { return p.topics.streamed }))
	p.arrive(p.deadline(), p.load.end(100))
	p.load.check()
	repeated, err := checkJoin(p.topics.events, p.load.history, p.load.table, saw.changes(t))
	must(t, err)
	reads := readOnce(t, p.topics.events, -1_000_500, -1_003_000)
	t.Logf("%d rows, %d changes meanwhile, %d kills in the snapshot, %d records in the log, %d of them of the snapshot, %d repeated changes",
		rows, p.load.committed.Load(), kills, p.topics.total, reads, repeated)
}

// killInSnapshot kills the server, the hub and the source's process in turn, in the middle of a snapshot of so many rows,
// each time when it is durable that more chunks are delivered than at the time before. The connector reaches the server by
// a way on which it goes on only while this waits for it. meanwhile is done before hub and source are there again. It
// returns how often the snapshot went on.
func (p *pipeline) killInSnapshot(plugin string, s *services.Server, way *paced, rows int, meanwhile func(kill int)) (kills int) {
	p.t.Helper()
	defer way.release()
	piece := 2 * rows // bytes: some thirtieth of the table
	victims := []victim{
		{func(ctx context.Context) error { return errors.Join(s.Kill(), s.Restart(ctx)) }, func(context.Context) error { return nil }},
		{func(context.Context) error { return p.worker.Kill() }, p.worker.Start},
		p.child(plugin),
	}
	reached := ""
	ended := func() bool { return strings.Contains(p.worker.Log(), "snapshot ends") }
	for kill := range max(1, killRounds(p.t)*3/5) {
		ctx := p.deadline()
		begin, err := p.logged(ctx)
		must(p.t, err)
		enough := int64(p.rnd.IntN(rows / 6))
		must(p.t, eventually(ctx, "a part of the snapshot", func() error {
			way.let(piece)
			_, answer, err := p.worker.Do(ctx, http.MethodGet, "/connectors/items-source/offsets", nil)
			now, err2 := p.logged(ctx)
			at := storedPlace.FindString(string(answer))
			if err = errors.Join(err, err2); !ended() && (err != nil || at == "" || at == reached || now < begin+enough) {
				return fmt.Errorf("%d of %d records, %q: %w", now-begin, enough, at, err)
			}
			reached = at
			return nil
		}))
		if ended() {
			break
		}
		v := victims[kill%len(victims)]
		must(p.t, v.kill(ctx))
		meanwhile(kill)
		stopTrickle := way.trickle()
		must(p.t, v.start(ctx))
		stopTrickle()
		stopNudging := p.nudging()
		must(p.t, eventually(ctx, "the snapshot to go on", func() error {
			way.let(piece)
			if n := strings.Count(p.worker.Log(), "snapshot resumed"); n == kills && !ended() {
				return fmt.Errorf("it has %d times", n)
			}
			return nil
		}))
		stopNudging()
		kills = strings.Count(p.worker.Log(), "snapshot resumed")
	}
	way.release()
	if kills == 0 {
		p.t.Error("the snapshot was quicker than the test, or did not go on where it was")
	}
	must(p.t, eventually(p.deadline(), "the end of the snapshot", func() error {
		if n := strings.Count(p.worker.Log(), "snapshot ends"); n != 1 {
			return fmt.Errorf("%d snapshots have ended", n)
		}
		return nil
	}))
	if n := strings.Count(p.worker.Log(), "snapshot begins"); n != 1 {
		p.t.Errorf("%d snapshots were begun", n)
	}
	return kills
}

// storedPlace finds in a connector's offsets how far a snapshot has come.
var storedPlace = regexp.MustCompile(`"snapshot_reached":"[^}]*`)

// readOnce checks that the rows with keys between the two, which never changed and are of the first chunk, were read once
// each. It returns how many rows were read in all.
func readOnce(t *testing.T, partitions map[int32][]event, high, low int64) (reads int) {
	t.Helper()
	count := map[int64]int{}
	for _, events := range partitions {
		for _, e := range events {
			if e.op == "r" {
				count[e.id]++
				reads++
			}
		}
	}
	for id := high; id > low; id-- {
		if count[id] != 1 {
			t.Fatalf("row %d was read %d times", id, count[id])
		}
	}
	return reads
}

// insertMany puts rows into the table that the load's writers do not touch. op is how they will come.
func insertMany(t *testing.T, p *pipeline, op string, n int, note string) {
	t.Helper()
	changes := make([]change, n)
	for i := range changes {
		changes[i] = change{op, -1_000_000 - int64(i), 1, fmt.Sprintf("one of many: %d %s", i, note)}
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

// disturb changes rows that every snapshot reads early: some are deleted, some get the version, and some come back.
func disturb(t *testing.T, p *pipeline, version int64) {
	t.Helper()
	var changes []change
	var b pgx.Batch
	for i, n := range p.rnd.Perm(500)[:60] {
		c := change{"u", -1_000_000 - int64(n), version, "disturbed"}
		switch _, exists := p.load.now(c.id); {
		case !exists:
			c.op = "c"
			b.Queue("INSERT INTO items VALUES ($1, $2, $3)", c.id, c.version, c.note)
		case i%2 == 0:
			c = change{op: "d", id: c.id}
			b.Queue("DELETE FROM items WHERE id = $1", c.id)
		default:
			b.Queue("UPDATE items SET version = $2, note = $3 WHERE id = $1", c.id, c.version, c.note)
		}
		changes = append(changes, c)
	}
	conn, err := pgx.Connect(t.Context(), p.pg.DSN(p.db))
	must(t, err)
	defer conn.Close(t.Context())
	must(t, conn.SendBatch(t.Context(), &b).Close())
	p.load.apply(changes)
}

// now is what the table holds of a row.
func (l *load) now(id int64) (change, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.table[id]
	return c, ok
}

// witness is a logical slot of the test's own: what PostgreSQL itself says was changed, where in its log, and where the
// commit ended.
type witness struct{ p *pipeline }

const witnessSlot = "witness_"

// newWitness lets everything be witnessed that is written from now on.
func newWitness(t *testing.T, p *pipeline) witness {
	t.Helper()
	p.pg.Exec(t, p.db, "SELECT pg_create_logical_replication_slot('"+witnessSlot+p.db+"', 'test_decoding')")
	return witness{p}
}

// witnessed is a change as the witness saw it; it does not see the note.
type witnessed struct {
	change
	lsn    int64
	commit int64 // where the commit ended: a snapshot whose point is not less has the change
}

// decoded is what test_decoding prints of a change of the load.
var decoded = regexp.MustCompile(`^table public\.items: (INSERT|UPDATE|DELETE): (?:old-key: id\[bigint\]:(-?\d+) new-tuple: )?id\[bigint\]:(-?\d+)(?: version\[bigint\]:(\d+))?`)

// changes returns what was seen, by row and in the order of commits.
func (w witness) changes(t *testing.T) map[int64][]witnessed {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.p.pg.DSN(w.p.db))
	must(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT (lsn - '0/0')::bigint, data FROM pg_logical_slot_get_changes($1, NULL, NULL)", witnessSlot+w.p.db)
	must(t, err)
	defer rows.Close()
	seen := map[int64][]witnessed{}
	var tx []witnessed
	for rows.Next() {
		var lsn int64
		var data string
		must(t, rows.Scan(&lsn, &data))
		m := decoded.FindStringSubmatch(data)
		switch {
		case strings.HasPrefix(data, "COMMIT"):
			for _, c := range tx {
				c.commit = lsn
				seen[c.id] = append(seen[c.id], c)
			}
			tx = nil
		case m != nil:
			id, _ := strconv.ParseInt(m[3], 10, 64)
			old, _ := strconv.ParseInt(m[2], 10, 64)
			version, _ := strconv.ParseInt(m[4], 10, 64)
			at := func(op string, id, version int64) {
				tx = append(tx, witnessed{change: change{op: op, id: id, version: version}, lsn: lsn})
			}
			switch {
			case m[1] == "INSERT":
				at("c", id, version)
			case m[1] == "DELETE":
				at("d", id, 0)
			case m[2] == "":
				at("u", id, version)
			default:
				at("d", old, 0)
				at("c", id, version)
			}
		}
	}
	must(t, rows.Err())
	return seen
}

// story is what there is to say about one row.
type rowStory struct {
	committed []change    // all that ever happened
	witnessed []witnessed // the end of it
	streamed  []event     // changes in the log, each once
	last      event       // in the log, tombstones left out
}

// before is what had happened to the row before a point of PostgreSQL's log.
func (r *rowStory) before(point int64) []change {
	n := len(r.committed)
	for _, w := range r.witnessed {
		if w.commit > point {
			n--
		}
	}
	return r.committed[:max(n, 0)]
}

// version is that of the row at a point of PostgreSQL's log; 0 if it did not exist.
func (r *rowStory) version(point int64) int64 {
	if b := r.before(point); len(b) > 0 {
		return b[len(b)-1].version // 0 of a delete
	}
	return 0
}

// checkJoin looks at a snapshot, each part of which but the last was interrupted, and at the changes before, between and
// behind these parts:
//   - every change that was committed after the first snapshot's point is in the log, in order; what is repeated is as
//     it was;
//   - every row of every snapshot is as it was at the snapshot's point, and each that there was at the last one's point is
//     in it once, or in one before;
//   - the last that the log says of a row is what the table says, so that no row is left behind.
func checkJoin(partitions map[int32][]event, history map[int64][]change, table map[int64]change, seen map[int64][]witnessed) (repeated int, err error) {
	rows := map[int64]*rowStory{}
	for id, committed := range history {
		rows[id] = &rowStory{committed: committed, witnessed: seen[id]}
	}
	var first, last int64 // points of snapshots
	for partition, events := range partitions {
		once, again, err := unrepeat(slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.op == "r" }))
		if err == nil {
			err = checkOrder(once)
		}
		if err != nil {
			return 0, fmt.Errorf("partition %d: %w", partition, err)
		}
		repeated += again.records
		for _, e := range events {
			row := rows[e.id]
			switch {
			case row == nil:
				return 0, fmt.Errorf("row %d was never committed", e.id)
			case e.op == "r" && row.version(e.lsn) != e.version:
				return 0, fmt.Errorf("row %d has version %d in the snapshot at %d, where it had %d; committed %s", e.id, e.version, e.lsn, row.version(e.lsn), brief(row.committed))
			case e.op == "r":
				last = max(last, e.lsn)
				if first == 0 || e.lsn < first {
					first = e.lsn
				}
			}
			if e.op != "" {
				row.last = e
			}
		}
		for _, e := range once {
			if e.op != "" {
				rows[e.id].streamed = append(rows[e.id].streamed, e)
			}
		}
	}
	if err := checkLastPart(partitions, rows, last); err != nil {
		return 0, err
	}
	for id, row := range rows {
		if err := row.check(first, table[id]); err != nil {
			return 0, fmt.Errorf("row %d: %w", id, err)
		}
	}
	return repeated, nil
}

// checkLastPart compares the rows of the last part with those that existed.
func checkLastPart(partitions map[int32][]event, rows map[int64]*rowStory, point int64) error {
	read, before := map[int64]int{}, map[int64]bool{}
	for _, events := range partitions {
		for _, e := range events {
			if e.op == "r" && e.lsn == point {
				read[e.id]++
			} else if e.op == "r" || e.lsn < point {
				before[e.id] = true
			}
		}
	}
	for id, row := range rows {
		exists := row.version(point) != 0
		if n := read[id]; n > 1 || n == 1 && !exists || n == 0 && exists && !before[id] {
			return fmt.Errorf("row %d, with version %d at the point of the snapshot's last part, is in it %d times", id, row.version(point), n)
		}
	}
	return nil
}

// check compares what was committed since the first snapshot's point with what is in the log, and the end of both.
func (r *rowStory) check(first int64, now change) error {
	due := r.committed[len(r.before(first)):]
	wrong := len(due) != len(r.streamed) || len(due) > len(r.witnessed)
	for i := 0; !wrong && i < len(due); i++ {
		seen := r.witnessed[len(r.witnessed)-len(due)+i]
		wrong = r.streamed[i].change != due[i] || r.streamed[i].lsn != seen.lsn || seen.op != due[i].op || seen.version != due[i].version
	}
	if wrong {
		var got []change
		for _, e := range r.streamed {
			got = append(got, e.change)
		}
		return fmt.Errorf("committed %s, of it after the first snapshot's point %s, in the log %s", brief(r.committed), brief(due), brief(got))
	}
	gone := r.last.op == "" || r.last.op == "d"
	if gone != (now.op == "") || !gone && (r.last.version != now.version || r.last.note != now.note) {
		return fmt.Errorf("the log says in the end %q of version %d, the table has version %d; committed %s", r.last.op, r.last.version, now.version, brief(r.committed))
	}
	return nil
}
