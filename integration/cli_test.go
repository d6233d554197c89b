package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/worker"
)

// sluice runs the program to its end.
func sluice(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), binary, args...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	used, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer used.Close()
	running := startWorker(t, worker.Options{})
	notADir := write(t, "file", "x")
	for name, c := range map[string]struct {
		args []string
		want []string // all in the one line
	}{
		"REST port in use":        {[]string{"--set", "listeners=http://" + used.Addr().String()}, []string{"listeners", used.Addr().String(), "in use"}},
		"registry port in use":    {[]string{"--set", "sluice.registry.listener=" + used.Addr().String()}, []string{"sluice.registry.listener", "in use"}},
		"Kafka port in use":       {[]string{"--set", "sluice.kafka.listener=" + used.Addr().String()}, []string{"sluice.kafka.listener", "in use"}},
		"data directory in use":   {[]string{"--data", running.Data()}, []string{running.Data(), "in use", fmt.Sprint(running.PID())}},
		"data directory a file":   {[]string{"--data", notADir}, []string{notADir}},
		"config file missing":     {[]string{"--config", "/nowhere/worker.properties"}, []string{"/nowhere/worker.properties"}},
		"broken key":              {[]string{"--set", "offset.flush.interval.ms=soon"}, []string{"offset.flush.interval.ms", "soon"}},
		"broken connector file":   {[]string{write(t, "c.json", "{\"name\": ")}, []string{"c.json:1"}},
		"unknown converter":       {[]string{"--set", "value.converter=JsonKonverter"}, []string{"JsonKonverter"}},
		"https is not served":     {[]string{"--set", "listeners=https://127.0.0.1:0"}, []string{"listeners", "https"}},
		"the disk's marks":        {[]string{"--set", "sluice.log.disk.reject.percent=80"}, []string{"sluice.log.disk.warn.percent", "90 is more than", "80"}},
		"Kafka open to everybody": {[]string{"--set", "sluice.kafka.listener=0.0.0.0:0"}, []string{"sluice.kafka.listener", "SASL_SSL", "sluice.kafka.insecure=true"}},
		"TLS without certificate": {[]string{"--set", "sluice.kafka.listener=SSL://127.0.0.1:0"}, []string{"sluice.kafka.broker.ssl.keystore.location", "certificate"}},
		"passwords in the clear": {[]string{"--set", "sluice.kafka.listener=SASL_PLAINTEXT://127.0.0.1:0", "--set", "sluice.kafka.broker.sasl.enabled.mechanisms=PLAIN"},
			[]string{"sasl.enabled.mechanisms", "unencrypted"}},
		"connector file missing": {[]string{"/nowhere/c.properties"}, []string{"/nowhere/c.properties"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"run", "--data", data, "--set", "listeners=http://127.0.0.1:0", "--set", "sluice.registry.listener=127.0.0.1:0",
				"--set", "sluice.kafka.listener=127.0.0.1:0"}, c.args...)
			code, _, stderr := sluice(t, args...)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			line := lastLine(stderr)
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q is not in %q", want, stderr)
				}
			}
		})
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestRunEndsOnSIGTERM(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	must(t, w.Stop())
	// What it held is free again.
	must(t, w.Start(deadline(t)))
}

func TestReadyWithinASecond(t *testing.T) {
	// The fastest of some starts: the machine is shared, and the promise is about the program.
	best := time.Hour
	for range 20 {
		w := newWorker(t, worker.Options{})
		began := time.Now()
		must(t, w.Start(deadline(t)))
		best = min(best, time.Since(began))
		must(t, w.Kill())
		if best < time.Second {
			return
		}
	}
	t.Errorf("the fastest start took %s", best)
}

func TestPluginRefusesToBeRunByHand(t *testing.T) {
	code, _, stderr := sluice(t, "plugin", "postgres")
	if code != 1 || !strings.Contains(stderr, "by hand") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	code, _, stderr = sluice(t, "plugin", "nonsense")
	if code != 1 || !strings.Contains(stderr, "postgres") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := sluice(t, "version"); code != 0 || !strings.HasPrefix(out, "sluice ") {
		t.Errorf("exit code %d, %q", code, out)
	}
}

func TestValidateListsEveryProblem(t *testing.T) {
	t.Parallel()
	good := write(t, "good.properties", "name=lines\nconnector.class=FileStreamSource\nfile=/tmp/x\ntopic=lines\n")
	bad := write(t, "bad.properties", strings.Join([]string{
		"name=bad", "connector.class=io.debezium.connector.postgresql.PostgresConnector",
		"database.hostnam=localhost", "database.dbname=shop", "tasks.max=many", "snapshot.mode=initail", ""}, "\n"))
	if code, out, stderr := sluice(t, "validate", good); code != 0 {
		t.Errorf("a good file: exit code %d, %s%s", code, out, stderr)
	}
	code, out, stderr := sluice(t, "validate", good, bad)
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"bad.properties:3:", "database.hostname", "bad.properties:5:", "bad.properties:6:", "initial", "topic.prefix"} {
		if !strings.Contains(out+stderr, want) {
			t.Errorf("%q is not in:\n%s%s", want, out, stderr)
		}
	}
}
