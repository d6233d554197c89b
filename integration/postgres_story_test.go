package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hamba/avro/v2"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// avroConverters are the converter keys of a connector that uses the worker's own registry.
func avroConverters(w *worker.Worker) map[string]string {
	const class = "io.confluent.connect.avro.AvroConverter"
	return map[string]string{"key.converter": class, "key.converter.schema.registry.url": w.Registry,
		"value.converter": class, "value.converter.schema.registry.url": w.Registry}
}

// avroPipeline configures table → topic → bucket and index, with Avro in between, as people do who come from
// Debezium and Confluent. The topic and the index have a prefix of the test's own. An object of the bucket holds one record, so that its name tells it.
func avroPipeline(t *testing.T, w *worker.Worker, s *shop, prefix string, lake *services.S3, bucket string, search *services.Elasticsearch) {
	t.Helper()
	ctx := deadline(t)
	put := func(name string, config map[string]string) {
		config = maps.Clone(config)
		maps.Copy(config, avroConverters(w))
		must(t, w.Put(ctx, name, config))
	}
	put("orders", s.source(map[string]string{"topic.prefix": prefix, "topic.creation.default.partitions": "1", "topic.creation.default.replication.factor": "1"}))
	put("lake", sinkConfig(map[string]string{"topics": prefix + ".public.orders", "store.url": lake.URL, "s3.bucket.name": bucket,
		"aws.access.key.id": lake.AccessKey, "aws.secret.access.key": lake.SecretKey, "behavior.on.null.values": "ignore"}))
	put("search", searchConfig(map[string]string{"topics": prefix + ".public.orders", "connection.url": search.URL, "key.ignore": "false",
		"write.method": "upsert", "behavior.on.null.values": "delete", "transforms": "unwrap,id",
		"transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
		"transforms.id.type":     "org.apache.kafka.connect.transforms.ExtractField$Key", "transforms.id.field": "id"}))
}

// avroValue decodes a record's value with the schema that the registry has under its id.
func avroValue(ctx context.Context, w *worker.Worker, r *kgo.Record) (map[string]any, error) {
	var header sr.ConfluentHeader
	id, body, err := header.DecodeID(r.Value)
	if err != nil {
		return nil, fmt.Errorf("not in Confluent's wire format: % x: %w", r.Value[:min(len(r.Value), 8)], err)
	}
	client, err := sr.NewClient(sr.URLs(w.Registry))
	if err != nil {
		return nil, err
	}
	text, err := client.SchemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	schema, err := avro.ParseWithCache(text.Schema, "", &avro.SchemaCache{})
	if err != nil {
		return nil, err
	}
	var v map[string]any
	err = avro.Unmarshal(schema, body, &v)
	return v, err
}

// The worker's own registry serves an Avro pipeline, and any registry client.
func TestAvroFromTableToTargets(t *testing.T) {
	t.Parallel()
	s, lake, search := newShop(t, services.PostgresOptions{}), services.UseS3(t), services.UseElasticsearch(t)
	bucket, index := lake.NewBucket(t), "avro.public.orders"
	dropIndex(t, search, index)
	w := startWorker(t, worker.Options{Settings: map[string]string{"offset.flush.interval.ms": "500"}})
	avroPipeline(t, w, s, "avro", lake, bucket, search)
	want := []string{"r 1 Ada false", "r 2 Grace false"}
	arrive(t, w, s, lake, bucket, search, index, want...)
	// A new column is a new version of the schema, and nothing stops.
	s.exec("UPDATE orders SET paid = true WHERE id = 1", "ALTER TABLE orders ADD COLUMN note text",
		"INSERT INTO orders (customer, note) VALUES ('Edsger', 'hello')", "DELETE FROM orders WHERE id = 2")
	want = append(want, "u 1 Ada true", "c 3 Edsger false", "d 2")
	arrive(t, w, s, lake, bucket, search, index, want...)

	ctx := deadline(t)
	records, err := w.Records(ctx, index, 6)
	must(t, err)
	row := func(i int) map[string]any {
		t.Helper()
		v, err := avroValue(ctx, w, records[i])
		must(t, err)
		after, _ := v["after"].(map[string]any)
		if row, ok := after[index+".Value"].(map[string]any); ok {
			return row // the branch of the union by its name
		}
		return after
	}
	if got := row(0); got["customer"] != "Ada" {
		t.Errorf("the first record is %v", got)
	}
	if got := row(3); fmt.Sprint(got["note"]) != "hello" && fmt.Sprint(got["note"]) != "map[string:hello]" {
		t.Errorf("the fourth record is %v", got)
	}
	client, err := sr.NewClient(sr.URLs(w.Registry))
	must(t, err)
	subjects, err := client.Subjects(ctx)
	must(t, err)
	slices.Sort(subjects)
	if want := []string{index + "-key", index + "-value"}; !slices.Equal(subjects, want) {
		t.Errorf("subjects %v, want %v", subjects, want)
	}
	versions, err := client.SubjectVersions(ctx, index+"-value")
	must(t, err)
	if !slices.Equal(versions, []int{1, 2}) {
		t.Errorf("versions %v", versions)
	}
}

// A connector of a third party, built from the contract alone, is found on plugin.path, described and run.
func TestThirdPartyConnector(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := exec.CommandContext(deadline(t), "go", "build", "-o", filepath.Join(dir, "sluice-connector-example"), "../connectors/example")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx := deadline(t)
	w := startWorker(t, worker.Options{Settings: map[string]string{"plugin.path": dir, "offset.flush.interval.ms": "100"}})
	_, body, err := w.Do(ctx, http.MethodGet, "/connector-plugins", nil)
	must(t, err)
	if !strings.Contains(string(body), "com.example.CounterConnector") {
		t.Errorf("GET /connector-plugins: %s", body)
	}
	if problems := validate(t, w, map[string]string{"connector.class": "example", "interval.ms": "0"}); len(problems["topic"]) == 0 || len(problems["interval.ms"]) == 0 {
		t.Errorf("validate: %v", problems)
	}
	must(t, w.Put(ctx, "counter", map[string]string{"connector.class": "com.example.CounterConnector", "topic": "numbers", "interval.ms": "5",
		"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}))
	first, err := w.Records(ctx, "numbers", 20)
	must(t, err)
	// Killed, it goes on from its source offset: no number is left out.
	must(t, w.Kill())
	must(t, w.Start(ctx))
	all, err := w.Records(ctx, "numbers", len(first)+100)
	must(t, err)
	next := 1
	for _, r := range all {
		var v struct{ Number int }
		must(t, json.Unmarshal(r.Value, &v))
		if v.Number > next {
			t.Fatalf("%d follows %d", v.Number, next-1)
		}
		next = v.Number + 1
	}
}
