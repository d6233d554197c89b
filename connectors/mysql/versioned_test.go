package mysql_test

import "testing"

// TestSystemVersioned reads tables of which MariaDB keeps the former versions of rows: as they are now, whatever the log
// has besides.
func TestSystemVersioned(t *testing.T) {
	t.Parallel()
	start := mariadb()(t)
	for _, metadata := range []string{"NO_LOG", "FULL"} {
		start.Exec(t, "", "SET GLOBAL binlog_row_metadata = "+metadata)
		b := newBench(t, start, "")
		b.script("CREATE TABLE v (id int PRIMARY KEY, x int) WITH SYSTEM VERSIONING;\nCREATE TABLE w (id int PRIMARY KEY, x int);\nINSERT INTO v VALUES (1, 1);\nUPDATE v SET x = 7;")
		r := b.start(b.config(map[string]string{"include.schema.changes": "false"}), nil)
		b.awaitStream(r)
		b.script(`INSERT INTO v VALUES (2, 2);
UPDATE v SET x = 3 WHERE id = 2;
SET system_versioning_alter_history = KEEP;
ALTER TABLE v ADD COLUMN y int;
UPDATE v SET y = 4 WHERE id = 2;
DELETE FROM v WHERE id = 2;
DELETE HISTORY FROM v;
ALTER TABLE w ADD SYSTEM VERSIONING;
INSERT INTO w VALUES (1, 1);
UPDATE w SET x = 2;
`)
		b.settle(r) // what becomes of the table now is read from the server
		b.script(`ALTER TABLE w DROP SYSTEM VERSIONING;
INSERT INTO w VALUES (2, 2);
`)
		b.settle(r)
		records, _ := r.taken()
		v, w := "p."+b.db+".v ", "p."+b.db+".w "
		sameLines(t, metadata, []string{
			v + `{"id":1} null {"id":1,"x":7} "r"`,
			v + `{"id":2} null {"id":2,"x":2} "c"`,
			v + `{"id":2} {"id":2,"x":2} {"id":2,"x":3} "u"`,
			v + `{"id":2} {"id":2,"x":3,"y":null} {"id":2,"x":3,"y":4} "u"`,
			v + `{"id":2} {"id":2,"x":3,"y":4} null "d"`,
			v + `{"id":2}`,
			w + `{"id":1} null {"id":1,"x":1} "c"`,
			w + `{"id":1} {"id":1,"x":1} {"id":1,"x":2} "u"`,
			w + `{"id":2} null {"id":2,"x":2} "c"`,
		}, lines(t, records))
		r.stop()
	}
}
