package mysql_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
)

// TestTruthValues converts tinyint(1) under both names of the converter, alike from snapshot and log.
func TestTruthValues(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *services.MySQL{"mysql": server("--binlog-row-metadata=MINIMAL"), "mariadb": mariadb("--binlog-row-metadata=FULL")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, start(t), "")
			b.script("CREATE TABLE a (id int PRIMARY KEY, yes tinyint(1) NOT NULL DEFAULT 1, no boolean, n tinyint, u tinyint unsigned, other boolean);\nINSERT INTO a VALUES (1, 1, -1, 1, 2, 1), (2, 2, NULL, NULL, 0, 0);")
			r := b.start(b.config(map[string]string{"converters": "flags, wide",
				"flags.type":     "io.debezium.connector.mysql.converters.TinyIntOneToBooleanConverter",
				"flags.selector": ".*.a.yes, .*.a.n.*",
				"wide.type":      "io.debezium.connector.binlog.converters.TinyIntOneToBooleanConverter",
				"wide.selector":  ".*.a.u", "wide.length.checker": "false"}), nil)
			b.awaitStream(r)
			b.script("INSERT INTO a SELECT id + 10, yes, no, n, u, other FROM a;\nALTER TABLE a ADD COLUMN now boolean DEFAULT TRUE;\nINSERT INTO a (id) VALUES (21);")
			b.settle(r)
			r.stop()
			records, _ := r.taken()
			var got []string
			for _, l := range lines(t, records) {
				if rest, ok := strings.CutPrefix(l, "p."+b.db+".a "); ok {
					got = append(got, rest)
				}
			}
			want := []string{
				`{"id":1} null {"id":1,"yes":true,"no":false,"n":1,"u":true,"other":1} "r"`,
				`{"id":2} null {"id":2,"yes":true,"no":null,"n":null,"u":false,"other":0} "r"`,
				`{"id":11} null {"id":11,"yes":true,"no":false,"n":1,"u":true,"other":1} "c"`,
				`{"id":12} null {"id":12,"yes":true,"no":null,"n":null,"u":false,"other":0} "c"`,
				`{"id":21} null {"id":21,"yes":true,"no":null,"n":null,"u":null,"other":null,"now":true} "c"`,
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			expect(t, problems(b, b.config(map[string]string{"converters": "iso", "iso.type": "com.example.Iso"})), "iso.type: The converter iso has the type")
		})
	}
}
