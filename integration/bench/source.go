package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	database = "bench"
	table    = "public.orders"
	topic    = database + "." + table
	// committed is the table of what is committed one by one, so that the other keeps its number of rows.
	committed = "public.committed"
)

// origin is a database as a source: it has the table, and records of the table's rows in a topic.
type origin struct {
	topic  string
	put    func(w *worker.Worker, name, snapshot string) error // configures a source
	exec   func(statements ...string) error                    // in the table's database
	change func() (int, error)                                 // makes changes, and says how many
	end    func(w *worker.Worker, name string) error           // stops the hub, and forgets the source
}

func (b *bench) postgres() (origin, error) {
	return origin{topic: topic, put: b.source(table), exec: b.exec, change: b.change, end: b.end}, nil
}

// of measures a source of one of the databases.
func of(database func(*bench) (origin, error), measure func(b *bench, o origin) (result, error)) func(*bench) (result, error) {
	return func(b *bench) (result, error) {
		o, err := database(b)
		if err != nil {
			return result{}, err
		}
		return measure(b, o)
	}
}

func snapshot(format string) func(*bench, origin) (result, error) {
	return func(b *bench, o origin) (result, error) { return b.snapshot(o, format) }
}

func streaming(format string) func(*bench, origin) (result, error) {
	return func(b *bench, o origin) (result, error) {
		return b.streaming(o, format, "UPDATE orders SET customer = customer + 1 WHERE id = 1")
	}
}

// makeTable fills a table of about 150 bytes a row.
func (b *bench) makeTable() error {
	admin, err := pgx.ConnectConfig(b.ctx, b.pg)
	if err != nil {
		return err
	}
	defer admin.Close(b.ctx)
	if _, err := admin.Exec(b.ctx, "CREATE DATABASE "+database); err != nil {
		return err
	}
	return b.exec(`CREATE TABLE orders (id bigserial PRIMARY KEY, customer int NOT NULL, email text, total numeric(12,2), currency char(3), note text,
			created timestamptz NOT NULL DEFAULT now(), changed timestamptz, state int)`,
		fmt.Sprintf(`INSERT INTO orders (customer, email, total, currency, note, changed, state)
			SELECT i %% 10000, 'customer' || i || '@example.com', (i %% 100000) / 100.0, 'EUR', repeat('x', 64), now(), i %% 5 FROM generate_series(1, %d) i`, b.rows),
		"VACUUM ANALYZE orders", "CREATE TABLE "+committed+" (LIKE orders INCLUDING ALL)", "CHECKPOINT")
}

// connect opens a connection to the table's database.
func (b *bench) connect() (*pgx.Conn, error) {
	c := b.pg.Copy()
	c.Database = database
	return pgx.ConnectConfig(b.ctx, c)
}

