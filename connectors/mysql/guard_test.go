package mysql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/mysql"
	"github.com/sluicehub/sluice/integration/services"
)

// problems validates a configuration and returns "KEY: message" of each problem.
func problems(b *bench, config map[string]string) []string {
	c := mysql.New()
	if b.server.MariaDB {
		c = mysql.NewMariaDB()
	}
	var out []string
	for _, p := range c.(connectors.Validator).Validate(context.Background(), config) {
		out = append(out, p.Key+": "+p.Message)
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, w) }) {
			t.Errorf("nothing says %q in\n%s", w, strings.Join(got, "\n"))
		}
	}
}

// TestPreflight names what would stop the task, and what mends it.
func TestPreflight(t *testing.T) {
	t.Parallel()
	b := newBench(t, server("--binlog-row-value-options=PARTIAL_JSON", "--binlog-row-image=MINIMAL", "--binlog-format=MIXED")(t), "")
	b.script("CREATE TABLE keyless (a int);")
	expect(t, problems(b, b.config(nil)), "SET GLOBAL binlog_format = ROW", "binlog_row_value_options = ''", "binlog_row_image = FULL",
		"binlog_row_metadata = FULL", b.db+".keyless have no key")
	expect(t, problems(b, b.config(map[string]string{"database.password": "wrong"})), "database.password: Cannot connect")
	expect(t, problems(b, b.config(map[string]string{"database.server.id": "1"})), "database.server.id: The number 1 is the server's own")
	expect(t, problems(b, b.config(map[string]string{"signal.data.collection": b.db + ".none"})), "CREATE TABLE `"+b.db+"`.`none` (id varchar(64)")
	expect(t, problems(b, b.config(map[string]string{"signal.data.collection": b.db + ".keyless"})), "has 1 columns; three are needed")
	b.script("CREATE USER poor@'%' IDENTIFIED BY 'x';\nGRANT SELECT ON " + b.db + ".* TO poor@'%';")
	expect(t, problems(b, b.config(map[string]string{"database.user": "poor", "database.password": "x"})),
		"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO poor", "GRANT RELOAD ON *.* TO poor")
	_, err := b.tryStart(b.config(nil), nil)
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != connectors.ClassConfig || !strings.Contains(e.Remedy, "binlog_format") {
		t.Errorf("the task starts with %v", err)
	}
	b.server.MariaDB = true // as if the wrong class were configured
	expect(t, problems(b, b.config(nil)), "set connector.class=io.debezium.connector.mysql.MySqlConnector")
	b.server.MariaDB = false
}

// TestPurged finds that the log is gone, with GTIDs and without, and what to do.
func TestPurged(t *testing.T) {
	t.Parallel()
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
			r := b.start(b.config(nil), nil)
			b.awaitStream(r)
			b.settle(r)
			r.stop()
			_, offsets := r.taken()
			b.script("INSERT INTO a VALUES (2);\nFLUSH BINARY LOGS;\nINSERT INTO a VALUES (3);\nFLUSH BINARY LOGS;")
			file, _ := b.here()
			r.until("the log to be purged", func() bool { // which it is not while its reader is not known to be gone
				b.script("PURGE BINARY LOGS TO '" + file + "';")
				oldest, _ := b.server.Exec(t, "", "SHOW BINARY LOGS").GetString(0, 0)
				return oldest == file
			})
			err := b.failure(b.config(nil), offsets)
			var e *connectors.Error
			if !errors.As(err, &e) || e.Class != connectors.ClassGone || !strings.Contains(e.Remedy, "DELETE /connectors/my/offsets") || !strings.Contains(strings.ToLower(e.Error()), "purged") {
				t.Fatalf("the task starts with %v", err)
			}
			for _, mode := range []string{"initial", "no_data"} { // the rows that a given-up snapshot has delivered may be deleted
				err := b.failure(b.config(map[string]string{"snapshot.mode": mode}), givenUp(t, offsets))
				if !errors.As(err, &e) || e.Class != connectors.ClassGone || !strings.Contains(e.Remedy, "DELETE /connectors/my/offsets") {
					t.Errorf("behind a snapshot that was given up, %s starts with %v", mode, err)
				}
			}
			for _, mode := range []string{"when_needed", "always", "initial_only"} {
				from := offsets
				if mode == "initial_only" {
					from = givenUp(t, offsets)
				}
				r = b.start(b.config(map[string]string{"snapshot.mode": mode}), from)
				r.until("the rows to be read anew", func() bool {
					records, _ := r.taken()
					return len(records) > 0 && strings.HasSuffix(lines(t, records[len(records)-1:])[0], `{"id":3} "r"`)
				})
				if !strings.Contains(r.said(), "rows that were deleted meanwhile stay where they were delivered") {
					t.Errorf("%s reads the tables anew and does not say so", mode)
				}
				r.stop()
			}
		})
	}
}

