package jdbc

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, New()) }

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

// server is a database of the test's own, of one kind.
type server struct {
	kind   sqldb.Kind
	config map[string]string
	d      dialect
	worlds int // of the conformance suite, so far
}

// on runs a test on every kind of database.
func on(t *testing.T, test func(t *testing.T, s *server)) {
	t.Run("postgresql", func(t *testing.T) { t.Parallel(); test(t, onPostgres(t)) })
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, onSQLite(t)) })
	t.Run("mysql", func(t *testing.T) { t.Parallel(); test(t, onMySQL(t, services.UseMySQL(t), sqldb.MySQL)) })
	t.Run("mariadb", func(t *testing.T) { t.Parallel(); test(t, onMySQL(t, services.UseMariaDB(t), sqldb.MariaDB)) })
}

func onMySQL(t testing.TB, m *services.MySQL, k sqldb.Kind) *server {
	return newServer(t, k, map[string]string{
		"connection.url":  fmt.Sprintf("jdbc:%s://%s:%d/%s", k, m.Host, m.Port, m.NewDatabase(t)),
		"connection.user": m.User, "connection.password": m.Password})
}

func onSQLite(t testing.TB) *server {
	return newServer(t, sqldb.SQLite, map[string]string{"connection.url": "jdbc:sqlite:" + filepath.Join(t.TempDir(), "a b%.db")})
}

func onPostgres(t testing.TB) *server {
	pg := services.UsePostgres(t)
	return newServer(t, sqldb.PostgreSQL, map[string]string{
		"connection.url":  fmt.Sprintf("jdbc:postgresql://%s:%d/%s?sslmode=disable", pg.Host, pg.Port, pg.NewDatabase(t)),
		"connection.user": pg.User, "connection.password": pg.Password})
}

func newServer(t testing.TB, k sqldb.Kind, config map[string]string) *server {
	t.Helper()
	s, err := parseSettings(config)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDialect(&s)
	if err != nil {
		t.Fatal(err)
	}
	return &server{kind: k, config: config, d: d}
}

// with returns the configuration with keys added in pairs.
func (s *server) with(pairs ...string) map[string]string {
	config := map[string]string{}
	for k, v := range s.config {
		config[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = pairs[i+1]
	}
	return config
}

func (s *server) exec(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.d.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.exec(ctx, statements...); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// rows returns the rows of a question as text, the values with | between them.
func (s *server) rows(t testing.TB, question string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.d.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	rows, err := c.query(ctx, question)
	if err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	var out []string
	for _, r := range rows {
		out = append(out, strings.Join(r, "|"))
	}
	return out
}

// want checks the rows of a question.
func (s *server) want(t testing.TB, question string, want ...string) {
	t.Helper()
	if got := s.rows(t, question); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", question, got, want)
	}
}

// run is a task at work.
type run struct {
	t    testing.TB
	task connectors.SinkTask
	next int64 // offset

	mu       sync.Mutex
	reported []int64
	causes   []error
	tolerate bool
}

var at0 = connectors.TopicPartition{Topic: "orders", Partition: 0}

// start starts a task with the partition at0 open.
func (s *server) start(t testing.TB, pairs ...string) *run {
	t.Helper()
	r := &run{t: t, task: New().NewSinkTask(), tolerate: true}
	err := r.task.Start(r.deadline(), connectors.SinkStart{Connector: "test", Config: s.with(pairs...), Log: plugintest.Log(t),
		Report: func(_ context.Context, at connectors.RecordRef, err error) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reported = append(r.reported, at.Offset)
			r.causes = append(r.causes, err)
			if r.tolerate {
				return nil
			}
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.task.Stop(context.Background()) })
	positions, err := r.task.Open(r.deadline(), []connectors.TopicPartition{at0})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		r.next = p.Offset
	}
	return r
}

func (r *run) deadline() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

