package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		events []string
		want   counts
		holds  []string
		lacks  []string
	}{
		{
			name: "passed tests are silent, their package is not",
			events: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"PASS\n"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: counts{passed: 1}, holds: []string{"ok  \tp\t0.1s\n"}, lacks: []string{"chatter", "PASS"},
		},
		{
			name: "a skipped test is named with its reason",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"no server\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
			},
			want: counts{skipped: 1}, holds: []string{"SKIPPED p TestA", "no server"},
		},
		{
			name:   "a package without tests is no skipped test",
			events: []string{`{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}`, `{"Action":"skip","Package":"p"}`},
			holds:  []string{"no test files"},
		},
		{
			name: "a failed test tells all",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"got 1, want 2\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{failed: 1}, holds: []string{"got 1, want 2"},
		},
		{
			name: "a panic leaves tests without an end",
			events: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: index out of range\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: counts{failed: 1}, holds: []string{"did not end: p TestA", "panic: index out of range"},
		},
		{
			name:   "what does not compile",
			events: []string{`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: undefined: y\n"}`, `{"Action":"fail","Package":"p"}`, `go: updates needed`},
			want:   counts{failed: 1},
			holds:  []string{"x.go:1: undefined: y", "go: updates needed"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			got, _, err := report(strings.NewReader(strings.Join(tt.events, "\n")+"\n"), &out)
			if err != nil || got != tt.want {
				t.Errorf("counts %+v, error %v, want %+v", got, err, tt.want)
			}
			for _, s := range tt.holds {
				if !strings.Contains(out.String(), s) {
					t.Errorf("%q is not in %q", s, out.String())
				}
			}
			for _, s := range tt.lacks {
				if strings.Contains(out.String(), s) {
					t.Errorf("%q is in %q", s, out.String())
				}
			}
		})
	}
}

// module writes a module with one test file and makes it the working
// directory.
func module(t *testing.T, test string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example\n\ngo 1.26\n", "a.go": "package a\n", "a_test.go": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestGoTestRefusesSkips(t *testing.T) {
	module(t, "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Skip(\"no server\") }\nfunc TestB(t *testing.T) {}\n")
	var out strings.Builder
	s := &suite{out: &out, env: os.Environ()}
	_, err := s.goTest(t.Context(), "./...")
	if err == nil || !strings.Contains(err.Error(), "1 tests were skipped") {
		t.Errorf("error %v, output %q", err, out.String())
	}
	if want := (counts{passed: 1, skipped: 1}); s.tests != want {
		t.Errorf("counts %+v, want %+v", s.tests, want)
	}
}

func TestFuzzRunsEveryTarget(t *testing.T) {
	t.Setenv("FUZZTIME", "1x")
	module(t, `package a

import "testing"

func FuzzGood(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, _ int) {}) }
func FuzzBad(f *testing.F)  { f.Add(1); f.Fuzz(func(t *testing.T, _ int) { t.Error("always") }) }
func TestNone(t *testing.T) {}
`)
	var out strings.Builder
	s := &suite{out: &out, env: os.Environ()}
	_, err := s.take(fuzz(t.Context(), s.env))
	if err == nil || !strings.Contains(err.Error(), "FuzzBad in example") || strings.Contains(err.Error(), "FuzzGood") {
		t.Errorf("error %v, output %q", err, out.String())
	}
	if want := (counts{passed: 1, failed: 1}); s.tests != want {
		t.Errorf("counts %+v, want %+v; output %q", s.tests, want, out.String())
	}
}

// An input that a run has found is kept for the next ones, and those that were kept before stay, also those that the run
// did not begin with.
func TestFuzzKeepsInputs(t *testing.T) {
	dir := t.TempDir()
	kept, own := filepath.Join(dir, "kept"), filepath.Join(dir, "own")
	write := func(folder string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := errors.Join(os.MkdirAll(folder, 0o777), os.WriteFile(filepath.Join(folder, name), []byte(name), 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
	names := func(folder string) (n int) {
		t.Helper()
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if err := choose(kept, own); err != nil || names(own) != 0 {
		t.Errorf("%d inputs of none: %v", names(own), err)
	}
	for i := range 2 * fuzzKept {
		write(kept, strconv.Itoa(i))
	}
	if err := choose(kept, own); err != nil || names(own) != fuzzKept {
		t.Errorf("%d inputs chosen, want %d: %v", names(own), fuzzKept, err)
	}
	write(own, "found")
	if err := keep(own, kept); err != nil || names(kept) != 2*fuzzKept+1 {
		t.Errorf("%d inputs are kept, want %d: %v", names(kept), 2*fuzzKept+1, err)
	}
	for i := range fuzzKeptMost {
		write(own, "more"+strconv.Itoa(i))
	}
	if err := keep(own, kept); err != nil || names(kept) != fuzzKeptMost {
		t.Errorf("%d inputs are kept, want %d: %v", names(kept), fuzzKeptMost, err)
	}
}

// Every test of the tree runs in a step: what unit leaves out or shortens, volume runs.
func TestVolumeIsRun(t *testing.T) {
	t.Chdir("../..")
	packages, err := listPackages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tests, err := functions(packages, regexp.MustCompile(volumeTests+"|"+crashTests))
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]int{}
	for _, test := range tests {
		of[test.pkg.ImportPath]++
	}
	const module = "github.com/sluicehub/sluice/"
	want := map[string]int{module + "connectors/mysql": 6, module + "connectors/postgres": 6, module + "log": 4, module + "log/broker": 1}
	if !maps.Equal(of, want) {
		t.Errorf("tests of volume by package: %v, want %v", of, want)
	}
	all := inOrder(packages, func(goPackage) bool { return true })
	for i, suffix := range longest {
		if !strings.HasSuffix(all[i], "/"+suffix) {
			t.Errorf("package %d is %s, want %s", i, all[i], suffix)
		}
	}
	if len(all) != len(packages) {
		t.Errorf("%d of %d packages", len(all), len(packages))
	}
}

// The folder is shared by those who use it at the same time. It is cleared by the last one, and of what killed ones have
// left by the first.
func TestTakeFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "folder")
	take := func() *os.File {
		t.Helper()
		folder, err := takeFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		return folder
	}
	leave := func(folder *os.File) {
		t.Helper()
		if err := leaveFolder(folder); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "of", "a", "test")
	write := func() {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	there := func(when string, want bool) {
		t.Helper()
		if _, err := os.Stat(file); (err == nil) != want {
			t.Fatalf("%s: %v", when, err)
		}
	}
	alone := take()
	write()
	leave(alone)
	there("nobody uses it yet", false)
	first := take()
	write()
	second := take()
	there("two use it", true)
	leave(first)
	there("one still uses it", true)
	leave(second)
	there("nobody uses it", false)
	killed := take()
	write()
	if err := killed.Close(); err != nil { // what the kernel does for it
		t.Fatal(err)
	}
	there("one was killed", true)
	leave(take())
	there("another one began", false)
}
