package jdbc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
)

var errLost = errors.New("the connection was lost")

// breaking is a database whose connections do something else than they are told. hook runs a statement, or answers errLost:
// then it closes the connection, when the server is done with it. It may be called from several goroutines.
type breaking struct {
	dialect
	hook func(c conn, ctx context.Context, statement string) (int64, error)
}

func (b *breaking) connect(ctx context.Context) (conn, error) {
	c, err := b.dialect.connect(ctx)
	if err != nil {
		return nil, err
	}
	return &breakingConn{conn: c, of: b}, nil
}

func (b *breaking) verdict(err error) verdict {
	if err == errLost {
		return passing
	}
	return b.dialect.verdict(err)
}

type breakingConn struct {
	conn
	of   *breaking
	lost bool // the server still has it
}

func (c *breakingConn) close() {
	if !c.lost {
		c.conn.close()
	}
}

func (c *breakingConn) exec(ctx context.Context, statements ...string) (int64, error) {
	if len(statements) > 1 {
		return c.conn.exec(ctx, statements...)
	}
	n, err := c.of.hook(c.conn, ctx, statements[0])
	c.lost = err == errLost
	return n, err
}

// breakWith makes a running task's connections break.
func breakWith(r *run, hook func(c conn, ctx context.Context, statement string) (int64, error)) {
	t := r.task.(*task)
	t.mu.Lock()
	defer t.mu.Unlock()
	of := &breaking{t.dialect, hook}
	t.dialect, t.cells.dialect = of, of
}

// A commit whose answer was lost may still be under way when the next attempt begins: a server that waits for its disk or
// for a standby. What it writes is not written again.
func TestLostAnswerOfCommitUnderWay(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		s.exec(t, "CREATE TABLE orders (id bigint, name varchar(20), n int)")
		r := s.start(t, "retry.backoff.ms", "1")
		var mu sync.Mutex
		var commit func() // that the server has not carried out yet
		breakWith(r, func(c conn, ctx context.Context, statement string) (int64, error) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case statement == "COMMIT" && commit == nil:
				commit = func() {
					defer c.close()
					if _, err := c.exec(context.Background(), "COMMIT"); err != nil {
						t.Error(err)
					}
				}
				return 0, errLost
			case strings.HasPrefix(statement, "UPDATE "+offsetsTable) && commit != nil:
				go commit() // the update waits for it
				commit = func() {}
			}
			return c.exec(ctx, statement)
		})
		r.put(flat(1, "a", 1), flat(2, "b", 2))
		r.flush()
		s.want(t, "SELECT id, name FROM orders ORDER BY id", "1|a", "2|b")
	})
}

// A lane that committed does not take part again when another one's rows are then written one by one, although nobody
// knows yet that it has.
func TestLostAnswerBesideARefusedRow(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		if s.kind == sqldb.SQLite {
			return // one lane
		}
		const rows = 2 * laneRows
		s.exec(t, "CREATE TABLE orders (id bigint, name varchar(20), n int)")
		r := s.start(t, "retry.backoff.ms", "1", "connection.lanes", "2", "linger.ms", "60000")
		lost := make(chan struct{})
		breakWith(r, func(c conn, ctx context.Context, statement string) (int64, error) {
			n, err := c.exec(ctx, statement)
			if statement == "COMMIT" && err == nil {
				select {
				case <-lost:
				default:
					close(lost)
					c.close()
					return 0, errLost
				}
			}
			return n, err
		})
		var records []connectors.Record
		for i := range rows {
			records = append(records, flat(i, fmt.Sprint(i), i))
		}
		records[1].Value = data(rowSchema, []any{1, strings.Repeat("x", 21), 1}) // no such value in the column
		r.put(records...)
		r.flush()
		if got := r.refused(); len(got) != 1 || got[0] != 1 {
			t.Errorf("refused: %v", got)
		}
		s.want(t, "SELECT count(*), count(DISTINCT id) FROM orders", fmt.Sprintf("%d|%[1]d", rows-1))
	})
}