func (b *bench) exec(statements ...string) error {
	db, err := b.connect()
	if err != nil {
		return err
	}
	defer db.Close(b.ctx)
	for _, s := range statements {
		if _, err := db.Exec(b.ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// source configures Postgres sources of a table.
func (b *bench) source(table string) func(w *worker.Worker, name, snapshot string) error {
	return func(w *worker.Worker, name, snapshot string) error {
		return w.Put(b.ctx, name, map[string]string{
			"connector.class":   "io.debezium.connector.postgresql.PostgresConnector",
			"database.hostname": b.pg.Host, "database.port": strconv.Itoa(int(b.pg.Port)), "database.user": b.pg.User, "database.password": b.pg.Password,
			"database.dbname": database, "topic.prefix": database, "plugin.name": "pgoutput", "table.include.list": table,
			"slot.name": "bench_" + name, "publication.name": "bench_" + name, "publication.autocreate.mode": "filtered",
			"snapshot.mode": snapshot, "snapshot.max.threads": "2",
		})
	}
}

// ended returns how many records a topic has.
func ended(ctx context.Context, adm *kadm.Client, topic string) (int, error) {
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	n := 0
	ends.Each(func(o kadm.ListedOffset) { n += int(max(o.Offset, 0)) })
	return n, nil
}

// reaches waits until a topic has so many records, and returns when that was.
func (b *bench) reaches(w *worker.Worker, topic string, n int) (time.Time, error) {
	// The client would remember for seconds that there is no such topic yet.
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return time.Time{}, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	last, moved := 0, time.Now()
	for {
		have, err := ended(b.ctx, adm, topic)
		switch {
		case err == nil && have >= n:
			return time.Now(), nil
		case have > last:
			last, moved = have, time.Now()
		case time.Since(moved) > worker.Deadline:
			return time.Time{}, fmt.Errorf("%s stays at %d of %d records (%v)\n%s", topic, have, n, err, w.LogTail())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// snapshot measures the initial snapshot, from the configuration of the connector to the last record.
func (b *bench) snapshot(o origin, format string) (result, error) {
	w, err := b.worker(format)
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	u, err := watch(w)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := o.put(w, "snapshot_"+format, "initial"); err != nil {
		return result{}, err
	}
	done, err := b.reaches(w, o.topic, b.rows)
	if err != nil {
		return result{}, err
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	return result{b.rows, done.Sub(began), *u, ""}, o.end(w, "snapshot_"+format)
}

// streaming measures how fast changes are caught up with that were made while the connector was stopped. The statement
// makes the first change, from which on it can be stopped.
func (b *bench) streaming(o origin, format, first string) (result, error) {
	w, err := b.worker(format)
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	name := "streaming_" + format
	if err := o.put(w, name, "no_data"); err != nil {
		return result{}, err
	}
	if err := w.Running(b.ctx, name); err != nil {
		return result{}, err
	}
	if err := o.exec(first); err != nil {
		return result{}, err
	}
	if _, err := b.reaches(w, o.topic, 1); err != nil {
		return result{}, err
	}
	if code, body, err := w.Do(b.ctx, "PUT", "/connectors/"+name+"/stop", nil); err != nil || code != 204 {
		return result{}, fmt.Errorf("stop: %d %s %w", code, body, err)
	}
	if err := b.stopped(w, name); err != nil {
		return result{}, err
	}
	changes, err := o.change()
	if err != nil {
		return result{}, err
	}
	u, err := watch(w)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if code, body, err := w.Do(b.ctx, "PUT", "/connectors/"+name+"/resume", nil); err != nil || code != 202 {
		return result{}, fmt.Errorf("resume: %d %s %w", code, body, err)
	}
	done, err := b.reaches(w, o.topic, 1+changes)
	if err != nil {
		return result{}, err
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	return result{changes, done.Sub(began), *u, ""}, o.end(w, name)
}

// end stops the hub and drops the source's slot, which would keep the server's log from being cut.
func (b *bench) end(w *worker.Worker, name string) error {
	if err := w.Stop(); err != nil {
		return err
	}
	return b.exec("SELECT pg_drop_replication_slot('bench_" + name + "')")
}

func (b *bench) stopped(w *worker.Worker, name string) error {
	return w.Wait(b.ctx, name+" to stop", func() error {
		s, err := w.Status(b.ctx, name)
		if err == nil && (s.Connector.State != "STOPPED" || len(s.Tasks) > 0) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
}

// change updates half of the rows, in transactions of 1,000, and returns how many changes that makes.
func (b *bench) change() (int, error) {
	db, err := b.connect()
	if err != nil {
		return 0, err
	}
	defer db.Close(b.ctx)
	n := b.changes()
	for from := 0; from < n; from += 1000 {
		if _, err := db.Exec(b.ctx, "UPDATE orders SET total = total + 1, changed = now() WHERE id > $1 AND id <= $2", from, from+1000); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// changes is how many change makes.
func (b *bench) changes() int { return min(b.rows/2, 500_000) / 1000 * 1000 }

// latency measures from the return of COMMIT to the record in the hands of a consumer, at 1,000 changes a second.
func (b *bench) latency() (result, error) {
	w, err := b.worker("json")
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	if err := b.source(committed)(w, "latency", "no_data"); err != nil {
		return result{}, err
	}
	if err := w.Running(b.ctx, "latency"); err != nil {
		return result{}, err
	}
	const warm, total = 500, 10_500
	times := make([]time.Time, total)
	var mu sync.Mutex
	failed := make(chan error, 1)
	go func() { failed <- b.commitEvery(time.Millisecond, times, &mu) }()
	var late []time.Duration
	n := 0
	err = w.Consume(b.ctx, database+"."+committed, func(*kgo.Record) bool {
		now := time.Now()
		mu.Lock()
		at := times[n]
		mu.Unlock()
		if n++; n > warm {
			if at.IsZero() || now.Before(at) {
				at = now // it was read before COMMIT had returned
			}
			late = append(late, now.Sub(at))
		}
		return n == total
	})
	if err != nil {
		return result{}, err
	}
	if err := <-failed; err != nil {
		return result{}, err
	}
	slices.Sort(late)
	at := func(p int) float64 { return float64(late[len(late)*p/100].Microseconds()) / 1000 }
	return result{note: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, max %.1f ms", at(50), at(99), float64(late[len(late)-1].Microseconds())/1000)}, b.end(w, "latency")
}

// commitEvery inserts a row each interval, and notes when its transaction was committed.
func (b *bench) commitEvery(interval time.Duration, times []time.Time, mu *sync.Mutex) error {
	db, err := b.connect()
	if err != nil {
		return err
	}
	defer db.Close(b.ctx)
	began := time.Now()
	for i := range times {
		time.Sleep(time.Until(began.Add(time.Duration(i) * interval)))
		if _, err := db.Exec(b.ctx, "INSERT INTO "+committed+" (customer, email, note) VALUES ($1, 'a@example.com', 'latency')", i); err != nil {
			return err
		}
		mu.Lock()
		times[i] = time.Now()
		mu.Unlock()
	}
	return nil
}
