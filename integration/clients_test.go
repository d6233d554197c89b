package integration

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// output runs a command of a foreign client and returns what it printed.
func output(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// startForeign starts a program of another maker, which ends with the test. What it said is printed if the test fails.
func startForeign(t *testing.T, name string, cmd *exec.Cmd) *services.Watched {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	watcher, err := services.NewWatcher("")
	must(t, err)
	life, err := watcher.Start(cmd)
	must(t, err)
	t.Cleanup(func() {
		must(t, life.Signal(syscall.SIGKILL))
		<-life.Ended()
		must(t, watcher.Close())
		if t.Failed() {
			t.Logf("%s said:\n%s", name, out.String())
		}
	})
	return life
}

// lines returns n lines, each once.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestKcatProducesAndConsumesWithAGroup(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	kcat, err := services.Kcat()
	must(t, err)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := "kcat-" + codec
		output(t, lines(5000), kcat, "-b", w.Kafka, "-P", "-t", topic, "-z", codec)
		if got := output(t, "", kcat, "-b", w.Kafka, "-C", "-t", topic, "-o", "beginning", "-e", "-q"); got != lines(5000) {
			t.Errorf("%s: got %d bytes, want %d", codec, len(got), len(lines(5000)))
		}
	}
	if got := output(t, "", kcat, "-b", w.Kafka, "-G", "g", "-c", "5000", "-q", "-X", "auto.offset.reset=earliest", "kcat-none"); got != lines(5000) {
		t.Errorf("the group got %d bytes, want %d", len(got), len(lines(5000)))
	}
	output(t, "one more\n", kcat, "-b", w.Kafka, "-P", "-t", "kcat-none")
	if got := output(t, "", kcat, "-b", w.Kafka, "-G", "g", "-c", "1", "-q", "kcat-none"); got != "one more\n" {
		t.Errorf("the group went on with %q", got)
	}
	if got := output(t, "", kcat, "-b", w.Kafka, "-L"); !strings.Contains(got, `topic "kcat-none" with 1 partitions`) {
		t.Errorf("metadata: %s", got)
	}
}

// Programs do what there is to do with clients of other makers: topics and their settings, all codecs,
// headers, groups, transactions with the offsets of what was read, aborts, and a zombie that is shut out.
func TestClientsOfOtherMakers(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(t *testing.T) []string{
		"kafka-python": func(t *testing.T) []string {
			python, err := services.FetchKafkaPython(deadline(t))
			must(t, err)
			return []string{python, "testdata/kafka_python_clients.py"}
		},
		"librdkafka": func(t *testing.T) []string {
			python, err := services.FetchConfluentKafkaPython(deadline(t))
			must(t, err)
			return []string{python, "testdata/confluent_clients.py"}
		},
		"Sarama": func(t *testing.T) []string {
			program := filepath.Join(t.TempDir(), "sarama")
			output(t, "", "go", "-C", "sarama", "build", "-o", program)
			return []string{program}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := command(t)
			w := startWorker(t, worker.Options{})
			got := output(t, "", program[0], append(program[1:], w.Kafka)...)
			if !strings.Contains(got, "ok") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Serializers for Avro, JSON Schema and Protobuf, with references, of the client that most Python programs use.
func TestConfluentKafkaPythonSerializes(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	python, err := services.FetchConfluentKafkaPython(deadline(t))
	must(t, err)
	if got := output(t, "", python, "testdata/confluent_serializers.py", w.Registry); strings.TrimSpace(got) != "ok" {
		t.Errorf("got %s", got)
	}
}

// All that Confluent's client for Go can ask. It is built without cgo, as a module of its own.
func TestConfluentGoClient(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	// The first time, go says what it downloads.
	if got := output(t, "", "env", "CGO_ENABLED=0", "go", "run", "-C", "testdata/confluentgo", ".", w.Registry); !strings.HasSuffix("\n"+strings.TrimSpace(got), "\nok") {
		t.Errorf("got %s", got)
	}
}

// What the registry's OpenAPI document allows, and what it does not, is answered as the document says.
func TestRegistryAnswersAsItsOpenAPIDocumentSays(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	python, err := services.FetchSchemathesis(deadline(t))
	must(t, err)
	// It keeps what it found in a folder where it runs.
	got := output(t, "", "env", "-C", t.TempDir(), python, "-m", "schemathesis.cli", "run", w.Registry+"/openapi.json", "--seed", "1", "--max-examples", "4",
		"--phases", "coverage,fuzzing", "--generation-database", "none",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance")
	m := regexp.MustCompile(`Selected: (\d+)/(\d+)\s+Tested: (\d+)`).FindStringSubmatch(got)
	if m == nil || m[1] != m[2] || m[1] != m[3] {
		t.Errorf("not all was tried: %s", got)
	}
}
