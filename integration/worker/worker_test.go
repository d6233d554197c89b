package worker

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/services"
)

// ownerVariable makes TestOwner the process that starts a worker, in that folder.
const ownerVariable = "SLUICE_WORKER_OWNER"

// TestAWorkerEndsWithItsOwner kills a process that owns a worker with SIGKILL, which nothing in it survives to clear
// up. The worker's program is one that ignores every other signal, and has a child.
func TestAWorkerEndsWithItsOwner(t *testing.T) {
	dir := t.TempDir()
	program := "#!/bin/sh\ntrap '' INT TERM HUP QUIT\nsleep 1000 &\necho $! > \"" + dir + "/child\"\nwait\n"
	if err := os.WriteFile(filepath.Join(dir, "sluice"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner := exec.Command(self, "-test.run=^TestOwner$", "-test.count=1")
	owner.Env = append(os.Environ(), ownerVariable+"="+dir)
	owner.Stderr = t.Output()
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var hub, child int
	_, said := fmt.Fscan(bufio.NewReader(out), &hub, &child)
	if err := owner.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = owner.Wait() // it says that it was killed
	if said != nil {
		t.Fatalf("the owner did not say what it started: %v", said)
	}
	for _, pid := range []int{hub, child} {
		eventually(t, fmt.Sprintf("process %d to end", pid), func() bool { return !services.Running(pid) })
	}
	if _, err := os.Stat(filepath.Join(dir, "worker.properties")); err != nil {
		t.Errorf("the worker's folder is not ours to remove: %v", err)
	}
}

// TestOwner is the other process of TestAWorkerEndsWithItsOwner. Without its variable it has nothing to do.
func TestOwner(t *testing.T) {
	dir := os.Getenv(ownerVariable)
	if dir == "" {
		return
	}
	w, err := New(Options{Binary: filepath.Join(dir, "sluice"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	var child int
	eventually(t, "the program to start its child", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "child"))
		if err != nil {
			return false
		}
		_, err = fmt.Sscan(string(text), &child)
		return err == nil
	})
	fmt.Println(w.PID(), child)
	select {} // until it is killed
}

func TestExitTellsTheExitCode(t *testing.T) {
	for program, want := range map[string]int{"exit 0": 0, "exit 3": 3, "kill -9 $$": -1} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "sluice"), []byte("#!/bin/sh\n"+program+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		w, err := New(Options{Binary: filepath.Join(dir, "sluice"), Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // it may be started again
			if err := w.Begin(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			if got, err := w.Exit(ctx); got != want || err != nil {
				t.Errorf("%s: exit code %d, %v; wanted %d", program, got, err, want)
			}
			cancel()
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
