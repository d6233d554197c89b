package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// The thinnest row through the whole house: a file's lines, a child process, the log, another child, another file.
func TestFileStreamThroughTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	must(t, os.WriteFile(in, []byte(lines(1000)), 0o600))
	w := startWorker(t, worker.Options{
		Files: []string{"../configs/examples/filestream-source.properties", "../configs/examples/filestream-sink.properties"},
		Env:   []string{"LINES_IN=" + in, "LINES_OUT=" + out},
	})
	ctx := deadline(t)
	must(t, w.Running(ctx, "lines-source"))
	must(t, w.Running(ctx, "lines-sink"))
	same := func() error {
		got, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(in)
		if err != nil {
			return err
		}
		if string(got) != string(want) {
			return fmt.Errorf("%d bytes have arrived, want %d", len(got), len(want))
		}
		return nil
	}
	must(t, w.Wait(ctx, "all lines to arrive", same))

	// What is written while the hub is down arrives after it. A sink that keeps no position in its file repeats
	// what was not committed, and loses nothing.
	must(t, w.Stop())
	f, err := os.OpenFile(in, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("while it was down\n")
	must(t, err)
	must(t, f.Close())
	must(t, w.Start(ctx))
	must(t, w.Wait(ctx, "the line written meanwhile", same))
}

func TestChildrenDieWithTheHub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	must(t, os.WriteFile(in, []byte("a line\n"), 0o600))
	w := startWorker(t, worker.Options{
		Files: []string{"../configs/examples/filestream-source.properties", "../configs/examples/filestream-sink.properties"},
		Env:   []string{"LINES_IN=" + in, "LINES_OUT=" + filepath.Join(dir, "out")},
	})
	ctx := deadline(t)
	must(t, w.Running(ctx, "lines-source"))
	must(t, w.Running(ctx, "lines-sink"))
	children, err := w.Children()
	must(t, err)
	if len(children) != 2 {
		t.Fatalf("%d children, want one for each connector", len(children))
	}
	must(t, w.Kill())
	w2 := newWorker(t, worker.Options{}) // only for its Wait
	must(t, w2.Start(ctx))
	must(t, w2.Wait(ctx, "the children to die", func() error {
		for _, pid := range children {
			if services.Running(pid) {
				return fmt.Errorf("child %d lives", pid)
			}
		}
		return nil
	}))
}

func TestADeadChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	must(t, os.WriteFile(in, []byte("first\n"), 0o600))
	w := startWorker(t, worker.Options{
		Files: []string{"../configs/examples/filestream-source.properties", "../configs/examples/filestream-sink.properties"},
		Env:   []string{"LINES_IN=" + in, "LINES_OUT=" + out},
	})
	ctx := deadline(t)
	arrived := func(line string) {
		t.Helper()
		must(t, w.Wait(ctx, line+" to arrive", func() error {
			if got, err := os.ReadFile(out); err != nil || !strings.Contains(string(got), line+"\n") {
				return fmt.Errorf("got %q, %v", got, err)
			}
			return nil
		}))
	}
	arrived("first")
	children, err := w.Children()
	must(t, err)
	for _, pid := range children {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	f, err := os.OpenFile(in, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("second\n")
	must(t, err)
	must(t, f.Close())
	arrived("second")
}
