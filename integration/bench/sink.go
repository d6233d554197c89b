package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/twmb/franz-go/pkg/kgo"
)

// filled starts a hub and snapshots the table into its log, so that a sink has something to read.
func (b *bench) filled(format, name string) (*worker.Worker, error) {
	w, err := b.worker(format)
	if err != nil {
		return nil, err
	}
	if err := b.source(w, name, "initial_only"); err != nil {
		return nil, err
	}
	if _, err := b.reaches(w, topic, b.rows); err != nil {
		return nil, err
	}
	if code, body, err := w.Do(b.ctx, http.MethodPut, "/connectors/"+name+"/stop", nil); err != nil || code != http.StatusNoContent {
		return nil, fmt.Errorf("stop: %d %s %w", code, body, err)
	}
	return w, b.stopped(w, name)
}

// s3 measures a sink that writes objects of 50,000 records, and counts the records in the bucket by its objects' names.
func (b *bench) s3(format string) (result, error) {
	w, err := b.filled(format, "fill_s3_"+format)
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	client := s3.New(s3.Options{BaseEndpoint: aws.String(os.Getenv(services.EnvS3)), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv(services.EnvS3AccessKey), os.Getenv(services.EnvS3SecretKey), "")})
	bucket := "bench-" + format
	if _, err := client.CreateBucket(b.ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return result{}, err
	}
	const flush = 50_000
	want := b.rows / flush // only whole objects are written
	u, err := watch(w)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := w.Put(b.ctx, "s3", map[string]string{
		"connector.class": "io.confluent.connect.s3.S3SinkConnector", "topics": topic, "s3.bucket.name": bucket, "s3.region": "us-east-1",
		"store.url": os.Getenv(services.EnvS3), "aws.access.key.id": os.Getenv(services.EnvS3AccessKey), "aws.secret.access.key": os.Getenv(services.EnvS3SecretKey),
		"storage.class": "io.confluent.connect.s3.storage.S3Storage", "flush.size": strconv.Itoa(flush), "behavior.on.null.values": "ignore",
		"format.class": map[string]string{"json": "io.confluent.connect.s3.format.json.JsonFormat", "avro": "io.confluent.connect.s3.format.avro.AvroFormat"}[format],
	}); err != nil {
		return result{}, err
	}
	var took time.Duration
	if err := w.Wait(b.ctx, "the objects", func() error {
		list, err := client.ListObjectsV2(b.ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
		if err == nil && len(list.Contents) < want {
			err = fmt.Errorf("%d of %d objects", len(list.Contents), want)
		}
		took = time.Since(began)
		return err
	}); err != nil {
		return result{}, err
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	return result{want * flush, took, *u, ""}, w.Stop()
}

// elasticsearch measures the sink, and then a bare loader that sends the same documents with the same settings.
func (b *bench) elasticsearch() (result, error) {
	w, err := b.filled("json", "fill_elasticsearch")
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	url := os.Getenv(services.EnvElasticsearch)
	const index = "bench-sink"
	rows := min(b.rows, 200_000)
	u, err := watch(w)
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := w.Put(b.ctx, "elasticsearch", map[string]string{
		"connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector", "topics": topic, "connection.url": url,
		"key.ignore": "true", "schema.ignore": "true", "transforms": "route,unwrap",
		"transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter", "transforms.route.regex": ".*", "transforms.route.replacement": index,
		"transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState",
	}); err != nil {
		return result{}, err
	}
	if err := b.counts(w, url, index, rows); err != nil {
		return result{}, err
	}
	took := time.Since(began)
	if err := u.update(); err != nil {
		return result{}, err
	}
	documents, err := b.documents(w, rows)
	if err != nil {
		return result{}, err
	}
	if code, body, err := w.Do(b.ctx, http.MethodDelete, "/connectors/elasticsearch", nil); err != nil || code != http.StatusNoContent {
		return result{}, fmt.Errorf("delete: %d %s %w", code, body, err)
	}
	bare, err := b.load(w, url, documents)
	if err != nil {
		return result{}, err
	}
	return result{rows, took, *u, fmt.Sprintf("a bare loader takes %.1f s: %.0f %%", bare.Seconds(), 100*bare.Seconds()/took.Seconds())}, w.Stop()
}

// counts waits until an index has so many documents.
func (b *bench) counts(w *worker.Worker, url, index string, n int) error {
	return w.Wait(b.ctx, "the documents", func() error {
		if code, body, err := worker.Do(b.ctx, http.MethodPost, url+"/"+index+"/_refresh", nil); err != nil || code != http.StatusOK {
			return fmt.Errorf("refresh: %d %s %w", code, body, err)
		}
		_, body, err := worker.Do(b.ctx, http.MethodGet, url+"/"+index+"/_count", nil)
		var count struct{ Count int }
		if err == nil {
			err = json.Unmarshal(body, &count)
		}
		if err == nil && count.Count < n {
			err = fmt.Errorf("%d of %d documents", count.Count, n)
		}
		return err
	})
}

// documents returns what the sink sends, as bulk requests of 2,000 documents.
func (b *bench) documents(w *worker.Worker, n int) ([][]byte, error) {
	var bulks [][]byte
	var body bytes.Buffer
	i := 0
	err := w.Consume(b.ctx, topic, func(r *kgo.Record) bool {
		var envelope struct{ After json.RawMessage }
		if json.Unmarshal(r.Value, &envelope) != nil {
			return false
		}
		fmt.Fprintf(&body, "{\"index\":{\"_index\":\"bench-bare\",\"_id\":\"%s+%d+%d\"}}\n%s\n", r.Topic, r.Partition, r.Offset, envelope.After)
		if i++; i%2000 == 0 || i == n {
			bulks = append(bulks, bytes.Clone(body.Bytes()))
			body.Reset()
		}
		return i == n
	})
	return bulks, err
}

// load sends bulk requests, five at once, and returns how long it took until all are found.
func (b *bench) load(w *worker.Worker, url string, bulks [][]byte) (time.Duration, error) {
	began := time.Now()
	work, failed := make(chan []byte), make(chan error, 5)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			for body := range work {
				if err := send(b.ctx, url, body); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	n := 0
	for _, body := range bulks {
		work <- body
		n += bytes.Count(body, []byte("\n")) / 2
	}
	close(work)
	wg.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	if err := b.counts(w, url, "bench-bare", n); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

func send(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/_bulk?filter_path=errors", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := bufio.NewReader(resp.Body).ReadString('}')
	if err == nil && answer != `{"errors":false}` {
		err = fmt.Errorf("a bulk request was answered %s", answer)
	}
	return err
}
