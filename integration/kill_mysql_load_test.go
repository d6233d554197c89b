package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/integration/services"
)

// mysqlTables is what the load writes to: ledger is as in loadTable. The columns behind version come and go.
const mysqlTables = `CREATE TABLE items (id bigint PRIMARY KEY, version bigint NOT NULL, a int COMMENT '1', b varchar(40) COMMENT '2',
  c varchar(40) COMMENT '3');
CREATE TABLE ledger (writer int, seq bigint, PRIMARY KEY (writer, seq))`

const (
	mysqlLarge = 20_000 // rows of the one large transaction
	mysqlLast  = 1_000_000_000
)

// mysqlRow is a row of the table: its version, and by column the value.
type mysqlRow struct {
	version int64
	cells   map[int]string
}

// mysqlLoad writes transactions and changes the table's definition until it is stopped, and knows what was committed.
type mysqlLoad struct {
	t      *testing.T
	server *services.MySQL
	db     string
	stop   context.CancelFunc
	done   sync.WaitGroup

	committed atomic.Int64 // changes
	resolved  atomic.Int64 // transactions and statements that were not answered

	table       sync.RWMutex // held by a statement that changes columns; for reading, by transactions
	columns     []mysqlColumn
	columnID    int
	definitions int

	mu       sync.Mutex
	history  map[int64][]change
	rows     map[int64]mysqlRow
	versions map[int64]int64 // by writer: the last one
	moves    int             // changes of keys, which are one row of the server's log and two changes
	err      error
}

// mysqlEffect is a change, and the row that it leaves.
type mysqlEffect struct {
	change
	cells map[int]string
	moved bool // the change is the second of two
}

// newMySQLLoad makes the table with some rows in it.
func newMySQLLoad(t *testing.T, m *services.MySQL, db string, rows int) *mysqlLoad {
	t.Helper()
	l := &mysqlLoad{t: t, server: m, db: db, history: map[int64][]change{}, rows: map[int64]mysqlRow{}, versions: map[int64]int64{}, columnID: 3,
		columns: []mysqlColumn{{1, "a", "int", true}, {2, "b", "varchar(40)", true}, {3, "c", "varchar(40)", true}}}
	for _, sql := range strings.Split(mysqlTables, ";\n") {
		m.Exec(t, db, sql)
	}
	for i := 0; i < rows; {
		var some []mysqlEffect
		for ; i < rows && len(some) < 1000; i++ {
			some = append(some, l.row("r", -1-int64(i), 1, nil))
		}
		m.Exec(t, db, l.insert(some...))
		l.apply(some)
	}
	l.committed.Store(0)
	return l
}

// row is a row all of whose columns are written, but for those that keep.
func (l *mysqlLoad) row(op string, id, version int64, keep map[int]string) mysqlEffect {
	cells := map[int]string{}
	for _, c := range l.columns {
		cells[c.id] = c.value(version)
		if old, ok := keep[c.id]; ok {
			cells[c.id] = old
		}
	}
	return mysqlEffect{change: change{op, id, version, l.note(cells)}, cells: cells}
}

func (l *mysqlLoad) note(cells map[int]string) string {
	values := map[string]string{}
	for _, c := range l.columns {
		values[c.name] = cells[c.id]
	}
	return columnsNote(values)
}

func quoteValue(v string) string {
	if v == "NULL" {
		return v
	}
	return "'" + v + "'"
}

// insert is the statement that inserts rows, all columns named.
func (l *mysqlLoad) insert(rows ...mysqlEffect) string {
	var b strings.Builder
	b.WriteString("INSERT INTO items (id, version")
	for _, c := range l.columns {
		b.WriteString(", " + c.name)
	}
	b.WriteString(") VALUES ")
	for i, r := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d, %d", r.id, r.version)
		for _, c := range l.columns {
			b.WriteString(", " + quoteValue(r.cells[c.id]))
		}
		b.WriteString(")")
	}
	return b.String()
}

// start lets the writers write, with a pause between two transactions, and another one change the table if it should.
func (l *mysqlLoad) start(seed uint64, pause time.Duration, alter bool) {
	ctx, cancel := context.WithCancel(l.t.Context())
	l.stop = cancel
	l.t.Cleanup(func() { cancel(); l.done.Wait() })
	work := func(run func(context.Context) error) {
		l.done.Go(func() {
			if err := run(ctx); err != nil {
				l.mu.Lock()
				l.err = errors.Join(l.err, err)
				l.mu.Unlock()
			}
		})
	}
	for i := range loadWriters {
		w := &mysqlWriter{mysqlSession: mysqlSession{l: l}, index: i, rnd: rand.New(rand.NewPCG(seed, uint64(i))), nextID: int64(i), pause: pause}
		work(w.run)
	}
	if alter {
		work((&mysqlDefiner{mysqlSession: mysqlSession{l: l}, rnd: rand.New(rand.NewPCG(seed, loadWriters))}).run)
	}
}

