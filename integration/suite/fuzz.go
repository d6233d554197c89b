package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// fuzzBuilds is how many programs are built at a time: linking uses one core.
	fuzzBuilds = 2
	// fuzzWorkers is how many targets run at a time. Each uses little more than one core and has a time of its own, so
	// that on two cores all get most of one.
	fuzzWorkers = 2
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

// fuzzTargets finds the targets in the source: `go test -list` would have to
// link every test program for it.
func fuzzTargets(packages []goPackage) ([]target, error) {
	var targets []target
	for _, p := range packages {
		for _, file := range append(p.TestGoFiles, p.XTestGoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
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
	err            error
}

// take counts and prints a result.
func (s *suite) take(r fuzzResult) error {
	s.count(counts{passed: r.passed, failed: r.failed}, nil)
	s.out.Write(r.out.Bytes())
	return r.err
}

// fuzz runs every target for $FUZZTIME, some at a time, at a lower priority by nice. A package's test program is built
// once for all its targets: `go test -fuzz` would link it for each.
func fuzz(ctx context.Context, env []string, nice int) (r fuzzResult) {
	r.err = func() error {
		packages, err := listPackages(ctx)
		if err != nil {
			return err
		}
		targets, err := fuzzTargets(packages)
		if err != nil {
			return err
		}
		f := fuzzer{time: os.Getenv("FUZZTIME"), env: env, nice: strconv.Itoa(nice)}
		if f.time == "" {
			f.time = "10s"
		}
		if f.dir, err = os.MkdirTemp("", "sluice-fuzz-"); err != nil {
			return err
		}
		defer os.RemoveAll(f.dir)
		if f.cache, err = fuzzCache(ctx); err != nil {
			return err
		}
		return f.all(ctx, targets, &r)
	}()
	return r
}

// all builds and runs the targets, whose packages stand together.
func (f *fuzzer) all(ctx context.Context, targets []target, r *fuzzResult) error {
	began := time.Now()
	var built []goPackage
	for _, t := range targets {
		if len(built) == 0 || built[len(built)-1].ImportPath != t.pkg.ImportPath {
			built = append(built, t.pkg)
		}
	}
	if err := atATime(fuzzBuilds, built, func(p goPackage) error { return f.build(ctx, p) }); err != nil {
		return err
	}
	fmt.Fprintf(&r.out, "%d targets in %d packages, built in %.0f s, %s each\n", len(targets), len(built), time.Since(began).Seconds(), f.time)
	var mu sync.Mutex
	return atATime(fuzzWorkers, targets, func(t target) error {
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

// fuzzer builds and runs test programs with the instrumentation that fuzzing is guided by.
type fuzzer struct {
	time  string
	dir   string // of the programs
	cache string // where inputs that found something new are kept, as `go test` does
	env   []string
	nice  string
}

func fuzzCache(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOCACHE: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "fuzz"), nil
}

func (f *fuzzer) program(p goPackage) string {
	return filepath.Join(f.dir, strings.ReplaceAll(p.ImportPath, "/", "_")+".test")
}

func (f *fuzzer) build(ctx context.Context, p goPackage) error {
	cmd := exec.CommandContext(ctx, "nice", "-n", f.nice, "go", "test", "-c", "-vet=off", "-fuzz=.", "-o", f.program(p), p.ImportPath)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the fuzz targets of %s: %w\n%s", p.ImportPath, err, out)
	}
	return nil
}

// run returns the last line that says how much was tried, all of the output on failure.
func (f *fuzzer) run(ctx context.Context, t target) ([]byte, error) {
	var out []byte
	var err error
	for range 2 {
		cmd := exec.CommandContext(ctx, "nice", "-n", f.nice, f.program(t.pkg), "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+f.time,
			// To make each new input as short as can be would take all of the time where coverage is not the same twice.
			"-test.fuzzminimizetime=1x", "-test.parallel=1", "-test.fuzzcachedir="+filepath.Join(f.cache, filepath.FromSlash(t.pkg.ImportPath)))
		cmd.Dir, cmd.Env = t.pkg.Dir, f.env
		out, err = cmd.CombinedOutput()
		if err == nil {
			return lastProgress(out), nil
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
