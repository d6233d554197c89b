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
	var o options
	flag.StringVar(&o.binary, "binary", "bin/sluice", "the program that is measured")
	flag.StringVar(&o.only, "only", "", "the one row to measure, by its name")
	flag.DurationVar(&o.span, "span", 5*time.Second, "how long each row is measured")
	flag.IntVar(&o.history, "history", 100_000, "schemas that a start reads; 0: no start is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchregistry:", err)
		os.Exit(1)
	}
}

type options struct {
	binary, only string
	span         time.Duration
	history      int
}

type bench struct {
	options
	ctx   context.Context
	w     *worker.Worker
	table *tabwriter.Writer
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "sluice-benchregistry-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	b := &bench{options: o, ctx: ctx, table: tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)}
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
	if o.history == 0 {
		return nil
	}
	return b.start()
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
	var byID, ofSubject, kept, spelled []exchange
	for i := range schemas {
		text := record(fmt.Sprint("R", i), 10)
		path, id := fmt.Sprintf("/subjects/s%d/versions", i), fmt.Sprintf(`{"id":%d}`, i+1)
		byID = append(byID, exchange{request(http.MethodGet, fmt.Sprintf("/schemas/ids/%d", i+1), ""), []byte(body(text))})
		ofSubject = append(ofSubject, exchange{request(http.MethodGet, fmt.Sprintf("/schemas/ids/%d?subject=s%d", i+1, i), ""),
			[]byte(fmt.Sprintf(`{"subject":"s%d","version":1,`, i) + strings.TrimPrefix(body(text), "{"))})
		kept = append(kept, exchange{request(http.MethodPost, path, body(text)), []byte(id)})
		spelled = append(spelled, exchange{request(http.MethodPost, path, body(strings.ReplaceAll(text, ":", ": "))), []byte(id)})
	}
	check := exchange{request(http.MethodPost, "/compatibility/subjects/wide/versions", body(record("Wide", 151))), []byte(`{"is_compatible":true}`)}
	for _, m := range []struct {
		name, reach string
		next        func(connection, n int) exchange
	}{
		{"by id", "≥ 30,000 per core, p99 ≤ 5 ms", of(byID)},
		{"by id, of a subject", "", of(ofSubject)},
		{"registered again, text as kept", "≥ 10,000", of(kept)},
		{"registered again, other spelling", "≥ 10,000", of(spelled)},
		{"new, each under a subject of its own", "≥ 2,000", func(c, n int) exchange {
			name := fmt.Sprintf("n%d_%d", c, n)
			return exchange{request(http.MethodPost, "/subjects/"+name+"/versions", body(record(name, 10))), nil}
		}},
		{"new versions, a subject a client", "", func(c, n int) exchange {
			text := strings.Replace(record("R", 10), `"R"`, fmt.Sprintf(`"R","doc":"%d"`, n), 1)
			return exchange{request(http.MethodPost, fmt.Sprintf("/subjects/v%d/versions", c), body(text)), nil}
		}},
		{"checked against 50 versions of 100 fields", "≥ 2,000", func(int, int) exchange { return check }},
	} {
		if b.only != "" && m.name != b.only {
			continue
		}
		fmt.Fprintf(os.Stderr, "benchregistry: %s (process %d)\n", m.name, b.w.PID())
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

// of takes exchanges in turn, on each connection from another one on.
func of(list []exchange) func(connection, n int) exchange {
	return func(c, n int) exchange { return list[(c*61+n)%len(list)] }
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
func (b *bench) start() error {
	fmt.Fprintln(os.Stderr, "benchregistry: a start over", b.history, "schemas")
	if err := write(b.ctx, b.w.Kafka, b.history); err != nil {
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
	last := fmt.Sprintf("/subjects/h%d/versions/latest", b.history-1)
	if status, answer, err := worker.Do(b.ctx, http.MethodGet, b.w.Registry+last, nil); err != nil || status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s %w", last, status, answer, err)
	}
	_, resident := plugins.Usage(b.w.PID())
	peak, err := services.PeakMemory(b.w.PID())
	if err != nil {
		return err
	}
	fmt.Printf("start over %d schemas of 500 bytes: %.1f s (< 5 s), %d MB resident, %d MB at most (< 400 MB)\n",
		b.history, took.Seconds(), resident>>20, peak>>20)
	return nil
}
