package plugins_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// actAsHub is a hub in a process of its own: it starts a child, says its process id, and does nothing more.
func actAsHub() {
	self, _ := os.Executable()
	d := plugins.NewDir(plugins.Options{Builtins: []connectors.Connector{troubleSource{}}, Self: []string{self, "plugin"}})
	child, err := d.Launch(context.Background(), "trouble-source", "orphan")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	if err := task.Start(context.Background(), connectors.SourceStart{Config: map[string]string{"do": "wait"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	<-child.Done()
}

// running reports whether a process runs: a zombie that nobody waits for does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestAKilledHubLeavesNoChild(t *testing.T) {
	for name, stopped := range map[string]bool{"a child that listens": false, "a child that cannot": true} {
		t.Run(name, func(t *testing.T) {
			self, err := os.Executable()
			must(t, err)
			hub := exec.Command(self, "hub")
			hub.Stderr = t.Output()
			out, err := hub.StdoutPipe()
			must(t, err)
			must(t, hub.Start())
			defer hub.Wait()
			defer hub.Process.Kill()
			line, err := bufio.NewReader(out).ReadString('\n')
			must(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			must(t, err)
			if !running(pid) {
				t.Fatalf("the child %d does not run", pid)
			}
			if stopped {
				must(t, syscall.Kill(pid, syscall.SIGSTOP)) // it will not see the end of its input
			}
			must(t, hub.Process.Signal(syscall.SIGKILL))
			must(t, eventually("the child ends", func() bool { return !running(pid) }))
		})
	}
}

// TestAChildOutlivesTheThreadThatAskedForIt: the kernel's parent death signal follows the thread.
func TestAChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	var child *plugins.Child
	var err error
	launched := make(chan struct{})
	go func() {
		defer close(launched)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		child, err = plugins.NewDir(plugintest.Options(t, troubleSource{})).Launch(t.Context(), "trouble-source", "c")
	}()
	<-launched
	must(t, err)
	defer child.Kill()
	for range 20 { // more threads that come and go
		done := make(chan struct{})
		go func() { runtime.LockOSThread(); close(done) }()
		<-done
	}
	select {
	case <-child.Done():
		t.Fatalf("the child is gone: %v", child.Err())
	case <-time.After(300 * time.Millisecond):
	}
	task := child.Connector().(connectors.SourceConnector).NewSourceTask()
	must(t, task.Start(t.Context(), connectors.SourceStart{}))
	must(t, task.Stop(t.Context()))
}
