// Package worker runs the real sluice program for tests, benchmarks and the demo: it builds it, starts `sluice run` on
// free ports with a data directory of its own, talks to its three doors (Connect REST, Kafka, registry), and kills it
// when a story asks for that.
package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/integration/services"
)

// Deadline bounds every wait. It is generous, because the machines are slow and shared: what is waited for is a
// condition, never a time.
const Deadline = 180 * time.Second

// longestPause is between two tries of a long wait: what is asked is work for the one that is waited for, too.
const longestPause = 50 * time.Millisecond

// Options configures a Worker.
type Options struct {
	// Binary is the sluice program; see Build.
	Binary string
	// Dir is an empty folder for the data directory and the log of the process.
	Dir string
	// Settings are worker properties besides ports and data directory.
	Settings map[string]string
	// Env is added to the environment of the process.
	Env []string
	// Files are connector files to be applied at start.
	Files []string
}

// Worker is a running `sluice run`. It ends with this process, also if that is killed. Its methods are for one goroutine, but for those of its doors.
type Worker struct {
	REST     string // base URL of Connect's REST API
	Registry string // base URL of the schema registry
	Kafka    string // bootstrap address

	opts  Options
	ports []*services.Port
	watch *services.Watcher // from the first start on: the process ends with this one
	life  *services.Watched // nil: never started
}

// Build builds the sluice program of the module that dir is in, into a folder, and returns its path.
func Build(ctx context.Context, dir, into string) (string, error) {
	bin := filepath.Join(into, "sluice")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", bin, "github.com/sluicehub/sluice/cmd/sluice")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sluice: %w\n%s", err, out)
	}
	return bin, nil
}

// New reserves ports and writes the worker's properties; nothing runs yet.
func New(o Options) (*Worker, error) {
	w := &Worker{opts: o}
	for range 3 {
		p, err := services.ReservePort()
		if err != nil {
			w.release()
			return nil, err
		}
		w.ports = append(w.ports, p)
	}
	w.REST, w.Registry, w.Kafka = "http://"+w.ports[0].Addr(), "http://"+w.ports[1].Addr(), w.ports[2].Addr()
	settings := map[string]string{
		"listeners": w.REST, "sluice.registry.listener": w.ports[1].Addr(), "sluice.kafka.listener": w.ports[2].Addr(),
		"sluice.data.dir": w.Data(),
	}
	for k, v := range o.Settings {
		settings[k] = v
	}
	if boot, ok := settings["bootstrap.servers"]; ok {
		delete(settings, "sluice.kafka.listener")
		w.Kafka = boot
	}
	var b strings.Builder
	for k, v := range settings {
		fmt.Fprintf(&b, "%s=%s\n", k, v)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "worker.properties"), []byte(b.String()), 0o600); err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

// Data is the data directory.
func (w *Worker) Data() string { return filepath.Join(w.opts.Dir, "data") }

func (w *Worker) release() {
	for _, p := range w.ports {
		p.Release()
	}
}

// Start starts the process and waits until it is ready.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.Begin(); err != nil {
		return err
	}
	return w.Ready(ctx)
}

