package mysql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/mysql"
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
	for name, args := range map[string][]string{"gtids": nil, "files": {"--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, server(args...)(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);")
			r := b.start(b.config(nil), nil)
			b.awaitStream(r)
			b.settle(r)
			r.stop()
			_, offsets := r.taken()
			b.script("INSERT INTO a VALUES (2);\nFLUSH BINARY LOGS;\nINSERT INTO a VALUES (3);\nFLUSH BINARY LOGS;")
			file, _ := b.here()
			b.script("PURGE BINARY LOGS TO '" + file + "';")
			_, err := b.tryStart(b.config(nil), offsets)
			var e *connectors.Error
			if !errors.As(err, &e) || e.Class != connectors.ClassGone || !strings.Contains(e.Remedy, "DELETE /connectors/my/offsets") || !strings.Contains(e.Error(), "purged") {
				t.Fatalf("the task starts with %v", err)
			}
			r = b.start(b.config(map[string]string{"snapshot.mode": "when_needed"}), offsets)
			r.until("the rows to be read anew", func() bool {
				records, _ := r.taken()
				return len(records) > 0 && strings.HasSuffix(lines(t, records[len(records)-1:])[0], `{"id":3} "r"`)
			})
		})
	}
}

// TestRowImages reads a log that does not have whole rows.
func TestRowImages(t *testing.T) {
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
		})
	}
}
