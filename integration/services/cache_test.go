package services

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func must(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestFetchedOnce(t *testing.T) {
	t.Setenv("SLUICE_SERVICES", t.TempDir())
	var fills atomic.Int32
	fill := func(_ context.Context, dir string) error {
		fills.Add(1)
		return os.WriteFile(filepath.Join(dir, "program"), []byte("whole"), 0o755)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			dir, err := fetched(t.Context(), "thing-1", fill)
			if err != nil {
				t.Error(err)
				return
			}
			if b, err := os.ReadFile(filepath.Join(dir, "program")); err != nil || string(b) != "whole" {
				t.Errorf("program holds %q, error %v", b, err)
			}
		})
	}
	wg.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times, want once", n)
	}
}

func TestFetchedIsWholeOrNothing(t *testing.T) {
	t.Setenv("SLUICE_SERVICES", t.TempDir())
	broken := errors.New("connection reset")
	_, err := fetched(t.Context(), "thing-1", func(_ context.Context, dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want %v", err, broken)
	}
	dir, err := fetched(t.Context(), "thing-1", func(_ context.Context, dir string) error {
		return os.WriteFile(filepath.Join(dir, "program"), nil, 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "half")); err == nil {
		t.Error("what the failed attempt left is in the cache")
	}
}

func TestMissingPrerequisiteNamesTheCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("SLUICE_SERVICES", t.TempDir())
	_, kcat := Kcat()
	_, jars := FetchElasticsearch(t.Context())
	_, python := FetchKafkaPython(t.Context())
	for want, err := range map[string]error{
		"apt-get install -y kcat": kcat, "apt-get install -y maven": jars, "apt-get install -y python3-venv": python,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not hold %q", err, want)
		}
	}
}

func TestPortsAreDistinctAndFreeAgain(t *testing.T) {
	t.Parallel()
	ports, err := reservePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p.Number] {
			t.Errorf("port %d twice", p.Number)
		}
		seen[p.Number] = true
		p.Release()
	}
}

func TestWriteExportsQuotes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := WriteExports(&b, []string{"B=it's $HOME", "A=1=2"}); err != nil {
		t.Fatal(err)
	}
	if want := "export A='1=2'\nexport B='it'\\''s $HOME'\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
