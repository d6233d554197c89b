package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// counts are of tests and subtests.
type counts struct{ passed, failed, skipped int }

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds, of an end
}

// timed is a test with subtests, or a package, and how long it took.
type timed struct {
	name    string
	seconds float64
}

// slowest is how many tests and packages the table shows.
const slowest = 12

// printSlowest shows where the time goes.
func (s *suite) printSlowest() {
	slices.SortStableFunc(s.slow, func(a, b timed) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, t := range s.slow[:min(slowest, len(s.slow))] {
		fmt.Fprintf(s.out, "%6.1f s  %s\n", t.seconds, t.name)
	}
}

// goTest runs go test and prints what it would print without -v: a line for
// each package, and the output of the tests that failed. Only the form with
// events tells of skipped tests. Vet is a step of its own.
func (s *suite) goTest(ctx context.Context, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-vet=off"}, args...)...)
	cmd.Env, cmd.Stderr = s.env, s.out
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	seen, slow, readErr := report(out, s.out)
	err = cmd.Wait()
	s.count(seen, slow)
	switch {
	case readErr != nil:
		return used(cmd), readErr
	case err != nil:
		return used(cmd), fmt.Errorf("go test: %w", err)
	case seen.failed > 0:
		return used(cmd), errFailed
	case seen.skipped > 0:
		return used(cmd), fmt.Errorf("%d tests were skipped, which proves nothing: make them run, or delete them", seen.skipped)
	}
	return used(cmd), nil
}

func (s *suite) count(seen counts, slow []timed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tests.passed += seen.passed
	s.tests.failed += seen.failed
	s.tests.skipped += seen.skipped
	s.slow = append(s.slow, slow...)
}

// report turns events into text and counts.
func report(events io.Reader, out io.Writer) (seen counts, slow []timed, err error) {
	printed := map[string]*strings.Builder{} // of each test that has not ended
	failedIn := map[string]bool{}            // packages with a failed test
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return seen, slow, nil
		}
		if err != nil {
			return seen, slow, err
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			fmt.Fprintf(out, "%s", line) // not from a test: go's own words
			continue
		}
		if e.Action == "build-output" {
			io.WriteString(out, e.Output)
			continue
		}
		if e.Test == "" {
			reportPackage(e, printed, out)
			if e.Action == "fail" && !failedIn[e.Package] {
				seen.failed++ // it did not compile, or ended in a panic
			}
			continue
		}
		key := e.Package + " " + e.Test
		if e.Elapsed >= 1 && !strings.Contains(e.Test, "/") {
			slow = append(slow, timed{key, e.Elapsed})
		}
		switch e.Action {
		case "run":
			printed[key] = &strings.Builder{}
		case "output":
			if b := printed[key]; b != nil && !strings.HasPrefix(e.Output, "=== ") {
				b.WriteString(e.Output)
			}
		case "pass":
			seen.passed++
			delete(printed, key)
		case "skip":
			seen.skipped++
			fmt.Fprintf(out, "SKIPPED %s %s\n%s", e.Package, e.Test, printed[key])
			delete(printed, key)
		case "fail":
			seen.failed++
			failedIn[e.Package] = true
			fmt.Fprintf(out, "%s", printed[key])
			delete(printed, key)
		}
	}
}

// reportPackage handles what concerns a whole package. One that fails may
// leave tests without an end, as after a panic or a time-out: what they printed
// is the only trace.
func reportPackage(e event, printed map[string]*strings.Builder, out io.Writer) {
	switch e.Action {
	case "output":
		if e.Output != "PASS\n" {
			io.WriteString(out, e.Output)
		}
	case "fail":
		var unended []string
		for key := range printed {
			if strings.HasPrefix(key, e.Package+" ") {
				unended = append(unended, key)
			}
		}
		slices.Sort(unended)
		for _, key := range unended {
			fmt.Fprintf(out, "--- did not end: %s\n%s", key, printed[key])
			delete(printed, key)
		}
	}
}
