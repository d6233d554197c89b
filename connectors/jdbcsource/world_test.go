package jdbcsource

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, New()) }

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

// server is a database of the test's own, of one kind.
type server struct {
	kind     sqldb.Kind
	database string
	config   map[string]string
	run      func(t testing.TB, statement string)
	worlds   int // of the conformance suite, so far
}

// on runs a test on every kind of database, but those where it would show nothing more.
func on(t *testing.T, test func(t *testing.T, s *server), but ...sqldb.Kind) {
	for kind, use := range map[sqldb.Kind]func(t testing.TB) *server{
		sqldb.PostgreSQL: onPostgres, sqldb.SQLite: onSQLite,
		sqldb.MySQL:   func(t testing.TB) *server { return onMySQL(t, services.UseMySQL(t), sqldb.MySQL) },
		sqldb.MariaDB: func(t testing.TB) *server { return onMySQL(t, services.UseMariaDB(t), sqldb.MariaDB) },
	} {
		if !slices.Contains(but, kind) {
			t.Run(string(kind), func(t *testing.T) { t.Parallel(); test(t, use(t)) })
		}
	}
}

func onMySQL(t testing.TB, m *services.MySQL, k sqldb.Kind) *server {
	db := m.NewDatabase(t)
	return &server{kind: k, database: db, config: map[string]string{"connection.url": fmt.Sprintf("jdbc:%s://%s:%d/%s", k, m.Host, m.Port, db),
		"connection.user": m.User, "connection.password": m.Password}, run: func(t testing.TB, statement string) { m.Exec(t, db, statement) }}
}

func onPostgres(t testing.TB) *server {
	pg := services.UsePostgres(t)
	db := pg.NewDatabase(t)
	return &server{kind: sqldb.PostgreSQL, database: db, config: map[string]string{
		"connection.url":  fmt.Sprintf("jdbc:postgresql://%s:%d/%s?sslmode=disable", pg.Host, pg.Port, db),
		"connection.user": pg.User, "connection.password": pg.Password}, run: func(t testing.TB, statement string) { pg.Exec(t, db, statement) }}
}

func onSQLite(t testing.TB) *server {
	path := filepath.Join(t.TempDir(), "a b%.db")
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &server{kind: sqldb.SQLite, config: map[string]string{"connection.url": "jdbc:sqlite:" + path}, run: func(t testing.TB, statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}}
	s.exec(t, "CREATE TABLE sluice_made_the_file (x)", "DROP TABLE sluice_made_the_file")
	return s
}

func (s *server) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		s.run(t, statement)
	}
}

// with returns the configuration with keys added in pairs.
func (s *server) with(pairs ...string) map[string]string {
	config := map[string]string{"poll.interval.ms": "20", "connection.attempts": "1"}
	maps.Copy(config, s.config)
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = pairs[i+1]
	}
	return config
}

// run is a task at work.
type run struct {
	t        testing.TB
	task     *task
	offsets  []connectors.SourceOffset
	reported []string
	refuse   bool
	batches  []int // rows of each
}

// start starts a task behind the offsets.
func (s *server) start(t testing.TB, offsets []connectors.SourceOffset, pairs ...string) *run {
	t.Helper()
	r := &run{t: t, task: &task{}, offsets: slices.Clone(offsets)}
	t.Cleanup(func() { _ = r.task.Stop(context.Background()) })
	if err := r.task.Start(r.deadline(), r.startWith(s.with(pairs...))); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *run) startWith(config map[string]string) connectors.SourceStart {
	return connectors.SourceStart{Connector: "test", Config: config, Offsets: r.offsets, Log: plugintest.Log(r.t),
		Report: func(_ context.Context, bad connectors.Record, err error) error {
			r.reported = append(r.reported, fmt.Sprintf("%s %s: %v", bad.Topic, bad.Value.Bytes, err))
			if r.refuse {
				return err
			}
			return nil
		}}
}

func (r *run) deadline() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// next reads batches until there are so many rows, and returns them as text, the topic in front.
func (r *run) next(n int) []string {
	r.t.Helper()
	var rows []string
	for len(rows) < n {
		batch, err := r.batch(r.deadline())
		if err != nil {
			r.t.Fatal(err)
		}
		rows = append(rows, batch...)
	}
	return rows
}

// batch reads one batch.
func (r *run) batch(ctx context.Context) ([]string, error) {
	var b connectors.Batch
	if err := r.task.Read(ctx, &b); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, o := range b.Offsets {
		r.offsets = slices.DeleteFunc(r.offsets, func(p connectors.SourceOffset) bool { return string(p.Partition) == string(o.Partition) })
		r.offsets = append(r.offsets, o)
	}
	var rows []string
	for i := range b.Records {
		rows = append(rows, b.Records[i].Topic+" "+printed(r.t, &b.Records[i]))
	}
	r.batches = append(r.batches, len(rows))
	return rows, nil
}

// nothing checks that no row comes while the tables are polled a few times.
func (r *run) nothing() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if rows, err := r.batch(ctx); len(rows) > 0 || !errors.Is(err, context.DeadlineExceeded) {
		r.t.Fatalf("got %q, %v; wanted nothing", rows, err)
	}
}

// offset returns the offset of the only source partition.
func (r *run) offset() string {
	r.t.Helper()
	if len(r.offsets) != 1 {
		r.t.Fatalf("offsets %v", r.offsets)
	}
	return string(r.offsets[0].Offset)
}

// printed returns the fields of a record's value, with | between them.
func printed(t testing.TB, rec *connectors.Record) string {
	t.Helper()
	v, rest, err := connectors.ReadValue(rec.Value.Schema, rec.Value.Bytes)
	if err != nil || len(rest) > 0 || !rec.Key.IsNull() {
		t.Fatalf("record %v: %v", rec, err)
	}
	var out []string
	for _, f := range v.List() {
		out = append(out, shown(f))
	}
	return strings.Join(out, "|")
}

func shown(v connectors.Value) string {
	switch v.Type {
	case connectors.Invalid:
		return "null"
	case connectors.Boolean:
		return fmt.Sprint(v.Bool())
	case connectors.String:
		return v.Text()
	case connectors.Bytes:
		return fmt.Sprintf("%x", v.Raw())
	case connectors.Float32, connectors.Float64:
		return fmt.Sprint(v.Float())
	case connectors.Struct:
		var parts []string
		for _, f := range v.List() {
			parts = append(parts, shown(f))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	return fmt.Sprint(v.Int())
}

func want(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// partition returns the source partition of a table, as Confluent's connector names it.
func (s *server) partition(name string) string {
	switch s.kind {
	case sqldb.PostgreSQL:
		name = "public." + name
	case sqldb.MySQL, sqldb.MariaDB:
		name = s.database + "." + name
	}
	return fmt.Sprintf(`{"protocol":"1","table":%q}`, name)
}

func offsetOf(partition, offset string) []connectors.SourceOffset {
	return []connectors.SourceOffset{{Partition: json.RawMessage(partition), Offset: json.RawMessage(offset)}}
}
