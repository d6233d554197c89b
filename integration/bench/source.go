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
	topic    = "bench.public.orders"
)

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
		"VACUUM ANALYZE orders", "CHECKPOINT")
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

// source configures the Postgres source.
func (b *bench) source(w *worker.Worker, name, snapshot string) error {
	return w.Put(b.ctx, name, map[string]string{
		"connector.class":   "io.debezium.connector.postgresql.PostgresConnector",
		"database.hostname": b.pg.Host, "database.port": strconv.Itoa(int(b.pg.Port)), "database.user": b.pg.User, "database.password": b.pg.Password,
		"database.dbname": database, "topic.prefix": "bench", "plugin.name": "pgoutput", "table.include.list": "public.orders",
		"slot.name": "bench_" + name, "publication.name": "bench_" + name, "publication.autocreate.mode": "filtered",
		"snapshot.mode": snapshot, "snapshot.max.threads": "2",
	})
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
func (b *bench) snapshot(format string) (result, error) {
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
	if err := b.source(w, "snapshot_"+format, "initial"); err != nil {
		return result{}, err
	}
	done, err := b.reaches(w, topic, b.rows)
	if err != nil {
		return result{}, err
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	return result{b.rows, done.Sub(began), *u, ""}, b.end(w, "snapshot_"+format)
}

// streaming measures how fast changes are caught up with that were made while the connector was stopped.
func (b *bench) streaming(format string) (result, error) {
	w, err := b.worker(format)
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	name := "streaming_" + format
	if err := b.source(w, name, "no_data"); err != nil {
		return result{}, err
	}
	if err := w.Running(b.ctx, name); err != nil {
		return result{}, err
	}
	if err := b.exec("INSERT INTO orders (customer) VALUES (1)"); err != nil {
		return result{}, err
	}
	if _, err := b.reaches(w, topic, 1); err != nil {
		return result{}, err
	}
	if code, body, err := w.Do(b.ctx, "PUT", "/connectors/"+name+"/stop", nil); err != nil || code != 204 {
		return result{}, fmt.Errorf("stop: %d %s %w", code, body, err)
	}
	if err := b.stopped(w, name); err != nil {
		return result{}, err
	}
	changes, err := b.change()
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
	done, err := b.reaches(w, topic, 1+changes)
	if err != nil {
		return result{}, err
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	return result{changes, done.Sub(began), *u, ""}, b.end(w, name)
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
	n := min(b.rows/2, 500_000)
	for from := 0; from < n; from += 1000 {
		if _, err := db.Exec(b.ctx, "UPDATE orders SET total = total + 1, changed = now() WHERE id > $1 AND id <= $2", from, from+1000); err != nil {
			return 0, err
		}
	}
	return n / 1000 * 1000, nil
}

// latency measures from the return of COMMIT to the record in the hands of a consumer, at 1,000 changes a second.
func (b *bench) latency() (result, error) {
	w, err := b.worker("json")
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	if err := b.source(w, "latency", "no_data"); err != nil {
		return result{}, err
	}
	if err := w.Running(b.ctx, "latency"); err != nil {
		return result{}, err
	}
	const warm, total = 500, 10_500
	committed := make([]time.Time, total)
	var mu sync.Mutex
	failed := make(chan error, 1)
	go func() { failed <- b.commitEvery(time.Millisecond, committed, &mu) }()
	var late []time.Duration
	n := 0
	err = w.Consume(b.ctx, topic, func(*kgo.Record) bool {
		now := time.Now()
		mu.Lock()
		at := committed[n]
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
func (b *bench) commitEvery(interval time.Duration, committed []time.Time, mu *sync.Mutex) error {
	db, err := b.connect()
	if err != nil {
		return err
	}
	defer db.Close(b.ctx)
	began := time.Now()
	for i := range committed {
		time.Sleep(time.Until(began.Add(time.Duration(i) * interval)))
		if _, err := db.Exec(b.ctx, "INSERT INTO orders (customer, email, note) VALUES ($1, 'a@example.com', 'latency')", i); err != nil {
			return err
		}
		mu.Lock()
		committed[i] = time.Now()
		mu.Unlock()
	}
	return nil
}
