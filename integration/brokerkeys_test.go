package integration

import (
	"errors"
	"testing"

	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestBrokerKeysOfTheWorker sets the broker by the worker's properties and asks it what it is.
func TestBrokerKeysOfTheWorker(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{Settings: map[string]string{
		"sluice.kafka.broker.num.partitions": "3", "sluice.kafka.broker.log.retention.ms": "86400000",
		"sluice.kafka.broker.auto.create.topics.enable": "false", "sluice.kafka.replication.factor.lenient": "false",
	}})
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.DefaultProduceTopic("none"))
	must(t, err)
	defer client.Close()
	admin, ctx := kadm.NewClient(client), deadline(t)
	if _, err := admin.CreateTopic(ctx, -1, 3, nil, "three"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("three replicas: %v, want INVALID_REPLICATION_FACTOR", err)
	}
	_, err = admin.CreateTopic(ctx, -1, -1, nil, "t")
	must(t, err)
	topics, err := admin.ListTopics(ctx, "t", "none")
	must(t, err)
	if n := len(topics["t"].Partitions); n != 3 {
		t.Errorf("%d partitions, want 3", n)
	}
	if err := topics["none"].Err; !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("a topic that was only named: %v", err)
	}
	described, err := admin.DescribeTopicConfigs(ctx, "t")
	must(t, err)
	of, err := described.On("t", nil)
	must(t, err)
	for _, c := range of.Configs {
		if c.Key == "retention.ms" && (c.MaybeValue() != "86400000" || c.Source.String() != "STATIC_BROKER_CONFIG") {
			t.Errorf("retention.ms is %s of %s", c.MaybeValue(), c.Source)
		}
	}
}
