package services

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestKafkaKeepsItsDataWhenKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	k := use(t, func(ctx context.Context) (*Kafka, error) {
		// The death of the process alone takes nothing that it had written.
		return StartKafka(ctx, KafkaOptions{Settings: map[string]string{"num.network.threads": "2"}})
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Bootstrap), kgo.ConsumeTopics("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("by kgo")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := k.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	fetches := client.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		t.Fatal(err)
	}
	if records := fetches.Records(); len(records) != 1 || string(records[0].Value) != "by kgo" {
		t.Errorf("%d records after the restart, want the one that was acknowledged", len(records))
	}
	for name, consume := range foreignClients(t, k.Bootstrap) {
		out, err := consume.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "by kgo" {
			t.Errorf("%s: %v, output %q", name, err, out)
		}
	}
}

// foreignClients are the clients of other makers, each about to print the
// values of topic orders.
func foreignClients(t *testing.T, bootstrap string) map[string]*exec.Cmd {
	t.Helper()
	kcat, err := Kcat()
	if err != nil {
		t.Fatal(err)
	}
	python, err := FetchKafkaPython(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`
from kafka import KafkaConsumer
for record in KafkaConsumer('orders', bootstrap_servers=%q, auto_offset_reset='earliest'):
    print(record.value.decode())
    break
`, bootstrap)
	return map[string]*exec.Cmd{
		"kcat":         exec.CommandContext(t.Context(), kcat, "-b", bootstrap, "-C", "-t", "orders", "-o", "beginning", "-e", "-q"),
		"kafka-python": exec.CommandContext(t.Context(), python, "-c", script),
	}
}