// end stops everything, writes to all rows in one last transaction, and returns the table as the server has it.
func (l *mysqlLoad) end() map[int64]change {
	l.t.Helper()
	l.stop()
	l.done.Wait()
	must(l.t, l.err)
	l.server.Exec(l.t, l.db, fmt.Sprintf("UPDATE items SET version = version + %d", mysqlLast))
	var last []mysqlEffect
	for id, row := range l.rows {
		e := l.row("u", id, row.version+mysqlLast, row.cells)
		last = append(last, e)
	}
	l.apply(last)
	names := []string{}
	for _, c := range l.columns {
		names = append(names, c.name)
	}
	r := l.server.Exec(l.t, l.db, "SELECT id, version, "+strings.Join(names, ", ")+" FROM items")
	table := map[int64]change{}
	for i := range r.RowNumber() {
		id, err1 := r.GetInt(i, 0)
		version, err2 := r.GetInt(i, 1)
		must(l.t, errors.Join(err1, err2))
		values := map[string]string{}
		for j, name := range names {
			text, err := r.GetString(i, 2+j)
			must(l.t, err)
			if null, _ := r.IsNull(i, 2+j); null {
				text = "NULL"
			}
			values[name] = strings.Clone(text)
		}
		table[id] = change{"u", id, version, columnsNote(values)}
		if h := l.history[id]; len(h) == 0 || h[len(h)-1] != table[id] {
			l.t.Fatalf("the load is wrong about row %d: it is %+v, not %+v", id, table[id], h)
		}
	}
	if len(table) != len(l.rows) {
		l.t.Fatalf("the load is wrong: the table has %d rows, not %d", len(table), len(l.rows))
	}
	return table
}

// apply notes what was committed.
func (l *mysqlLoad) apply(effects []mysqlEffect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range effects {
		l.history[e.id] = append(l.history[e.id], e.change)
		if e.op == "d" {
			delete(l.rows, e.id)
		} else {
			l.rows[e.id] = mysqlRow{e.version, e.cells}
		}
		if e.moved {
			l.moves++
		}
		if e.id >= 0 {
			l.versions[e.id%loadWriters] = max(l.versions[e.id%loadWriters], e.version)
		}
	}
	l.committed.Add(int64(len(effects)))
}

// newest returns the last version that each writer has committed.
func (l *mysqlLoad) newest() map[int64]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.versions)
}

// mysqlSession runs statements, and finds out what became of them when the server dies.
type mysqlSession struct {
	l    *mysqlLoad
	conn *client.Conn
}

// execute runs statements in one session, and ends it on an error.
func (s *mysqlSession) execute(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if err := s.connect(ctx); err != nil {
			return err
		}
		if _, err := s.conn.Execute(sql); err != nil {
			s.conn.Close()
			s.conn = nil
			return fmt.Errorf("%.200s: %w", sql, err)
		}
	}
	return nil
}

func (s *mysqlSession) connect(ctx context.Context) (err error) {
	if s.conn == nil {
		s.conn, err = s.l.server.Connect(ctx, s.l.db)
	}
	return err
}

// ask runs a query that returns one value, until the server answers.
func (s *mysqlSession) ask(ctx context.Context, sql string) (answer string, err error) {
	err = eventually(ctx, "the server to say what became of a statement", func() error {
		if err := s.connect(ctx); err != nil {
			return err
		}
		r, err := s.conn.Execute(sql)
		if err != nil {
			s.conn.Close()
			s.conn = nil
			return err
		}
		answer, err = r.GetString(0, 0)
		answer = strings.Clone(answer)
		return err
	})
	return answer, err
}

// refused reports whether the server has refused a statement, so that nothing came of it. It also says errors while it
// dies.
func refused(err error) bool {
	var my *mysql.MyError
	return errors.As(err, &my) && !slices.Contains([]uint16{1053, 1077, 1158, 1159, 1160, 1161, 1927, 3169}, my.Code)
}

// sacrificed reports whether the server has given up a transaction, or a statement of it, so that others go on. The lock of
// a snapshot may need it: while it waits for a statement, which waits for a row, the row's transaction waits for the lock.
func sacrificed(err error) bool {
	var my *mysql.MyError
	return errors.As(err, &my) && (my.Code == 1213 || my.Code == 1205)
}

// mysqlWriter writes to rows of its own, so that the order of their versions is that of its transactions.
type mysqlWriter struct {
	mysqlSession
	index   int
	rnd     *rand.Rand
	pause   time.Duration
	seq     int64
	nextID  int64
	version int64
	live    []int64 // keys of rows that exist
	gone    []int64 // keys of rows that were deleted
	pending map[int64]mysqlRow
	sql     []string
	effects []mysqlEffect

	wasLarge bool // a transaction that was committed
}

func (w *mysqlWriter) run(ctx context.Context) error {
	defer func() {
		if w.conn != nil {
			w.conn.Close()
		}
	}()
	pause := time.NewTicker(w.pause)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		if err := w.transaction(); err != nil {
			return err
		}
	}
}

