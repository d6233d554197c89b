package mysql_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
	"github.com/sluicehub/sluice/integration/services"
)

// TestEveryType writes every type with the values at its edges, by snapshot and by the log, and compares: a row must look
// the same from both, and as the file in testdata has it.
func TestEveryType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		start func(testing.TB) *services.MySQL
		modes map[string]string
	}{
		{"mysql", server("--binlog-row-metadata=MINIMAL"), nil},
		{"mysql-full", server("--binlog-row-metadata=FULL"), map[string]string{"bigint.unsigned.handling.mode": "precise", "time.precision.mode": "microseconds", "binary.handling.mode": "hex", "decimal.handling.mode": "string"}},
		{"mariadb", mariadb("--binlog-row-metadata=MINIMAL"), nil},
		{"mariadb-full", mariadb("--binlog-row-metadata=FULL"), map[string]string{"decimal.handling.mode": "double", "time.precision.mode": "nanoseconds", "binary.handling.mode": "base64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.start(t), "")
			if c.modes["time.precision.mode"] == "nanoseconds" { // they end in 2262
				c.modes["event.converting.failure.handling.mode"] = "warn"
			}
			types(t, b, c.name, c.modes)
		})
	}
}

func types(t *testing.T, b *bench, name string, modes map[string]string) {
	setup := readFile(t, "testdata/types/common.sql")
	kind, _, _ := strings.Cut(name, "-")
	b.script(setup + readFile(t, "testdata/types/"+kind+".sql"))
	tables := []string{"numbers", "decimals", "times", "texts", "bytes", "documents", "shapes", "made", "own"}
	for _, table := range tables {
		b.script("CREATE TABLE log_" + table + " LIKE " + table + ";")
	}
	r := b.start(b.config(modes), nil)
	b.awaitStream(r)
	for _, table := range tables {
		columns, err := b.server.Exec(t, b.db, "SELECT group_concat(concat('`', COLUMN_NAME, '`') ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '"+b.db+"' AND TABLE_NAME = '"+table+"' AND coalesce(GENERATION_EXPRESSION, '') = ''").GetString(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.script("SET sql_mode = '';\nINSERT INTO log_" + table + " (" + columns + ") SELECT " + columns + " FROM " + table + ";")
	}
	b.settle(r)
	r.stop()
	records, _ := r.taken()
	read, logged := map[string][]string{}, map[string][]string{}
	for _, rec := range records {
		table := rec.Topic[strings.LastIndexByte(rec.Topic, '.')+1:]
		if rec.Topic == "p" || !slices.Contains(tables, strings.TrimPrefix(table, "log_")) {
			continue
		}
		v, _, err := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes)
		if err != nil {
			t.Fatalf("%s: %v", rec.Topic, err)
		}
		after := rec.Value.Schema.Fields[1].Schema
		line := strings.ReplaceAll(goldentest.Schema(after, ""), ".log_", ".") + " " + goldentest.JSON(after, v.List()[1])
		line = strings.ReplaceAll(line, b.db, "db")
		if of, ok := strings.CutPrefix(table, "log_"); ok {
			logged[of] = append(logged[of], line)
		} else {
			read[table] = append(read[table], line)
		}
	}
	var got []string
	for _, table := range tables {
		if len(read[table]) == 0 || len(read[table]) != len(logged[table]) {
			t.Errorf("%s: %d rows read, %d logged", table, len(read[table]), len(logged[table]))
			continue
		}
		for i := range read[table] {
			if read[table][i] != logged[table][i] {
				t.Errorf("%s, row %d differs:\n%s", table, i+1, difference(read[table][i], logged[table][i]))
			}
		}
		got = append(got, read[table]...)
	}
	text := fmt.Sprintln(strings.Join(got, "\n"))
	file := filepath.Join("testdata/types", name+".txt")
	if os.Getenv("SLUICE_WRITE_EXPECTED") != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, file); want != text {
		t.Errorf("%s: %s", file, difference(want, text))
	}
}

// difference shows where two texts part.
func difference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	from := max(i-60, 0)
	return fmt.Sprintf("…%.160q\n…%.160q", a[from:], b[from:])
}
