// Command suite is what `make test` runs: every check of the project, those that
// wait for servers, processes and clocks side by side.
//
//	suite test   setup, style, unit, integration, fuzz
//	suite fuzz   every fuzz target of the tree for $FUZZTIME (10s)
//
// A step that fails does not keep the others from running, but for setup.
// The last lines are a table of the steps and the count of tests. A skipped
// test is a failure: a test that cannot run is one that proves nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sluicehub/sluice/integration/services"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	s := &suite{began: time.Now(), out: &turns{w: os.Stdout}, env: os.Environ()}
	switch strings.Join(args, " ") {
	case "test":
		return s.test(ctx)
	case "fuzz":
		return s.take(fuzz(ctx, s.env, 0))
	}
	return errors.New("usage: suite test | fuzz")
}

// suite is one run.
type suite struct {
	began time.Time
	out   io.Writer
	env   []string

	mu    sync.Mutex
	steps []step
	tests counts
	slow  []timed
}

type step struct {
	name string
	took time.Duration
	err  error
}

var errFailed = errors.New("failed")

func (s *suite) test(ctx context.Context) error {
	defer s.table()
	if err := s.step("setup", func() error { return s.run(ctx, "make", "--no-print-directory", "setup") }); err != nil {
		return err
	}
	// The servers mostly wait for their own disks while they start.
	var servers *services.Set
	started := make(chan error, 1)
	go func() {
		var err error
		servers, err = services.Start(ctx, func(line string) { fmt.Fprintln(s.out, line) })
		started <- err
	}()
	// The later steps run whatever these say; s.failed sums up. The rest of `make lint` is among the integration tests.
	_ = s.step("style", func() error { return s.run(ctx, "make", "--no-print-directory", "style") })
	if err := s.step("servers", func() error { return <-started }); err != nil {
		return err
	}
	s.env = append(s.env, servers.Env()...)
	// The tests wait for most of their time, and have a slow one or two at the end: side by side they fill two cores. Fuzzing
	// takes what they leave.
	var all sync.WaitGroup
	all.Go(func() { _ = s.step("fuzz", func() error { return s.take(fuzz(ctx, s.env, 5)) }) })
	all.Go(func() {
		_ = s.step("integration", func() error { return s.goTest(ctx, "-timeout=40m", "-parallel="+integrationTests, "./integration/...") })
	})
	all.Go(func() { _ = s.step("unit", func() error { return s.unit(ctx) }) })
	all.Wait()
	_ = s.step("end servers", servers.Close)
	return s.failed(ctx)
}

// turns lets several goroutines write, one after another.
type turns struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

func (s *suite) failed(ctx context.Context) error {
	var names []string
	for _, st := range s.steps {
		if st.err != nil {
			names = append(names, st.name)
		}
	}
	if len(names) == 0 {
		return ctx.Err()
	}
	return fmt.Errorf("these steps failed: %s", strings.Join(names, ", "))
}

// unitPackages is how many packages are built or tested at a time: some wait for servers.
const unitPackages = "2"

// integrationTests is how many parallel tests of a package run at a time. They wait for processes most of their time.
const integrationTests = "5"

// unit runs the tests of all rooms with the race detector.
func (s *suite) unit(ctx context.Context) error {
	packages, err := listPackages(ctx)
	if err != nil {
		return err
	}
	args := []string{"-race", "-timeout=20m", "-p=" + unitPackages}
	for _, p := range packages {
		if !strings.Contains(p.ImportPath+"/", "/integration/") {
			args = append(args, p.ImportPath)
		}
	}
	return s.goTest(ctx, args...)
}

func (s *suite) step(name string, do func() error) error {
	fmt.Fprintf(s.out, "\n=== step %s\n", name)
	began := time.Now()
	err := do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step{name, time.Since(began), err})
	if err != nil {
		fmt.Fprintf(s.out, "step %s: %v\n", name, err)
	}
	return err
}

// childrenCPU is what the children that have ended used, and theirs. On a machine that others use too, it tells more
// than the time on the clock.
func childrenCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run runs a command that prints for itself.
func (s *suite) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.env, s.out, s.out
	return cmd.Run()
}

func (s *suite) table() {
	fmt.Fprintln(s.out)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tSECONDS\tRESULT")
	for _, st := range s.steps {
		result := "ok"
		if st.err != nil {
			result = "FAILED"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%s\n", st.name, st.took.Seconds(), result)
	}
	fmt.Fprintf(w, "all\t%.0f\t%.0f of processor time\n", time.Since(s.began).Seconds(), childrenCPU().Seconds())
	w.Flush()
	s.printSlowest()
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.tests.passed, s.tests.failed, s.tests.skipped)
}
