package mysql_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// writing inserts rows in several sessions, each row a transaction, until it is stopped.
func (b *bench) writing() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	for range 6 {
		conn, err := b.server.Connect(context.Background(), b.db)
		if err != nil {
			b.t.Fatal(err)
		}
		done.Go(func() {
			defer conn.Close()
			for ctx.Err() == nil {
				if _, err := conn.Execute("INSERT INTO a (n) VALUES (1)"); err != nil {
					b.t.Error(err)
					return
				}
			}
		})
	}
	stop = func() { cancel(); done.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// TestLockIsAskedForAgain waits for a lock that somebody has, lets others write, and has it the next time.
func TestLockIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, server()(t), "")
	b.script("CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE b (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
	holder, err := b.server.Connect(t.Context(), b.db)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if _, err := holder.Execute("LOCK TABLES a WRITE"); err != nil {
		t.Fatal(err)
	}
	config := b.config(map[string]string{"snapshot.lock.timeout.ms": "2000"})
	type started struct {
		r   *run
		err error
	}
	done := make(chan started, 1)
	log := &saying{}
	go func() {
		r, err := b.tryStartLogging(config, nil, log)
		done <- started{r, err}
	}()
	(&run{t: t}).until("the first attempt to be over", func() bool { return strings.Contains(log.said(), "asked for again") })
	b.script("INSERT INTO b VALUES (1);")
	if _, err := holder.Execute("UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	s := <-done
	if s.err != nil {
		t.Fatal(s.err)
	}
	b.awaitStream(s.r)
	if n := s.r.count(); n < 2 {
		t.Errorf("%d records", n)
	}
}

// TestSnapshotWithoutLock takes snapshots with snapshot.locking.mode=none while rows are inserted. A transaction is in the
// log before others see its rows: the place from which changes are read must be one that all views have. The servers
// flush at each commit, which makes the time between the two longer.
func TestSnapshotWithoutLock(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *services.MySQL{
		"mysql":   server("--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"),
		"mariadb": mariadb("--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t), "")
			b.script("CREATE TABLE a (id bigint PRIMARY KEY AUTO_INCREMENT, n int);")
			config := b.config(map[string]string{"snapshot.locking.mode": "none", "include.schema.changes": "false", "snapshot.max.threads": "2"})
			for range 5 {
				stop := b.writing()
				r := b.start(config, nil)
				b.awaitStream(r)
				stop()
				b.settle(r)
				r.stop()
				records, _ := r.taken()
				target, want := states(t, records), b.truth(config)
				if some, n := target.Lacks(want, 5); n > 0 {
					t.Fatalf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
				}
			}
		})
	}
	t.Run("mysql without GTIDs", func(t *testing.T) {
		b := newBench(t, server("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")(t), "")
		b.script("CREATE TABLE a (id bigint PRIMARY KEY AUTO_INCREMENT, n int);")
		config := b.config(map[string]string{"snapshot.locking.mode": "none"})
		if err := b.failure(config, nil); connectors.ClassOf(err) != connectors.ClassConfig || !strings.Contains(err.Error(), "gtid_mode") {
			t.Errorf("a snapshot that may lose rows: %v", err)
		}
		for _, mode := range []string{"no_data", "initial_only"} { // no rows to lose, no changes to join them to
			c := maps.Clone(config)
			c["snapshot.mode"] = mode
			b.start(c, nil).stop()
		}
	})
}