// Begin starts the process and does not wait.
func (w *Worker) Begin() error {
	logFile, err := os.OpenFile(w.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	if w.watch == nil {
		if w.watch, err = services.NewWatcher(""); err != nil {
			return err
		}
	}
	args := append([]string{"run", "--config", filepath.Join(w.opts.Dir, "worker.properties")}, w.opts.Files...)
	cmd := exec.Command(w.opts.Binary, args...)
	cmd.Env = append(os.Environ(), w.opts.Env...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if w.life, err = w.watch.Start(cmd); err != nil {
		return fmt.Errorf("start sluice: %w", err)
	}
	return nil
}

// Ready waits until /health answers 200.
func (w *Worker) Ready(ctx context.Context) error {
	return w.Wait(ctx, "sluice to be ready", func() error {
		status, body, err := w.Do(ctx, http.MethodGet, "/health", nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("/health answered %d: %s", status, body)
		}
		return err
	})
}

// Wait tries until it succeeds. It gives up when the deadline has passed or the process has ended, and says what the
// last try said and what the process logged last.
func (w *Worker) Wait(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(pause*3/2, longestPause) {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-w.ended():
			return fmt.Errorf("waiting for %s: sluice ended (%v)\n%s", what, w.life.Err(), w.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (%w)\n%s", what, err, ctx.Err(), w.LogTail())
		case <-time.After(pause):
		}
	}
}

// ended is closed when the process has ended; nil before its first start.
func (w *Worker) ended() <-chan struct{} {
	if w.life == nil {
		return nil
	}
	return w.life.Ended()
}

func (w *Worker) logPath() string { return filepath.Join(w.opts.Dir, "sluice.log") }

// Log returns all that the process wrote to stderr, over all its lives.
func (w *Worker) Log() string {
	b, _ := os.ReadFile(w.logPath())
	return string(b)
}

// LogTail returns the end of the log.
func (w *Worker) LogTail() string {
	log := w.Log()
	return log[max(0, len(log)-6000):]
}

// PID is the process number.
func (w *Worker) PID() int { return w.life.PID() }

// Kill ends the process with SIGKILL and waits until it is gone.
func (w *Worker) Kill() error { return w.end(syscall.SIGKILL, Deadline) }

// Stop ends the process with SIGTERM and fails if that takes longer than the promised 30 seconds.
func (w *Worker) Stop() error {
	if err := w.end(syscall.SIGTERM, 30*time.Second); err != nil || w.life == nil {
		return err
	}
	return w.life.Err()
}

func (w *Worker) end(sig os.Signal, within time.Duration) error {
	if w.life == nil {
		return nil
	}
	if err := w.life.Signal(sig); err != nil {
		return err
	}
	select {
	case <-w.life.Ended():
		return nil
	case <-time.After(within):
		err := w.life.Signal(syscall.SIGKILL)
		<-w.life.Ended()
		return errors.Join(err, fmt.Errorf("sluice did not end within %s of %v\n%s", within, sig, w.LogTail()))
	}
}

// Close ends the process, if it runs, and gives the ports back.
func (w *Worker) Close() error {
	err := w.Kill()
	if w.watch != nil {
		err = errors.Join(err, w.watch.Close())
	}
	w.release()
	return err
}

// Exit waits until the process has ended by itself and returns its exit code.
func (w *Worker) Exit(ctx context.Context) (int, error) {
	select {
	case <-w.life.Ended():
		var exit *exec.ExitError
		if err := w.life.Err(); !errors.As(err, &exit) {
			return 0, err
		}
		return exit.ExitCode(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// httpClient is shared; its requests end with their contexts.
var httpClient = sync.OnceValue(func() *http.Client { return &http.Client{Timeout: Deadline} })

// Do sends a request to Connect's REST API. A body that is not nil is sent as JSON.
func (w *Worker) Do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	return Do(ctx, method, w.REST+path, body)
}

// Do sends a request with a JSON body, nil for none, and returns status and body of the answer.
func Do(ctx context.Context, method, url string, body any) (int, []byte, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	case string:
		r = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := httpClient().Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// Put applies a connector's configuration as a user would, and fails unless it is taken.
func (w *Worker) Put(ctx context.Context, name string, config map[string]string) error {
	status, body, err := w.Do(ctx, http.MethodPut, "/connectors/"+name+"/config", config)
	if err != nil {
		return err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return fmt.Errorf("PUT %s: %d %s", name, status, body)
	}
	return nil
}

// Status is Connect's answer on the state of a connector.
type Status struct {
	Name      string
	Connector struct{ State, Trace string }
	Tasks     []struct {
		ID           int
		State, Trace string
	}
}

// Status asks for a connector's state.
func (w *Worker) Status(ctx context.Context, name string) (Status, error) {
	var s Status
	code, body, err := w.Do(ctx, http.MethodGet, "/connectors/"+name+"/status", nil)
	if err != nil {
		return s, err
	}
	if code != http.StatusOK {
		return s, fmt.Errorf("status of %s: %d %s", name, code, body)
	}
	return s, json.Unmarshal(body, &s)
}

// Running waits until a connector and all its tasks run.
func (w *Worker) Running(ctx context.Context, name string) error {
	return w.Wait(ctx, name+" to run", func() error {
		s, err := w.Status(ctx, name)
		if err != nil {
			return err
		}
		if s.Connector.State != "RUNNING" || len(s.Tasks) == 0 {
			return fmt.Errorf("%+v", s)
		}
		for _, t := range s.Tasks {
			if t.State != "RUNNING" {
				return fmt.Errorf("%+v", s)
			}
		}
		return nil
	})
}

// Children returns the process numbers of the connectors that this worker hosts.
func (w *Worker) Children() ([]int, error) { return services.Children(w.PID()) }
