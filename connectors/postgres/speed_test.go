package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// ordersTable is the table of the project's speed goals: about 150 bytes a row.
const ordersTable = `CREATE TABLE orders (id bigserial PRIMARY KEY, customer int, status text, total numeric(12,2), currency char(3), note text,
  created timestamptz DEFAULT now(), updated timestamptz DEFAULT now(), quantity int);
INSERT INTO orders (customer, status, total, currency, note, quantity)
  SELECT i % 1000, 'shipped', i % 100000 / 100.0, 'EUR', sha256(i::text::bytea)::text, i % 10 FROM generate_series(1, 200000) i`

// BenchmarkSnapshot reads 200,000 rows from a server on the same machine.
func BenchmarkSnapshot(b *testing.B) {
	bench := newBench(b)
	bench.exec(ordersTable)
	for b.Loop() {
		task := newTask()
		config := bench.config(map[string]string{"snapshot.mode": "initial_only", "snapshot.max.threads": "2"})
		if err := task.Start(context.Background(), connectors.SourceStart{Connector: "pg", Config: config, Log: logger(b)}); err != nil {
			b.Fatal(err)
		}
		begin, n, batches := time.Now(), 0, 0
		var batch connectors.Batch
		for n < 200000 {
			batch.Reset()
			if err := task.Read(context.Background(), &batch); err != nil {
				b.Fatal(err)
			}
			n += len(batch.Records)
			batches++
		}
		b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "rows/s")
		b.ReportMetric(float64(n)/float64(batches), "rows/batch")
		task.Stop(context.Background())
	}
}

// BenchmarkStream catches up with 200,000 inserts in transactions of 1,000.
func BenchmarkStream(b *testing.B) {
	bench := newBench(b)
	bench.exec(ordersTable)
	for b.Loop() {
		task := newTask()
		config := bench.config(map[string]string{"snapshot.mode": "no_data", "slot.drop.on.stop": "true"})
		start := connectors.SourceStart{Connector: "pg", Config: config, Log: logger(b)}
		if err := task.Start(context.Background(), start); err != nil {
			b.Fatal(err)
		}
		bench.exec(`DO $$ BEGIN FOR t IN 1..200 LOOP INSERT INTO orders (customer, status, total, currency, note, quantity)
  SELECT i, 'shipped', i / 100.0, 'EUR', sha256(i::text::bytea)::text, i % 10 FROM generate_series(1, 1000) i; COMMIT; END LOOP; END $$`)
		begin, n, batches := time.Now(), 0, 0
		var batch connectors.Batch
		for n < 200000 {
			batch.Reset()
			if err := task.Read(context.Background(), &batch); err != nil {
				b.Fatal(err)
			}
			n += len(batch.Records)
			batches++
		}
		b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "changes/s")
		b.ReportMetric(float64(n)/float64(batches), "changes/batch")
		task.Stop(context.Background())
	}
}

// BenchmarkIncremental reads 200,000 rows beside an idle stream, in a database of few tables and of many.
func BenchmarkIncremental(b *testing.B) {
	for name, others := range map[string]int{"few tables": 0, "1000 tables": 1000} {
		b.Run(name, func(b *testing.B) {
			bench := newBench(b)
			bench.exec(ordersTable)
			bench.exec(fmt.Sprintf("DO $$ BEGIN FOR t IN 1..%d LOOP EXECUTE 'CREATE TABLE other' || t || ' (id int PRIMARY KEY)'; END LOOP; END $$", others))
			config := bench.config(map[string]string{"snapshot.mode": "no_data", "slot.drop.on.stop": "true", "table.include.list": "public.orders"})
			for b.Loop() {
				task := newTask()
				if err := task.Start(context.Background(), connectors.SourceStart{Connector: "pg", Config: config, Log: logger(b)}); err != nil {
					b.Fatal(err)
				}
				signal := connectors.Signal{ID: "1", Type: "execute-snapshot", Data: `{"data-collections": ["public.orders"]}`}
				if err := task.(connectors.Signaller).Signal(context.Background(), signal); err != nil {
					b.Fatal(err)
				}
				begin, n := time.Now(), 0
				var batch connectors.Batch
				for n < 200000 {
					batch.Reset()
					if err := task.Read(context.Background(), &batch); err != nil {
						b.Fatal(err)
					}
					n += len(batch.Records)
				}
				b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "rows/s")
				task.Stop(context.Background())
			}
		})
	}
}
