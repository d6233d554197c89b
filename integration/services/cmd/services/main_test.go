package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// built is the command, built once.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-services-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "services")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", built, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// program returns a function that runs the command with a cache folder of its
// own.
func program(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	cache := filepath.Join(t.TempDir(), "cache")
	return func(args ...string) (string, error) {
		cmd := exec.Command(built, args...)
		cmd.Env = append(os.Environ(), "SLUICE_SERVICES="+cache)
		out, err := cmd.Output()
		return string(out), err
	}
}

func TestUpEnvDown(t *testing.T) {
	t.Parallel()
	services := program(t)
	if _, err := services("env"); err == nil {
		t.Error("env succeeds with nothing up")
	}
	exports, err := services("up", "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services("down") })
	if again, err := services("env"); err != nil || again != exports {
		t.Errorf("env prints %q, up printed %q, error %v", again, exports, err)
	}
	if _, err := services("up", "postgres"); err == nil {
		t.Error("a second up succeeds")
	}
	dsn, ok := strings.CutPrefix(strings.TrimSpace(exports), "export SLUICE_TEST_POSTGRES_URL='")
	if dsn = strings.TrimSuffix(dsn, "'"); !ok {
		t.Fatalf("exports are %q", exports)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	for range 2 { // the second time there is nothing to end
		if _, err := services("down"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Error("the server answers after down")
	}
}

func TestRunGivesEnvironmentAndExitCode(t *testing.T) {
	t.Parallel()
	services := program(t)
	out, err := services("run", "postgres", "--", "sh", "-c", `echo "$SLUICE_TEST_POSTGRES_URL"; exit 7`)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("error %v, want exit code 7", err)
	}
	if !strings.HasPrefix(out, "postgres://postgres@127.0.0.1:") {
		t.Errorf("the command saw %q", out)
	}
	if _, err := pgx.Connect(t.Context(), strings.TrimSpace(out)); err == nil {
		t.Error("the server outlives the command")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"start"}, {"run", "postgres"}, {"run", "--"}} {
		if code, err := command(args); code != 2 || err == nil {
			t.Errorf("%q: code %d, error %v, want 2 and an error", args, code, err)
		}
	}
	if _, err := command([]string{"fetch", "oracle"}); err == nil || !strings.Contains(err.Error(), "postgres, s3") {
		t.Errorf("error %v does not list the servers", err)
	}
}