// The table is changed by another session while all lanes write to it: they look at it again once, together.
func TestTableChangesUnderAllLanes(t *testing.T) {
	t.Parallel()
	s := onPostgres(t)
	const rows = 8 * laneRows
	s.exec(t, "CREATE TABLE orders (id bigint, name text, n int)")
	r := s.start(t, "linger.ms", "60000", "batch.size", fmt.Sprint(rows), "connection.lanes", "8")
	r.put(flat(0, "0", 0))
	r.flush()
	s.exec(t, "ALTER TABLE orders ALTER COLUMN name TYPE int USING name::int")
	var records []connectors.Record
	for i := range rows {
		records = append(records, flat(i+1, fmt.Sprint(i+1), i+1))
	}
	r.put(records...)
	r.flush()
	s.want(t, "SELECT count(*), sum(name) FROM orders", fmt.Sprintf("%d|%d", rows+1, rows*(rows+1)/2))
}

// A server that ends sessions which are idle, as idle_session_timeout asks for, is no reason to stop: the next statement
// of a lane, or of Put, finds its session gone, and the one after that has another.
func TestIdleSessionsAreEnded(t *testing.T) {
	t.Parallel()
	s := onPostgres(t)
	name := s.rows(t, "SELECT current_database()")[0]
	s.exec(t, "ALTER DATABASE "+name+" SET idle_session_timeout = '300ms'")
	r := s.start(t, "auto.create", "true", "retry.backoff.ms", "1", "max.retries", "100")
	insist(t, func() error {
		return r.task.Put(r.deadline(), &connectors.Records{From: at0, List: []connectors.Record{at(0, flat(1, "a", 1))}, End: 1})
	})
	r.next = 1
	insist(t, r.tryFlush)
	s.exec(t, "ALTER DATABASE "+name+" RESET idle_session_timeout")
	for end := time.Now().Add(patience); s.rows(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")[0] != "1"; {
		if time.Now().After(end) {
			t.Fatal("the sessions do not end")
		}
		time.Sleep(10 * time.Millisecond)
	}
	other := at(1, flat(2, "b", 2))
	other.Topic = "others" // which needs a table
	insist(t, func() error {
		return r.task.Put(r.deadline(), &connectors.Records{From: at0, List: []connectors.Record{other, at(2, flat(3, "c", 3))}, End: 3})
	})
	r.next = 3
	insist(t, r.tryFlush)
	s.want(t, "SELECT id FROM orders UNION ALL SELECT id FROM others ORDER BY id", "1", "2", "3")
}

func at(offset int64, r connectors.Record) connectors.Record {
	r.Topic, r.Offset = at0.Topic, offset
	return r
}

// insist calls until it succeeds, as the hub does while an error says that the same call may.
func insist(t *testing.T, call func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := call()
		if err == nil {
			return
		}
		var ce *connectors.Error
		if !errors.As(err, &ce) || ce.Class != connectors.ClassEnvironment || !ce.Retriable || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// What a server says when it is in a bad state, and not the statement, is tried again.
func TestTroubleThatPasses(t *testing.T) {
	for _, code := range []string{"08006", "25006", "25P03", "25P04", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030", "XX000"} {
		if v := (&postgres{}).verdict(fmt.Errorf("write: %w", &pgconn.PgError{Code: code})); v != passing {
			t.Errorf("SQLSTATE %s is %d", code, v)
		}
	}
	// Galera without its cluster, a host shut out, a user with too many connections, a statement that took too long (of
	// MariaDB and MySQL), a table changed meanwhile, a transaction that another node was in the way of.
	for _, number := range []uint16{1040, 1047, 1129, 1205, 1213, 1226, 1290, 1412, 1792, 1836, 1969, 3024, 3101} {
		if v := (&mysqlDialect{}).verdict(fmt.Errorf("write: %w", &mysql.MySQLError{Number: number})); v != passing {
			t.Errorf("error %d is %d", number, v)
		}
	}
}
