package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// With bootstrap.servers everything that is kept is kept on that cluster: records, configurations, offsets, statuses
// and schemas. A worker that comes back goes on, and keeps nothing of its own.
func TestOnApacheKafka(t *testing.T) {
	t.Parallel()
	kafka, err := services.StartKafka(t.Context(), services.KafkaOptions{})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(kafka.LogTail())
		}
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	s, lake, search := newShop(t, services.PostgresOptions{}), services.UseS3(t), services.UseElasticsearch(t)
	bucket, index := lake.NewBucket(t), "outside.public.orders"
	dropIndex(t, search, index)
	w := startWorker(t, worker.Options{Settings: map[string]string{"bootstrap.servers": kafka.Bootstrap, "offset.flush.interval.ms": "500", "consumer.session.timeout.ms": "6000",
		"config.storage.replication.factor": "1", "offset.storage.replication.factor": "1", "status.storage.replication.factor": "1"}})
	avroPipeline(t, w, s, "outside", lake, bucket, search)
	want := []string{"r 1 Ada false", "r 2 Grace false"}
	arrive(t, w, s, lake, bucket, search, index, want...)
	s.exec("UPDATE orders SET paid = true WHERE id = 1", "INSERT INTO orders (customer) VALUES ('Edsger')", "DELETE FROM orders WHERE id = 2")
	want = append(want, "u 1 Ada true", "c 3 Edsger false", "d 2")
	arrive(t, w, s, lake, bucket, search, index, want...)
	keptOnKafka(t, kafka, index, "connect-lake", "connect-search")

	// Restarted, it reads nothing twice.
	must(t, w.Stop())
	s.exec("INSERT INTO orders (customer) VALUES ('Barbara')")
	want = append(want, "c 4 Barbara false")
	must(t, w.Start(deadline(t)))
	arrive(t, w, s, lake, bucket, search, index, want...)

	// Killed under load: nothing is lost, and the bucket has what the topic has.
	s.exec("INSERT INTO orders (customer) SELECT 'bulk' FROM generate_series(1, 200)")
	must(t, w.Kill())
	s.exec("UPDATE orders SET paid = true WHERE id = 3", "DELETE FROM orders WHERE customer = 'bulk'")
	must(t, w.Start(deadline(t)))
	equal(t, w, s, lake, bucket, search, index)

	// The broker goes and comes back.
	must(t, kafka.Kill())
	s.exec("INSERT INTO orders (customer) VALUES ('Frances')")
	must(t, kafka.Restart(deadline(t)))
	equal(t, w, s, lake, bucket, search, index)
	if _, err := os.Stat(w.Data()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the worker keeps something of its own: %v", err)
	}
	t.Run("ExactlyOnce", func(t *testing.T) { countedOnKafka(t, kafka.Bootstrap) })
}

// keptOnKafka looks at the topics that a worker keeps, and at the groups of its sinks.
func keptOnKafka(t *testing.T, kafka *services.Kafka, topic string, sinks ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Bootstrap))
	must(t, err)
	defer client.Close()
	admin, ctx := kadm.NewClient(client), deadline(t)
	own := []string{"_schemas", "connect-configs", "connect-offsets", "connect-status"}
	topics, err := admin.ListTopics(ctx, append(own, topic)...)
	must(t, err)
	must(t, topics.Error())
	if n := len(topics["connect-configs"].Partitions); n != 1 {
		t.Errorf("connect-configs has %d partitions", n)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, own...)
	must(t, err)
	for _, topic := range configs {
		must(t, topic.Err)
		if !slices.ContainsFunc(topic.Configs, func(c kadm.Config) bool { return c.Key == "cleanup.policy" && c.MaybeValue() == "compact" }) {
			t.Errorf("%s is not compacted", topic.Name)
		}
	}
	groups, err := admin.DescribeGroups(ctx, sinks...)
	must(t, err)
	must(t, groups.Error())
}

// equal waits until the index equals the table and the bucket has each record of the topic once.
func equal(t *testing.T, w *worker.Worker, s *shop, lake *services.S3, bucket string, search *services.Elasticsearch, index string) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Wait(ctx, "the index to equal the table", func() error {
		got, err := documents(ctx, search, index)
		if rows := s.customers(); err == nil && !maps.Equal(got, rows) {
			err = fmt.Errorf("the index has %v, the table %v", got, rows)
		}
		return err
	}))
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka))
	must(t, err)
	defer client.Close()
	must(t, w.Wait(ctx, "the bucket to equal the topic", func() error {
		ends, err := kadm.NewClient(client).ListEndOffsets(ctx, index)
		if err != nil {
			return err
		}
		end, _ := ends.Lookup(index, 0)
		all, err := objects(ctx, lake, bucket)
		if err != nil {
			return err
		}
		records, err := w.Records(ctx, index, int(end.Offset))
		if err != nil {
			return err
		}
		for _, r := range records {
			key := fmt.Sprintf("topics/%s/partition=0/%s+0+%010d.json", index, index, r.Offset)
			lines := strings.Count(string(all[key]), "\n")
			if r.Value != nil && lines != 1 {
				return fmt.Errorf("%s has %d lines", key, lines)
			}
			delete(all, key)
		}
		if len(all) > 0 {
			return fmt.Errorf("%d objects are of no record: %v", len(all), slices.Collect(maps.Keys(all)))
		}
		return nil
	}))
}
