package mysql_test

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

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/mysql"
	"github.com/sluicehub/sluice/integration/services"
)

// patience is how long a test waits for what must happen.
const patience = 4 * time.Minute

// bench is a server with a database, and what connects to it.
type bench struct {
	t      testing.TB
	server *services.MySQL
	db     string
}

// newBench makes an empty database on the server.
func newBench(t testing.TB, server *services.MySQL, db string) *bench {
	t.Helper()
	b := &bench{t: t, server: server, db: db}
	if db == "" {
		b.db = server.NewDatabase(t)
		return b
	}
	server.Exec(t, "", "CREATE DATABASE "+db+" CHARACTER SET utf8mb4")
	t.Cleanup(func() { server.Exec(t, "", "DROP DATABASE "+db) })
	return b
}

// script runs a script statement by statement in one session, so that each is a transaction of its own.
func (b *bench) script(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := b.server.Connect(ctx, b.db)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	var st strings.Builder
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "--") || strings.TrimSpace(line) == "" {
			continue
		}
		st.WriteString(line + "\n")
		if strings.HasSuffix(strings.TrimSpace(line), ";") {
			sql := strings.TrimSuffix(strings.TrimSpace(st.String()), ";")
			if _, err := c.Execute(sql); err != nil {
				b.t.Fatalf("%v in %.300s", err, sql)
			}
			st.Reset()
		}
	}
}

// config is a configuration for the database, with more laid over it.
func (b *bench) config(more map[string]string) map[string]string {
	c := map[string]string{
		"database.hostname": b.server.Host, "database.port": strconv.Itoa(b.server.Port), "database.user": b.server.User,
		"database.password": b.server.Password, "database.include.list": b.db, "topic.prefix": "p", "status.update.interval.ms": "50",
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
	offsets map[string]connectors.SourceOffset // by source partition
	all     [][]connectors.SourceOffset        // after each batch, everything that was stored by then
	counts  []int                              // records before each batch's end
	err     error
	bad     []connectors.Record
	stopped bool
	log     *saying
	most    int           // records after which no further batch is taken; 0 is no limit
	on      chan struct{} // closed when more are
}

// goOn takes further batches of a run that has come to test.most.
func (r *run) goOn() {
	r.mu.Lock()
	r.most = 0
	r.mu.Unlock()
	close(r.on)
}

func logger(testing.TB) *slog.Logger {
	if os.Getenv("SLUICE_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// saying keeps what a task logs, by any of its goroutines.
type saying struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (s *saying) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if os.Getenv("SLUICE_TEST_LOG") != "" {
		os.Stderr.Write(b)
	}
	return s.text.Write(b)
}

// said is what the task has logged so far.
func (r *run) said() string { return r.log.said() }

func (s *saying) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
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

func (b *bench) newTask() connectors.SourceTask {
	if b.server.MariaDB {
		return mysql.NewMariaDB().NewSourceTask()
	}
	return mysql.New().NewSourceTask()
}

func (b *bench) tryStart(config map[string]string, offsets []connectors.SourceOffset) (*run, error) {
	return b.tryStartLogging(config, offsets, &saying{})
}

// tryStartLogging is tryStart for those who look into the log meanwhile.
func (b *bench) tryStartLogging(config map[string]string, offsets []connectors.SourceOffset, log *saying) (*run, error) {
	r := &run{t: b.t, task: b.newTask(), done: make(chan struct{}), offsets: map[string]connectors.SourceOffset{}, log: log, on: make(chan struct{})}
	for _, o := range offsets {
		r.offsets[string(o.Partition)] = o
	}
	r.most, _ = strconv.Atoi(config["test.most"])
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	err := r.task.Start(ctx, connectors.SourceStart{Connector: "my", Config: config, Offsets: offsets, Log: slog.New(slog.NewTextHandler(r.log, nil)),
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
		if err == nil || errors.Is(err, io.EOF) {
			r.records = append(r.records, b.Records...)
			for _, o := range b.Offsets {
				r.offsets[string(o.Partition)] = o
			}
			r.all = append(r.all, r.stored())
			r.counts = append(r.counts, len(r.records))
		}
		n, most := len(r.records), r.most
		r.mu.Unlock()
		if err != nil {
			return
		}
		if most > 0 && n >= most {
			select {
			case <-ctx.Done():
				return
			case <-r.on:
			}
		}
		if err := r.task.Commit(ctx, b.Offsets); err != nil {
			r.t.Error(err)
		}
	}
}

// stored is all offsets; r.mu is held.
func (r *run) stored() []connectors.SourceOffset {
	var out []connectors.SourceOffset
	for _, o := range r.offsets {
		out = append(out, o)
	}
	return out
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

// position is the stored position.
func (r *run) position() (p struct {
	File     string
	Pos      uint64
	GTIDs    string
	Event    int64
	Snapshot any
}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for part, o := range r.offsets {
		if !strings.Contains(part, `"table"`) {
			if err := json.Unmarshal(o.Offset, &p); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return p
}

// here is where the server's log ends.
func (b *bench) here() (file string, pos uint64) {
	b.t.Helper()
	sql := "SHOW BINARY LOG STATUS"
	if b.server.MariaDB {
		sql = "SHOW MASTER STATUS"
	}
	r := b.server.Exec(b.t, "", sql)
	file, _ = r.GetString(0, 0)
	pos, err := r.GetUint(0, 1)
	if err != nil {
		b.t.Fatal(err)
	}
	return file, pos
}

// settle waits until everything written so far has been read and committed.
func (b *bench) settle(r *run) {
	b.t.Helper()
	file, pos := b.here()
	r.until("the end of the log", func() bool {
		p := r.position()
		return p.Snapshot == nil && p.Event == 0 && (p.File > file || p.File == file && p.Pos >= pos)
	})
}

// awaitStream waits until the snapshot is done.
func (b *bench) awaitStream(r *run) {
	b.t.Helper()
	r.until("streaming", func() bool { p := r.position(); return p.File != "" && p.Snapshot == nil })
}

// taken returns what the run has given so far, for reading only.
func (r *run) taken() ([]connectors.Record, []connectors.SourceOffset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.records), r.stored()
}
