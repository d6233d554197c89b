package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// shop is the database of the examples, on a PostgreSQL of its own.
type shop struct {
	t      *testing.T
	server *services.Postgres
	db     *pgx.Conn
}

func newShop(t *testing.T, o services.PostgresOptions) *shop {
	t.Helper()
	server, err := services.StartPostgres(t.Context(), o)
	must(t, err)
	s := &shop{t: t, server: server}
	t.Cleanup(func() {
		if s.db != nil {
			s.db.Close(context.Background())
		}
		if t.Failed() {
			t.Log(server.LogTail())
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	server.Exec(t, "postgres", "CREATE DATABASE shop")
	s.db, err = pgx.Connect(t.Context(), server.DSN("shop"))
	must(t, err)
	s.exec("CREATE TABLE orders (id bigserial PRIMARY KEY, customer text NOT NULL, total numeric(12,2), paid boolean DEFAULT false)",
		"INSERT INTO orders (customer, total) VALUES ('Ada', 19.99), ('Grace', 240.00)")
	return s
}

// exec runs statements, each a transaction of its own.
func (s *shop) exec(statements ...string) {
	s.t.Helper()
	for _, sql := range statements {
		if _, err := s.db.Exec(s.t.Context(), sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// customers is the table.
func (s *shop) customers() map[string]string {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), "SELECT id::text, customer || ' ' || paid FROM orders")
	must(s.t, err)
	all := map[string]string{}
	var id, text string
	_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		all[id] = text
		return nil
	})
	must(s.t, err)
	return all
}

// source is the configuration of a connector for the table, with more laid over it.
func (s *shop) source(more map[string]string) map[string]string {
	c := map[string]string{
		"connector.class":   "io.debezium.connector.postgresql.PostgresConnector",
		"database.hostname": s.server.Host, "database.port": strconv.Itoa(s.server.Port), "database.user": s.server.User,
		"database.password": "none", "database.dbname": "shop", "topic.prefix": "shop", "plugin.name": "pgoutput",
		"table.include.list": "public.orders",
	}
	maps.Copy(c, more)
	return c
}

// lakeEnv is what configs/examples/s3-orders.properties takes from the environment.
func lakeEnv(server *services.S3, bucket string) []string {
	return []string{"S3_URL=" + server.URL, "S3_ACCESS_KEY=" + server.AccessKey, "S3_SECRET_KEY=" + server.SecretKey, "S3_BUCKET=" + bucket}
}

// objects reads a bucket.
func objects(ctx context.Context, server *services.S3, bucket string) (map[string][]byte, error) {
	client, all := server.Client(), map[string][]byte{}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(got.Body)
			got.Body.Close()
			if err != nil {
				return nil, err
			}
			all[*o.Key] = body
		}
	}
	return all, nil
}

// envelope is what the tests look at in a change.
type envelope struct {
	Before, After *struct {
		ID       int64
		Customer string
		Paid     bool
	}
	Op     string
	Source struct{ LSN int64 }
}

func (e envelope) String() string {
	switch {
	case e.After != nil:
		return fmt.Sprintf("%s %d %s %t", e.Op, e.After.ID, e.After.Customer, e.After.Paid)
	case e.Before != nil:
		return fmt.Sprintf("%s %d", e.Op, e.Before.ID)
	}
	return e.Op
}

// changes reads the JSON lines of a bucket and counts each change.
func changes(ctx context.Context, server *services.S3, bucket string) (map[string]int, error) {
	all, err := objects(ctx, server, bucket)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for key, body := range all {
		for line := range bytes.Lines(body) {
			var e envelope
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, fmt.Errorf("%s: %w in %s", key, err, line)
			}
			counts[e.String()]++
		}
	}
	return counts, nil
}

// documents reads an index: by id, what the tests look at.
func documents(ctx context.Context, server *services.Elasticsearch, index string) (map[string]string, error) {
	if _, err := server.Do(ctx, http.MethodPost, "/"+index+"/_refresh", ""); err != nil {
		return nil, err
	}
	body, err := server.Do(ctx, http.MethodGet, "/"+index+"/_search?size=1000", "")
	if err != nil {
		return nil, err
	}
	var found struct {
		Hits struct {
			Hits []struct {
				ID     string `json:"_id"`
				Source struct {
					Customer string
					Paid     bool
				} `json:"_source"`
			}
		}
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return nil, fmt.Errorf("search %s: %w: %s", index, err, body)
	}
	all := map[string]string{}
	for _, h := range found.Hits.Hits {
		all[h.ID] = fmt.Sprintf("%s %t", h.Source.Customer, h.Source.Paid)
	}
	return all, nil
}

// dropIndex removes an index now, so that an earlier run leaves nothing, and when the test ends.
func dropIndex(t *testing.T, server *services.Elasticsearch, index string) {
	t.Helper()
	drop := func() {
		_, err := server.Do(context.Background(), http.MethodDelete, "/"+index+"?ignore_unavailable=true", "")
		if err != nil {
			t.Error(err)
		}
	}
	drop()
	t.Cleanup(drop)
}

// arrive waits until index and table are equal and the bucket holds just these changes, each once.
func arrive(t *testing.T, w *worker.Worker, s *shop, lake *services.S3, bucket string, search *services.Elasticsearch, index string, want ...string) {
	t.Helper()
	ctx := deadline(t)
	must(t, w.Wait(ctx, "the index to equal the table", func() error {
		got, err := documents(ctx, search, index)
		if rows := s.customers(); err == nil && !maps.Equal(got, rows) {
			err = fmt.Errorf("the index has %v, the table %v", got, rows)
		}
		return err
	}))
	once := map[string]int{}
	for _, change := range want {
		once[change] = 1
	}
	must(t, w.Wait(ctx, "the bucket to hold every change once", func() error {
		got, err := changes(ctx, lake, bucket)
		if err == nil && !maps.Equal(got, once) {
			err = fmt.Errorf("the bucket has %v, want %v", got, once)
		}
		return err
	}))
}
