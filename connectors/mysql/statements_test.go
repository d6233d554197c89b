package mysql_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/integration/services"
)

// TestStatementsInTheLog reads what is between rows: statements that the parser cannot read, tables made from a SELECT,
// XA transactions, unique indexes that become keys, columns that are masked.
func TestStatementsInTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		start func(testing.TB) *services.MySQL
	}{
		{"mysql minimal", server("--binlog-row-metadata=MINIMAL")},
		{"mysql full", server("--binlog-row-metadata=FULL")},
		{"mariadb", mariadb("--binlog-row-metadata=MINIMAL")},
		{"mariadb full", mariadb("--binlog-row-metadata=FULL")},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.start(t), "")
			b.script("CREATE TABLE a (id int NOT NULL, n varchar(20), secret varchar(20));")
			r := b.start(b.config(map[string]string{"column.mask.with.3.chars": b.db + ".a.secret"}), nil)
			b.awaitStream(r)
			for _, sql := range []string{
				"INSERT INTO a VALUES (1, 'no key', 'password');\nCREATE UNIQUE INDEX u ON a (id);",
				"INSERT INTO a VALUES (2, 'a key', NULL);\nALTER TABLE a ADD COLUMN p point;",
				"INSERT INTO a VALUES (3, 'a point', 'x', ST_GeomFromText('POINT(1 2)'));\nALTER TABLE a RENAME COLUMN n TO m;",
				"INSERT INTO a VALUES (4, 'renamed', 'x', NULL);",
				"CREATE TABLE s AS SELECT id, m FROM a WHERE id < 3;\nINSERT INTO s VALUES (9, 'later');",
				"XA START 'one';\nINSERT INTO a VALUES (5, 'xa', 'x', NULL);\nXA END 'one';\nXA PREPARE 'one';\nXA COMMIT 'one';",
				"BEGIN;\nINSERT INTO a VALUES (6, 'kept', 'x', NULL);\nSAVEPOINT sp;\nINSERT INTO a VALUES (7, 'undone', 'x', NULL);\nROLLBACK TO sp;\nCOMMIT;",
				"DROP TABLE s;\nCREATE TABLE s (other int);\nINSERT INTO s VALUES (1);",
			} {
				b.script(sql)
				b.settle(r) // so that what has to be read from the server is as the log has it
			}
			r.stop()
			records, _ := r.taken()
			var got []string
			for _, l := range lines(t, records) {
				if rest, ok := strings.CutPrefix(l, "p."+b.db+"."); ok {
					got = append(got, rest)
				}
			}
			point := `{"x":1,"y":2,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null}`
			sameLines(t, "the changes", []string{
				`a null null {"id":1,"n":"no key","secret":"***"} "c"`,
				`a {"id":2} null {"id":2,"n":"a key","secret":"***"} "c"`,
				`a {"id":3} null {"id":3,"n":"a point","secret":"***","p":` + point + `} "c"`,
				`a {"id":4} null {"id":4,"m":"renamed","secret":"***","p":null} "c"`,
				`s null null {"id":1,"m":"no key"} "c"`,
				`s null null {"id":2,"m":"a key"} "c"`,
				`s null null {"id":9,"m":"later"} "c"`,
				`a {"id":5} null {"id":5,"m":"xa","secret":"***","p":null} "c"`,
				`a {"id":6} null {"id":6,"m":"kept","secret":"***","p":null} "c"`,
				`s null null {"other":1} "c"`,
			}, got)
		})
	}
}

// TestRolledBackXA delivers a prepared transaction where the log has it, and warns when it is rolled back later. One that
// is rolled back before it is prepared is not in the log.
func TestRolledBackXA(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *services.MySQL{"mysql": server(), "mariadb": mariadb()} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY);")
			r := b.start(b.config(map[string]string{"include.schema.changes": "false"}), nil)
			b.awaitStream(r)
			b.script("XA START 'never';\nINSERT INTO a VALUES (1);\nXA END 'never';\nXA ROLLBACK 'never';")
			b.script("XA START 'back';\nINSERT INTO a VALUES (2);\nXA END 'back';\nXA PREPARE 'back';\nXA ROLLBACK 'back';")
			b.script("XA START 'kept';\nINSERT INTO a VALUES (3);\nXA END 'kept';\nXA PREPARE 'kept';\nXA COMMIT 'kept';\nINSERT INTO a VALUES (4);")
			b.settle(r)
			r.stop()
			records, offsets := r.taken()
			topic := "p." + b.db + ".a "
			sameLines(t, "the changes", []string{topic + `{"id":2} null {"id":2} "c"`, topic + `{"id":3} null {"id":3} "c"`, topic + `{"id":4} null {"id":4} "c"`}, lines(t, records))
			if said := r.said(); !strings.Contains(said, "a prepared XA transaction was rolled back") || !strings.Contains(said, "back") {
				t.Errorf("nothing warns: %s", said)
			}
			again := b.start(b.config(map[string]string{"include.schema.changes": "false"}), offsets)
			b.script("INSERT INTO a VALUES (5);")
			b.settle(again)
			records, _ = again.taken()
			sameLines(t, "the changes after a restart", []string{topic + `{"id":5} null {"id":5} "c"`}, lines(t, records))
		})
	}
}

// TestCatalogIsLater meets a statement that the parser cannot read when the server is further already: the definition that
// is read from it has two columns under each other's names. A log that describes itself says so; with another one the
// task must stop rather than go on with the rows in the wrong columns.
func TestCatalogIsLater(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *services.MySQL{"minimal": server("--binlog-row-metadata=MINIMAL"), "full": server("--binlog-row-metadata=FULL")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY, x varchar(9), y varchar(9));\nINSERT INTO a VALUES (1, 'x', 'y');")
			config := b.config(map[string]string{"include.schema.changes": "false"})
			r := b.start(config, nil)
			b.awaitStream(r)
			b.settle(r)
			r.stop()
			_, offsets := r.taken()
			b.script("ALTER TABLE a ADD COLUMN p point;\nINSERT INTO a (id, x, y) VALUES (2, 'x', 'y');\nALTER TABLE a RENAME COLUMN x TO y, RENAME COLUMN y TO x;\nINSERT INTO a (id, x, y) VALUES (3, 'x', 'y');")
			if name == "minimal" {
				err := b.failure(config, offsets)
				var e *connectors.Error
				if !errors.As(err, &e) || e.Class != connectors.ClassGone || !strings.Contains(e.Error(), "RENAME COLUMN x TO y") {
					t.Errorf("the task goes on with %v", err)
				}
				return
			}
			r = b.start(config, offsets)
			b.settle(r)
			records, _ := r.taken()
			topic := "p." + b.db + ".a "
			sameLines(t, "the changes", []string{topic + `{"id":2} null {"id":2,"x":"x","y":"y","p":null} "c"`, topic + `{"id":3} null {"id":3,"y":"y","x":"x","p":null} "c"`}, lines(t, records))
		})
	}
}
