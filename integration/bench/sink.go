package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// filled starts a hub and snapshots the table into its log, so that a sink has something to read.
func (b *bench) filled(format, name string) (*worker.Worker, error) {
	w, err := b.worker(format)
	if err != nil {
		return nil, err
	}
	if err := b.source(table)(w, name, "initial_only"); err != nil {
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
