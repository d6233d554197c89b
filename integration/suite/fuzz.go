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
	"strings"
	"sync"
)

// fuzzWorkers is how many targets run at a time, each on one core.
const fuzzWorkers = 2

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

type target struct{ pkg, name string }

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
					targets = append(targets, target{p.ImportPath, fn.Name.Name})
				}
			}
		}
	}
	return targets, nil
}

// fuzz runs every target for $FUZZTIME, two at a time.
func (s *suite) fuzz(ctx context.Context) error {
	packages, err := listPackages(ctx)
	if err != nil {
		return err
	}
	targets, err := fuzzTargets(packages)
	if err != nil {
		return err
	}
	fuzzTime := os.Getenv("FUZZTIME")
	if fuzzTime == "" {
		fuzzTime = "10s"
	}
	fmt.Fprintf(s.out, "%d targets, %s each\n", len(targets), fuzzTime)
	queue := make(chan target)
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for range fuzzWorkers {
		wg.Go(func() {
			for t := range queue {
				out, err := fuzzOne(ctx, t, fuzzTime)
				mu.Lock()
				if err != nil {
					errs = append(errs, fmt.Errorf("%s in %s: %w", t.name, t.pkg, err))
				}
				fmt.Fprintf(s.out, "%s: %s", t.name, out)
				mu.Unlock()
			}
		})
	}
	for _, t := range targets {
		queue <- t
	}
	close(queue)
	wg.Wait()
	s.tests.passed += len(targets) - len(errs)
	s.tests.failed += len(errs)
	return errors.Join(errs...)
}

// fuzzOne returns the last line of what go test printed, all of it on failure.
func fuzzOne(ctx context.Context, t target, fuzzTime string) ([]byte, error) {
	var out []byte
	var err error
	for range 2 {
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+fuzzTime, "-parallel=1", t.pkg)
		out, err = cmd.CombinedOutput()
		if err == nil {
			lines := bytes.SplitAfter(bytes.TrimRight(out, "\n"), []byte("\n"))
			return append(lines[len(lines)-1], '\n'), nil
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
