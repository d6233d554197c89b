package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// kgoPasses are the tests of franz-go's client, and those within them, that pass against this log. The list only
// grows.
const kgoPasses = "testdata/kgo_passes.txt"

// kgoTests are the tests of the client that speak to a broker.
const kgoTests = `^(TestPing|TestIssue\w+|TestConsume\w+|Test848\w+|TestDirect\w+|TestAddRemove\w+|TestPause\w+|TestPooling|TestGroup\w+|TestHookPollStart|TestLookbackMilli|TestClient_Produce\w*|TestTxnEtl|TestSCRAM\w+)$`

// TestClientsOwnTests runs the tests of the Kafka client franz-go against the log, as they run against Kafka.
func TestClientsOwnTests(t *testing.T) {
	t.Parallel()
	w, login := startWithLogin(t)
	tests := filepath.Join(t.TempDir(), "kgo.test")
	output(t, "", "go", "test", "-c", "-o", tests, "github.com/twmb/franz-go/pkg/kgo")
	ctx, records := deadline(t), "2000"
	if os.Getenv("SLUICE_TORTURE") != "" {
		ctx, records = t.Context(), "500000"
	}
	cmd := exec.CommandContext(ctx, tests, "-test.v", "-test.timeout", "0", "-test.run", kgoTests)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+w.Kafka, "KGO_TEST_RF=1", "KGO_TEST_SCRAM_SEEDS="+login, "KGO_TEST_SCRAM=alice:"+alicesPassword,
		"KGO_TEST_RECORDS="+records) // how many the chains of topics and groups pass on
	out, runErr := cmd.CombinedOutput()
	passed := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^ *--- PASS: (\S+)`).FindAllSubmatch(out, -1) {
		passed[string(m[1])] = true
	}
	passes(t, kgoPasses, passed)
	if t.Failed() {
		t.Logf("kgo.test: %v\n%s", runErr, out[max(0, len(out)-20_000):])
	}
}

// startWithLogin starts a worker and says where its listener is that wants passwords.
func startWithLogin(t *testing.T) (w *worker.Worker, login string) {
	t.Helper()
	open, err := services.ReservePort()
	must(t, err)
	t.Cleanup(open.Release)
	port, err := services.ReservePort()
	must(t, err)
	t.Cleanup(port.Release)
	w = startWorker(t, worker.Options{Settings: map[string]string{
		"sluice.kafka.listener": open.Addr() + ",SASL_PLAINTEXT://" + port.Addr(),
		// A rebalance of the consumer protocol takes some heartbeats.
		"sluice.kafka.broker.group.consumer.min.heartbeat.interval.ms": "500", "sluice.kafka.broker.group.consumer.heartbeat.interval.ms": "500",
	}})
	w.Kafka = open.Addr()
	made, err := kadm.NewClient(newClient(t, w)).AlterUserSCRAMs(deadline(t), nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: alicesPassword}})
	must(t, err)
	must(t, made.Error())
	return w, port.Addr()
}
