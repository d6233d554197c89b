// Package connectortest is the conformance suite of connectors: it checks an implementation against all that package
// connectors promises to the hub. A connector's test describes how to set up a small outside world (Source, Sink),
// and runs RunSource or RunSink with it, best in all three ways that plugins/plugintest.Walls gives:
//
//	func TestConformance(t *testing.T) {
//		plugintest.Walls(t, mysource.Connector{}, func(t *testing.T, c connectors.Connector) {
//			connectortest.RunSource(t, c.(connectors.SourceConnector), connectortest.Source{Fresh: newWorld})
//		})
//	}
//
// The tests of one run are independent; each asks for a fresh world. Nothing is slept for: what must come is waited
// for up to a minute.
package connectortest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// patience is how long the suite waits for what must happen: three minutes, or what CONNECTORTEST_PATIENCE says.
func patience() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("CONNECTORTEST_PATIENCE")); err == nil {
		return d
	}
	return 3 * time.Minute
}

// Broken is a configuration with which Start must fail.
type Broken struct {
	Name   string
	Config map[string]string
	// Class is how the error must be classed.
	Class connectors.Class
}

// deadline returns a context that bounds one test.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	t.Cleanup(cancel)
	return ctx
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func must(t *testing.T, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}

// leavesNothing runs f and checks that the goroutines it began, and those that these began, have ended soon after.
// What a library starts once, for the process, may stay; so what stays must stay a second time: a leak does.
func leavesNothing(t *testing.T, f func()) {
	t.Helper()
	if len(left(t, f, patience()/4)) == 0 {
		return
	}
	if stacks := left(t, f, patience()); len(stacks) > 0 {
		t.Fatalf("goroutines are left:\n%s", strings.Join(stacks, "\n\n"))
	}
}

// left runs f and returns the stacks of its goroutines once there are none or the time is over. They have a label,
// which they inherit: other tests run at the same time.
func left(t *testing.T, f func(), within time.Duration) (stacks []string) {
	t.Helper()
	id := rand.Text()
	pprof.Do(context.Background(), pprof.Labels("connectortest", id), func(context.Context) { f() })
	for end := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		var profile strings.Builder
		must(t, "list the goroutines", pprof.Lookup("goroutine").WriteTo(&profile, 1))
		stacks = slices.DeleteFunc(strings.Split(profile.String(), "\n\n"), func(stack string) bool { return !strings.Contains(stack, id) })
		if len(stacks) == 0 || time.Now().After(end) {
			return stacks
		}
	}
}

// checkInfo checks what a connector says of itself.
func checkInfo(t *testing.T, c connectors.Connector, kind connectors.Kind) {
	info := c.Info()
	if info.Name == "" || info.Name != strings.ToLower(info.Name) || strings.ContainsAny(info.Name, " ./") {
		t.Errorf("name %q: wanted lower case, without blanks, dots and slashes", info.Name)
	}
	if info.Version == "" {
		t.Error("no version")
	}
	if info.Kind != kind {
		t.Errorf("kind %q, wanted %q", info.Kind, kind)
	}
	if info.Config == nil {
		t.Fatal("no definition of its configuration")
	}
	if err := info.Config.Verify(); err != nil {
		t.Errorf("definition: %v", err)
	}
	for _, k := range info.Config.Keys {
		if k.Doc == "" && k.Notice == "" { // of a key that has no effect there is no more to say
			t.Errorf("key %s: no documentation", k.Name)
		}
	}
}

// checkFailedStart checks the error of a Start that had to fail.
func checkFailedStart(t *testing.T, err error, want connectors.Class) {
	t.Helper()
	if err == nil {
		t.Fatal("Start succeeded")
	}
	var e *connectors.Error
	if !errors.As(err, &e) {
		t.Fatalf("the error has no class: %v", err)
	}
	if e.Class != want {
		t.Errorf("class %s, wanted %s: %v", e.Class, want, err)
	}
	if e.Op == "" || e.Err == nil {
		t.Errorf("the error does not say what was being done, or why it failed: %v", err)
	}
	if e.Retriable && (e.Class == connectors.ClassConfig || e.Class == connectors.ClassGone) {
		t.Errorf("a retry cannot help: %v", err)
	}
}

// checkPlan checks the ability to plan, if the connector has it.
func checkPlan(t *testing.T, c connectors.Connector, config map[string]string) {
	p, ok := c.(connectors.Planner)
	if !ok {
		return
	}
	for _, most := range []int{1, 2, 10} {
		tasks, err := p.Plan(deadline(t), config, most)
		must(t, fmt.Sprintf("plan at most %d tasks", most), err)
		if len(tasks) == 0 || len(tasks) > most {
			t.Errorf("%d tasks planned where %d are the most", len(tasks), most)
		}
	}
}

// checkValid checks that a good configuration has no errors.
func checkValid(t *testing.T, c connectors.Connector, config map[string]string) {
	_, problems := c.Info().Config.Parse(config)
	if v, ok := c.(connectors.Validator); ok {
		problems = append(problems, v.Validate(deadline(t), config)...)
	}
	for _, p := range problems {
		if p.IsError() {
			t.Errorf("the suite's configuration: %v", p)
		}
	}
}

// checkData checks that encoded data is of its schema, whole and nothing more.
func checkData(t *testing.T, what string, d connectors.Data) {
	t.Helper()
	if d.Schema == nil {
		if d.Bytes != nil && !json.Valid(d.Bytes) {
			t.Fatalf("%s without a schema is not JSON: %.80q", what, d.Bytes)
		}
		return
	}
	_, rest, err := connectors.ReadValue(d.Schema, d.Bytes)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%s of schema %s %s: %d bytes are left, error %v", what, d.Schema.Type, d.Schema.Name, len(rest), err)
	}
}

// scribble overwrites what nobody may look at any more.
func scribble(b []byte) {
	for i := range b[:cap(b)] {
		b[:cap(b)][i] = 0xdb
	}
}
