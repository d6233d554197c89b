// Command benchregistry measures the schema registry of a real hub over HTTP on 16 connections that stay open, and
// prints a table: requests per second, the 99th percentile, and the processor time of the server per request, which
// says what one core could do if the clients were on another machine. `make bench-registry` builds the hub and starts this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
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

const (
	connections = 16
	schemas     = 1000
)

func main() {
	span := flag.Duration("span", 5*time.Second, "how long each row is measured")
	history := flag.Int("history", 100_000, "schemas that a start reads")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *span, *history); err != nil {
		fmt.Fprintln(os.Stderr, "benchregistry:", err)
		os.Exit(1)
	}
}

type bench struct {
	ctx   context.Context
	span  time.Duration
	w     *worker.Worker
	table *tabwriter.Writer
}

func run(ctx context.Context, span time.Duration, history int) (err error) {
	dir, err := os.MkdirTemp("", "sluice-benchregistry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs("bin/sluice")
	if err != nil {
		return err
	}
	b := &bench{ctx: ctx, span: span, table: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
	if b.w, err = worker.New(worker.Options{Binary: binary, Dir: dir}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.w.Close()) }()
	if err := b.w.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintln(b.table, "work\trequests/s\tp50 ms\tp99 ms\tserver CPU µs\tper core\treach")
	if err := b.requests(); err != nil {
		return errors.Join(b.table.Flush(), err)
	}
	if err := b.table.Flush(); err != nil {
		return err
	}
	return b.start(history)
}

// requests measures what clients ask for.
func (b *bench) requests() error {
	for i := range schemas {
		if err := b.post(fmt.Sprintf("/subjects/s%d/versions", i), body(record(fmt.Sprint("R", i), 10))); err != nil {
			return err
		}
	}
	if err := b.checked(); err != nil {
		return err
	}
	check := request(http.MethodPost, "/compatibility/subjects/wide/versions", body(record("Wide", 151)))
	for _, m := range []struct {
		name, reach string
		next        func(connection, n int) []byte
	}{
		{"by id", "≥ 30,000 per core, p99 ≤ 5 ms", func(c, n int) []byte {
			return request(http.MethodGet, fmt.Sprintf("/schemas/ids/%d", 1+(c*61+n)%schemas), "")
		}},
		{"registered again, text as kept", "≥ 10,000", func(c, n int) []byte {
			i := (c*61 + n) % schemas
			return request(http.MethodPost, fmt.Sprintf("/subjects/s%d/versions", i), body(record(fmt.Sprint("R", i), 10)))
		}},
		{"registered again, other spelling", "≥ 10,000", func(c, n int) []byte {
			i := (c*61 + n) % schemas
			return request(http.MethodPost, fmt.Sprintf("/subjects/s%d/versions", i), body(strings.ReplaceAll(record(fmt.Sprint("R", i), 10), ":", ": ")))
		}},
		{"new, each under a subject of its own", "≥ 2,000", func(c, n int) []byte {
			name := fmt.Sprintf("n%d_%d", c, n)
			return request(http.MethodPost, "/subjects/"+name+"/versions", body(record(name, 10)))
		}},
		{"new versions, a subject a client", "", func(c, n int) []byte {
			return request(http.MethodPost, fmt.Sprintf("/subjects/v%d/versions", c), body(strings.Replace(record("R", 10), `"R"`, fmt.Sprintf(`"R","doc":"%d"`, n), 1)))
		}},
		{"checked against 50 versions of 100 fields", "≥ 2,000", func(int, int) []byte { return check }},
	} {
		fmt.Fprintln(os.Stderr, "benchregistry:", m.name)
		before, _ := plugins.Usage(b.w.PID())
		r, err := load(b.ctx, strings.TrimPrefix(b.w.Registry, "http://"), b.span, m.next)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		after, _ := plugins.Usage(b.w.PID())
		each := (after - before).Seconds() / float64(r.requests)
		fmt.Fprintf(b.table, "%s\t%.0f\t%.2f\t%.2f\t%.1f\t%.0f\t%s\n", m.name, float64(r.requests)/b.span.Seconds(),
			ms(r.percentile(50)), ms(r.percentile(99)), each*1e6, 1/each, m.reach)
	}
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// checked registers 50 versions of some 100 fields, each compatible with all before.
func (b *bench) checked() error {
	if status, answer, err := worker.Do(b.ctx, http.MethodPut, b.w.Registry+"/config/wide", `{"compatibility":"BACKWARD_TRANSITIVE"}`); err != nil || status != http.StatusOK {
		return fmt.Errorf("configure: %d %s %w", status, answer, err)
	}
	for i := range 50 {
		if err := b.post("/subjects/wide/versions", body(record("Wide", 100+i))); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) post(path, body string) error {
	status, answer, err := worker.Do(b.ctx, http.MethodPost, b.w.Registry+path, body)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST %s: %d %s", path, status, answer)
	}
	return err
}

// start measures how long a hub takes to start over a long history, and what that takes.
func (b *bench) start(history int) error {
	fmt.Fprintln(os.Stderr, "benchregistry: a start over", history, "schemas")
	if err := write(b.ctx, b.w.Kafka, history); err != nil {
		return err
	}
	if err := b.w.Stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := b.w.Start(b.ctx); err != nil {
		return err
	}
	took := time.Since(began)
	last := fmt.Sprintf("/subjects/h%d/versions/latest", history-1)
	if status, answer, err := worker.Do(b.ctx, http.MethodGet, b.w.Registry+last, nil); err != nil || status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s %w", last, status, answer, err)
	}
	_, resident := plugins.Usage(b.w.PID())
	peak, err := services.PeakMemory(b.w.PID())
	if err != nil {
		return err
	}
	fmt.Printf("start over %d schemas of 500 bytes: %.1f s (< 5 s), %d MB resident, %d MB at most (< 400 MB)\n",
		history, took.Seconds(), resident>>20, peak>>20)
	return nil
}
