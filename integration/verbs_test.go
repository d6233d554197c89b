package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kgo"
)

// verb runs a verb that must succeed and returns what it printed.
func verb(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := sluice(t, args...)
	if code != 0 {
		t.Fatalf("sluice %s: exit code %d: %s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// fails runs a verb that must fail and say so with these words.
func fails(t *testing.T, words string, args ...string) {
	t.Helper()
	code, stdout, stderr := sluice(t, args...)
	if code != 1 || !strings.Contains(stderr, words) {
		t.Errorf("sluice %s: exit code %d, want 1 and %q: %s%s", strings.Join(args, " "), code, words, stdout, stderr)
	}
}

// decode reads the JSON of a verb.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestVerbsOfTopicsAndGroups(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	at := "-b=" + w.Kafka
	verb(t, "topic", "create", at, "orders", "--partitions", "2", "--config", "retention.ms=5000000")
	fails(t, "already exists", "topic", "create", at, "orders")
	fails(t, "no.such", "topic", "create", at, "bad", "--config", "no.such=1")
	if got := output(t, "a:1\nb:2\nc:3\n", binary, "topic", "produce", at, "orders", "--key-separator", ":", "--partition", "1"); got != "3 records\n" {
		t.Errorf("produce printed %q", got)
	}
	if got := verb(t, "topic", "tail", at, "orders", "-n", "2"); !strings.Contains(got, "1\t1\t") || !strings.Contains(got, "\tc\t3\n") || strings.Contains(got, "\ta\t1\n") {
		t.Errorf("the last two are %q", got)
	}
	type part struct{ Partition, Start, End, Bytes int64 }
	type topic struct {
		Name, ID   string
		Configs    map[string]string
		Partitions []part
	}
	verb(t, "topic", "alter", at, "orders", "--config", "segment.ms=600000", "--delete-config", "retention.ms", "--partitions", "3")
	d := decode[topic](t, verb(t, "topic", "describe", at, "orders", "-o", "json"))
	if d.Configs["segment.ms"] != "600000" || d.Configs["retention.ms"] != "" || len(d.Partitions) != 3 || d.Partitions[1].End != 3 || d.Partitions[1].Bytes == 0 {
		t.Errorf("the topic is %+v", d)
	}

	type moved struct{ Partition, Offset int64 }
	if got := decode[[]moved](t, verb(t, "group", "reset", at, "readers", "--topic", "orders", "--to", "1", "-o", "json")); len(got) != 3 || got[1].Offset != 1 {
		t.Errorf("moved to %+v", got)
	}
	type lag struct{ Partition, Committed, End, Lag int64 }
	if got := decode[[]lag](t, verb(t, "group", "describe", at, "readers", "-o", "json")); len(got) != 3 || got[1] != (lag{1, 1, 3, 2}) {
		t.Errorf("lag is %+v", got)
	}
	if got := verb(t, "group", "list", at); !strings.Contains(got, "readers") {
		t.Errorf("groups are %s", got)
	}
	member := newClient(t, w, kgo.ConsumerGroup("sharers"), kgo.ServerSideBalancer(), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	must(t, member.PollFetches(deadline(t)).Err0())
	type held struct {
		Committed, End, Lag int64
		Member              string
	}
	if got := decode[[]held](t, verb(t, "group", "describe", at, "sharers", "-o", "json")); len(got) != 3 || got[1].Member == "" || got[1].End != 3 {
		t.Errorf("the group of the consumer protocol is %+v", got)
	}
	verb(t, "group", "delete", at, "readers")
	fails(t, "readers", "group", "delete", at, "readers")
	fails(t, "readers", "group", "reset", at, "readers", "--to", "latest")
	verb(t, "topic", "delete", at, "orders")
	if got := verb(t, "topic", "list", at); strings.Contains(got, "orders") {
		t.Errorf("topics are %s", got)
	}
	fails(t, "connection refused", "topic", "list", "-b", "127.0.0.1:1", "--timeout", "1s")
	fails(t, "in use", "log", "check", w.Data())
}

func TestVerbsOfTheLog(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	produce(t, w, "t", "one", "two", "three")
	must(t, w.Stop())
	verb(t, "log", "check", w.Data())
	folder := filepath.Join(w.Data(), "t-0")
	if got := verb(t, "log", "dump", folder, "--records"); !strings.Contains(got, `2: key "" value "three"`) {
		t.Errorf("dump is %s", got)
	}
	path := filepath.Join(folder, "00000000000000000000.log")
	damage(t, path, func(b []byte) []byte { b[70] ^= 1; return b })
	fails(t, "not whole", "log", "check", w.Data())
	fails(t, "--yes", "log", "repair", folder)
	verb(t, "log", "repair", folder, "--yes")
	verb(t, "log", "check", w.Data())
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
	must(t, w.Start(deadline(t)))
	produce(t, w, "t", "four")
	if got := verb(t, "topic", "tail", "-b", w.Kafka, "t"); !strings.HasSuffix(got, "\tfour\n") || !strings.HasPrefix(got, "0\t") {
		t.Errorf("after the repair: %s", got)
	}
}
