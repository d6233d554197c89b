package mysql_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// What people and other programs do to a server while a snapshot reads it.

// numbers makes a table of numbers to fill others from.
const numbers = "CREATE TABLE s (i int PRIMARY KEY) AS WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 900) SELECT i FROM s;\n"

// hostile does it to a server whose other tests are not running meanwhile: global settings are changed.
func hostile(t *testing.T, server *services.MySQL) {
	for _, part := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{{"limits of time", limitsOfTime}, {"other indexes", otherIndexes}, {"replaced", replaced}, {"altered", altered},
		{"lock ended", lockEnded}, {"great keys", greatKeys}} {
		t.Run(part.name, func(t *testing.T) { part.run(t, newBench(t, server, "")) })
	}
}

// whole compares a target that has taken the records with the tables.
func (b *bench) whole(records []connectors.Record, config map[string]string) {
	b.t.Helper()
	config = maps.Clone(config)
	delete(config, "test.most")
	target, want := states(b.t, records), b.truth(config)
	if some, n := target.Lacks(want, 5); n > 0 || len(want.Rows) == 0 {
		b.t.Errorf("%d of %d rows differ: %s", n, len(want.Rows), strings.Join(some, "\n"))
	}
}

// waits reports whether a statement that begins so waits for a table, or is over.
func (b *bench) waits(statement string, done <-chan error) func() bool {
	return func() bool {
		r := b.server.Exec(b.t, "", "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock%' AND INFO LIKE '"+statement+"%'")
		n, _ := r.GetInt(0, 0)
		return n > 0 || len(done) > 0
	}
}

// background runs a statement that may have to wait.
func (b *bench) background(sql string) <-chan error {
	done := make(chan error, 1)
	conn, err := b.server.Connect(context.Background(), b.db)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	go func() {
		_, err := conn.Execute(sql)
		done <- err
	}()
	return done
}

// limitsOfTime reads from a server that ends long statements and idle transactions. A session tells what holds for it.
func limitsOfTime(t *testing.T, b *bench) {
	limits := []string{"max_execution_time"}
	if b.server.MariaDB {
		limits = []string{"max_statement_time", "idle_transaction_timeout", "idle_readonly_transaction_timeout"}
	}
	for _, name := range limits {
		b.server.Exec(t, "", "SET GLOBAL "+name+" = 3600")
		defer b.server.Exec(t, "", "SET GLOBAL "+name+" = 0")
	}
	b.script("CREATE TABLE a (id int PRIMARY KEY, held double);\nINSERT INTO a VALUES (1, 0);")
	r := b.start(b.config(map[string]string{"include.schema.changes": "false", "snapshot.select.statement.overrides": b.db + ".a",
		"snapshot.select.statement.overrides." + b.db + ".a": "SELECT id, @@" + strings.Join(limits, " + @@") + " AS held FROM " + b.db + ".a"}), nil)
	b.awaitStream(r)
	records, _ := r.taken()
	sameLines(t, "the limits", []string{"p." + b.db + `.a {"id":1} null {"id":1,"held":0} "r"`}, lines(t, records))
}

