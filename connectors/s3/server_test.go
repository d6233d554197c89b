package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/plugins/plugintest"
)

// target is a bucket of a real server.
type target struct {
	t      testing.TB
	server *services.S3
	bucket string
}

func newTarget(t testing.TB) *target {
	s := services.UseS3(t)
	return &target{t: t, server: s, bucket: s.NewBucket(t)}
}

// config is a configuration for the bucket, with more and other keys.
func (b *target) config(more ...string) map[string]string {
	c := map[string]string{
		"s3.bucket.name": b.bucket, "s3.region": b.server.Region, "store.url": b.server.URL,
		"aws.access.key.id": b.server.AccessKey, "aws.secret.access.key": b.server.SecretKey,
		"format.class": "io.confluent.connect.s3.format.json.JsonFormat", "flush.size": "10", "s3.part.retries": "0",
	}
	for i := 0; i < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}

// objects returns what is in the bucket, by name.
func (b *target) objects() map[string][]byte {
	b.t.Helper()
	ctx := context.Background()
	all := map[string][]byte{}
	pages := awss3.NewListObjectsV2Paginator(b.server.Client(), &awss3.ListObjectsV2Input{Bucket: &b.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, o := range page.Contents {
			got, err := b.server.Client().GetObject(ctx, &awss3.GetObjectInput{Bucket: &b.bucket, Key: o.Key})
			if err != nil {
				b.t.Fatal(err)
			}
			text, err := io.ReadAll(got.Body)
			got.Body.Close()
			if err != nil {
				b.t.Fatal(err)
			}
			all[*o.Key] = text
		}
	}
	return all
}

// uploads returns the number of unfinished uploads in the bucket.
func (b *target) uploads() int {
	b.t.Helper()
	out, err := b.server.Client().ListMultipartUploads(context.Background(), &awss3.ListMultipartUploadsInput{Bucket: &b.bucket})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(out.Uploads)
}

var numberSchema = &connectors.Schema{Type: connectors.Struct, Name: "number", Fields: []connectors.Field{
	{Name: "n", Schema: connectors.Int64Schema}, {Name: "part", Schema: connectors.StringSchema}}}

func numbered(part connectors.TopicPartition, i int) connectors.Record {
	b := connectors.AppendString(connectors.AppendInt(nil, int64(i)), part.Topic+"-"+strconv.Itoa(int(part.Partition)))
	return connectors.Record{Topic: part.Topic, Partition: part.Partition, Offset: int64(i), Timestamp: 1_700_000_000_000 + int64(i)*1000,
		Value: connectors.Data{Schema: numberSchema, Bytes: b}}
}

// delivered returns the numbers of a topic partition in the JSON files, in the order of the files' names.
func delivered(t *testing.T, objects map[string][]byte, part connectors.TopicPartition) (all []int) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		for line := range bytes.Lines(objects[name]) {
			var v struct {
				N    int
				Part string
			}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatalf("%s: %v: %q", name, err, line)
			}
			if v.Part == part.Topic+"-"+strconv.Itoa(int(part.Partition)) {
				all = append(all, v.N)
			}
		}
	}
	return all
}

func TestMain(m *testing.M) { plugintest.Main(m, New()) }

func TestConformance(t *testing.T) {
	plugintest.Walls(t, New(), func(t *testing.T, c connectors.Connector) {
		connectortest.RunSink(t, c.(connectors.SinkConnector), conformance())
	})
}

func conformance() connectortest.Sink {
	return connectortest.Sink{
		Fresh: func(t *testing.T) connectortest.SinkWorld {
			b := newTarget(t)
			return connectortest.SinkWorld{
				Config: b.config("rotate.schedule.interval.ms", "50"), Once: true, Record: numbered,
				Bad: func() connectors.Record {
					return connectors.Record{Value: connectors.Data{Schema: numberSchema, Bytes: []byte{2, 200}}}
				},
				Delivered: func(t *testing.T, part connectors.TopicPartition) []int { return delivered(t, b.objects(), part) },
			}
		},
		Broken: func(t *testing.T) []connectortest.Broken {
			b := newTarget(t)
			return []connectortest.Broken{
				{Name: "no bucket", Config: map[string]string{"flush.size": "1"}, Class: connectors.ClassConfig},
				{Name: "missing bucket", Config: b.config("s3.bucket.name", "not-there-"+b.bucket), Class: connectors.ClassEnvironment},
				{Name: "wrong secret", Config: b.config("aws.secret.access.key", "wrong"), Class: connectors.ClassEnvironment},
				{Name: "nobody there", Config: b.config("store.url", "http://127.0.0.1:1"), Class: connectors.ClassEnvironment},
			}
		},
	}
}

