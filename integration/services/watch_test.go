package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownerVariable makes TestOwner the process that starts the servers.
const ownerVariable = "SLUICE_SERVICES_OWNER"

// owned are servers of one process and of several, some of another user. The
// other kinds, whose start costs many times as much, are processes and children
// like them; grandchildren in groups of their own, a script has.
var owned = []string{"postgres", "s3", "mysql", "mariadb"}

const familyScript = `setsid sh -c 'setsid sleep 1000 & touch ready; wait' & wait`

// TestServersEndWithTheirOwner kills a process that owns several servers, with
// SIGKILL, and looks for what is left of them.
func TestServersEndWithTheirOwner(t *testing.T) {
	t.Parallel()
	// What the cache lacks is fetched outside the deadline below.
	if err := Fetch(t.Context(), func(line string) { t.Log(line) }, owned...); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner := exec.Command(self, "-test.run=^TestOwner$", "-test.count=1")
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	owner.Stderr = os.Stderr
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	var family []process
	var dirs []string
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "all" {
		var pid, dir, ok = strings.Cut(lines.Text(), " ")
		number, err := strconv.Atoi(pid)
		if !ok || err != nil {
			t.Errorf("the owner says: %s", lines.Text())
			continue
		}
		family = append(family, tree(number)...)
		dirs = append(dirs, dir)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = owner.Wait() // it says that it was killed
	if want := len(owned) + 1; len(dirs) != want || len(family) <= len(dirs) {
		t.Fatalf("%d servers with %d processes, want %d servers, some with several processes", len(dirs), len(family), want)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := waitGone(ctx, family); err != nil {
		t.Error(err)
	}
	for _, dir := range dirs {
		err := poll(ctx, dir+" to be removed", 10*time.Millisecond, func(context.Context) error {
			if _, err := os.Stat(dir); err == nil {
				return fmt.Errorf("%s is still there", dir)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestOwner is the other process of TestServersEndWithTheirOwner. Without its
// variable it has nothing to do.
func TestOwner(t *testing.T) {
	if os.Getenv(ownerVariable) == "" {
		return
	}
	set, err := Start(context.Background(), func(string) {}, owned...)
	if err != nil {
		t.Fatal(err)
	}
	script, err := launchScript(t, familyScript)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(set.servers, running(scripted{script})) {
		of := s.(interface {
			PID() int
			Dir() string
		})
		fmt.Println(of.PID(), of.Dir())
	}
	fmt.Println("all")
	select {} // until it is killed
}

// scripted is a script as one of the servers.
type scripted struct{ *Server }

func (scripted) Env() []string { return nil }

// launchScript starts a shell script as a server that is ready when the script
// has made the file ready.
func launchScript(t *testing.T, script string) (*Server, error) {
	t.Helper()
	dir, err := newDir("script", nil)
	if err != nil {
		t.Fatal(err)
	}
	return launch(t.Context(), spec{
		name: "the script", dir: dir, args: []string{"/bin/sh", "-c", script}, stopSignal: syscall.SIGTERM,
		ready: func(context.Context) error { _, err := os.Stat(dir + "/ready"); return err },
	})
}

func TestKillLeavesNoGrandchild(t *testing.T) {
	t.Parallel()
	// Each generation leaves the process group of the one before.
	s, err := launchScript(t, familyScript)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Kill(), s.Close()); err != nil { // a Stop would end the first generation only
			t.Error(err)
		}
	}()
	family := tree(s.PID())
	if len(family) < 3 {
		t.Errorf("the tree has %d processes, want at least 3", len(family))
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range family {
		if p.alive() {
			t.Errorf("process %d is alive", p.pid)
		}
	}
	if s.PID() != 0 {
		t.Errorf("PID %d after the kill, want 0", s.PID())
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Errorf("restart: %v", err)
	}
}

func TestStartTellsWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	s, err := launchScript(t, `echo "cannot open the frobnicator" >&2; exit 3`)
	if err == nil {
		s.Close()
		t.Fatal("a server that ends at once is taken for started")
	}
	for _, want := range []string{"the script ended right after its start", "cannot open the frobnicator"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not hold %q", err, want)
		}
	}
}

func TestForeignServerIsNotEnded(t *testing.T) {
	t.Parallel()
	p := postgresAt(*must(t, "postgres://u:p%40ss@h:1/d"))
	p.Server = &Server{}
	for name, do := range map[string]func() error{
		"Stop": p.Stop, "Kill": p.Kill, "Restart": func() error { return p.Restart(t.Context()) },
	} {
		if err := do(); err != ErrNotOurs {
			t.Errorf("%s: %v, want ErrNotOurs", name, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got, want := p.DSN("x"), "postgres://u:p%40ss@h:1/x"; got != want {
		t.Errorf("DSN %s, want %s", got, want)
	}
}
