package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// counts are of tests and subtests.
type counts struct{ passed, failed, skipped int }

// event is a line of `go test -json`, see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// goTest runs go test and prints what it would print without -v: a line for
// each package, and the output of the tests that failed. Only the form with
// events tells of skipped tests.
func (s *suite) goTest(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Env, cmd.Stderr = s.env, s.out
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	seen, readErr := report(out, s.out)
	err = cmd.Wait()
	s.tests.passed += seen.passed
	s.tests.failed += seen.failed
	s.tests.skipped += seen.skipped
	switch {
	case readErr != nil:
		return readErr
	case err != nil:
		return fmt.Errorf("go test: %w", err)
	case seen.failed > 0:
		return errFailed
	case seen.skipped > 0:
		return fmt.Errorf("%d tests were skipped, which proves nothing: make them run, or delete them", seen.skipped)
	}
	return nil
}

// report turns events into text and counts.
func report(events io.Reader, out io.Writer) (counts, error) {
	var seen counts
	printed := map[string]*strings.Builder{} // of each test that has not ended
	failedIn := map[string]bool{}            // packages with a failed test
	in := bufio.NewReader(events)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return seen, nil
		}
		if err != nil {
			return seen, err
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
