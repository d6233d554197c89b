package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// loadTable is what the load writes to. A row's version is never used twice, so every state of every row can be told
// from every other. ledger is not captured: it says, after a crash, whether a transaction whose commit was not
// answered was committed.
const loadTable = `
CREATE TABLE items (id bigint PRIMARY KEY, version bigint NOT NULL, note text NOT NULL);
CREATE TABLE ledger (writer int, seq bigint, PRIMARY KEY (writer, seq));`

const (
	loadWriters  = 2
	loadLiveRows = 1000          // the table's size, about
	loadEnd      = 1_000_000_000 // keys of the rows of the last transaction begin here
)

// change is what one statement does to one row: c, u, d, or r for a row of the snapshot. A change of the key is a d
// and a c. The version is the new one, 0 for d.
type change struct {
	op      string
	id      int64
	version int64
	note    string
}

// load writes transactions until it is stopped, and knows which were committed.
type load struct {
	t    *testing.T
	dsn  string
	stop context.CancelFunc
	done sync.WaitGroup

	committed atomic.Int64 // changes
	resolved  atomic.Int64 // transactions whose commit was not answered

	mu       sync.Mutex
	history  map[int64][]change // by key, in the order of commits
	table    map[int64]change   // what the table holds: the last change of each row
	versions map[int64]int64    // by writer: the last one
	err      error
}

// loadWriter writes to rows of its own, so that the order of their versions is that of its transactions.
type loadWriter struct {
	l       *load
	index   int
	rnd     *rand.Rand
	conn    *pgx.Conn
	seq     int64
	nextID  int64
	version int64
	live    []int64       // keys of rows that exist
	at      map[int64]int // their places in live
	gone    []int64       // keys of rows that were deleted
}

// newLoad makes the table with some rows in it.
func newLoad(t *testing.T, dsn string, rows int) *load {
	t.Helper()
	l := &load{t: t, dsn: dsn, history: map[int64][]change{}, table: map[int64]change{}, versions: map[int64]int64{}}
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), loadTable)
	must(t, err)
	var b pgx.Batch
	for i := range rows {
		c := change{"r", -1 - int64(i), 1, "was there before"}
		b.Queue("INSERT INTO items VALUES ($1, $2, $3)", c.id, c.version, c.note)
		l.history[c.id] = []change{c}
		l.table[c.id] = c
	}
	must(t, conn.SendBatch(t.Context(), &b).Close())
	return l
}

// start lets the writers write, with a pause between two transactions.
func (l *load) start(seed uint64, pause time.Duration) {
	ctx, cancel := context.WithCancel(l.t.Context())
	l.stop = cancel
	l.t.Cleanup(func() { cancel(); l.done.Wait() })
	for i := range loadWriters {
		w := &loadWriter{l: l, index: i, rnd: rand.New(rand.NewPCG(seed, uint64(i))), nextID: int64(i), at: map[int64]int{}}
		l.done.Go(func() {
			if err := w.run(ctx, pause); err != nil {
				l.mu.Lock()
				l.err = errors.Join(l.err, err)
				l.mu.Unlock()
			}
		})
	}
}

// end stops the writers, and writes rows at the end in one last transaction that is recognised by them: when all of
// them have arrived, nothing that was committed before can be still to come.
func (l *load) end(rows int) (last []change) {
	l.t.Helper()
	l.stop()
	l.done.Wait()
	must(l.t, l.err)
	conn, err := pgx.Connect(l.t.Context(), l.dsn)
	must(l.t, err)
	defer conn.Close(context.Background())
	tx, err := conn.Begin(l.t.Context())
	must(l.t, err)
	var b pgx.Batch
	for i := range rows {
		c := change{"c", loadEnd + int64(i), 1, "the end"}
		b.Queue("INSERT INTO items VALUES ($1, $2, $3)", c.id, c.version, c.note)
		last = append(last, c)
	}
	must(l.t, tx.SendBatch(l.t.Context(), &b).Close())
	must(l.t, tx.Commit(l.t.Context()))
	l.apply(last)
	return last
}

// apply notes what was committed.
func (l *load) apply(changes []change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		l.history[c.id] = append(l.history[c.id], c)
		if c.op == "d" {
			delete(l.table, c.id)
		} else {
			l.table[c.id] = c
		}
		if c.id >= 0 && c.id < loadEnd {
			l.versions[c.id%loadWriters] = max(l.versions[c.id%loadWriters], c.version)
		}
	}
	l.committed.Add(int64(len(changes)))
}

// newest returns the last version that each writer has committed.
func (l *load) newest() map[int64]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.versions)
}