// otherIndexes reads pieces of a table with an index that has all of its columns: no rows are to be sorted.
func otherIndexes(t *testing.T, b *bench) {
	b.script(numbers + "CREATE TABLE a (id int PRIMARY KEY, n int, m varchar(20), KEY (n, m)) AS SELECT x.i + 1000 * y.i AS id, y.i % 7 AS n, 'm' AS m FROM s x, s y WHERE y.i <= 10;\nANALYZE TABLE a;")
	sorted := func() int64 {
		n, err := b.server.Exec(t, "", "SHOW GLOBAL STATUS LIKE 'Sort_rows'").GetInt(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := sorted()
	r := b.start(b.config(map[string]string{"include.schema.changes": "false", "table.include.list": b.db + ".a", "snapshot.chunk.rows": "2000"}), nil)
	b.awaitStream(r)
	if n := sorted() - before; n > 1000 || r.count() != 9000 {
		t.Errorf("the server has sorted %d rows for %d", n, r.count())
	}
}

// replaced replaces a table, as programs do that alter tables while they are in use, after the sessions have met and
// before it is read: the other one had only half of the rows then.
func replaced(t *testing.T, b *bench) {
	b.script(numbers + "CREATE TABLE a (id int PRIMARY KEY) AS SELECT i AS id FROM s;\nCREATE TABLE t (id int PRIMARY KEY, n int) AS SELECT i AS id, 0 AS n FROM s;\n" +
		"CREATE TABLE _t_gho LIKE t;\nINSERT INTO _t_gho SELECT * FROM t WHERE id <= 400;")
	config := b.config(map[string]string{"include.schema.changes": "false", "table.include.list": b.db + ".[at]", "max.batch.size": "50", "test.most": "1"})
	r := b.start(config, nil)
	r.until("the first rows", func() bool { return r.count() > 0 })
	b.script("INSERT INTO _t_gho SELECT * FROM t WHERE id > 400;")
	done := b.background("RENAME TABLE t TO _t_del, _t_gho TO t")
	r.until("the other table", b.waits("RENAME", done))
	r.goOn()
	b.awaitStream(r)
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.script("UPDATE t SET n = 1 WHERE id = 7;")
	b.settle(r)
	records, _ := r.taken()
	b.whole(records, config)
}

// altered alters a table that one session has read a piece of, and of which another session is to read the next.
func altered(t *testing.T, b *bench) {
	b.script(numbers + "CREATE TABLE a (id int PRIMARY KEY) AS SELECT i AS id FROM s;\nCREATE TABLE t (id int PRIMARY KEY, n int) AS SELECT i AS id, 0 AS n FROM s;\nANALYZE TABLE a, t;")
	config := b.config(map[string]string{"include.schema.changes": "false", "table.include.list": b.db + ".a," + b.db + ".t", "max.batch.size": "50", "test.most": "1",
		"snapshot.max.threads": "2", "snapshot.chunk.rows": "600"})
	r := b.start(config, nil)
	r.until("the first rows", func() bool { return r.count() > 0 })
	done := b.background("ALTER TABLE t ADD COLUMN z int")
	r.until("the alteration to wait", b.waits("ALTER", done))
	r.goOn()
	b.awaitStream(r)
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.script("UPDATE t SET z = 1;")
	b.settle(r)
	records, _ := r.taken()
	b.whole(records, config)
}

// lockEnded ends the session that holds the lock while the sessions of the snapshot meet, and writes.
func lockEnded(t *testing.T, b *bench) {
	b.script("CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
	var locker net.Conn
	var once sync.Once
	p := b.proxy(func(sent string, c net.Conn) {
		switch {
		case strings.Contains(sent, "FLUSH TABLES WITH READ LOCK"):
			locker = c
		case strings.Contains(sent, "SHOW BINARY LOG STATUS"), strings.Contains(sent, "SHOW MASTER STATUS"):
			once.Do(func() {
				locker.Close()
				b.script("INSERT INTO a VALUES (2);")
			})
		}
	})
	config := b.config(map[string]string{"include.schema.changes": "false", "database.ssl.mode": "disabled"})
	through := maps.Clone(config)
	through["database.port"] = strconv.Itoa(p)
	err := b.failure(through, nil)
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != connectors.ClassEnvironment || !e.Retriable || !strings.Contains(e.Error(), "lock") {
		t.Errorf("the task starts with %v", err)
	}
	r := b.start(through, nil)
	b.awaitStream(r)
	records, _ := r.taken()
	b.whole(records, config)
}

// proxy is a way to the server. What goes to the server is shown before it goes on, with the connection that it comes by.
func (b *bench) proxy(show func(sent string, client net.Conn)) (port int) {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	var all sync.WaitGroup
	b.t.Cleanup(func() { l.Close(); all.Wait() })
	pass := func(client, server net.Conn) {
		defer client.Close()
		defer server.Close()
		all.Go(func() { io.Copy(client, server); client.Close() })
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			show(string(buf[:n]), client)
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", net.JoinHostPort(b.server.Host, strconv.Itoa(b.server.Port)))
			if err != nil {
				client.Close()
				continue
			}
			all.Go(func() { pass(client, server) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// greatKeys cuts and goes on with keys above the greatest signed number and below 0, in tables that were empty when the
// catalog last had a look at how many rows they have. The engine looks at its own tables after FLUSH TABLES.
func greatKeys(t *testing.T, b *bench) {
	b.script(numbers)
	for columns, key := range map[string]string{"id bigint unsigned PRIMARY KEY": "20000000000000000 * CAST(i AS UNSIGNED)", "id bigint PRIMARY KEY": "20000000000000000 * (i - 450)"} {
		b.script("DROP TABLE IF EXISTS a;\nCREATE TABLE a (" + columns + ");\nSELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = '" + b.db + "';\nINSERT INTO a SELECT " + key + " FROM s;\n" +
			"UPDATE mysql.innodb_table_stats SET n_rows = 900 WHERE database_name = '" + b.db + "' AND table_name = 'a';")
		config := b.config(map[string]string{"include.schema.changes": "false", "table.include.list": b.db + ".a", "max.batch.size": "20", "snapshot.chunk.rows": "200"})
		records, offsets := b.interrupt(config, nil, 820)
		r := b.start(config, offsets)
		b.awaitStream(r)
		if strings.Contains(r.said(), "of=1 ") {
			t.Errorf("%s: the table is not cut: %s", columns, r.said())
		}
		r.stop()
		more, _ := r.taken()
		records = append(records, more...)
		if len(records) > 925 {
			t.Errorf("%s: %d records of 900 rows", columns, len(records))
		}
		b.whole(records, config)
	}
}
