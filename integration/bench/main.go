// Command bench measures Sluice on this machine, with real servers beside it, and prints a table: records per second
// counted at the destination, CPU time per record, and the peak memory of every process. `make bench` starts the
// servers and then this.
//
//	bench [-rows N] [NAME…]
//
// Everything shares the machine, the database and the targets included: compare the ratios of one run, not the
// absolute figures of two machines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// bench is one run of all measurements.
type bench struct {
	ctx    context.Context
	rows   int
	binary string
	dir    string
	pg     *pgx.ConnConfig
	table  *tabwriter.Writer

	mysqlMade bool // MySQL has the table
}

// measurement is one row of the table.
type measurement struct {
	name, reach string
	run         func(*bench) (result, error)
}

// result is what was measured.
type result struct {
	records int
	took    time.Duration
	usage   usage
	note    string
}

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rows, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rows int, only []string) error {
	b := &bench{ctx: ctx, rows: rows}
	var err error
	if b.pg, err = pgx.ParseConfig(os.Getenv(services.EnvPostgres)); err != nil || os.Getenv(services.EnvPostgres) == "" {
		return fmt.Errorf("%s must name a PostgreSQL server: run `make bench` (%v)", services.EnvPostgres, err)
	}
	if b.binary, err = filepath.Abs("bin/sluice"); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.table = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(b.table, "work\trecords\tseconds\trecords/s\treach\tCPU µs/record (hub + children)\tpeak RSS MB (hub, children)\tnote")
	if err := b.makeTable(); err != nil {
		return fmt.Errorf("make the table: %w", err)
	}
	for _, m := range b.measurements() {
		if len(only) > 0 && !slices.ContainsFunc(only, func(o string) bool { return strings.Contains(m.name, o) }) {
			continue
		}
		fmt.Fprintln(os.Stderr, "bench:", m.name)
		r, err := m.run(b)
		if err != nil {
			return errors.Join(b.table.Flush(), fmt.Errorf("%s: %w", m.name, err))
		}
		b.print(m, r)
	}
	return b.table.Flush()
}

func (b *bench) print(m measurement, r result) {
	if r.records == 0 {
		fmt.Fprintf(b.table, "%s\t\t\t\t%s\t\t%s\t%s\n", m.name, m.reach, r.usage.memory(), r.note)
		return
	}
	n := float64(r.records)
	fmt.Fprintf(b.table, "%s\t%d\t%.1f\t%.0f\t%s\t%.2f + %.2f\t%s\t%s\n", m.name, r.records, r.took.Seconds(), n/r.took.Seconds(), m.reach,
		r.usage.hub.Seconds()*1e6/n, r.usage.children.Seconds()*1e6/n, r.usage.memory(), r.note)
}

// measurements are the rows of the table, in an order in which each finds what it needs.
func (b *bench) measurements() []measurement {
	return []measurement{
		{"start to /health", "< 1 s", (*bench).start},
		{"idle, one connector", "≤ 100 MB, ≤ 35 MB a child", (*bench).idle},
		{"snapshot → log, JSON", "≥ 200,000", of((*bench).postgres, snapshot("json"))},
		{"snapshot → log, Avro", "", of((*bench).postgres, snapshot("avro"))},
		{"streaming → log, JSON", "≥ 80,000", of((*bench).postgres, streaming("json"))},
		{"streaming → log, Avro", "≥ 110,000", of((*bench).postgres, streaming("avro"))},
		{"MySQL snapshot → log, JSON", "≥ 200,000", of((*bench).mysql, snapshot("json"))},
		{"MySQL snapshot → log, Avro", "", of((*bench).mysql, snapshot("avro"))},
		{"MySQL streaming → log, JSON", "≥ 120,000", of((*bench).mysql, streaming("json"))},
		{"MySQL streaming → log, Avro", "≥ 160,000", of((*bench).mysql, streaming("avro"))},
		{"MySQL, one large transaction → log", "≤ 300 MB a child", (*bench).mysqlLarge},
		{"commit → readable, 1,000/s", "p50 ≤ 5 ms, p99 ≤ 30 ms", (*bench).latency},
		{"log → S3, JSON lines", "≥ 150,000", func(b *bench) (result, error) { return b.s3("json") }},
		{"log → S3, Avro", "≥ 250,000", func(b *bench) (result, error) { return b.s3("avro") }},
		{"log → PostgreSQL, new rows", "≥ 100,000", func(b *bench) (result, error) { return b.jdbc("PostgreSQL", false) }},
		{"log → PostgreSQL, rows there", "≥ 70,000", func(b *bench) (result, error) { return b.jdbc("PostgreSQL", true) }},
		{"log → MySQL", "≥ 60,000", func(b *bench) (result, error) { return b.jdbc("MySQL", false) }},
		{"log → SQLite", "≥ 200,000", func(b *bench) (result, error) { return b.jdbc("SQLite", false) }},
		{"log → Elasticsearch, JSON", "≥ 90 % of a bare loader", func(b *bench) (result, error) { return b.elasticsearch("json") }},
		{"log → Elasticsearch, Avro", "≥ 90 % of a bare loader", func(b *bench) (result, error) { return b.elasticsearch("avro") }},
	}
}

// worker starts a hub whose converters are JSON without schemas, or Avro.
func (b *bench) worker(format string) (*worker.Worker, error) {
	dir, err := os.MkdirTemp(b.dir, "worker-")
	if err != nil {
		return nil, err
	}
	settings := map[string]string{"offset.flush.interval.ms": "1000"}
	for _, role := range []string{"key", "value"} {
		settings[role+".converter"] = "org.apache.kafka.connect.json.JsonConverter"
		settings[role+".converter.schemas.enable"] = "false"
		if format == "avro" {
			settings[role+".converter"] = "io.confluent.connect.avro.AvroConverter"
			delete(settings, role+".converter.schemas.enable")
		}
	}
	w, err := worker.New(worker.Options{Binary: b.binary, Dir: dir, Settings: settings})
	if err != nil {
		return nil, err
	}
	return w, w.Start(b.ctx)
}

func (b *bench) start() (result, error) {
	best := time.Hour
	for range 5 {
		w, err := worker.New(worker.Options{Binary: b.binary, Dir: mustTemp(b.dir)})
		if err != nil {
			return result{}, err
		}
		began := time.Now()
		if err := w.Start(b.ctx); err != nil {
			return result{}, err
		}
		best = min(best, time.Since(began))
		if err := w.Close(); err != nil {
			return result{}, err
		}
	}
	return result{note: fmt.Sprintf("%d ms, the best of 5", best.Milliseconds())}, nil
}

func mustTemp(dir string) string {
	d, err := os.MkdirTemp(dir, "")
	if err != nil {
		panic(err) // a folder that was just made
	}
	return d
}

// idle measures a hub and a Postgres source with nothing to do for ten seconds.
func (b *bench) idle() (result, error) {
	w, err := b.worker("json")
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	if err := b.source(table)(w, "idle", "no_data"); err != nil {
		return result{}, err
	}
	if err := w.Running(b.ctx, "idle"); err != nil {
		return result{}, err
	}
	u, err := watch(w)
	if err != nil {
		return result{}, err
	}
	const span = 10 * time.Second
	time.Sleep(span)
	if err := u.update(); err != nil {
		return result{}, err
	}
	note := fmt.Sprintf("hub %.2f %%, children %.2f %% CPU", 100*u.hub.Seconds()/span.Seconds(), 100*u.children.Seconds()/span.Seconds())
	return result{usage: *u, note: note}, b.end(w, "idle")
}
