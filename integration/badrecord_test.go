package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kgo"
)

// produce writes values to a topic, in order.
func produce(t *testing.T, w *worker.Worker, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka), kgo.AllowAutoTopicCreation())
	must(t, err)
	defer client.Close()
	for _, v := range values {
		must(t, client.ProduceSync(deadline(t), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr())
	}
}

// stored waits until the bucket's objects hold these values of n, each once.
func stored(t *testing.T, w *worker.Worker, lake *services.S3, bucket string, want ...int) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Wait(ctx, "the objects", func() error {
		all, err := objects(ctx, lake, bucket)
		if err != nil {
			return err
		}
		counts := map[int]int{}
		for _, body := range all {
			for line := range bytes.Lines(body) {
				var v struct{ N int }
				if err := json.Unmarshal(line, &v); err != nil {
					return err
				}
				counts[v.N]++
			}
		}
		for _, n := range want {
			if counts[n] != 1 {
				return fmt.Errorf("the bucket has %v, want %v", counts, want)
			}
		}
		if len(counts) != len(want) {
			return fmt.Errorf("the bucket has %v, want %v", counts, want)
		}
		return nil
	}))
}

// failed waits until a connector's task has failed for good, and its trace has all words.
func failed(t *testing.T, w *worker.Worker, name string, words ...string) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Wait(ctx, name+" to fail", func() error {
		s, err := w.Status(ctx, name)
		if err != nil || len(s.Tasks) == 0 || s.Tasks[0].State != "FAILED" {
			return fmt.Errorf("%+v %w", s, err)
		}
		for _, word := range words {
			if !strings.Contains(s.Tasks[0].Trace, word) {
				return fmt.Errorf("%q is not in %q", word, s.Tasks[0].Trace)
			}
		}
		return nil
	}))
}

// A sink whose target is not there says so, holds what it has and goes on.
func TestRunningSinkSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	lake, search := services.UseS3(t), services.UseElasticsearch(t)
	bucket := lake.NewBucket(t)
	topic := "trouble-lines"
	dropIndex(t, search, topic)
	ctx := deadline(t)
	w := startWorker(t, worker.Options{Settings: map[string]string{"offset.flush.interval.ms": "500"}})
	produce(t, w, topic, `{"n":1}`)
	must(t, w.Put(ctx, "lake", sinkConfig(map[string]string{"topics": topic, "store.url": lake.URL, "s3.bucket.name": bucket,
		"aws.access.key.id": lake.AccessKey, "aws.secret.access.key": lake.SecretKey})))
	must(t, w.Put(ctx, "search", searchConfig(map[string]string{"topics": topic, "connection.url": search.URL})))
	stored(t, w, lake, bucket, 1)
	count := func(n int) {
		t.Helper()
		must(t, w.Wait(ctx, "the index", func() error {
			got, err := documents(ctx, search, topic)
			if err == nil && len(got) != n {
				err = fmt.Errorf("%d documents, want %d", len(got), n)
			}
			return err
		}))
	}
	count(1)

	_, err := search.Do(ctx, http.MethodPut, "/"+topic+"/_settings", `{"index.blocks.write":true}`)
	must(t, err)
	all, err := objects(ctx, lake, bucket)
	must(t, err)
	for key := range all {
		_, err := lake.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		must(t, err)
	}
	_, err = lake.Client().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	must(t, err)
	produce(t, w, topic, `{"n":2}`, `{"n":3}`)
	troubled(t, w, "lake", "environment", bucket)
	troubled(t, w, "search", "environment", topic, "block")

	_, err = search.Do(ctx, http.MethodPut, "/"+topic+"/_settings", `{"index.blocks.write":null}`)
	must(t, err)
	_, err = lake.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	must(t, err)
	stored(t, w, lake, bucket, 2, 3)
	count(3)
	must(t, w.Running(ctx, "lake"))
	must(t, w.Running(ctx, "search"))
}

// A record that cannot be read stops the task, which names it, or goes to the dead letters.
func TestARecordThatCannotBeConverted(t *testing.T) {
	t.Parallel()
	lake := services.UseS3(t)
	stops, goesOn := lake.NewBucket(t), lake.NewBucket(t)
	ctx := deadline(t)
	w := startWorker(t, worker.Options{})
	produce(t, w, "lines", `{"n":1}`, `not JSON`, `{"n":2}`)
	put := func(name, bucket string, more map[string]string) {
		config := sinkConfig(map[string]string{"store.url": lake.URL, "s3.bucket.name": bucket,
			"aws.access.key.id": lake.AccessKey, "aws.secret.access.key": lake.SecretKey})
		for k, v := range more {
			config[k] = v
		}
		must(t, w.Put(ctx, name, config))
	}
	put("stops", stops, nil)
	failed(t, w, "stops", "lines-0@1", "not restarted by itself")
	put("goes-on", goesOn, map[string]string{"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead",
		"errors.deadletterqueue.topic.replication.factor": "1", "errors.deadletterqueue.context.headers.enable": "true"})
	stored(t, w, lake, goesOn, 1, 2)
	dead, err := w.Records(ctx, "dead", 1)
	must(t, err)
	if string(dead[0].Value) != "not JSON" {
		t.Errorf("dead letter %q", dead[0].Value)
	}
	headers := map[string]string{}
	for _, h := range dead[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	for key, want := range map[string]string{"topic": "lines", "partition": "0", "offset": "1", "connector.name": "goes-on", "task.id": "0", "stage": "VALUE_CONVERTER"} {
		if got := headers["__connect.errors."+key]; got != want {
			t.Errorf("header %s is %q, want %q", key, got, want)
		}
	}
}

// A row that has no form in the records stops the source, which names it, or goes to the dead letters.
func TestARowThatCannotBeConverted(t *testing.T) {
	t.Parallel()
	s := newShop(t, services.PostgresOptions{})
	s.exec("ALTER TABLE orders ADD COLUMN weight numeric")
	ctx := deadline(t)
	w := startWorker(t, worker.Options{})
	must(t, w.Put(ctx, "stops", s.source(map[string]string{"slot.name": "stops", "topic.prefix": "stops"})))
	must(t, w.Put(ctx, "goes-on", s.source(map[string]string{"slot.name": "goes_on", "topic.prefix": "goes_on", "errors.tolerance": "all",
		"errors.deadletterqueue.topic.name": "dead", "errors.deadletterqueue.topic.replication.factor": "1",
		"errors.deadletterqueue.context.headers.enable": "true"})))
	for _, topic := range []string{"stops.public.orders", "goes_on.public.orders"} {
		_, err := w.Records(ctx, topic, 2)
		must(t, err)
	}
	s.exec("INSERT INTO orders (customer, weight) VALUES ('light', 1)", "INSERT INTO orders (customer, weight) VALUES ('odd', 'NaN')",
		"INSERT INTO orders (customer, weight) VALUES ('heavy', 2)")
	failed(t, w, "stops", "LSN", "weight", "orders", "not restarted by itself")
	records, err := w.Records(ctx, "goes_on.public.orders", 4)
	must(t, err)
	if text := string(records[3].Value); !strings.Contains(text, "heavy") {
		t.Errorf("got %s", text)
	}
	dead, err := w.Records(ctx, "dead", 1)
	must(t, err)
	headers := fmt.Sprintf("%s", dead[0].Headers)
	for _, word := range []string{"goes-on", "weight", "LSN"} {
		if !strings.Contains(headers, word) {
			t.Errorf("%q is not in %s", word, headers)
		}
	}
}
