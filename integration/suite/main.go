// Command suite is what `make test` runs: every check of the project, those that
// wait for servers, processes and clocks side by side.
//
//	suite test   setup, style, unit, volume, integration, fuzz
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
	"regexp"
	"slices"
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

func command(ctx context.Context, args []string) (err error) {
	release, err := useMemory(memoryDisk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	// A program with the race detector waits a second before it ends, as long as it is not told otherwise.
	s := &suite{began: time.Now(), out: &turns{w: os.Stdout}, env: append(os.Environ(), "GORACE=atexit_sleep_ms=0")}
	switch strings.Join(args, " ") {
	case "test":
		return s.test(ctx)
	case "fuzz":
		_, err := s.take(fuzz(ctx, s.env))
		return err
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
	cpu  time.Duration // of its processes; what has no processes has none
	err  error
}

var errFailed = errors.New("failed")

func (s *suite) test(ctx context.Context) error {
	defer s.table()
	if err := s.step("setup", func() (time.Duration, error) { return s.run(ctx, s.env, "make", "--no-print-directory", "setup") }); err != nil {
		return err
	}
	// These two need no servers. The other steps run whatever they say; s.failed sums up. The rest of `make lint` is among
	// the integration tests.
	var all sync.WaitGroup
	bare := s.env
	all.Go(func() { _ = s.step("fuzz", func() (time.Duration, error) { return s.take(fuzz(ctx, bare)) }) })
	all.Go(func() {
		_ = s.step("style", func() (time.Duration, error) { return s.run(ctx, bare, "make", "--no-print-directory", "style") })
	})
	defer all.Wait()
	var servers *services.Set
	err := s.step("servers", func() (_ time.Duration, err error) {
		servers, err = services.Start(ctx, func(line string) { fmt.Fprintln(s.out, line) })
		return 0, err
	})
	if err != nil {
		return err
	}
	s.env = slices.Concat(bare, servers.Env())
	packages, err := listPackages(ctx)
	if err != nil {
		return err
	}
	// Most tests wait for servers, processes and clocks now and then: side by side they fill two cores.
	all.Go(func() {
		_ = s.step("integration", func() (time.Duration, error) { return s.integration(ctx, packages) })
	})
	all.Go(func() { _ = s.step("unit", func() (time.Duration, error) { return s.unit(ctx, packages) }) })
	all.Go(func() { _ = s.step("volume", func() (time.Duration, error) { return s.volume(ctx, packages) }) })
	all.Wait()
	_ = s.step("end servers", func() (time.Duration, error) {
		err := servers.Close()
		return childrenCPU() - s.accounted(), err // that of their lives
	})
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

// What go test is told of how many packages it builds or tests at a time, and how many parallel tests of each.
var (
	sideBySide            = []string{"-p=3", "-parallel=4"} // two of the packages wait for their servers for minutes
	integrationSideBySide = []string{"-p=2", "-parallel=7"} // these wait for processes most of their time
)

// longest are the packages whose tests take longest. They begin first, so that none of them is left alone at the end.
var longest = []string{"integration", "connectors/mysql", "connectors/postgres", "log", "connectors/jdbc", "connectors/elasticsearch", "integration/protocol"}

// inOrder returns the import paths of the packages that are wanted, the longest first.
func inOrder(packages []goPackage, wanted func(goPackage) bool) []string {
	var paths []string
	for _, p := range packages {
		if wanted(p) {
			paths = append(paths, p.ImportPath)
		}
	}
	place := func(path string) int {
		for i, l := range longest {
			if strings.HasSuffix(path, "/"+l) {
				return i
			}
		}
		return len(longest)
	}
	slices.SortStableFunc(paths, func(a, b string) int { return place(a) - place(b) })
	return paths
}

// ofIntegration tells the tests that run the real program from those of the rooms.
func ofIntegration(p goPackage) bool { return strings.Contains(p.ImportPath+"/", "/integration/") }

func (s *suite) integration(ctx context.Context, packages []goPackage) (time.Duration, error) {
	return s.goTest(ctx, slices.Concat([]string{"-timeout=40m"}, integrationSideBySide, inOrder(packages, ofIntegration))...)
}

// volumeTests are those tests of the rooms that read a great deal from real servers and compare all of it. The race
// detector makes them three to four times as long, and would find nothing in them that it does not find in the other
// tests with the same servers: they run without it.
const volumeTests = "^Test(GoldenCases|GoldenCasesMariaDB|EveryType|RestartFromAnyOffset|SnapshotResumes|SnapshotBeginsAnew|IncrementalUnderChanges)$"

// crashTests make thousands of random runs on a file system in memory. The race detector makes them seven times as long:
// with it they make a tenth of them, which -short says, and without it all.
const crashTests = "^Test(CrashWorld|CrashModel|TransactionCrashes|DamageAnywhere|TransactionsAreWhole)$"

// unit runs the tests of all rooms with the race detector, but for those of volume.
func (s *suite) unit(ctx context.Context, packages []goPackage) (time.Duration, error) {
	paths := inOrder(packages, func(p goPackage) bool { return !ofIntegration(p) })
	return s.goTest(ctx, slices.Concat([]string{"-race", "-short", "-timeout=20m", "-skip=" + volumeTests}, sideBySide, paths)...)
}

// volume runs the tests that unit leaves out, and in full those that it shortens.
func (s *suite) volume(ctx context.Context, packages []goPackage) (time.Duration, error) {
	const run = volumeTests + "|" + crashTests
	tests, err := functions(packages, regexp.MustCompile(run))
	if err != nil {
		return 0, err
	}
	paths := inOrder(packages, func(p goPackage) bool {
		return !ofIntegration(p) && slices.ContainsFunc(tests, func(t target) bool { return t.pkg.ImportPath == p.ImportPath })
	})
	return s.goTest(ctx, slices.Concat([]string{"-timeout=20m", "-run=" + run}, sideBySide, paths)...)
}

// step runs a step, which returns what processor time it used.
func (s *suite) step(name string, do func() (time.Duration, error)) error {
	fmt.Fprintf(s.out, "\n=== step %s\n", name)
	began := time.Now()
	cpu, err := do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step{name, time.Since(began), cpu, err})
	if err != nil {
		fmt.Fprintf(s.out, "step %s: %v\n", name, err)
	}
	return err
}

// used is the processor time of a command that has ended, and of its children.
func used(cmd *exec.Cmd) time.Duration {
	if cmd.ProcessState == nil {
		return 0
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// accounted is the processor time of all steps so far.
func (s *suite) accounted() (sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.steps {
		sum += st.cpu
	}
	return sum
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
func (s *suite) run(ctx context.Context, env []string, name string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, s.out, s.out
	err := cmd.Run()
	return used(cmd), err
}

func (s *suite) table() {
	fmt.Fprintln(s.out)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STEP\tSECONDS\tPROCESSOR\tRESULT")
	for _, st := range s.steps {
		result := "ok"
		if st.err != nil {
			result = "FAILED"
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%s\n", st.name, st.took.Seconds(), st.cpu.Seconds(), result)
	}
	fmt.Fprintf(w, "all\t%.0f\t%.0f\n", time.Since(s.began).Seconds(), childrenCPU().Seconds())
	w.Flush()
	s.printSlowest()
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.tests.passed, s.tests.failed, s.tests.skipped)
}