// transaction runs one, which may be rolled back, and is not given up when the load is stopped.
func (w *mysqlWriter) transaction() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	w.l.table.RLock()
	defer w.l.table.RUnlock()
	live, gone := slices.Clone(w.live), slices.Clone(w.gone)
	w.seq++
	w.pending, w.sql, w.effects = map[int64]mysqlRow{}, []string{"BEGIN", fmt.Sprintf("INSERT INTO ledger VALUES (%d, %d)", w.index, w.seq)}, nil
	large := w.index == 0 && w.seq >= 100 && !w.wasLarge
	if large {
		w.large()
	}
	n := 1 + w.rnd.IntN(6)
	if w.rnd.IntN(200) == 0 {
		n = 200 + w.rnd.IntN(800)
	}
	for range n {
		w.statement()
		if w.rnd.IntN(30) == 0 {
			w.undone()
		}
	}
	end := "COMMIT"
	if w.rnd.IntN(10) == 0 {
		end = "ROLLBACK"
	}
	committed := end == "COMMIT"
	if err := w.execute(ctx, append(w.sql, end)...); sacrificed(err) {
		committed = false // its session is closed, too
	} else if err != nil {
		if refused(err) {
			return fmt.Errorf("the load's own transaction: %w", err)
		}
		w.l.resolved.Add(1)
		n, err := w.ask(ctx, fmt.Sprintf("SELECT count(*) FROM ledger WHERE writer = %d AND seq = %d", w.index, w.seq))
		if err != nil {
			return err
		}
		committed = n == "1"
	}
	if !committed { // undone, but for the versions, which are used once
		w.live, w.gone = live, gone
		return nil
	}
	w.wasLarge = w.wasLarge || large
	w.l.apply(w.effects)
	return nil
}

func (w *mysqlWriter) do(sql string, effects ...mysqlEffect) {
	w.sql, w.effects = append(w.sql, sql), append(w.effects, effects...)
	for _, e := range effects {
		w.pending[e.id] = mysqlRow{e.version, e.cells}
	}
}

// now is a row as it is inside of the transaction.
func (w *mysqlWriter) now(id int64) mysqlRow {
	if row, ok := w.pending[id]; ok {
		return row
	}
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	return w.l.rows[id]
}

func (w *mysqlWriter) freshID() int64 {
	w.nextID += loadWriters
	return w.nextID
}

// large inserts many rows, and updates all of them by one statement.
func (w *mysqlWriter) large() {
	var ids []string
	var again []mysqlEffect
	for range mysqlLarge / 500 {
		var rows []mysqlEffect
		for range 250 {
			w.version++
			e := w.l.row("c", w.freshID(), w.version, nil)
			rows, ids = append(rows, e), append(ids, strconv.FormatInt(e.id, 10))
			w.live = append(w.live, e.id)
			again = append(again, w.l.row("u", e.id, e.version+mysqlLarge, e.cells))
		}
		w.do(w.l.insert(rows...), rows...)
	}
	w.version += mysqlLarge
	w.do(fmt.Sprintf("UPDATE items SET version = version + %d WHERE id IN (%s)", mysqlLarge, strings.Join(ids, ", ")), again...)
}

func (w *mysqlWriter) statement() {
	w.version++
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
		w.live = append(w.live, id)
		e := w.l.row("c", id, w.version, nil)
		w.do(w.l.insert(e), e)
	case kind < 85:
		id := w.live[w.rnd.IntN(len(w.live))]
		row := w.now(id)
		set, keep := fmt.Sprintf("version = %d", w.version), map[int]string{}
		for _, c := range w.l.columns {
			if w.rnd.IntN(2) == 0 {
				keep[c.id] = row.cells[c.id]
			} else {
				set += fmt.Sprintf(", %s = '%s'", c.name, c.value(w.version))
			}
		}
		if kind < 80 {
			w.do(fmt.Sprintf("UPDATE items SET %s WHERE id = %d", set, id), w.l.row("u", id, w.version, keep))
			return
		}
		to := w.freshID() // another key
		w.remove(id)
		w.live = append(w.live, to)
		e := w.l.row("c", to, w.version, keep)
		e.moved = true
		w.do(fmt.Sprintf("UPDATE items SET id = %d, %s WHERE id = %d", to, set, id), mysqlEffect{change: change{op: "d", id: id}}, e)
	default:
		id := w.live[w.rnd.IntN(len(w.live))]
		w.remove(id)
		w.do(fmt.Sprintf("DELETE FROM items WHERE id = %d", id), mysqlEffect{change: change{op: "d", id: id}})
	}
}

func (w *mysqlWriter) remove(id int64) {
	i := slices.Index(w.live, id)
	w.live[i] = w.live[len(w.live)-1]
	w.live = w.live[:len(w.live)-1]
	w.gone = append(w.gone, id)
}

// undone changes rows and goes back to the savepoint before.
func (w *mysqlWriter) undone() {
	id := w.live[w.rnd.IntN(len(w.live))]
	w.sql = append(w.sql, "SAVEPOINT s", w.l.insert(w.l.row("c", w.freshID(), w.version, nil)),
		fmt.Sprintf("UPDATE items SET version = -1 WHERE id = %d", id), fmt.Sprintf("DELETE FROM items WHERE id = %d", id), "ROLLBACK TO SAVEPOINT s")
}
