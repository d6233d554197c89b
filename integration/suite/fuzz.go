package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// fuzzWorkers is how many targets run at a time. A target has its time by the clock, and an input that is tried goes
	// from one process to another and back, which beside others is more waiting than work: what several targets at a time
	// try in ten seconds is not much less each, and it is over sooner.
	fuzzWorkers = 6
	// fuzzKept is with how many of the inputs that earlier runs have kept a target begins. It has to try them all before
	// it tries anything new; some hundreds of them take longer than the ten seconds beside other tests.
	fuzzKept = 30
	// fuzzKeptMost is how many stay for the next runs. What is new to a run that begins with some of them is often not new.
	fuzzKeptMost = 500
)

// goPackage is what is asked of `go list -json`.
type goPackage struct {
	Dir, ImportPath           string
	TestGoFiles, XTestGoFiles []string
}

func listPackages(ctx context.Context) ([]goPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,ImportPath,TestGoFiles,XTestGoFiles", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

type target struct {
	pkg  goPackage
	name string
}

// functions finds test functions in the source: `go test -list` would have to
// link every test program for it.
func functions(packages []goPackage, name *regexp.Regexp) ([]target, error) {
	var targets []target
	for _, p := range packages {
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if ok && fn.Recv == nil && name.MatchString(fn.Name.Name) {
					targets = append(targets, target{p, fn.Name.Name})
				}
			}
		}
	}
	return targets, nil
}

// fuzzResult is how all targets went.
type fuzzResult struct {
	out            bytes.Buffer // a line for each, all of its output for one that failed
	passed, failed int
	cpu            time.Duration
	err            error
}

// take counts and prints a result, and returns what it cost.
func (s *suite) take(r fuzzResult) (time.Duration, error) {
	s.count(counts{passed: r.passed, failed: r.failed}, nil)
	s.out.Write(r.out.Bytes())
	return r.cpu, r.err
}

// fuzz runs every target for $FUZZTIME, some at a time. A package's test program is built once for all its targets:
// `go test -fuzz` would link it for each. It stays in bin/fuzz, so that it is linked again only when it has changed.
func fuzz(ctx context.Context, env []string) (r fuzzResult) {
	r.err = func() error {
		packages, err := listPackages(ctx)
		if err != nil {
			return err
		}
		targets, err := functions(packages, regexp.MustCompile("^Fuzz"))
		if err != nil {
			return err
		}
		f := fuzzer{time: cmp.Or(os.Getenv("FUZZTIME"), "10s"), env: env, build: map[string]func() error{}}
		cache, err := goEnv(ctx, "GOCACHE")
		if err != nil {
			return err
		}
		mod, err := goEnv(ctx, "GOMOD")
		if err != nil {
			return err
		}
		f.kept, f.programs = filepath.Join(cache, "fuzz"), filepath.Join(filepath.Dir(mod), "bin", "fuzz")
		if err := os.MkdirAll(f.kept, 0o777); err != nil {
			return err
		}
		// Beside what is kept, because inputs go to and fro as links.
		if f.dir, err = os.MkdirTemp(f.kept, "run-"); err != nil {
			return err
		}
		defer os.RemoveAll(f.dir)
		return f.all(ctx, targets, &r)
	}()
	return r
}

// all builds and runs the targets.
func (f *fuzzer) all(ctx context.Context, targets []target, r *fuzzResult) error {
	for _, t := range targets {
		f.build[t.pkg.ImportPath] = sync.OnceValue(func() error { return f.link(ctx, t.pkg) })
	}
	began := time.Now()
	var mu sync.Mutex
	err := atATime(fuzzWorkers, targets, func(t target) error {
		if err := f.build[t.pkg.ImportPath](); err != nil {
			return err
		}
		out, err := f.run(ctx, t)
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&r.out, "%s: %s", t.name, out)
		if err != nil {
			r.failed++
			return fmt.Errorf("%s in %s: %w", t.name, t.pkg.ImportPath, err)
		}
		r.passed++
		return nil
	})
	fmt.Fprintf(&r.out, "%d targets in %d packages, %s each, %.0f s with building\n", len(targets), len(f.build), f.time, time.Since(began).Seconds())
	r.cpu = f.cpu
	return err
}

