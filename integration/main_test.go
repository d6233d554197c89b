package integration

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/worker"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = worker.Build(context.Background(), ".", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// newWorker prepares a worker that ends with the test.
func newWorker(t *testing.T, o worker.Options) *worker.Worker {
	t.Helper()
	o.Binary = binary
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	w, err := worker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the hub's log:\n%s", w.LogTail())
		}
	})
	return w
}

// startWorker starts one.
func startWorker(t *testing.T, o worker.Options) *worker.Worker {
	t.Helper()
	w := newWorker(t, o)
	must(t, w.Start(deadline(t)))
	return w
}

// deadline is the end of every wait in a test.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