// put puts records at the next offsets.
func (r *run) put(records ...connectors.Record) {
	r.t.Helper()
	if err := r.tryPut(records...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) tryPut(records ...connectors.Record) error {
	for i := range records {
		if records[i].Topic == "" {
			records[i].Topic = at0.Topic
		}
		records[i].Offset = r.next
		r.next++
	}
	return r.task.Put(r.deadline(), &connectors.Records{From: at0, List: records, End: r.next})
}

// flush brings everything to the database.
func (r *run) flush() {
	r.t.Helper()
	if err := r.tryFlush(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) tryFlush() error {
	positions, err := r.task.Flush(r.deadline(), true)
	if err == nil && (len(positions) != 1 || positions[0].Offset != r.next) {
		err = fmt.Errorf("flushed to %v, put were %d", positions, r.next)
	}
	return err
}

func (r *run) refused() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reported)
}

// structOf returns the schema of a struct; fields in pairs of name and schema.
func structOf(name string, fields ...any) *connectors.Schema {
	s := &connectors.Schema{Type: connectors.Struct, Name: name}
	for i := 0; i < len(fields); i += 2 {
		s.Fields = append(s.Fields, connectors.Field{Name: fields[i].(string), Schema: fields[i+1].(*connectors.Schema)})
	}
	return s
}

// value makes a Value of a schema from a plain one.
func value(s *connectors.Schema, v any) connectors.Value {
	switch v := v.(type) {
	case nil:
		return connectors.Null()
	case connectors.Value:
		return v
	case bool:
		return connectors.BoolValue(v)
	case int:
		return connectors.IntValue(s.Type, int64(v))
	case int64:
		return connectors.IntValue(s.Type, v)
	case float64:
		return connectors.FloatValue(s.Type, v)
	case []byte:
		return connectors.BytesValue(v)
	case string:
		if s.Type == connectors.Bytes {
			return connectors.BytesValue([]byte(v))
		}
		return connectors.StringValue(v)
	case []any:
		var list []connectors.Value
		for i, e := range v {
			of := s.Elem
			switch {
			case s.Type == connectors.Struct:
				of = s.Fields[i].Schema
			case s.Type == connectors.Map && i%2 == 0:
				of = s.Key
			}
			list = append(list, value(of, e))
		}
		return connectors.ListValue(s.Type, list)
	}
	panic(fmt.Sprintf("a %T", v))
}

// data encodes a value.
func data(s *connectors.Schema, v any) connectors.Data {
	b, err := connectors.AppendValue(nil, s, value(s, v))
	if err != nil {
		panic(err)
	}
	return connectors.Data{Schema: s, Bytes: b}
}

var (
	keySchema = structOf("key", "id", connectors.Int64Schema)
	rowSchema = structOf("row", "id", connectors.Int64Schema, "name", connectors.OptionalStringSchema, "n", connectors.OptionalInt32Schema)
)

// flat is a record of rowSchema.
func flat(id int, name any, n any) connectors.Record {
	return connectors.Record{Key: data(keySchema, []any{id}), Value: data(rowSchema, []any{id, name, n})}
}

// tombstone deletes.
func tombstone(id int) connectors.Record {
	return connectors.Record{Key: data(keySchema, []any{id})}
}

// change is a change event of Debezium's; images are nil or the fields of the row.
func change(row *connectors.Schema, op string, id int, before, after []any) connectors.Record {
	row = row.AsOptional()
	source := cdc.Source("source", connectors.Field{Name: "schema", Schema: connectors.StringSchema}, connectors.Field{Name: "table", Schema: connectors.StringSchema})
	envelope := cdc.Envelope("orders.Envelope", row, source, cdc.Block())
	image := func(v []any) any {
		if v == nil {
			return nil
		}
		return v
	}
	return connectors.Record{Key: data(keySchema, []any{id}), Value: data(envelope, []any{image(before), image(after),
		[]any{"1", "postgresql", "shop", 1, "false", "shop", nil, nil, nil, "public", "orders"}, nil, op, 1, nil, nil})}
}
