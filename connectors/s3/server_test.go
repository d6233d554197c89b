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

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/connectortest"
	"github.com/sluicehub/sluice/integration/services"
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

func TestConformance(t *testing.T) {
	connectortest.RunSink(t, New(), conformance())
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
