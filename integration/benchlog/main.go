// Command benchlog measures the embedded log of a real hub through the Kafka protocol, and the same client against a
// real Apache Kafka in the same run, and prints a table beside the figures that are to be reached. The log syncs before it
// answers, Kafka does not. `make bench-log` builds the hub and starts this. Without -kafka=false the jars of Kafka must be
// there or be had from Maven.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/sluicehub/sluice/plugins"
)

// sizes are how much is measured.
type sizes struct {
	small, large int           // records of 100 B and of 1 KB
	span         time.Duration // of the latencies
	gb           int           // of data that a start finds
	most         int           // partitions of the growth check
	sparse       int           // GB of the growth check, of which the disk holds next to nothing
	kafka        bool
}

func main() {
	var s sizes
	flag.IntVar(&s.small, "small", 3_000_000, "records of 100 bytes")
	flag.IntVar(&s.large, "large", 500_000, "records of 1 KB")
	flag.DurationVar(&s.span, "span", 5*time.Second, "how long latencies are measured")
	flag.IntVar(&s.gb, "gb", 1, "GB of data for the start")
	flag.IntVar(&s.most, "partitions", 1000, "most partitions of the growth check")
	flag.IntVar(&s.sparse, "sparse", 100, "most GB of the growth check, in sparse files")
	flag.BoolVar(&s.kafka, "kafka", true, "measure Apache Kafka too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "benchlog:", err)
		os.Exit(1)
	}
}

// server is what is measured.
type server struct {
	name      string
	bootstrap string
	pid       int
}

// cpu is the processor time that the server has used.
func (s server) cpu() time.Duration { used, _ := plugins.Usage(s.pid); return used }

func run(ctx context.Context, s sizes) (err error) {
	dir, err := os.MkdirTemp("", "sluice-benchlog-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs("bin/sluice")
	if err != nil {
		return err
	}
	w, err := worker.New(worker.Options{Binary: binary, Dir: dir, Settings: largeSegments()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Start(ctx); err != nil {
		return err
	}
	t := &table{reach: reach()}
	ours := &bench{ctx: ctx, sizes: s, server: server{"sluice", w.Kafka, w.PID()}, results: t.column("sluice")}
	if err := ours.all(); err != nil {
		return err
	}
	if s.kafka {
		if err := measureKafka(ctx, s, t); err != nil {
			return err
		}
	}
	if err := ours.starts(w); err != nil {
		return err
	}
	if err := ours.growSparse(binary, dir); err != nil {
		return err
	}
	return t.print()
}

// largeSegments are Kafka's segments of 1 GiB.
func largeSegments() map[string]string {
	return map[string]string{"sluice.kafka.broker.log.segment.bytes": "1073741824"}
}

// measureKafka starts a broker with a directory of its own and measures it.
func measureKafka(ctx context.Context, s sizes, t *table) (err error) {
	k, err := services.StartKafka(ctx, services.KafkaOptions{})
	if err != nil {
		return fmt.Errorf("%w; -kafka=false measures without", err)
	}
	defer func() { err = errors.Join(err, k.Stop()) }()
	b := &bench{ctx: ctx, sizes: s, server: server{"kafka", k.Bootstrap, k.PID()}, results: t.column("Kafka 4.3, no fsync")}
	return b.all()
}

// reach is what issue 5 asks for, in the order of the table.
func reach() [][2]string {
	return [][2]string{
		{idleMemory, "≤ 60 MB"},
		{produceSmall, "≥ Kafka, ≥ 1.3 M/s"},
		{consumeSmall, "≥ Kafka"},
		{produceLarge, "≥ 1.2 × Kafka"},
		{consumeLarge, "≥ Kafka"},
		{loadMemory, "≤ 250 MB"},
		{loneRecord, "p50 ≤ 1 ms"},
		{steady, "p50 ≤ 2 ms, p99 ≤ 15 ms"},
		{growth, "flat within 2×"},
		{growthBytes, "flat within 2×"},
		{sparseStart, "< 1 s at 10 GB"},
		{recovery, "≥ 500 MB/s"},
		{cleanStart, "< 1 s at 10 GB"},
	}
}

// The rows of the table.
const (
	idleMemory   = "resident, idle"
	produceSmall = "produce 100 B"
	consumeSmall = "consume 100 B"
	produceLarge = "produce 1 KB"
	consumeLarge = "consume 1 KB"
	loadMemory   = "resident at most, under 1 KB"
	loneRecord   = "lone record, answered"
	steady       = "10 k/s of 1 KB, answered"
	growth       = "server µs a record of 1 KB by partitions"
	growthBytes  = "server µs a record of 1 KB written, read, by data"
	sparseStart  = "start, clean, by data"
	recovery     = "start after SIGKILL"
	cleanStart   = "start, clean"
)

// table has a row for each work and a column for each server.
type table struct {
	reach   [][2]string
	names   []string
	columns []map[string]string
}

func (t *table) column(name string) map[string]string {
	c := map[string]string{}
	t.names, t.columns = append(t.names, name), append(t.columns, c)
	return c
}

func (t *table) print() error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "work\t%s\treach\n", strings.Join(t.names, "\t"))
	for _, row := range t.reach {
		fmt.Fprint(out, row[0])
		for _, c := range t.columns {
			fmt.Fprintf(out, "\t%s", c[row[0]])
		}
		fmt.Fprintf(out, "\t%s\n", row[1])
	}
	return out.Flush()
}
