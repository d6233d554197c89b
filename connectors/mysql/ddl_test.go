package mysql

import (
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/cdc/goldentest"
)

// known is a database with these tables.
type known map[string]*definition

func (k known) definition(n cdc.Table) *definition { return k[n.String()] }
func (k known) names(database string) (out []cdc.Table) {
	for name := range k {
		if db, table, _ := strings.Cut(name, "."); db == database {
			out = append(out, cdc.Table{Schema: db, Name: table})
		}
	}
	return out
}
func (known) charset(string) string { return "utf8mb4" }

// shown prints a definition.
func shown(d *definition) string {
	if d == nil {
		return "none"
	}
	var parts []string
	for _, c := range d.Columns {
		s := c.Name + " " + c.Type
		if c.NotNull {
			s += " not null"
		}
		if c.Default != nil {
			s += " default " + *c.Default
		}
		if c.Charset != "" && c.Charset != "utf8mb4" {
			s += " " + c.Charset
		}
		parts = append(parts, s)
	}
	for _, u := range d.Unique {
		parts = append(parts, u.Name+"("+strings.Join(u.Columns, " ")+")")
	}
	return strings.Join(parts, ", ")
}

// TestDDL applies statements one after the other.
func TestDDL(t *testing.T) {
	d, tables := newDDL(false), known{}
	for _, c := range []struct{ sql, table, want string }{
		{"CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, n varchar(10) DEFAULT 'it''s', b boolean NOT NULL DEFAULT TRUE, UNIQUE KEY by_n (n))", "db.a",
			"id int not null, n varchar default it's, b tinyint not null default TRUE, PRIMARY(id), by_n(n)"},
		{"ALTER TABLE a ADD (x int, y int), ADD COLUMN z decimal(10,2) DEFAULT -1.5 AFTER id, ADD COLUMN f int FIRST", "db.a",
			"f int, id int not null, z decimal default -1.5, n varchar default it's, b tinyint not null default TRUE, x int, y int, PRIMARY(id), by_n(n)"},
		{"ALTER TABLE `db`.`a` DROP x, DROP COLUMN y, DROP f, CHANGE n name char(5) CHARACTER SET latin1 NOT NULL FIRST, MODIFY z bigint", "db.a",
			"name char not null latin1, id int not null, z bigint, b tinyint not null default TRUE, PRIMARY(id), by_n(name)"},
		{"ALTER TABLE a DROP PRIMARY KEY, ADD PRIMARY KEY (name, id), ALTER COLUMN b DROP DEFAULT, ALTER z SET DEFAULT 7", "db.a",
			"name char not null latin1, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id), by_n(name)"},
		{"ALTER TABLE a RENAME COLUMN b TO z, RENAME COLUMN z TO b, RENAME COLUMN id TO name, CHANGE name id char(5) CHARACTER SET latin1 NOT NULL", "db.a",
			"id char not null latin1, name int not null, b bigint default 7, z tinyint not null, PRIMARY(id name), by_n(id)"},
		{"ALTER TABLE a ADD COLUMN b int AFTER y, RENAME COLUMN z TO y, DROP COLUMN b", "db.a",
			"id char not null latin1, name int not null, y tinyint not null, b int, PRIMARY(id name), by_n(id)"},
		{"ALTER TABLE a CHANGE y b tinyint NOT NULL, CHANGE b z bigint DEFAULT 7 AFTER id, RENAME COLUMN id TO name, RENAME COLUMN name TO id", "db.a",
			"name char not null latin1, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id), by_n(name)"},
		{"ALTER TABLE a CONVERT TO CHARACTER SET utf8mb4, DROP KEY by_n", "db.a", "name char not null, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id)"},
		{"CREATE UNIQUE INDEX u ON a (z)", "db.a", "name char not null, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id), u(z)"},
		{"CREATE TABLE l LIKE a", "db.l", "name char not null, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id), u(z)"},
		{"RENAME TABLE a TO other.c, l TO a", "other.c", "name char not null, id int not null, z bigint default 7, b tinyint not null, PRIMARY(name id), u(z)"},
		{"ALTER TABLE a RENAME AS e, DROP COLUMN z", "db.e", "name char not null, id int not null, b tinyint not null, PRIMARY(name id)"},
		{"CREATE TABLE k (c char(3)) COLLATE utf8_bin", "db.k", "c char utf8mb3"},
		{"DROP TABLE IF EXISTS e, nowhere", "db.e", "none"},
		{"/*!40000 ALTER */ TABLE other.c ADD COLUMN ts timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)", "other.c",
			"name char not null, id int not null, z bigint default 7, b tinyint not null, ts timestamp not null default 1970-01-01 00:00:00, PRIMARY(name id), u(z)"},
	} {
		st, err := d.read(c.sql, "db", tables)
		if err != nil || st.kind != changesTable {
			t.Fatalf("%s: kind %d, %v", c.sql, st.kind, err)
		}
		for _, name := range st.renamed {
			delete(tables, name.String())
		}
		for _, ch := range append(st.indexed, st.changes...) {
			tables[ch.name.String()] = ch.def
		}
		if got := shown(tables[c.table]); got != c.want {
			t.Errorf("%s\n%s\nwant\n%s", c.sql, got, c.want)
		}
	}
	st, err := d.read("DROP DATABASE IF EXISTS other", "db", tables)
	if err != nil || len(st.renamed) != 1 || st.renamed[0] != (cdc.Table{Schema: "other", Name: "c"}) {
		t.Errorf("of a database that is dropped remain %v, %v", st.renamed, err)
	}
	for sql, want := range map[string]string{"ALTER DATABASE CHARACTER SET latin1": "db latin1", "ALTER SCHEMA `o` COLLATE utf8_bin": "o utf8mb3", "CREATE DATABASE n": "n "} {
		if st, err := d.read(sql, "db", tables); err != nil || st.database+" "+st.charset != want {
			t.Errorf("%s: %s %s, %v", sql, st.database, st.charset, err)
		}
	}
	if _, err := d.read("ALTER TABLE other.c DROP COLUMN nothing", "db", tables); err == nil {
		t.Error("a column that is not there was dropped")
	}
}

