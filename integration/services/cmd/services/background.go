package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicehub/sluice/integration/services"
)

// The servers of `up` belong to a process in the background, `services serve`.
// It leaves three files in the cache folder:
//
//	up.pid  its process number; the file stays locked as long as it lives
//	up.env  the environment for the tests; there once all servers answer
//	up.log  what it printed
//
// So a lock that can be had means that nothing runs, whatever the files say.
type background struct{ pid, env, log string }

func backgroundFiles() (background, error) {
	dir, err := services.CacheDir()
	if err != nil {
		return background{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return background{}, fmt.Errorf("services: cache folder: %w", err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return background{pid: at("up.pid"), env: at("up.env"), log: at("up.log")}, nil
}

var errRuns = errors.New("services: already up; end them with: services down")

// claim locks the pid file and writes this process's number into it.
func (b background) claim() (*os.File, error) {
	f, err := os.OpenFile(b.pid, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, errRuns
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteString(strconv.Itoa(os.Getpid()))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("services: %w", err)
	}
	return f, nil
}

// owner is the process number of the process in the background, 0 for none.
func (b background) owner() (int, error) {
	f, err := os.Open(b.pid)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("services: %w", err)
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, nil
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, fmt.Errorf("services: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("services: %s: %w", b.pid, err)
	}
	return pid, nil
}

// serve runs the servers until it is told to end.
func serve(ctx context.Context, names []string) error {
	b, err := backgroundFiles()
	if err != nil {
		return err
	}
	lock, err := b.claim()
	if err != nil {
		return err
	}
	defer lock.Close()
	set, err := services.Start(ctx, progress(), names...)
	if err != nil {
		return err
	}
	err = writeEnv(b.env, set.Env())
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, os.Remove(b.env), set.Close())
}

// writeEnv makes the file appear whole.
func writeEnv(path string, env []string) error {
	var text strings.Builder
	if err := services.WriteExports(&text, env); err != nil {
		return err
	}
	if err := os.WriteFile(path+".partial", []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	return os.Rename(path+".partial", path)
}

// up starts serve in a session of its own and waits until it has written the
// environment.
func up(ctx context.Context, names []string) error {
	b, err := backgroundFiles()
	if err != nil {
		return err
	}
	if pid, err := b.owner(); err != nil || pid != 0 {
		return errors.Join(err, errRuns)
	}
	if err := os.Remove(b.env); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("services: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	log, err := os.Create(b.log)
	if err != nil {
		return fmt.Errorf("services: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{"serve"}, names...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("services: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := waitUp(ctx, b, ended); err != nil {
		syscall.Kill(cmd.Process.Pid, syscall.SIGTERM)
		return err
	}
	return printEnv(ctx)
}

func waitUp(ctx context.Context, b background, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			text, _ := os.ReadFile(b.log)
			return fmt.Errorf("services: not started (%w):\n%s", err, text)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if _, err := os.Stat(b.env); err == nil {
				return nil
			}
		}
	}
}

func printEnv(context.Context) error {
	b, err := backgroundFiles()
	if err != nil {
		return err
	}
	if pid, err := b.owner(); err != nil || pid == 0 {
		return errors.Join(err, errors.New("services: nothing is up; start it with: services up"))
	}
	text, err := os.ReadFile(b.env)
	if err != nil {
		return fmt.Errorf("services: still starting: %w", err)
	}
	_, err = os.Stdout.Write(text)
	return err
}

// down ends the process in the background and waits until it has ended its
// servers. It is well when there is none.
func down(ctx context.Context) error {
	b, err := backgroundFiles()
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	told := 0
	for {
		pid, err := b.owner()
		if err != nil || pid == 0 {
			return err
		}
		if pid != told {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return fmt.Errorf("services: end process %d: %w", pid, err)
			}
			told = pid
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
