package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// CacheDir is the folder that keeps what was fetched: $SLUICE_SERVICES, else
// $HOME/.cache/sluice-services. It may be deleted at any time when no server
// runs; the next start fetches again.
func CacheDir() (string, error) {
	if dir := os.Getenv("SLUICE_SERVICES"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("services: no cache folder, set SLUICE_SERVICES to one: %w", err)
	}
	return filepath.Join(home, ".cache", "sluice-services"), nil
}

// fetched returns the folder name in the cache, which fill makes when it is not
// there. fill works in a folder of its own that becomes the cached one by a
// rename, so a cached folder is always whole. One process of the machine
// fills at a time; the others wait for it.
func fetched(ctx context.Context, name string, fill func(ctx context.Context, dir string) error) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("services: cache folder: %w", err)
	}
	unlock, err := lockFile(ctx, final+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return final, nil // another process was faster
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("services: %w", err)
	}
	// What a killed process left behind half filled.
	partial := final + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("services: clear %s: %w", partial, err)
	}
	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", fmt.Errorf("services: %w", err)
	}
	if err := fill(ctx, partial); err != nil {
		return "", fmt.Errorf("services: fetch %s: %w", name, err)
	}
	if err := os.Rename(partial, final); err != nil {
		return "", fmt.Errorf("services: %w", err)
	}
	return final, nil
}

// lockFile takes an exclusive lock on the file, waiting for its holder until
// ctx ends. The lock ends with the process at the latest.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("services: lock: %w", err)
	}
	err = poll(ctx, "the lock on "+path, 100*time.Millisecond, func(context.Context) error {
		return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// tool runs a command to its end. An error carries the end of its output; a
// program that is not installed is an error that names mend, the command that
// installs it.
func tool(ctx context.Context, env []string, mend, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return missing(name, mend)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(string(out), 20))
	}
	return nil
}

func missing(what, mend string) error {
	return fmt.Errorf("services: %s is not installed; install it with: %s", what, mend)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
