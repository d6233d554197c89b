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

// compare returns the tests of a list that did not pass, and those that passed and are not in it.
func compare(t *testing.T, list string, passed map[string]bool) (missing, added []string) {
	t.Helper()
	b, err := os.ReadFile(list)
	must(t, err)
	listed := strings.Fields(string(b))
	for _, name := range listed {
		if !passed[name] {
			missing = append(missing, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		if !slices.Contains(listed, name) {
			added = append(added, name)
		}
	}
	return missing, added
}

// passes compares the tests of another maker that passed with those that did before. The list only grows.
func passes(t *testing.T, list string, passed map[string]bool) {
	t.Helper()
	missing, added := compare(t, list, passed)
	if len(missing) > 0 {
		t.Errorf("these no longer pass:\n%s", strings.Join(missing, "\n"))
	}
	if len(added) > 0 {
		t.Errorf("these pass and are not in %s; add them:\n%s", list, strings.Join(added, "\n"))
	}
}

// TestKafkaPythonsOwnTests runs the integration tests of kafka-python against the log, which is set up as they set up
// Kafka. What does not pass is tried again, in a process of its own: when a poll of version 3.0.12 ends while it joins a
// group anew because it has seen the topic's partitions only now, it never takes the assignment that it is sent.
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
	const list = "testdata/kafka_python_passes.txt"
	passed := make(map[string]bool)
	names := []string{"test_admin_integration.py", "test_consumer_integration.py", "test_producer_integration.py"} // the rest starts brokers of its own
	for tries := 0; len(names) > 0 && tries < 3; tries++ {
		args := []string{"-m", "pytest", "-q", "-rpfE", "--tb=short", "--show-capture=log", "--log-level=INFO", "-p", "no:cacheprovider", "--timeout", "60", "--timeout-method", "signal"}
		for _, name := range names {
			args = append(args, filepath.Join("test", "integration", name))
		}
		cmd := exec.CommandContext(deadline(t), python, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "KAFKA_VERSION=4.3.0", "KAFKA_URI=kafka://"+w.Kafka, "PYTHONDONTWRITEBYTECODE=1")
		out, err := cmd.CombinedOutput()
		for _, m := range regexp.MustCompile(`(?m)^PASSED test/integration/(\S+)`).FindAllSubmatch(out, -1) {
			passed[string(m[1])] = true
		}
		if names, _ = compare(t, list, passed); len(names) > 0 {
			t.Logf("pytest: %v\n%s", err, out[max(0, len(out)-20_000):])
		}
	}
	passes(t, list, passed)
}
