package mysql

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// made applies statements to the table a.
func made(t *testing.T, statements ...string) *definition {
	t.Helper()
	d, tables := newDDL(false), known{}
	for _, sql := range statements {
		st, err := d.read(sql, "db", tables)
		if err != nil || st.kind != changesTable {
			t.Fatalf("%s: kind %d, %v", sql, st.kind, err)
		}
		for _, c := range append(st.changes, st.indexed...) {
			tables[c.name.String()] = c.def
		}
	}
	return tables["db.a"]
}

// TestNamesOfTypes reads names of types as a statement has them, which Debezium keeps, and what follows from them.
func TestNamesOfTypes(t *testing.T) {
	for sql, want := range map[string]string{
		"c INTEGER NOT NULL":                              "INTEGER 4 -1",
		"c boolean DEFAULT true":                          "BOOLEAN 16 -1 true",
		"c Bool DEFAULT FALSE":                            "BOOL 16 -1 FALSE",
		"`c` NUMERIC(10,2) DEFAULT 0.5":                   "NUMERIC 2 10 0.5",
		"c DOUBLE PRECISION":                              "DOUBLE PRECISION 8 -1",
		"c tinyint(1)":                                    "TINYINT 5 1",
		"c int(5) zerofill":                               "INT UNSIGNED ZEROFILL 4 5",
		"c bit(8) DEFAULT b'101'":                         "BIT -7 8 101",
		"c varchar(5) DEFAULT 0x41":                       "VARCHAR 12 5",
		"c varchar(5) /* c INTEGER */ DEFAULT ('x')":      "VARCHAR 12 5",
		"c varchar(5) COMMENT 'c BOOL, c INTEGER'":        "VARCHAR 12 5",
		"x int COMMENT 'it''s \\' c BOOL', c DEC(4)":      "DEC 3 4",
		"PRIMARY KEY (c), c int4":                         "INT4 4 -1",
		"c vector":                                        "VECTOR 1111 2048",
		"c varchar(9) GENERATED ALWAYS AS ('c') VIRTUAL ": "VARCHAR 12 9",
	} {
		def := made(t, "CREATE TABLE a ("+sql+")")
		c := &def.Columns[def.find("c")]
		got := fmt.Sprintf("%s %d %d", typeName(c), jdbcType(c), c.Length)
		if c.Default != nil {
			got += " " + *c.Default
		}
		if got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	def := made(t, "CREATE TABLE a (a int, b int)", "ALTER TABLE a MODIFY a BOOL, CHANGE b c INTEGER, ADD (d REAL, e NCHAR(3)) ")
	var got []string
	for i := range def.Columns {
		got = append(got, typeName(&def.Columns[i])+" "+def.Columns[i].Charset)
	}
	if s := strings.Join(got, ","); s != "BOOL ,INTEGER ,REAL ,NCHAR utf8mb3" {
		t.Error(s)
	}
}

// TestKeyOfATable takes the primary key, else the first unique index, as they were made, without a column that can be null.
func TestKeyOfATable(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE TABLE a (x int NOT NULL, y int NOT NULL, UNIQUE KEY z (y), UNIQUE KEY b (x))": "y",
		"CREATE TABLE a (x int, y int NOT NULL, UNIQUE KEY b (x), UNIQUE KEY z (y))":          "y",
		"CREATE TABLE a (x int, y int NOT NULL, UNIQUE KEY b (x, y))":                         "",
		"CREATE TABLE a (x text NOT NULL, UNIQUE KEY b (x(3)))":                               "x",
		"CREATE TABLE a (x int NOT NULL, UNIQUE KEY b ((x + 1)))":                             "",
		"CREATE TABLE a (x int NOT NULL UNIQUE, y int, PRIMARY KEY (y))":                      "y",
	} {
		if got := strings.Join(made(t, sql).key(cdc.Table{}, nil), ","); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	added := made(t, "CREATE TABLE a (x int NOT NULL, y int NOT NULL)", "CREATE UNIQUE INDEX z ON a (y)", "ALTER TABLE a ADD UNIQUE KEY b (x)")
	if got := strings.Join(added.naturalKey(), ","); got != "y" {
		t.Error(got)
	}
	var d definition
	d.addIndexes([][]string{{"a", "0", "z", "1", "y"}, {"a", "0", "e", "1", ""}, {"a", "1", "n", "1", "x"}, {"a", "0", "b", "1", "x"}, {"a", "0", "b", "2", "y"}})
	if len(d.Unique) != 2 || d.Unique[0].Name != "z" || strings.Join(d.Unique[1].Columns, ",") != "x,y" {
		t.Errorf("%+v", d.Unique)
	}
}

// TestDefaults shows what Debezium shows as defaults, where it is not the constant itself.
func TestDefaults(t *testing.T) {
	for sql, want := range map[string]string{
		"c timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)": `"1970-01-01T00:00:00Z"`,
		"c timestamp NULL DEFAULT CURRENT_TIMESTAMP":           "none",
		"c timestamp NOT NULL DEFAULT '0000-00-00 00:00:00'":   `"1970-01-01T00:00:00Z"`,
		"c timestamp(3) DEFAULT '2020-01-01 00:00:00.5'":       `"2020-01-01T00:00:00.500Z"`,
		"c decimal(10,3) DEFAULT 7":                            `"7.000"`,
		"c decimal(10,3) DEFAULT -0.25":                        `"-0.250"`,
		"c decimal(10) DEFAULT 7":                              `"7"`,
		"c bit(16) DEFAULT b'100000001'":                       `[1 1]`,
		"c bit(8) DEFAULT 5":                                   "none",
		"c boolean DEFAULT TRUE":                               "true",
		"c boolean DEFAULT '0'":                                "false",
		"c int DEFAULT true":                                   "1",
		"c varbinary(4) DEFAULT 'ab'":                          "[97 98]",
		"c json DEFAULT ('{}')":                                "none",
	} {
		def := made(t, "CREATE TABLE a ("+sql+")")
		cs := codecs{modes: valueModes{decimals: cdc.StringDecimal, times: "adaptive_time_microseconds", binary: cdc.RawBinary}}
		k, ok, err := cs.of(context.Background(), &def.Columns[0])
		if err != nil || !ok {
			t.Fatal(sql, ok, err)
		}
		got := "none"
		if v, ok := defaultValue(&k, &def.Columns[0]); ok {
			switch v.Type {
			case connectors.String:
				got = fmt.Sprintf("%q", v.Text())
			case connectors.Bytes:
				got = fmt.Sprint([]byte(v.Text()))
			case connectors.Boolean:
				got = fmt.Sprint(v.Bool())
			default:
				got = fmt.Sprint(v.Int())
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// TestDefaultsOfTheCatalog reads what information_schema.COLUMNS has for them.
func TestDefaultsOfTheCatalog(t *testing.T) {
	for _, c := range []struct {
		mariadb          bool
		typ, text, value string
	}{
		{false, "bit(4)", "b'101'", "101"}, {true, "bit(4)", "b'101'", "101"}, {false, "varbinary(4)", "0x6162", "ab"},
		{false, "binary(4)", "0x", "none"}, {false, "varbinary(4)", "0x00FF", "none"}, {true, "binary(4)", "'ab'", "ab"},
	} {
		var col column
		if err := col.setType(c.typ); err != nil {
			t.Fatal(err)
		}
		got := "none"
		if s := (flavor{mariadb: c.mariadb}).constant(&col, c.text, false); s != nil {
			got = *s
		}
		if got != c.value {
			t.Errorf("%s of %s: %q, want %q", c.text, c.typ, got, c.value)
		}
	}
}

// TestModeOfAStatement reads a statement in the sql_mode that the log has with it.
func TestModeOfAStatement(t *testing.T) {
	const sql = `CREATE TABLE "a" ("i" INTEGER PRIMARY KEY)`
	d := newDDL(false)
	for ansi, want := range map[byte]statementKind{1 << 2: changesTable, 0: unreadable} {
		d.mode([]byte{0, 0, 0, 0, 0, 1, ansi, 0, 0, 0, 0, 0, 0, 0, 6})
		st, err := d.read(sql, "db", known{})
		if err != nil || st.kind != want {
			t.Errorf("sql_mode %d: kind %d, %v", ansi, st.kind, err)
		}
		if want == changesTable && shown(st.changes[0].def) != "i int not null, PRIMARY(i)" {
			t.Error(shown(st.changes[0].def))
		}
	}
	if name, ok := tableIn(sql, "db"); !ok || name.String() != "db.a" {
		t.Error(name, ok)
	}
	if d.mode(nil); d.parser == nil {
		t.Error("no parser")
	}
}

// TestBareStatement takes comments off.
func TestBareStatement(t *testing.T) {
	for sql, want := range map[string]string{
		"/* a */ /* b */ ALTER TABLE a ADD b int /* c */": "ALTER TABLE a ADD b int", "/*!50000 CREATE */ TABLE a": "/*!50000 CREATE */ TABLE a",
		"CREATE TABLE a (b int /* c */)": "CREATE TABLE a (b int /* c */)", "/*": "", "": "",
	} {
		if got := bareStatement(sql); got != want {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
	}
}