// atATime calls do for all of a list, n at a time, and returns all errors.
func atATime[T any](n int, list []T, do func(T) error) error {
	queue := make(chan T)
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for v := range queue {
				if err := do(v); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, v := range list {
		queue <- v
	}
	close(queue)
	wg.Wait()
	return errors.Join(errs...)
}

// instrumented is what `go test -fuzz` compiles with (the compiler's -d=libfuzzer), but for this module's packages only.
// That instruments all of a program, the standard library and what others wrote too, and the engine looks at the counters of
// all of it after each input: FuzzDDL, with a parser of SQL behind it, tried 11 inputs in its ten seconds, and a thousand
// without. Nor has everything to be compiled once more.
const instrumented = "-gcflags=./...=-d=libfuzzer"

// fuzzer builds and runs test programs with the instrumentation that fuzzing is guided by.
type fuzzer struct {
	time     string
	programs string                  // the folder of the programs
	build    map[string]func() error // by package, each once
	kept     string                  // where inputs that found something new are, as `go test` keeps them
	dir      string                  // of this run
	env      []string

	mu  sync.Mutex
	cpu time.Duration
}

func goEnv(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (f *fuzzer) program(p goPackage) string {
	return filepath.Join(f.programs, strings.ReplaceAll(p.ImportPath, "/", "_")+".test")
}

// output runs a command and notes what it used.
func (f *fuzzer) output(cmd *exec.Cmd) ([]byte, error) {
	cmd.Env = f.env
	out, err := cmd.CombinedOutput()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cpu += used(cmd)
	return out, err
}

func (f *fuzzer) link(ctx context.Context, p goPackage) error {
	out, err := f.output(exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", instrumented, "-o", f.program(p), p.ImportPath))
	if err != nil {
		return fmt.Errorf("build the fuzz targets of %s: %w\n%s", p.ImportPath, err, out)
	}
	return nil
}

// run returns the last line that says how much was tried, all of the output on failure.
func (f *fuzzer) run(ctx context.Context, t target) ([]byte, error) {
	path := filepath.FromSlash(t.pkg.ImportPath)
	kept, dir := filepath.Join(f.kept, path, t.name), filepath.Join(f.dir, path)
	if err := choose(kept, filepath.Join(dir, t.name)); err != nil {
		return nil, err
	}
	var out []byte
	var err error
	for range 2 {
		// Behind all others: a target ends by the clock, and the tests when they are done.
		cmd := exec.CommandContext(ctx, "nice", "-n", "5", f.program(t.pkg), "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+f.time,
			// To make each new input as short as can be would take all of the time where coverage is not the same twice.
			"-test.fuzzminimizetime=1x", "-test.parallel=1", "-test.fuzzcachedir="+dir)
		cmd.Dir = t.pkg.Dir
		out, err = f.output(cmd)
		if err == nil {
			return lastProgress(out), keep(filepath.Join(dir, t.name), kept)
		}
		// The engine sometimes takes the end of its own time for a failure of
		// the target, without an input that fails (https://go.dev/issue/75804,
		// mended in Go 1.27). A target that really fails, fails twice.
		if !bytes.Contains(out, []byte("context deadline exceeded")) || bytes.Contains(out, []byte("Failing input")) {
			break
		}
	}
	return append([]byte("FAILED\n"), out...), err
}

// choose links some of the inputs that are kept, others each time, into a folder.
func choose(kept, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	inputs, err := os.ReadDir(kept)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rand.Shuffle(len(inputs), func(i, j int) { inputs[i], inputs[j] = inputs[j], inputs[i] })
	for _, input := range inputs[:min(fuzzKept, len(inputs))] {
		if err := os.Link(filepath.Join(kept, input.Name()), filepath.Join(dir, input.Name())); err != nil {
			return err
		}
	}
	return nil
}

// keep moves the inputs that a run has found to those that are kept. A name is a sum of the content, so that those which
// are too many, by their names, are any.
func keep(dir, kept string) error {
	inputs, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(kept, 0o777); err != nil {
		return err
	}
	for _, input := range inputs {
		if err := os.Rename(filepath.Join(dir, input.Name()), filepath.Join(kept, input.Name())); err != nil {
			return err
		}
	}
	all, err := os.ReadDir(kept)
	if err != nil {
		return err
	}
	for _, input := range all[min(fuzzKeptMost, len(all)):] {
		if err := os.Remove(filepath.Join(kept, input.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lastProgress is the last line of a run that begins with "fuzz:".
func lastProgress(out []byte) []byte {
	last := []byte("no line of progress\n")
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("fuzz: ")) {
			last = line
		}
	}
	return last
}
