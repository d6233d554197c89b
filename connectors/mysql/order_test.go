package mysql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// TestOrderAndKeys reads tables in the order of the patterns that name them, with the keys that SHOW CREATE TABLE shows first,
// and tells of a statement that the parser cannot read what the server has made of it.
func TestOrderAndKeys(t *testing.T) {
	t.Parallel()
	for name, server := range servers() {
		if name == "files" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b := newBench(t, server(t), "")
			b.script("CREATE TABLE a (x int NOT NULL, y int NOT NULL, UNIQUE KEY z (y), UNIQUE KEY b (x));\nCREATE TABLE b (x int, UNIQUE KEY (x));\nCREATE TABLE c (x int PRIMARY KEY);\n" +
				"INSERT INTO a VALUES (1, 2);\nINSERT INTO b VALUES (3);\nINSERT INTO c VALUES (4);")
			r := b.start(b.config(map[string]string{"table.include.list": fmt.Sprintf("%s.c,%[1]s.[ab]", b.db), "provide.transaction.metadata": "true"}), nil)
			b.awaitStream(r)
			b.script("ALTER TABLE c ADD COLUMN p point;\nCREATE TABLE s AS SELECT x FROM c;\nINSERT INTO c VALUES (5, NULL);")
			b.settle(r)
			r.stop()
			records, _ := r.taken()
			var rows, told, begun []string
			for _, l := range lines(t, records) {
				if rest, ok := strings.CutPrefix(l, "p."+b.db+"."); ok {
					rows = append(rows, rest)
				} else if strings.Contains(l, "BEGIN") {
					begun = append(begun, l)
				}
			}
			sameLines(t, "the rows", []string{`c {"x":4} null {"x":4} "r"`, `a {"y":2} null {"x":1,"y":2} "r"`, `b null null {"x":3} "r"`, `c {"x":5} null {"x":5,"p":null} "c"`}, rows)
			for _, rec := range records {
				if rec.Topic == "p" {
					told = append(told, fmt.Sprint(changedColumns(t, rec)))
				}
			}
			if all := strings.Join(told, " "); !strings.Contains(all, "[x p]") {
				t.Errorf("the records of statements have the columns %s", all)
			}
			for i := range begun {
				if i > 0 && begun[i] == begun[i-1] {
					t.Errorf("a transaction begins twice: %s", begun[i])
				}
			}
		})
	}
}

// changedColumns returns the columns of the tables in the record of a statement.
func changedColumns(t *testing.T, r connectors.Record) (names []string) {
	t.Helper()
	v, _, err := connectors.ReadValue(r.Value.Schema, r.Value.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range v.List()[5].List() {
		if table := change.List()[2]; !table.IsNull() {
			for _, c := range table.List()[2].List() {
				names = append(names, c.List()[0].Text())
			}
		}
	}
	return names
}