// givenUp is the offsets as they are while a snapshot is under way.
func givenUp(t *testing.T, offsets []connectors.SourceOffset) []connectors.SourceOffset {
	t.Helper()
	out := slices.Clone(offsets)
	i := slices.IndexFunc(out, func(o connectors.SourceOffset) bool { return string(o.Partition) == `{"server":"p"}` })
	if i < 0 {
		t.Fatalf("there is no position in %s", offsets)
	}
	out[i].Offset = json.RawMessage(`{"snapshot":"INITIAL","snapshot_completed":false,` + string(out[i].Offset[1:]))
	return out
}

// servers are a MySQL with and without GTIDs, and a MariaDB.
func servers() map[string]func(testing.TB) *services.MySQL {
	return map[string]func(testing.TB) *services.MySQL{"gtids": server(), "files": server("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"), "mariadb": mariadb()}
}

// failure starts a task and returns the error that ends it, at its start or as it reads.
func (b *bench) failure(config map[string]string, offsets []connectors.SourceOffset) error {
	b.t.Helper()
	r, err := b.tryStart(config, offsets)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-time.After(patience):
		b.t.Fatal("the task runs")
	}
	return nil
}

// TestAnotherServer goes on from an offset of another server, whose log is longer and has a file of the same name.
func TestAnotherServer(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, start(t), "shop")
			b.script("CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
			r := b.start(b.config(nil), nil)
			b.awaitStream(r)
			b.script("INSERT INTO a VALUES (2);")
			b.settle(r)
			r.stop()
			_, offsets := r.taken()
			other := newBench(t, start(t), "shop")
			other.script("CREATE TABLE a (id int PRIMARY KEY);")
			if b.server.MariaDB { // GTIDs of the same domain and server, but not as many
				other.server.Exec(t, "", "RESET MASTER")
			} else {
				other.script("INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\nINSERT INTO a VALUES (3);\nINSERT INTO a VALUES (4);")
			}
			err := other.failure(other.config(nil), offsets)
			var e *connectors.Error
			if !errors.As(err, &e) || e.Class != connectors.ClassGone || !strings.Contains(e.Remedy, "DELETE /connectors/my/offsets") {
				t.Fatalf("the task goes on with %v", err)
			}
		})
	}
}

// TestRetention stands still while the server's log goes on: how far behind that is can be seen, and before what was not
// read is purged there is a warning.
func TestRetention(t *testing.T) {
	t.Parallel()
	b := newBench(t, server("--binlog-expire-logs-seconds=3600")(t), "")
	b.script("CREATE TABLE a (id int PRIMARY KEY);")
	r := b.start(b.config(map[string]string{"snapshot.mode": "no_data", "include.schema.changes": "false", "binlog.retention.warning.ms": "7200000", "test.most": "1"}), nil)
	b.awaitStream(r)
	b.script("INSERT INTO a VALUES (1);\nFLUSH BINARY LOGS;\nINSERT INTO a VALUES (2);")
	r.until("the warning", func() bool {
		return strings.Contains(r.said(), "the server will soon purge a binary log that has not been read")
	})
	figures := map[string]float64{}
	for _, f := range r.task.(interface{ Figures() []connectors.Figure }).Figures() {
		figures[f.Name] = f.Value
	}
	if left := figures["binlog_retention_left_seconds"]; figures["binlog_behind_bytes"] <= 0 || left <= 0 || left > 3600 {
		t.Errorf("the figures are %v", figures)
	}
	expect(t, problems(b, b.config(nil)), "purges its binary logs after 3600 seconds")
}

