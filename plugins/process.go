package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
	"github.com/sluicehub/sluice/connectors"
)

// lastWords is how long the output of an ended process is waited for: a grandchild may hold the pipe open for ever.
const lastWords = 2 * time.Second

// deathWatch is how long a broken connection is held against the end of the process that explains it: it includes the
// wait for the last words.
const deathWatch = 2 * lastWords

// patience is how long a process whose start failed may take to end by itself.
const patience = 300 * time.Millisecond

// process is the operating system's process of a child: a runner.Runner for go-plugin.
//
// Three things end a child with its hub (I7). The hub holds the write end of its standard input and never writes: when
// the hub goes, in whatever way, the child reads the end of it and stops its tasks. On Linux the kernel besides kills
// the child at once when the hub is gone (Pdeathsig), for a child that does not listen. And Stop and Kill do so while
// the hub lives.
//
// Pdeathsig follows the thread that started the child, not the process, and Go ends threads. So the goroutine that
// starts the child is locked to its thread and stays in it until the child has ended.
type process struct {
	cmd    *exec.Cmd
	path   string
	pid    int
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	theirs []*os.File // the child's ends

	exited chan struct{} // closed when the process has ended
	status error         // how, set before exited is closed

	mu     sync.Mutex
	asked  bool  // to end
	reason error // why it was killed, nil if there is nothing to say
}

var _ runner.Runner = (*process)(nil)

// newProcess prepares a process. Nothing is inherited but what the command says.
func newProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, path: cmd.Path, exited: make(chan struct{})}
	childIn, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	stdout, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), stdin.Close())
	}
	stderr, childErr, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), stdin.Close(), stdout.Close(), childOut.Close())
	}
	p.stdin, p.stdout, p.stderr = stdin, stdout, stderr
	p.theirs = []*os.File{childIn, childOut, childErr}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = childIn, childOut, childErr
	cmd.SysProcAttr = isolated()
	return p, nil
}

// Start implements runner.Runner.
func (p *process) Start(context.Context) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // see process
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		for _, f := range p.theirs {
			f.Close()
		}
		if err != nil {
			p.status = err
			close(p.exited)
			started <- err
			return
		}
		p.mu.Lock()
		p.pid = p.cmd.Process.Pid
		if p.asked {
			killGroup(p.pid) // it was given up before there was something to kill
		}
		p.mu.Unlock()
		started <- nil
		p.status = p.cmd.Wait()
		killGroup(p.pid) // what it has started does not outlive it
		end := time.Now().Add(lastWords)
		p.stdout.SetReadDeadline(end)
		p.stderr.SetReadDeadline(end)
		p.stdin.Close()
		close(p.exited)
	}()
	return <-started
}

// closeAll closes all pipes, of a process that has ended or was never started.
func (p *process) closeAll() {
	for _, f := range append(p.theirs, p.stdin, p.stdout, p.stderr) {
		f.Close()
	}
}

// failing returns why the process of a failed start ended, nil if it did not by itself.
func (p *process) failing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.exited:
	default:
		return nil
	}
	if p.reason != nil {
		return p.reason
	}
	if p.status != nil && !p.asked {
		return fmt.Errorf("its process ended before it answered: %w", p.status)
	}
	return nil
}

// closeInput asks the child to end.
func (p *process) closeInput() {
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	p.stdin.Close()
}

// kill ends the process and what it has started, if it has not ended. reason is what to say about it; the first one
// counts.
func (p *process) kill(reason error) {
	select {
	case <-p.exited:
		return
	default:
	}
	p.mu.Lock()
	if !p.asked {
		p.asked, p.reason = true, reason
	}
	pid := p.pid
	p.mu.Unlock()
	if pid > 0 {
		killGroup(pid)
	}
}

// ending returns why the process ended, or nil if it was asked to and nothing is to be said.
func (p *process) ending(lines string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	switch {
	case p.reason != nil:
		err = p.reason
	case p.asked:
		return nil
	case p.status != nil:
		err = fmt.Errorf("the connector's process ended: %w", p.status)
	default:
		err = errors.New("the connector's process ended by itself with exit status 0")
	}
	if lines != "" {
		err = fmt.Errorf("%w; its last lines:\n%s", err, lines)
	}
	return err
}

// blame classes the end of a process, and says what can be done about it. What was killed from outside, by the kernel
// because memory ran short or by a person, did nothing wrong: that is the environment's. An exit status, a panic and
// the signals that a process brings upon itself are mistakes in the program.
func blame(err error) (class connectors.Class, remedy string) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return connectors.ClassBug, ""
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return connectors.ClassBug, ""
	}
	switch status.Signal() {
	case syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGSEGV, syscall.SIGSYS, syscall.SIGTRAP:
		return connectors.ClassBug, ""
	case syscall.SIGKILL:
		return connectors.ClassEnvironment, "if nobody killed it, the kernel did because memory was short: its log says so (dmesg); " +
			"give the machine or container more memory, or the connector smaller batches"
	}
	return connectors.ClassEnvironment, ""
}

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error {
	<-p.exited
	return p.status
}

// Kill implements runner.Runner. go-plugin calls it when the start fails, which often is because the process is just
// ending: a moment's patience then tells how.
func (p *process) Kill(context.Context) error {
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill(nil)
	}
	return nil
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr implements runner.Runner.
func (p *process) Stderr() io.ReadCloser { return p.stderr }

// Name implements runner.Runner.
func (p *process) Name() string { return p.path }

// ID implements runner.Runner.
func (p *process) ID() string { return strconv.Itoa(p.pid) }

// Diagnose implements runner.Runner. Launch says what is known.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.AddrTranslator.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin implements runner.AddrTranslator.
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