func TestValidate(t *testing.T) {
	b := newTarget(t)
	c := New().(*connector)
	for _, x := range []struct {
		config []string
		key    string // "" is valid
		text   string
	}{
		{},
		{[]string{"s3.bucket.name", "not-there-" + b.bucket}, "s3.bucket.name", "create the bucket"},
		{[]string{"aws.access.key.id", "nobody"}, "aws.access.key.id", "correct aws.access.key.id"},
		{[]string{"aws.secret.access.key", "wrong-and-secret"}, "aws.secret.access.key", "correct aws.secret.access.key"},
		{[]string{"store.url", "http://127.0.0.1:1"}, "store.url", "connection refused"},
		{[]string{"store.url", "http://no-such-host.invalid"}, "store.url", "no such host"},
	} {
		problems := c.Validate(t.Context(), b.config(x.config...))
		if x.key == "" {
			if len(problems) > 0 {
				t.Errorf("a good configuration: %v", problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Key != x.key || !strings.Contains(problems[0].Message, x.text) || strings.Contains(problems[0].Message, "wrong-and-secret") {
			t.Errorf("%q: %q, want %q on %s", x.config, problems, x.text, x.key)
		}
	}
	if n := b.uploads(); n > 0 || len(b.objects()) > 0 {
		t.Errorf("validation left %d uploads and %d objects", n, len(b.objects()))
	}
}

// serve starts a task on the bucket, with its own partition of the topic.
func (b *target) serve(t testing.TB, part connectors.TopicPartition, config ...string) *run {
	t.Helper()
	r := &run{t: t, task: New().NewSinkTask().(*task)}
	if err := r.task.Start(t.Context(), connectors.SinkStart{Connector: "test", Config: b.config(config...)}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.task.Open(t.Context(), []connectors.TopicPartition{part}); err != nil {
		t.Fatal(err)
	}
	return r
}

func sequence(part connectors.TopicPartition, from, to int) (all []connectors.Record) {
	for i := from; i < to; i++ {
		all = append(all, numbered(part, i))
	}
	return all
}

// TestReplayOnServer lets a task die between its rotations, and another write the same records in other batches: names
// and bytes stay the same, for every format.
func TestReplayOnServer(t *testing.T) {
	b := newTarget(t)
	part := connectors.TopicPartition{Topic: "numbers", Partition: 2}
	for i, config := range [][]string{{"format.class", "json"}, {"format.class", "json", "s3.compression.type", "gzip"}, {"format.class", "avro", "avro.codec", "deflate"},
		{"format.class", "parquet"}} {
		config = append(config, "topics.dir", strconv.Itoa(i), "flush.size", "100")
		first := b.serve(t, part, config...)
		first.put(sequence(part, 0, 250)...)
		if _, err := first.task.Flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		first.stop()
		before := b.objects()
		second := b.serve(t, part, config...)
		for n := 0; n < 300; n += 7 {
			second.put(sequence(part, n, min(n+7, 300))...)
		}
		positions, err := second.task.Flush(t.Context(), true)
		if err != nil || len(positions) != 1 || positions[0].Offset != 300 {
			t.Fatalf("positions %v: %v", positions, err)
		}
		second.stop()
		after := b.objects()
		if len(after) != len(before)+1 {
			t.Errorf("%q: %d objects after %d", config, len(after), len(before))
		}
		for name := range before {
			if !bytes.Equal(before[name], after[name]) {
				t.Errorf("%s has other bytes after a replay", name)
			}
		}
	}
}

// TestServerDies kills the server while two tasks write, and starts it again: every record is there once.
func TestServerDies(t *testing.T) {
	server, err := services.StartS3(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	b := &target{t: t, server: server, bucket: server.NewBucket(t)}
	parts := []connectors.TopicPartition{part(0), part(1)}
	var tasks []*run
	for _, p := range parts {
		tasks = append(tasks, b.serve(t, p, "rotate.schedule.interval.ms", "20", "flush.size", "50", "s3.retry.backoff.ms", "1"))
	}
	const n, step = 3000, 25
	for from := 0; from < n; from += step {
		if from == n/3 {
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		for i, r := range tasks {
			for tried := 0; ; tried++ {
				err := r.tryPut(sequence(parts[i], from, from+step)...)
				if err == nil {
					break
				}
				if connectors.ClassOf(err) != connectors.ClassEnvironment || tried > 1000 {
					t.Fatalf("at %d: %v", from, err)
				}
				if tried == 0 {
					if err := server.Restart(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for i, r := range tasks {
		flushAll(t, r, parts[i], n)
		r.stop()
		got := delivered(t, b.objects(), parts[i])
		for k, v := range got {
			if v != k {
				t.Fatalf("record %d of %v stands where %d should be", v, parts[i], k)
			}
		}
		if len(got) != n {
			t.Errorf("%d records of %v, want %d", len(got), parts[i], n)
		}
	}
}

func part(n int32) connectors.TopicPartition {
	return connectors.TopicPartition{Topic: "numbers", Partition: n}
}

// flushAll waits until everything of a partition is in the bucket.
func flushAll(t *testing.T, r *run, part connectors.TopicPartition, want int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r.tryPut()
		positions, err := r.task.Flush(t.Context(), true)
		if err == nil && len(positions) == 1 && positions[0].Offset == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("positions %v, want %d: %v", positions, want, err)
		}
	}
}

// TestManyFilesOnServer has 200 files open and writes each as one object, large ones in parts, with every property that
// the server knows.
func TestManyFilesOnServer(t *testing.T) {
	b := newTarget(t)
	p := part(0)
	r := b.serve(t, p, "partitioner.class", "field", "partition.field.name", "n", "flush.size", "1000", "s3.object.tagging", "true",
		"s3.object.tagging.key.value.pairs", "team:a b", "s3.send.digest", "true", "s3.buffer.memory.bytes", "1048576")
	var records []connectors.Record
	for i := range 1000 {
		rec := numbered(p, i)
		rec.Value.Bytes = connectors.AppendString(connectors.AppendInt(nil, int64(i%200)), strings.Repeat("x", 10_000))
		records = append(records, rec)
	}
	r.put(records...)
	if _, err := r.task.Flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	r.stop()
	objects := b.objects()
	if len(objects) != 200 {
		t.Fatalf("%d objects", len(objects))
	}
	for name, text := range objects {
		if bytes.Count(text, []byte("\n")) != 5 {
			t.Errorf("%s holds %d lines", name, bytes.Count(text, []byte("\n")))
		}
	}
	name := "topics/numbers/n=7/numbers+0+0000000007.json"
	tags, err := b.server.Client().GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{Bucket: &b.bucket, Key: &name})
	if err != nil || len(tags.TagSet) != 4 {
		t.Errorf("tags %v: %v", tags, err)
	}

	big := b.serve(t, p, "topics.dir", "big", "flush.size", "1300", "s3.part.size", strconv.Itoa(minPart))
	for i := range records {
		big.put(records[i])
	}
	for i := range 300 {
		records[i].Offset += 1000
		big.put(records[i])
	}
	if _, err := big.task.Flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	big.stop()
	if text := b.objects()["big/numbers/partition=0/numbers+0+0000000000.json"]; bytes.Count(text, []byte("\n")) != 1300 || len(text) < 2*minPart {
		t.Errorf("the object in parts has %d bytes", len(text))
	}
	if n := b.uploads(); n > 0 {
		t.Errorf("%d uploads are left", n)
	}
}
