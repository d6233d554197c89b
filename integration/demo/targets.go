package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// postgresURL is where the database server is.
type postgresURL struct{ url.URL }

func parsePostgres(text string) (*postgresURL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s must name a PostgreSQL server: run `make demo`", services.EnvPostgres)
	}
	return &postgresURL{*u}, nil
}

// env is what configs/examples/postgres-orders.json takes from the environment.
func (u *postgresURL) env() []string {
	password, _ := u.User.Password()
	return []string{"POSTGRES_HOST=" + u.Hostname(), "POSTGRES_PORT=" + u.Port(), "POSTGRES_USER=" + u.User.Username(), "POSTGRES_PASSWORD=" + password}
}

// targets is where the changes arrive.
type targets struct{ s3URL, accessKey, secretKey, elasticsearch string }

// env is what the sinks in configs/examples take from the environment.
func (t *targets) env() []string {
	return []string{"S3_URL=" + t.s3URL, "S3_ACCESS_KEY=" + t.accessKey, "S3_SECRET_KEY=" + t.secretKey, "S3_BUCKET=" + bucket, "ELASTICSEARCH_URL=" + t.elasticsearch}
}

func (t *targets) client() *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: aws.String(t.s3URL), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(t.accessKey, t.secretKey, "")})
}

func (t *targets) makeBucket(ctx context.Context) error {
	if _, err := t.client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return fmt.Errorf("create bucket %s: %w", bucket, err)
	}
	return nil
}

// show waits until the index holds just these customers by id and the bucket that many lines, and prints both.
func (t *targets) show(ctx context.Context, w *worker.Worker, what string, customers map[string]string, lines int) error {
	return w.Wait(ctx, what, func() error {
		documents, err := t.documents(ctx)
		if err != nil {
			return err
		}
		if len(documents) != len(customers) {
			return fmt.Errorf("the index has %d documents", len(documents))
		}
		for id, customer := range customers {
			if documents[id].customer != customer {
				return fmt.Errorf("document %s is %s", id, documents[id].text)
			}
		}
		objects, n, err := t.objects(ctx)
		if err != nil {
			return err
		}
		if n < lines {
			return fmt.Errorf("the bucket has %d lines", n)
		}
		fmt.Printf("   index %s:\n", index)
		for _, id := range sorted(documents) {
			fmt.Printf("     %s → %s\n", id, documents[id].text)
		}
		fmt.Printf("   bucket %s:\n", bucket)
		for _, key := range sorted(objects) {
			fmt.Printf("     %s\n", key)
			for _, line := range bytes.Split(bytes.TrimSpace(objects[key]), []byte("\n")) {
				fmt.Printf("       %s\n", line)
			}
		}
		return nil
	})
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// document is one of the index.
type document struct{ customer, text string }

// documents reads the index.
func (t *targets) documents(ctx context.Context) (map[string]document, error) {
	if status, body, err := worker.Do(ctx, http.MethodPost, t.elasticsearch+"/"+index+"/_refresh", nil); err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("refresh %s: %d %s %w", index, status, body, err)
	}
	_, body, err := worker.Do(ctx, http.MethodGet, t.elasticsearch+"/"+index+"/_search?size=100", nil)
	if err != nil {
		return nil, err
	}
	var found struct {
		Hits struct {
			Hits []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			}
		}
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return nil, fmt.Errorf("search %s: %w: %s", index, err, body)
	}
	all := make(map[string]document)
	for _, h := range found.Hits.Hits {
		var source struct{ Customer string }
		if err := json.Unmarshal(h.Source, &source); err != nil {
			return nil, err
		}
		all[h.ID] = document{source.Customer, string(h.Source)}
	}
	return all, nil
}

// objects reads the bucket, and counts its lines.
func (t *targets) objects(ctx context.Context) (map[string][]byte, int, error) {
	c := t.client()
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil {
		return nil, 0, err
	}
	all, lines := make(map[string][]byte), 0
	for _, o := range list.Contents {
		got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: o.Key})
		if err != nil {
			return nil, 0, err
		}
		text, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil {
			return nil, 0, err
		}
		all[*o.Key] = text
		lines += bytes.Count(text, []byte("\n"))
	}
	return all, lines, nil
}
