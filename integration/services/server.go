package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// startDeadline bounds the wait for a started server's first answer.
// stopDeadline bounds the wait for its orderly end, after which it is killed.
const (
	startDeadline = 300 * time.Second
	stopDeadline  = 60 * time.Second
)

// ErrNotOurs is the answer of Stop, Kill and Restart for a server that an
// environment variable named: another process started it.
var ErrNotOurs = errors.New("services: this server was not started here, so it is not ours to end; use Start… for one that is")

// spec is what launch needs to know of a server.
type spec struct {
	name       string
	dir        string // holds all its files; removed by Close
	args       []string
	env        []string // added to this process's environment
	cred       *syscall.Credential
	stopSignal syscall.Signal
	ports      []*Port
	ready      func(context.Context) error // nil when it answers
}

// Server is a process that this one started and owns, with its folder and
// ports. Its methods may be called from several goroutines. On a Server that
// an environment variable named, all but Close and LogTail answer ErrNotOurs.
type Server struct {
	mu      sync.Mutex
	spec    spec
	watch   *Watcher
	running *Watched
}

// launch starts the server and waits until it answers. On an error nothing of
// it is left.
func launch(ctx context.Context, s spec) (*Server, error) {
	w, err := NewWatcher(s.dir)
	if err != nil {
		return nil, errors.Join(err, discard(s.dir, s.ports))
	}
	srv := &Server{spec: s, watch: w}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if err := srv.start(ctx); err != nil {
		return nil, errors.Join(err, srv.close())
	}
	return srv, nil
}

// Restart starts the server again on the same ports and data and waits until
// it answers. One that still runs is stopped first.
func (s *Server) Restart(ctx context.Context) error {
	if s.watch == nil {
		return ErrNotOurs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Stop ends the server as its operator would and keeps its data.
func (s *Server) Stop() error {
	if s.watch == nil {
		return ErrNotOurs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop()
}

// Kill ends the server and all its child processes with SIGKILL and keeps its
// data. It returns when none of them is left.
func (s *Server) Kill() error {
	if s.watch == nil {
		return ErrNotOurs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

// Close stops the server, removes its data and frees its ports. It does
// nothing to a server that was not started here.
func (s *Server) Close() error {
	if s.watch == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close()
}

// PID is the server's process number, 0 while it does not run here.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return 0
	}
	return s.running.PID()
}

// Dir is the folder with the server's data, configuration and log, empty for
// a server that was not started here.
func (s *Server) Dir() string { return s.spec.dir }

// LogTail is the end of what the server printed.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return ""
	}
	return lastLines(string(b), 40)
}

func (s *Server) logPath() string { return filepath.Join(s.spec.dir, "server.log") }

func (s *Server) start(ctx context.Context) error {
	r, err := s.spawn()
	if err != nil {
		return fmt.Errorf("services: start %s: %w", s.spec.name, err)
	}
	s.running = r
	wait, cancel := context.WithTimeout(ctx, startDeadline)
	defer cancel()
	go func() {
		select {
		case <-r.Ended():
			cancel()
		case <-wait.Done():
		}
	}()
	err = poll(wait, s.spec.name+" to answer", 50*time.Millisecond, s.spec.ready)
	select {
	case <-r.Ended():
		s.running = nil
		return fmt.Errorf("services: %s ended right after its start; the end of its log:\n%s", s.spec.name, s.LogTail())
	default:
	}
	if err != nil {
		return fmt.Errorf("%w\nthe end of its log:\n%s", errors.Join(err, s.kill()), s.LogTail())
	}
	return nil
}

// spawn starts the process.
func (s *Server) spawn() (*Watched, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.spec.args[0], s.spec.args[1:]...)
	cmd.Dir = s.spec.dir
	cmd.Env = append(os.Environ(), s.spec.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.spec.cred}
	return s.watch.Start(cmd)
}

func (s *Server) stop() error {
	if s.running == nil {
		return nil
	}
	family := tree(s.running.PID())
	if err := syscall.Kill(s.running.PID(), s.spec.stopSignal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("services: stop %s: %w", s.spec.name, err)
	}
	select {
	case <-s.running.Ended():
	case <-time.After(stopDeadline):
		return errors.Join(s.kill(), fmt.Errorf("services: %s did not stop within %s and was killed; the end of its log:\n%s",
			s.spec.name, stopDeadline, s.LogTail()))
	}
	s.running = nil
	ctx, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	err := waitGone(ctx, family)
	for _, p := range family {
		if p.alive() {
			syscall.Kill(p.pid, syscall.SIGKILL) // its parent ended without it
		}
	}
	return err
}

func (s *Server) kill() error {
	if s.running == nil {
		return nil
	}
	killed := killTree(s.running.PID())
	<-s.running.Ended()
	s.running = nil
	ctx, cancel := context.WithTimeout(context.Background(), stopDeadline)
	defer cancel()
	return waitGone(ctx, killed)
}

func (s *Server) close() error {
	err := s.stop()
	return errors.Join(err, s.watch.Close(), discard(s.spec.dir, s.spec.ports))
}

// discard gives back what a server that does not run was given.
func discard(dir string, ports []*Port) error {
	for _, p := range ports {
		p.Release()
	}
	return os.RemoveAll(dir)
}
