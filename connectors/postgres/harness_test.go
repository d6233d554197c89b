package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/postgres"
	"github.com/sluicehub/sluice/integration/services"
)

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

// bench is a database and what connects to it.
type bench struct {
	t      testing.TB
	server *services.Postgres
	db     string
	conn   *pgx.Conn
}

// ownServer starts a server for one test.
func ownServer(t *testing.T, o services.PostgresOptions) *services.Postgres {
	t.Helper()
	server, err := services.StartPostgres(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, server: services.UsePostgres(t)}
	b.db = b.server.NewDatabase(t)
	b.connect()
	return b
}

// connect opens the session of exec and text, also anew.
func (b *bench) connect() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.server.DSN(b.db))
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn = conn
	b.t.Cleanup(func() { conn.Close(context.Background()) })
}

func (b *bench) exec(sql string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := b.conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		b.t.Fatalf("%v in %.200s", err, sql)
	}
}

func (b *bench) text(sql string) string {
	b.t.Helper()
	var s string
	if err := b.conn.QueryRow(context.Background(), "SELECT ("+sql+")::text").Scan(&s); err != nil {
		b.t.Fatalf("%v in %s", err, sql)
	}
	return s
}

// config is a configuration for the database, with more laid over it.
func (b *bench) config(more map[string]string) map[string]string {
	c := map[string]string{
		"database.hostname": b.server.Host, "database.port": strconv.Itoa(b.server.Port), "database.user": b.server.User,
		"database.password": b.server.Password, "database.dbname": b.db, "topic.prefix": "p", "slot.name": b.db,
		"status.update.interval.ms": "50", "plugin.name": "pgoutput",
	}
	maps.Copy(c, more)
	return c
}

// run is a task and all that it has given so far. Batches are committed as a hub does that has made them durable.
type run struct {
	t      testing.TB
	task   connectors.SourceTask
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	records []connectors.Record
	offsets []connectors.SourceOffset
	all     []json.RawMessage // every offset, one for each batch
	counts  []int             // records before each batch's end
	err     error
	bad     []connectors.Record
	stopped bool
	most    int  // records after which no further batch is taken; 0 is no limit
	lazy    bool // do not commit
}

func logger(t testing.TB) *slog.Logger {
	if os.Getenv("SLUICE_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// start starts a task from the offsets and reads until stop.
func (b *bench) start(config map[string]string, offsets []connectors.SourceOffset) *run {
	b.t.Helper()
	r, err := b.tryStart(config, offsets)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bench) tryStart(config map[string]string, offsets []connectors.SourceOffset) (*run, error) {
	r := &run{t: b.t, task: postgres.New().NewSourceTask(), done: make(chan struct{}), offsets: offsets}
	r.most, _ = strconv.Atoi(config["test.most"])
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	err := r.task.Start(ctx, connectors.SourceStart{Connector: "pg", Config: config, Offsets: offsets, Log: logger(b.t),
		Report: func(_ context.Context, bad connectors.Record, err error) error {
			if config["test.tolerate"] == "" {
				return err
			}
			r.mu.Lock()
			r.bad = append(r.bad, bad)
			r.mu.Unlock()
			return nil
		}})
	if err != nil {
		cancel()
		r.task.Stop(context.Background())
		return nil, err
	}
	b.t.Cleanup(r.stop)
	go r.loop(ctx)
	return r, nil
}

func (r *run) loop(ctx context.Context) {
	defer close(r.done)
	for {
		var b connectors.Batch
		err := r.task.Read(ctx, &b)
		r.mu.Lock()
		if err != nil && !errors.Is(err, context.Canceled) {
			r.err = err
		}
		lazy, most := r.lazy, r.most
		if err == nil || errors.Is(err, io.EOF) {
			r.records = append(r.records, b.Records...)
			if len(b.Offsets) > 0 {
				r.offsets = stored(r.offsets, b.Offsets)
				r.all = append(r.all, b.Offsets[0].Offset)
				r.counts = append(r.counts, len(r.records))
			}
		}
		n := len(r.records)
		r.mu.Unlock()
		if err != nil {
			return
		}
		if most > 0 && n >= most {
			<-ctx.Done()
			return
		}
		if !lazy {
			if err := r.task.Commit(ctx, b.Offsets); err != nil {
				r.t.Error(err)
			}
		}
	}
}

// stored is what a hub has stored after a batch: the newest offset of each source partition.
func stored(before, batch []connectors.SourceOffset) []connectors.SourceOffset {
	after := slices.Clone(batch)
	for _, o := range before {
		if !slices.ContainsFunc(batch, func(n connectors.SourceOffset) bool { return string(n.Partition) == string(o.Partition) }) {
			after = append(after, o)
		}
	}
	return after
}

// stop ends the task as a hub does.
func (r *run) stop() {
	r.mu.Lock()
	stopped := r.stopped
	r.stopped = true
	r.mu.Unlock()
	if stopped {
		return
	}
	r.cancel()
	<-r.done
	if err := r.task.Stop(context.Background()); err != nil {
		r.t.Error(err)
	}
}

// until waits for a condition.
func (r *run) until(what string, cond func() bool) {
	r.t.Helper()
	end := time.Now().Add(patience)
	for {
		r.mu.Lock()
		err, n := r.err, len(r.records)
		r.mu.Unlock()
		if cond() { // asked after the error was, for the last records may have come with it
			return
		}
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", what, err)
		}
		if time.Now().After(end) {
			r.t.Fatalf("gave up waiting for %s; %d records so far", what, n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *run) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.records)
}

// settle waits until everything written so far has been read and committed, which the slot shows.
func (b *bench) settle(r *run, slot string) {
	b.t.Helper()
	at := b.text("pg_current_wal_insert_lsn()")
	b.exec("CHECKPOINT")
	r.until("the slot to reach "+at, func() bool {
		return b.text("SELECT coalesce(bool_or(confirmed_flush_lsn >= '"+at+"'), false) FROM pg_replication_slots WHERE slot_name = '"+slot+"'") == "true"
	})
}

// awaitStream waits until the snapshot is done and the stream runs. A slot is active, too, while it is made, and while
// the task catches up.
func (b *bench) awaitStream(r *run, slot string) {
	b.t.Helper()
	r.until("streaming", func() bool {
		_, offsets := r.taken()
		return (len(offsets) == 0 || !strings.Contains(string(offsets[0].Offset), `"snapshot_completed":false`)) && b.text("SELECT count(*) FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid WHERE state = 'streaming' AND slot_name = '"+slot+"'") == "1"
	})
}

// taken returns what the run has given so far, for reading only.
func (r *run) taken() ([]connectors.Record, []connectors.SourceOffset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.records), r.offsets
}

// blocks splits changes.sql at the lines "-- @settle".
func blocks(sql string) []string {
	return strings.Split(sql, "\n-- @settle\n")
}

func newTask() connectors.SourceTask { return postgres.New().NewSourceTask() }
