package mysql_test

import (
	"strings"
	"testing"
)

// TestCompressedColumns reads columns with MariaDB's attribute COMPRESSED from a snapshot and from the log, which must give
// the same: with both kinds of row metadata, whole and partial images, compressed logs, and streams of both kinds. A table
// that is not captured has them, too. The texts behind the geometry have character sets of their own.
func TestCompressedColumns(t *testing.T) {
	t.Parallel()
	start := mariadb("--log-bin-compress-min-len=10")(t)
	const columns = `id int PRIMARY KEY, p point, a varchar(300) COMPRESSED, l varchar(200) CHARACTER SET latin1 COMPRESSED, w text COMPRESSED CHARACTER SET cp1251,
 u tinytext COMPRESSED CHARACTER SET ucs2, long_one longtext COMPRESSED, v varbinary(200) COMPRESSED, tb tinyblob COMPRESSED, lb longblob COMPRESSED=zlib, n decimal(9,2), e enum('a','b'), x varchar(40) CHARACTER SET latin1`
	const rows = `INSERT INTO c VALUES (1, POINT(1, 2), repeat('日本', 150), repeat('é', 200), repeat('Привет ', 900), repeat('я', 127), repeat('ab', 50000), repeat(x'00', 200), repeat('z', 255), repeat(x'ff', 70000), -1.25, 'b', 'Zoë');
INSERT INTO c VALUES (2, NULL, '', '', '', '', '', '', '', '', 0, 'a', ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO c SELECT 4, NULL, 'a', 'é', 'я', 'я', hex(s), unhex(left(s, 398)), unhex(left(s, 508)), unhex(s), 1, 'a', 'é' FROM (SELECT group_concat(sha2(seq, 512) ORDER BY seq SEPARATOR '') s FROM seq_1_to_600) m;
`
	for _, c := range []struct{ metadata, image, compress, wrap string }{
		{"NO_LOG", "FULL", "OFF", "OFF"},
		{"FULL", "MINIMAL", "ON", "ON"},
		{"MINIMAL", "NOBLOB", "OFF", "ON"},
	} {
		t.Run(c.metadata+" "+c.image, func(t *testing.T) {
			start.Exec(t, "", "SET GLOBAL binlog_row_metadata = "+c.metadata)
			start.Exec(t, "", "SET GLOBAL log_bin_compress = "+c.compress)
			b := newBench(t, start, "")
			session := "SET binlog_row_image = " + c.image + ", column_compression_zlib_wrap = " + c.wrap + ";\n"
			b.script("CREATE TABLE c (" + columns + ");\nCREATE TABLE unwanted (" + columns + ");\n" + rows)
			r := b.start(b.config(map[string]string{"include.schema.changes": "false", "table.exclude.list": b.db + ".unwanted", "skip.messages.without.change": "true", "time.precision.mode": "connect", "test.tolerate": "yes", "column.truncate.to.5.chars": b.db + ".bad.a"}), nil)
			b.awaitStream(r)
			b.script(session + "INSERT INTO unwanted SELECT * FROM c;\nCREATE TABLE log_c (" + columns + ");\nINSERT INTO log_c SELECT * FROM c ORDER BY id;")
			b.settle(r)
			records, _ := r.taken()
			got := lines(t, records)
			for i := range got {
				got[i] = strings.NewReplacer(".log_c ", ".c ", `"c"`, `"r"`).Replace(got[i])
			}
			if len(got) != 8 {
				t.Fatalf("%d records", len(got))
			}
			sameLines(t, "the log", got[:4], got[4:])
			for i, want := range []string{`"a":"` + strings.Repeat("日本", 150) + `","l":"` + strings.Repeat("é", 200) + `","w":"` + strings.Repeat("Привет ", 900) + `","u":"` + strings.Repeat("я", 127) + `","long_one":"` + strings.Repeat("ab", 50000) + `"`,
				`"a":"","l":"","w":"","u":"","long_one":"","v":"","tb":"","lb":"",`, `"a":null,"l":null,"w":null,"u":null,"long_one":null,"v":null,"tb":null,"lb":null,`, `"a":"a","l":"é","w":"я","u":"я",`} {
				if !strings.Contains(got[i], want) {
					t.Errorf("row %d is %.900s", i+1, got[i])
				}
			}
			b.script(session + `CREATE TABLE small (id int PRIMARY KEY, a varchar(300) COMPRESSED, n int);
INSERT INTO small VALUES (1, repeat('x', 300), 1);
UPDATE small SET n = 2;
SET column_compression_zlib_level = 0;
UPDATE small SET a = concat(a, '');
ALTER TABLE small ADD COLUMN t text COMPRESSED FIRST;
UPDATE small SET t = 'new', a = NULL;
DELETE FROM small;
`)
			b.settle(r)
			if said := r.said(); strings.Contains(said, "TABLE small") {
				t.Errorf("a statement was not read: %s", said)
			}
			records, _ = r.taken()
			x := strings.Repeat("x", 300)
			unchanged, recompressed := `"a":"`+x+`"`, `{"id":1} {"id":1,"a":null,"n":null} {"id":1,"a":"`+x+`","n":null} "u"`
			before1, before2, gone := `{"id":1,"a":"`+x+`","n":1}`, `{"t":null,"id":1,"a":"`+x+`","n":2}`, `{"t":"new","id":1,"a":null,"n":2}`
			after2 := gone
			switch c.image { // what was not logged is not known
			case "NOBLOB":
				gone = `{"t":null,"id":1,"a":null,"n":2}`
			case "MINIMAL":
				unchanged = `"a":"__debezium_unavailable_value"`
				before1, before2, gone = `{"id":1,"a":null,"n":null}`, `{"t":null,"id":1,"a":null,"n":null}`, `{"t":null,"id":1,"a":null,"n":null}`
				after2 = `{"t":"new","id":1,"a":null,"n":null}`
			}
			want := []string{`{"id":1} null {"id":1,"a":"` + x + `","n":1} "c"`, `{"id":1} ` + before1 + ` {"id":1,` + unchanged + `,"n":2} "u"`}
			if c.image == "MINIMAL" {
				want = append(want, recompressed)
			}
			want = append(want, `{"id":1} `+before2+` `+after2+` "u"`, `{"id":1} `+gone+` null "d"`, `{"id":1}`)
			for i := range want {
				want[i] = "p." + b.db + ".small " + want[i]
			}
			sameLines(t, "changes", want, lines(t, records[8:]))
			// Where it was compressed, a change that cannot be written is shown as it was, and no more of it than a rule allows.
			b.script("CREATE TABLE bad (id int PRIMARY KEY, a varchar(300) COMPRESSED, b text COMPRESSED, t time);\nINSERT INTO bad VALUES (1, repeat('y', 300), repeat('z', 200), '100:00:00');")
			b.settle(r)
			r.stop()
			if want := `"a":"yyyyy","b":"` + strings.Repeat("z", 200) + `",`; len(r.bad) != 1 || !strings.Contains(string(r.bad[0].Value.Bytes), want) {
				t.Errorf("%d refused: %v", len(r.bad), r.bad)
			}
		})
	}
}
