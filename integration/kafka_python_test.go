package integration

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// passes compares the tests of another maker that passed with those that did before. The list only grows.
func passes(t *testing.T, list string, passed map[string]bool) {
	t.Helper()
	listed, err := os.ReadFile(list)
	must(t, err)
	for name := range strings.FieldsSeq(string(listed)) {
		if !passed[name] {
			t.Errorf("%s no longer passes", name)
		}
		delete(passed, name)
	}
	if len(passed) > 0 {
		t.Errorf("these pass and are not in %s; add them:\n%s", list, strings.Join(slices.Sorted(maps.Keys(passed)), "\n"))
	}
}

// TestKafkaPythonsOwnTests runs the integration tests of kafka-python against the log, which is set up as they set up
// Kafka.
func TestKafkaPythonsOwnTests(t *testing.T) {
	t.Parallel()
	python, dir, err := services.FetchKafkaPythonTests(deadline(t))
	must(t, err)
	w := startWorker(t, worker.Options{Settings: map[string]string{
		"sluice.kafka.broker.num.partitions":               "4",
		"sluice.kafka.broker.group.min.session.timeout.ms": "1000",
		"sluice.kafka.broker.authorizer.class.name":        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"sluice.kafka.broker.super.users":                  "User:ANONYMOUS",
	}})
	args := []string{"-m", "pytest", "-q", "-rA", "--tb=short", "--show-capture=log", "--log-level=INFO", "-p", "no:cacheprovider", "--timeout", "60", "--timeout-method", "signal"}
	for _, name := range []string{"admin", "consumer", "producer"} { // the rest starts brokers of its own
		args = append(args, filepath.Join("test", "integration", "test_"+name+"_integration.py"))
	}
	cmd := exec.CommandContext(deadline(t), python, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KAFKA_VERSION=4.3.0", "KAFKA_URI=kafka://"+w.Kafka, "PYTHONDONTWRITEBYTECODE=1")
	out, runErr := cmd.CombinedOutput()
	passed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^PASSED test/integration/(\S+)`).FindAllSubmatch(out, -1) {
		passed[string(m[1])] = true
	}
	passes(t, "testdata/kafka_python_passes.txt", passed)
	if t.Failed() {
		t.Logf("pytest: %v\n%s", runErr, out[max(0, len(out)-20_000):])
	}
}
