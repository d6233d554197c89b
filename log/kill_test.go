package log

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/log/vfs"
)

const killDirEnv = "SLUICE_LOG_KILL_TEST_DIR"

// TestKill kills a process that appends with SIGKILL, again and again on one
// directory. Each answer the process printed must be in the log afterwards.
// The child is this test in a process of its own.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		killChild(t, dir)
		return
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	want := map[int64]string{} // acknowledged, by offset
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), killDirEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		left := 200 + rng.IntN(2000)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			offset, value, ok := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseInt(offset, 10, 64)
			if !ok || err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
			want[n] = value
			if left--; left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // it was killed
		if left > 0 {
			t.Fatalf("the child ended by itself, %d answers early", left)
		}
		checkKilled(t, dir, round, want)
	}
}

func checkKilled(t *testing.T, dir string, round int, want map[int64]string) {
	t.Helper()
	o := testOptions(vfs.OS())
	o.Dir = dir
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Partition("t", 0)
	if err != nil || p.Err() != nil {
		t.Fatal(err, p.Err())
	}
	got := map[int64]string{}
	for _, r := range readAll(t, p, 0) {
		got[r.offset] = r.value
	}
	for offset, value := range want {
		if got[offset] != value {
			t.Fatalf("round %d: offset %d holds %q, acknowledged was %q", round, offset, got[offset], value)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// killChild appends from several goroutines until it is killed, and prints the
// offset and value of every answered append.
func killChild(t *testing.T, dir string) {
	o := testOptions(vfs.OS())
	o.Dir = dir
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Partition("t", 0)
	if err != nil {
		p = mustCreate(t, l, "t", map[string]string{"segment.bytes": "16384"})
	}
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				v := fmt.Sprintf("%d/%d/%d", l.LeaderEpoch(), g, i)
				r, err := p.Append(context.Background(), batch(v), AppendOptions{})
				if err != nil {
					panic(err)
				}
				fmt.Fprintf(os.Stdout, "%d %s\n", r.BaseOffset, v)
			}
		}()
	}
	select {} // until SIGKILL
}
