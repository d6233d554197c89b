package mysql_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// ordersTable is the table of the project's speed goals: about 150 bytes a row, 200,000 of them.
const ordersTable = `CREATE TABLE dig (n int);
INSERT INTO dig VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, customer int, status varchar(20), total decimal(12,2), currency char(3), note varchar(80),
  created timestamp(6) DEFAULT CURRENT_TIMESTAMP(6), updated timestamp(6) DEFAULT CURRENT_TIMESTAMP(6), quantity int);`

const fillOrders = "INSERT INTO orders (customer, status, total, currency, note, quantity) SELECT a.n + 10 * b.n, 'shipped', (a.n + 1000 * d.n) / 100, 'EUR', sha2(concat(a.n, b.n, c.n, d.n), 256), a.n FROM dig a, dig b, dig c, dig d;\n"

func fill(bench *bench) {
	for range 20 {
		bench.script(fillOrders)
	}
}

const orders = 200000

func readAll(b *testing.B, task connectors.SourceTask, what string) {
	begin, n, batches := time.Now(), 0, 0
	var batch connectors.Batch
	for n < orders {
		batch.Reset()
		if err := task.Read(context.Background(), &batch); err != nil {
			b.Fatal(err)
		}
		if err := task.Commit(context.Background(), batch.Offsets); err != nil {
			b.Fatal(err)
		}
		n += len(batch.Records)
		batches++
	}
	b.ReportMetric(float64(n)/time.Since(begin).Seconds(), what+"/s")
	b.ReportMetric(float64(n)/float64(batches), what+"/batch")
	if err := task.Stop(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSnapshot reads 200,000 rows from a server on the same machine.
func BenchmarkSnapshot(b *testing.B) {
	bench := newBench(b, server()(b), "")
	bench.script(ordersTable)
	fill(bench)
	for b.Loop() {
		task := bench.newTask()
		config := bench.config(map[string]string{"snapshot.mode": "initial_only", "snapshot.max.threads": "2", "include.schema.changes": "false", "table.include.list": bench.db + ".orders"})
		if err := task.Start(context.Background(), connectors.SourceStart{Connector: "my", Config: config, Log: logger(b)}); err != nil {
			b.Fatal(err)
		}
		readAll(b, task, "rows")
	}
}

// BenchmarkStream catches up with 200,000 inserts in transactions of 10,000.
func BenchmarkStream(b *testing.B) {
	bench := newBench(b, server()(b), "")
	bench.script(ordersTable)
	config := bench.config(map[string]string{"snapshot.mode": "no_data", "include.schema.changes": "false", "table.include.list": bench.db + ".orders"})
	r := bench.start(config, nil)
	bench.awaitStream(r)
	r.stop()
	_, offsets := r.taken()
	fill(bench)
	for b.Loop() {
		task := bench.newTask()
		if err := task.Start(context.Background(), connectors.SourceStart{Connector: "my", Config: config, Offsets: offsets, Log: logger(b)}); err != nil {
			b.Fatal(err)
		}
		readAll(b, task, "changes")
	}
}

// BenchmarkIncremental reads 200,000 rows beside an idle stream, by chunks of several sizes.
func BenchmarkIncremental(b *testing.B) {
	bench := newBench(b, server()(b), "")
	bench.script(ordersTable)
	fill(bench)
	for _, rows := range []string{"1024", "8192"} {
		b.Run(rows, func(b *testing.B) {
			config := bench.config(map[string]string{"snapshot.mode": "no_data", "include.schema.changes": "false", "table.include.list": bench.db + ".orders", "incremental.snapshot.chunk.size": rows})
			for b.Loop() {
				task := bench.newTask()
				if err := task.Start(context.Background(), connectors.SourceStart{Connector: "my", Config: config, Log: logger(b)}); err != nil {
					b.Fatal(err)
				}
				signal := connectors.Signal{ID: "1", Type: "execute-snapshot", Data: `{"data-collections": ["` + bench.db + `.orders"]}`}
				if err := task.(connectors.Signaller).Signal(context.Background(), signal); err != nil {
					b.Fatal(err)
				}
				readAll(b, task, "rows")
			}
		})
	}
}