// check compares what was noted with what the database says.
func (l *load) check() {
	l.t.Helper()
	conn, err := pgx.Connect(l.t.Context(), l.dsn)
	must(l.t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(l.t.Context(), "SELECT id, version, note FROM items")
	must(l.t, err)
	n := 0
	for rows.Next() {
		var c change
		must(l.t, rows.Scan(&c.id, &c.version, &c.note))
		want := l.table[c.id]
		if want.version != c.version || want.note != c.note {
			l.t.Fatalf("the load is wrong about row %d: it has version %d, not %d", c.id, c.version, want.version)
		}
		n++
	}
	must(l.t, rows.Err())
	if n != len(l.table) {
		l.t.Fatalf("the load is wrong: the table has %d rows, not %d", n, len(l.table))
	}
}

func (w *loadWriter) run(ctx context.Context, every time.Duration) error {
	defer func() {
		if w.conn != nil {
			w.conn.Close(context.Background())
		}
	}()
	pause := time.NewTicker(every)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		before := *w
		before.live, before.gone, before.at = slices.Clone(w.live), slices.Clone(w.gone), maps.Clone(w.at)
		w.seq++
		changes, b := w.transaction()
		committed, err := w.commit(changes, b)
		if err != nil {
			return err
		}
		if !committed { // undone, but for the versions, which are used once
			w.live, w.gone, w.at = before.live, before.gone, before.at
			continue
		}
		w.l.apply(changes)
	}
}

// commit brings a transaction to its end and says which. It is not given up when the load is stopped, so that there
// is always an answer.
func (w *loadWriter) commit(changes []change, b *pgx.Batch) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := w.try(ctx, b); err == nil {
		return true, nil
	} else if !lostConnection(err) {
		return false, fmt.Errorf("the load's own transaction: %w", err)
	}
	w.l.resolved.Add(1)
	var found bool
	err := eventually(ctx, "the database to say whether a transaction was committed", func() error {
		if err := w.connect(ctx); err != nil {
			return err
		}
		err := w.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ledger WHERE writer = $1 AND seq = $2)", w.index, w.seq).Scan(&found)
		if err != nil {
			w.conn.Close(ctx)
			w.conn = nil
		}
		return err
	})
	return found, err
}

func (w *loadWriter) connect(ctx context.Context) (err error) {
	if w.conn != nil {
		return nil
	}
	w.conn, err = pgx.Connect(ctx, w.l.dsn)
	return err
}

func (w *loadWriter) try(ctx context.Context, b *pgx.Batch) (err error) {
	defer func() {
		if err != nil && w.conn != nil {
			w.conn.Close(ctx)
			w.conn = nil
		}
	}()
	if err := w.connect(ctx); err != nil {
		return err
	}
	tx, err := w.conn.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO ledger VALUES ($1, $2)", w.index, w.seq); err != nil {
		return err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// transaction makes up a transaction: mostly of a few rows, now and then of more than fit into one batch.
func (w *loadWriter) transaction() ([]change, *pgx.Batch) {
	n := 1 + w.rnd.IntN(6)
	if w.rnd.IntN(200) == 0 {
		n = 500 + w.rnd.IntN(1500)
	}
	var changes []change
	b := &pgx.Batch{}
	for range n {
		changes = append(changes, w.statement(b)...)
	}
	return changes, b
}

func (w *loadWriter) statement(b *pgx.Batch) []change {
	w.version++
	note := strings.Repeat(string(rune('a'+w.rnd.IntN(26))), 1+w.rnd.IntN(300))
	kind := w.rnd.IntN(100)
	if len(w.live) > loadLiveRows/loadWriters && kind < 35 {
		kind += 60 // fewer inserts, more deletes
	}
	switch {
	case len(w.live) < 10 || kind < 35: // a row that is new, or was deleted
		id := w.freshID()
		if n := len(w.gone); n > 0 && w.rnd.IntN(4) == 0 {
			id, w.gone = w.gone[n-1], w.gone[:n-1]
		}
		w.add(id)
		b.Queue("INSERT INTO items VALUES ($1, $2, $3)", id, w.version, note)
		return []change{{"c", id, w.version, note}}
	case kind < 80:
		id := w.live[w.rnd.IntN(len(w.live))]
		b.Queue("UPDATE items SET version = $2, note = $3 WHERE id = $1", id, w.version, note)
		return []change{{"u", id, w.version, note}}
	case kind < 85: // another key
		id, to := w.remove(), w.freshID()
		w.add(to)
		b.Queue("UPDATE items SET id = $2, version = $3, note = $4 WHERE id = $1", id, to, w.version, note)
		return []change{{op: "d", id: id}, {"c", to, w.version, note}}
	default:
		id := w.remove()
		b.Queue("DELETE FROM items WHERE id = $1", id)
		return []change{{op: "d", id: id}}
	}
}

func (w *loadWriter) freshID() int64 {
	w.nextID += loadWriters
	return w.nextID
}

func (w *loadWriter) add(id int64) {
	w.at[id] = len(w.live)
	w.live = append(w.live, id)
}

func (w *loadWriter) remove() int64 {
	i := w.rnd.IntN(len(w.live))
	id, last := w.live[i], w.live[len(w.live)-1]
	w.live[i], w.at[last] = last, i
	w.live = w.live[:len(w.live)-1]
	delete(w.at, id)
	w.gone = append(w.gone, id)
	return id
}