// TestNamesInLowerCase reads statements that spell names in another way than the server has them.
func TestNamesInLowerCase(t *testing.T) {
	d, tables := newDDL(true), known{"db.orders": {Columns: []column{{Name: "A", Type: "int"}}}}
	st, err := d.read("ALTER TABLE Db.Orders RENAME COLUMN A TO B, RENAME TO Shop", "DB", tables)
	if err != nil || len(st.changes) != 1 || st.changes[0].name.String() != "db.shop" || shown(st.changes[0].def) != "B int" || len(st.renamed) != 1 || st.renamed[0].String() != "db.orders" {
		t.Errorf("%+v, %v", st, err)
	}
	if st, err = d.read("DROP DATABASE DB", "", tables); err != nil || len(st.renamed) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestStatements(t *testing.T) {
	for sql, want := range map[string]statementKind{
		"CREATE TEMPORARY TABLE x (a int)": ofNoConcern, "create view v as select 1": ofNoConcern, "GRANT ALL ON *.* TO x": ofNoConcern, "FLUSH LOGS": ofNoConcern,
		"CREATE OR REPLACE TABLE x (a int)": unreadable, "ALTER TABLE x ADD g geometry": unreadable, "TRUNCATE x": truncates, "INSERT INTO x VALUES (1)": changesRow,
		"DROP DATABASE x": changesTable, "-- a\n/* b */ ALTER TABLE nowhere ADD a int": unreadable,
	} {
		if st, err := newDDL(false).read(sql, "db", known{}); err != nil || st.kind != want {
			t.Errorf("%s is of kind %d, want %d (%v)", sql, st.kind, want, err)
		}
	}
	for sql, want := range map[string]string{
		"ALTER TABLE x ADD g geometry": "db.x", "CREATE OR REPLACE TABLE IF NOT EXISTS `o``d`.`t x` (a int)": "o`d.t x", "alter table a.b add c point": "a.b",
		"CREATE SPATIAL INDEX i ON s (g)": "db.s", "CREATE": "",
	} {
		if name, ok := tableIn(sql, "db"); ok != (want != "") || ok && name.String() != want {
			t.Errorf("%s names %v %v, want %s", sql, name, ok, want)
		}
	}
}

// TestOptions knows Debezium's keys.
func TestOptions(t *testing.T) {
	if names, err := goldentest.Unknown(configuration, "testdata/options.txt"); err != nil || names != nil {
		t.Errorf("unknown: %v, %v", names, err)
	}
}
