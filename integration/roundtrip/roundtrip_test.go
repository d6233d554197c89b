// Package roundtrip brings values of every column type of every source into every kind of target, connector to
// connector, and writes down what arrives.
package roundtrip

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of MySQL and MariaDB
	_ "github.com/jackc/pgx/v5/stdlib" // of PostgreSQL
	_ "modernc.org/sqlite"             // of SQLite

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/jdbc"
	"github.com/sluicehub/sluice/connectors/mysql"
	"github.com/sluicehub/sluice/connectors/postgres"
	"github.com/sluicehub/sluice/integration/services"
)

var update = flag.Bool("update", false, "write the table of results anew")

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

const resultsFile = "../../connectors/jdbc/testdata/roundtrip.md"

// TestRoundTrip takes values of every type by a snapshot, writes them to every target, and compares what the target
// prints with what the source prints. What differs must have its reason, and the table of all results must be that of
// the file; -update writes it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	sources, targets := sources(t), targets(t)
	lines := make([][]line, len(sources)*len(targets))
	t.Run("pairs", func(t *testing.T) {
		for i, from := range sources {
			t.Run(from.name, func(t *testing.T) {
				t.Parallel()
				rows := from.fill(t)
				records := from.read(t, rows)
				for j, to := range targets {
					t.Run(to.name, func(t *testing.T) {
						t.Parallel()
						lines[i*len(targets)+j] = judge(t, from, to, rows, to.write(t, rows, records))
					})
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	for _, r := range reasons() {
		if !slices.ContainsFunc(slices.Concat(lines...), func(l line) bool { return l.reason == r.text }) {
			t.Errorf("nothing needs the reason %s", r.text)
		}
	}
	got := document(sources, targets, lines)
	if *update {
		if err := os.WriteFile(resultsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what happens; if it should be, run this test with -update. The first line that differs: %s", resultsFile, difference(got, string(want)))
	}
}

func difference(got, want string) string {
	of := strings.Split(want, "\n")
	for i, l := range strings.Split(got, "\n") {
		if i >= len(of) || l != of[i] {
			return l
		}
	}
	return "the last"
}

// source is a database with its connector.
type source struct {
	name    string
	samples []sample
	db      *sql.DB
	types   string // a query that gives name and type of each column of the table
	setUp   []string
	task    func() connectors.SourceTask
	config  map[string]string
}

func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1) // settings of the session hold
	t.Cleanup(func() { db.Close() })
	return db
}

func sources(t *testing.T) []*source {
	pg := services.UsePostgres(t)
	db := pg.NewDatabase(t)
	all := []*source{{name: "PostgreSQL", samples: postgresSamples(), db: open(t, "pgx", pg.DSN(db)),
		setUp: append(strings.SplitAfter(postgresSetUp, ";"), "SET timezone = 'UTC'", "SET intervalstyle = 'iso_8601'"), types: postgresTypes,
		task: postgres.New().NewSourceTask, config: map[string]string{
			"database.hostname": pg.Host, "database.port": strconv.Itoa(pg.Port), "database.user": pg.User, "database.password": pg.Password, "database.dbname": db,
			"topic.prefix": "p", "plugin.name": "pgoutput", "snapshot.mode": "initial_only", "interval.handling.mode": "string", "include.unknown.datatypes": "true"}}}
	for _, m := range []*services.MySQL{services.UseMySQL(t), services.UseMariaDB(t)} {
		db := m.NewDatabase(t)
		s := &source{name: "MySQL", samples: mysqlSamples(sample{"vector(3)", asJSON, []string{"to_vector('[1,2.5,-3]')"}, "from_vector(%s)"}), types: mysqlTypes,
			db: open(t, "mysql", mysqlDSN(m, db)), setUp: []string{"SET time_zone = '+00:00'", "SET sql_mode = ''"}, task: mysql.New().NewSourceTask,
			config: map[string]string{"database.hostname": m.Host, "database.port": strconv.Itoa(m.Port), "database.user": m.User, "database.password": m.Password,
				"database.include.list": db, "topic.prefix": "p", "snapshot.mode": "initial_only", "bigint.unsigned.handling.mode": "precise", "include.schema.changes": "false"}}
		if m.MariaDB {
			s.name, s.task = "MariaDB", mysql.NewMariaDB().NewSourceTask
			s.samples = mysqlSamples(sample{"uuid", asText, []string{"'123e4567-e89b-12d3-a456-426655440000'"}, ""},
				sample{"inet4", asText, []string{"'192.168.1.0'"}, ""}, sample{"inet6", asText, []string{"'2001:db8::ff00:42:8329'"}, ""})
		}
		all = append(all, s)
	}
	return all
}

func mysqlDSN(m *services.MySQL, db string) string {
	return fmt.Sprintf("%s:%s@tcp(%s:%d)/%s?charset=utf8mb4", m.User, m.Password, m.Host, m.Port, db)
}

// value is a row of the table: one column of it has a value, all others are null. So one that is refused says of which.
type value struct {
	sample int
	text   string // as the source prints it
}

// fill makes the table and its rows, which have the numbers from 1 on; the last is of nulls.
func (s *source) fill(t *testing.T) (rows []value) {
	t.Helper()
	exec := func(statement string) {
		if _, err := s.db.Exec(statement); err != nil {
			t.Fatalf("%.200s: %v", statement, err)
		}
	}
	for _, statement := range s.setUp {
		exec(statement)
	}
	var columns []string
	for i, c := range s.samples {
		columns = append(columns, fmt.Sprintf(", c%d %s NULL", i, c.column))
	}
	exec("CREATE TABLE samples (id int PRIMARY KEY" + strings.Join(columns, "") + ")")
	for i, c := range s.samples {
		for _, v := range c.values {
			rows = append(rows, value{sample: i})
			exec(fmt.Sprintf("INSERT INTO samples (id, c%d) VALUES (%d, %s)", i, len(rows), v))
		}
	}
	exec(fmt.Sprintf("INSERT INTO samples (id) VALUES (%d)", len(rows)+1))
	types := columnTypes(t, s.db, s.types)
	for i := range rows {
		c := fmt.Sprintf("c%d", rows[i].sample)
		expression := s.samples[rows[i].sample].print
		if expression == "" {
			expression = printed(s.name, types[c])
		}
		rows[i].text = question(t, s.db, expression, c, i+1)
	}
	return rows
}

// question prints a column of a row.
func question(t *testing.T, db *sql.DB, expression, column string, id int) string {
	t.Helper()
	var text sql.NullString
	query := fmt.Sprintf("SELECT %s FROM samples WHERE id = %d", strings.ReplaceAll(expression, "%s", column), id)
	if err := db.QueryRow(query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if !text.Valid {
		return "NULL"
	}
	return text.String
}

// read reads the snapshot to its end: the records by the number of their row, the first one is 1. A row that the source
// cannot read has none.
func (s *source) read(t *testing.T, rows []value) map[int]connectors.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	task := s.task()
	defer func() {
		if err := task.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	records, unread := map[int]connectors.Record{}, 0
	err := task.Start(ctx, connectors.SourceStart{Connector: "roundtrip", Config: s.config, Log: slog.New(slog.DiscardHandler),
		Report: func(_ context.Context, _ connectors.Record, err error) error {
			t.Log(err)
			unread++
			return nil
		}})
	for err == nil && len(records)+unread <= len(rows) {
		var b connectors.Batch
		if err = task.Read(ctx, &b); err == nil {
			err = task.Commit(ctx, b.Offsets)
		}
		for _, r := range b.Records {
			if !strings.HasSuffix(r.Topic, ".samples") {
				continue
			}
			key, _, err := connectors.ReadValue(r.Key.Schema, r.Key.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			records[int(key.List()[0].Int())] = r
		}
	}
	if len(records)+unread != len(rows)+1 {
		t.Fatalf("%d records of %d rows: %v", len(records), len(rows)+1, err)
	}
	return records
}

// target is a kind of database that is written to. Each source gets one of its own.
type target struct {
	name  string
	types string
	make  func(t *testing.T) (config map[string]string, db *sql.DB)
}

func targets(t *testing.T) []target {
	pg, my, maria := services.UsePostgres(t), services.UseMySQL(t), services.UseMariaDB(t)
	ofMySQL := func(name string, m *services.MySQL) target {
		return target{name, mysqlTypes, func(t *testing.T) (map[string]string, *sql.DB) {
			db := m.NewDatabase(t)
			return map[string]string{"connection.url": fmt.Sprintf("jdbc:%s://%s:%d/%s", strings.ToLower(name), m.Host, m.Port, db),
				"connection.user": m.User, "connection.password": m.Password}, open(t, "mysql", mysqlDSN(m, db))
		}}
	}
	return []target{
		{"PostgreSQL", postgresTypes, func(t *testing.T) (map[string]string, *sql.DB) {
			name := pg.NewDatabase(t)
			db := open(t, "pgx", pg.DSN(name))
			for _, statement := range []string{"SET timezone = 'UTC'", "SET intervalstyle = 'iso_8601'"} {
				if _, err := db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			return map[string]string{"connection.url": fmt.Sprintf("jdbc:postgresql://%s:%d/%s?sslmode=disable", pg.Host, pg.Port, name),
				"connection.user": pg.User, "connection.password": pg.Password}, db
		}},
		ofMySQL("MySQL", my), ofMySQL("MariaDB", maria),
		{"SQLite", sqliteTypes, func(t *testing.T) (map[string]string, *sql.DB) {
			path := t.TempDir() + "/target.db"
			return map[string]string{"connection.url": "jdbc:sqlite:" + path}, open(t, "sqlite", path)
		}},
	}
}

// arrived is what a target has.
type arrived struct {
	types map[string]string // of the columns
	texts []string          // of each row, as the target prints it
}

// write writes the records to a target, and reads it.
func (to target) write(t *testing.T, rows []value, records map[int]connectors.Record) arrived {
	t.Helper()
	config, db := to.make(t)
	config["insert.mode"], config["pk.mode"], config["auto.create"], config["table.name.format"] = "upsert", "record_key", "true", "${source.table}"
	out := arrived{texts: make([]string, len(rows))}
	refused := deliver(t, config, records)
	if refused[len(rows)+1] {
		t.Error("the row of nulls was refused")
	}
	out.types = columnTypes(t, db, to.types)
	for i := range rows {
		c := fmt.Sprintf("c%d", rows[i].sample)
		_, read := records[i+1]
		switch {
		case !read:
			out.texts[i] = "refused by the source"
		case out.types[c] == "":
			out.texts[i] = "no column"
		case refused[i+1]:
			out.texts[i] = "refused"
		default:
			out.texts[i] = question(t, db, printed(to.name, out.types[c]), c, i+1)
		}
	}
	return out
}

// deliver runs a sink that takes the records, and returns the numbers of those that the target refused.
func deliver(t *testing.T, config map[string]string, records map[int]connectors.Record) map[int]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var mu sync.Mutex
	refused := map[int]bool{}
	task := jdbc.New().NewSinkTask()
	defer func() {
		if err := task.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	at := connectors.TopicPartition{Topic: "samples"}
	var list []connectors.Record
	for _, number := range slices.Sorted(maps.Keys(records)) {
		r := records[number]
		r.Offset = int64(number)
		list = append(list, r)
	}
	err := task.Start(ctx, connectors.SinkStart{Connector: "roundtrip", Config: config, Log: slog.New(slog.DiscardHandler),
		Report: func(_ context.Context, ref connectors.RecordRef, err error) error {
			mu.Lock()
			defer mu.Unlock()
			refused[int(ref.Offset)] = true
			t.Log(err)
			return nil
		}})
	if err == nil {
		_, err = task.Open(ctx, []connectors.TopicPartition{at})
	}
	if err == nil {
		err = task.Put(ctx, &connectors.Records{From: at, List: list, End: list[len(list)-1].Offset + 1})
	}
	if err == nil {
		_, err = task.Flush(ctx, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return refused
}