// TestSameNumber reads with the number of another reader. MariaDB cuts one of them off, whose error says why; MySQL tells
// readers by a UUID, and serves both.
func TestSameNumber(t *testing.T) {
	b := newBench(t, mariadb()(t), "")
	b.script("CREATE TABLE a (id int PRIMARY KEY);")
	config := b.config(map[string]string{"database.server.id": "777"})
	first := b.start(config, nil)
	b.awaitStream(first)
	b.script("INSERT INTO a VALUES (1);")
	b.settle(first)
	second := b.start(config, nil)
	var err error
	select {
	case <-first.done:
		err = first.err
	case <-second.done:
		err = second.err
	case <-time.After(patience):
		t.Fatal("both run")
	}
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != connectors.ClassEnvironment || !strings.Contains(e.Remedy, "database.server.id") {
		t.Errorf("the error is %v", err)
	}
}

// TestRowImages reads a log that does not have whole rows.
func TestRowImages(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"MINIMAL": `{"id":1,"a":"__debezium_unavailable_value","b":5,"c":"__debezium_unavailable_value"} "u"`,
		"NOBLOB":  `{"id":1,"a":"x","b":5,"c":"__debezium_unavailable_value"} "u"`,
	} {
		t.Run(image, func(t *testing.T) {
			b := newBench(t, server("--binlog-row-image="+image)(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY, a varchar(20), b int, c text);\nINSERT INTO a VALUES (1, 'x', 2, 'long');")
			r := b.start(b.config(nil), nil)
			b.awaitStream(r)
			b.script("UPDATE a SET b = 5 WHERE id = 1;\nUPDATE a SET id = 2 WHERE id = 1;\nDELETE FROM a WHERE id = 2;")
			b.settle(r)
			r.stop()
			records, _ := r.taken()
			got := lines(t, records)
			expect(t, got, want, `{"id":1} {"id":1`, `{"id":2} null {"id":2`)
		})
	}
}

// TestGivenUpSnapshot starts again after a snapshot that was interrupted: a row that was delivered and deleted meanwhile
// must be deleted for the readers, too.
func TestGivenUpSnapshot(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"gtids": nil, "files": {"--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, server(args...)(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY, pad text);")
			for i := range 40 {
				b.script(fmt.Sprintf("INSERT INTO a VALUES (%d, repeat('x', 60000));", i))
			}
			config := b.config(map[string]string{"test.most": "25"})
			r := b.start(config, nil)
			r.until("rows", func() bool { return r.count() >= 25 })
			r.stop()
			_, offsets := r.taken()
			position, _ := json.Marshal(offsets)
			if !strings.Contains(string(position), "INITIAL") {
				t.Fatalf("the snapshot was not interrupted: %s", position)
			}
			b.script("DELETE FROM a WHERE id = 3;\nALTER TABLE a ADD COLUMN n int DEFAULT 4;\nFLUSH BINARY LOGS;\nINSERT INTO a VALUES (100, 'new', 1);")
			r = b.start(b.config(nil), offsets)
			b.awaitStream(r)
			r.stop()
			records, _ := r.taken()
			rows := map[string]string{}
			var order []string
			for _, l := range lines(t, records) {
				if strings.HasPrefix(l, "p."+b.db+".a ") {
					key := strings.Fields(l)[1]
					rows[key] = l[strings.LastIndexByte(l, ' ')+1:]
					order = append(order, key+rows[key])
				}
			}
			if order[0] != `{"id":3}"d"` || rows[`{"id":100}`] != `"r"` || len(rows) != 41 {
				t.Errorf("%d rows, in the order %v", len(rows), order)
			}

			// With no_data the rows are not read again, the changes are all there.
			r = b.start(b.config(map[string]string{"snapshot.mode": "no_data", "include.schema.changes": "false"}), offsets)
			b.awaitStream(r)
			b.settle(r)
			r.stop()
			records, _ = r.taken()
			var got []string
			for _, l := range lines(t, records) {
				got = append(got, strings.Fields(l)[1]+l[strings.LastIndexByte(l, ' '):])
			}
			if want := `[{"id":3} "d" {"id":3} {"id":3} {"id":100} "c"]`; fmt.Sprint(got) != want {
				t.Errorf("with no_data come %v, want %s", got, want)
			}
		})
	}
}
